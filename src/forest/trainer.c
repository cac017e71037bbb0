/* SPDX-License-Identifier: Apache-2.0 */
/* Training of forests: checks, bootstrap samples, threads over trees. */
#include "forest/forest_int.h"

#include <stdatomic.h>
#include <string.h>

#include "base/ranks.h"

struct dune_trainer {
    const struct dune_table *t;
    struct dune_codes codes;
    struct dune_tuning tune;
};

int dune_trainer_new_tuned(struct dune_trainer **out, const struct dune_table *t, unsigned threads,
                           const struct dune_tuning *tune, struct dune_diag *d)
{
    struct dune_trainer *tr;

    *out = NULL;
    if (!t->n_rows || !t->n_cols)
        return dune_diag_set(d, DUNE_E_INPUT, NULL, "there is nothing to train on: %zu rows, %u columns",
                             t->n_rows, t->n_cols);
    if (t->n_rows >= UINT32_MAX)
        return dune_diag_set(d, DUNE_E_INPUT, NULL, "too many rows to train on: %zu", t->n_rows);
    tr = DUNE_NEW(struct dune_trainer);
    tr->t = t;
    tr->tune = *tune;
    if (!tr->tune.few_rows || tr->tune.few_rows > DUNE_FEW_ROWS)
        tr->tune.few_rows = DUNE_FEW_ROWS;
    if (!tr->tune.near_bytes)
        tr->tune.near_bytes = 256 * 1024;
    if (!tr->tune.split_rows)
        tr->tune.split_rows = 65536;
    if (!tr->tune.column_rows)
        tr->tune.column_rows = 65536;
    dune_codes_make(&tr->codes, t, tune->max_bins ? tune->max_bins : 256, t->n_rows <= tr->tune.column_rows, threads);
    *out = tr;
    return 0;
}

int dune_trainer_new(struct dune_trainer **out, const struct dune_table *t, unsigned threads,
                     struct dune_diag *d)
{
    return dune_trainer_new_tuned(out, t, threads, &(struct dune_tuning){0}, d);
}

void dune_trainer_free(struct dune_trainer *tr)
{
    if (!tr)
        return;
    dune_codes_fini(&tr->codes);
    dune_mem_free(tr);
}

/* --- one fit ------------------------------------------------------------------------------------- */
struct fit {
    struct dune_grow_job job; /* without the tree's own weights */
    struct dune_train_cfg cfg;
    struct dune_forest *f;
    const uint32_t **col;
    uint32_t *code_col;
    uint32_t *used;           /* rows with weight, for bootstrap draws */
    size_t n_used;
    struct dune_grown *kept; /* NULL: nobody wants it */
    bool shared;             /* trees are dealt out to all processes */
    bool stopped;            /* of a tree that all processes grow: one of them was interrupted */
    _Atomic int rc;
};

static int check_rows(const struct fit *fit, struct dune_diag *d)
{
    uint64_t sum = 0;

    for (size_t r = 0; r < fit->job.n_rows; r++) {
        if (!fit->job.w[r])
            continue;
        if (fit->job.cls[r] >= fit->job.n_classes)
            return dune_diag_set(d, DUNE_E_INPUT, NULL, "row %zu has class %u, but there are %u",
                                 r, fit->job.cls[r], fit->job.n_classes);
        if (fit->job.w[r] > DUNE_MAX_WEIGHT - sum)
            return dune_diag_set(d, DUNE_E_INPUT, NULL, "row weights add up to more than 2^60");
        sum += fit->job.w[r];
    }
    if (!sum)
        return dune_diag_set(d, DUNE_E_INPUT, NULL, "there is nothing to train on: no row has weight");
    return 0;
}

/* Picks the columns of the fit; the forest says which they are. */
static int choose_columns(struct fit *fit, const struct dune_trainer *tr, dune_feature_mask cols,
                          struct dune_diag *d)
{
    const struct dune_table *t = tr->t;
    struct dune_forest *f = fit->f;

