/* SPDX-License-Identifier: Apache-2.0 */
/* A plan compiled for one device: the slot's layout, the fields of every vector, the trees as nodes. */
#include "targets/core/dune_core_model.h"
#include "targets/fast/fast_int.h"

#include <string.h>

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
        f->tree[t].n_nodes = dune_core_tree_make(node, &sm->tree[t], &f->tree[t].depth);
        node += f->tree[t].n_nodes;
    }
    f->quick = dune_fast_quick_new(sm);
    dune_fast_calibrate(f, sm);
    return node;
}

/* --- a device -------------------------------------------------------------------------------------------- */

static int count_device(struct fast_model *m, const struct dune_plan *p, uint16_t device,
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
        m->keeps_state |= sm->mode != DUNE_MODE_PACKET;
        if (sm->mode == DUNE_MODE_PACKET)
            m->last_asked = UINT32_MAX;
        else
            m->last_read = DUNE_MAX(m->last_read, sm->n);
        m->last_asked = DUNE_MAX(m->last_asked, sm->n);
    }
    return 0;
}

int dune_fast_model_init(struct fast_model *m, const struct dune_plan *p, uint16_t device, struct dune_diag *d)
{
    uint16_t where[DUNE_N_FEATURES];
    struct dune_core_node *node;
    size_t n_nodes = 0;
    uint32_t k = 0;
    int rc = count_device(m, p, device, &n_nodes, d);

    if (rc)
        return rc;
    m->sub = DUNE_NEW_N(struct fast_sub, m->n_sub + 1);
    for (uint32_t s = 0; s < p->n_submodels; s++)
        if (p->sub[s].device == device)
            m->sub[k++] = (struct fast_sub){.id = p->sub[s].id, .n = p->sub[s].n, .mode = p->sub[s].mode,
                                            .last = s + 1 == p->n_submodels};
    dune_core_layout_make(&m->layout, where, p, device);
    m->digests = m->layout.use & DUNE_CORE_DIGEST;
    node = m->node = DUNE_NEW_N(struct dune_core_node, n_nodes + 1);
    k = 0;
    for (uint32_t s = 0; s < p->n_submodels; s++) {
        if (p->sub[s].device != device)
            continue;
        dune_core_fields_make(&m->sub[k].fields, &p->sub[s], where);
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
