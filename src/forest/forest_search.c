/* SPDX-License-Identifier: Apache-2.0 */
/* The search for the unconstrained forest; see dune/forest_search.h. */
#include "dune/forest_search.h"

#include <stdlib.h>
#include <string.h>

#include "base/spill.h"
#include "dune/metrics.h"
#include "forest/forest_int.h"

enum { MAX_AXIS = 64 };

struct axis {
    uint32_t v[MAX_AXIS], n;
};
/* All forests of one (n, feature set): f1[depth index][tree index]. */
struct batch {
    unsigned n;
    uint32_t n_feats;
    dune_feature_mask features;
    double *f1;
    uint32_t filled; /* while reading */
};
struct search {
    const struct dune_dataset *ds;
    const struct dune_search_cfg *cfg;
    struct axis depth, trees;
    uint8_t *train, *validation;
    char key[33]; /* identity of everything the scores depend on */
    DUNE_VEC(struct batch) done;
    struct dune_progress progress;
};

static void axis_range(struct axis *a, uint32_t from, uint32_t to)
{
    for (a->n = 0; from <= to; from++)
        a->v[a->n++] = from;
}

static void axis_list(struct axis *a, const uint32_t *v, uint32_t n)
{
    memcpy(a->v, v, n * sizeof(*v));
    a->n = n;
}

static void choose_axes(struct search *s)
{
    static const uint32_t depth[] = {5, 8, 10, 12, 15, 18, 21, 24, 30}, trees[] = {1, 3, 5, 9, 17, 25, 40};

    if (s->cfg->level == DUNE_SEARCH_FULL) {
        axis_range(&s->depth, 5, 30);
        axis_range(&s->trees, 1, 40);
    } else {
        axis_list(&s->depth, depth, DUNE_ARRAY_LEN(depth));
        axis_list(&s->trees, trees, s->cfg->level == DUNE_SEARCH_QUICK ? 5 : DUNE_ARRAY_LEN(trees));
    }
}

/* Numbers of columns to try, largest first. */
static void choose_sizes(const struct search *s, uint32_t n_feats, struct axis *a)
{
    static const uint32_t percent[] = {100, 75, 50, 33, 25, 15};
    uint32_t want = s->cfg->level == DUNE_SEARCH_QUICK ? 2 : DUNE_ARRAY_LEN(percent);

    a->n = 0;
    if (s->cfg->level == DUNE_SEARCH_FULL) {
        for (uint32_t k = n_feats; k >= 1; k--)
            a->v[a->n++] = k;
        return;
    }
    for (uint32_t i = 0; i < want; i++) {
        uint32_t k = DUNE_MAX(n_feats * percent[i] / 100, 1u);

        if (!a->n || k < a->v[a->n - 1])
            a->v[a->n++] = k;
    }
}

static size_t n_points(const struct search *s)
{
    return (size_t)s->depth.n * s->trees.n;
}

/* --- results file ---------------------------------------------------------------------------------- */
static const char head[] = "key,n,features,mask,depth,trees,f1\n";

static void make_key(struct search *s)
{
    const struct dune_model_spec *b = &s->cfg->base;
    char *text = dune_mem_printf("1|%s|%d|%d|%.17g|%llu|%d|%d|%llu", s->ds->hash, (int)s->cfg->level,
                                 (int)b->mode, b->balance, (unsigned long long)b->train.min_leaf_weight,
                                 b->train.sqrt_features, b->train.bootstrap,
                                 (unsigned long long)b->train.seed);

    dune_content_hash(text, strlen(text), s->key);
    dune_mem_free(text);
}

static struct batch *find_batch(struct search *s, unsigned n, dune_feature_mask features)
{
    for (size_t i = 0; i < s->done.len; i++)
        if (s->done.data[i].n == n && s->done.data[i].features == features)
            return &s->done.data[i];
    return NULL;
}

static int find_in(const struct axis *a, uint64_t v)
{
    for (uint32_t i = 0; i < a->n; i++)
        if (a->v[i] == v)
            return (int)i;
    return -1;
}

