/* SPDX-License-Identifier: Apache-2.0 */
/* Strict reader of submodels.json and sequence.json: docs/formats/submodels.md. */
#include "dune/submodel_set.h"

#include <string.h>

#include "plan/json_reader.h"
#include "submodels/submodels_int.h"

enum { MAX_POINTS = 100000, MAX_USES = 64 };

#define FIELD(name) {#name, offsetof(struct dune_resources, name)}
const struct dune_use_field dune_use_fields[] = {
    FIELD(leaves),     FIELD(features_distinct), FIELD(trees),       FIELD(published_blocks),
    FIELD(range_rows), FIELD(range_as_ternary_rows), FIELD(ternary_rows), FIELD(code_bits),
    FIELD(vote_rows),  FIELD(tcam_blocks),       FIELD(sram_blocks), FIELD(map_rams), FIELD(stages),
};
const size_t dune_n_use_fields = DUNE_ARRAY_LEN(dune_use_fields);

struct set_reader {
    struct dune_json_reader j;
    struct dune_submodel_set *s;
    uint8_t *owned; /* [n_classes] some sub-model has it */
};

/* A list of feature names in the order of the catalog. */
static dune_feature_mask read_features(struct dune_json_reader *r, const json_t *obj, const char *key)
{
    dune_feature_mask m = 0;
    size_t at, in;
    uint32_t n;
    const json_t *list = dune_json_array(r, obj, key, DUNE_N_FEATURES, &n, &at);

    for (uint32_t i = 0; r->rc == 0 && i < n; i++) {
        const char *name = json_string_value(json_array_get(list, i));
        int f = -1;

        in = dune_json_enter_index(r, i);
        for (int j = 0; name && j < DUNE_N_FEATURES; j++)
            if (strcmp(dune_catalog[j].name, name) == 0)
                f = j;
        if (f < 0)
            dune_json_fail(r, "\"%.64s\" is not a feature of the catalog", name ? name : "(not a string)");
        else if (m >> f)
            dune_json_fail(r, "features must be in the order of the catalog, each once");
        else
            m |= UINT64_C(1) << f;
        dune_json_leave(r, in);
    }
    if (r->rc == 0 && !m)
        dune_json_fail(r, "must name at least one feature");
    dune_json_leave(r, at);
    return m;
}

static double read_share(struct dune_json_reader *r, const json_t *obj, const char *key, double max)
{
    double v = dune_json_double(r, obj, key, false);

    if (r->rc == 0 && !(v >= 0 && v <= max)) {
        dune_json_enter_key(r, key);
        dune_json_fail(r, "must be 0 to %g", max);
    }
    return v;
}

static uint32_t read_count(struct dune_json_reader *r, const json_t *obj, const char *key, uint32_t min, uint32_t max)
{
    uint32_t v = (uint32_t)dune_json_uint(r, obj, key, max);

    if (r->rc == 0 && v < min) {
        dune_json_enter_key(r, key);
        dune_json_fail(r, "must be at least %u", min);
    }
    return v;
}

static void read_budget(struct dune_json_reader *r, const json_t *obj, struct dune_budget *b)
{
    const json_t *o = json_object_get(obj, "budget");
    size_t at = dune_json_enter_key(r, "budget");

    if (!dune_json_is_object(r, o, "leaves_sum features_distinct"))
        return;
    b->leaves_sum = (uint32_t)dune_json_uint(r, o, "leaves_sum", UINT32_MAX);
    b->features_distinct = (uint32_t)dune_json_uint(r, o, "features_distinct", UINT32_MAX);
    dune_json_leave(r, at);
}

static enum dune_mode read_mode(struct dune_json_reader *r, const json_t *obj)
{
    const char *s = dune_json_text(r, obj, "phase", false);
    int mode = s ? dune_mode_find(s) : -1;

    if (r->rc == 0 && mode != DUNE_MODE_RUNNING && mode != DUNE_MODE_PUBLISHED) {
        dune_json_enter_key(r, "phase");
        dune_json_fail(r, "must be running or published");
    }
    return r->rc ? DUNE_MODE_RUNNING : (enum dune_mode)mode;
}

