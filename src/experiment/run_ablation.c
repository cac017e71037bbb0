/* SPDX-License-Identifier: Apache-2.0 */
/*
 * How much of the score hangs on features that may be shortcuts: the planner's own solution once more with
 * the robust set, and without each suspicious feature. All rows are planned at quick effort, so they
 * compare with the first of them, not with the solution itself.
 */
#include <string.h>

#include "experiment/experiment_int.h"

static const struct {
    const char *label, *name;
    dune_feature_mask without; /* 0: as they are */
} rows[] = {
    {"ablation-default", "as given", 0},
    {"ablation-robust", "robust", 0},
    {"ablation-srcport", "without srcport", UINT64_C(1) << DUNE_F_SRCPORT},
    {"ablation-dstport", "without dstport",
     UINT64_C(1) << DUNE_F_DSTPORT | UINT64_C(1) << DUNE_F_DSTPORT_LOW},
    {"ablation-ttl", "without ttl", UINT64_C(1) << DUNE_F_IP_TTL},
    {"ablation-window", "without window", UINT64_C(1) << DUNE_F_TCP_WINDOW},
};

void dune_run_ablation_rows(struct dune_run *r, dune_feature_mask given)
{
    r->ablation = DUNE_NEW_N(struct dune_run_solution, DUNE_ARRAY_LEN(rows));
    for (size_t i = 0; i < DUNE_ARRAY_LEN(rows); i++) {
        struct dune_run_solution *s = &r->ablation[r->n_ablation];

        *s = (struct dune_run_solution){.ops = &dune_solution_dune, .label = rows[i].label,
                                        .title = rows[i].name, .features = given & ~rows[i].without,
                                        .effort = DUNE_EFFORT_QUICK};
        if (strcmp(rows[i].name, "robust") == 0)
            s->features = dune_robust_part(given);
        if ((i == 0 || s->features != given) && s->features)
            r->n_ablation++;
    }
}

void dune_run_ablation_json(const struct dune_run *r, struct dune_jsonw *w)
{
    dune_jsonw_key(w, "ablation");
    dune_jsonw_arr(w);
    for (size_t i = 0; i < r->n_ablation; i++) {
        const struct dune_run_solution *s = &r->ablation[i];

        dune_jsonw_obj_inline(w);
        dune_jsonw_key(w, "features");
        dune_jsonw_str(w, s->title);
        dune_jsonw_key(w, "submodels");
        dune_jsonw_uint(w, s->plan->n_submodels);
        dune_jsonw_key(w, "train_macro");
        dune_jsonw_fixed(w, s->train_macro, 6);
        dune_jsonw_key(w, "train_change");
        dune_jsonw_fixed(w, s->train_macro - r->ablation[0].train_macro, 6);
        if (s->replay && r->ablation[0].replay) {
            dune_jsonw_key(w, "flow_macro");
            dune_jsonw_fixed(w, s->replay->flow.f1.macro, 6);
            dune_jsonw_key(w, "flow_change");
            dune_jsonw_fixed(w, s->replay->flow.f1.macro - r->ablation[0].replay->flow.f1.macro, 6);
        }
        dune_jsonw_end(w);
    }
    dune_jsonw_end(w);
}
