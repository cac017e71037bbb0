/* SPDX-License-Identifier: Apache-2.0 */
/* Partition: matches W and f by class name, runs the method, and describes the blocks. */
#include "partition/partition_int.h"

#include <math.h>
#include <string.h>

static const char *const method_name[] = {
    [DUNE_PART_GREEDY] = "greedy", [DUNE_PART_EXACT] = "exact",       [DUNE_PART_ILP] = "ilp",
    [DUNE_PART_RANDOM] = "random", [DUNE_PART_TOGETHER] = "together", [DUNE_PART_APART] = "apart",
};

int dune_partition_method_find(const char *name)
{
    for (size_t i = 0; i < DUNE_ARRAY_LEN(method_name); i++)
        if (strcmp(method_name[i], name) == 0)
            return (int)i;
    return -1;
}

static int find_name(char *const *names, uint32_t n, const char *name)
{
    for (uint32_t i = 0; i < n; i++)
        if (strcmp(names[i], name) == 0)
            return (int)i;
    return -1;
}

/* --- which classes ------------------------------------------------------------------------------------ */

struct selection {
    uint32_t m;
    uint32_t *in_w, *in_f; /* rows */
};

/* Appends the names of a that b lacks, as far as the sentence has room for them. */
static uint32_t list_missing(struct dune_buf *text, char *const *a, uint32_t n, char *const *b, uint32_t k)
{
    uint32_t missing = 0;

    for (uint32_t i = 0; i < n; i++)
        if (find_name(b, k, a[i]) < 0) {
            if (text->len < 150)
                dune_buf_printf(text, "%s%.60s", missing ? ", " : "", a[i]);
            else if (text->len < 160)
                dune_buf_puts(text, ", and more .....");
            missing++;
        }
    return missing;
}

static int select_all(struct selection *sel, const struct dune_importance *w, const struct dune_scores *f,
                      struct dune_diag *d)
{
    struct dune_buf only_w = {0}, only_f = {0};
    uint32_t nw = list_missing(&only_w, w->class_name, w->n_classes, f->class_name, f->n_classes);
    uint32_t nf = list_missing(&only_f, f->class_name, f->n_classes, w->class_name, w->n_classes);
    int rc = 0;

    if (nw || nf)
        rc = dune_diag_set(d, DUNE_E_INPUT, NULL,
                           "importance and scores have different classes%s%s%s%s; choose a subset of the "
                           "common ones to go on",
                           nw ? "; only in importance: " : "", nw ? only_w.data : "",
                           nf ? "; only in scores: " : "", nf ? only_f.data : "");
    dune_buf_fini(&only_w);
    dune_buf_fini(&only_f);
    for (uint32_t i = 0; !rc && i < w->n_classes; i++) {
        sel->in_w[i] = i;
        sel->in_f[i] = (uint32_t)find_name(f->class_name, f->n_classes, w->class_name[i]);
    }
    sel->m = w->n_classes;
    return rc;
}

static int select_some(struct selection *sel, const struct dune_importance *w, const struct dune_scores *f,
                       const struct dune_partition_cfg *cfg, struct dune_diag *d)
{
    for (uint32_t i = 0; i < cfg->n_classes; i++) {
        const char *name = cfg->classes[i];
        int a = find_name(w->class_name, w->n_classes, name);
        int b = find_name(f->class_name, f->n_classes, name);

        if (a < 0 || b < 0)
            return dune_diag_set(d, DUNE_E_INPUT, NULL, "class \"%.200s\" is not in the %s", name,
                                 a < 0 ? "importance" : "scores");
        for (uint32_t j = 0; j < i; j++)
            if (sel->in_w[j] == (uint32_t)a)
                return dune_diag_set(d, DUNE_E_USAGE, NULL, "class \"%.200s\" is asked for twice", name);
        sel->in_w[i] = (uint32_t)a;
        sel->in_f[i] = (uint32_t)b;
    }
    sel->m = cfg->n_classes;
    return 0;
}

static int check_numbers(const struct dune_importance *w, const struct dune_scores *f, struct dune_diag *d)
{
    if (!w->n_classes || !w->n_feats)
        return dune_diag_set(d, DUNE_E_INPUT, NULL, "the importance has no %s",
                             w->n_classes ? "features" : "classes");
    for (size_t i = 0; i < (size_t)w->n_classes * w->n_feats; i++)
        if (!(w->w[i] >= 0) || !isfinite(w->w[i]))
            return dune_diag_set(d, DUNE_E_INPUT, NULL, "importance of \"%.100s\" for class \"%.100s\" is "
                                 "not a finite number >= 0", w->feat_name[i % w->n_feats],
                                 w->class_name[i / w->n_feats]);
    for (uint32_t i = 0; i < f->n_classes; i++)
        if (!(f->f1[i] >= 0) || !isfinite(f->f1[i]))
            return dune_diag_set(d, DUNE_E_INPUT, NULL,
                                 "score of class \"%.100s\" is not a finite number >= 0", f->class_name[i]);
    return 0;
}

