/* SPDX-License-Identifier: (Apache-2.0 OR BSD-2-Clause OR GPL-2.0-only) */
/* The registers of a flow in a slot, and vectors made of them. Same integers as src/features. */
#ifndef DUNE_TARGETS_CORE_FLOW_H
#define DUNE_TARGETS_CORE_FLOW_H

#include "dune_core_types.h"

/* Registers lie at any offset that suits their width; may_alias because a slot is bytes. */
typedef uint64_t __attribute__((may_alias)) dune_core_u64;
typedef uint32_t __attribute__((may_alias)) dune_core_u32;
typedef uint32_t __attribute__((may_alias, aligned(1))) dune_core_any32; /* of any width, masked */
typedef uint16_t __attribute__((may_alias)) dune_core_u16;

/* The offset of a register of so many bytes, of one at any place (4 bytes are read there): what a
 * verifier needs to see. Elsewhere offsets are what the layout says. */
#ifndef DUNE_CORE_REG
#define DUNE_CORE_REG(offset, bytes) (offset)
#define DUNE_CORE_REG_ANY(offset) (offset)
#endif

DUNE_CORE_INLINE uint8_t *dune_core_at(struct dune_core_slot *s, uint32_t offset)
{
    return (uint8_t *)s + DUNE_CORE_REG(offset, 1);
}
DUNE_CORE_INLINE dune_core_u64 *dune_core_at64(struct dune_core_slot *s, uint32_t offset)
{
    return (dune_core_u64 *)(void *)((uint8_t *)s + DUNE_CORE_REG(offset, 8));
}
DUNE_CORE_INLINE dune_core_u32 *dune_core_at32(struct dune_core_slot *s, uint32_t offset)
{
    return (dune_core_u32 *)(void *)((uint8_t *)s + DUNE_CORE_REG(offset, 4));
}
DUNE_CORE_INLINE dune_core_u16 *dune_core_at16(struct dune_core_slot *s, uint32_t offset)
{
    return (dune_core_u16 *)(void *)((uint8_t *)s + DUNE_CORE_REG(offset, 2));
}

/* A register of at most 32 bits, with what lies behind it; a slot ends at least 3 bytes later. */
DUNE_CORE_INLINE uint32_t dune_core_load(struct dune_core_slot *s, uint32_t offset)
{
    return *(dune_core_any32 *)(void *)((uint8_t *)s + DUNE_CORE_REG_ANY(offset));
}

DUNE_CORE_INLINE uint32_t dune_core_saturate(uint64_t v)
{
    return v > UINT32_MAX ? UINT32_MAX : (uint32_t)v;
}

/* now - last > timeout; false while time runs backwards. UINT64_MAX: never. Without branches: whether a flow's packets come in one
 * tick nobody could foresee. */
DUNE_CORE_INLINE int dune_core_expired(uint64_t now, uint64_t last, uint64_t timeout)
{
    return (now > last) & (now - last > timeout);
}

/* Times of a packet that is not the flow's first, which `last` was `before`; returns the gap before it. */
DUNE_CORE_INLINE uint32_t dune_core_times(struct dune_core_slot *s, const struct dune_core_layout *l,
                                          uint64_t now, uint64_t before, uint32_t count)
{
    uint32_t gap = now > before ? dune_core_saturate(now - before) : 0;

    if (l->use & DUNE_CORE_GAP_MIN) {
        dune_core_u32 *r = dune_core_at32(s, l->gap_min);

        if (count == 1 || gap < *r)
            *r = gap;
    }
    if (l->use & DUNE_CORE_GAP_MAX) {
        dune_core_u32 *r = dune_core_at32(s, l->gap_max);

        if (gap > *r)
            *r = gap;
    }
    if (l->use & DUNE_CORE_DURATION)
        *dune_core_at32(s, l->duration) = dune_core_saturate((now > before ? now : before) - *dune_core_at64(s, l->first));
    return gap;
}

DUNE_CORE_INLINE void dune_core_lengths(struct dune_core_slot *s, const struct dune_core_layout *l,
                                        uint16_t len, uint32_t count)
{
    if (l->use & DUNE_CORE_LEN_MIN) {
        dune_core_u16 *r = dune_core_at16(s, l->len_min);

        if (count == 0 || len < *r)
            *r = len;
    }
    if (l->use & DUNE_CORE_LEN_MAX) {
        dune_core_u16 *r = dune_core_at16(s, l->len_max);

        if (len > *r)
            *r = len;
    }
    if (l->use & DUNE_CORE_LEN_TOTAL) {
        dune_core_u32 *r = dune_core_at32(s, l->len_total);

        *r = dune_core_saturate((uint64_t)*r + len);
    }
}

