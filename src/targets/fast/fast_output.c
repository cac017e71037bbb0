/* SPDX-License-Identifier: Apache-2.0 */
/* What leaves: the verdict, one device's trace, the frame. */
#include "targets/fast/fast_int.h"

#include <string.h>

void dune_fast_verdict(const struct fast_chain *c, const struct fast_pkt *pk, struct dune_verdict *v)
{
    bool final = pk->inferable && pk->shim.flags & DUNE_SHIM_FINAL;

    *v = (struct dune_verdict){.reason = pk->reason, .fate = pk->fate, .device = pk->device,
                               .dropped = pk->dropped, .steer_port = pk->steer_port};
    if (!pk->inferable)
        return;
    v->inferable = true;
    v->cls = final ? pk->shim.cls : 0;
    v->conf = pk->shim.conf;
    v->submodel = pk->shim.submodel;
    v->flags = pk->shim.flags;
    v->answered = v->cls != 0;
    v->generation = c->gen[pk->gen].plan->generation;
    v->rule_hit = pk->rule_hit;
}

/* The EtherType that a shim replaces, and where the shim goes. */
static uint16_t original_type(const struct fast_chain *c, const struct dune_chain_packet *in,
                              const struct fast_pkt *pk, uint32_t *l2_len)
{
    struct dune_packet p;

    if (!dune_shim_find(in->data, in->cap_len, c->max_vlan, c->shim_ethertype, l2_len)) {
        dune_packet_parse(&p, in->data, in->cap_len, &c->gen[pk->gen].plan->parser, c->shim_ethertype);
        *l2_len = p.l2_len;
    }
    return (uint16_t)(in->data[*l2_len - 2] << 8 | in->data[*l2_len - 1]);
}

static bool has_shim(const struct fast_pkt *pk)
{
    return pk->inferable || pk->state == FAST_FORGED;
}

static struct dune_shim shim_of(const struct fast_chain *c, const struct fast_pkt *pk)
{
    struct dune_shim s = {.version = DUNE_SHIM_VERSION, .generation = c->gen[pk->gen].plan->generation};

    if (pk->state == FAST_FORGED) {
        s.flags = DUNE_SHIM_SETTLED; /* of a fresh shim at an edge */
        return s;
    }
    s.flags = pk->shim.flags;
    s.submodel = pk->shim.submodel;
    s.cls = pk->shim.cls;
    s.conf = pk->shim.conf;
    return s;
}

void dune_fast_trace(struct fast_chain *c, const struct dune_chain_packet *in, const struct fast_pkt *pk,
                     uint32_t dev)
{
    struct dune_device_trace t;
    const struct fast_gen *g = &c->gen[pk->gen];
    bool inferred = pk->inferable && pk->here == DUNE_FATE_INFERRED, written;
    uint32_t l2_len;

    memset(&t, 0, sizeof(t));
    t.packet = c->packets;
    t.tick = pk->now;
    t.device = (uint16_t)dev;
    t.fate = pk->here;
    t.reason = pk->reason_here;
    t.steer_port = t.mirror_port = DUNE_NO_PORT;
    t.has_shim = has_shim(pk);
    t.dropped = pk->dropped;
    if (t.has_shim) {
        t.shim = shim_of(c, pk);
        t.generation = t.shim.generation;
        /* Bytes were written when it came by a chain link or leaves with the shim. */
        written = !pk->dropped && (dev + 1 < c->n_dev || c->opts.keep_shim);
        if (written || dev > pk->fresh_at)
            t.shim.ethertype = original_type(c, in, pk, &l2_len);
    }
    if (pk->inferable) {
        t.digest = pk->digest;
        t.became_final = pk->became_final;
        t.mirrored = pk->mirrored;
        if (pk->mirrored)
            t.mirror_port = pk->mirror_port;
        if (dev + 1 == c->n_dev)
            t.steer_port = pk->steer_port;
    }
    if (inferred && g->model[dev].keeps_state) {
        t.slot = pk->outcome;
        t.slot_index = pk->index & g->table[dev].mask;
        t.way = pk->way;
        t.count = pk->count;
    }
    if (inferred) {
        t.n_answers = (uint8_t)c->n_said;
        memcpy(t.answer, c->said, c->n_said * sizeof(*c->said));
    }
    c->n_said = 0;
    c->opts.trace(c->opts.trace_ctx, &t);
}

/* --- frames ---------------------------------------------------------------------------------------------- */

