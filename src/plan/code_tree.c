/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Code rows as boxes, and back to a tree.
 *
 * A thermometer code of k bits has k + 1 reachable words, so a reachable code key is a point of a
 * grid and a code row a box of it. Rows that come from a tree can always be cut in two by a plane
 * no box straddles. Cutting until one box is left proves that every point is in exactly one box and
 * yields the nodes. Each cut looks at its boxes once per feature, and no path cuts at the same
 * place twice: time is at most features x size of the code table, whatever the input.
 */
#include "plan/plan_int.h"

#include <string.h>

struct derive {
    const struct dune_submodel *sm;
    uint32_t t;
    const char *path;
    struct dune_diag *d;
    uint32_t **cut;        /* [n_feats][n_bits]: value of each bit's threshold */
    uint32_t *lo, *hi;     /* boxes: [n_leaves * n_feats], ones at least / at most */
    uint32_t *rlo, *rhi;   /* the region in hand */
    uint32_t *order;       /* leaves; a region owns a contiguous part */
    int32_t *cover, *ends; /* scratch, [key_bits + 2] */
    DUNE_VEC(struct dune_node) out;
};

struct choice {
    uint32_t feat, pos; /* left: at most pos ones */
    uint32_t left, worst;
    bool found;
};

/* Ones of a row's pattern: at least up to its last '1', at most up to its first '0'. */
static void read_pattern(const char *p, uint32_t n_bits, uint32_t *lo, uint32_t *hi)
{
    *lo = 0;
    *hi = n_bits;
    for (uint32_t i = 0; i < n_bits; i++) {
        if (p[i] == '1')
            *lo = i + 1;
        else if (p[i] == '0' && *hi == n_bits)
            *hi = i;
    }
}

static int read_boxes(struct derive *x)
{
    const struct dune_plan_tree *tr = &x->sm->tree[x->t];

    for (uint32_t i = 0; i < tr->n_leaves; i++) {
        const char *p = tr->match + (size_t)i * tr->key_bits;
        char place[160];

        for (uint32_t j = 0; j < x->sm->n_feats; j++) {
            uint32_t n_bits = x->sm->feat[j].n_bits[x->t];
            uint32_t *lo = &x->lo[(size_t)i * x->sm->n_feats + j];
            uint32_t *hi = &x->hi[(size_t)i * x->sm->n_feats + j];

            if (n_bits == 0)
                continue;
            read_pattern(p, n_bits, lo, hi);
            p += n_bits;
            if (*lo <= *hi)
                continue;
            snprintf(place, sizeof(place), "%s.leaves[%u].match", x->path, i);
            return dune_diag_set_place(x->d, DUNE_E_INPUT, NULL, place,
                                       "no value of %s has this code, the row can never match",
                                       dune_catalog[x->sm->feat[j].feat].name);
        }
    }
    return 0;
}

static void read_cuts(struct derive *x)
{
    for (uint32_t j = 0; j < x->sm->n_feats; j++) {
        const struct dune_plan_feature *f = &x->sm->feat[j];
        uint32_t ones = 0;

        x->cut[j] = DUNE_NEW_N(uint32_t, f->n_bits[x->t] + 1);
        for (uint32_t r = 1; f->n_bits[x->t] && r < f->n_rows; r++) {
            const char *word = f->code[x->t] + (size_t)r * f->n_bits[x->t];

            if (ones < f->n_bits[x->t] && word[ones] == '1')
                x->cut[j][ones++] = f->row[r].lo - 1;
        }
    }
}

/* Looks at all cuts of feature j through the region whose boxes are order[from, to). */
static void best_cut(struct derive *x, uint32_t j, uint32_t from, uint32_t to, struct choice *best)
{
    uint32_t lo = x->rlo[j], hi = x->rhi[j], left = 0;
    int32_t cover = 0;

    if (lo == hi)
        return;
    memset(x->cover, 0, (hi - lo + 2) * sizeof(*x->cover));
    memset(x->ends, 0, (hi - lo + 2) * sizeof(*x->ends));
    for (uint32_t i = from; i < to; i++) {
        size_t at = (size_t)x->order[i] * x->sm->n_feats + j;

        x->cover[x->lo[at] - lo]++;
        x->cover[x->hi[at] - lo]--;
        x->ends[x->hi[at] - lo]++;
    }
    for (uint32_t p = lo; p < hi; p++) {
        uint32_t worst;

        cover += x->cover[p - lo];
        left += (uint32_t)x->ends[p - lo];
        worst = DUNE_MAX(left, to - from - left);
        if (cover == 0 && (!best->found || worst < best->worst))
            *best = (struct choice){j, p, left, worst, true};
    }
}

static int fail_gap(struct derive *x, uint32_t j, uint32_t lo, uint32_t hi)
{
    const struct dune_plan_feature *f = &x->sm->feat[j];
    uint32_t first = lo ? x->cut[j][lo - 1] + 1 : 0;
    uint32_t last = hi < f->n_bits[x->t] ? x->cut[j][hi] : dune_feature_max(f->feat);
    char place[160];

    snprintf(place, sizeof(place), "%s.leaves", x->path);
    return dune_diag_set_place(x->d, DUNE_E_INPUT, NULL, place,
                               "no row matches some inputs with %s in %u..%u",
                               dune_catalog[f->feat].name, first, last);
}

static bool boxes_overlap(const struct derive *x, uint32_t a, uint32_t b)
{
    size_t n = x->sm->n_feats;

    for (size_t j = 0; j < n; j++)
        if (x->lo[a * n + j] > x->hi[b * n + j] || x->lo[b * n + j] > x->hi[a * n + j])
            return false;
    return true;
}

