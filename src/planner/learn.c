/* SPDX-License-Identifier: Apache-2.0 */
/* Chains fitted on a part of what they may be fitted on: less of every class, or nothing of one. */
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "base/ranks.h"
#include "planner/planner_int.h"

/* A flow and where it stands in the order in which flows are given up: whole captures, drawn. */
struct place {
    uint32_t flow;
    uint16_t cls;
    uint64_t key;
};

static int by_place(const void *a, const void *b)
{
    const struct place *x = a, *y = b;

    if (x->cls != y->cls)
        return x->cls < y->cls ? -1 : 1;
    if (x->key != y->key)
        return x->key < y->key ? -1 : 1;
    return (x->flow > y->flow) - (x->flow < y->flow);
}

static struct place *make_places(const struct dune_search *s)
{
    const struct dune_space *sp = s->space;
    struct place *p = dune_mem_alloc(sp->n_flows, sizeof(*p));

    for (uint32_t k = 0; k < sp->n_flows; k++)
        p[k] = (struct place){.flow = k, .cls = sp->ds->flow_class[sp->flow[k]],
                              .key = dune_mix64(s->cfg->seed, sp->ds->flow_capture[sp->flow[k]])};
    dune_sort(p, sp->n_flows, sizeof(*p), by_place);
    return p;
}

/* train[k] = 1 for the first share of the flows of each class outside the fold, one at least. */
static void take_share(const struct dune_search *s, const struct place *p, unsigned fold, double share,
                       uint8_t *train)
{
    const uint8_t *of = dune_cv_fold(s->cv);
    uint32_t n = s->space->n_flows;

    memset(train, 0, n);
    for (uint32_t i = 0, end; i < n; i = end) {
        uint32_t there = 0, want;

        for (end = i; end < n && p[end].cls == p[i].cls; end++)
            there += of[p[end].flow] != fold;
        want = (uint32_t)ceil(share * there);
        for (uint32_t j = i; j < end && want; j++)
            if (of[p[j].flow] != fold) {
                train[p[j].flow] = 1;
                want--;
            }
    }
}

struct job {
    const struct dune_search *s;
    const struct dune_chain_spec *spec;
    uint8_t **train, **held; /* per part */
    struct dune_item_answer **col; /* per block */
    struct dune_diag *diag;
};

/* Block i % n_blocks, part i / n_blocks. */
static void fit_part(void *ctx, size_t i)
{
    struct job *j = ctx;
    unsigned b = (unsigned)(i % j->spec->n_blocks), part = (unsigned)(i / j->spec->n_blocks);
    struct dune_diag *d = &j->diag[i];
    struct dune_fit *fit = NULL;
    uint8_t member[DUNE_CLASS_WORDS * 64];

    for (unsigned c = 0; c < sizeof(member); c++)
        member[c] = dune_class_set_has(&j->spec->block[b], c);
    if (dune_fit_train(&fit, j->s->space, &j->spec->cfg[b], member, j->train[part], d) == 0)
        d->code = dune_fit_answer(fit, j->s->space, j->held[part], j->col[b], d);
    dune_fit_free(fit);
}

static void put_part(void *ctx, size_t i, struct dune_buf *out)
{
    struct job *j = ctx;
    const struct dune_space *s = j->s->space;
    unsigned b = (unsigned)(i % j->spec->n_blocks);
    const uint8_t *held = j->held[i / j->spec->n_blocks];

    dune_buf_append(out, &j->diag[i], sizeof(j->diag[i]));
    for (size_t k = 0; k < s->n_items; k++)
        if (held[s->item_flow[k]])
            dune_buf_append(out, &j->col[b][k], sizeof(j->col[b][k]));
}

