/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What one capture file becomes on the way to a data set.
 *
 *   flowtrack.c  reads a file in bursts, tells flows apart, keeps their first max_n packets
 *   extract.c    runs the files, merges classes and counters, replays the kept packets through
 *                dune_flow_update into the columns
 *
 * The hot loop keeps 24 bytes per packet, not a row of features: registers are computed once, when the
 * number of rows is known, by the one function that defines them.
 */
#ifndef DUNE_EXTRACT_INT_H
#define DUNE_EXTRACT_INT_H

#include "base/base.h"
#include "dune/capture.h"
#include "dune/dataset.h"
#include "dune/labels.h"

/* One flow: a cache line. */
struct xt_flow {
    uint64_t first, last, len; /* ticks; packets of the whole flow */
    uint32_t row, last_row;    /* kept packets, linked; XT_NONE: none */
    uint32_t cls;              /* label file's class id or DUNE_LABEL_NONE */
    uint32_t capture;          /* piece of the file */
    uint32_t v6;               /* IPv6: index of the key in v6 */
    uint8_t key_len, key[13];  /* IPv4: the key itself */
    uint8_t unused[2];
};
_Static_assert(sizeof(struct xt_flow) == 64, "a flow is one cache line");

struct xt_key6 {
    uint8_t bytes[37];
};

/* What the registers and the row need of a kept packet; the rest is in the flow's key. */
struct xt_row {
    uint64_t tick;
    uint32_t next;
    uint16_t ip_len, window, udp_length;
    uint8_t ttl, tos, ip_hdr_len, tcp_flags, tcp_hdr_len;
};
_Static_assert(sizeof(struct xt_row) == 24, "a kept packet is 24 bytes");

#define XT_NONE UINT32_MAX
#define XT_MAX_FLOWS (1u << 30) /* the table has at most twice as many slots */

struct xt_slot {
    uint32_t hash, flow; /* flow XT_NONE: empty */
};

struct xt_file {
    /* given */
    const char *path;
    const struct dune_labels *labels;
    const struct dune_piece *pieces; /* n_pieces 0: the file is one capture */
    size_t n_pieces;
    enum dune_split split;
    uint64_t timeout, max_n;
    bool keep_unlabelled;
    struct dune_progress *progress;
    uint64_t file_bytes;
    /* found */
    int rc;
    struct dune_diag d;
    struct dune_extract_report report;
    DUNE_VEC(struct xt_flow) flows;
    DUNE_VEC(struct xt_row) rows;
    DUNE_VEC(struct xt_key6) keys6;
    /* the hash table of the current capture */
    struct xt_slot *slot;
    uint32_t mask, used;
};

/* Reads the file; f->rc and f->d say how it went. */
void dune_xt_read(struct xt_file *f);
void dune_xt_fini(struct xt_file *f);

#endif
