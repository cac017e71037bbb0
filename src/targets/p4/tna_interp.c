/* SPDX-License-Identifier: Apache-2.0 */
/* What the TNA program does with its entries: words of answers, one maximum, one verdict table. */
#include "targets/p4/p4_interp_int.h"

#include <string.h>

enum { MAX_KEY = DUNE_N_FEATURES + 4 };

/* A key, field by field. */
struct key {
    uint8_t bytes[MAX_KEY][4];
    struct p4_num field[MAX_KEY];
    uint32_t n;
};

static void add(struct key *k, uint32_t v)
{
    uint8_t *b = k->bytes[k->n];

    b[0] = (uint8_t)(v >> 24);
    b[1] = (uint8_t)(v >> 16);
    b[2] = (uint8_t)(v >> 8);
    b[3] = (uint8_t)v;
    k->field[k->n++] = (struct p4_num){b, 4};
}

static void start(struct key *k, const struct dune_p4_tables *t, uint32_t g)
{
    k->n = 0;
    if (t->sets)
        add(k, g);
}

static uint32_t low(const struct p4_num *v)
{
    uint32_t x = 0;

    for (uint32_t i = v->n > 4 ? v->n - 4 : 0; i < v->n; i++)
        x = x << 8 | v->b[i];
    return x;
}

static bool of_set(const struct dune_p4_tables *t, const struct p4_row *r, uint32_t g)
{
    return !t->sets || (r->n_cells && low(&r->cell[0].value) == g);
}

/* --- points -------------------------------------------------------------------------------------------- */

static uint32_t id_of_leaves(const struct dune_p4_tables *t, uint32_t g, uint32_t k)
{
    char name[32];
    const struct p4_table *x;

    snprintf(name, sizeof(name), "sub_%u.t_0", k);
    x = p4_find_table(t, name);
    for (size_t i = 0; x && i < x->rows.len; i++) {
        const struct p4_row *r = &x->rows.data[i];

        if (!of_set(t, r, g))
            continue;
        if (r->n_params == 5)
            return 255 - (uint32_t)(p4_row_value(r, 4) & 255);
        if (r->n_params == 1 && p4_row_value(r, 0))
            return 255 - (uint32_t)(p4_row_value(r, 0) >> P4_TNA_ID_SHIFT & 255);
    }
    return UINT32_MAX;
}

void p4_tna_point(const struct dune_p4_tables *t, uint32_t g, uint32_t k, uint32_t *id, uint32_t *n)
{
    char name[32];
    const struct p4_table *x;

    *n = 0;
    *id = id_of_leaves(t, g, k);
    snprintf(name, sizeof(name), "sub_%u.kind", k);
    x = p4_find_table(t, name);
    for (size_t i = 0; x && i < x->rows.len; i++) {
        const struct p4_row *r = &x->rows.data[i];

        if (r->n_cells == (t->sets ? 2u : 1u) && of_set(t, r, g) && p4_row_value(r, 0) == 2)
            *n = low(&r->cell[r->n_cells - 1].value);
    }
}

/* --- answers ------------------------------------------------------------------------------------------- */

static int ask_tree(const struct dune_p4_tables *t, uint32_t g, uint32_t k, uint32_t tree,
                    const struct p4_row *const *hit, const struct p4_row **leaf, struct dune_diag *d)
{
    struct p4_num field[MAX_KEY];
    struct key key;
    uint32_t n, hits;
    char name[32];

    start(&key, t, g);
    n = key.n;
    if (n)
        field[0] = key.field[0];
    for (uint32_t j = 0; j < t->sub[k].n_feats; j++)
        for (uint32_t i = 0; i < hit[j]->n_params; i++)
            if (hit[j]->param[i].tree == tree && n < MAX_KEY)
                field[n++] = hit[j]->param[i].value;
    snprintf(name, sizeof(name), "sub_%u.t_%u", k, tree);
    if (n == key.n) { /* a tree of one leaf: anything matches */
        add(&key, 1);
        field[n] = key.field[n];
        n++;
    }
    *leaf = p4_look_up(p4_find_table(t, name), field, n, &hits);
    if (hits == 1)
        return 0;
    return dune_diag_set(d, DUNE_E_INTERNAL, NULL, "%s: %u rows match", name, hits);
}

