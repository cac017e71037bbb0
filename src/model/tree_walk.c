/* SPDX-License-Identifier: Apache-2.0 */
/* Trees of other programs, as lists of children, features and thresholds: the way down, checked. */
#include <jansson.h>
#include <math.h>

#include "model/model_int.h"

#define BAD(w, ...) dune_diag_set_place((w)->d, DUNE_E_INPUT, (w)->name, (w)->place, __VA_ARGS__)

static int child(const struct tree_walk *w, const json_t *list, size_t v, int64_t *out)
{
    const json_t *c = json_array_get(list, v);

    *out = json_is_integer(c) ? json_integer_value(c) : -2;
    if (*out == -1 || (*out > 0 && (uint64_t)*out < w->n))
        return 0;
    return BAD(w, "node %zu has a child that is no node", v);
}

int tree_walk_settle(const struct tree_walk *w, size_t *v, int64_t kid[2], int32_t *feat, uint32_t *threshold)
{
    for (;;) {
        const json_t *f = json_array_get(w->feature, *v), *t = json_array_get(w->threshold, *v);
        double at = w->single ? (double)(float)json_number_value(t) : json_number_value(t);
        int rc = child(w, w->left, *v, &kid[0]);

        if (rc == 0)
            rc = child(w, w->right, *v, &kid[1]);
        if (rc)
            return rc;
        if (w->seen[*v]++)
            return BAD(w, "node %zu is a child of two nodes", *v);
        if ((kid[0] < 0) != (kid[1] < 0))
            return BAD(w, "node %zu has one child", *v);
        *feat = -1;
        if (kid[0] < 0)
            return 0;
        if (!json_is_integer(f) || json_integer_value(f) < 0 || json_integer_value(f) >= w->n_feats)
            return BAD(w, "node %zu: feature is no number from 0 to %u", *v, w->n_feats - 1);
        if (!json_is_number(t) || !isfinite(at))
            return BAD(w, "node %zu: threshold is no number", *v);
        *feat = (int32_t)json_integer_value(f);
        if (!dune_model_threshold(w->feat[*feat], at, w->single, threshold))
            *v = (size_t)kid[1];
        else if (*threshold == dune_feature_max(w->feat[*feat]))
            *v = (size_t)kid[0];
        else
            return 0;
    }
}