    fit->col = dune_mem_alloc(t->n_cols, sizeof(*fit->col));
    fit->code_col = dune_mem_alloc(t->n_cols, sizeof(*fit->code_col));
    f->feat = dune_mem_alloc(t->n_cols, sizeof(*f->feat));
    for (uint32_t c = 0; c < t->n_cols; c++) {
        if (cols && !(t->feat[c] < 64 && cols >> t->feat[c] & 1))
            continue;
        f->feat[f->n_feats] = t->feat[c];
        fit->code_col[f->n_feats] = c;
        fit->col[f->n_feats++] = t->col[c];
    }
    if (!f->n_feats)
        return dune_diag_set(d, DUNE_E_INPUT, NULL,
                             "there is nothing to train on: no chosen column is in the table");
    fit->job.col = fit->col;
    fit->job.codes = tr->codes;
    fit->job.code_col = fit->code_col;
    fit->job.n_cols = f->n_feats;
    return 0;
}

/* dune_rng_below for many draws below the same n < 2^32, without its divisions. */
struct draws {
    uint64_t n, limit, inverse;
};

static struct draws draws_below(uint64_t n)
{
    return (struct draws){n, UINT64_MAX - UINT64_MAX % n, UINT64_MAX / n};
}

static uint64_t draw(const struct draws *k, struct dune_rng *r)
{
    uint64_t x, rest;

    do
        x = dune_rng_u64(r);
    while (x >= k->limit);
    rest = x - (uint64_t)((dune_u128)x * k->inverse >> 64) * k->n; /* the quotient is too small by 2 at most */
    while (rest >= k->n)
        rest -= k->n;
    return rest;
}

/* Weights of a bootstrap sample: as many draws as rows in use. Draws are counted first: their places are random, and counts
 * of all rows stay in a cache. */
static int draw_sample(const struct fit *fit, uint64_t tree, uint64_t *w)
{
    uint32_t *drawn = dune_work_zalloc(fit->n_used, sizeof(*drawn));
    const struct draws below = draws_below(fit->n_used);
    struct dune_rng rng;
    dune_u128 sum = 0;

    memset(w, 0, fit->job.n_rows * sizeof(*w));
    dune_rng_init(&rng, fit->cfg.seed, tree, 0, 1);
    for (size_t i = 0; i < fit->n_used; i++)
        drawn[draw(&below, &rng)]++;
    for (size_t i = 0; i < fit->n_used; i++) {
        sum += (dune_u128)fit->job.w[fit->used[i]] * drawn[i];
        w[fit->used[i]] = fit->job.w[fit->used[i]] * drawn[i];
    }
    dune_work_free(drawn);
    return sum > DUNE_MAX_WEIGHT ? DUNE_E_INPUT : 0;
}

static void grow_tree(void *ctx, size_t i)
{
    struct fit *fit = ctx;
    struct dune_grow_job job = fit->job;
    uint64_t *w = NULL;
    int rc = 0, ok = 0;

    if (atomic_load(&fit->rc))
        return;
    job.tree = i;
    if (fit->kept)
        job.note = &fit->kept->tree[i];
    if (fit->cfg.bootstrap && !job.from) {
        w = dune_work_alloc(job.n_rows, sizeof(*w));
        rc = draw_sample(fit, i, w);
        job.w = w;
    }
    if (!rc)
        rc = dune_tree_grow(&fit->f->tree[i], &job);
    dune_work_free(w);
    if (rc)
        atomic_compare_exchange_strong(&fit->rc, &ok, rc);
}

static void copy_tree(struct dune_tree *to, const struct dune_tree *from, uint32_t n_nodes,
                      uint32_t n_classes);

/* A grown tree for the other processes. */
static void put_tree(void *ctx, size_t i, struct dune_buf *out)
{
    const struct fit *fit = ctx;
    const struct dune_tree *t = &fit->f->tree[i];
    int rc = atomic_load(&fit->rc);
    uint32_t n = rc ? 0 : t->n_nodes;

    dune_buf_append(out, &rc, sizeof(rc));
    dune_buf_append(out, &n, sizeof(n));
    if (n == 0)
        return;
    dune_buf_append(out, t->node, n * sizeof(*t->node));
    dune_buf_append(out, t->hist, (size_t)n * fit->f->n_classes * sizeof(*t->hist));
}