static void read_options(struct dune_json_reader *r, const json_t *root, struct dune_submodel_options *opt)
{
    const json_t *o = json_object_get(root, "options");
    size_t at = dune_json_enter_key(r, "options");
    const char *profile, *judged;

    if (!dune_json_is_object(r, o, "budget profile features own_features sqrt_features score grid phase "
                                   "balance seed judged_on"))
        return;
    read_budget(r, o, &opt->budget);
    profile = dune_json_text(r, o, "profile", true);
    opt->profile = profile ? dune_profile_find(profile) : NULL;
    if (profile && !opt->profile) {
        dune_json_enter_key(r, "profile");
        dune_json_fail(r, "\"%.64s\" is not a known profile", profile);
    }
    opt->features = read_features(r, o, "features");
    opt->own_features = dune_json_bool(r, o, "own_features");
    opt->sqrt_features = dune_json_bool(r, o, "sqrt_features");
    opt->f1_only = dune_json_word(r, o, "score", dune_submodels_scores);
    opt->quick = dune_json_word(r, o, "grid", dune_submodels_efforts);
    opt->mode = read_mode(r, o);
    opt->balance = read_share(r, o, "balance", 16);
    opt->seed = dune_json_big(r, o, "seed");
    judged = dune_json_text(r, o, "judged_on", false);
    if (judged && strcmp(judged, DUNE_SUBMODELS_JUDGED_ON) != 0) {
        dune_json_enter_key(r, "judged_on");
        dune_json_fail(r, "must be \"%s\"", DUNE_SUBMODELS_JUDGED_ON);
    }
    dune_json_leave(r, at);
}

static void read_classes(struct set_reader *x, const json_t *root)
{
    struct dune_json_reader *r = &x->j;
    size_t at, in;
    uint32_t n;
    const json_t *list = dune_json_array(r, root, "classes", DUNE_MAX_CLASSES, &n, &at);

    x->s->class_name = DUNE_NEW_N(char *, n);
    for (uint32_t i = 0; r->rc == 0 && i < n; i++) {
        const json_t *v = json_array_get(list, i);
        const char *name = json_string_value(v);

        in = dune_json_enter_index(r, i);
        if (!name || !*name || strlen(name) != json_string_length(v))
            dune_json_fail(r, "must be a class name");
        else if (strcmp(name, "Other") == 0)
            dune_json_fail(r, "\"Other\" cannot be a class");
        else if (i && strcmp(x->s->class_name[i - 1], name) >= 0)
            dune_json_fail(r, "class names must ascend bytewise");
        else
            x->s->class_name[x->s->n_classes++] = dune_mem_strdup(name);
        dune_json_leave(r, in);
    }
    dune_json_leave(r, at);
    x->owned = DUNE_NEW_N(uint8_t, n);
}

/* Classes of a sub-model: ascending, known, nobody else's. */
static void read_own(struct set_reader *x, const json_t *obj, struct dune_fit *fit)
{
    struct dune_json_reader *r = &x->j;
    size_t at, in;
    uint32_t n, next = 0;
    const json_t *list = dune_json_array(r, obj, "classes", x->s->n_classes, &n, &at);

    fit->cls = DUNE_NEW_N(uint16_t, n);
    if (r->rc == 0 && !n)
        dune_json_fail(r, "must name at least one class");
    for (uint32_t i = 0; r->rc == 0 && i < n; i++) {
        const char *name = json_string_value(json_array_get(list, i));

        in = dune_json_enter_index(r, i);
        while (name && next < x->s->n_classes && strcmp(x->s->class_name[next], name) != 0)
            next++;
        if (!name || next == x->s->n_classes)
            dune_json_fail(r, "must be one of the classes above, in their order");
        else if (x->owned[next])
            dune_json_fail(r, "class \"%.64s\" belongs to an earlier sub-model", name);
        else {
            x->owned[next] = 1;
            fit->cls[fit->n_classes++] = (uint16_t)next++;
        }
        dune_json_leave(r, in);
    }
    dune_json_leave(r, at);
}

static void read_point(struct dune_json_reader *r, const json_t *o, struct dune_grid_point *p)
{
    if (!dune_json_is_object(r, o, "trees leaves n features macro_f1 published_blocks score"))
        return;
    p->trees = read_count(r, o, "trees", 1, DUNE_MAX_TREES);
    p->leaves = read_count(r, o, "leaves", 1, DUNE_MAX_LEAVES);
    p->n = read_count(r, o, "n", 1, 15);
    p->features = read_features(r, o, "features");
    p->n_feats = (uint32_t)__builtin_popcountll(p->features);
    p->macro_f1 = read_share(r, o, "macro_f1", 1);
    p->blocks = (uint32_t)dune_json_uint(r, o, "published_blocks", UINT32_MAX);
    p->score = dune_json_double(r, o, "score", false);
    p->pareto = true;
}

