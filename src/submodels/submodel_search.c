/* SPDX-License-Identifier: Apache-2.0 */
/* The grid for every block of a partition, several at a time, resumable block by block. */
#include <pthread.h>
#include <string.h>
#include <unistd.h>

#include "base/ranks.h"
#include "submodels/submodels_int.h"

struct run {
    const struct dune_blocks *blocks;
    struct dune_submodel_search *how;
    struct dune_space *space;
    uint8_t *train, *valid, *member; /* [n_flows], [n_flows], [n_blocks][n_classes] */
    struct dune_submodel_set *done;  /* sub by block: fit NULL while it is not there */
    struct dune_grid_cfg *grid;      /* [n_blocks] */
    dune_feature_mask *own;          /* [n_blocks] */
    struct dune_diag *diag;          /* [n_blocks] */
    struct dune_progress progress;
    pthread_mutex_t lock;
    uint16_t *to_set; /* class id of the data set -> of the set */
};

/* --- set-up ------------------------------------------------------------------------------------------- */

static int list_classes(struct run *r, const struct dune_dataset *ds, struct dune_diag *d)
{
    struct dune_submodel_set *set = r->done;
    uint8_t *present = DUNE_NEW_N(uint8_t, ds->n_classes);
    int rc = 0;

    r->to_set = DUNE_NEW_N(uint16_t, ds->n_classes);
    set->class_name = DUNE_NEW_N(char *, ds->n_classes);
    for (uint32_t k = 0; k < r->space->n_flows; k++)
        present[ds->flow_class[r->space->flow[k]]] = 1;
    for (uint32_t c = 0; c < ds->n_classes; c++) {
        r->to_set[c] = present[c] ? (uint16_t)set->n_classes : DUNE_NO_CLASS;
        if (present[c])
            set->class_name[set->n_classes++] = dune_mem_strdup(ds->class_name[c]);
        if (present[c] && strcmp(ds->class_name[c], "Other") == 0)
            rc = dune_diag_set(d, DUNE_E_INPUT, NULL, "a class is called Other, which is what sub-models call "
                               "all classes that are not theirs");
    }
    if (rc == 0 && set->n_classes > DUNE_MAX_CLASSES)
        rc = dune_diag_set(d, DUNE_E_INFEASIBLE, NULL, "%u classes: at most %d can be planned", set->n_classes,
                           DUNE_MAX_CLASSES);
    dune_mem_free(present);
    return rc;
}

static int set_up_block(struct run *r, const struct dune_dataset *ds, uint32_t i, struct dune_diag *d)
{
    uint8_t *member = r->member + (size_t)i * ds->n_classes;
    const struct dune_submodel_options *o = &r->how->options;
    char place[64];
    int rc = dune_block_members(r->blocks, i, ds, member, d);

    snprintf(place, sizeof(place), "blocks[%u].classes", i);
    for (uint32_t c = 0; rc == 0 && c < ds->n_classes; c++)
        if (member[c] && r->to_set[c] == DUNE_NO_CLASS)
            rc = dune_diag_set_place(d, DUNE_E_INPUT, NULL, place, "class \"%.200s\" has no train flow",
                                     ds->class_name[c]);
    r->own[i] = dune_block_features(r->blocks, i);
    r->grid[i] = dune_submodel_grid_cfg(o);
    r->grid[i].progress = &r->progress;
    if (o->own_features && r->own[i])
        r->grid[i].block_features = &r->own[i];
    return rc;
}

static int set_up(struct run *r, const struct dune_dataset *ds, struct dune_diag *d)
{
    uint32_t n = r->blocks->n_blocks, n_valid = 0;
    int rc;

    if (n > DUNE_MAX_SUBMODELS)
        return dune_diag_set(d, DUNE_E_INFEASIBLE, NULL, "%u blocks: a chain has at most %d sub-models", n,
                             DUNE_MAX_SUBMODELS);
    rc = dune_space_new(&r->space, ds, DUNE_SPLIT_TRAIN, NULL, ds->max_n ? DUNE_MIN(ds->max_n, 4) : 4,
                        r->how->threads, d);
    if (rc == 0)
        rc = list_classes(r, ds, d);
    if (rc)
        return rc;
    r->train = DUNE_NEW_N(uint8_t, r->space->n_flows);
    r->valid = DUNE_NEW_N(uint8_t, r->space->n_flows);
    dune_space_validation(r->space, r->train, r->valid);
    for (uint32_t k = 0; k < r->space->n_flows; k++)
        n_valid += r->valid[k];
    if (!n_valid)
        return dune_diag_set(d, DUNE_E_INPUT, NULL, "no class has the 4 train flows that a validation split "
                             "needs");
    r->member = DUNE_NEW_N(uint8_t, (size_t)n * ds->n_classes);
    r->grid = DUNE_NEW_N(struct dune_grid_cfg, n);
    r->own = DUNE_NEW_N(dune_feature_mask, n);
    r->diag = DUNE_NEW_N(struct dune_diag, n);
    r->done->data_hash = dune_mem_strdup(ds->hash);
    r->done->timeout = ds->timeout;
    r->done->options = r->how->options;
    r->done->n = r->done->n_blocks = n;
    r->done->sub = DUNE_NEW_N(struct dune_submodel_entry, n);
    for (uint32_t i = 0; rc == 0 && i < n; i++)
        rc = set_up_block(r, ds, i, d);
    return rc ? rc : dune_grid_prepare(r->space, &r->grid[0], d);
}