static bool take_tree(void *ctx, size_t i, const uint8_t *data, size_t len)
{
    struct fit *fit = ctx;
    struct dune_tree *t = &fit->f->tree[i];
    size_t node, hist;
    int rc, ok = 0;
    uint32_t n;

    if (len < sizeof(rc) + sizeof(n))
        return false;
    memcpy(&rc, data, sizeof(rc));
    memcpy(&n, data + sizeof(rc), sizeof(n));
    data += sizeof(rc) + sizeof(n);
    node = n * sizeof(*t->node);
    hist = (size_t)n * fit->f->n_classes * sizeof(*t->hist);
    if (len - sizeof(rc) - sizeof(n) != node + hist)
        return false;
    if (rc || n == 0) {
        atomic_compare_exchange_strong(&fit->rc, &ok, rc ? rc : DUNE_E_INTERNAL);
        return true;
    }
    t->n_nodes = n;
    t->node = dune_mem_alloc(n, sizeof(*t->node));
    t->hist = dune_mem_alloc((size_t)n * fit->f->n_classes, sizeof(*t->hist));
    memcpy(t->node, data, node);
    memcpy(t->hist, data + node, hist);
    return true;
}

/* One tree, each process counting a part of the rows of its large nodes. All end it with the same result. */
static void grow_together(struct fit *fit, uint32_t i)
{
    uint64_t failed;
    int ok = 0;

    fit->job.together = true;
    fit->job.stopped = &fit->stopped;
    grow_tree(fit, i);
    fit->job.together = false;
    failed = fit->rc != 0;
    dune_ranks_sum(&failed, 1);
    if (failed)
        atomic_compare_exchange_strong(&fit->rc, &ok, DUNE_E_INTERRUPTED);
}

/*
 * Trees beyond the last full round of so many workers, if they are few: the workers grow these one after the other. Threads
 * gain by it where subtrees can grow at the same time; counting the rows of best-first trees together took as long.
 */
static uint32_t left_over(const struct fit *fit, uint32_t n, uint32_t workers)
{
    uint32_t last = n % workers;

    if (dune_ranks_n() == 1 && fit->cfg.max_leaves)
        return 0;
    return last <= workers / 2 && fit->job.n_rows >= fit->job.tune.split_rows ? last : 0;
}

/*
 * Trees are dealt out whole as long as there is one for every process (one process: for every thread); of the last ones, if
 * they are few, all grow one after the other. Threads without a tree of their own help to count.
 */
static void grow_shared(struct fit *fit, uint32_t n)
{
    static const struct dune_ranks_work work = {grow_tree, put_tree, take_tree};
    unsigned threads = fit->cfg.threads ? fit->cfg.threads : dune_n_cpus();
    uint32_t n_ranks = dune_ranks_n(), last = left_over(fit, n, n_ranks > 1 ? n_ranks : threads);
    unsigned mine = (n - last + n_ranks - 1) / n_ranks;
    struct dune_diag ignored = {0};
    int ok = 0, rc;

    fit->job.threads = threads / DUNE_MAX(mine, 1u);
    rc = dune_ranks_for(threads, n - last, &work, fit, &ignored);
    if (rc)
        atomic_compare_exchange_strong(&fit->rc, &ok, rc);
    fit->job.threads = threads;
    for (uint32_t i = n - last; i < n && !fit->rc; i++) {
        if (n_ranks > 1)
            grow_together(fit, i);
        else
            grow_tree(fit, i);
    }
}

/* Without any random draw all trees are the same one. */
static void grow_all(struct fit *fit)
{
    struct dune_forest *f = fit->f;
    uint32_t own = fit->cfg.bootstrap || fit->cfg.sqrt_features ? f->n_trees : 1;

    if (fit->shared) {
        grow_shared(fit, own);
    } else {
        fit->job.threads = fit->cfg.threads / own; /* 0: whoever calls has other work for them */
        dune_parallel_for(fit->cfg.threads, own, grow_tree, fit);
    }
    for (uint32_t i = own; i < f->n_trees && !fit->rc; i++)
        copy_tree(&f->tree[i], &f->tree[0], f->tree[0].n_nodes, f->n_classes);
}

