/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Traces of live devices: a head, then per packet its fields and the first bytes of its frame, all in the byte order of
 * the machine, which the mark tells. The last record has fate END and counts what was lost.
 */
#include "live/live_int.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "dune/trace.h"

#define MAGIC "dune-live-trace1"
#define MARK UINT32_C(0x01020304)
enum { END = 255, FIXED = offsetof(struct dune_live_record, frame) };

struct file_head {
    char magic[16];
    uint32_t mark, fixed; /* fixed: bytes of a record before its frame */
    struct dune_trace_head head;
};

struct dune_trace_writer {
    struct dune_outfile out;
    int error;
};

int dune_trace_create(struct dune_trace_writer **out, const char *path, const struct dune_trace_head *head,
                      struct dune_diag *d)
{
    struct file_head h = {.magic = MAGIC, .mark = MARK, .fixed = FIXED, .head = *head};
    struct dune_trace_writer *w = DUNE_NEW(struct dune_trace_writer);
    int rc = dune_outfile_open(&w->out, path, d);

    if (rc) {
        dune_mem_free(w);
        return rc;
    }
    if (fwrite(&h, sizeof(h), 1, w->out.f) != 1)
        w->error = errno;
    *out = w;
    return 0;
}

void dune_trace_put(struct dune_trace_writer *w, const struct dune_live_record *r)
{
    if (fwrite(r, FIXED + DUNE_MIN(r->cap_len, (uint16_t)DUNE_TRACE_FRAME), 1, w->out.f) != 1 && !w->error)
        w->error = errno;
}

int dune_trace_close(struct dune_trace_writer *w, uint64_t lost, struct dune_diag *d)
{
    struct dune_live_record end = {.fate = END, .count = lost};
    int rc;

    if (!w)
        return 0;
    dune_trace_put(w, &end);
    if (w->error) {
        rc = dune_diag_set(d, DUNE_E_IO, w->out.path, "%s", strerror(w->error));
        dune_outfile_abort(&w->out);
    } else {
        rc = dune_outfile_commit(&w->out, d);
    }
    dune_mem_free(w);
    return rc;
}

static int by_serial(const void *x, const void *y)
{
    const struct dune_live_record *a = x, *b = y;

    return a->serial < b->serial ? -1 : a->serial > b->serial;
}

static bool in_range(const struct dune_live_record *r)
{
    return r->cap_len <= DUNE_TRACE_FRAME && r->cap_len <= r->wire_len && r->in_port <= DUNE_PORT_CHAIN &&
           r->out_port <= DUNE_PORT_CHAIN && r->fate <= DUNE_FATE_DROPPED_BAD_SHIM && r->position < DUNE_MAX_DEVICES;
}

static int read_records(struct dune_trace *t, const char *name, const uint8_t *at, size_t left, struct dune_diag *d)
{
    const uint8_t *begin = at;
    size_t cap = 0;

    while (left) {
        struct dune_live_record r = {0};
        uint64_t place = (uint64_t)(at - begin) + sizeof(struct file_head);

        if (t->complete)
            return dune_diag_set_offset(d, DUNE_E_INPUT, name, place, "there is more behind the end of the trace");
        if (left < FIXED)
            return dune_diag_set_offset(d, DUNE_E_INPUT, name, place, "a record is cut off");
        memcpy(&r, at, FIXED);
        if (r.fate == END) {
            t->lost = r.count;
            t->complete = true;
            r.cap_len = 0;
        } else if (!in_range(&r) || left - FIXED < r.cap_len) {
            return dune_diag_set_offset(d, DUNE_E_INPUT, name, place, "this is no record of a trace");
        } else {
            memcpy(r.frame, at + FIXED, r.cap_len);
            if (t->n == cap) {
                cap = cap ? cap * 2 : 256;
                t->rec = dune_mem_realloc(t->rec, cap, sizeof(*t->rec));
            }
            t->rec[t->n++] = r;
        }
        at += FIXED + r.cap_len;
        left -= FIXED + r.cap_len;
    }
    return 0;
}

int dune_trace_parse(struct dune_trace *t, const char *name, const void *data, size_t len, struct dune_diag *d)
{
    struct file_head h;
    int rc;

    *t = (struct dune_trace){0};
    if (len < sizeof(h))
        return dune_diag_set(d, DUNE_E_FORMAT, name, "this is no trace of a live device");
    memcpy(&h, data, sizeof(h));
    if (memcmp(h.magic, MAGIC, sizeof(h.magic)) != 0 || h.mark != MARK || h.fixed != FIXED)
        return dune_diag_set(d, DUNE_E_FORMAT, name, "this is no trace of a live device, or one of another machine or version");
    t->head = h.head;
    t->head.device[sizeof(t->head.device) - 1] = '\0';
    rc = read_records(t, name, (const uint8_t *)data + sizeof(h), len - sizeof(h), d);
    if (rc) {
        dune_trace_fini(t);
        return rc;
    }
    if (t->n)
        qsort(t->rec, t->n, sizeof(*t->rec), by_serial);
    return 0;
}

int dune_trace_read(struct dune_trace *t, const char *path, struct dune_diag *d)
{
    struct dune_map m;
    int rc = dune_map_open(&m, path, d);

    *t = (struct dune_trace){0};
    if (rc)
        return rc;
    rc = dune_trace_parse(t, path, m.data, m.len, d);
    dune_map_close(&m);
    return rc;
}

void dune_trace_fini(struct dune_trace *t)
{
    dune_mem_free(t->rec);
    t->rec = NULL;
    t->n = 0;
}
