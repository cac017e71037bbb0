/* SPDX-License-Identifier: Apache-2.0 */
#include "dune/feed.h"

#include <arpa/inet.h>
#include <errno.h>
#include <string.h>
#include <time.h>

#include "base/base.h"

struct dune_feed {
    bool csv;
    struct dune_outfile whole; /* f NULL: not used */
    FILE *stream;              /* lines are there at once */
    char *path;
};

static const char *const kind_name[] = {"digest", "flow"};

/* --- addresses ----------------------------------------------------------------------------------------- */

struct tuple {
    char src[INET6_ADDRSTRLEN], dst[INET6_ADDRSTRLEN];
    unsigned sport, dport;
    const char *proto;
};

static struct tuple tuple_of(const struct dune_flow_key *k)
{
    unsigned n = k->len == 37 ? 16 : 4;
    const uint8_t *port = k->bytes + 2 * n;
    struct tuple t = {.proto = port[4] == 6 ? "tcp" : "udp"};

    inet_ntop(n == 16 ? AF_INET6 : AF_INET, k->bytes, t.src, sizeof(t.src));
    inet_ntop(n == 16 ? AF_INET6 : AF_INET, k->bytes + n, t.dst, sizeof(t.dst));
    t.sport = (unsigned)(port[0] << 8 | port[1]);
    t.dport = (unsigned)(port[2] << 8 | port[3]);
    return t;
}

/* --- JSON lines ------------------------------------------------------------------------------------------ */

static void put_flow(struct dune_jsonw *w, const struct dune_feed_event *e)
{
    dune_jsonw_put_str(w, "capture", e->capture);
    dune_jsonw_put_uint(w, "first_ns", e->first_ns);
    dune_jsonw_put_uint(w, "packets", e->packets);
    dune_jsonw_put_uint(w, "bytes", e->bytes);
}

void dune_feed_json(const struct dune_feed_event *e, struct dune_buf *out)
{
    struct tuple t = tuple_of(&e->key);
    struct dune_jsonw w;

    dune_jsonw_init(&w, out);
    dune_jsonw_obj_inline(&w);
    dune_jsonw_put_str(&w, "event", kind_name[e->kind]);
    dune_jsonw_put_uint(&w, "time_ns", e->time_ns);
    dune_jsonw_put_str(&w, "proto", t.proto);
    dune_jsonw_put_str(&w, "src", t.src);
    dune_jsonw_put_uint(&w, "sport", t.sport);
    dune_jsonw_put_str(&w, "dst", t.dst);
    dune_jsonw_put_uint(&w, "dport", t.dport);
    dune_jsonw_put_str(&w, "class", e->cls);
    dune_jsonw_put_uint(&w, "confidence", e->conf);
    dune_jsonw_put_uint(&w, "submodel", e->submodel);
    dune_jsonw_put_str(&w, "phase", e->flow_level ? "flow" : "packet");
    dune_jsonw_put_bool(&w, "tentative", e->tentative);
    dune_jsonw_put_bool(&w, "settled", e->settled);
    dune_jsonw_put_bool(&w, "pinned", e->pinned);
    dune_jsonw_put_str(&w, "device", e->device);
    dune_jsonw_put_uint(&w, "generation", e->generation);
    if (e->kind == DUNE_FEED_FLOW)
        put_flow(&w, e);
    dune_jsonw_end(&w);
    if (out->len == 0 || out->data[out->len - 1] != '\n')
        dune_buf_puts(out, "\n");
}

/* --- CSV -------------------------------------------------------------------------------------------------- */

const char *dune_feed_csv_header(void)
{
    return "event,time_ns,proto,src,sport,dst,dport,class,confidence,submodel,phase,tentative,settled,pinned,device,"
           "generation,capture,first_ns,packets,bytes\n";
}

