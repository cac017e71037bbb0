/* SPDX-License-Identifier: Apache-2.0 */
/* EXPERIMENT.yaml: defaults, reading, checks. */
#include "dune/experiment.h"

#include <string.h>

#include "base/format.h"
#include "base/yaml_tree.h"

struct ctx {
    const char *file;
    struct dune_experiment *e;
    struct dune_diag *d;
};

static int bad(const struct ctx *c, const struct dune_yaml *y, const char *what)
{
    return dune_diag_set_line(c->d, DUNE_E_INPUT, c->file, y->line, "%s: %s", y->key ? y->key : "file", what);
}

/* Relative paths are relative to the experiment file. */
static char *resolve(const struct ctx *c, const char *path)
{
    const char *base = dune_path_base(c->file);

    if (path[0] == '/' || base == c->file)
        return dune_mem_strdup(path);
    return dune_mem_printf("%.*s%s", (int)(base - c->file), c->file, path);
}

static void put_text(char **slot, char *text)
{
    dune_mem_free(*slot);
    *slot = text;
}

static int read_text(const struct ctx *c, const struct dune_yaml *y, char **slot, bool path)
{
    if (y->kind != DUNE_YAML_SCALAR || !*y->text)
        return bad(c, y, "one word is expected here");
    put_text(slot, path ? resolve(c, y->text) : dune_mem_strdup(y->text));
    return 0;
}

static int read_list(const struct ctx *c, const struct dune_yaml *y, struct dune_string_list *list, bool path)
{
    size_t n = y->kind == DUNE_YAML_SEQ ? y->n : 1;

    for (size_t i = 0; i < list->len; i++)
        dune_mem_free(list->data[i]);
    list->len = 0;
    for (size_t i = 0; i < n; i++) {
        const struct dune_yaml *item = y->kind == DUNE_YAML_SEQ ? y->item[i] : y;

        if (item->kind != DUNE_YAML_SCALAR || !*item->text)
            return bad(c, y, "a word or a list of words is expected here");
        DUNE_VEC_PUSH(list, path ? resolve(c, item->text) : dune_mem_strdup(item->text));
    }
    return n ? 0 : bad(c, y, "the list is empty");
}

static int read_number(const struct ctx *c, const struct dune_yaml *y, uint64_t max, uint64_t *out)
{
    if (y->kind != DUNE_YAML_SCALAR || !dune_parse_u64(y->text, out) || *out > max)
        return dune_diag_set_line(c->d, DUNE_E_INPUT, c->file, y->line, "%s: a whole number up to %llu is expected here",
                                  y->key ? y->key : "file", (unsigned long long)max);
    return 0;
}

static int read_u32(const struct ctx *c, const struct dune_yaml *y, uint32_t max, uint32_t *out)
{
    uint64_t v = 0;
    int rc = read_number(c, y, max, &v);

    if (rc == 0)
        *out = (uint32_t)v;
    return rc;
}

static int read_data(const struct ctx *c, const struct dune_yaml *y)
{
    if (y->kind != DUNE_YAML_MAP)
        return bad(c, y, "train:, test:, labels: and captures: are expected below it");
    for (size_t i = 0; i < y->n; i++) {
        const struct dune_yaml *k = y->item[i];
        int rc;

        if (strcmp(k->key, "train") == 0)
            rc = read_list(c, k, &c->e->train, true);
        else if (strcmp(k->key, "test") == 0)
            rc = read_list(c, k, &c->e->test, true);
        else if (strcmp(k->key, "labels") == 0)
            rc = read_text(c, k, &c->e->labels, k->kind != DUNE_YAML_SCALAR || !dune_labels_are_ndpi(k->text));
        else if (strcmp(k->key, "captures") == 0)
            rc = read_text(c, k, &c->e->captures, true);
        else if (strcmp(k->key, "gateway") == 0)
            rc = read_text(c, k, &c->e->gateway, false);
        else if (strcmp(k->key, "label_field") == 0)
            rc = read_text(c, k, &c->e->label_field, false);
        else if (strcmp(k->key, "unlabelled") == 0)
            rc = read_text(c, k, &c->e->unlabelled, false);
        else if (strcmp(k->key, "split") == 0)
            rc = read_text(c, k, &c->e->split, false);
        else if (strcmp(k->key, "min_flows") == 0)
            rc = read_u32(c, k, UINT32_MAX - 1, &c->e->min_flows);
        else
            rc = bad(c, k, "unknown key; data: has train, test, labels, captures, split, min_flows, gateway, label_field, "
                         "unlabelled");
        if (rc)
            return rc;
    }
    return 0;
}

