/* SPDX-License-Identifier: Apache-2.0 */
/* What the planner's own files share. */
#ifndef DUNE_PLANNER_INT_H
#define DUNE_PLANNER_INT_H

#include "dune/planner.h"

/* Columns of all blocks of a chain, lent from the cache. */
int dune_cv_columns(struct dune_cv *cv, const struct dune_chain_spec *spec,
                    const struct dune_item_answer **col, struct dune_diag *d) DUNE_MUST_USE;
const uint8_t *dune_cv_scored(const struct dune_cv *cv); /* [n_flows of the space] */
unsigned dune_cv_k(const struct dune_cv *cv);
const uint8_t *dune_cv_fold(const struct dune_cv *cv);

/* Soft labels for the settings, when they want any: made once per view, before columns are fitted; then lent for
 * fits that do not see fold `without` (k or more: that see all). */
int dune_cv_prepare_soft(struct dune_cv *cv, struct dune_space *s, const struct dune_fit_cfg *cfg,
                         struct dune_diag *d) DUNE_MUST_USE;
const struct dune_soft *dune_cv_soft(const struct dune_cv *cv, const struct dune_fit_cfg *cfg, unsigned without);
/* From now on soft labels are those of a model; told is borrowed. */
struct dune_told;
void dune_cv_listen(struct dune_cv *cv, const struct dune_told *told);
uint64_t dune_cv_work(const struct dune_cv *cv); /* in eighths of a column with elimination of features */

/* --- a search: what all its steps share -------------------------------------------------------- */
struct dune_advice;
enum { DUNE_JUDGES = 3, DUNE_WORK_COLUMN = 8, DUNE_MAX_VARIANTS = 48 };
/* Ways to use the devices, with their scores on the folds of the search. */
struct dune_variants {
    unsigned n, from; /* dune_variants_best looks at those from `from` on */
    struct dune_chain_spec spec[DUNE_MAX_VARIANTS];
    const char *step[DUNE_MAX_VARIANTS]; /* that led to it */
    double score[DUNE_MAX_VARIANTS];
    double judged[DUNE_MAX_VARIANTS]; /* see dune_variants_pick */
};
struct dune_search {
    const struct dune_planner_cfg *cfg;
    struct dune_space *space;                   /* what the search looks at; see sample.c */
    size_t n_train;                             /* training flows there are */
    struct dune_cv *cv;
    struct dune_cv *searched;                   /* folds that the search sees */
    struct dune_cv *judge[DUNE_JUDGES];         /* layouts it does not see: see dune_search_change_folds */
    uint16_t cls[DUNE_CLASS_WORDS * 64]; /* classes present, ascending */
    unsigned n_cls;
    dune_feature_mask candidates; /* features to choose from */
    struct dune_advice *advice; /* of a model from elsewhere, or NULL */
    const struct dune_chain_spec *rival; /* the best chain over several devices where one was kept, or NULL */
    unsigned n_devices;
    unsigned device[DUNE_MAX_BLOCKS];           /* of block b; large ones first where they differ */
    struct dune_budget budget[DUNE_MAX_BLOCKS]; /* of that device */
    bool mixed;                                 /* devices differ */
    bool votes;                                 /* every device can carry votes */
    unsigned layout;                            /* of the folds in use: 0 of the search, else 1 + which judge */
    struct dune_search_log *log;                /* or NULL */
    uint64_t until_ns;                          /* 0: no limit of time */
    unsigned n_steps;
    struct dune_step { /* of the search for blocks, in its order, on its folds */
        const char *what;
        unsigned n_blocks;
        double macro;
    } step[128];
    unsigned n_candidates;
    struct dune_candidate { /* the finalists, as they were judged */
        const char *name;
        unsigned n_blocks;
        double macro;
        struct dune_interval gain; /* over one device */
        bool taken;
        const char *barred; /* why it could not be taken, or NULL */
        unsigned n_variants;
        struct {
            const char *step;
            double score, judged;
        } variant[DUNE_MAX_VARIANTS];
    } candidate[4];
    /* Limits of work, counted and not timed, so that results do not depend on speed. */
    uint64_t max_work;        /* columns, those without elimination of features as an eighth of one */
    uint64_t max_evaluations; /* columns, whatever they cost; 0: no limit */
};
/* Space, folds and work limit; close it also after an error. */
int dune_search_open(struct dune_search *s, const struct dune_planner_cfg *cfg, const struct dune_dataset *ds,
                     unsigned max_n, struct dune_diag *d) DUNE_MUST_USE;
void dune_search_close(struct dune_search *s);
/* --- sample.c: what the search looks at ------------------------------------------------------------ */
int dune_search_sample(struct dune_search *s, const struct dune_dataset *ds, unsigned max_n,
                       struct dune_diag *d) DUNE_MUST_USE;