static int make_problem(struct problem *p, struct selection *sel, const struct dune_importance *w,
                        const struct dune_scores *f, const struct dune_partition_cfg *cfg,
                        struct dune_diag *d)
{
    size_t room = DUNE_MAX(w->n_classes, cfg->classes ? cfg->n_classes : 0) + (size_t)1;
    int rc = check_numbers(w, f, d);

    if (rc)
        return rc;
    sel->in_w = DUNE_NEW_N(uint32_t, room);
    sel->in_f = DUNE_NEW_N(uint32_t, room);
    rc = cfg->classes ? select_some(sel, w, f, cfg, d) : select_all(sel, w, f, d);
    if (rc)
        return rc;
    if (!sel->m)
        return dune_diag_set(d, DUNE_E_USAGE, NULL, "no classes are chosen");
    p->m = sel->m;
    p->r = w->n_feats;
    p->w = DUNE_NEW_N(double, (size_t)p->m * p->r);
    p->f = DUNE_NEW_N(double, p->m);
    for (uint32_t c = 0; c < p->m; c++) {
        memcpy(p->w + (size_t)c * p->r, w->w + (size_t)sel->in_w[c] * p->r, p->r * sizeof(double));
        p->f[c] = f->f1[sel->in_f[c]];
    }
    p->ilp = cfg->method == DUNE_PART_ILP;
    p->n_blocks = cfg->n_blocks;
    p->memory_limit = cfg->memory_limit;
    p->threads = cfg->threads;
    p->seed = cfg->seed;
    return 0;
}

/* --- methods ------------------------------------------------------------------------------------------ */

static int check_blocks(const struct problem *p, const struct dune_partition_cfg *cfg, struct dune_diag *d)
{
    const char *name = method_name[cfg->method];
    bool equal = cfg->method == DUNE_PART_RANDOM || cfg->method == DUNE_PART_TOGETHER ||
                 cfg->method == DUNE_PART_APART;

    if (equal && !p->n_blocks)
        return dune_diag_set(d, DUNE_E_USAGE, NULL, "method %s needs the number of blocks", name);
    if ((cfg->method == DUNE_PART_TOGETHER || cfg->method == DUNE_PART_APART) && !cfg->confusion)
        return dune_diag_set(d, DUNE_E_USAGE, NULL, "method %s needs a confusion of the classes", name);
    if (p->n_blocks > p->m)
        return dune_diag_set(d, DUNE_E_USAGE, NULL, "%u classes cannot make %u blocks", p->m, p->n_blocks);
    if (p->ilp && p->m < 3)
        return dune_diag_set(d, DUNE_E_INFEASIBLE, NULL,
                             "method ilp needs at least 3 classes: it makes 2 to m - 1 blocks");
    if (p->ilp && (p->n_blocks == 1 || p->n_blocks == p->m))
        return dune_diag_set(d, DUNE_E_USAGE, NULL, "method ilp makes 2 to %u blocks, not %u", p->m - 1,
                             p->n_blocks);
    return 0;
}

static int check_confusion(const struct problem *p, const double *confusion, struct dune_diag *d)
{
    for (size_t i = 0; confusion && i < (size_t)p->m * p->m; i++)
        if (!(confusion[i] >= 0) || !isfinite(confusion[i]))
            return dune_diag_set(d, DUNE_E_INPUT, NULL,
                                 "the confusion holds a number that is not finite and >= 0");
    return 0;
}

static int run_method(const struct problem *p, const struct dune_partition_cfg *cfg, struct split *s,
                      struct verdict *v, struct dune_diag *d)
{
    int rc = check_blocks(p, cfg, d);

    if (!rc)
        rc = check_confusion(p, cfg->confusion, d);
    if (rc)
        return rc;
    switch (cfg->method) {
    case DUNE_PART_GREEDY:
        greedy_partition(p, s, v);
        return 0;
    case DUNE_PART_RANDOM:
        random_partition(p, s, v);
        return 0;
    case DUNE_PART_TOGETHER:
    case DUNE_PART_APART:
        confusion_partition(p, cfg->confusion, cfg->method == DUNE_PART_TOGETHER, s, v);
        return 0;
    case DUNE_PART_EXACT:
    case DUNE_PART_ILP:
        return exact_partition(p, s, v, d);
    }
    return dune_diag_set(d, DUNE_E_INTERNAL, NULL, "method %d", cfg->method);
}

