/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Cutting flows into parts, class by class, always along time:
 *
 *   class with >= 4 captures   whole captures. Each capture belongs to one class, its rarest (fewest
 *                              captures, then lowest id) of those cut by capture, and is ranked in that
 *                              class's list only: so a capture with several classes is one group, and
 *                              rare classes are still spread.
 *   other class, >= 4 flows    flows by start time
 *   class with < 4 flows       not cut
 */
#include <assert.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "features/dataset_int.h"

#define MIN_CAPTURES 4
#define MIN_FLOWS 4
#define NOBODY UINT32_MAX
#define FOLD_KEY UINT64_C(0x666f6c64) /* keeps these draws apart from others with the same seed */

enum cut_kind { CUT_LATEST, CUT_SHARE, CUT_FOLDS };

struct cut {
    enum cut_kind kind;
    double share;      /* CUT_SHARE */
    unsigned k;        /* CUT_FOLDS */
    uint64_t seed;     /* CUT_FOLDS */
    uint8_t uncut;     /* part of flows of classes that are not cut */
};

struct item {
    uint64_t start, id;
};
struct items {
    struct item *data;
    size_t len, cap;
};
struct pair {
    uint32_t cls, capture;
};

struct plan {
    const struct dune_dset_flows *f;
    uint64_t *n_flows;      /* per class */
    uint32_t *n_captures;   /* per class */
    uint64_t *capture_start;
    uint32_t *decider;      /* per capture: the class that ranks it */
    uint8_t *capture_part;
    struct {
        struct pair *data;
        size_t len, cap;
    } pairs; /* (class, capture) that occur, by capture */
};

static bool by_capture(const struct plan *p, uint32_t cls)
{
    return p->n_captures[cls] >= MIN_CAPTURES && p->n_flows[cls] >= MIN_FLOWS;
}

/* Flows are ordered by capture: a class seen in the current capture before needs no second pair. */
static void find_pairs(struct plan *p)
{
    const struct dune_dset_flows *f = p->f;
    uint32_t *last = dune_mem_alloc(f->n_classes, sizeof(*last));

    for (uint32_t c = 0; c < f->n_classes; c++)
        last[c] = NOBODY;
    for (uint64_t i = 0; i < f->n_flows; i++) {
        struct pair pair = {f->cls[i], f->capture[i]};

        if (!f->use[i])
            continue;
        p->n_flows[pair.cls]++;
        if (f->start[i] < p->capture_start[pair.capture])
            p->capture_start[pair.capture] = f->start[i];
        if (last[pair.cls] == pair.capture)
            continue;
        last[pair.cls] = pair.capture;
        p->n_captures[pair.cls]++;
        DUNE_VEC_PUSH(&p->pairs, pair);
    }
    dune_mem_free(last);
}

static void find_deciders(struct plan *p)
{
    for (size_t i = 0; i < p->pairs.len; i++) {
        uint32_t c = p->pairs.data[i].cls, *decider = &p->decider[p->pairs.data[i].capture];

        if (!by_capture(p, c))
            continue;
        if (*decider == NOBODY || p->n_captures[c] < p->n_captures[*decider] ||
            (p->n_captures[c] == p->n_captures[*decider] && c < *decider))
            *decider = c;
    }
}

static void plan_init(struct plan *p, const struct dune_dset_flows *f)
{
    memset(p, 0, sizeof(*p));
    p->f = f;
    p->n_flows = DUNE_NEW_N(uint64_t, f->n_classes);
    p->n_captures = DUNE_NEW_N(uint32_t, f->n_classes);
    p->capture_start = dune_mem_alloc(f->n_captures, sizeof(*p->capture_start));
    p->decider = dune_mem_alloc(f->n_captures, sizeof(*p->decider));
    p->capture_part = DUNE_NEW_N(uint8_t, f->n_captures);
    for (uint32_t i = 0; i < f->n_captures; i++) {
        p->capture_start[i] = UINT64_MAX;
        p->decider[i] = NOBODY;
    }
    find_pairs(p);
    find_deciders(p);
}

