/* SPDX-License-Identifier: Apache-2.0 */
/* submodels.json and sequence.json: docs/formats/submodels.md. */
#include "dune/submodel_set.h"

#include <string.h>

#include "base/base.h"
#include "submodels/submodels_int.h"

const char *const dune_submodels_scores[] = {"published", "f1", NULL};
const char *const dune_submodels_efforts[] = {"full", "quick", NULL};
const char *const dune_submodels_methods[] = {"end-to-end", "lop", NULL};
const char *const dune_submodels_claims[] = {"first", "best", NULL};
const char *const dune_submodels_fallbacks[] = {"none", "best", NULL};

static void put_features(struct dune_jsonw *w, const char *key, dune_feature_mask m)
{
    dune_jsonw_key(w, key);
    dune_jsonw_arr_inline(w);
    for (int j = 0; j < DUNE_N_FEATURES; j++)
        if (m >> j & 1)
            dune_jsonw_str(w, dune_catalog[j].name);
    dune_jsonw_end(w);
}

static void put_options(struct dune_jsonw *w, const struct dune_submodel_options *o)
{
    dune_jsonw_key(w, "options");
    dune_jsonw_obj(w);
    dune_jsonw_key(w, "budget");
    dune_jsonw_obj_inline(w);
    dune_jsonw_put_uint(w, "leaves_sum", o->budget.leaves_sum);
    dune_jsonw_put_uint(w, "features_distinct", o->budget.features_distinct);
    dune_jsonw_end(w);
    dune_jsonw_put_str(w, "profile", o->profile ? o->profile->name : NULL);
    put_features(w, "features", o->features);
    dune_jsonw_put_bool(w, "own_features", o->own_features);
    dune_jsonw_put_bool(w, "sqrt_features", o->sqrt_features);
    dune_jsonw_put_str(w, "score", dune_submodels_scores[o->f1_only]);
    dune_jsonw_put_str(w, "grid", dune_submodels_efforts[o->quick]);
    dune_jsonw_put_str(w, "phase", dune_mode_name(o->mode));
    dune_jsonw_put_double(w, "balance", o->balance);
    dune_jsonw_key(w, "seed");
    dune_jsonw_big(w, o->seed);
    dune_jsonw_put_str(w, "judged_on", DUNE_SUBMODELS_JUDGED_ON);
    dune_jsonw_end(w);
}

static void put_point(struct dune_jsonw *w, const struct dune_grid_point *p)
{
    dune_jsonw_obj_inline(w);
    dune_jsonw_put_uint(w, "trees", p->trees);
    dune_jsonw_put_uint(w, "leaves", p->leaves);
    dune_jsonw_put_uint(w, "n", p->n);
    put_features(w, "features", p->features);
    dune_jsonw_put_double(w, "macro_f1", p->macro_f1);
    dune_jsonw_put_uint(w, "published_blocks", p->blocks);
    dune_jsonw_put_double(w, "score", p->score);
    dune_jsonw_end(w);
}

static void put_use(struct dune_jsonw *w, const struct dune_submodel_use *u)
{
    dune_jsonw_obj_inline(w);
    dune_jsonw_put_str(w, "profile", u->profile);
    dune_jsonw_put_bool(w, "fits", u->use.fits);
    dune_jsonw_put_str(w, "why", u->use.fits ? NULL : u->use.why);
    for (size_t i = 0; i < dune_n_use_fields; i++)
        dune_jsonw_put_uint(w, dune_use_fields[i].key, *(const uint32_t *)((const char *)&u->use + dune_use_fields[i].at));
    dune_jsonw_put_uint(w, "register_bits", u->use.register_bits);
    dune_jsonw_put_uint(w, "software_bytes", u->use.software_bytes);
    dune_jsonw_end(w);
}