/* The vote is in the program: it follows from which classes are equal. */
static uint32_t winners(const uint8_t *cls, uint32_t n)
{
    uint8_t group[DUNE_P4_MAX_TREES] = {0};

    for (uint32_t i = 0, groups = 0; i < n; i++) {
        for (uint32_t j = 0; j < i && !group[i] && cls[i]; j++)
            if (cls[j] == cls[i])
                group[i] = group[j];
        if (!group[i] && cls[i])
            group[i] = (uint8_t)++groups;
    }
    return p4_winners(n, group);
}

static struct dune_sub_answer vote(const struct p4_row *const *leaf, uint32_t n)
{
    struct dune_sub_answer a = {0};
    uint8_t cls[DUNE_P4_MAX_TREES], own[DUNE_P4_MAX_TREES];
    uint32_t mask;

    for (uint32_t i = 0; i < n; i++) {
        cls[i] = (uint8_t)p4_row_value(leaf[i], 0);
        own[i] = (uint8_t)p4_row_value(leaf[i], 2);
    }
    for (int second = 0; second < 2; second++) {
        const uint8_t *c = second ? own : cls;

        a.cls = a.conf = 0;
        mask = winners(c, n);
        for (uint32_t i = n; i-- > 0;)
            if (mask >> i & 1) {
                a.cls = c[i];
                a.conf = (uint8_t)(a.conf + p4_row_value(leaf[i], second ? 3 : 1));
            }
        a.claim = !second && a.cls != DUNE_PLAN_OTHER;
        if (a.claim)
            break;
    }
    return a;
}

static struct dune_sub_answer decode(uint32_t word)
{
    return (struct dune_sub_answer){.cls = (uint8_t)(word >> P4_TNA_CLASS_SHIFT),
                                    .conf = (uint8_t)(word >> P4_TNA_CONF_SHIFT),
                                    .claim = word & P4_TNA_CLAIM};
}

int p4_tna_answer(const struct dune_p4_tables *t, uint32_t g, uint32_t k, const uint32_t *features,
                  struct dune_sub_answer *a, struct dune_diag *d)
{
    const struct p4_row *hit[DUNE_N_FEATURES], *leaf[DUNE_P4_MAX_TREES];
    uint32_t n_trees = t->sub[k].n_trees;
    int rc = 0;

    for (uint32_t j = 0; j < t->sub[k].n_feats; j++) {
        const struct p4_table *x = &t->data[t->sub[k].table[j]];
        uint32_t v = features[t->sub[k].feat[j]], hits;
        struct key key;

        start(&key, t, g);
        if (x->rows.len && x->rows.data[0].n_cells == key.n + 2)
            add(&key, 2); /* the kind: whoever must not see the value has 0 in its place */
        add(&key, v);
        hit[j] = p4_look_up(x, key.field, key.n, &hits);
        if (!hit[j] || (hits != 1 && hit[j]->cell[key.n - 1].kind != P4_TERNARY))
            return dune_diag_set(d, DUNE_E_INTERNAL, NULL, "%s: %u rows match %u", x->name, hits, v);
    }
    for (uint32_t i = 0; i < n_trees && rc == 0; i++)
        rc = ask_tree(t, g, k, i, hit, &leaf[i], d);
    if (rc == 0 && n_trees)
        *a = n_trees == 1 ? decode((uint32_t)p4_row_value(leaf[0], 0)) : vote(leaf, n_trees);
    return rc;
}

/* --- claims -------------------------------------------------------------------------------------------- */

