/* SPDX-License-Identifier: Apache-2.0 */
/* Capture files as a port: frames come from one file at its times and go to another. */
#include "io/io_int.h"

#include <string.h>

#include "dune/capture.h"

struct pcap_port {
    struct dune_port base;
    struct dune_reader *in; /* NULL: nothing is received */
    struct dune_writer *out; /* NULL: what is sent is counted and gone */
    struct dune_diag bad;    /* met behind frames that were still good */
};

static void pcap_close(struct dune_port *p)
{
    struct pcap_port *c = (struct pcap_port *)p;

    dune_reader_close(c->in);
    dune_writer_abort(c->out);
    dune_mem_free(c);
}

static int pcap_open(struct dune_port **out, const char *what, const struct dune_port_opts *o,
                     struct dune_diag *d)
{
    const char *comma = strchr(what, ',');
    char *in = comma ? dune_mem_strndup(what, (size_t)(comma - what)) : dune_mem_strdup(what);
    struct pcap_port *c;
    int rc = 0;

    (void)o;
    if (!*in && (!comma || !comma[1])) {
        dune_mem_free(in);
        return dune_diag_set(d, DUNE_E_USAGE, NULL, "a pcap port needs a file: pcap:IN, pcap:IN,OUT or "
                             "pcap:,OUT");
    }
    c = DUNE_NEW(struct pcap_port);
    c->base.ops = &dune_port_pcap;
    c->base.fd = -1;
    c->base.ended = !*in;
    if (*in)
        rc = dune_reader_open(&c->in, in, d);
    if (!rc && comma && comma[1])
        rc = dune_writer_open(&c->out, comma + 1, d);
    dune_mem_free(in);
    if (rc)
        pcap_close(&c->base);
    else
        *out = &c->base;
    return rc;
}

static int pcap_rx(struct dune_port *p, struct dune_frame *f, unsigned n, unsigned *got, struct dune_diag *d)
{
    struct pcap_port *c = (struct pcap_port *)p;
    struct dune_record r;
    int rc = 1;

    while (!c->bad.code && *got < n && (rc = dune_reader_next(c->in, &r, &c->bad)) == 1)
        f[(*got)++] = (struct dune_frame){r.data, r.cap_len, DUNE_MAX(r.cap_len, r.wire_len), r.ts_ns,
                                          dune_tick(r.ts_ns)};
    if (c->bad.code && !*got) {
        p->ended = true;
        if (d && !d->code)
            *d = c->bad;
        return c->bad.code;
    }
    p->ended = rc == 0;
    return 0;
}

static int pcap_tx(struct dune_port *p, const struct dune_frame *f, unsigned n, unsigned *sent,
                   struct dune_diag *d)
{
    struct pcap_port *c = (struct pcap_port *)p;
    unsigned i;
    int rc = 0;

    for (i = 0; i < n && !rc; i++) {
        if (c->out)
            rc = dune_writer_put(c->out, f[i].ts_ns, f[i].data, f[i].cap_len, f[i].wire_len, d);
        if (!rc) {
            p->stats.tx_frames++;
            p->stats.tx_bytes += f[i].cap_len;
        }
    }
    *sent = rc ? i - 1 : n;
    return rc;
}

static int pcap_finish(struct dune_port *p, struct dune_diag *d)
{
    struct pcap_port *c = (struct pcap_port *)p;
    int rc = 0;

    if (c->out)
        rc = dune_writer_commit(c->out, d);
    c->out = NULL;
    return rc;
}

const struct dune_port_ops dune_port_pcap = {
    .kind = "pcap", .open = pcap_open, .rx = pcap_rx, .tx = pcap_tx, .finish = pcap_finish,
    .close = pcap_close,
};