static int read_budget(const struct ctx *c, const struct dune_yaml *y)
{
    struct dune_diag inner = {0};
    uint64_t v = 0;

    if (y->kind == DUNE_YAML_SCALAR) {
        if (dune_budget_parse(y->text, &c->e->budget, &inner) != 0)
            return bad(c, y, inner.msg);
        put_text(&c->e->budget_text, dune_mem_strdup(y->text));
        return 0;
    }
    if (y->kind != DUNE_YAML_MAP)
        return bad(c, y, "tight, tiny, loose or {leaves_sum: N, features_distinct: N} is expected");
    memset(&c->e->budget, 0, sizeof(c->e->budget));
    for (size_t i = 0; i < y->n; i++) {
        int rc = read_number(c, y->item[i], 1000000, &v);

        if (rc)
            return rc;
        if (strcmp(y->item[i]->key, "leaves_sum") == 0)
            c->e->budget.leaves_sum = (uint32_t)v;
        else if (strcmp(y->item[i]->key, "features_distinct") == 0)
            c->e->budget.features_distinct = (uint32_t)v;
        else
            return bad(c, y->item[i], "unknown key; a budget has leaves_sum and features_distinct");
    }
    put_text(&c->e->budget_text, dune_mem_printf("leaves_sum=%u,features_distinct=%u",
                                                 c->e->budget.leaves_sum, c->e->budget.features_distinct));
    return 0;
}

static int read_timeout(const struct ctx *c, const struct dune_yaml *y)
{
    struct dune_diag inner = {0};

    if (y->kind != DUNE_YAML_SCALAR || dune_timeout_parse(y->text, &c->e->timeout, &inner) != 0)
        return bad(c, y, inner.msg[0] ? inner.msg : "seconds or none is expected");
    return 0;
}

static int read_effort(const struct ctx *c, const struct dune_yaml *y)
{
    static const char *const names[] = {"quick", "default", "full"};

    for (size_t i = 0; y->kind == DUNE_YAML_SCALAR && i < DUNE_ARRAY_LEN(names); i++) {
        if (strcmp(y->text, names[i]) == 0) {
            c->e->effort = (enum dune_effort)i;
            return 0;
        }
    }
    return bad(c, y, "quick, default or full is expected");
}

static int read_distil(const struct ctx *c, const struct dune_yaml *y)
{
    int v = y->kind == DUNE_YAML_SCALAR ? dune_distil_find(y->text) : -1;

    if (v < 0)
        return bad(c, y, "auto, off or model is expected");
    c->e->distil = (enum dune_distil)v;
    return 0;
}

static int read_bool(const struct ctx *c, const struct dune_yaml *y, bool *out)
{
    if (y->kind == DUNE_YAML_SCALAR && (!strcmp(y->text, "true") || !strcmp(y->text, "false"))) {
        *out = y->text[0] == 't';
        return 0;
    }
    return bad(c, y, "true or false is expected");
}

/* Without it: 1. */
static int read_version(const struct ctx *c, const struct dune_yaml *y)
{
    static const struct dune_format known = {"an experiment", 1, 0, false};
    char major[16] = "", place[32];
    size_t n = y->kind == DUNE_YAML_SCALAR ? strcspn(y->text, ".") : 0;
    uint64_t a = 0, b = 0;

    if (n < sizeof(major))
        memcpy(major, y->text ? y->text : "", n);
    if (!n || !dune_parse_u64(major, &a) || (y->text[n] && !dune_parse_u64(y->text + n + 1, &b)))
        return bad(c, y, "a version is expected, 1 or 1.0");
    snprintf(place, sizeof(place), "line %llu", (unsigned long long)y->line);
    return dune_format_check(&known, a, b, c->file, place, c->d);
}

static int read_key(const struct ctx *c, const struct dune_yaml *y)
{
    struct dune_experiment *e = c->e;

    if (strcmp(y->key, "name") == 0)
        return read_text(c, y, &e->name, false);
    if (strcmp(y->key, "version") == 0)
        return read_version(c, y);
    if (strcmp(y->key, "data") == 0)
        return read_data(c, y);
    if (strcmp(y->key, "solutions") == 0)
        return read_list(c, y, &e->solutions, false);
    if (strcmp(y->key, "devices") == 0)
        return read_u32(c, y, DUNE_MAX_BLOCKS, &e->devices);
    if (strcmp(y->key, "budget") == 0)
        return read_budget(c, y);
    if (strcmp(y->key, "profile") == 0)
        return read_text(c, y, &e->profile, false);
    if (strcmp(y->key, "features") == 0)
        return read_text(c, y, &e->features, false);
    if (strcmp(y->key, "timeout") == 0)
        return read_timeout(c, y);
    if (strcmp(y->key, "max_n") == 0)
        return read_u32(c, y, 15, &e->max_n);
    if (strcmp(y->key, "model") == 0)
        return read_text(c, y, &e->model, y->kind == DUNE_YAML_SCALAR && !strchr(y->text, ':') && strcmp(y->text, "xgboost") != 0);
    if (strcmp(y->key, "distill") == 0)
        return read_distil(c, y);
    if (strcmp(y->key, "seed") == 0)
        return read_number(c, y, UINT64_MAX, &e->seed);
    if (strcmp(y->key, "effort") == 0)
        return read_effort(c, y);
    if (strcmp(y->key, "tuned") == 0)
        return read_bool(c, y, &e->tuned);
    return bad(c, y, "unknown key; known are name, data, solutions, devices, budget, profile, features, "
                     "timeout, max_n, model, distill, seed, effort, tuned, version");
}