static uint32_t word(bool claim, uint32_t conf, uint32_t id, uint32_t cls, bool fl)
{
    return cls == 0 ? 0
                    : (claim ? P4_TNA_CLAIM : 0) | conf << P4_TNA_CONF_SHIFT | (255 - id) << P4_TNA_ID_SHIFT |
                          cls << P4_TNA_CLASS_SHIFT | fl;
}

/* The row's flags: final; on the last sub-model of the device also what kind of answer is carried. */
static int apply_verdict(const struct dune_p4_tables *t, uint32_t k, const struct p4_row *r, uint32_t cur,
                         struct dune_shim *s, struct dune_diag *d)
{
    uint8_t flags = (uint8_t)p4_row_value(r, 0), cls = (uint8_t)(cur >> P4_TNA_CLASS_SHIFT);
    uint8_t kind = (uint8_t)((cls && !(cur & P4_TNA_CLAIM) ? DUNE_SHIM_TENTATIVE : 0) | (cur & 1 ? DUNE_SHIM_FL : 0));
    bool last = k + 1 == t->n_sub, ends = r && flags & DUNE_SHIM_FINAL;

    if (cur) { /* 0: there is no answer, the fields stay 0 */
        s->cls = cls;
        s->conf = (uint8_t)(cur >> P4_TNA_CONF_SHIFT);
        s->submodel = (uint8_t)(255 - (cur >> P4_TNA_ID_SHIFT & 255));
    }
    if (last && ends && !(flags & DUNE_SHIM_TENTATIVE) && kind & DUNE_SHIM_TENTATIVE)
        kind &= (uint8_t)~DUNE_SHIM_TENTATIVE; /* unclaimed */
    if (last && (flags & (DUNE_SHIM_TENTATIVE | DUNE_SHIM_FL)) != kind)
        return dune_diag_set(d, DUNE_E_INTERNAL, NULL, "claim_%u.verdict: flags %02x of answer %08x", k, flags, cur);
    s->flags = (uint8_t)((s->flags & ~(DUNE_SHIM_TENTATIVE | DUNE_SHIM_FL)) | kind | flags);
    return 0;
}

int p4_tna_combine(const struct dune_p4_tables *t, uint32_t g, uint32_t k, const struct dune_sub_answer *a, bool fl,
                   uint64_t count, struct dune_shim *s, struct dune_diag *d)
{
    bool claim = s->cls && !(s->flags & DUNE_SHIM_TENTATIVE);
    uint32_t cur = word(claim, s->conf, s->submodel, s->cls, s->flags & DUNE_SHIM_FL), ans = 0, id, n, hits;
    const struct p4_table *x;
    const struct p4_row *r;
    struct key key;
    char name[32];
    int rc;

    if (s->flags & DUNE_SHIM_FINAL)
        return 0;
    p4_tna_point(t, g, k, &id, &n);
    if (n == 0 || count < n)
        s->flags &= (uint8_t)~DUNE_SHIM_SETTLED;
    if (a)
        ans = word(a->claim, a->conf, id, a->cls, fl);
    if (t->first_claim)
        cur = ans & P4_TNA_CLAIM ? ans : cur;
    else
        cur = DUNE_MAX(cur, ans);
    snprintf(name, sizeof(name), "claim_%u.verdict", k);
    x = p4_find_table(t, name);
    start(&key, t, g);
    add(&key, 0);
    add(&key, cur >> 31);
    add(&key, cur & 1);
    add(&key, cur >> P4_TNA_CLASS_SHIFT & 255);
    add(&key, cur >> P4_TNA_CONF_SHIFT & 255);
    r = p4_look_up(x, key.field, key.n, &hits);
    rc = apply_verdict(t, k, r, cur, s, d);
    if (rc == 0 && r && strcmp(r->action, "unclaimed") == 0)
        s->cls = 0;
    return rc;
}