static void plan_fini(struct plan *p)
{
    dune_mem_free(p->n_flows);
    dune_mem_free(p->n_captures);
    dune_mem_free(p->capture_start);
    dune_mem_free(p->decider);
    dune_mem_free(p->capture_part);
    DUNE_VEC_FREE(&p->pairs);
}

static int earlier(const void *a, const void *b)
{
    const struct item *x = a, *y = b;

    if (x->start != y->start)
        return x->start < y->start ? -1 : 1;
    return (x->id > y->id) - (x->id < y->id);
}

/* Number of the block of rank r when n things are cut into m blocks of near equal size. */
static uint64_t block_of(uint64_t r, uint64_t n, uint64_t m)
{
    return (2 * r + 1) * m / (2 * n);
}

/* A permutation of 0..n-1; the identity for seed 0. */
static uint64_t *shuffle(uint64_t n, uint64_t seed, uint64_t key)
{
    uint64_t *perm = dune_mem_alloc(n, sizeof(*perm));
    struct dune_rng rng;

    dune_rng_init(&rng, seed, FOLD_KEY, key, 0);
    for (uint64_t i = 0; i < n; i++) {
        uint64_t j = seed ? dune_rng_below(&rng, i + 1) : i;

        perm[i] = perm[j];
        perm[j] = i;
    }
    return perm;
}

/* Part of every item of a class, in time order. whole: the items are captures, never cut further. */
static void cut_items(const struct cut *cut, uint32_t cls, const struct items *v, bool whole,
                      uint8_t *part)
{
    uint64_t n = v->len, groups = n, keep, *perm;

    switch (cut->kind) {
    case CUT_LATEST:
        for (uint64_t r = 0; r < n; r++)
            part[v->data[r].id] = r >= n - n / 4;
        break;
    case CUT_SHARE:
        keep = DUNE_MAX((uint64_t)floor((double)n * cut->share + 1e-9), (uint64_t)1);
        for (uint64_t r = 0; r < n; r++)
            part[v->data[r].id] = r >= keep;
        break;
    case CUT_FOLDS:
        /* Flows are shuffled in blocks of neighbours: packets of one event stay together. */
        if (!whole && cut->seed)
            groups = DUNE_MIN(n, (uint64_t)cut->k * 5);
        perm = shuffle(groups, cut->seed, cls);
        for (uint64_t r = 0; r < n; r++)
            part[v->data[r].id] =
                (uint8_t)block_of(perm[block_of(r, n, groups)], groups, cut->k);
        dune_mem_free(perm);
        break;
    }
}

static void cut_captures(struct plan *p, const struct cut *cut, uint32_t cls)
{
    struct items v = {0};

    for (uint32_t i = 0; i < p->f->n_captures; i++) {
        struct item item = {p->capture_start[i], i};

        if (p->decider[i] == cls)
            DUNE_VEC_PUSH(&v, item);
    }
    if (v.len) {
        dune_sort(v.data, v.len, sizeof(*v.data), earlier);
        cut_items(cut, cls, &v, true, p->capture_part);
    }
    DUNE_VEC_FREE(&v);
}

static void cut_flows(const struct plan *p, const struct cut *cut, uint32_t cls, uint8_t *part)
{
    struct items v = {0};

    for (uint64_t i = 0; i < p->f->n_flows; i++) {
        struct item item = {p->f->start[i], i};

        if (p->f->use[i] && p->f->cls[i] == cls)
            DUNE_VEC_PUSH(&v, item);
    }
    if (v.len) {
        dune_sort(v.data, v.len, sizeof(*v.data), earlier);
        cut_items(cut, cls, &v, false, part);
    }
    DUNE_VEC_FREE(&v);
}

