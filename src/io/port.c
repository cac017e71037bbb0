/* SPDX-License-Identifier: Apache-2.0 */
/* The front of all ports: finds the kind, counts, and keeps to the rules of dune/io.h. */
#include "io/io_int.h"

#include <assert.h>
#include <string.h>

static const struct dune_port_ops *const kinds[] = {&dune_port_pcap, &dune_port_packet, &dune_port_xdp,
                                                   &dune_port_dpdk, &dune_port_mem};

const struct dune_port_ops *dune_port_kind(unsigned i)
{
    return i < DUNE_ARRAY_LEN(kinds) ? kinds[i] : NULL;
}

int dune_port_open(struct dune_port **out, const char *spec, const struct dune_port_opts *o,
                   struct dune_diag *d)
{
    static const struct dune_port_opts defaults;
    const char *colon = strchr(spec, ':'), *why;
    size_t i, len = colon ? (size_t)(colon - spec) : strlen(spec);
    int rc;

    *out = NULL;
    for (i = 0; i < DUNE_ARRAY_LEN(kinds); i++)
        if (strlen(kinds[i]->kind) == len && strncmp(kinds[i]->kind, spec, len) == 0)
            break;
    if (i == DUNE_ARRAY_LEN(kinds) || !kinds[i]->open)
        return dune_diag_set(d, DUNE_E_USAGE, NULL, "\"%s\" is no port; write af_packet:IFACE, af_xdp:IFACE, "
                             "dpdk:DEVICE or pcap:IN[,OUT]", spec);
    why = kinds[i]->available ? kinds[i]->available() : NULL;
    if (why)
        return dune_diag_set(d, DUNE_E_ENV, NULL, "port %s: %s", spec, why);
    rc = kinds[i]->open(out, colon ? colon + 1 : "", o ? o : &defaults, d);
    if (!rc)
        (*out)->name = dune_mem_strdup(spec);
    return rc;
}

int dune_port_rx(struct dune_port *p, struct dune_frame *f, unsigned n, unsigned *got, struct dune_diag *d)
{
    unsigned i;
    int rc;

    assert(n <= DUNE_IO_BURST_MAX);
    *got = 0;
    if (p->ended)
        return 0;
    rc = p->ops->rx(p, f, n, got, d);
    p->stats.rx_frames += *got;
    for (i = 0; i < *got; i++) {
        p->stats.rx_bytes += f[i].cap_len;
        p->stats.rx_truncated += f[i].cap_len < f[i].wire_len;
    }
    return rc;
}

int dune_port_tx(struct dune_port *p, const struct dune_frame *f, unsigned n, unsigned *sent,
                 struct dune_diag *d)
{
    assert(n <= DUNE_IO_BURST_MAX);
    *sent = 0;
    return p->ops->tx(p, f, n, sent, d);
}

void dune_port_stats(struct dune_port *p, struct dune_port_stats *out)
{
    if (p->ops->stats)
        p->ops->stats(p);
    *out = p->stats;
}

int dune_port_finish(struct dune_port *p, struct dune_diag *d)
{
    return p->ops->finish ? p->ops->finish(p, d) : 0;
}

void dune_port_close(struct dune_port *p)
{
    char *name;

    if (!p)
        return;
    name = p->name;
    p->ops->close(p);
    dune_mem_free(name);
}