/* --- finished blocks ---------------------------------------------------------------------------------- */

/* The set of what is finished; shares its entries with done. */
static struct dune_submodel_set finished(const struct run *r, struct dune_submodel_entry *sub)
{
    struct dune_submodel_set s = *r->done;

    s.sub = sub;
    s.n = 0;
    for (uint32_t i = 0; i < r->done->n; i++)
        if (r->done->sub[i].fit)
            sub[s.n++] = r->done->sub[i];
    return s;
}

static int save(const struct run *r, struct dune_diag *d)
{
    struct dune_submodel_entry sub[DUNE_MAX_SUBMODELS];
    struct dune_submodel_set s = finished(r, sub);

    return r->how->partial ? dune_submodels_write(&s, NULL, r->how->partial, d) : 0;
}

/* Are the two of the same data and options? What a file says before its sub-models tells. */
static bool same_head(const struct dune_submodel_set *a, const struct dune_submodel_set *b)
{
    struct dune_submodel_set x = *a, y = *b;
    char *s, *t;
    size_t n, m;
    bool same;

    x.n = y.n = 0;
    dune_submodels_format(&x, NULL, &s, &n);
    dune_submodels_format(&y, NULL, &t, &m);
    same = n == m && memcmp(s, t, n) == 0;
    dune_mem_free(s);
    dune_mem_free(t);
    return same;
}

static dune_feature_mask candidates(const struct run *r, uint32_t i)
{
    const struct dune_grid_cfg *g = &r->grid[i];

    return g->block_features ? g->features & *g->block_features : g->features;
}

static bool same_block(const struct run *r, const struct dune_submodel_entry *e)
{
    const uint8_t *member = r->member + (size_t)e->id * r->space->n_classes;
    uint32_t next = 0;

    for (uint32_t c = 0; c < r->space->n_classes; c++) {
        if (!member[c])
            continue;
        if (next == e->fit->n_classes || e->fit->cls[next++] != r->to_set[c])
            return false;
    }
    return next == e->fit->n_classes && e->candidates == candidates(r, e->id);
}

/* Takes over what an interrupted search of the same inputs has finished. */
static void resume(struct run *r)
{
    struct dune_submodel_set *old;
    char *text;
    size_t len;

    if (!r->how->partial || dune_file_read(r->how->partial, &text, &len, NULL) != 0)
        return;
    if (dune_submodels_parse(&old, NULL, true, r->how->partial, text, len, NULL) == 0) {
        bool same = same_head(old, r->done);

        for (uint32_t i = 0; same && i < old->n; i++) {
            uint32_t id = old->sub[i].id;

            if (!same_block(r, &old->sub[i]))
                continue;
            r->done->sub[id] = old->sub[i];
            memset(&old->sub[i], 0, sizeof(old->sub[i]));
            r->how->n_resumed++;
        }
        dune_submodel_set_free(old);
    }
    dune_mem_free(text);
}

/* --- the search --------------------------------------------------------------------------------------- */

static int keep_uses(const struct run *r, struct dune_submodel_entry *e, struct dune_diag *d)
{
    const struct dune_profile *prof;
    uint32_t n = 0;
    int rc = 0;

    while (dune_profile_at(n))
        n++;
    e->use_of = DUNE_NEW_N(struct dune_submodel_use, n);
    for (e->n_uses = 0; rc == 0 && (prof = dune_profile_at(e->n_uses)) != NULL; e->n_uses++) {
        e->use_of[e->n_uses].profile = dune_mem_strdup(prof->name);
        rc = dune_fit_resources(e->fit, r->done->timeout, prof, &e->use_of[e->n_uses].use, d);
    }
    return rc;
}

/* The front by published blocks, then F1; equal points once. */
static void keep_front(const struct dune_grid *g, struct dune_submodel_entry *e)
{
    e->front = DUNE_NEW_N(struct dune_grid_point, g->n_points);
    for (size_t i = 0; i < g->n_points; i++) {
        const struct dune_grid_point *p = &g->point[i];
        uint32_t at = 0;

        if (!p->pareto)
            continue;
        while (at < e->n_front && e->front[at].blocks < p->blocks)
            at++;
        if (at < e->n_front && e->front[at].blocks == p->blocks)
            continue;
        memmove(e->front + at + 1, e->front + at, (e->n_front - at) * sizeof(*e->front));
        e->front[at] = *p;
        e->n_front++;
    }
}