/* Captures of class cls in part 1; *latest gets its latest capture. */
static uint32_t count_late(const struct plan *p, uint32_t cls, uint32_t *latest)
{
    uint32_t n = 0;

    *latest = NOBODY;
    for (size_t i = 0; i < p->pairs.len; i++) {
        uint32_t capture = p->pairs.data[i].capture;

        if (p->pairs.data[i].cls != cls)
            continue;
        n += p->capture_part[capture];
        if (*latest == NOBODY || p->capture_start[capture] >= p->capture_start[*latest])
            *latest = capture;
    }
    return n;
}

/* Would a class cut by capture lose its last early capture with this one? */
static bool can_move(const struct plan *p, uint32_t capture)
{
    for (size_t i = 0; i < p->pairs.len; i++) {
        uint32_t cls = p->pairs.data[i].cls, latest;

        if (p->pairs.data[i].capture == capture && by_capture(p, cls) &&
            count_late(p, cls, &latest) + 1 >= p->n_captures[cls])
            return false;
    }
    return true;
}

/* A class all of whose captures are ranked by rarer classes may have got none late: its latest moves. */
static void repair_latest(struct plan *p)
{
    for (uint32_t c = 0; c < p->f->n_classes; c++) {
        uint32_t latest;

        if (by_capture(p, c) && count_late(p, c, &latest) == 0 && can_move(p, latest))
            p->capture_part[latest] = 1;
    }
}

static void cut_all(const struct dune_dset_flows *f, const struct cut *cut, uint8_t *part)
{
    struct plan p;

    plan_init(&p, f);
    for (uint32_t c = 0; c < f->n_classes && cut->kind != CUT_SHARE; c++)
        if (by_capture(&p, c))
            cut_captures(&p, cut, c);
    if (cut->kind == CUT_LATEST)
        repair_latest(&p);
    for (uint64_t i = 0; i < f->n_flows; i++)
        if (f->use[i])
            part[i] = by_capture(&p, f->cls[i]) ? p.capture_part[f->capture[i]] : cut->uncut;
    for (uint32_t c = 0; c < f->n_classes; c++)
        if (cut->kind == CUT_SHARE || (!by_capture(&p, c) && p.n_flows[c] >= MIN_FLOWS))
            cut_flows(&p, cut, c, part);
    plan_fini(&p);
}

void dune_dset_cut_latest(const struct dune_dset_flows *f, uint8_t *part)
{
    const struct cut cut = {.kind = CUT_LATEST};

    cut_all(f, &cut, part);
}

void dune_dset_cut_share(const struct dune_dset_flows *f, double share, uint8_t *part)
{
    const struct cut cut = {.kind = CUT_SHARE, .share = share};

    cut_all(f, &cut, part);
}

/* Cuts the train flows of a data set; test flows get 255. */
static void cut_train(const struct dune_dataset *ds, const struct cut *cut, uint8_t *part)
{
    uint8_t *use = dune_mem_alloc(ds->n_flows, 1);
    struct dune_dset_flows f = {ds->n_flows, ds->n_classes, ds->n_captures, ds->flow_class,
                                ds->flow_capture, ds->flow_start, use};

    for (uint64_t i = 0; i < ds->n_flows; i++) {
        use[i] = ds->flow_split[i] == DUNE_SPLIT_TRAIN;
        part[i] = UINT8_MAX;
    }
    cut_all(&f, cut, part);
    dune_mem_free(use);
}

void dune_folds_make(const struct dune_dataset *ds, unsigned k, uint64_t seed, uint8_t *fold)
{
    const struct cut cut = {.kind = CUT_FOLDS, .k = k, .seed = seed, .uncut = UINT8_MAX};

    assert(k >= 1 && k < UINT8_MAX);
    cut_train(ds, &cut, fold);
}

void dune_validation_make(const struct dune_dataset *ds, uint8_t *part)
{
    const struct cut cut = {.kind = CUT_LATEST};

    cut_train(ds, &cut, part);
}
