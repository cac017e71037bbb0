/* SPDX-License-Identifier: Apache-2.0 */
/* From a plan to what the per-packet core works on: slot layout, fields of vectors, nodes. */
#include "targets/core/dune_core_model.h"

#include <stddef.h>
#include <string.h>

#include "base/base.h"

/* --- the layout of a slot ----------------------------------------------------------------------------- */

static const struct {
    uint8_t feat;
    uint16_t use, bytes;
    size_t at; /* member of struct dune_core_layout */
} single[] = {
    {DUNE_F_LEN_TOTAL, DUNE_CORE_LEN_TOTAL, 4, offsetof(struct dune_core_layout, len_total)},
    {DUNE_F_GAP_MIN, DUNE_CORE_GAP_MIN, 4, offsetof(struct dune_core_layout, gap_min)},
    {DUNE_F_GAP_MAX, DUNE_CORE_GAP_MAX, 4, offsetof(struct dune_core_layout, gap_max)},
    {DUNE_F_DURATION, DUNE_CORE_DURATION, 4, offsetof(struct dune_core_layout, duration)},
    {DUNE_F_LEN_MIN, DUNE_CORE_LEN_MIN, 2, offsetof(struct dune_core_layout, len_min)},
    {DUNE_F_LEN_MAX, DUNE_CORE_LEN_MAX, 2, offsetof(struct dune_core_layout, len_max)},
    {DUNE_F_UDP_MIN, DUNE_CORE_UDP_MIN, 2, offsetof(struct dune_core_layout, udp_min)},
    {DUNE_F_UDP_MAX, DUNE_CORE_UDP_MAX, 2, offsetof(struct dune_core_layout, udp_max)},
};

static const struct {
    uint8_t feat, bit; /* of the TCP flags */
} counted[] = {
    {DUNE_F_SYN_COUNT, 1}, {DUNE_F_ACK_COUNT, 4}, {DUNE_F_PSH_COUNT, 3}, {DUNE_F_FIN_COUNT, 0},
    {DUNE_F_RST_COUNT, 2}, {DUNE_F_URG_COUNT, 5}, {DUNE_F_ECE_COUNT, 6}, {DUNE_F_CWR_COUNT, 7},
};
_Static_assert(DUNE_F_GAP_8 + 1 == DUNE_N_FEATURES, "a new register needs a place in the slot");

struct builder {
    dune_feature_mask used; /* flow features that some sub-model of the device reads */
    struct dune_core_layout *l;
    uint32_t at;
    uint16_t *where; /* offset of a feature's register */
};

static bool is_used(const struct builder *b, int feat)
{
    return b->used >> feat & 1;
}

static uint16_t place(struct builder *b, uint32_t bytes)
{
    uint32_t at = (b->at + bytes - 1) / bytes * bytes;

    b->at = at + bytes;
    return (uint16_t)at;
}

static void place_singles(struct builder *b, uint32_t bytes)
{
    for (size_t i = 0; i < DUNE_ARRAY_LEN(single); i++) {
        uint16_t *member = (uint16_t *)(void *)((uint8_t *)b->l + single[i].at);

        if (single[i].bytes != bytes || !is_used(b, single[i].feat))
            continue;
        *member = b->where[single[i].feat] = place(b, bytes);
        b->l->use |= single[i].use;
    }
}

static void place_kth(struct builder *b, int first, int n, uint32_t packet, uint32_t bytes, uint16_t *at)
{
    for (int k = 0; k < n; k++) {
        if (!is_used(b, first + k))
            continue;
        at[packet + (uint32_t)k] = b->where[first + k] = place(b, bytes);
        b->l->use |= DUNE_CORE_KTH;
    }
}

static void place_counts(struct builder *b)
{
    struct dune_core_layout *l = b->l;

    for (size_t i = 0; i < DUNE_ARRAY_LEN(counted); i++) {
        if (!is_used(b, counted[i].feat))
            continue;
        b->where[counted[i].feat] = place(b, 1);
        l->count[l->n_counts++] = (struct dune_core_count){b->where[counted[i].feat], counted[i].bit};
        l->use |= DUNE_CORE_COUNTS;
    }
}

static dune_feature_mask used_on(const struct dune_plan *p, uint16_t device, uint32_t *n_sub)
{
    dune_feature_mask used = 0;

    *n_sub = 0;
    for (uint32_t s = 0; s < p->n_submodels; s++) {
        const struct dune_submodel *sm = &p->sub[s];

        if (sm->device != device && device != DUNE_CORE_ALL_DEVICES)
            continue;
        ++*n_sub;
        for (uint32_t j = 0; sm->mode != DUNE_MODE_PACKET && j < sm->n_feats; j++)
            used |= (dune_feature_mask)1 << sm->feat[j].feat;
    }
    return used;
}

/* Can a verdict become final on this device, so that a slot sends digests? */
static bool may_be_final(const struct dune_plan *p, uint16_t device)
{
    return p->claim == DUNE_CLAIM_FIRST || p->early_exit <= 255 ||
           (p->n_submodels && (p->sub[p->n_submodels - 1].device == device || device == DUNE_CORE_ALL_DEVICES));
}