/* A line of this search goes into its batch; other lines (older searches) are dropped. */
static void take_line(struct search *s, char *const *field)
{
    uint64_t n, k, depth, trees;
    dune_feature_mask mask;
    struct batch *b;
    double f1;
    char *end;
    int i, j;

    mask = strtoull(field[3], &end, 16);
    if (strcmp(field[0], s->key) != 0 || !dune_parse_u64(field[1], &n) || !dune_parse_u64(field[2], &k) || *end ||
        !dune_parse_u64(field[4], &depth) || !dune_parse_u64(field[5], &trees) ||
        !dune_parse_double(field[6], &f1))
        return;
    i = find_in(&s->depth, depth);
    j = find_in(&s->trees, trees);
    if (i < 0 || j < 0 || n > UINT32_MAX || k != (uint64_t)__builtin_popcountll(mask))
        return;
    b = find_batch(s, (unsigned)n, mask);
    if (!b) {
        struct batch fresh = {.n = (unsigned)n, .n_feats = (uint32_t)k, .features = mask,
                              .f1 = DUNE_NEW_N(double, n_points(s))};

        for (size_t p = 0; p < n_points(s); p++)
            fresh.f1[p] = -1;
        DUNE_VEC_PUSH(&s->done, fresh);
        b = &s->done.data[s->done.len - 1];
    }
    b->filled += b->f1[(size_t)i * s->trees.n + (size_t)j] < 0;
    b->f1[(size_t)i * s->trees.n + (size_t)j] = f1;
}

static void put_batch(const struct search *s, const struct batch *b, struct dune_buf *out)
{
    for (uint32_t i = 0; i < s->depth.n; i++)
        for (uint32_t j = 0; j < s->trees.n; j++)
            dune_buf_printf(out, "%s,%u,%u,%llx,%u,%u,%.17g\n", s->key, b->n, b->n_feats,
                            (unsigned long long)b->features, s->depth.v[i], s->trees.v[j],
                            b->f1[(size_t)i * s->trees.n + j]);
}

/* Whole batches of this very search are kept, everything else is written over. */
static int load_results(struct search *s, struct dune_diag *d)
{
    struct dune_buf text = {0};
    struct dune_csv csv;
    struct dune_map m;
    size_t kept = 0;
    int rc;

    if (!s->cfg->csv)
        return 0;
    if (dune_path_exists(s->cfg->csv)) {
        rc = dune_map_open(&m, s->cfg->csv, d);
        if (rc)
            return rc;
        dune_csv_init(&csv, s->cfg->csv, m.data, m.len);
        while (dune_csv_next(&csv, NULL) == 1)
            if (csv.n_fields == 7)
                take_line(s, csv.field);
        dune_csv_fini(&csv);
        dune_map_close(&m);
    }
    dune_buf_puts(&text, head);
    for (size_t i = 0; i < s->done.len; i++) {
        if (s->done.data[i].filled == n_points(s)) {
            put_batch(s, &s->done.data[i], &text);
            s->done.data[kept++] = s->done.data[i];
        } else {
            dune_mem_free(s->done.data[i].f1);
        }
    }
    s->done.len = kept;
    rc = dune_file_write(s->cfg->csv, text.data, text.len, d);
    dune_buf_fini(&text);
    return rc;
}

static int append_results(const struct search *s, const struct batch *b, struct dune_diag *d)
{
    struct dune_buf text = {0};
    FILE *f;
    bool ok;

    if (!s->cfg->csv)
        return 0;
    put_batch(s, b, &text);
    f = fopen(s->cfg->csv, "a");
    ok = f && dune_spill_fwrite(text.data, text.len, f) == text.len;
    if (f)
        ok &= fclose(f) == 0;
    dune_buf_fini(&text);
    return ok ? 0 : dune_diag_set(d, DUNE_E_IO, s->cfg->csv, "the results cannot be written");
}

