/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The order of the sub-models by what the whole chain then scores.
 *
 * What an order does to an item depends only on the item's class and on the answers of all sub-models to
 * it. So items collapse into weighted patterns; those on which every order decides alike are counted once
 * for all, and only the others are decided again per order.
 */
#include "submodels/submodels_int.h"

#include <string.h>

#include "base/base.h"
#include "dune/submodels.h"

enum { MAX_EXACT = 8, NARROW = 16 };
#define TIE 1e-12

struct patterns {
    unsigned n; /* sub-models */
    size_t len, cap;
    uint16_t *truth;
    uint64_t *w;
    struct dune_item_answer *col[DUNE_MAX_SUBMODELS]; /* [n][cap] */
    uint32_t *slot;                                   /* hash table of indices + 1 */
    size_t n_slots;
};

struct chain_search {
    const struct dune_chain_rule *rule;
    const uint8_t *id;
    unsigned n;
    struct patterns p;
    struct dune_confusion fixed, conf; /* what no order changes; scratch */
};

/* What of an answer the claim rule looks at. */
static struct dune_item_answer reduce(const struct dune_item_answer *a, const struct dune_chain_rule *rule)
{
    static const struct dune_item_answer none = {.cls = DUNE_NO_CLASS};
    struct dune_item_answer r = *a;

    if (a->cls == DUNE_NO_CLASS || (rule->claim == DUNE_CLAIM_FIRST && !a->claim))
        return none;
    if (rule->claim == DUNE_CLAIM_FIRST)
        r.conf = 0;
    return r;
}

/* Can the order change what becomes of this item? first: two claims; best: a claim that is final at once. */
static bool depends_on_order(const struct chain_search *c, const struct dune_item_answer *a)
{
    unsigned claims = 0, final = 0;

    for (unsigned i = 0; i < c->n; i++) {
        uint16_t least = c->rule->early_exit;

        if (!a[i].claim)
            continue;
        if (c->rule->min_confidence)
            least = DUNE_MAX(least, c->rule->min_confidence[a[i].cls]);
        claims++;
        final += a[i].conf >= least;
    }
    return c->rule->claim == DUNE_CLAIM_FIRST ? claims > 1 : c->rule->claim == DUNE_CLAIM_BEST && final;
}

static uint64_t hash_answers(uint16_t truth, const struct dune_item_answer *a, unsigned n)
{
    uint64_t h = truth;

    for (unsigned i = 0; i < n; i++)
        h = dune_mix64(h, (uint64_t)a[i].cls << 16 | (uint64_t)a[i].conf << 8 | a[i].claim);
    return h;
}

static bool same(const struct patterns *p, size_t k, uint16_t truth, const struct dune_item_answer *a)
{
    if (p->truth[k] != truth)
        return false;
    for (unsigned i = 0; i < p->n; i++)
        if (p->col[i][k].cls != a[i].cls || p->col[i][k].conf != a[i].conf || p->col[i][k].claim != a[i].claim)
            return false;
    return true;
}

static void insert_slot(struct patterns *p, uint64_t hash, size_t k)
{
    size_t at = hash & (p->n_slots - 1);

    while (p->slot[at])
        at = (at + 1) & (p->n_slots - 1);
    p->slot[at] = (uint32_t)k + 1;
}

static void grow_patterns(struct patterns *p)
{
    struct dune_item_answer a[DUNE_MAX_SUBMODELS];

    p->cap = p->cap ? p->cap * 2 : 1024;
    p->truth = dune_mem_realloc(p->truth, p->cap, sizeof(*p->truth));
    p->w = dune_mem_realloc(p->w, p->cap, sizeof(*p->w));
    for (unsigned i = 0; i < p->n; i++)
        p->col[i] = dune_mem_realloc(p->col[i], p->cap, sizeof(**p->col));
    dune_mem_free(p->slot);
    p->n_slots = 2 * p->cap;
    p->slot = DUNE_NEW_N(uint32_t, p->n_slots);
    for (size_t k = 0; k < p->len; k++) {
        for (unsigned i = 0; i < p->n; i++)
            a[i] = p->col[i][k];
        insert_slot(p, hash_answers(p->truth[k], a, p->n), k);
    }
}

static void add_pattern(struct patterns *p, uint16_t truth, const struct dune_item_answer *a, uint64_t w)
{
    uint64_t hash = hash_answers(truth, a, p->n);
    size_t at;

    if (p->len == p->cap)
        grow_patterns(p);
    for (at = hash & (p->n_slots - 1); p->slot[at]; at = (at + 1) & (p->n_slots - 1)) {
        if (same(p, p->slot[at] - 1, truth, a)) {
            p->w[p->slot[at] - 1] += w;
            return;
        }
    }
    p->truth[p->len] = truth;
    p->w[p->len] = w;
    for (unsigned i = 0; i < p->n; i++)
        p->col[i][p->len] = a[i];
    p->slot[at] = (uint32_t)++p->len;
}

static void collapse(struct chain_search *c, const struct dune_space *s,
                     const struct dune_item_answer *const *col, const uint8_t *mask)
{
    for (size_t item = 0; item < s->n_items; item++) {
        struct dune_item_answer a[DUNE_MAX_SUBMODELS];

        if (mask && !mask[s->item_flow[item]])
            continue;
        for (unsigned i = 0; i < c->n; i++)
            a[i] = reduce(&col[i][item], c->rule);
        if (depends_on_order(c, a))
            add_pattern(&c->p, s->item_cls[item], a, s->item_w[item]);
        else
            dune_confusion_add(&c->fixed, s->item_cls[item],
                               dune_chain_decide(col, item, c->id, c->n, c->rule), s->item_w[item]);
    }
}