static void list_used(struct fit *fit)
{
    fit->used = dune_work_alloc(fit->job.n_rows, sizeof(*fit->used));
    for (size_t r = 0; r < fit->job.n_rows; r++)
        if (fit->job.w[r])
            fit->used[fit->n_used++] = (uint32_t)r;
}

/* Growth can be repeated on fewer columns where every node looks at all of them and rows keep their place. */
static bool repeatable(const struct dune_train_cfg *cfg)
{
    return cfg->max_leaves && !cfg->sqrt_features && (cfg->bootstrap || cfg->n_trees <= 1);
}

static void start_from(struct fit *fit, const struct dune_grown *from, bool keep)
{
    if (!repeatable(&fit->cfg))
        return;
    if (from) {
        fit->job.from = from;
        dune_grown_columns(from, fit->f->feat, fit->f->n_feats, fit->job.column_of);
    }
    if (keep)
        fit->kept = dune_grown_new(fit->f);
}

static int fit_trees(struct fit *fit, struct dune_diag *d)
{
    int rc;

    fit->f->tree = DUNE_NEW_N(struct dune_tree, fit->f->n_trees);
    if (fit->cfg.bootstrap && !fit->job.from)
        list_used(fit);
    grow_all(fit);
    rc = fit->rc;
    if (rc == DUNE_E_INPUT)
        dune_diag_set(d, rc, NULL, "row weights of a bootstrap sample add up to more than 2^60");
    else if (rc)
        dune_diag_set(d, rc, NULL, "training was interrupted");
    return rc;
}

/* shared: all processes fit this forest now, and its trees are dealt out. */
static int fit_forest(const struct dune_trainer *tr, struct dune_forest **out, const uint16_t *cls, uint32_t n_classes,
                      const uint64_t *w, dune_feature_mask cols, const struct dune_train_cfg *cfg,
                      const struct dune_grown *from, struct dune_grown **kept, bool shared, struct dune_diag *d)
{
    const struct dune_table *t = tr->t;
    struct fit fit = {.cfg = *cfg, .f = DUNE_NEW(struct dune_forest), .shared = shared};
    int rc;

    *out = NULL;
    if (kept)
        *kept = NULL;
    fit.f->n_classes = cls ? n_classes : t->n_classes;
    fit.f->n_trees = cfg->n_trees ? cfg->n_trees : 1;
    fit.job = (struct dune_grow_job){.n_rows = t->n_rows, .n_classes = fit.f->n_classes,
                                     .cls = cls ? cls : t->cls, .w = w ? w : t->w, .cfg = &fit.cfg,
                                     .tune = tr->tune};
    rc = from ? 0 : check_rows(&fit, d);
    if (!rc)
        rc = choose_columns(&fit, tr, cols, d);
    if (!rc) {
        start_from(&fit, from, kept != NULL);
        rc = fit_trees(&fit, d);
    }
    dune_work_free(fit.used);
    dune_mem_free(fit.col);
    dune_mem_free(fit.code_col);
    if (rc) {
        dune_grown_free(fit.kept);
        dune_forest_free(fit.f);
        return rc;
    }
    *out = fit.f;
    if (kept)
        *kept = fit.kept;
    return 0;
}

int dune_trainer_fit_from(const struct dune_trainer *tr, struct dune_forest **out, const uint16_t *cls,
                          uint32_t n_classes, const uint64_t *w, dune_feature_mask cols,
                          const struct dune_train_cfg *cfg, const struct dune_grown *from,
                          struct dune_grown **kept, struct dune_diag *d)
{
    return fit_forest(tr, out, cls, n_classes, w, cols, cfg, from, kept, false, d);
}