/* --- one batch ------------------------------------------------------------------------------------- */
struct scoring {
    const struct search *s;
    const struct dune_forest *f;
    const struct dune_table *t;
    struct batch *b;
    double **share; /* [n_trees][n_nodes][n_classes] */
};

static void add(double *sum, const double *share, uint32_t n)
{
    for (uint32_t c = 0; c < n; c++)
        sum[c] += share[c];
}

static uint16_t largest(const double *v, uint32_t n)
{
    uint32_t best = 0;

    for (uint32_t c = 1; c < n; c++)
        if (v[c] > v[best])
            best = c;
    return (uint16_t)best;
}

/* The trees cut at one depth: the vote after 1, 2, ... trees, over all rows. */
static void score_depth(void *ctx, size_t i)
{
    const struct scoring *g = ctx;
    const struct search *s = g->s;
    uint32_t k = g->f->n_classes, next = 0;
    double *sum = DUNE_NEW_N(double, g->t->n_rows * k);
    struct dune_confusion c;

    dune_confusion_init(&c, k);
    for (uint32_t tree = 0; tree < g->f->n_trees && !dune_interrupted(); tree++) {
        const struct dune_tree *tr = &g->f->tree[tree];

        for (size_t r = 0; r < g->t->n_rows; r++) {
            uint32_t v = 0;

            for (uint32_t depth = 0; depth < s->depth.v[i] && tr->node[v].feat >= 0; depth++)
                v = g->t->col[tr->node[v].feat][r] <= tr->node[v].threshold ? tr->node[v].left
                                                                            : tr->node[v].right;
            add(sum + r * k, g->share[tree] + (size_t)v * k, k);
        }
        if (tree + 1 != s->trees.v[next])
            continue;
        dune_confusion_clear(&c);
        for (size_t r = 0; r < g->t->n_rows; r++)
            dune_confusion_add(&c, g->t->cls[r], largest(sum + r * k, k), g->t->w[r]);
        g->b->f1[i * s->trees.n + next++] = dune_f1_score(&c, DUNE_WEIGHT_ONE, NULL).macro;
    }
    dune_confusion_fini(&c);
    dune_mem_free(sum);
}

static double *shares(const struct dune_tree *tr, uint32_t k)
{
    double *share = dune_mem_alloc((size_t)tr->n_nodes * k, sizeof(*share));

    for (uint32_t v = 0; v < tr->n_nodes; v++) {
        const uint64_t *h = tr->hist + (size_t)v * k;
        uint64_t total = 0;

        for (uint32_t c = 0; c < k; c++)
            total += h[c];
        for (uint32_t c = 0; c < k; c++)
            share[(size_t)v * k + c] = (double)h[c] / (double)total;
    }
    return share;
}

static int score_all(struct search *s, struct batch *b, const struct dune_forest *f, struct dune_diag *d)
{
    struct dune_view v = {.n = b->n, .mode = f->mode, .features = b->features, .flow_use = s->validation};
    struct dune_table t;
    struct scoring g = {.s = s, .f = f, .t = &t, .b = b};
    int rc = dune_table_build(&t, s->ds, &v, d);

    if (rc)
        return rc;
    g.share = DUNE_NEW_N(double *, f->n_trees);
    for (uint32_t i = 0; i < f->n_trees; i++)
        g.share[i] = shares(&f->tree[i], f->n_classes);
    dune_parallel_for(s->cfg->base.train.threads, s->depth.n, score_depth, &g);
    for (uint32_t i = 0; i < f->n_trees; i++)
        dune_mem_free(g.share[i]);
    dune_mem_free(g.share);
    dune_table_fini(&t);
    return dune_interrupted() ? dune_diag_set(d, DUNE_E_INTERRUPTED, NULL, "the search was interrupted") : 0;
}

static int grow_batch(struct search *s, const struct batch *b, struct dune_forest **f, struct dune_diag *d)
{
    struct dune_model_spec spec = s->cfg->base;

    spec.n = b->n;
    spec.features = b->features;
    spec.train.max_leaves = 0;
    spec.train.max_depth = s->depth.v[s->depth.n - 1];
    spec.train.n_trees = s->trees.v[s->trees.n - 1];
    return dune_model_fit(f, s->ds, &spec, s->train, d);
}

