/* SPDX-License-Identifier: Apache-2.0 */
/* A plan compiled for one device, or for all as one: the slot's layout, the fields of every vector, the trees as nodes. */
#include "targets/core/dune_core_model.h"
#include "targets/fast/fast_int.h"

#include <string.h>

enum { READY_BYTES = 5 /* a shim, and which of the sub-models claim */, READY_MAX = 8 /* sub-models */ };

static bool is_on(const struct dune_submodel *sm, uint16_t device)
{
    return device == DUNE_CORE_ALL_DEVICES || sm->device == device;
}

static int check_tree(const struct dune_plan_tree *tr, struct dune_diag *d)
{
    if (tr->node && tr->n_leaves && tr->n_leaves <= DUNE_MAX_LEAVES && tr->n_nodes == 2 * tr->n_leaves - 1)
        return 0;
    return dune_diag_set(d, DUNE_E_USAGE, NULL, "the plan's trees have no nodes: it was not read or verified");
}

/* f->at is known. */
static struct dune_core_node *make_forest(struct fast_forest *f, const struct dune_submodel *sm, uint32_t stride,
                                          struct dune_core_node *node)
{
    f->n_trees = sm->n_trees;
    f->stride = stride;
    for (uint32_t t = 0; t < sm->n_trees; t++) {
        f->tree[t].node = node;
        f->tree[t].n_nodes = dune_core_tree_make(node, &sm->tree[t], &f->tree[t].depth);
        for (uint32_t i = 0; i < f->tree[t].n_nodes; i++)
            if (node[i].feat)
                node[i].feat = f->at[node[i].feat - 1];
        node += f->tree[t].n_nodes;
    }
    f->avx2 = dune_fast_has_avx2();
    f->quick = dune_fast_quick_new(sm, f->at);
    f->wide = dune_fast_wide_new(sm, f->at);
    dune_fast_calibrate(f, sm);
    return node;
}

/* --- one vector for all sub-models ------------------------------------------------------------------------- */

/* The features of all sub-models that are on the device; at[k][j]: entry of feature j of sub-model k. */
struct uni {
    struct dune_plan_feature feat[DUNE_N_FEATURES];
    struct dune_submodel sm; /* feat is all that is used */
    uint8_t entry[DUNE_N_FEATURES]; /* by catalog id; 0: not used */
};

static void unite(struct uni *u, const struct dune_plan *p, uint16_t device)
{
    memset(u, 0, sizeof(*u));
    u->sm.feat = u->feat;
    for (uint32_t s = 0; s < p->n_submodels; s++)
        for (uint32_t j = 0; is_on(&p->sub[s], device) && j < p->sub[s].n_feats; j++) {
            uint8_t feat = p->sub[s].feat[j].feat;

            if (u->entry[feat])
                continue;
            u->feat[u->sm.n_feats++].feat = feat;
            u->entry[feat] = (uint8_t)u->sm.n_feats;
        }
}

/* Sub-models that are always asked together and see the same features of a packet. */
static bool share_vectors(const struct fast_model *m, const struct uni *u)
{
    for (uint32_t k = 0; k < m->n_sub; k++)
        if (m->sub[k].mode != DUNE_MODE_RUNNING || m->sub[k].n != m->sub[0].n)
            return false;
    return m->n_sub > 0 && (m->n_sub == 1 || u->sm.n_feats < 16);
}

static void make_subs(struct fast_model *m, const struct dune_plan *p, uint16_t device)
{
    struct dune_core_node *node = m->node;
    struct uni u;
    uint32_t k = 0;

    unite(&u, p, device);
    m->shared = share_vectors(m, &u);
    m->all_fresh = m->shared && m->n_sub == p->n_submodels && p->claim == DUNE_CLAIM_BEST && p->early_exit > 255;
    for (uint32_t s = 0; s < p->n_submodels; s++) {
        const struct dune_submodel *sm = &p->sub[s];
        struct fast_sub *sub = &m->sub[k];

        if (!is_on(sm, device))
            continue;
        dune_fast_fields_make(&sub->fields, m->shared ? &u.sm : sm, m->where);
        for (uint32_t j = 0; j < sm->n_feats; j++)
            sub->forest.at[j] = m->shared ? u.entry[sm->feat[j].feat] : (uint8_t)(j + 1);
        node = make_forest(&sub->forest, sm, sub->fields.stride, node);
        k++;
    }
}

/* --- a device -------------------------------------------------------------------------------------------- */

static int count_device(struct fast_model *m, const struct dune_plan *p, uint16_t device,
                        size_t *n_nodes, struct dune_diag *d)
{
    for (uint32_t s = 0; s < p->n_submodels; s++) {
        const struct dune_submodel *sm = &p->sub[s];

        if (!is_on(sm, device))
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
        m->keeps_state |= sm->mode != DUNE_MODE_PACKET;
        if (sm->mode == DUNE_MODE_PACKET)
            m->last_asked = UINT32_MAX;
        else
            m->last_read = p->syn_timeout ? UINT32_MAX : DUNE_MAX(m->last_read, sm->n);
        m->last_asked = DUNE_MAX(m->last_asked, sm->n);
    }
    return 0;
}

/*
 * Once all answers of a flow are stored, nothing changes its verdict any more: the slot may keep that, where
 * there is room, all sub-models of the chain are here, and either all of them or none has its say.
 */
static void find_ready(struct fast_model *m, const struct dune_plan *p)
{
    bool all_speak = m->n_sub == 1 || (p->claim == DUNE_CLAIM_BEST && p->early_exit > 255);
    uint32_t at = (m->layout.end + 3u) & ~3u;

    if (m->n_sub == 0 || m->n_sub != p->n_submodels || m->n_sub > READY_MAX || !all_speak || m->last_asked == UINT32_MAX ||
        at + READY_BYTES + 3 > m->layout.bytes)
        return;
    m->ready = (uint16_t)at;
}

int dune_fast_model_init(struct fast_model *m, const struct dune_plan *p, uint16_t device, struct dune_diag *d)
{
    size_t n_nodes = 0;
    uint32_t k = 0;
    int rc = count_device(m, p, device, &n_nodes, d);

    if (rc)
        return rc;
    m->sub = DUNE_NEW_N(struct fast_sub, m->n_sub + 1);
    for (uint32_t s = 0; s < p->n_submodels; s++)
        if (is_on(&p->sub[s], device))
            m->sub[k++] = (struct fast_sub){.id = p->sub[s].id, .n = p->sub[s].n, .mode = p->sub[s].mode,
                                            .device = p->sub[s].device, .last = s + 1 == p->n_submodels};
    dune_core_layout_make(&m->layout, m->where, p, device);
    m->digests = m->layout.use & DUNE_CORE_DIGEST;
    find_ready(m, p);
    m->node = DUNE_NEW_N(struct dune_core_node, n_nodes + 1);
    make_subs(m, p, device);
    return 0;
}

void dune_fast_model_fini(struct fast_model *m)
{
    for (uint32_t k = 0; m->sub && k < m->n_sub; k++) {
        dune_fast_quick_free(m->sub[k].forest.quick);
        dune_fast_wide_free(m->sub[k].forest.wide);
    }
    dune_mem_free(m->sub);
    dune_mem_free(m->node);
    memset(m, 0, sizeof(*m));
}
