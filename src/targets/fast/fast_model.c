/* SPDX-License-Identifier: Apache-2.0 */
/* A plan compiled for one device: the slot's layout, the fields of every vector, the trees as nodes. */
#include "targets/fast/fast_int.h"

#include <string.h>

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
    uint16_t where[DUNE_N_FEATURES]; /* offset of a feature's register */
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

/* Widest first, so that nothing is lost to alignment. */
static void lay_out(struct fast_model *m, struct builder *b)
{
    struct dune_core_layout *l = b->l = &m->layout;

    b->at = offsetof(struct dune_core_slot, reg);
    if (is_used(b, DUNE_F_DURATION))
        l->first = place(b, 8);
    if (m->digests) {
        l->digest_tick = place(b, 8);
        l->use |= DUNE_CORE_DIGEST;
    }
    place_singles(b, 4);
    place_kth(b, DUNE_F_GAP_2, DUNE_KTH_MAX - 1, 1, 4, l->kth_gap);
    l->stored = (uint16_t)b->at;
    b->at += 4 * m->n_sub;
    place_singles(b, 2);
    place_kth(b, DUNE_F_LEN_1, DUNE_KTH_MAX, 0, 2, l->kth_len);
    place_counts(b);
    l->flags = place(b, 1);
    l->bytes = (b->at + 63) / 64 * 64;
    /* A masked load of 4 bytes may start at the last register. */
    if (l->bytes - b->at < 3)
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

static void make_fields(struct dune_core_fields *f, const struct dune_submodel *sm, const struct builder *b)
{
    for (uint32_t j = 0; j < sm->n_feats; j++) {
        int feat = sm->feat[j].feat;
        uint8_t x = (uint8_t)(j + 1);

        if (dune_catalog[feat].phase == DUNE_PHASE_PL)
            add_packet_field(f, feat, x);
        else if (feat == DUNE_F_COUNT)
            f->count_x = x;
        else /* in mode packet always 0 */
            f->flow[f->n_flow++] = (struct dune_core_field){.at = b->where[feat], .x = x,
                                                            .mask = dune_feature_max(feat)};
    }
}

/* --- trees ----------------------------------------------------------------------------------------------- */

static uint32_t payload(const struct dune_plan_leaf *leaf)
{
    return leaf->cls | (uint32_t)leaf->conf << 8 | (uint32_t)leaf->own << 16 | (uint32_t)leaf->own_conf << 24;
}

/* Breadth first, the children of a node side by side: the first steps of all walks share lines. */
static uint32_t make_tree(struct dune_core_node *out, const struct dune_plan_tree *tr, uint32_t *depth)
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

static int check_tree(const struct dune_plan_tree *tr, struct dune_diag *d)
{
    if (tr->node && tr->n_leaves && tr->n_leaves <= DUNE_MAX_LEAVES && tr->n_nodes == 2 * tr->n_leaves - 1)
        return 0;
    return dune_diag_set(d, DUNE_E_USAGE, NULL, "the plan's trees have no nodes: it was not read or verified");
}

static struct dune_core_node *make_forest(struct fast_sub *s, const struct dune_submodel *sm,
                                          struct dune_core_node *node)
{
    struct fast_forest *f = &s->forest;

    f->n_trees = sm->n_trees;
    f->n_x = sm->n_feats + 1;
    f->stride = f->n_x <= 16 ? 16 : DUNE_CORE_X_MAX;
    for (uint32_t t = 0; t < sm->n_trees; t++) {
        f->tree[t].node = node;
        f->tree[t].n_nodes = make_tree(node, &sm->tree[t], &f->tree[t].depth);
        node += f->tree[t].n_nodes;
    }
    f->quick = dune_fast_quick_new(sm);
    dune_fast_calibrate(f, sm);
    return node;
}

/* --- a device -------------------------------------------------------------------------------------------- */

static bool may_be_final(const struct dune_plan *p, const struct fast_model *m)
{
    return p->claim == DUNE_CLAIM_FIRST || p->early_exit <= 255 || (m->n_sub && m->sub[m->n_sub - 1].last);
}

static int count_device(struct fast_model *m, const struct dune_plan *p, uint16_t device, struct builder *b,
                        size_t *n_nodes, struct dune_diag *d)
{
    for (uint32_t s = 0; s < p->n_submodels; s++) {
        const struct dune_submodel *sm = &p->sub[s];

        if (sm->device != device)
            continue;
        m->n_sub++;
        if (sm->n_trees < 1 || sm->n_trees > DUNE_MAX_TREES || sm->n_feats > DUNE_N_FEATURES)
            return dune_diag_set(d, DUNE_E_USAGE, NULL, "sub-model %u: the plan was not verified", sm->id);
        for (uint32_t t = 0; t < sm->n_trees; t++) {
            int rc = check_tree(&sm->tree[t], d);

            if (rc)
                return rc;
            *n_nodes += sm->tree[t].n_nodes;
        }
        if (sm->mode == DUNE_MODE_PACKET)
            continue;
        m->keeps_state = true;
        for (uint32_t j = 0; j < sm->n_feats; j++)
            b->used |= (dune_feature_mask)1 << sm->feat[j].feat;
    }
    return 0;
}

int dune_fast_model_init(struct fast_model *m, const struct dune_plan *p, uint16_t device, struct dune_diag *d)
{
    struct builder b = {0};
    struct dune_core_node *node;
    size_t n_nodes = 0;
    uint32_t k = 0;
    int rc = count_device(m, p, device, &b, &n_nodes, d);

    if (rc)
        return rc;
    m->sub = DUNE_NEW_N(struct fast_sub, m->n_sub + 1);
    for (uint32_t s = 0; s < p->n_submodels; s++)
        if (p->sub[s].device == device)
            m->sub[k++] = (struct fast_sub){.id = p->sub[s].id, .n = p->sub[s].n, .mode = p->sub[s].mode,
                                            .last = s + 1 == p->n_submodels};
    m->digests = may_be_final(p, m);
    lay_out(m, &b);
    node = m->node = DUNE_NEW_N(struct dune_core_node, n_nodes + 1);
    k = 0;
    for (uint32_t s = 0; s < p->n_submodels; s++) {
        if (p->sub[s].device != device)
            continue;
        make_fields(&m->sub[k].fields, &p->sub[s], &b);
        node = make_forest(&m->sub[k++], &p->sub[s], node);
    }
    return 0;
}

void dune_fast_model_fini(struct fast_model *m)
{
    for (uint32_t k = 0; m->sub && k < m->n_sub; k++)
        dune_fast_quick_free(m->sub[k].forest.quick);
    dune_mem_free(m->sub);
    dune_mem_free(m->node);
    memset(m, 0, sizeof(*m));
}