static bool take_part(void *ctx, size_t i, const uint8_t *data, size_t len)
{
    struct job *j = ctx;
    const struct dune_space *s = j->s->space;
    unsigned b = (unsigned)(i % j->spec->n_blocks);
    const uint8_t *held = j->held[i / j->spec->n_blocks], *end = data + len;

    if (len < sizeof(j->diag[i]))
        return false;
    memcpy(&j->diag[i], data, sizeof(j->diag[i]));
    data += sizeof(j->diag[i]);
    for (size_t k = 0; k < s->n_items; k++) {
        if (!held[s->item_flow[k]])
            continue;
        if ((size_t)(end - data) < sizeof(j->col[b][k]))
            return false;
        memcpy(&j->col[b][k], data, sizeof(j->col[b][k]));
        data += sizeof(j->col[b][k]);
    }
    return data == end;
}

int dune_search_fit_parts(struct dune_search *s, const struct dune_chain_spec *spec, unsigned n_parts,
                          uint8_t **train, uint8_t **held, struct dune_item_answer **col,
                          struct dune_diag *d)
{
    static const struct dune_ranks_work work = {fit_part, put_part, take_part};
    size_t n = (size_t)n_parts * spec->n_blocks;
    struct job j = {.s = s, .spec = spec, .train = train, .held = held, .col = col};
    int rc = dune_interrupted() ? dune_diag_set(d, DUNE_E_INTERRUPTED, NULL, "interrupted") : 0;

    for (unsigned b = 0; rc == 0 && b < spec->n_blocks; b++)
        rc = dune_space_prepare(s->space, spec->cfg[b].n, spec->cfg[b].mode, d);
    if (rc)
        return rc;
    j.diag = DUNE_NEW_N(struct dune_diag, n);
    for (unsigned b = 0; b < spec->n_blocks; b++)
        for (size_t i = 0; i < s->space->n_items; i++)
            col[b][i] = (struct dune_item_answer){.cls = DUNE_NO_CLASS};
    rc = dune_ranks_for(s->space->threads, n, &work, &j, d);
    for (size_t i = 0; rc == 0 && i < n; i++) {
        rc = j.diag[i].code;
        if (rc && d && !d->code)
            *d = j.diag[i];
    }
    dune_mem_free(j.diag);
    return rc;
}

int dune_search_learn(struct dune_search *s, const struct dune_chain_spec *spec, double share, double *macro,
                      struct dune_diag *d)
{
    unsigned k = dune_cv_k(s->cv);
    uint8_t **train = DUNE_NEW_N(uint8_t *, k), **held = DUNE_NEW_N(uint8_t *, k), id[DUNE_MAX_BLOCKS];
    struct dune_item_answer *col[DUNE_MAX_BLOCKS];
    struct place *places = make_places(s);
    struct dune_confusion c;
    int rc;

    for (unsigned i = 0; i < k; i++) {
        train[i] = dune_mem_alloc(s->space->n_flows, 1);
        held[i] = dune_mem_alloc(s->space->n_flows, 1);
        take_share(s, places, i, share, train[i]);
        for (uint32_t f = 0; f < s->space->n_flows; f++)
            held[i][f] = dune_cv_fold(s->cv)[f] == i;
    }
    for (unsigned b = 0; b < spec->n_blocks; b++) {
        id[b] = (uint8_t)b;
        col[b] = dune_mem_alloc(s->space->n_items, sizeof(*col[b]));
    }
    rc = dune_search_fit_parts(s, spec, k, train, held, col, d);
    if (rc == 0) {
        dune_confusion_init(&c, s->space->n_classes);
        dune_chain_confusion(s->space, (const struct dune_item_answer *const *)col, id, spec->n_blocks,
                             &spec->rule, dune_cv_scored(s->cv), false, &c);
        *macro = dune_f1_score(&c, DUNE_WEIGHT_ONE, NULL).macro;
        dune_confusion_fini(&c);
    }
    for (unsigned b = 0; b < spec->n_blocks; b++)
        dune_mem_free(col[b]);
    for (unsigned i = 0; i < k; i++) {
        dune_mem_free(train[i]);
        dune_mem_free(held[i]);
    }
    dune_mem_free(train);
    dune_mem_free(held);
    dune_mem_free(places);
    return rc;
}