DUNE_CORE_INLINE void dune_core_udp(struct dune_core_slot *s, const struct dune_core_layout *l,
                                    uint16_t len)
{
    uint8_t *flags = dune_core_at(s, l->flags);

    if (l->use & DUNE_CORE_UDP_MIN) {
        dune_core_u16 *r = dune_core_at16(s, l->udp_min);

        if (!(*flags & DUNE_CORE_UDP_SEEN) || len < *r)
            *r = len;
    }
    if (l->use & DUNE_CORE_UDP_MAX) {
        dune_core_u16 *r = dune_core_at16(s, l->udp_max);

        if (len > *r)
            *r = len;
    }
    *flags |= DUNE_CORE_UDP_SEEN;
}

DUNE_CORE_INLINE void dune_core_counts(struct dune_core_slot *s, const struct dune_core_layout *l,
                                       uint32_t tcp_flags)
{
    for (uint32_t i = 0; i < DUNE_CORE_N_FLAGS && i < l->n_counts; i++) {
        uint8_t *r = dune_core_at(s, l->count[i].at);

        *r = (uint8_t)(*r + ((tcp_flags >> (l->count[i].bit & 7) & 1) & (*r != UINT8_MAX)));
    }
}

DUNE_CORE_INLINE void dune_core_kth(struct dune_core_slot *s, const struct dune_core_layout *l,
                                    uint16_t len, uint32_t gap, uint32_t k)
{
    if (k >= DUNE_CORE_KTH_MAX)
        return;
    if (l->kth_len[k])
        *dune_core_at16(s, l->kth_len[k]) = len;
    if (l->kth_gap[k])
        *dune_core_at32(s, l->kth_gap[k]) = gap;
}

/* Only SYN without ACK was seen of the flow. Before the packet is counted. */
DUNE_CORE_INLINE void dune_core_half_open(struct dune_core_slot *s, const struct dune_core_layout *l,
                                          const struct dune_core_packet *p, uint32_t count)
{
    uint32_t w = p->w[DUNE_CORE_W_PROTO];
    uint8_t *flags = dune_core_at(s, l->flags);

    if ((w & 0xff) == 6 && (w >> 16 & 0x12) == 0x02 && (count == 0 || *flags & DUNE_CORE_HALF_OPEN))
        *flags |= DUNE_CORE_HALF_OPEN;
    else
        *flags &= (uint8_t)~DUNE_CORE_HALF_OPEN;
}

DUNE_CORE_INLINE int dune_core_is_half_open(struct dune_core_slot *s, const struct dune_core_layout *l)
{
    return l->use & DUNE_CORE_SYN && *dune_core_at(s, l->flags) & DUNE_CORE_HALF_OPEN;
}

/* Adds one packet at tick now to all registers but last and count, which were `before` and `count`. */
DUNE_CORE_INLINE void dune_core_registers(struct dune_core_slot *s, const struct dune_core_layout *l,
                                          const struct dune_core_packet *p, uint64_t now, uint64_t before,
                                          uint32_t count)
{
    uint16_t len = (uint16_t)p->w[DUNE_CORE_W_LEN];
    uint32_t gap = 0;

    if (l->use & DUNE_CORE_SYN)
        dune_core_half_open(s, l, p, count);
    if (count)
        gap = dune_core_times(s, l, now, before, count);
    else if (l->use & DUNE_CORE_DURATION)
        *dune_core_at64(s, l->first) = now;
    if (l->use & DUNE_CORE_LENS)
        dune_core_lengths(s, l, len, count);
    if (l->use & DUNE_CORE_UDPS && (p->w[DUNE_CORE_W_PROTO] & 0xff) != 6)
        dune_core_udp(s, l, (uint16_t)(p->w[DUNE_CORE_W_L4] >> 16));
    if (l->use & DUNE_CORE_COUNTS)
        dune_core_counts(s, l, p->w[DUNE_CORE_W_PROTO] >> 16 & 0xff);
    if (l->use & DUNE_CORE_KTH)
        dune_core_kth(s, l, len, gap, count);
}