/* The search with all training flows, to fit what was chosen; s itself where it has them all. Close it also after
 * an error. */
int dune_search_whole(struct dune_search *whole, const struct dune_search *s, struct dune_diag *d) DUNE_MUST_USE;
void dune_search_whole_close(struct dune_search *whole, const struct dune_search *s);
/* The chain fitted to all training flows; its i-th sub-model is block order[i]. */
struct dune_solution_job;
int dune_search_plan(const struct dune_search *s, const struct dune_chain_spec *spec, const unsigned *order,
                     const struct dune_solution_job *job, struct dune_plan **out, struct dune_diag *d) DUNE_MUST_USE;

/* Where the search for settings starts. */
struct dune_fit_cfg dune_search_base_cfg(const struct dune_search *s);
/* Paired bootstrap of macro F1, a minus b (b NULL: a alone). */
int dune_search_compare(struct dune_search *s, const struct dune_chain_spec *a,
                        const struct dune_chain_spec *b, struct dune_interval *out,
                        struct dune_diag *d) DUNE_MUST_USE;
int dune_search_prepare(struct dune_search *s, const struct dune_chain_spec *spec,
                        struct dune_diag *d) DUNE_MUST_USE;
int dune_search_columns(struct dune_search *s, const struct dune_chain_spec *spec,
                        const struct dune_item_answer **col, struct dune_diag *d) DUNE_MUST_USE;
/* May set only macro: see search_log.c. */
int dune_search_score(struct dune_search *s, const struct dune_chain_spec *spec, struct dune_f1 *f1,
                      struct dune_diag *d) DUNE_MUST_USE;
/* next becomes the best where it scores more than min_gain above *score. */
int dune_search_try(struct dune_search *s, const struct dune_chain_spec *next, double min_gain,
                    struct dune_chain_spec *best, double *score, struct dune_diag *d) DUNE_MUST_USE;
/* Notes a step of the search for blocks. */
void dune_search_note(struct dune_search *s, const char *what, unsigned n_blocks, double macro);
/* To the folds of the search (layout 0) or of judge layout - 1. */
int dune_search_change_folds(struct dune_search *s, unsigned layout, struct dune_diag *d) DUNE_MUST_USE;
/* How many layouts judge: fewer when time is over. */
unsigned dune_search_n_judges(const struct dune_search *s);
/* Candidate sub-models that the search evaluated. */
uint64_t dune_search_evaluations(const struct dune_search *s);

/* --- advice.c: a model from elsewhere -------------------------------------------------------------------- */
struct dune_importance;
/* Asks the model of the settings, if there is one; after the folds of the search are made. */
int dune_advice_take(struct dune_search *s, struct dune_diag *d) DUNE_MUST_USE;
const struct dune_told *dune_advice_told(const struct dune_advice *a); /* NULL: no soft labels of it are wanted */
void dune_advice_free(struct dune_advice *a);
/* The chain as it is fitted for the plan: with soft labels of the model where these are asked for. */
struct dune_chain_spec dune_search_as_planned(const struct dune_search *s, const struct dune_chain_spec *spec);
/* k blocks by W and f of the model, greedily, as published. */
int dune_advice_partition(const struct dune_search *s, unsigned k, struct dune_class_set *block,
                          struct dune_diag *d) DUNE_MUST_USE;

/* --- finalists.c: the finalists, on folds that the search has not seen --------------------------------- */
/* Every sub-model gets the features that it has when fitted to all train flows, as in the plan. */
int dune_search_freeze(struct dune_search *s, struct dune_chain_spec *spec, struct dune_diag *d) DUNE_MUST_USE;
/* Freezes spec and notes it as a variant, scored again, also beyond the limit of work; when its time is over, or no
 * evaluation is left, with the score it had (below 0: it has none). */
int dune_variants_add(struct dune_search *s, struct dune_variants *v, const char *step,
                      const struct dune_chain_spec *spec, double score, struct dune_diag *d) DUNE_MUST_USE;
/* The same where score is above that of the best so far. */
int dune_variants_add_better(struct dune_search *s, struct dune_variants *v, const char *step,
                             const struct dune_chain_spec *spec, double score, struct dune_diag *d) DUNE_MUST_USE;
/* The best so far with features exchanged one for one, if that is better; rounds: per sub-model. */
int dune_variants_add_exchanged(struct dune_search *s, struct dune_variants *v, unsigned rounds,
                                struct dune_diag *d) DUNE_MUST_USE;
/* The best so far with labels softened by what a large forest holds of every row; with leaves that are shrunk
 * towards what is above them. */
