/* SPDX-License-Identifier: Apache-2.0 */
#include "capture/capture_int.h"

#include <errno.h>

struct dune_writer {
    struct dune_outfile out;
    char *name;
};

static void put32(uint8_t *p, uint32_t v)
{
    for (int i = 0; i < 4; i++)
        p[i] = (uint8_t)(v >> (8 * i));
}

static int put_bytes(struct dune_writer *w, const void *data, size_t len, struct dune_diag *d)
{
    errno = 0;
    if (fwrite(data, 1, len, w->out.f) == len)
        return 0;
    return dune_diag_set(d, DUNE_E_IO, w->name, "cannot write it: %s",
                         errno ? strerror(errno) : "a write failed");
}

int dune_writer_open(struct dune_writer **out, const char *path, struct dune_diag *d)
{
    struct dune_writer *w = DUNE_NEW(struct dune_writer);
    uint8_t h[24] = {0x4d, 0x3c, 0xb2, 0xa1, 2, 0, 4, 0}; /* nanoseconds, version 2.4 */
    int rc;

    *out = NULL;
    rc = dune_outfile_open(&w->out, path, d);
    if (rc) {
        dune_mem_free(w);
        return rc;
    }
    w->name = dune_mem_strdup(path);
    put32(h + 16, CAPTURE_MAX_RECORD);
    put32(h + 20, CAPTURE_LINK_ETHERNET);
    rc = put_bytes(w, h, sizeof(h), d);
    if (rc)
        dune_writer_abort(w);
    else
        *out = w;
    return rc;
}

int dune_writer_put(struct dune_writer *w, uint64_t ts_ns, const void *data, uint32_t cap_len,
                    uint32_t wire_len, struct dune_diag *d)
{
    uint64_t sec = ts_ns / 1000000000u;
    uint8_t h[16];
    int rc;

    if (cap_len > CAPTURE_MAX_RECORD)
        return dune_diag_set(d, DUNE_E_INPUT, w->name, "a frame of %u bytes does not fit a capture",
                             cap_len);
    if (sec > UINT32_MAX)
        return dune_diag_set(d, DUNE_E_INPUT, w->name,
                             "a time stamp after 2106 does not fit a pcap file");
    put32(h, (uint32_t)sec);
    put32(h + 4, (uint32_t)(ts_ns % 1000000000u));
    put32(h + 8, cap_len);
    put32(h + 12, wire_len);
    rc = put_bytes(w, h, sizeof(h), d);
    return rc || !cap_len ? rc : put_bytes(w, data, cap_len, d);
}

int dune_writer_commit(struct dune_writer *w, struct dune_diag *d)
{
    int rc = dune_outfile_commit(&w->out, d);

    dune_mem_free(w->name);
    dune_mem_free(w);
    return rc;
}

void dune_writer_abort(struct dune_writer *w)
{
    if (!w)
        return;
    dune_outfile_abort(&w->out);
    dune_mem_free(w->name);
    dune_mem_free(w);
}
