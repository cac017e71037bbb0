/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Experiments: the whole job from captures to a compared set of solutions in a run directory.
 *
 *   DIR/rows.dset, rows-all.dset   data sets        DIR/plans/<solution>.json   plans
 *   DIR/choice/<solution>.json     what was chosen  DIR/metrics.json            the comparison
 *   DIR/verdicts/<solution>.csv    (with verdicts)  DIR/compare.csv             the table
 *   DIR/inputs.json                what it was made from: paths, absolute
 *
 * Every stage writes its file whole or not at all and is skipped when its file is there and was made
 * from the same inputs and settings (DIR/state.json), so an interrupted run continues.
 */
#ifndef DUNE_EXPERIMENT_H
#define DUNE_EXPERIMENT_H

#include "dune/error.h"
#include "dune/replay.h"
#include "dune/solution.h"

struct dune_buf;

struct dune_string_list {
    char **data;
    size_t len, cap;
};

struct dune_experiment {
    char *name;
    struct dune_string_list train, test; /* files, directories or globs, relative to the working dir; without
                                            test it is cut from train */
    char *labels, *captures;             /* labels: a file or ndpi ...; captures may be NULL */
    char *gateway, *label_field, *unlabelled; /* may be NULL */
    char *split;                         /* without test: "captures" (the default) or "time:SHARE" */
    uint32_t min_flows;                  /* classes with fewer flows in train count as unlabelled; UINT32_MAX: 20
                                            with labels of nDPI, else 0 */
    struct dune_string_list solutions;
    uint32_t devices;
    struct dune_budget budget;
    char *budget_text, *profile, *features; /* features: a set, default "all" */
    uint64_t timeout;                    /* ticks or DUNE_TIMEOUT_NONE */
    uint32_t max_n;                      /* packets kept per flow, default 4 */
    uint64_t seed;
    enum dune_effort effort;
    bool tuned;                          /* monoliths in tuned form */
    char *model;                         /* the unconstrained model of dune-paper and dune; NULL: forests of ours */
    enum dune_distil distil;             /* soft labels of dune */
};
/* Every default of the design; free with dune_experiment_free. */
struct dune_experiment *dune_experiment_new(void);
/* Reads EXPERIMENT.yaml; relative paths are relative to the file. Unknown keys, wrong types and unknown
 * solutions are DUNE_E_INPUT/FORMAT with the line. */
int dune_experiment_read(struct dune_experiment **out, const char *path, struct dune_diag *d) DUNE_MUST_USE;
int dune_experiment_parse(struct dune_experiment **out, const char *name, const char *text, size_t len,
                          struct dune_diag *d) DUNE_MUST_USE;
void dune_experiment_free(struct dune_experiment *e);
/* Checks what can be checked before work starts: files, labels, at least one solution. */
int dune_experiment_check(const struct dune_experiment *e, struct dune_diag *d) DUNE_MUST_USE;

/*
 * What a run directory says it was made from (DIR/inputs.json). Every path is absolute; DUNE_E_INPUT says what is
 * not there. Free with dune_run_source_free.
 */
struct dune_run_source {
    char *name, *labels, *captures, *gateway, *label_field; /* captures, gateway, label_field may be NULL */
    struct dune_string_list train, test, solutions;
};
int dune_run_source_read(struct dune_run_source **out, const char *dir, struct dune_diag *d) DUNE_MUST_USE;
int dune_run_source_parse(struct dune_run_source **out, const char *file, const char *text, size_t len,
                          struct dune_diag *d) DUNE_MUST_USE;
void dune_run_source_free(struct dune_run_source *s);

/* --- running ------------------------------------------------------------------------------------ */
struct dune_run_opts {
    unsigned threads;  /* 0: all */
    bool final;        /* also replay the test captures: the only place where test is read */
    bool ablation;     /* dune again, at quick effort: robust features, and without each suspicious one */
    bool pareto;       /* DIR/pareto.json: dune for 1 to all devices, at quick effort */
    bool verdicts;     /* write DIR/verdicts/<solution>.csv */
    const char *engine;/* NULL: "reference" */
    void (*note)(void *ctx, const char *text); /* one line per finished step, may be NULL */
    void *note_ctx;
    /* Before every replay, may be NULL: o is what it will run with; look, stop and chain.trace are free to set. */
    void (*before_replay)(void *ctx, const struct dune_plan *p, const char *solution, const char *const *test,
                          size_t n_test, struct dune_replay_opts *o);
    void *before_replay_ctx;
};
struct dune_run_solution {
    const struct dune_solution_ops *ops;
    const char *label;  /* of its files; the solution's name but for ablation rows */
    const char *title;  /* of an ablation row, else NULL */
    dune_feature_mask features; /* candidates */
    enum dune_effort effort;
    struct dune_plan *plan;
    double train_macro; /* what the choice looked like inside train */
    char *judged_by;
    uint64_t evaluations;
    unsigned n_shortcuts; /* solution dune: its choice fitted without features that may be shortcuts */
    struct dune_run_shortcut {
        char features[24];
        double macro, change; /* out of fold */
    } shortcut[8];
    double seconds;     /* planning; 0 when an earlier result was used again */
    struct dune_replay *replay; /* with final */
    struct dune_confusion *group; /* [n_groups] flow-level test confusion per capture (or flow group) */
};
struct dune_run {
    const struct dune_experiment *e; /* borrowed */
    struct dune_dataset *ds, *all;   /* all: every packet, or NULL when no solution needs it */
    struct dune_extract_report report; /* all zero when extract_reused */
    struct dune_ndpi_report ndpi;
    bool extract_reused;
    size_t n;
    struct dune_run_solution *sol;   /* in the order of the experiment */
    size_t n_ablation;
    struct dune_run_solution *ablation; /* the first one with all features that were given */
    uint32_t n_groups;
    bool groups_are_captures;
};
/* Does everything that is not done yet in dir, writes all files of the run directory. */
int dune_experiment_run(struct dune_run **out, const struct dune_experiment *e, const char *dir,
                        const struct dune_run_opts *o, struct dune_diag *d) DUNE_MUST_USE;
void dune_run_free(struct dune_run *r);
/* Paired difference of flow-level macro F1 on test, a minus b, with its 95 % bootstrap interval. */
struct dune_interval dune_run_difference(const struct dune_run *r, size_t a, size_t b);
/* The comparison as metrics.json (design section 10) and as CSV. */
void dune_run_json(const struct dune_run *r, struct dune_buf *out);
void dune_run_csv(const struct dune_run *r, struct dune_buf *out);

#endif
