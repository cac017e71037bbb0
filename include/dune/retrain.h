/* SPDX-License-Identifier: Apache-2.0 */
/*
 * New generations of a plan from fresh labelled flows, and how good a plan stays over time (docs/drift.md).
 */
#ifndef DUNE_RETRAIN_H
#define DUNE_RETRAIN_H

#include "dune/drift.h"
#include "dune/planner.h"

/*
 * The plan again, from the flows with use[flow] != 0 (NULL: the train flows): the same blocks, features,
 * inference points, trees and leaves, devices, rules, thresholds and actions; the next generation number.
 * Classes that the plan does not have go to the smallest block. Errors: DUNE_E_INPUT names a class of the
 * plan without a flow, or a different time-out.
 */
int dune_refit(struct dune_plan **out, const struct dune_plan *old, const struct dune_dataset *ds, const uint8_t *use,
               uint64_t seed, unsigned threads, struct dune_diag *d) DUNE_MUST_USE;

/* Flow-level macro F1 of two plans on the same flows, and the paired difference b - a over captures, or over
 * slices of time where there are fewer than 4 captures. */
struct dune_judged {
    uint64_t flows;
    double macro[2];
    struct dune_interval gain;
};
int dune_plans_judge(struct dune_judged *out, const struct dune_plan *a, const struct dune_plan *b,
                     const struct dune_dataset *ds, const uint8_t *use, uint64_t seed, struct dune_diag *d) DUNE_MUST_USE;

struct dune_retrain_cfg {
    bool search;             /* the whole planner again instead of the old plan's structure */
    enum dune_effort effort; /* of search */
    uint64_t seed;
    unsigned threads;
};
struct dune_retrained {
    struct dune_plan *plan;   /* yours */
    struct dune_judged judged; /* on the latest quarter of the train flows, which the candidate had not seen */
    bool better;              /* the 95 % interval of the gain is above zero */
};
/* Fits a candidate on the earlier flows, judges it against old on the later ones, and fits it on all. */
int dune_retrain(struct dune_retrained *out, const struct dune_plan *old, const struct dune_dataset *ds,
                 const struct dune_retrain_cfg *cfg, struct dune_diag *d) DUNE_MUST_USE;

/* --- over time --------------------------------------------------------------------------------------------- */
struct dune_timeline_cfg {
    unsigned windows;       /* equal parts of every class in time; 2..200 */
    unsigned first;         /* windows the first plan is made from; 0: a quarter of them, at least 1 */
    unsigned history;       /* windows a new generation is fitted on; 0: as many as first */
    bool capture_order;     /* order of time: the data set's (by name of capture), not the packets' ticks */
    struct dune_planner_cfg plan; /* of the first plan */
};
struct dune_timeline_point {
    unsigned window;        /* from cfg.first on */
    uint64_t flows, answers;
    double fixed, retrained; /* flow-level macro F1 */
    uint32_t moved;         /* features of the first plan that moved, counted per sub-model */
    uint32_t claims_moved;  /* claim shares and confidences that moved */
    char *names;            /* "" for none */
    bool alarm;
};
struct dune_timeline {
    unsigned first, history;
    struct dune_plan *plan; /* the first one */
    double train_macro;
    size_t n;
    struct dune_timeline_point *point;
};
/* One plan for good beside one that is refitted before every window on the labelled windows before it. */
int dune_timeline_run(struct dune_timeline *out, const struct dune_dataset *ds, const struct dune_timeline_cfg *cfg,
                      struct dune_diag *d) DUNE_MUST_USE;
void dune_timeline_fini(struct dune_timeline *t);
void dune_timeline_csv(const struct dune_timeline *t, struct dune_buf *out);
void dune_timeline_svg(const struct dune_timeline *t, const char *title, struct dune_buf *out);

#endif
