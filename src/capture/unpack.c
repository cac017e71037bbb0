/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Packed captures are unpacked into memory as a whole, because records are lent until the reader is
 * closed. Half of the machine's memory is the limit; larger ones have to be unpacked on disk, from
 * where they are mapped.
 */
#include "capture/capture_int.h"

#include <unistd.h>
#include <zlib.h>
#include <zstd.h>

#define CHUNK ((size_t)1 << 18)
#define ZSTD_MAGIC 0xfd2fb528u
#define ZSTD_SKIPPABLE 0x184d2a50u

static bool is_gzip(const uint8_t *p, size_t len)
{
    return len >= 2 && p[0] == 0x1f && p[1] == 0x8b;
}

static bool is_zstd(const uint8_t *p, size_t len)
{
    const uint16_t one = 1;
    bool big = *(const uint8_t *)&one == 0; /* the magic is little endian in the file */
    uint32_t m = len >= 4 ? load32(p, big) : 0;

    return m == ZSTD_MAGIC || (m & 0xfffffff0u) == ZSTD_SKIPPABLE;
}

bool capture_is_packed(const uint8_t *data, size_t len)
{
    return is_gzip(data, len) || is_zstd(data, len);
}

static size_t memory_limit(void)
{
    long pages = sysconf(_SC_PHYS_PAGES), page = sysconf(_SC_PAGESIZE);

    return pages > 0 && page > 0 ? (size_t)pages / 2 * (size_t)page : (size_t)1 << 31;
}

/* Room for one more chunk; tells a bomb and a foreign file before they fill the memory. */
static int reserve(struct dune_reader *r, struct dune_diag *d)
{
    struct dune_buf *b = &r->unpacked;

    if (b->len >= 4 && !capture_magic_known((const uint8_t *)b->data, b->len))
        return BAD(r, 0, d, "not a capture file: unpacked it is neither pcap nor pcapng");
    if (b->len > memory_limit())
        return dune_diag_set(d, DUNE_E_NOMEM, r->name,
                             "unpacked it takes more than %zu MiB, half of the memory: unpack it to "
                             "a file first (gzip -d, zstd -d)",
                             memory_limit() >> 20);
    DUNE_VEC_RESERVE(b, b->len + CHUNK);
    return 0;
}

static int gzip_fail(const struct dune_reader *r, const z_stream *z, struct dune_diag *d)
{
    size_t at = (size_t)(z->next_in - r->data);

    if (at >= r->len)
        return BAD(r, r->len, d, "truncated: the gzip stream has no end");
    return BAD(r, at, d, "damaged gzip stream: %s", z->msg ? z->msg : "not gzip");
}

/* After a member: another member, zero padding, or something that does not belong there. */
static int gzip_again(struct dune_reader *r, z_stream *z, bool *done, struct dune_diag *d)
{
    const uint8_t *p = z->next_in, *end = r->data + r->len;

    if (is_gzip(p, (size_t)(end - p)))
        return inflateReset(z) == Z_OK ? 0 : gzip_fail(r, z, d);
    while (p < end && *p == 0)
        p++;
    if (p < end)
        return BAD(r, (uint64_t)(p - r->data), d, "unexpected bytes after the gzip stream");
    *done = true;
    return 0;
}

static int gunzip(struct dune_reader *r, struct dune_diag *d)
{
    struct dune_buf *b = &r->unpacked;
    z_stream z = {.next_in = (Bytef *)(uintptr_t)r->data};
    bool done = false;
    int rc = 0;

    if (inflateInit2(&z, 15 + 16) != Z_OK)
        return dune_diag_set(d, DUNE_E_NOMEM, r->name, "cannot start zlib");
    while (rc == 0 && !done) {
        size_t left = r->len - (size_t)(z.next_in - r->data);
        int zrc;

        rc = reserve(r, d);
        if (rc)
            break;
        z.avail_in = (uInt)DUNE_MIN(left, (size_t)1 << 30);
        z.next_out = (Bytef *)b->data + b->len;
        z.avail_out = (uInt)CHUNK;
        zrc = inflate(&z, Z_NO_FLUSH);
        b->len += CHUNK - z.avail_out;
        if (zrc == Z_STREAM_END)
            rc = gzip_again(r, &z, &done, d);
        else if (zrc != Z_OK)
            rc = gzip_fail(r, &z, d);
    }
    inflateEnd(&z);
    return rc;
}

static int unzstd(struct dune_reader *r, struct dune_diag *d)
{
    struct dune_buf *b = &r->unpacked;
    ZSTD_inBuffer in = {r->data, r->len, 0};
    ZSTD_DCtx *z = ZSTD_createDCtx();
    size_t more = 1; /* 0: at the end of a frame with all of it handed out */
    int rc = z ? 0 : dune_diag_set(d, DUNE_E_NOMEM, r->name, "cannot start zstd");

    while (rc == 0 && (more || in.pos < in.size)) {
        ZSTD_outBuffer out = {NULL, CHUNK, 0};
        size_t before = in.pos;

        rc = reserve(r, d);
        if (rc)
            break;
        out.dst = b->data + b->len;
        more = ZSTD_decompressStream(z, &out, &in);
        if (ZSTD_isError(more)) {
            rc = BAD(r, in.pos, d, "damaged zstd stream: %s", ZSTD_getErrorName(more));
            break;
        }
        b->len += out.pos;
        if (more && in.pos == in.size && in.pos == before && out.pos == 0)
            rc = BAD(r, r->len, d, "truncated: the zstd stream has no end");
    }
    ZSTD_freeDCtx(z);
    return rc;
}

int capture_unpack(struct dune_reader *r, struct dune_diag *d)
{
    int rc = is_gzip(r->data, r->len) ? gunzip(r, d) : unzstd(r, d);

    if (rc)
        return rc;
    dune_map_close(&r->map);
    r->data = (const uint8_t *)r->unpacked.data;
    r->len = r->unpacked.len;
    if (r->len == 0)
        return BAD(r, 0, d, "the file is empty once unpacked: not even a capture header");
    return 0;
}
