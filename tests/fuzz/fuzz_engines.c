/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The fast engine against the reference. Eight bytes choose plan and options, then packets follow: two
 * bytes of length and direction of time, one of the time step, the frame.
 */
#include <stdlib.h>
#include <string.h>

#include "base/base.h"
#include "dune/engine.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len);

/* A tree that splits its leaves in turn. */
static void grow(struct dune_rng *r, struct dune_tree *t, const struct dune_forest *f, uint32_t leaves)
{
    t->n_nodes = 2 * leaves - 1;
    t->node = DUNE_NEW_N(struct dune_node, t->n_nodes);
    t->hist = DUNE_NEW_N(uint64_t, (size_t)t->n_nodes * f->n_classes);
    for (uint32_t i = 0; i < t->n_nodes; i++) {
        t->node[i].feat = -1;
        t->hist[i * f->n_classes + dune_rng_below(r, f->n_classes)] = 1 + dune_rng_below(r, 9);
    }
    t->node[0].parent = UINT32_MAX;
    for (uint32_t k = 0; k + 1 < leaves; k++) {
        struct dune_node *v = &t->node[k]; /* breadth first: node k is a leaf until now */

        v->feat = (int32_t)dune_rng_below(r, f->n_feats);
        v->threshold = (uint32_t)dune_rng_below(r, DUNE_MIN(dune_feature_max(f->feat[v->feat]), 3000));
        v->left = 2 * k + 1;
        v->right = 2 * k + 2;
        t->node[v->left].parent = t->node[v->right].parent = k;
    }
}

static void add_submodel(struct dune_rng *r, struct dune_plan *p, uint32_t s)
{
    uint8_t feat[5], to_plan[3] = {1, 2, DUNE_PLAN_OTHER};
    struct dune_tree tree[3];
    struct dune_forest f = {.n_trees = 1 + (uint32_t)dune_rng_below(r, 3), .n_feats = 5, .n_classes = 3,
                            .feat = feat, .n = 3, .tree = tree};
    struct dune_submodel *sm = &p->sub[s];
    struct dune_diag d = {0};

    for (uint32_t j = 0; j < 5; j++)
        feat[j] = (uint8_t)((dune_rng_below(r, 10) + 10 * j) % DUNE_N_FEATURES);
    for (uint32_t t = 0; t < f.n_trees; t++)
        grow(r, &tree[t], &f, 2 + (uint32_t)dune_rng_below(r, 30));
    if (dune_submodel_from_forest(sm, &f, f.n_trees, 0, to_plan, &d))
        abort();
    for (uint32_t t = 0; t < f.n_trees; t++) {
        dune_mem_free(tree[t].node);
        dune_mem_free(tree[t].hist);
    }
    sm->id = (uint8_t)(1 + s);
    sm->n = (uint8_t)(1 + dune_rng_below(r, 4));
    sm->mode = (enum dune_mode)dune_rng_below(r, DUNE_N_MODES);
    sm->n_classes = 2;
    sm->cls = dune_mem_zalloc(2, 1);
    sm->cls[0] = 1;
    sm->cls[1] = 2;
    sm->device = (uint16_t)DUNE_MIN(s, p->n_devices - 1);
}

static struct dune_plan *make_plan(struct dune_rng *r)
{
    struct dune_plan *p = dune_plan_new();

    p->n_classes = 2;
    p->cls = DUNE_NEW_N(struct dune_plan_class, 2);
    for (int c = 0; c < 2; c++) {
        p->cls[c].name = dune_mem_printf("class %d", c);
        p->cls[c].action = (enum dune_action_kind)dune_rng_below(r, 5);
        p->cls[c].action_any = dune_rng_below(r, 2);
        p->cls[c].min_confidence = (uint16_t)dune_rng_below(r, 200);
    }
    p->n_devices = 1 + (uint32_t)dune_rng_below(r, 3);
    p->device = DUNE_NEW_N(struct dune_plan_device, p->n_devices);
    p->n_submodels = (uint32_t)dune_rng_below(r, 4);
    p->sub = DUNE_NEW_N(struct dune_submodel, p->n_submodels + 1);
    for (uint32_t s = 0; s < p->n_submodels; s++)
        add_submodel(r, p, s);
    p->claim = (enum dune_claim_rule)dune_rng_below(r, 2);
    p->early_exit = (uint16_t)dune_rng_below(r, 257);
    p->fallback = (enum dune_fallback)dune_rng_below(r, 2);
    p->hash = (enum dune_hash_kind)dune_rng_below(r, 2);
    p->timeout = dune_rng_below(r, 3) ? 200 : DUNE_TIMEOUT_NONE;
    p->chain_mtu = dune_rng_below(r, 3) ? 0 : 128 + (uint32_t)dune_rng_below(r, 500);
    return p;
}