/* Macro F1 of the chain order[0..len); items of patterns only some sub-models see are decided by those. */
static double score_order(struct chain_search *c, const uint32_t *order, unsigned len)
{
    const struct dune_item_answer *col[DUNE_MAX_SUBMODELS];
    uint8_t id[DUNE_MAX_SUBMODELS];
    size_t cells = (size_t)c->conf.n_classes * (c->conf.n_classes + 1);

    for (unsigned i = 0; i < len; i++) {
        col[i] = c->p.col[order[i]];
        id[i] = c->id[order[i]];
    }
    memcpy(c->conf.cell, c->fixed.cell, cells * sizeof(*c->conf.cell));
    for (size_t k = 0; k < c->p.len; k++)
        dune_confusion_add(&c->conf, c->p.truth[k], dune_chain_decide(col, k, id, len, c->rule), c->p.w[k]);
    return dune_f1_score(&c->conf, DUNE_WEIGHT_ONE, NULL).macro;
}

/* The next permutation in lexicographic order; false after the last one. */
static bool next_order(uint32_t *v, unsigned n)
{
    unsigned i = n - 1, j = n - 1;
    uint32_t t;

    while (i > 0 && v[i - 1] > v[i])
        i--;
    if (i == 0)
        return false;
    while (v[j] < v[i - 1])
        j--;
    t = v[i - 1];
    v[i - 1] = v[j];
    v[j] = t;
    for (unsigned a = i, b = n - 1; a < b; a++, b--) {
        t = v[a];
        v[a] = v[b];
        v[b] = t;
    }
    return true;
}

static int try_all(struct chain_search *c, struct dune_order *out, struct dune_diag *d)
{
    uint32_t order[MAX_EXACT];

    for (unsigned i = 0; i < c->n; i++)
        order[i] = i;
    out->objective = -1;
    do {
        double f1 = score_order(c, order, c->n);

        if (f1 > out->objective + TIE) {
            out->objective = f1;
            out->ties = 0;
            memcpy(out->order, order, c->n * sizeof(*order));
        }
        out->ties += f1 >= out->objective - TIE;
        if (dune_interrupted())
            return dune_diag_set(d, DUNE_E_INTERRUPTED, NULL, "interrupted");
    } while (next_order(order, c->n));
    out->optimal = 1;
    return 0;
}

/* Puts sub-model b at the place of order[0..len) where the chain scores best, the first of equal ones. */
static double insert_best(struct chain_search *c, uint32_t *order, unsigned len, uint32_t b)
{
    uint32_t now[DUNE_MAX_SUBMODELS], best[DUNE_MAX_SUBMODELS];
    double top = -1;

    for (unsigned at = 0; at <= len; at++) {
        double f1;

        memcpy(now, order, at * sizeof(*now));
        now[at] = b;
        memcpy(now + at + 1, order + at, (len - at) * sizeof(*now));
        f1 = score_order(c, now, len + 1);
        if (f1 > top + TIE) {
            top = f1;
            memcpy(best, now, (len + 1) * sizeof(*now));
        }
    }
    memcpy(order, best, (len + 1) * sizeof(*order));
    return top;
}

/* Takes every sub-model out and puts it where it is best, until nothing gains. */
static int insert_all(struct chain_search *c, struct dune_order *out, struct dune_diag *d)
{
    double before = -1;

    out->objective = 0;
    for (unsigned i = 0; i < c->n; i++)
        out->objective = insert_best(c, out->order, i, i);
    for (unsigned round = 0; round < NARROW && out->objective > before + TIE; round++) {
        before = out->objective;
        for (uint32_t b = 0; b < c->n; b++) {
            unsigned at = 0;

            while (out->order[at] != b)
                at++;
            memmove(out->order + at, out->order + at + 1, (c->n - 1 - at) * sizeof(*out->order));
            out->objective = insert_best(c, out->order, c->n - 1, b);
            if (dune_interrupted())
                return dune_diag_set(d, DUNE_E_INTERRUPTED, NULL, "interrupted");
        }
    }
    out->ties = 1;
    return 0;
}

static void search_fini(struct chain_search *c)
{
    dune_confusion_fini(&c->fixed);
    dune_confusion_fini(&c->conf);
    dune_mem_free(c->p.truth);
    dune_mem_free(c->p.w);
    dune_mem_free(c->p.slot);
    for (unsigned i = 0; i < c->n; i++)
        dune_mem_free(c->p.col[i]);
}

int dune_sequence_end_to_end(struct dune_order *out, const struct dune_space *s,
                             const struct dune_item_answer *const *col, const uint8_t *id, unsigned n,
                             const struct dune_chain_rule *rule, const uint8_t *mask, struct dune_diag *d)
{
    struct chain_search c = {.rule = rule, .id = id, .n = n, .p = {.n = n}};
    int rc;

    memset(out, 0, sizeof(*out));
    if (n < 1 || n > DUNE_MAX_SUBMODELS)
        return dune_diag_set(d, DUNE_E_INFEASIBLE, NULL, "%u sub-models: a chain has 1 to %d", n,
                             DUNE_MAX_SUBMODELS);
    out->n = n;
    if (rule->claim == DUNE_CLAIM_FIRST && n <= DUNE_ORDER_FIRST_MAX) {
        dune_order_first(out, s, col, n, mask, TIE);
        return 0;
    }
    dune_confusion_init(&c.fixed, s->n_classes);
    dune_confusion_init(&c.conf, s->n_classes);
    collapse(&c, s, col, mask);
    rc = n <= MAX_EXACT ? try_all(&c, out, d) : insert_all(&c, out, d);
    search_fini(&c);
    return rc;
}
