/* SPDX-License-Identifier: Apache-2.0 */
/* Counts as text, for those who count and those who compare on different machines. */
#include <string.h>

#include "drift/drift_int.h"
#include "plan/json_reader.h"

static void put_array(struct dune_jsonw *w, const uint64_t *v, uint32_t n)
{
    dune_jsonw_arr_inline(w);
    for (uint32_t i = 0; i < n; i++)
        dune_jsonw_big(w, v[i]);
    dune_jsonw_end(w);
}

void dune_drift_counts_format(const struct dune_drift_counts *c, struct dune_buf *out)
{
    struct dune_jsonw w;

    dune_jsonw_init(&w, out);
    dune_jsonw_arr(&w);
    for (uint32_t k = 0; k < c->n; k++) {
        const struct dune_drift_submodel *s = &c->sub[k];

        if (s->answers == 0) /* of another device, or nothing yet */
            continue;
        dune_jsonw_obj(&w);
        dune_jsonw_key(&w, "sub"), dune_jsonw_uint(&w, k);
        dune_jsonw_key(&w, "answers"), dune_jsonw_big(&w, s->answers);
        dune_jsonw_key(&w, "claims"), put_array(&w, s->claims, s->n_classes + 1);
        dune_jsonw_key(&w, "confidence"), put_array(&w, s->confidence, s->n_classes + 1);
        dune_jsonw_key(&w, "hits");
        dune_jsonw_arr(&w);
        for (uint32_t j = 0; j < s->n_feats; j++)
            put_array(&w, s->hits[j], s->n_rows[j]);
        dune_jsonw_end(&w);
        dune_jsonw_key(&w, "leaves");
        dune_jsonw_arr(&w);
        for (uint32_t t = 0; t < s->n_trees; t++)
            put_array(&w, s->leaves[t], s->n_leaves[t]);
        dune_jsonw_end(&w);
        dune_jsonw_end(&w);
    }
    dune_jsonw_end(&w);
}

/* The sum, or a failure when the length is not the plan's. */
uint64_t drift_read_counts(struct dune_json_reader *r, const json_t *a, const char *what, uint64_t *out, uint32_t want)
{
    uint64_t sum = 0;

    if (r->rc == 0 && (!json_is_array(a) || json_array_size(a) != want))
        dune_json_fail(r, "%s must be %u numbers, as the plan has it", what, want);
    for (uint32_t i = 0; r->rc == 0 && i < want; i++) {
        out[i] = dune_json_to_uint(r, json_array_get(a, i), DRIFT_MOST);
        sum += out[i];
    }
    return sum;
}

static void read_sub(struct dune_json_reader *r, const json_t *v, struct dune_drift_counts *c)
{
    struct dune_drift_submodel *s;
    const json_t *hits = json_object_get(v, "hits"), *leaves = json_object_get(v, "leaves");
    uint64_t k;

    if (!dune_json_is_object(r, v, "sub answers claims confidence hits leaves"))
        return;
    k = dune_json_uint(r, v, "sub", c->n ? c->n - 1 : 0);
    if (r->rc || k >= c->n)
        return;
    s = &c->sub[k];
    if (s->answers)
        dune_json_fail(r, "sub-model %u comes twice", (unsigned)k);
    s->answers = dune_json_uint(r, v, "answers", DRIFT_MOST);
    if (drift_read_counts(r, json_object_get(v, "claims"), "claims", s->claims, s->n_classes + 1) != s->answers && r->rc == 0)
        dune_json_fail(r, "the claims must add up to the answers");
    drift_read_counts(r, json_object_get(v, "confidence"), "confidence", s->confidence, s->n_classes + 1);
    if (r->rc == 0 && (!json_is_array(hits) || json_array_size(hits) != s->n_feats))
        dune_json_fail(r, "hits must be of %u features, as the plan has it", s->n_feats);
    for (uint32_t j = 0; r->rc == 0 && j < s->n_feats; j++)
        if (drift_read_counts(r, json_array_get(hits, j), "hits of a feature", s->hits[j], s->n_rows[j]) != s->answers && r->rc == 0)
            dune_json_fail(r, "the hits of a feature must add up to the answers");
    if (r->rc == 0 && (!json_is_array(leaves) || json_array_size(leaves) != s->n_trees))
        dune_json_fail(r, "leaves must be of %u trees, as the plan has it", s->n_trees);
    for (uint32_t t = 0; r->rc == 0 && t < s->n_trees; t++)
        if (drift_read_counts(r, json_array_get(leaves, t), "leaves of a tree", s->leaves[t], s->n_leaves[t]) != s->answers && r->rc == 0)
            dune_json_fail(r, "the leaves of a tree must add up to the answers");
}

int dune_drift_counts_parse(struct dune_drift_counts *c, const char *text, size_t len, struct dune_diag *d)
{
    struct dune_json_reader r = {.d = d, .passes_over = true};
    json_t *root = json_loadb(text, len, JSON_REJECT_DUPLICATES, NULL);

    dune_drift_counts_clear(c);
    if (!json_is_array(root))
        dune_json_fail(&r, "counts are an array of sub-models");
    for (size_t i = 0; r.rc == 0 && i < json_array_size(root); i++) {
        size_t at = dune_json_enter_index(&r, i);

        read_sub(&r, json_array_get(root, i), c);
        dune_json_leave(&r, at);
    }
    json_decref(root);
    return r.rc;
}