/* Scores of one (n, feature set), from the file or computed; *keep (may be NULL) gets the forest. */
static int do_batch(struct search *s, unsigned n, dune_feature_mask features, struct dune_forest **keep,
                    struct dune_diag *d)
{
    struct batch b = {.n = n, .features = features, .n_feats = (uint32_t)__builtin_popcountll(features)};
    bool have = find_batch(s, n, features) != NULL;
    struct dune_forest *f = NULL;
    int rc = 0;

    if (!have || keep)
        rc = grow_batch(s, &b, &f, d);
    if (!rc && !have) {
        b.f1 = DUNE_NEW_N(double, n_points(s));
        rc = score_all(s, &b, f, d);
        if (!rc)
            rc = append_results(s, &b, d);
        if (rc)
            dune_mem_free(b.f1);
        else
            DUNE_VEC_PUSH(&s->done, b);
    }
    if (!rc && keep)
        *keep = f;
    else
        dune_forest_free(f);
    dune_progress_add(&s->progress, 1);
    return rc;
}

/* --- nested feature sets ----------------------------------------------------------------------------- */
struct ranked {
    double gain;
    uint32_t col;
};

static int by_gain(const void *x, const void *y)
{
    const struct ranked *a = x, *b = y;

    if (a->gain != b->gain)
        return a->gain > b->gain ? -1 : 1;
    return a->col < b->col ? -1 : a->col > b->col;
}

/* Weight times Gini impurity of a node. */
static double impurity(const struct dune_forest *f, const struct dune_tree *tr, uint32_t v)
{
    const uint64_t *h = tr->hist + (size_t)v * f->n_classes;
    double sum = 0, squares = 0;

    for (uint32_t c = 0; c < f->n_classes; c++) {
        sum += (double)h[c];
        squares += (double)h[c] * (double)h[c];
    }
    return sum > 0 ? sum - squares / sum : 0;
}

/* Columns of f by total decrease, best first. */
static void rank_columns(const struct dune_forest *f, struct ranked *r)
{
    for (uint32_t c = 0; c < f->n_feats; c++)
        r[c] = (struct ranked){0, c};
    for (uint32_t i = 0; i < f->n_trees; i++) {
        const struct dune_tree *tr = &f->tree[i];

        for (uint32_t v = 0; v < tr->n_nodes; v++)
            if (tr->node[v].feat >= 0)
                r[tr->node[v].feat].gain += impurity(f, tr, v) - impurity(f, tr, tr->node[v].left) -
                                            impurity(f, tr, tr->node[v].right);
    }
    qsort(r, f->n_feats, sizeof(*r), by_gain);
}

static int search_n(struct search *s, unsigned n, struct dune_diag *d)
{
    dune_feature_mask all = s->cfg->base.features, mask;
    struct ranked rank[DUNE_N_FEATURES];
    struct dune_forest *f;
    struct axis size;
    int rc = 0;

    if (s->cfg->feature_text)
        rc = dune_feature_set_parse(s->cfg->feature_text, DUNE_MIN(n, (unsigned)DUNE_KTH_MAX), &all, d);
    if (!rc)
        rc = do_batch(s, n, all, &f, d);
    if (rc)
        return rc;
    rank_columns(f, rank);
    choose_sizes(s, f->n_feats, &size);
    for (uint32_t i = 1; i < size.n && !rc; i++) {
        mask = 0;
        for (uint32_t k = 0; k < size.v[i]; k++)
            mask |= UINT64_C(1) << f->feat[rank[k].col];
        rc = do_batch(s, n, mask, NULL, d);
    }
    dune_forest_free(f);
    return rc;
}