/* --- the result ---------------------------------------------------------------------------------------- */

static void describe_block(const struct problem *p, const uint32_t *cls, uint32_t k, struct dune_block *b)
{
    b->cls = DUNE_NEW_N(uint32_t, k);
    b->feat = DUNE_NEW_N(uint32_t, p->r);
    b->n_classes = k;
    memcpy(b->cls, cls, k * sizeof(*cls));
    b->gain = block_gain(p, cls, k);
    for (uint32_t j = 0; j < p->r; j++) {
        double sum = 0;

        for (uint32_t i = 0; i < k; i++)
            sum += p->w[(size_t)cls[i] * p->r + j];
        if (sum - (double)k / p->r > 0)
            b->feat[b->n_feats++] = j;
    }
}

static char **copy_names(char *const *names, uint32_t n, const uint32_t *which)
{
    char **out = DUNE_NEW_N(char *, n);

    for (uint32_t i = 0; i < n; i++)
        out[i] = dune_mem_strdup(names[which ? which[i] : i]);
    return out;
}

static struct dune_blocks *describe(const struct problem *p, const struct selection *sel,
                                    const struct dune_importance *w, const char *method,
                                    const struct split *s, const struct verdict *v)
{
    struct dune_blocks *b = DUNE_NEW(struct dune_blocks);
    uint32_t *cls = DUNE_NEW_N(uint32_t, p->m);

    b->method = dune_mem_strdup(method);
    b->objective = v->objective;
    b->optimal = v->optimal;
    b->gap = v->gap;
    b->n_levels = v->n_levels;
    b->level = v->level;
    b->n_classes = p->m;
    b->n_feats = p->r;
    b->class_name = copy_names(w->class_name, p->m, sel->in_w);
    b->feat_name = copy_names(w->feat_name, p->r, NULL);
    b->n_blocks = s->n;
    b->block = DUNE_NEW_N(struct dune_block, s->n);
    for (uint32_t q = 0; q < s->n; q++)
        describe_block(p, cls, split_members(s, p->m, q, cls), &b->block[q]);
    dune_mem_free(cls);
    return b;
}

int dune_partition(struct dune_blocks **out, const struct dune_importance *w, const struct dune_scores *f,
                   const struct dune_partition_cfg *cfg, struct dune_diag *d)
{
    struct selection sel = {0};
    struct problem p = {0};
    struct verdict v = {0};
    struct split s = {0};
    int rc;

    *out = NULL;
    rc = make_problem(&p, &sel, w, f, cfg, d);
    if (!rc) {
        split_init(&s, p.m);
        rc = run_method(&p, cfg, &s, &v, d);
    }
    if (!rc)
        *out = describe(&p, &sel, w, method_name[cfg->method], &s, &v);
    else
        dune_mem_free(v.level);
    split_fini(&s);
    dune_mem_free(p.w);
    dune_mem_free(p.f);
    dune_mem_free(sel.in_w);
    dune_mem_free(sel.in_f);
    return rc;
}

void dune_blocks_free(struct dune_blocks *b)
{
    if (!b)
        return;
    for (uint32_t i = 0; i < b->n_classes; i++)
        dune_mem_free(b->class_name[i]);
    for (uint32_t j = 0; j < b->n_feats; j++)
        dune_mem_free(b->feat_name[j]);
    for (uint32_t q = 0; q < b->n_blocks; q++) {
        dune_mem_free(b->block[q].cls);
        dune_mem_free(b->block[q].feat);
    }
    dune_mem_free(b->class_name);
    dune_mem_free(b->feat_name);
    dune_mem_free(b->block);
    dune_mem_free(b->level);
    dune_mem_free(b->method);
    dune_mem_free(b);
}

double dune_partition_total(const struct dune_importance *w, const struct dune_scores *f,
                            const uint32_t *block_of, uint32_t n_blocks)
{
    struct problem p = {.m = w->n_classes, .r = w->n_feats, .w = w->w};
    struct split s = {.n = n_blocks};
    double total;

    p.f = DUNE_NEW_N(double, p.m);
    s.block_of = DUNE_NEW_N(uint32_t, p.m);
    memcpy(s.block_of, block_of, p.m * sizeof(*block_of));
    split_normalise(&s, p.m);
    for (uint32_t c = 0; c < p.m; c++) {
        int i = find_name(f->class_name, f->n_classes, w->class_name[c]);

        p.f[c] = i < 0 ? NAN : f->f1[i];
    }
    total = split_score(&p, &s);
    dune_mem_free(p.f);
    split_fini(&s);
    return total;
}