/* Adds one packet at tick now; a slot that was just taken is all zero but for its id. */
DUNE_CORE_INLINE void dune_core_update(struct dune_core_slot *s, const struct dune_core_layout *l,
                                       const struct dune_core_packet *p, uint64_t now)
{
    uint64_t before = s->last;

    if (now > before)
        s->last = now;
    dune_core_registers(s, l, p, now, before, s->count);
    s->count += s->count != UINT32_MAX;
}

/* The features a sub-model reads, of this packet and (s not NULL) its flow, whose packet `count` it is. x[0] is 0. */
DUNE_CORE_INLINE void dune_core_vector(uint32_t *x, const struct dune_core_fields *f,
                                       const struct dune_core_packet *p, struct dune_core_slot *s, uint32_t count)
{
    x[0] = 0;
    for (uint32_t i = 0; i < 32 && i < f->n_packet; i++) {
        const struct dune_core_field *v = &f->packet[i];

        x[DUNE_CORE_IDX(v->x, DUNE_CORE_X_MAX - 1)] =
            (p->w[DUNE_CORE_IDX(v->at, DUNE_CORE_PKT_WORDS - 1)] >> (v->shift & 31)) & v->mask;
    }
    for (uint32_t i = 0; i < DUNE_CORE_X_MAX && i < f->n_flow; i++) {
        const struct dune_core_field *v = &f->flow[i];

        x[DUNE_CORE_IDX(v->x, DUNE_CORE_X_MAX - 1)] = s ? dune_core_load(s, v->at) & v->mask : 0;
    }
    if (f->count_x) {
        uint32_t n = s ? count : 0;

        x[DUNE_CORE_IDX(f->count_x, DUNE_CORE_X_MAX - 1)] = n > UINT16_MAX ? UINT16_MAX : n;
    }
}

/* --- the same vector by dune_core_takes ------------------------------------------------------------------ */

DUNE_CORE_INLINE dune_core_u32 *dune_core_x_at(uint32_t *x, uint32_t offset)
{
    return (dune_core_u32 *)(void *)((uint8_t *)x + offset);
}

/* The registers of a packet without a slot. */
DUNE_CORE_INLINE void dune_core_take_nothing(uint32_t *x, const struct dune_core_takes *t)
{
    for (uint32_t i = 0; i < DUNE_CORE_X_MAX && i < t->n4 + t->n2 + t->n1; i++)
        *dune_core_x_at(x, t->reg[i].x) = 0;
}

DUNE_CORE_INLINE void dune_core_take_registers(uint32_t *x, const struct dune_core_takes *t, struct dune_core_slot *s)
{
    const struct dune_core_reg *r = t->reg;

    for (uint32_t i = 0; i < DUNE_CORE_X_MAX && i < t->n4; i++, r++)
        *dune_core_x_at(x, r->x) = *dune_core_at32(s, r->at);
    r = &t->reg[DUNE_CORE_IDX(t->n4, DUNE_CORE_X_MAX - 1)];
    for (uint32_t i = 0; i < DUNE_CORE_X_MAX && i < t->n2; i++, r++)
        *dune_core_x_at(x, r->x) = *dune_core_at16(s, r->at);
    r = &t->reg[DUNE_CORE_IDX(t->n4 + t->n2, DUNE_CORE_X_MAX - 1)];
    for (uint32_t i = 0; i < DUNE_CORE_X_MAX && i < t->n1; i++, r++)
        *dune_core_x_at(x, r->x) = *dune_core_at(s, r->at);
}

/* dune_core_vector; x has room for 256 bytes and 4. */
DUNE_CORE_INLINE void dune_core_take_all(uint32_t *x, const struct dune_core_takes *t, const struct dune_core_packet *p,
                                         struct dune_core_slot *s)
{
    const struct dune_core_take *k = t->packet;

    x[0] = 0;
    for (uint32_t i = 0; i < 32 && i < t->n_packet; i++, k++) {
        uint32_t word = *(const dune_core_u32 *)(const void *)((const uint8_t *)p->w + k->from);

        *dune_core_x_at(x, k->x) = word << k->up >> k->down;
    }
    if (s)
        dune_core_take_registers(x, t, s);
    else
        dune_core_take_nothing(x, t);
    if (t->count_x) {
        uint32_t n = s ? s->count : 0;

        *dune_core_x_at(x, (uint8_t)t->count_x) = n > UINT16_MAX ? UINT16_MAX : n;
    }
}

#endif