int dune_variants_add_shrunk(struct dune_search *s, struct dune_variants *v, struct dune_diag *d) DUNE_MUST_USE;
int dune_variants_add_distilled(struct dune_search *s, struct dune_variants *v, struct dune_diag *d) DUNE_MUST_USE;
/* The variant with the best score on the folds of the search. */
unsigned dune_variants_best(const struct dune_variants *v);
/* The one that the judges find best; on return the folds of the first judge are in use. */
int dune_variants_pick(struct dune_search *s, struct dune_variants *v, struct dune_chain_spec *best,
                       double *macro, struct dune_diag *d) DUNE_MUST_USE;
/* The choice so far, with its score by the judges. */
struct dune_choice {
    struct dune_chain_spec one, spec;
    double score;
    struct dune_chain_spec rival; /* the best chain that was tried, taken or not */
    double rival_score;
};
/* One device is the choice; then a rival replaces it only when its paired gain exceeds two standard errors.
 * barred: why it cannot be taken, or NULL. */
int dune_choice_start(struct dune_search *s, struct dune_choice *c, struct dune_variants *one,
                      struct dune_diag *d) DUNE_MUST_USE;
int dune_choice_challenge(struct dune_search *s, struct dune_choice *c, const char *name,
                          struct dune_variants *rival, const char *barred, struct dune_diag *d) DUNE_MUST_USE;
bool dune_search_exhausted(const struct dune_search *s);
bool dune_search_late(const struct dune_search *s); /* its time is over */
/* Sub-model b of spec on all train flows, as in the plan; after dune_search_prepare. */
int dune_search_fit(const struct dune_search *s, const struct dune_chain_spec *spec, unsigned b, struct dune_fit **out,
                    struct dune_diag *d) DUNE_MUST_USE;
/* Blocks 0..k-1 of spec get the settings, within the budgets of their devices. */
void dune_search_init_spec(const struct dune_search *s, struct dune_chain_spec *spec, unsigned k,
                           const struct dune_fit_cfg *cfg);
/* Replaces the features of a chain of one block: the one that helps most is added, up to the budget. */
int dune_forward_select(struct dune_search *s, dune_feature_mask candidates, struct dune_chain_spec *spec,
                        double *score, struct dune_diag *d) DUNE_MUST_USE;

int dune_refine_features(struct dune_search *s, struct dune_chain_spec *spec, double *score,
                         struct dune_diag *d) DUNE_MUST_USE;
/* Features of every sub-model exchanged one for one while the chain gains; rounds: per sub-model. */
int dune_exchange_features(struct dune_search *s, struct dune_chain_spec *spec, double *score, unsigned rounds,
                           struct dune_diag *d) DUNE_MUST_USE;

/* A kind of single device: what it keeps while its settings are searched. */
struct dune_monolith {
    const struct dune_solution_ops *ops;
    const char *features;
    unsigned n_modes;
    enum dune_mode mode[2];
    unsigned max_n; /* packets that are scored one by one */
    bool by_n;      /* has an inference point to choose */
    bool many_trees;
};
extern const struct dune_monolith dune_monolith_any; /* packets and flows jointly: the planner's own */
/* Settings, features by elimination, by addition and exchanged: a variant each. restarts: from drawn
 * settings on as long as evaluations are left, for one more. */
int dune_plan_one(struct dune_search *s, const struct dune_monolith *m, dune_feature_mask candidates,
                  bool restarts, struct dune_variants *out, struct dune_diag *d) DUNE_MUST_USE;

/* --- search_log.c: scores that are known, kept in a file ----------------------------------------- */
struct dune_search_log;
int dune_search_log_open(struct dune_search_log **out, const char *path, const char *identity,
                         struct dune_diag *d) DUNE_MUST_USE;
void dune_search_log_close(struct dune_search_log *log);
void dune_search_log_key(const struct dune_chain_spec *spec, unsigned layout, char key[33]);
bool dune_search_log_find(const struct dune_search_log *log, const char key[33], double *macro);
void dune_search_log_add(struct dune_search_log *log, const char key[33], double macro);
/* Counts the columns of a chain as evaluated; they are fitted when somebody wants them. */
void dune_cv_touch(struct dune_cv *cv, const struct dune_chain_spec *spec);

/* --- early_exit.c ------------------------------------------------------------------------------- */
struct dune_saving {
    double visits; /* sub-models that a packet meets before its verdict is final, mean */
};
/* Sets early_exit and the order of the blocks of spec where that costs no F1 on the folds in use. */
int dune_search_save_work(struct dune_search *s, struct dune_chain_spec *spec, struct dune_saving *out,
                          struct dune_diag *d) DUNE_MUST_USE;
/* Flow-level confusion out of fold; out is initialised. */
int dune_search_confusion(struct dune_search *s, const struct dune_chain_spec *spec,
                          struct dune_confusion *out, struct dune_diag *d) DUNE_MUST_USE;