static void read_front(struct dune_json_reader *r, const json_t *obj, struct dune_submodel_entry *e)
{
    size_t at, in;
    const json_t *list = dune_json_array(r, obj, "pareto", MAX_POINTS, &e->n_front, &at);

    e->front = DUNE_NEW_N(struct dune_grid_point, e->n_front);
    for (uint32_t i = 0; r->rc == 0 && i < e->n_front; i++) {
        in = dune_json_enter_index(r, i);
        read_point(r, json_array_get(list, i), &e->front[i]);
        dune_json_leave(r, in);
    }
    dune_json_leave(r, at);
}

static void read_use(struct dune_json_reader *r, const json_t *o, struct dune_submodel_use *u)
{
    const char *why;

    if (!dune_json_is_object(r, o, "profile fits why leaves features_distinct trees published_blocks range_rows "
                                   "range_as_ternary_rows ternary_rows code_bits vote_rows tcam_blocks "
                                   "sram_blocks map_rams stages register_bits software_bytes"))
        return;
    u->profile = dune_json_dup(r, o, "profile", false);
    u->use.fits = dune_json_bool(r, o, "fits");
    why = dune_json_text(r, o, "why", u->use.fits);
    snprintf(u->use.why, sizeof(u->use.why), "%s", why ? why : "");
    if (r->rc == 0 && why && (u->use.fits || strlen(why) >= sizeof(u->use.why))) {
        dune_json_enter_key(r, "why");
        dune_json_fail(r, "must be null where it fits, else at most %zu bytes", sizeof(u->use.why) - 1);
    }
    for (size_t i = 0; i < dune_n_use_fields; i++)
        *(uint32_t *)((char *)&u->use + dune_use_fields[i].at) =
            (uint32_t)dune_json_uint(r, o, dune_use_fields[i].key, UINT32_MAX);
    u->use.register_bits = dune_json_uint(r, o, "register_bits", INT64_MAX);
    u->use.software_bytes = dune_json_uint(r, o, "software_bytes", INT64_MAX);
}

static void read_uses(struct dune_json_reader *r, const json_t *obj, struct dune_submodel_entry *e)
{
    size_t at, in;
    const json_t *list = dune_json_array(r, obj, "resources", MAX_USES, &e->n_uses, &at);

    e->use_of = DUNE_NEW_N(struct dune_submodel_use, e->n_uses);
    for (uint32_t i = 0; r->rc == 0 && i < e->n_uses; i++) {
        in = dune_json_enter_index(r, i);
        read_use(r, json_array_get(list, i), &e->use_of[i]);
        dune_json_leave(r, in);
    }
    dune_json_leave(r, at);
}

/* The forest must be one of the chosen point and of the sub-model's classes. */
static void check_forest(struct set_reader *x, const struct dune_submodel_entry *e)
{
    struct dune_json_reader *r = &x->j;
    const struct dune_fit *fit = e->fit;
    const struct dune_forest *f = fit->forest;
    uint32_t k = fit->n_classes;
    bool names = f->n_classes == k || (f->n_classes == k + 1 && strcmp(f->class_name[k], "Other") == 0);

    for (uint32_t c = 0; names && c < k; c++)
        names = strcmp(f->class_name[c], x->s->class_name[fit->cls[c]]) == 0;
    if (!names)
        dune_json_fail(r, "classes must be those of the sub-model, then \"Other\" if it has them");
    else if (f->n != e->chosen.n || f->mode != x->s->options.mode)
        dune_json_fail(r, "n and phase must be those of the chosen point and of the options");
    else if (f->n_trees > e->chosen.trees)
        dune_json_fail(r, "has %u trees, the chosen point %u", f->n_trees, e->chosen.trees);
    for (uint32_t j = 0; r->rc == 0 && j < f->n_feats; j++)
        if (!(e->chosen.features >> f->feat[j] & 1))
            dune_json_fail(r, "feature %s is not one of the chosen point", dune_catalog[f->feat[j]].name);
    for (uint32_t t = 0; r->rc == 0 && t < f->n_trees; t++)
        if (dune_tree_n_leaves(&f->tree[t]) > e->chosen.leaves)
            dune_json_fail(r, "tree %u has %u leaves, the chosen point %u", t,
                           dune_tree_n_leaves(&f->tree[t]), e->chosen.leaves);
}

