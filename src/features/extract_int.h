/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What one capture file becomes on the way to a data set.
 *
 *   packets.c    reads a file in rounds: records, then parsed and labelled packets, chunk by chunk
 *   flowtrack.c  tells flows apart and keeps their first max_n packets, shard by shard
 *   extract.c    runs the files, merges classes and counters, replays the kept packets through
 *                dune_flow_update into the columns
 *
 *   records   | chunk 1 | chunk 2 | chunk 3 | ...   one after the other, from the reader
 *   entries   | chunk 1 | chunk 2 | chunk 3 | ...   chunks at the same time
 *   flows     | shard 1 | shard 2 | ...             shards at the same time, each over all chunks
 *
 * A flow is of the shard that its key says, so its packets meet one shard in the order of the file, and
 * the result does not depend on the number of shards: at the end all flows are put in order of their
 * first packet. A file alone on one thread is one shard and its rounds are one short chunk.
 *
 * Shards can also be those of several processes: each reads the whole file, and drops the packets of
 * the others' shards before it looks for their labels and flows.
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
#define XT_MAX_FLOWS (1u << 30) /* of a shard; the table has at most twice as many slots */

enum { XT_MAX_SHARDS = 16, XT_CHUNK = 64, XT_ROUND = 16384 };

struct xt_slot {
    uint32_t hash, flow; /* flow XT_NONE: empty */
};

/* An inferable packet. */
struct xt_entry {
    uint64_t tick, index; /* index: number of the packet in the file */
    uint32_t hash, cls, capture;
    struct dune_packet p;
};

struct xt_shard {
    const struct xt_file *f;
    DUNE_VEC(struct xt_flow) flows;
    DUNE_VEC(uint64_t) born; /* index of the first packet of every flow, when there are several shards */
    DUNE_VEC(struct xt_row) rows;
    DUNE_VEC(struct xt_key6) keys6;
    uint64_t label_changes, unlabelled_flows;
    bool *occurs; /* [classes of the label file + 1] the last one: unlabelled */
    /* the hash table of the current capture */
    struct xt_slot *slot;
    uint32_t mask, used, table_capture;
    int rc;
    struct dune_diag d;
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
    unsigned n_shards;
    unsigned part, n_parts; /* of several processes that read the file this one has the shards part, part + n_parts, ...;
                               n_parts 0: all */
    /* found */
    int rc;
    struct dune_diag d;
    unsigned failed; /* the part whose error this is */
    struct dune_extract_report report;
    struct xt_shard *shard; /* [n_shards] */
    uint64_t n_flows, n_rows;
    uint64_t *order; /* [n_flows] shard << 32 | flow, by first packet; NULL: one shard, in order */
};

/* Flow number i of the file and the shard that has its rows. */
static inline const struct xt_flow *xt_flow_at(const struct xt_file *f, uint64_t i, const struct xt_shard **s)
{
    uint64_t at = f->order ? f->order[i] : i;

    *s = &f->shard[at >> 32];
    return &(*s)->flows.data[(uint32_t)at];
}

static inline bool xt_is_mine(const struct xt_file *f, unsigned shard)
{
    return !f->n_parts || shard % f->n_parts == f->part;
}

/* packets.c: reads the file; f->rc and f->d say how it went. */
void dune_xt_read(struct xt_file *f);
/* A file that was read in parts, once the parts of the others are there. */
void dune_xt_join(struct xt_file *f);
void dune_xt_fini(struct xt_file *f);

/* extract_share.c: a file that was read, as bytes and back. false: not what put has written. */
void dune_xt_put(const struct xt_file *f, struct dune_buf *out);
bool dune_xt_take(struct xt_file *f, const uint8_t *data, size_t len);
/* The same for the part of a file that this process has read, and for that of another one. */
void dune_xt_put_part(const struct xt_file *f, struct dune_buf *out);
bool dune_xt_take_part(struct xt_file *f, unsigned part, const uint8_t *data, size_t len);
void dune_xt_add_report(struct dune_extract_report *sum, const struct dune_extract_report *r);

/* flowtrack.c */
void dune_xt_shard_init(struct xt_shard *s, const struct xt_file *f);
void dune_xt_shard_fini(struct xt_shard *s);
uint32_t dune_xt_hash(const struct dune_flow_key *k);
static inline uint32_t dune_xt_shard_of(uint32_t hash, unsigned n_shards)
{
    return (uint32_t)(((uint64_t)(hash * 0x9e3779b1u) * n_shards) >> 32);
}
/* The entries pick[0..n) of e, in the order of the file; n at most XT_CHUNK. */
int dune_xt_track(struct xt_shard *s, const struct xt_entry *e, const uint16_t *pick, size_t n);
/* After the last packet: gives up the table. */
void dune_xt_shard_end(struct xt_shard *s);

#endif