unsigned dune_present_classes(const struct dune_space *s, uint16_t *cls);
void dune_partition_random(const uint16_t *cls, unsigned n, unsigned k, uint64_t seed,
                           struct dune_class_set *block);
void dune_partition_confused(const struct dune_confusion *conf, const uint16_t *cls, unsigned n,
                             unsigned k, bool together, struct dune_class_set *block);

/* Inference points that are tried, ascending; and how many of them data with max_n packets allow. */
enum { DUNE_N_POINTS = 5 };
extern const unsigned dune_inference_points[DUNE_N_POINTS];
unsigned dune_n_points(unsigned max_n);

/* Settings common to all blocks; then per block, accepting only gains above min_gain. */
int dune_tune_common(struct dune_search *s, struct dune_chain_spec *spec, double *score, unsigned rounds,
                     struct dune_diag *d) DUNE_MUST_USE;
int dune_tune_blocks(struct dune_search *s, struct dune_chain_spec *spec, double *score, double min_gain,
                     struct dune_diag *d) DUNE_MUST_USE;
/* What the baseline votes plans for these devices. */
int dune_plan_votes(struct dune_search *s, const struct dune_solution_job *job, struct dune_variants *out,
                    struct dune_diag *d) DUNE_MUST_USE;
/* Chains of 2 to k blocks, every step of the best ones a variant; one: what tells confused classes. */
int dune_plan_blocks(struct dune_search *s, const struct dune_chain_spec *one, unsigned k, struct dune_variants *out,
                     struct dune_diag *d) DUNE_MUST_USE;
/* Classes get homes in other and in further blocks, or lose one, one by one, where the chain gains more than min_gain. */
int dune_second_homes(struct dune_search *s, struct dune_chain_spec *spec, double *score, double min_gain,
                      unsigned rounds, struct dune_diag *d) DUNE_MUST_USE;
int dune_local_search(struct dune_search *s, struct dune_chain_spec *spec, double *score, unsigned tries,
                      uint64_t key, struct dune_diag *d) DUNE_MUST_USE;

/* --- what the choice is made of ----------------------------------------------------------------- */
struct dune_buf;
struct dune_jsonw;
/* The notes of a choice as JSON (docs/formats/choice.md). */
int dune_search_explain(struct dune_search *s, const struct dune_chain_spec *chosen,
                        const struct dune_chain_spec *one, const struct dune_saving *saving,
                        struct dune_buf *json, struct dune_diag *d) DUNE_MUST_USE;
/* The value of "shortcuts" in the notes; macro: score of the choice. */
int dune_search_shortcuts(struct dune_search *s, const struct dune_chain_spec *spec, double macro,
                          struct dune_jsonw *w, struct dune_diag *d) DUNE_MUST_USE;
/* explain_search.c: keys "model", "distill", "search"; "importance" (Gini decrease of the class in the sub-model that
 * claims it); "sizes" of block b (the chain with fewer leaves there), each with its value. */
void dune_notes_search(const struct dune_search *s, struct dune_jsonw *w);
int dune_notes_importance(const struct dune_search *s, struct dune_fit *const *fit, unsigned n, struct dune_jsonw *w,
                          struct dune_diag *d) DUNE_MUST_USE;
int dune_notes_sizes(struct dune_search *s, const struct dune_chain_spec *spec, unsigned b, struct dune_jsonw *w,
                     struct dune_diag *d) DUNE_MUST_USE;
/* Key "settings" and its value. */
void dune_notes_settings(struct dune_jsonw *w, const struct dune_fit_cfg *c);
/* Macro F1 out of fold when only a share (0..1) of each class outside the fold is trained on: whole
 * captures, drawn by seed. */
int dune_search_learn(struct dune_search *s, const struct dune_chain_spec *spec, double share, double *macro,
                      struct dune_diag *d) DUNE_MUST_USE;
/* Fits every block on each part's train flows; answers for its held flows go to col[block]. */
int dune_search_fit_parts(struct dune_search *s, const struct dune_chain_spec *spec, unsigned n_parts,
                          uint8_t **train, uint8_t **held, struct dune_item_answer **col,
                          struct dune_diag *d) DUNE_MUST_USE;
/* min_confidence[n_classes + 1]: per class the lowest that reaches the precision on the folds other than
 * `without` (255: on all of them), else the one with the highest precision. Two wrong flows are added to
 * what was seen. reached[n_classes] (may be NULL) tells which. */
int dune_search_thresholds(struct dune_search *s, const struct dune_chain_spec *spec, unsigned without,
                           double precision, uint8_t *min_confidence, uint8_t *reached,
                           struct dune_diag *d) DUNE_MUST_USE;
/* The value of "open_world" in the notes. */
int dune_search_open_world(struct dune_search *s, const struct dune_chain_spec *spec, struct dune_jsonw *w,
                           struct dune_diag *d) DUNE_MUST_USE;

#endif
