/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What the choice owes to features that may be shortcuts: the same blocks and settings with the robust
 * features only, and without each suspicious feature. A sub-model that had one of them gets its features by
 * elimination again; nothing else is searched, so these are lower bounds (compare --ablation plans anew). All
 * scores are out of fold.
 */
#include "base/base.h"
#include "planner/planner_int.h"

#define BIT(f) (UINT64_C(1) << (f))

static const struct {
    const char *name;
    dune_feature_mask without; /* 0: all that is fragile */
} rows[] = {
    {"robust", 0},
    {"without srcport", BIT(DUNE_F_SRCPORT)},
    {"without dstport", BIT(DUNE_F_DSTPORT) | BIT(DUNE_F_DSTPORT_LOW)},
    {"without ttl", BIT(DUNE_F_IP_TTL)},
    {"without window", BIT(DUNE_F_TCP_WINDOW)},
};

/* The robust part of a set; a destination port keeps its low half. */
dune_feature_mask dune_robust_part(dune_feature_mask all)
{
    dune_feature_mask robust = all;

    for (int f = 0; f < DUNE_N_FEATURES; f++)
        if (dune_catalog[f].flags & DUNE_FF_FRAGILE)
            robust &= ~BIT(f);
    if (all >> DUNE_F_DSTPORT & 1)
        robust |= BIT(DUNE_F_DSTPORT_LOW);
    return robust;
}

static dune_feature_mask without(size_t row, dune_feature_mask all)
{
    return rows[row].without ? all & ~rows[row].without : dune_robust_part(all);
}

int dune_search_shortcuts(struct dune_search *s, const struct dune_chain_spec *spec, double macro,
                          struct dune_jsonw *w, struct dune_diag *d)
{
    dune_jsonw_arr(w);
    for (size_t i = 0; i < DUNE_ARRAY_LEN(rows); i++) {
        struct dune_chain_spec next = *spec;
        struct dune_f1 f1;
        bool other = false;
        int rc;

        for (unsigned b = 0; b < next.n_blocks; b++) {
            dune_feature_mask now = without(i, s->candidates), was = next.cfg[b].features;

            if (!now || (was & now) == was) /* it has nothing else, or nothing of these: it stays as it is */
                continue;
            next.cfg[b].features = next.cfg[b].max_features ? now : was & now;
            other = true;
        }
        if (!other)
            continue;
        rc = dune_search_freeze(s, &next, d);
        if (rc == 0)
            rc = dune_search_score(s, &next, &f1, d);
        if (rc)
            return rc;
        dune_jsonw_obj_inline(w);
        dune_jsonw_key(w, "features");
        dune_jsonw_str(w, rows[i].name);
        dune_jsonw_key(w, "macro");
        dune_jsonw_fixed(w, f1.macro, 4);
        dune_jsonw_key(w, "change");
        dune_jsonw_fixed(w, f1.macro - macro, 4);
        dune_jsonw_end(w);
    }
    dune_jsonw_end(w);
    return 0;
}