void dune_feed_csv(const struct dune_feed_event *e, struct dune_buf *out)
{
    struct tuple t = tuple_of(&e->key);

    dune_buf_printf(out, "%s,%llu,%s,%s,%u,%s,%u,", kind_name[e->kind], (unsigned long long)e->time_ns, t.proto, t.src,
                    t.sport, t.dst, t.dport);
    dune_csv_put(out, e->cls ? e->cls : "");
    dune_buf_printf(out, ",%u,%u,%s,%d,%d,%d,", e->conf, e->submodel, e->flow_level ? "flow" : "packet", e->tentative,
                    e->settled, e->pinned);
    dune_csv_put(out, e->device ? e->device : "");
    dune_buf_printf(out, ",%u,", e->generation);
    if (e->kind == DUNE_FEED_FLOW) {
        dune_csv_put(out, e->capture ? e->capture : "");
        dune_buf_printf(out, ",%llu,%llu,%llu\n", (unsigned long long)e->first_ns, (unsigned long long)e->packets,
                        (unsigned long long)e->bytes);
    } else {
        dune_buf_puts(out, ",,,\n");
    }
}

/* --- files ------------------------------------------------------------------------------------------------ */

static int open_file(struct dune_feed *f, bool whole, struct dune_diag *d)
{
    int rc = 0;

    if (whole) {
        rc = dune_outfile_open(&f->whole, f->path, d);
        f->stream = f->whole.f;
    } else {
        f->stream = fopen(f->path, "ae");
        if (!f->stream)
            rc = dune_diag_set(d, DUNE_E_IO, f->path, "%s", strerror(errno));
    }
    if (rc == 0 && f->csv && (whole || ftell(f->stream) <= 0)) /* not again in a file that goes on; pipes say -1 */
        fputs(dune_feed_csv_header(), f->stream);
    if (rc == 0 && !whole)
        fflush(f->stream);
    return rc;
}

int dune_feed_open(struct dune_feed **out, const char *spec, bool whole, struct dune_diag *d)
{
    bool csv = strncmp(spec, "csv:", 4) == 0;
    size_t kind = csv ? 4 : strncmp(spec, "json:", 5) == 0 ? 5 : 0;
    struct dune_feed *f;
    int rc;

    if (!kind || !spec[kind])
        return dune_diag_set(d, DUNE_E_USAGE, NULL, "a feed is json:FILE or csv:FILE, not \"%.100s\"", spec);
    f = DUNE_NEW(struct dune_feed);
    f->csv = csv;
    f->path = dune_mem_strdup(spec + kind);
    rc = open_file(f, whole, d);
    if (rc) {
        dune_mem_free(f->path);
        dune_mem_free(f);
        return rc;
    }
    *out = f;
    return 0;
}

int dune_feed_put(struct dune_feed *f, const struct dune_feed_event *e, struct dune_diag *d)
{
    struct dune_buf line = {0};
    bool good;

    if (f->csv)
        dune_feed_csv(e, &line);
    else
        dune_feed_json(e, &line);
    good = fwrite(line.data, 1, line.len, f->stream) == line.len && (f->whole.f || fflush(f->stream) == 0);
    dune_buf_fini(&line);
    if (good)
        return 0;
    clearerr(f->stream);
    return dune_diag_set(d, DUNE_E_IO, f->path, "an event is lost: %s", strerror(errno));
}

int dune_feed_put_digest(struct dune_feed *f, const struct dune_digest *dg, const char *cls, const char *device,
                         struct dune_diag *d)
{
    struct timespec now;
    struct dune_feed_event e = {.kind = DUNE_FEED_DIGEST, .key = dg->key, .cls = cls, .conf = dg->conf,
                                .submodel = dg->submodel, .flow_level = dg->flags & DUNE_SHIM_FL,
                                .tentative = dg->flags & DUNE_SHIM_TENTATIVE, .settled = true, .device = device,
                                .generation = dg->generation};

    clock_gettime(CLOCK_REALTIME, &now);
    e.time_ns = (uint64_t)now.tv_sec * 1000000000u + (uint64_t)now.tv_nsec;
    return dune_feed_put(f, &e, d);
}

static void free_feed(struct dune_feed *f)
{
    dune_mem_free(f->path);
    dune_mem_free(f);
}

int dune_feed_commit(struct dune_feed *f, struct dune_diag *d)
{
    int rc = 0;

    if (f->whole.f)
        rc = dune_outfile_commit(&f->whole, d);
    else if (fclose(f->stream) != 0)
        rc = dune_diag_set(d, DUNE_E_IO, f->path, "%s", strerror(errno));
    free_feed(f);
    return rc;
}

void dune_feed_abort(struct dune_feed *f)
{
    if (!f)
        return;
    if (f->whole.f)
        dune_outfile_abort(&f->whole);
    else
        fclose(f->stream);
    free_feed(f);
}