struct dune_experiment *dune_experiment_new(void)
{
    static const char *const solutions[] = {"none", "mousika", "jewel", "flowrest", "votes",
                                            "dune-paper", "dune"};
    struct dune_experiment *e = DUNE_NEW(struct dune_experiment);

    e->name = dune_mem_strdup("experiment");
    e->devices = 5;
    e->budget = (struct dune_budget){129, 6};
    e->budget_text = dune_mem_strdup("tight");
    e->profile = dune_mem_strdup("engine");
    e->features = dune_mem_strdup("all");
    e->timeout = UINT64_C(60000000000) / 1024;
    e->max_n = 4;
    e->min_flows = UINT32_MAX;
    e->seed = 1;
    e->effort = DUNE_EFFORT_DEFAULT;
    for (size_t i = 0; i < DUNE_ARRAY_LEN(solutions); i++)
        DUNE_VEC_PUSH(&e->solutions, dune_mem_strdup(solutions[i]));
    return e;
}

static void list_free(struct dune_string_list *list)
{
    for (size_t i = 0; i < list->len; i++)
        dune_mem_free(list->data[i]);
    DUNE_VEC_FREE(list);
}

void dune_experiment_free(struct dune_experiment *e)
{
    if (!e)
        return;
    list_free(&e->train);
    list_free(&e->test);
    list_free(&e->solutions);
    dune_mem_free(e->name);
    dune_mem_free(e->labels);
    dune_mem_free(e->captures);
    dune_mem_free(e->gateway);
    dune_mem_free(e->label_field);
    dune_mem_free(e->unlabelled);
    dune_mem_free(e->split);
    dune_mem_free(e->budget_text);
    dune_mem_free(e->profile);
    dune_mem_free(e->features);
    dune_mem_free(e->model);
    dune_mem_free(e);
}

int dune_experiment_parse(struct dune_experiment **out, const char *name, const char *text, size_t len,
                          struct dune_diag *d)
{
    struct dune_arena arena = {0};
    struct dune_yaml *root;
    struct ctx c = {.file = name, .d = d};
    int rc = dune_yaml_parse(&root, name, text, len, &arena, d);

    *out = NULL;
    c.e = dune_experiment_new();
    if (rc == 0 && root->kind != DUNE_YAML_MAP)
        rc = dune_diag_set_line(d, DUNE_E_FORMAT, name, root->line, "an experiment is a list of key: value");
    for (size_t i = 0; rc == 0 && i < root->n; i++)
        rc = read_key(&c, root->item[i]);
    dune_arena_fini(&arena);
    if (rc)
        dune_experiment_free(c.e);
    else
        *out = c.e;
    return rc;
}

int dune_experiment_read(struct dune_experiment **out, const char *path, struct dune_diag *d)
{
    char *text;
    size_t len;
    int rc = dune_file_read(path, &text, &len, d);

    *out = NULL;
    if (rc == 0)
        rc = dune_experiment_parse(out, path, text, len, d);
    dune_mem_free(text);
    return rc;
}

int dune_experiment_check(const struct dune_experiment *e, struct dune_diag *d)
{
    const struct dune_solution_ops *known;
    int rc = 0;

    if (!e->train.len)
        return dune_diag_set(d, DUNE_E_USAGE, NULL, "no training captures: give data: train: (or --train)");
    if (!e->labels)
        return dune_diag_set(d, DUNE_E_USAGE, NULL, "no label file: give data: labels: (or --labels), or ndpi");
    if (e->split && e->test.len)
        return dune_diag_set(d, DUNE_E_USAGE, NULL, "a split (%s) and test captures: give one of the two", e->split);
    if (e->split && dune_split_parse(e->split, &(struct dune_extract_opts){0}, d) != 0)
        return DUNE_E_USAGE;
    if (!e->devices || e->devices > DUNE_MAX_BLOCKS)
        return dune_diag_set(d, DUNE_E_USAGE, NULL, "%u devices: 1 to %d are possible", e->devices,
                             DUNE_MAX_BLOCKS);
    if (e->max_n < 2 || e->max_n > 15)
        return dune_diag_set(d, DUNE_E_USAGE, NULL, "max_n %u: 2 to 15 are possible", e->max_n);
    for (size_t i = 0; rc == 0 && i < e->solutions.len; i++)
        rc = dune_solution_get(&known, e->solutions.data[i], d);
    return rc;
}
