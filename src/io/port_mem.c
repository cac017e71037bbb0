/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Memory as a port: a list of frames, or one end of a wire.
 *
 * A wire is two rings, one per direction. The sender writes cells and then head; the receiver reads
 * head, lends cells, and moves tail when it comes back for more. Head and tail lie on lines of their own.
 */
#include "io/io_int.h"

#include <stdatomic.h>
#include <string.h>

struct mem_list {
    struct dune_port base;
    const struct dune_frame *frame;
    uint64_t n, at, left; /* left: rounds still to come behind this one */
    bool for_ever;
};

static int list_rx(struct dune_port *p, struct dune_frame *f, unsigned n, unsigned *got, struct dune_diag *d)
{
    struct mem_list *l = (struct mem_list *)p;
    unsigned take;

    (void)d;
    if (l->at == l->n && (l->for_ever || l->left)) {
        l->left -= !l->for_ever;
        l->at = 0;
    }
    take = (unsigned)DUNE_MIN((uint64_t)n, l->n - l->at);
    memcpy(f, l->frame + l->at, take * sizeof(*f));
    l->at += take;
    *got = take;
    p->ended = l->at == l->n && !l->for_ever && !l->left;
    return 0;
}

static int list_tx(struct dune_port *p, const struct dune_frame *f, unsigned n, unsigned *sent,
                   struct dune_diag *d)
{
    (void)d;
    for (unsigned i = 0; i < n; i++)
        p->stats.tx_bytes += f[i].cap_len;
    p->stats.tx_frames += n;
    *sent = n;
    return 0;
}

static void list_close(struct dune_port *p)
{
    dune_mem_free(p);
}

static const struct dune_port_ops list_ops = {.kind = "mem", .rx = list_rx, .tx = list_tx, .close = list_close};

struct dune_port *dune_port_mem_list(const struct dune_frame *f, uint64_t n, uint64_t times)
{
    struct mem_list *l = DUNE_NEW(struct mem_list);

    l->base = (struct dune_port){.ops = &list_ops, .name = dune_mem_strdup("mem"), .fd = -1, .ended = !n};
    l->frame = f;
    l->n = n;
    l->for_ever = !times;
    l->left = times ? times - 1 : 0;
    return &l->base;
}

struct ring {
    _Atomic uint64_t head; /* cells written */
    uint8_t apart[120];
    _Atomic uint64_t tail; /* cells given back */
    uint8_t apart_too[120];
};
struct cell {
    uint64_t ts_ns;
    uint32_t cap_len, wire_len;
    uint8_t data[];
};
struct wire { /* shared by both ends, freed by the later one to close */
    struct ring ring[2];
    uint8_t *cells[2];
    uint64_t mask;
    size_t stride;
    uint32_t max_bytes;
    _Atomic unsigned open; /* bit per end */
};
struct wire_end {
    struct dune_port base;
    struct wire *w;
    unsigned side; /* sends into ring[side], receives from the other */
    uint64_t next; /* first cell not yet lent */
};

static struct cell *cell_at(const struct wire *w, unsigned side, uint64_t k)
{
    return (struct cell *)(w->cells[side] + (k & w->mask) * w->stride);
}

static int wire_rx(struct dune_port *p, struct dune_frame *f, unsigned n, unsigned *got, struct dune_diag *d)
{
    struct wire_end *e = (struct wire_end *)p;
    unsigned from = !e->side;
    struct ring *r = &e->w->ring[from];
    uint64_t head;
    bool peer;

    (void)d;
    atomic_store_explicit(&r->tail, e->next, memory_order_release);
    peer = atomic_load(&e->w->open) & 1u << from; /* before head: what it sent last is seen */
    head = atomic_load_explicit(&r->head, memory_order_acquire);
    for (; *got < n && e->next != head; e->next++) {
        const struct cell *c = cell_at(e->w, from, e->next);
        f[(*got)++] = (struct dune_frame){c->data, c->cap_len, c->wire_len, c->ts_ns, dune_tick(c->ts_ns)};
    }
    p->ended = !peer && e->next == head;
    return 0;
}

static int wire_tx(struct dune_port *p, const struct dune_frame *f, unsigned n, unsigned *sent,
                   struct dune_diag *d)
{
    struct wire_end *e = (struct wire_end *)p;
    struct wire *w = e->w;
    struct ring *r = &w->ring[e->side];
    uint64_t head = atomic_load_explicit(&r->head, memory_order_relaxed);
    uint64_t room = w->mask + 1 - (head - atomic_load_explicit(&r->tail, memory_order_acquire));
    bool peer = atomic_load(&w->open) & 1u << !e->side;

    (void)d;
    for (; *sent < n; (*sent)++) {
        const struct dune_frame *x = &f[*sent];
        struct cell *c = cell_at(w, e->side, head);
        if (!peer || x->cap_len > w->max_bytes) {
            p->stats.tx_refused++;
            continue;
        }
        if (!room)
            break;
        *c = (struct cell){x->ts_ns, x->cap_len, DUNE_MAX(x->wire_len, x->cap_len)};
        memcpy(c->data, x->data, x->cap_len);
        head++, room--;
        p->stats.tx_frames++;
        p->stats.tx_bytes += x->cap_len;
    }
    p->stats.tx_full += n - *sent;
    atomic_store_explicit(&r->head, head, memory_order_release);
    return 0;
}

static void wire_close(struct dune_port *p)
{
    struct wire_end *e = (struct wire_end *)p;
    unsigned bit = 1u << e->side;

    if ((atomic_fetch_and(&e->w->open, ~bit) & ~bit) == 0) {
        dune_mem_free(e->w->cells[0]);
        dune_mem_free(e->w->cells[1]);
        dune_mem_free(e->w);
    }
    dune_mem_free(e);
}

static const struct dune_port_ops wire_ops = {.kind = "mem", .rx = wire_rx, .tx = wire_tx, .close = wire_close};

void dune_port_mem_wire(struct dune_port *end[2], uint32_t frames, uint32_t max_bytes)
{
    struct wire *w = DUNE_NEW(struct wire);
    uint64_t n = 2;

    while (n < frames)
        n *= 2;
    w->mask = n - 1;
    w->stride = (sizeof(struct cell) + max_bytes + 63) & ~(size_t)63;
    w->max_bytes = max_bytes;
    atomic_init(&w->open, 3);
    for (unsigned i = 0; i < 2; i++) {
        struct wire_end *e = DUNE_NEW(struct wire_end);
        e->base = (struct dune_port){.ops = &wire_ops, .name = dune_mem_strdup("mem"), .fd = -1};
        e->w = w;
        e->side = i;
        w->cells[i] = dune_mem_alloc(n, w->stride);
        end[i] = &e->base;
    }
}

const struct dune_port_ops dune_port_mem = {.kind = "mem"};