static uint8_t *room(struct fast_chain *c, size_t n)
{
    if (c->frames_len + n >= c->frames_cap) { /* an empty frame is somewhere, too */
        c->frames_cap = (c->frames_len + n + 1) * 2;
        c->frames = dune_mem_realloc(c->frames, c->frames_cap, 1);
    }
    c->frames_len += n;
    return c->frames + c->frames_len - n;
}

static void mark_ipv4(uint8_t *ip, uint8_t tos)
{
    uint32_t old = (uint32_t)(ip[0] << 8 | ip[1]), new = (uint32_t)(ip[0] << 8 | tos);
    /* RFC 1624 */
    uint32_t sum = (~(uint32_t)(ip[10] << 8 | ip[11]) & 0xffff) + (~old & 0xffff) + new;

    sum = (sum & 0xffff) + (sum >> 16);
    sum = ~((sum & 0xffff) + (sum >> 16)) & 0xffff;
    ip[1] = tos;
    ip[10] = (uint8_t)(sum >> 8);
    ip[11] = (uint8_t)sum;
}

/* Action mark on the frame without shim. */
void dune_fast_mark(struct fast_chain *c, const struct fast_pkt *pk, uint8_t *frame, uint32_t len)
{
    const struct fast_gen *g = &c->gen[pk->gen];
    const struct dune_plan_class *cls;
    struct dune_packet p;
    uint8_t *ip, tos;

    if (!g->acts || !pk->inferable || !(pk->shim.flags & DUNE_SHIM_FINAL) ||
        pk->shim.flags & DUNE_SHIM_TENTATIVE || pk->shim.cls == 0 || pk->shim.cls > g->plan->n_classes)
        return;
    cls = &g->plan->cls[pk->shim.cls - 1];
    if (cls->action != DUNE_ACTION_MARK)
        return;
    dune_packet_parse(&p, frame, len, &g->plan->parser, c->shim_ethertype);
    ip = frame + p.l3_off;
    tos = (uint8_t)((cls->action_arg & 0x3f) << 2 | (p.tos & 3));
    if (p.is_ipv6) {
        ip[0] = (uint8_t)((ip[0] & 0xf0) | tos >> 4);
        ip[1] = (uint8_t)(tos << 4 | (ip[1] & 0x0f));
    } else if (tos != p.tos) {
        mark_ipv4(ip, tos);
    }
}

/* Every link adds 8 bytes and the next device takes them away again, in 32 bits. */
static uint32_t wire_len(const struct fast_chain *c, const struct fast_pkt *pk, uint32_t len)
{
    for (uint32_t i = pk->fresh_at; has_shim(pk) && i + 1 < c->n_dev; i++) {
        len += DUNE_SHIM_BYTES;
        len -= DUNE_MIN(len, DUNE_SHIM_BYTES);
    }
    return len;
}

static void add_shim(struct fast_chain *c, const struct dune_chain_packet *in, const struct fast_pkt *pk,
                     uint8_t *frame)
{
    struct dune_shim s = shim_of(c, pk);
    uint32_t l2_len;

    s.ethertype = original_type(c, in, pk, &l2_len);
    memmove(frame, frame + DUNE_SHIM_BYTES, l2_len - 2);
    frame[l2_len - 2] = (uint8_t)(c->shim_ethertype >> 8);
    frame[l2_len - 1] = (uint8_t)c->shim_ethertype;
    dune_shim_put(frame + l2_len, &s);
}

void dune_fast_frame(struct fast_chain *c, const struct dune_chain_packet *in, const struct fast_pkt *pk,
                     struct dune_chain_frame *out)
{
    uint32_t shim = has_shim(pk) && c->opts.keep_shim ? DUNE_SHIM_BYTES : 0;
    uint8_t *frame;

    *out = (struct dune_chain_frame){0};
    if (pk->dropped)
        return;
    frame = room(c, (size_t)in->cap_len + shim);
    if (in->cap_len)
        memcpy(frame + shim, in->data, in->cap_len);
    dune_fast_mark(c, pk, frame + shim, in->cap_len);
    if (shim)
        add_shim(c, in, pk, frame);
    out->data = frame; /* not NULL; the buffer may still move */
    out->cap_len = in->cap_len + shim;
    out->wire_len = wire_len(c, pk, in->wire_len) + shim;
}

void dune_fast_lend_frames(const struct fast_chain *c, struct dune_chain_frame *out, size_t n)
{
    const uint8_t *at = c->frames;

    for (size_t i = 0; i < n; i++) {
        if (!out[i].data)
            continue;
        out[i].data = at;
        at += out[i].cap_len;
    }
}