uint32_t dune_core_register_bytes(int feat)
{
    for (size_t i = 0; i < DUNE_ARRAY_LEN(single); i++)
        if (single[i].feat == feat)
            return single[i].bytes;
    for (size_t i = 0; i < DUNE_ARRAY_LEN(counted); i++)
        if (counted[i].feat == feat)
            return 1;
    return feat >= DUNE_F_GAP_2 ? 4 : 2;
}

/* Widest first, so that nothing is lost to alignment. */
void dune_core_layout_make(struct dune_core_layout *l, uint16_t where[DUNE_N_FEATURES],
                           const struct dune_plan *p, uint16_t device)
{
    uint32_t n_sub;
    struct builder b = {.used = used_on(p, device, &n_sub), .l = l, .where = where,
                        .at = offsetof(struct dune_core_slot, reg)};

    memset(l, 0, sizeof(*l));
    memset(where, 0, DUNE_N_FEATURES * sizeof(*where));
    if (is_used(&b, DUNE_F_DURATION))
        l->first = place(&b, 8);
    if (may_be_final(p, device)) {
        l->digest_tick = place(&b, 8);
        l->use |= DUNE_CORE_DIGEST;
    }
    place_singles(&b, 4);
    place_kth(&b, DUNE_F_GAP_2, DUNE_KTH_MAX - 1, 1, 4, l->kth_gap);
    l->stored = (uint16_t)b.at;
    b.at += 4 * n_sub;
    place_singles(&b, 2);
    place_kth(&b, DUNE_F_LEN_1, DUNE_KTH_MAX, 0, 2, l->kth_len);
    place_counts(&b);
    l->flags = place(&b, 1);
    l->end = (uint16_t)b.at;
    if (p->syn_timeout)
        l->use |= DUNE_CORE_SYN;
    l->bytes = (b.at + 63) / 64 * 64;
    /* A masked load of 4 bytes may start at the last register. */
    if (l->bytes - b.at < 3)
        l->bytes += 64;
}
_Static_assert(16 + 16 + 5 * 4 + 7 * 4 + 4 * DUNE_MAX_SUBMODELS + 4 * 2 + 8 * 2 + 9 + 64 < DUNE_CORE_SLOT_MAX,
               "the largest slot");

/* --- vectors -------------------------------------------------------------------------------------------- */

static const struct {
    uint8_t feat, word, shift;
    uint32_t mask;
} packet_fields[] = {
    {DUNE_F_IP_LEN, DUNE_CORE_W_LEN, 0, 0xffff},      {DUNE_F_IP_TTL, DUNE_CORE_W_LEN, 16, 0xff},
    {DUNE_F_IP_TOS, DUNE_CORE_W_LEN, 24, 0xff},       {DUNE_F_IP_PROTO, DUNE_CORE_W_PROTO, 0, 0xff},
    {DUNE_F_IP_HDR_LEN, DUNE_CORE_W_PROTO, 8, 0xff},  {DUNE_F_SRCPORT, DUNE_CORE_W_PORTS, 0, 0xffff},
    {DUNE_F_DSTPORT, DUNE_CORE_W_PORTS, 16, 0xffff},  {DUNE_F_DSTPORT_LOW, DUNE_CORE_W_PORT_LOW, 0, 0xffff},
    {DUNE_F_TCP_FIN, DUNE_CORE_W_PROTO, 16, 1},       {DUNE_F_TCP_SYN, DUNE_CORE_W_PROTO, 17, 1},
    {DUNE_F_TCP_RST, DUNE_CORE_W_PROTO, 18, 1},       {DUNE_F_TCP_PSH, DUNE_CORE_W_PROTO, 19, 1},
    {DUNE_F_TCP_ACK, DUNE_CORE_W_PROTO, 20, 1},       {DUNE_F_TCP_URG, DUNE_CORE_W_PROTO, 21, 1},
    {DUNE_F_TCP_ECE, DUNE_CORE_W_PROTO, 22, 1},       {DUNE_F_TCP_CWR, DUNE_CORE_W_PROTO, 23, 1},
    {DUNE_F_TCP_WINDOW, DUNE_CORE_W_L4, 0, 0xffff},   {DUNE_F_TCP_HDR_LEN, DUNE_CORE_W_PROTO, 24, 0xff},
    {DUNE_F_UDP_LENGTH, DUNE_CORE_W_L4, 16, 0xffff},
};
_Static_assert(DUNE_ARRAY_LEN(packet_fields) == DUNE_F_LEN_MIN, "every packet feature has a place");

static void add_packet_field(struct dune_core_fields *f, int feat, uint8_t x)
{
    for (size_t i = 0; i < DUNE_ARRAY_LEN(packet_fields); i++)
        if (packet_fields[i].feat == feat)
            f->packet[f->n_packet++] =
                (struct dune_core_field){.at = packet_fields[i].word, .shift = packet_fields[i].shift,
                                         .x = x, .mask = packet_fields[i].mask};
}

