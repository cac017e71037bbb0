/* SPDX-License-Identifier: Apache-2.0 */
/* Random plans that are right by construction, and engines side by side: a difference is a crash. */
#ifndef DUNE_TESTS_FUZZ_ENGINE_KIT_H
#define DUNE_TESTS_FUZZ_ENGINE_KIT_H

#include <stdlib.h>
#include <string.h>

#include "base/base.h"
#include "dune/engine.h"

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
    for (uint32_t j = 0; j < sm->n_feats; j++)
        sm->n = DUNE_MAX(sm->n, dune_catalog[sm->feat[j].feat].kth);
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
        p->cls[c].action_any = dune_rng_below(r, 2) && p->cls[c].action >= DUNE_ACTION_DROP;
        p->cls[c].min_confidence = (uint16_t)dune_rng_below(r, 200);
    }
    p->n_devices = 1 + (uint32_t)dune_rng_below(r, 3);
    p->device = DUNE_NEW_N(struct dune_plan_device, p->n_devices);
    for (uint32_t i = 0; i < p->n_devices; i++) {
        p->device[i].name = dune_mem_printf("s%u", i + 1);
        p->device[i].profile = dune_mem_strdup("engine");
    }
    p->n_submodels = (uint32_t)dune_rng_below(r, 4);
    p->sub = DUNE_NEW_N(struct dune_submodel, p->n_submodels + 1);
    for (uint32_t s = 0; s < p->n_submodels; s++)
        add_submodel(r, p, s);
    p->claim = (enum dune_claim_rule)dune_rng_below(r, 2);
    p->early_exit = (uint16_t)dune_rng_below(r, 257);
    p->fallback = p->claim == DUNE_CLAIM_BEST ? (enum dune_fallback)dune_rng_below(r, 2) : DUNE_FALLBACK_NONE;
    p->hash = (enum dune_hash_kind)dune_rng_below(r, 2);
    p->timeout = dune_rng_below(r, 3) ? 200 : DUNE_TIMEOUT_NONE;
    p->chain_mtu = dune_rng_below(r, 3) ? 0 : 128 + (uint32_t)dune_rng_below(r, 500);
    return p;
}

static void compare_verdicts(const struct dune_verdict *a, const struct dune_verdict *b)
{
    if (a->cls != b->cls || a->conf != b->conf || a->submodel != b->submodel || a->flags != b->flags ||
        a->reason != b->reason || a->fate != b->fate || a->inferable != b->inferable || a->dropped != b->dropped ||
        a->answered != b->answered || a->device != b->device || a->generation != b->generation ||
        a->rule_hit != b->rule_hit || a->steer_port != b->steer_port)
        abort();
}

static void compare_frames(const struct dune_chain_frame *a, const struct dune_chain_frame *b)
{
    if (!a->data != !b->data || a->cap_len != b->cap_len || a->wire_len != b->wire_len ||
        (a->data && a->cap_len && memcmp(a->data, b->data, a->cap_len) != 0))
        abort();
}

/* The same packets through n chains; the first is the judge. */
static void compare(struct dune_chain **c, int n_chains, const struct dune_chain_packet *pkt, unsigned n)
{
    struct dune_verdict v[2][DUNE_BURST_MAX];
    struct dune_chain_frame f[2][DUNE_BURST_MAX];

    for (int e = 0; e < n_chains; e++) {
        if (c[e]->ops->burst(c[e], pkt, n, v[e != 0], f[e != 0], NULL))
            abort();
        for (unsigned i = 0; e && i < n; i++) {
            compare_verdicts(&v[0][i], &v[1][i]);
            compare_frames(&f[0][i], &f[1][i]);
        }
    }
}

static void compare_counters(struct dune_chain **c, int n_chains, uint32_t n_devices)
{
    struct dune_counters a, b;

    for (uint32_t i = 0; i < n_devices; i++)
        for (int e = 1; e < n_chains; e++) {
            c[0]->ops->counters(c[0], i, &a);
            c[e]->ops->counters(c[e], i, &b);
            if (memcmp(&a, &b, sizeof(a)) != 0)
                abort();
        }
}

#endif
