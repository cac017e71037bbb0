/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Packed captures are unpacked a window at a time. What is lent is kept: half of the machine's memory is the
 * limit for readers that do not recycle, and for a single record.
 */
#include "capture/capture_int.h"

#include <unistd.h>
#include <zlib.h>
#include <zstd.h>

#define WINDOW ((size_t)1 << 20)
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

struct capture_unpacker {
    const uint8_t *src; /* the packed file */
    size_t len, at;
    bool zstd, done, seen_plain;
    z_stream z;
    ZSTD_DCtx *ctx;
    size_t more; /* zstd: 0 at the end of a frame with all of it handed out */
};

/* DUNE_E_FORMAT at a byte of the packed file. */
#define BAD_PACKED(r, at, d, ...)                                                                  \
    (dune_diag_set_offset((d), DUNE_E_FORMAT, (r)->name, (at), __VA_ARGS__), DUNE_E_FORMAT)

static int gzip_fail(const struct dune_reader *r, const struct capture_unpacker *u, struct dune_diag *d)
{
    if (u->at >= u->len)
        return BAD_PACKED(r, u->len, d, "truncated: the gzip stream has no end");
    return BAD_PACKED(r, u->at, d, "damaged gzip stream: %s", u->z.msg ? u->z.msg : "not gzip");
}

/* After a member: another member, zero padding, or something that does not belong there. */
static int gzip_again(const struct dune_reader *r, struct capture_unpacker *u, struct dune_diag *d)
{
    if (is_gzip(u->src + u->at, u->len - u->at))
        return inflateReset(&u->z) == Z_OK ? 0 : gzip_fail(r, u, d);
    while (u->at < u->len && u->src[u->at] == 0)
        u->at++;
    if (u->at < u->len)
        return BAD_PACKED(r, u->at, d, "unexpected bytes after the gzip stream");
    u->done = true;
    return 0;
}

/* Both unpack into the room and say how much of it they filled. */
static int gunzip(const struct dune_reader *r, struct capture_unpacker *u, uint8_t *room, size_t bytes,
                  size_t *filled, struct dune_diag *d)
{
    int zrc;

    u->z.next_in = (Bytef *)(uintptr_t)(u->src + u->at);
    u->z.avail_in = (uInt)DUNE_MIN(u->len - u->at, (size_t)1 << 30);
    u->z.next_out = room;
    u->z.avail_out = (uInt)bytes;
    zrc = inflate(&u->z, Z_NO_FLUSH);
    u->at = (size_t)(u->z.next_in - u->src);
    *filled = bytes - u->z.avail_out;
    if (zrc == Z_STREAM_END)
        return gzip_again(r, u, d);
    return zrc == Z_OK ? 0 : gzip_fail(r, u, d);
}

static int unzstd(const struct dune_reader *r, struct capture_unpacker *u, uint8_t *room, size_t bytes,
                  size_t *filled, struct dune_diag *d)
{
    ZSTD_inBuffer in = {u->src, u->len, u->at};
    ZSTD_outBuffer out = {room, bytes, 0};

    u->more = ZSTD_decompressStream(u->ctx, &out, &in);
    *filled = out.pos;
    if (ZSTD_isError(u->more))
        return BAD_PACKED(r, in.pos, d, "damaged zstd stream: %s", ZSTD_getErrorName(u->more));
    if (u->more && in.pos == in.size && in.pos == u->at && out.pos == 0)
        return BAD_PACKED(r, u->len, d, "truncated: the zstd stream has no end");
    u->at = in.pos;
    u->done = u->more == 0 && u->at == u->len;
    return 0;
}

static int too_large(const struct dune_reader *r, struct dune_diag *d)
{
    return dune_diag_set(d, DUNE_E_NOMEM, r->name,
                         "unpacked it takes more than %zu MiB, half of the memory: unpack it to "
                         "a file first (gzip -d, zstd -d)",
                         memory_limit() >> 20);
}

/* A window that has its first have bytes, filled up to n, and further while that costs nothing more. */
static int fill_window(struct dune_reader *r, uint8_t **window, size_t *have, size_t n, struct dune_diag *d)
{
    struct capture_unpacker *u = r->unpack;
    size_t size = DUNE_MAX(WINDOW, 2 * *have);
    int rc = 0;

    while (rc == 0 && !u->done && (*have < n || *have < size)) {
        size_t filled = 0;

        if (*have == size) { /* only as much as there is: a damaged length costs nothing */
            size *= 2;
            *window = dune_mem_realloc(*window, size, 1);
        }
        if (r->windows_bytes + size > memory_limit())
            return too_large(r, d);
        rc = (u->zstd ? unzstd : gunzip)(r, u, *window + *have, DUNE_MIN(size - *have, WINDOW), &filled, d);
        *have += filled;
        if (rc == 0 && !u->seen_plain && *have >= 4) {
            if (!capture_magic_known(*window, *have))
                return BAD_PACKED(r, 0, d, "not a capture file: unpacked it is neither pcap nor pcapng");
            u->seen_plain = true;
        }
    }
    return rc;
}

int capture_more(struct dune_reader *r, size_t n, struct dune_diag *d)
{
    size_t have = r->len - r->pos;
    uint8_t *window;
    int rc;

    if (r->unpack->done)
        return 0;
    window = dune_mem_alloc(DUNE_MAX(WINDOW, 2 * have), 1);
    if (have)
        memcpy(window, r->data + r->pos, have);
    rc = fill_window(r, &window, &have, n, d);
    DUNE_VEC_PUSH(&r->windows, window);
    if (rc)
        return rc;
    r->base += r->pos;
    r->data = window;
    r->len = have;
    r->pos = 0;
    r->windows_bytes += have;
    return 0;
}

int capture_unpack(struct dune_reader *r, struct dune_diag *d)
{
    struct capture_unpacker *u = DUNE_NEW(struct capture_unpacker);
    int rc;

    u->src = r->data;
    u->len = r->len;
    u->zstd = is_zstd(u->src, u->len);
    u->more = 1;
    r->unpack = u;
    r->data = NULL;
    r->len = 0;
    if (u->zstd)
        u->ctx = ZSTD_createDCtx();
    if (u->zstd ? !u->ctx : inflateInit2(&u->z, 15 + 16) != Z_OK)
        return dune_diag_set(d, DUNE_E_NOMEM, r->name, "cannot start %s", u->zstd ? "zstd" : "zlib");
    rc = capture_more(r, WINDOW, d);
    if (rc == 0 && r->len == 0)
        rc = BAD_PACKED(r, 0, d, "the file is empty once unpacked: not even a capture header");
    return rc;
}

void capture_unpack_close(struct dune_reader *r)
{
    for (size_t i = 0; i < r->windows.len; i++)
        dune_mem_free(r->windows.data[i]);
    DUNE_VEC_FREE(&r->windows);
    if (!r->unpack)
        return;
    if (r->unpack->zstd)
        ZSTD_freeDCtx(r->unpack->ctx);
    else
        inflateEnd(&r->unpack->z);
    dune_mem_free(r->unpack);
}