static int keep(struct run *r, uint32_t i, struct dune_block_fit *b, struct dune_diag *d)
{
    struct dune_submodel_entry e = {.id = (uint8_t)i, .candidates = candidates(r, i)};
    int rc;

    e.chosen = b->grid.point[b->grid.best];
    e.n_points = b->grid.n_points;
    e.skipped = b->grid.skipped;
    e.skipped_profile = b->grid.skipped_profile;
    keep_front(&b->grid, &e);
    e.fit = b->final;
    b->final = NULL;
    for (uint32_t c = 0; c < e.fit->n_classes; c++)
        e.fit->cls[c] = r->to_set[e.fit->cls[c]];
    rc = keep_uses(r, &e, d);
    if (rc) {
        dune_submodel_entry_fini(&e);
        return rc;
    }
    pthread_mutex_lock(&r->lock);
    r->done->sub[i] = e;
    rc = save(r, d);
    pthread_mutex_unlock(&r->lock);
    return rc;
}

static void search_block(void *ctx, size_t i)
{
    struct run *r = ctx;
    struct dune_diag *d = &r->diag[i];
    struct dune_block_fit b;
    int rc;

    if (r->done->sub[i].fit)
        return;
    if (dune_interrupted()) {
        dune_diag_set(d, DUNE_E_INTERRUPTED, NULL, "interrupted");
        return;
    }
    rc = dune_block_fit_search(&b, r->space, &r->grid[i], r->member + i * r->space->n_classes, r->train, r->valid,
                               d);
    if (rc == 0) {
        rc = keep(r, (uint32_t)i, &b, d);
        dune_block_fit_fini(&b);
    }
    if (rc)
        d->code = rc;
}

/* The first block's error; an interruption only where nothing is wrong. */
static int first_error(struct run *r, struct dune_diag *d)
{
    int stopped = 0;

    for (uint32_t i = 0; i < r->done->n; i++) {
        const struct dune_diag *b = &r->diag[i];
        char place[64];

        snprintf(place, sizeof(place), "blocks[%u]", i);
        if (b->code == DUNE_E_INTERRUPTED)
            stopped = b->code;
        else if (b->code && b->file[0])
            return dune_diag_set(d, b->code, b->file, "%s", b->msg);
        else if (b->code)
            return dune_diag_set_place(d, b->code, NULL, b->place[0] ? b->place : place, "%s", b->msg);
    }
    return stopped ? dune_diag_set(d, stopped, NULL, "interrupted; the same command goes on where it stopped") : 0;
}

static void run_fini(struct run *r)
{
    for (uint32_t i = 0; r->done && i < r->done->n; i++) /* blocks without a fit own nothing else */
        if (!r->done->sub[i].fit)
            dune_submodel_entry_fini(&r->done->sub[i]);
    dune_submodel_set_free(r->done);
    dune_space_free(r->space);
    dune_mem_free(r->train);
    dune_mem_free(r->valid);
    dune_mem_free(r->member);
    dune_mem_free(r->grid);
    dune_mem_free(r->own);
    dune_mem_free(r->diag);
    dune_mem_free(r->to_set);
    pthread_mutex_destroy(&r->lock);
}

int dune_submodels_search(struct dune_submodel_set **out, const struct dune_dataset *ds,
                          const struct dune_blocks *blocks, struct dune_submodel_search *how, struct dune_diag *d)
{
    struct run r = {.blocks = blocks, .how = how, .lock = PTHREAD_MUTEX_INITIALIZER};
    int rc;

    *out = NULL;
    how->n_resumed = 0;
    r.done = DUNE_NEW(struct dune_submodel_set);
    rc = set_up(&r, ds, d);
    if (rc == 0) {
        resume(&r);
        dune_progress_start(&r.progress, "sub-models",
                            (uint64_t)(blocks->n_blocks - how->n_resumed) * dune_grid_steps(&r.grid[0], r.space));
        if (dune_ranks_n() == 1)
            dune_parallel_for(how->threads, blocks->n_blocks, search_block, &r);
        for (uint32_t i = 0; dune_ranks_n() > 1 && i < blocks->n_blocks; i++)
            search_block(&r, i); /* its grid points are dealt out */
        dune_progress_end(&r.progress);
        rc = first_error(&r, d);
        if (how->partial && rc && rc != DUNE_E_INTERRUPTED)
            unlink(how->partial);
    }
    if (rc == 0) {
        *out = r.done;
        r.done = NULL;
    }
    run_fini(&r);
    return rc;
}
