/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What the files of the capture reader share.
 *
 *   capture_reader.c  opens, tells the format, reads pcap records
 *   pcapng.c          reads pcapng blocks
 *   unpack.c          turns gzip and zstd into plain bytes, a window at a time
 *
 * Plain files are one window, the whole file. Of packed ones the reader has a window of plain bytes; when a
 * record goes beyond its end, the next one is made, which begins with what is left of the old:
 *
 *   |------- window 1 -------[rest]       records of window 1 stay lent until they are given back
 *                            [rest]------ window 2 -------|
 *   base: plain bytes in front of the window                 pos: of the next record in it
 */
#ifndef DUNE_CAPTURE_INT_H
#define DUNE_CAPTURE_INT_H

#include <string.h>

#include "base/base.h"
#include "dune/capture.h"

#define CAPTURE_MAX_RECORD (256u * 1024) /* bytes; the largest snap length of libpcap */
#define CAPTURE_LINK_ETHERNET 1u

struct pcapng_iface {
    uint32_t link, snap_len;
    uint32_t mul;     /* ns = floor(stamp * mul / div) >> shift, then the offset */
    uint64_t div;
    uint8_t shift;
    int64_t offset_s;
};

enum capture_format { CAPTURE_PCAP, CAPTURE_PCAPNG };

struct capture_unpacker;

struct dune_reader {
    const uint8_t *data; /* plain bytes: the map, the caller's memory or the window */
    size_t len, pos;
    uint64_t base;                   /* plain bytes in front of data */
    struct capture_unpacker *unpack; /* NULL: not packed */
    DUNE_VEC(uint8_t *) windows;     /* former ones, with records that are lent; then the current one */
    size_t windows_bytes;
    size_t given_back;               /* bytes of the map whose pages were returned */
    uint64_t index;
    enum capture_format format;
    bool swap;            /* the file's (section's) byte order is not ours */
    bool swapped_lengths; /* pcap before 2.4 may hold the two lengths in reverse */
    uint32_t frac_ns;     /* pcap: nanoseconds of one unit of the fraction */
    DUNE_VEC(struct pcapng_iface) ifaces; /* of the current section */
    bool seen_ethernet, seen_foreign; /* interfaces, in any section */
    uint32_t foreign_link;            /* link type of the first one that is not Ethernet */
    uint64_t foreign_at;              /* and where it is described */
    char *name;
    struct dune_map map;
};

static inline uint16_t load16(const uint8_t *p, bool swap)
{
    uint16_t v;

    memcpy(&v, p, sizeof(v));
    return swap ? __builtin_bswap16(v) : v;
}

static inline uint32_t load32(const uint8_t *p, bool swap)
{
    uint32_t v;

    memcpy(&v, p, sizeof(v));
    return swap ? __builtin_bswap32(v) : v;
}

static inline uint64_t load64(const uint8_t *p, bool swap)
{
    uint64_t v;

    memcpy(&v, p, sizeof(v));
    return swap ? __builtin_bswap64(v) : v;
}

/* DUNE_E_FORMAT at a byte of the window; a constant, so that the compiler sees it is not 0. */
#define BAD(r, at, d, ...)                                                                         \
    (dune_diag_set_offset((d), DUNE_E_FORMAT, (r)->name, (r)->base + (at), __VA_ARGS__), DUNE_E_FORMAT)

int capture_bad_link(const struct dune_reader *r, uint32_t link, uint64_t at, struct dune_diag *d);
bool capture_magic_known(const uint8_t *data, size_t len);

bool capture_is_packed(const uint8_t *data, size_t len);
/* Makes the first window of r->data, which is packed; offsets in errors are of the packed file. */
int capture_unpack(struct dune_reader *r, struct dune_diag *d) DUNE_MUST_USE;
void capture_unpack_close(struct dune_reader *r);
/* The next window, with at least n bytes from pos on if the file has them. */
int capture_more(struct dune_reader *r, size_t n, struct dune_diag *d) DUNE_MUST_USE;

/* Sees to it that n bytes from pos on are in the window, if the file has them. */
static inline int capture_want(struct dune_reader *r, size_t n, struct dune_diag *d)
{
    return r->len - r->pos >= n || !r->unpack ? 0 : capture_more(r, n, d);
}

int pcapng_start(struct dune_reader *r, struct dune_diag *d) DUNE_MUST_USE;
int pcapng_next(struct dune_reader *r, struct dune_record *rec, struct dune_diag *d) DUNE_MUST_USE;

#endif