static void read_forest(struct set_reader *x, const json_t *obj, struct dune_submodel_entry *e)
{
    struct dune_json_reader *r = &x->j;
    struct dune_fit *fit = e->fit;
    size_t at = dune_json_enter_key(r, "forest");
    struct dune_grid_cfg gc = dune_submodel_grid_cfg(&x->s->options);

    if (r->rc == 0)
        r->rc = dune_forest_from_json(&fit->forest, NULL, r->path, json_object_get(obj, "forest"), r->d);
    if (r->rc == 0)
        check_forest(x, e);
    if (r->rc)
        return;
    fit->has_other = fit->forest->n_classes > fit->n_classes;
    fit->cfg = dune_grid_fit_cfg(&gc, &e->chosen);
    for (uint32_t j = 0; j < fit->forest->n_feats; j++)
        fit->used |= UINT64_C(1) << fit->forest->feat[j];
    dune_json_leave(r, at);
}

static void read_entry(struct set_reader *x, const json_t *o, struct dune_submodel_entry *e, bool gaps)
{
    struct dune_json_reader *r = &x->j;
    uint32_t least = x->s->n > 1 ? e[-1].id + 1u : 0;

    if (!dune_json_is_object(r, o, "id classes candidates chosen points skipped skipped_profile pareto "
                                   "resources forest"))
        return;
    e->id = (uint8_t)read_count(r, o, "id", least, gaps ? x->s->n_blocks - 1 : least);
    e->fit = DUNE_NEW(struct dune_fit);
    read_own(x, o, e->fit);
    e->candidates = read_features(r, o, "candidates");
    if (r->rc == 0) {
        size_t at = dune_json_enter_key(r, "chosen");

        read_point(r, json_object_get(o, "chosen"), &e->chosen);
        dune_json_leave(r, at);
    }
    e->n_points = dune_json_uint(r, o, "points", INT64_MAX);
    e->skipped = dune_json_uint(r, o, "skipped", INT64_MAX);
    e->skipped_profile = dune_json_uint(r, o, "skipped_profile", INT64_MAX);
    read_front(r, o, e);
    read_uses(r, o, e);
    read_forest(x, o, e);
}

static void read_entries(struct set_reader *x, const json_t *root, bool partial)
{
    struct dune_json_reader *r = &x->j;
    uint32_t n;
    size_t at, in;
    const json_t *list;

    x->s->n_blocks = read_count(r, root, "blocks", 1, DUNE_MAX_SUBMODELS);
    list = dune_json_array(r, root, "submodels", DUNE_MAX_SUBMODELS, &n, &at);
    if (r->rc == 0 && (partial ? n > x->s->n_blocks : n != x->s->n_blocks))
        dune_json_fail(r, "has %u entries, there are %u blocks", n, x->s->n_blocks);
    x->s->sub = DUNE_NEW_N(struct dune_submodel_entry, n);
    for (uint32_t i = 0; r->rc == 0 && i < n; i++) {
        in = dune_json_enter_index(r, i);
        x->s->n = i + 1;
        read_entry(x, json_array_get(list, i), &x->s->sub[i], partial);
        dune_json_leave(r, in);
    }
    dune_json_leave(r, at);
}

static void read_order(struct dune_json_reader *r, const json_t *root, const struct dune_submodel_set *s,
                       struct dune_order *o)
{
    bool seen[DUNE_MAX_SUBMODELS] = {false};
    size_t at, in;
    const json_t *list = dune_json_array(r, root, "order", DUNE_MAX_SUBMODELS, &o->n, &at);

    if (r->rc == 0 && o->n != s->n)
        dune_json_fail(r, "has %u entries, there are %u sub-models", o->n, s->n);
    for (uint32_t i = 0; r->rc == 0 && i < o->n; i++) {
        const char *name = json_string_value(json_array_get(list, i));
        char id[8];

        in = dune_json_enter_index(r, i);
        for (o->order[i] = 0; name && o->order[i] < s->n; o->order[i]++) {
            snprintf(id, sizeof(id), "%u", s->sub[o->order[i]].id);
            if (strcmp(id, name) == 0)
                break;
        }
        if (!name || o->order[i] == s->n || seen[o->order[i]])
            dune_json_fail(r, "must be the id of a sub-model, each once, as a string");
        else
            seen[o->order[i]] = true;
        dune_json_leave(r, in);
    }
    dune_json_leave(r, at);
}

static void read_sequence(struct dune_json_reader *r, const json_t *root, const struct dune_submodel_set *s,
                          struct dune_submodel_sequence *q)
{
    q->lop = dune_json_word(r, root, "method", dune_submodels_methods);
    q->order.objective = dune_json_double(r, root, "objective", false);
    read_order(r, root, s, &q->order);
    q->order.ties = dune_json_big(r, root, "ties");
    q->order.optimal = dune_json_bool(r, root, "optimal");
    q->claim = dune_json_word(r, root, "claim", dune_submodels_claims);
    q->early_exit = (uint16_t)dune_json_uint(r, root, "early_exit", 256);
    q->fallback = dune_json_word(r, root, "fallback", dune_submodels_fallbacks);
    q->lop_cost = dune_json_double(r, root, "lop_cost", false);
    q->chained_macro = read_share(r, root, "chained_macro_f1", 1);
}

