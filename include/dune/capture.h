/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Capture files: pcap (us, ns, both byte orders), pcapng (several sections and interfaces), plain or
 * compressed with gzip or zstd. Plain files are mapped and read in place, packed ones are unpacked as they
 * are read. A record's data pointer stays valid until the reader is closed or told to recycle; without
 * recycling a packed file takes the memory of the plain one.
 */
#ifndef DUNE_CAPTURE_H
#define DUNE_CAPTURE_H

#include <stddef.h>
#include <stdint.h>

#include "dune/error.h"

struct dune_record {
    const uint8_t *data;
    uint32_t cap_len;  /* captured bytes at data */
    uint32_t wire_len; /* length on the wire as the file says */
    uint64_t ts_ns;    /* since the epoch; 0 where the file has no time (pcapng simple packets) */
    uint64_t index;    /* 0-based within the file */
    uint64_t offset;   /* of the record in the (uncompressed) file */
};

struct dune_reader; /* opaque */

/* Opens a capture file. Refused (DUNE_E_FORMAT/INPUT with file and offset): empty, foreign, truncated
 * files and links other than Ethernet. name is copied. */
int dune_reader_open(struct dune_reader **out, const char *path, struct dune_diag *d) DUNE_MUST_USE;
/* The same from memory that the caller keeps alive (tests, fuzzing); plain or compressed. */
int dune_reader_open_bytes(struct dune_reader **out, const char *name, const void *data, size_t len,
                           struct dune_diag *d) DUNE_MUST_USE;
/* 1: *rec is the next packet, 0: end, negative: error (truncated record, foreign link type ...). */
int dune_reader_next(struct dune_reader *r, struct dune_record *rec, struct dune_diag *d) DUNE_MUST_USE;
/* The data of all records so far is no longer needed: their memory may be used again. */
void dune_reader_recycle(struct dune_reader *r);
void dune_reader_close(struct dune_reader *r);

/* Capture writer: pcap, nanoseconds, little endian, Ethernet; written to a temporary name. */
struct dune_writer;
int dune_writer_open(struct dune_writer **out, const char *path, struct dune_diag *d) DUNE_MUST_USE;
int dune_writer_put(struct dune_writer *w, uint64_t ts_ns, const void *data, uint32_t cap_len,
                    uint32_t wire_len, struct dune_diag *d) DUNE_MUST_USE;
int dune_writer_commit(struct dune_writer *w, struct dune_diag *d) DUNE_MUST_USE; /* closes */
void dune_writer_abort(struct dune_writer *w);                                    /* closes */

/*
 * Capture boundaries (captures.csv: columns file and packets, optional split, source_capture, in
 * file order; other columns ignored). One file may hold several captures one after another.
 */
struct dune_captures; /* opaque */
int dune_captures_read(struct dune_captures **out, const char *path, struct dune_diag *d) DUNE_MUST_USE;
int dune_captures_parse(struct dune_captures **out, const char *name, const void *data, size_t len,
                        struct dune_diag *d) DUNE_MUST_USE;
void dune_captures_free(struct dune_captures *c);
/* The pieces of one capture file, matched by the tail of its path: split/file when the CSV has a split
 * column and the path's directory is one of its splits, else file; a suffix .gz or .zst that the list
 * lacks is ignored. n = 0: the file is not listed. DUNE_E_INPUT: several splits list the file and its
 * directory does not tell which. */
struct dune_piece {
    const char *name;  /* source_capture, or file#k with k from 1 */
    const char *split; /* "" when the CSV has none */
    uint64_t n_packets;
};
int dune_captures_pieces(const struct dune_captures *c, const char *path,
                         const struct dune_piece **pieces, size_t *n) DUNE_MUST_USE;

#endif