static void put_entry(struct dune_jsonw *w, const struct dune_submodel_set *s, const struct dune_submodel_entry *e)
{
    dune_jsonw_obj(w);
    dune_jsonw_put_uint(w, "id", e->id);
    dune_jsonw_key(w, "classes");
    dune_jsonw_arr_inline(w);
    for (uint32_t c = 0; c < e->fit->n_classes; c++)
        dune_jsonw_str(w, s->class_name[e->fit->cls[c]]);
    dune_jsonw_end(w);
    put_features(w, "candidates", e->candidates);
    dune_jsonw_key(w, "chosen");
    put_point(w, &e->chosen);
    dune_jsonw_put_uint(w, "points", e->n_points);
    dune_jsonw_put_uint(w, "skipped", e->skipped);
    dune_jsonw_put_uint(w, "skipped_profile", e->skipped_profile);
    dune_jsonw_key(w, "pareto");
    dune_jsonw_arr(w);
    for (uint32_t i = 0; i < e->n_front; i++)
        put_point(w, &e->front[i]);
    dune_jsonw_end(w);
    dune_jsonw_key(w, "resources");
    dune_jsonw_arr(w);
    for (uint32_t i = 0; i < e->n_uses; i++)
        put_use(w, &e->use_of[i]);
    dune_jsonw_end(w);
    dune_jsonw_key(w, "forest");
    dune_forest_put(e->fit->forest, w);
    dune_jsonw_end(w);
}

static void put_sequence(struct dune_jsonw *w, const struct dune_submodel_set *s,
                         const struct dune_submodel_sequence *q)
{
    char id[8];

    dune_jsonw_put_str(w, "method", dune_submodels_methods[q->lop]);
    dune_jsonw_put_double(w, "objective", q->order.objective);
    dune_jsonw_key(w, "order");
    dune_jsonw_arr_inline(w);
    for (uint32_t i = 0; i < q->order.n; i++) {
        snprintf(id, sizeof(id), "%u", s->sub[q->order.order[i]].id);
        dune_jsonw_str(w, id);
    }
    dune_jsonw_end(w);
    dune_jsonw_key(w, "ties");
    dune_jsonw_big(w, q->order.ties);
    dune_jsonw_put_bool(w, "optimal", q->order.optimal != 0);
    dune_jsonw_put_str(w, "claim", dune_submodels_claims[q->claim]);
    dune_jsonw_put_uint(w, "early_exit", q->early_exit);
    dune_jsonw_put_str(w, "fallback", dune_submodels_fallbacks[q->fallback]);
    dune_jsonw_put_double(w, "lop_cost", q->lop_cost);
    dune_jsonw_put_double(w, "chained_macro_f1", q->chained_macro);
}

int dune_submodels_format(const struct dune_submodel_set *s, const struct dune_submodel_sequence *seq,
                          char **text, size_t *len)
{
    struct dune_buf b = {0};
    struct dune_jsonw w;

    dune_jsonw_init(&w, &b);
    dune_jsonw_obj(&w);
    dune_jsonw_put_str(&w, "format", seq ? DUNE_SEQUENCE_FORMAT : DUNE_SUBMODELS_FORMAT);
    dune_jsonw_put_uint(&w, "version", DUNE_SUBMODELS_VERSION);
    if (seq)
        put_sequence(&w, s, seq);
    dune_jsonw_put_str(&w, "data_hash", s->data_hash);
    dune_jsonw_key(&w, "timeout");
    if (s->timeout == DUNE_TIMEOUT_NONE)
        dune_jsonw_null(&w);
    else
        dune_jsonw_uint(&w, s->timeout);
    dune_jsonw_key(&w, "classes");
    dune_jsonw_arr_inline(&w);
    for (uint32_t c = 0; c < s->n_classes; c++)
        dune_jsonw_str(&w, s->class_name[c]);
    dune_jsonw_end(&w);
    put_options(&w, &s->options);
    dune_jsonw_put_uint(&w, "blocks", s->n_blocks);
    dune_jsonw_key(&w, "submodels");
    dune_jsonw_arr(&w);
    for (uint32_t i = 0; i < s->n; i++)
        put_entry(&w, s, &s->sub[i]);
    dune_jsonw_end(&w);
    dune_jsonw_end(&w);
    *text = b.data;
    *len = b.len;
    return 0;
}

int dune_submodels_write(const struct dune_submodel_set *s, const struct dune_submodel_sequence *seq,
                         const char *path, struct dune_diag *d)
{
    char *text;
    size_t len;
    int rc = dune_submodels_format(s, seq, &text, &len);

    if (rc == 0)
        rc = dune_file_write(path, text, len, d);
    dune_mem_free(text);
    return rc;
}