void dune_core_fields_make(struct dune_core_fields *f, const struct dune_submodel *sm,
                           const uint16_t where[DUNE_N_FEATURES])
{
    memset(f, 0, sizeof(*f));
    for (uint32_t j = 0; j < sm->n_feats; j++) {
        int feat = sm->feat[j].feat;
        uint8_t x = (uint8_t)(j + 1);

        if (dune_catalog[feat].phase == DUNE_PHASE_PL)
            add_packet_field(f, feat, x);
        else if (feat == DUNE_F_COUNT)
            f->count_x = x;
        else /* in mode packet always 0 */
            f->flow[f->n_flow++] = (struct dune_core_field){.at = where[feat], .x = x,
                                                            .mask = dune_feature_max(feat)};
    }
}

static uint32_t put_registers(struct dune_core_takes *t, const struct dune_core_fields *f, uint32_t bytes, uint32_t at)
{
    uint32_t n = 0;

    for (uint32_t i = 0; i < f->n_flow; i++) {
        uint32_t mask = f->flow[i].mask, width = mask > UINT16_MAX ? 4 : mask > UINT8_MAX ? 2 : 1;

        if (width == bytes)
            t->reg[at + n++] = (struct dune_core_reg){.at = f->flow[i].at, .x = (uint8_t)(4 * f->flow[i].x)};
    }
    return n;
}

void dune_core_takes_make(struct dune_core_takes *t, const struct dune_core_fields *f)
{
    memset(t, 0, sizeof(*t));
    for (t->n_packet = 0; t->n_packet < f->n_packet; t->n_packet++) {
        const struct dune_core_field *v = &f->packet[t->n_packet];
        uint8_t bits = v->mask > UINT8_MAX ? 16 : v->mask > 1 ? 8 : 1;

        t->packet[t->n_packet] = (struct dune_core_take){.from = (uint8_t)(4 * v->at), .x = (uint8_t)(4 * v->x),
                                                         .up = (uint8_t)(32 - bits - v->shift), .down = (uint8_t)(32 - bits)};
    }
    t->n4 = put_registers(t, f, 4, 0);
    t->n2 = put_registers(t, f, 2, t->n4);
    t->n1 = put_registers(t, f, 1, t->n4 + t->n2);
    t->count_x = 4 * f->count_x;
}

/* --- trees ----------------------------------------------------------------------------------------------- */

static uint32_t payload(const struct dune_plan_leaf *leaf)
{
    return leaf->cls | (uint32_t)leaf->conf << 8 | (uint32_t)leaf->own << 16 | (uint32_t)leaf->own_conf << 24;
}

/* Breadth first, the children of a node side by side: the first steps of all walks share lines. */
uint32_t dune_core_tree_make(struct dune_core_node *out, const struct dune_plan_tree *tr, uint32_t *depth)
{
    uint32_t *queue = dune_mem_alloc(tr->n_nodes, sizeof(*queue));
    uint32_t *level = dune_mem_alloc(tr->n_nodes, sizeof(*level));
    uint32_t n = 1;

    queue[0] = level[0] = *depth = 0;
    for (uint32_t i = 0; i < n; i++) {
        const struct dune_node *v = &tr->node[queue[i]];

        *depth = level[i];
        if (v->feat < 0) {
            out[i] = (struct dune_core_node){payload(&tr->leaf[v->left]), (uint16_t)i, 0};
            continue;
        }
        out[i] = (struct dune_core_node){v->threshold, (uint16_t)n, (uint16_t)(v->feat + 1)};
        queue[n] = v->left;
        queue[n + 1] = v->right;
        level[n] = level[n + 1] = level[i] + 1;
        n += 2;
    }
    dune_mem_free(queue);
    dune_mem_free(level);
    return n;
}

void dune_core_tree_add_leaves(uint64_t *to, const struct dune_plan_tree *tr, const uint64_t *from)
{
    uint32_t *queue = dune_mem_alloc(tr->n_nodes, sizeof(*queue));
    uint32_t n = 1;

    queue[0] = 0;
    for (uint32_t i = 0; i < n; i++) { /* the order of dune_core_tree_make */
        const struct dune_node *v = &tr->node[queue[i]];

        if (v->feat < 0) {
            to[v->left] += from[i];
            continue;
        }
        queue[n++] = v->left;
        queue[n++] = v->right;
    }
    dune_mem_free(queue);
}

/* --- the claim rule --------------------------------------------------------------------------------- */

void dune_core_rule_make(struct dune_core_rule *r, const struct dune_plan *p)
{
    memset(r, 0, sizeof(*r));
    r->claim = p->claim == DUNE_CLAIM_FIRST ? DUNE_CORE_RULE_FIRST : DUNE_CORE_RULE_BEST;
    r->tentative_ends = p->claim == DUNE_CLAIM_BEST && p->fallback == DUNE_FALLBACK_BEST;
    for (uint32_t cls = 0; cls < 256; cls++) {
        r->min_conf[cls] = cls >= 1 && cls <= p->n_classes ? p->cls[cls - 1].min_confidence : 0;
        r->bar[cls] = DUNE_MAX(p->early_exit, r->min_conf[cls]);
    }
}