int dune_trainer_fit(const struct dune_trainer *tr, struct dune_forest **out, const uint16_t *cls,
                     uint32_t n_classes, const uint64_t *w, dune_feature_mask cols,
                     const struct dune_train_cfg *cfg, struct dune_diag *d)
{
    return dune_trainer_fit_from(tr, out, cls, n_classes, w, cols, cfg, NULL, NULL, d);
}

int dune_forest_train(struct dune_forest **out, const struct dune_table *t,
                      const struct dune_train_cfg *cfg, struct dune_diag *d)
{
    struct dune_trainer *tr;
    int rc;

    *out = NULL;
    rc = dune_trainer_new(&tr, t, cfg->threads, d);
    if (!rc)
        rc = fit_forest(tr, out, NULL, 0, NULL, 0, cfg, NULL, NULL, true, d);
    dune_trainer_free(tr);
    return rc;
}

/* --- copies -------------------------------------------------------------------------------------- */
static void copy_tree(struct dune_tree *to, const struct dune_tree *from, uint32_t n_nodes,
                      uint32_t n_classes)
{
    to->n_nodes = DUNE_MIN(n_nodes, from->n_nodes);
    to->node = dune_mem_alloc(to->n_nodes, sizeof(*to->node));
    to->hist = dune_mem_alloc((size_t)to->n_nodes * n_classes, sizeof(*to->hist));
    memcpy(to->node, from->node, to->n_nodes * sizeof(*to->node));
    memcpy(to->hist, from->hist, (size_t)to->n_nodes * n_classes * sizeof(*to->hist));
    for (uint32_t i = 0; i < to->n_nodes; i++) {
        struct dune_node *v = &to->node[i];

        if (v->feat >= 0 && v->left >= to->n_nodes)
            *v = (struct dune_node){.feat = -1, .parent = v->parent};
    }
}

void dune_forest_set_names(struct dune_forest *f, const char *const *names)
{
    char **copy = DUNE_NEW_N(char *, f->n_classes);

    for (uint32_t c = 0; c < f->n_classes; c++)
        copy[c] = dune_mem_strdup(names[c]);
    for (uint32_t c = 0; f->class_name && c < f->n_classes; c++)
        dune_mem_free(f->class_name[c]);
    dune_mem_free(f->class_name);
    f->class_name = copy;
}

struct dune_forest *dune_forest_prefix(const struct dune_forest *f, uint32_t n_trees,
                                       uint32_t max_leaves)
{
    struct dune_forest *p = DUNE_NEW(struct dune_forest);
    uint32_t n_nodes = max_leaves && max_leaves < UINT32_MAX / 2 ? 2 * max_leaves - 1 : UINT32_MAX;

    *p = *f;
    p->recipe = (struct dune_forest_recipe){0}; /* a part of what was trained */
    p->class_name = NULL;
    p->n_trees = n_trees ? DUNE_MIN(n_trees, f->n_trees) : f->n_trees;
    p->feat = dune_mem_alloc(f->n_feats, sizeof(*p->feat));
    memcpy(p->feat, f->feat, f->n_feats * sizeof(*p->feat));
    if (f->class_name)
        dune_forest_set_names(p, (const char *const *)f->class_name);
    p->tree = DUNE_NEW_N(struct dune_tree, p->n_trees);
    for (uint32_t i = 0; i < p->n_trees; i++)
        copy_tree(&p->tree[i], &f->tree[i], n_nodes, f->n_classes);
    return p;
}

void dune_tree_fini(struct dune_tree *tr)
{
    dune_mem_free(tr->node);
    dune_mem_free(tr->hist);
    *tr = (struct dune_tree){0};
}

void dune_forest_free(struct dune_forest *f)
{
    if (!f)
        return;
    for (uint32_t i = 0; f->tree && i < f->n_trees; i++)
        dune_tree_fini(&f->tree[i]);
    for (uint32_t c = 0; f->class_name && c < f->n_classes; c++)
        dune_mem_free(f->class_name[c]);
    dune_mem_free(f->class_name);
    dune_mem_free(f->feat);
    dune_mem_free(f->tree);
    dune_mem_free(f);
}