/* No cut works: names two rows that overlap if there are such. */
static int fail_region(struct derive *x, uint32_t from, uint32_t to)
{
    char place[160];

    for (uint32_t i = from; i < to; i++)
        for (uint32_t k = from; k < i; k++) {
            uint32_t a = DUNE_MIN(x->order[k], x->order[i]);
            uint32_t b = DUNE_MAX(x->order[k], x->order[i]);

            if (!boxes_overlap(x, a, b))
                continue;
            snprintf(place, sizeof(place), "%s.leaves[%u].match", x->path, b);
            return dune_diag_set_place(x->d, DUNE_E_INPUT, NULL, place,
                                       "row %u already matches some of these inputs", a);
        }
    snprintf(place, sizeof(place), "%s.leaves", x->path);
    return dune_diag_set_place(x->d, DUNE_E_INPUT, NULL, place,
                               "%u rows leave inputs out or are not those of a decision tree",
                               to - from);
}

static int check_single(struct derive *x, uint32_t leaf)
{
    for (uint32_t j = 0; j < x->sm->n_feats; j++) {
        size_t at = (size_t)leaf * x->sm->n_feats + j;

        if (x->lo[at] > x->rlo[j])
            return fail_gap(x, j, x->rlo[j], x->lo[at] - 1);
        if (x->hi[at] < x->rhi[j])
            return fail_gap(x, j, x->hi[at] + 1, x->rhi[j]);
    }
    return 0;
}

static void split_order(struct derive *x, const struct choice *c, uint32_t from, uint32_t to)
{
    uint32_t at = from;

    for (uint32_t i = from; i < to; i++) {
        uint32_t leaf = x->order[i];

        if (x->hi[(size_t)leaf * x->sm->n_feats + c->feat] > c->pos)
            continue;
        x->order[i] = x->order[at];
        x->order[at++] = leaf;
    }
}

static int cut_region(struct derive *x, uint32_t from, uint32_t to, uint32_t parent)
{
    struct dune_node v = {.feat = -1, .parent = parent};
    uint32_t id = (uint32_t)x->out.len, keep;
    struct choice c = {0};
    int rc;

    if (to - from == 1) {
        v.left = x->order[from];
        DUNE_VEC_PUSH(&x->out, v);
        return check_single(x, v.left);
    }
    for (uint32_t j = 0; j < x->sm->n_feats; j++)
        best_cut(x, j, from, to, &c);
    if (!c.found)
        return fail_region(x, from, to);
    if (c.left == 0)
        return fail_gap(x, c.feat, x->rlo[c.feat], c.pos);
    if (c.left == to - from)
        return fail_gap(x, c.feat, c.pos + 1, x->rhi[c.feat]);
    v.feat = (int32_t)c.feat;
    v.threshold = x->cut[c.feat][c.pos];
    v.left = id + 1;
    DUNE_VEC_PUSH(&x->out, v);
    split_order(x, &c, from, to);
    keep = x->rhi[c.feat];
    x->rhi[c.feat] = c.pos;
    rc = cut_region(x, from, from + c.left, id);
    x->rhi[c.feat] = keep;
    if (rc)
        return rc;
    x->out.data[id].right = (uint32_t)x->out.len;
    keep = x->rlo[c.feat];
    x->rlo[c.feat] = c.pos + 1;
    rc = cut_region(x, from + c.left, to, id);
    x->rlo[c.feat] = keep;
    return rc;
}

static void init_derive(struct derive *x)
{
    const struct dune_plan_tree *tr = &x->sm->tree[x->t];
    uint32_t n = x->sm->n_feats;

    x->cut = DUNE_NEW_N(uint32_t *, n + 1);
    x->lo = DUNE_NEW_N(uint32_t, (size_t)tr->n_leaves * n + 1);
    x->hi = DUNE_NEW_N(uint32_t, (size_t)tr->n_leaves * n + 1);
    x->rlo = DUNE_NEW_N(uint32_t, n + 1);
    x->rhi = DUNE_NEW_N(uint32_t, n + 1);
    x->order = DUNE_NEW_N(uint32_t, tr->n_leaves);
    x->cover = DUNE_NEW_N(int32_t, (size_t)tr->key_bits + 2);
    x->ends = DUNE_NEW_N(int32_t, (size_t)tr->key_bits + 2);
    for (uint32_t i = 0; i < tr->n_leaves; i++)
        x->order[i] = i;
    for (uint32_t j = 0; j < n; j++)
        x->rhi[j] = x->sm->feat[j].n_bits[x->t];
}

static void fini_derive(struct derive *x)
{
    for (uint32_t j = 0; j < x->sm->n_feats; j++)
        dune_mem_free(x->cut[j]);
    dune_mem_free(x->cut);
    dune_mem_free(x->lo);
    dune_mem_free(x->hi);
    dune_mem_free(x->rlo);
    dune_mem_free(x->rhi);
    dune_mem_free(x->order);
    dune_mem_free(x->cover);
    dune_mem_free(x->ends);
    DUNE_VEC_FREE(&x->out);
}

int dune_plan_tree_derive(const struct dune_submodel *sm, uint32_t t, const char *path,
                          struct dune_node **node, uint32_t *n_nodes, struct dune_diag *d)
{
    struct derive x = {.sm = sm, .t = t, .path = path, .d = d};
    int rc;

    init_derive(&x);
    read_cuts(&x);
    rc = read_boxes(&x);
    if (rc == 0)
        rc = cut_region(&x, 0, sm->tree[t].n_leaves, UINT32_MAX);
    if (rc == 0) {
        *node = dune_mem_realloc(x.out.data, x.out.len, sizeof(*x.out.data));
        *n_nodes = (uint32_t)x.out.len;
        x.out.data = NULL;
    }
    fini_derive(&x);
    return rc;
}
