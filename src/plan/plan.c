/* SPDX-License-Identifier: Apache-2.0 */
/* Life of a plan: defaults, deep copy, freeing. */
#include "plan/plan_int.h"

#include <string.h>

struct dune_plan *dune_plan_new(void)
{
    struct dune_plan *p = DUNE_NEW(struct dune_plan);

    p->version = DUNE_PLAN_VERSION;
    p->name = dune_mem_strdup("plan");
    p->generation = 1;
    p->parser = (struct dune_parser_limits){2, 40, 2, 64, true};
    p->claim = DUNE_CLAIM_BEST;
    p->early_exit = 256;
    p->fallback = DUNE_FALLBACK_NONE;
    p->timeout = dune_tick(UINT64_C(60000000000));
    p->hash = DUNE_HASH_SIPHASH;
    p->slots = 65536;
    p->ways = 4;
    p->shim_ethertype = DUNE_ETHERTYPE_SHIM_DEFAULT;
    return p;
}

void dune_plan_set_name(struct dune_plan *p, const char *name)
{
    char *copy = dune_mem_strdup(name);

    dune_mem_free(p->name);
    p->name = copy;
}

static void fini_feature(struct dune_plan_feature *f, uint32_t n_trees)
{
    for (uint32_t t = 0; f->code && t < n_trees; t++)
        dune_mem_free(f->code[t]);
    dune_mem_free(f->code);
    dune_mem_free(f->n_bits);
    dune_mem_free(f->row);
}

void dune_submodel_fini(struct dune_submodel *sm)
{
    for (uint32_t j = 0; sm->feat && j < sm->n_feats; j++)
        fini_feature(&sm->feat[j], sm->n_trees);
    for (uint32_t t = 0; sm->tree && t < sm->n_trees; t++) {
        dune_mem_free(sm->tree[t].match);
        dune_mem_free(sm->tree[t].leaf);
        dune_mem_free(sm->tree[t].node);
    }
    dune_mem_free(sm->feat);
    dune_mem_free(sm->tree);
    dune_mem_free(sm->cls);
    memset(sm, 0, sizeof(*sm));
}

static void fini_provenance(struct dune_provenance *v)
{
    dune_mem_free(v->data_hash);
    dune_mem_free(v->solution);
    dune_mem_free(v->options);
    dune_mem_free(v->scores);
}

void dune_plan_free(struct dune_plan *p)
{
    if (!p)
        return;
    for (uint32_t i = 0; p->cls && i < p->n_classes; i++)
        dune_mem_free(p->cls[i].name);
    for (uint32_t i = 0; p->sub && i < p->n_submodels; i++)
        dune_submodel_fini(&p->sub[i]);
    for (uint32_t i = 0; p->device && i < p->n_devices; i++) {
        dune_mem_free(p->device[i].name);
        dune_mem_free(p->device[i].profile);
    }
    fini_provenance(&p->provenance);
    dune_mem_free(p->filter.prefix);
    dune_mem_free(p->filter.port);
    dune_mem_free(p->filter.proto);
    dune_mem_free(p->device);
    dune_mem_free(p->sub);
    dune_mem_free(p->cls);
    dune_mem_free(p->name);
    dune_mem_free(p);
}

static void *dup_array(const void *src, size_t n, size_t bytes)
{
    void *copy;

    if (!src || n == 0)
        return NULL;
    copy = dune_mem_alloc(n, bytes);
    memcpy(copy, src, n * bytes);
    return copy;
}

static char *dup_string(const char *s)
{
    return s ? dune_mem_strdup(s) : NULL;
}

static void copy_feature(struct dune_plan_feature *to, const struct dune_plan_feature *from,
                         uint32_t n_trees)
{
    *to = *from;
    to->row = dup_array(from->row, from->n_rows, sizeof(*from->row));
    to->n_bits = dup_array(from->n_bits, n_trees, sizeof(*from->n_bits));
    to->code = dup_array(from->code, n_trees, sizeof(*from->code));
    for (uint32_t t = 0; to->code && t < n_trees; t++)
        to->code[t] = dup_array(from->code[t], (size_t)from->n_rows * from->n_bits[t], 1);
}

static void copy_submodel(struct dune_submodel *to, const struct dune_submodel *from)
{
    *to = *from;
    to->cls = dup_array(from->cls, from->n_classes, 1);
    to->feat = dup_array(from->feat, from->n_feats, sizeof(*from->feat));
    to->tree = dup_array(from->tree, from->n_trees, sizeof(*from->tree));
    for (uint32_t j = 0; to->feat && j < from->n_feats; j++)
        copy_feature(&to->feat[j], &from->feat[j], from->n_trees);
    for (uint32_t t = 0; to->tree && t < from->n_trees; t++) {
        const struct dune_plan_tree *tr = &from->tree[t];

        to->tree[t].match = dup_array(tr->match, (size_t)tr->n_leaves * tr->key_bits, 1);
        to->tree[t].leaf = dup_array(tr->leaf, tr->n_leaves, sizeof(*tr->leaf));
        to->tree[t].node = dup_array(tr->node, tr->n_nodes, sizeof(*tr->node));
    }
}

struct dune_plan *dune_plan_clone(const struct dune_plan *p)
{
    struct dune_plan *c = DUNE_NEW(struct dune_plan);
    struct dune_provenance *v = &c->provenance;

    *c = *p;
    c->name = dup_string(p->name);
    c->cls = dup_array(p->cls, p->n_classes, sizeof(*p->cls));
    for (uint32_t i = 0; c->cls && i < p->n_classes; i++)
        c->cls[i].name = dup_string(p->cls[i].name);
    c->filter.prefix = dup_array(p->filter.prefix, p->filter.n_prefixes, sizeof(*p->filter.prefix));
    c->filter.port = dup_array(p->filter.port, p->filter.n_ports, sizeof(*p->filter.port));
    c->filter.proto = dup_array(p->filter.proto, p->filter.n_protos, 1);
    c->sub = dup_array(p->sub, p->n_submodels, sizeof(*p->sub));
    for (uint32_t i = 0; c->sub && i < p->n_submodels; i++)
        copy_submodel(&c->sub[i], &p->sub[i]);
    c->device = dup_array(p->device, p->n_devices, sizeof(*p->device));
    for (uint32_t i = 0; c->device && i < p->n_devices; i++) {
        c->device[i].name = dup_string(p->device[i].name);
        c->device[i].profile = dup_string(p->device[i].profile);
    }
    v->data_hash = dup_string(p->provenance.data_hash);
    v->solution = dup_string(p->provenance.solution);
    v->options = dup_string(p->provenance.options);
    v->scores = dup_string(p->provenance.scores);
    return c;
}