/* --- choice ------------------------------------------------------------------------------------------ */
static int by_score(const void *x, const void *y)
{
    const struct dune_search_point *a = x, *b = y;

    if (a->f1 != b->f1)
        return a->f1 > b->f1 ? -1 : 1;
    if (a->n_feats != b->n_feats)
        return a->n_feats < b->n_feats ? -1 : 1;
    if (a->n_trees != b->n_trees)
        return a->n_trees < b->n_trees ? -1 : 1;
    if (a->depth != b->depth)
        return a->depth < b->depth ? -1 : 1;
    return a->n < b->n ? -1 : a->n > b->n;
}

static void choose(const struct search *s, const unsigned *ns, uint32_t n_ns, struct dune_search_point *best,
                   struct dune_search_point *top, uint32_t *n_top)
{
    size_t n = 0, per = n_points(s);
    struct dune_search_point *p = dune_mem_alloc(s->done.len * per, sizeof(*p));

    for (size_t i = 0; i < s->done.len; i++) {
        const struct batch *b = &s->done.data[i];
        bool wanted = false;

        for (uint32_t k = 0; k < n_ns; k++) /* the file may hold more points than were asked for */
            wanted |= ns[k] == b->n;
        for (size_t k = 0; wanted && k < per; k++)
            p[n++] = (struct dune_search_point){.n = b->n, .n_feats = b->n_feats, .features = b->features,
                                                .depth = s->depth.v[k / s->trees.n],
                                                .n_trees = s->trees.v[k % s->trees.n], .f1 = b->f1[k]};
    }
    qsort(p, n, sizeof(*p), by_score);
    *best = p[0];
    if (top) {
        *n_top = (uint32_t)DUNE_MIN((size_t)*n_top, n);
        memcpy(top, p, *n_top * sizeof(*p));
    }
    dune_mem_free(p);
}

static int split_flows(struct search *s, struct dune_diag *d)
{
    uint8_t *part = DUNE_NEW_N(uint8_t, s->ds->n_flows);
    uint64_t n = 0;

    dune_validation_make(s->ds, part);
    s->train = DUNE_NEW_N(uint8_t, s->ds->n_flows);
    s->validation = DUNE_NEW_N(uint8_t, s->ds->n_flows);
    for (uint64_t f = 0; f < s->ds->n_flows; f++) {
        s->train[f] = part[f] == 0;
        s->validation[f] = part[f] == 1;
        n += part[f] == 1;
    }
    dune_mem_free(part);
    return n ? 0 : dune_diag_set(d, DUNE_E_INPUT, NULL, "no flow of the train split is left for validation");
}

int dune_forest_search(struct dune_search_point *best, struct dune_search_point *top, uint32_t *n_top,
                       const struct dune_dataset *ds, const struct dune_search_cfg *cfg, struct dune_diag *d)
{
    struct search s = {.ds = ds, .cfg = cfg};
    unsigned ns[3] = {cfg->base.n}, n_ns = 1;
    struct axis size;
    int rc = split_flows(&s, d);

    if (cfg->level != DUNE_SEARCH_QUICK && !cfg->one_n && cfg->base.mode != DUNE_MODE_PACKET)
        for (n_ns = 0; n_ns < 3 && (ds->max_n == DUNE_MAX_N_ALL || n_ns + 2 <= ds->max_n); n_ns++)
            ns[n_ns] = n_ns + 2;
    if (!n_ns)
        ns[n_ns++] = cfg->base.n;
    choose_axes(&s);
    choose_sizes(&s, (uint32_t)__builtin_popcountll(cfg->base.features), &size);
    make_key(&s);
    if (!rc)
        rc = load_results(&s, d);
    dune_progress_start(&s.progress, "forests", (uint64_t)n_ns * size.n);
    for (unsigned i = 0; i < n_ns && !rc; i++)
        rc = search_n(&s, ns[i], d);
    dune_progress_end(&s.progress);
    if (!rc)
        choose(&s, ns, n_ns, best, top, n_top);
    for (size_t i = 0; i < s.done.len; i++)
        dune_mem_free(s.done.data[i].f1);
    DUNE_VEC_FREE(&s.done);
    dune_mem_free(s.train);
    dune_mem_free(s.validation);
    return rc;
}