static void compare(struct dune_chain *c[2], const struct dune_chain_packet *pkt, unsigned n)
{
    struct dune_verdict v[2][DUNE_BURST_MAX];
    struct dune_chain_frame f[2][DUNE_BURST_MAX];

    for (int e = 0; e < 2; e++)
        if (c[e]->ops->burst(c[e], pkt, n, v[e], f[e], NULL))
            abort();
    for (unsigned i = 0; i < n; i++) {
        const struct dune_verdict *a = &v[0][i], *b = &v[1][i];

        if (a->cls != b->cls || a->conf != b->conf || a->submodel != b->submodel || a->flags != b->flags ||
            a->reason != b->reason || a->fate != b->fate || a->inferable != b->inferable ||
            a->dropped != b->dropped || a->answered != b->answered || a->device != b->device ||
            a->generation != b->generation || a->rule_hit != b->rule_hit || a->steer_port != b->steer_port)
            abort();
        if (!f[0][i].data != !f[1][i].data || f[0][i].cap_len != f[1][i].cap_len ||
            f[0][i].wire_len != f[1][i].wire_len ||
            (f[0][i].data && f[0][i].cap_len && memcmp(f[0][i].data, f[1][i].data, f[0][i].cap_len)))
            abort();
    }
}

static void run(struct dune_chain *c[2], const uint8_t *data, size_t len)
{
    struct dune_chain_packet pkt[DUNE_BURST_MAX];
    uint64_t tick = 100000;
    unsigned n = 0;

    while (len >= 3) {
        size_t want = (size_t)(data[0] & 3) << 8 | data[1];
        uint64_t step = (uint64_t)data[2] * (data[0] & 0x20 ? 100 : 1);

        tick = data[0] & 0x80 ? tick - DUNE_MIN(step, tick) : tick + step;
        data += 3;
        len -= 3;
        want = DUNE_MIN(want, len);
        pkt[n++] = (struct dune_chain_packet){data, (uint32_t)want, (uint32_t)want, tick};
        data += want;
        len -= want;
        if (n == DUNE_BURST_MAX || len < 3) {
            compare(c, pkt, n);
            n = 0;
        }
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len)
{
    const struct dune_engine_ops *ops[2] = {&dune_engine_reference, &dune_engine_fast};
    struct dune_chain *c[2] = {NULL, NULL};
    struct dune_chain_opts o;
    struct dune_counters a, b;
    struct dune_plan *p;
    struct dune_rng r;

    if (len < 8)
        return 0;
    dune_rng_init(&r, (uint64_t)data[0] << 8 | data[1], 5, 0, 0);
    p = make_plan(&r);
    o = (struct dune_chain_opts){.slots = UINT32_C(1) << (data[2] & 7), .ways = 1 + (data[2] >> 3 & 7),
                                 .rules = data[3] & 1, .drop_edge_shim = data[3] & 2, .keep_shim = data[3] & 4,
                                 .rules_everywhere = data[3] & 8, .rule_delay = data[4],
                                 .digest_rate = data[5], .rules_max = data[6]};
    for (int e = 0; e < 2; e++)
        if (ops[e]->open(&c[e], p, &o, NULL))
            abort();
    run(c, data + 8, len - 8);
    for (uint32_t i = 0; i < p->n_devices; i++) {
        ops[0]->counters(c[0], i, &a);
        ops[1]->counters(c[1], i, &b);
        if (memcmp(&a, &b, sizeof(a)))
            abort();
    }
    ops[0]->close(c[0]);
    ops[1]->close(c[1]);
    dune_plan_free(p);
    return 0;
}