#define SET_KEYS "format version data_hash timeout classes options blocks submodels"

static bool read_format(struct dune_json_reader *r, json_t *root, bool sequence)
{
    const struct dune_format known = {sequence ? "an order of sub-models" : "a set of sub-models", DUNE_SUBMODELS_VERSION, 0, false};
    const char *format = json_string_value(json_object_get(root, "format"));
    const char *want = sequence ? DUNE_SEQUENCE_FORMAT : DUNE_SUBMODELS_FORMAT;

    if (!format || strcmp(format, want) != 0) {
        dune_json_enter_key(r, "format");
        if (format && sequence && strcmp(format, DUNE_SUBMODELS_FORMAT) == 0)
            dune_json_fail(r, "these sub-models have no order yet: dunectl sequence gives one");
        else if (!format && sequence && json_object_get(root, "order"))
            dune_json_fail(r, "this is an order without sub-models: dunectl sequence SUBMODELS.json ROWS.dset "
                              "writes both");
        else
            dune_json_fail(r, "must be \"%s\"", want);
        return false;
    }
    r->rc = dune_format_check_json(&known, root, "version", NULL, NULL, r->d);
    return dune_json_is_object(r, root, sequence ? SET_KEYS " method objective order ties optimal claim "
                                                            "early_exit fallback lop_cost chained_macro_f1"
                                                 : SET_KEYS);
}

static int read_set(struct set_reader *x, struct dune_submodel_sequence *seq, bool partial, json_t *root)
{
    struct dune_json_reader *r = &x->j;

    if (!read_format(r, root, seq != NULL))
        return r->rc;
    (void)dune_json_uint(r, root, "version", DUNE_SUBMODELS_VERSION);
    x->s->data_hash = dune_json_dup(r, root, "data_hash", false);
    x->s->timeout = DUNE_TIMEOUT_NONE;
    if (!json_is_null(json_object_get(root, "timeout")))
        x->s->timeout = dune_json_uint(r, root, "timeout", INT64_MAX);
    read_classes(x, root);
    if (r->rc == 0)
        read_options(r, root, &x->s->options);
    if (r->rc == 0)
        read_entries(x, root, partial);
    if (r->rc == 0 && seq)
        read_sequence(r, root, x->s, seq);
    return r->rc;
}

int dune_submodels_parse(struct dune_submodel_set **out, struct dune_submodel_sequence *seq, bool partial,
                         const char *name, const char *text, size_t len, struct dune_diag *d)
{
    struct dune_diag own = {0};
    struct set_reader x = {.j = {.d = d ? d : &own}};
    json_error_t err;
    json_t *root;
    int rc;

    *out = NULL;
    d = x.j.d;
    if (len > DUNE_SUBMODELS_MAX_BYTES)
        return dune_diag_set(d, DUNE_E_INPUT, name, "has more than %llu bytes",
                             (unsigned long long)DUNE_SUBMODELS_MAX_BYTES);
    root = json_loadb(text ? text : "", len, JSON_REJECT_DUPLICATES, &err);
    if (!root)
        return dune_diag_set_line(d, DUNE_E_FORMAT, name, (uint64_t)DUNE_MAX(err.line, 0), "bad JSON: %s", err.text);
    x.s = DUNE_NEW(struct dune_submodel_set);
    if (seq)
        memset(seq, 0, sizeof(*seq));
    rc = read_set(&x, seq, partial, root);
    json_decref(root);
    dune_mem_free(x.owned);
    if (rc) {
        if (!d->file[0])
            snprintf(d->file, sizeof(d->file), "%s", name ? name : "");
        dune_submodel_set_free(x.s);
        return rc;
    }
    *out = x.s;
    return 0;
}

int dune_submodels_read(struct dune_submodel_set **out, struct dune_submodel_sequence *seq, const char *path,
                        struct dune_diag *d)
{
    struct dune_map m;
    int rc;

    *out = NULL;
    rc = dune_map_open(&m, path, d);
    if (rc)
        return rc;
    rc = dune_submodels_parse(out, seq, false, path, (const char *)m.data, m.len, d);
    dune_map_close(&m);
    return rc;
}
