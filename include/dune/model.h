/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The unconstrained model, whosever it is. A model maps rows of features to class probabilities:
 *
 *   FILE                  a forest of ours, scikit-learn's trees as tools/dump_sklearn.py writes them, or the
 *                         JSON that XGBoost saves; the file tells which
 *   exec:COMMAND          a program: rows in on stdin as CSV, probabilities out on stdout
 *   exec-npy:COMMAND      the same with a NumPy array in
 *   predictions:FILE      probabilities that were computed elsewhere, by flow and packet (predict writes such files)
 *
 * Values are those of `extract --csv`: times in microseconds, all else as it is. Other programs compare
 * 32-bit floats; what is imported compares integers and decides the same for every value a feature can have.
 * A model owns everything it points to and does not change after opening.
 */
#ifndef DUNE_MODEL_H
#define DUNE_MODEL_H

#include "dune/forest_search.h"
#include "dune/importance.h"

enum dune_model_kind { DUNE_MODEL_FOREST, DUNE_MODEL_SKLEARN, DUNE_MODEL_XGBOOST, DUNE_MODEL_EXEC, DUNE_MODEL_PREDICTIONS };

/* What models that do not say it themselves are asked with, and how programs are run. Zero: the default. */
struct dune_model_cfg {
    unsigned n;                 /* 0: what the model says, else 3 */
    int mode;                   /* enum dune_mode + 1; 0: what the model says, else running */
    dune_feature_mask features; /* 0: what the model says, else all */
    unsigned threads;
    double timeout_s;           /* of one run of a program; 0: 600 */
    size_t batch_rows;          /* rows per run of a program; 0: 400,000 */
};

struct dune_boost;
struct dune_model_exec;
struct dune_model_predictions;

struct dune_model {
    enum dune_model_kind kind;
    char *name; /* for messages: the file or the command */
    unsigned n;
    enum dune_mode mode;
    uint32_t n_feats, n_classes;
    uint8_t feat[DUNE_N_FEATURES]; /* columns, in the model's order */
    char **class_name;
    bool named_here;              /* the file has no class names: they are those of the data set, sorted */
    struct dune_forest *forest;   /* FOREST, SKLEARN */
    struct dune_boost *boost;     /* XGBOOST */
    struct dune_model_exec *exec; /* EXEC */
    struct dune_model_predictions *pred; /* PREDICTIONS */
    struct dune_model_cfg cfg;
};

/* ds: classes of models that have no names for theirs, and rows of predictions. */
int dune_model_open(struct dune_model **out, const char *spec, const struct dune_model_cfg *cfg,
                    const struct dune_dataset *ds, struct dune_diag *d) DUNE_MUST_USE;
/* A model that owns the forest f. */
struct dune_model *dune_model_of_forest(struct dune_forest *f, const struct dune_model_cfg *cfg);
void dune_model_free(struct dune_model *m);
const char *dune_model_kind_name(enum dune_model_kind k); /* "forest", "scikit-learn", "xgboost", "exec", "predictions" */
/* The file behind a spec, whose content decides what the model is; NULL: there is none (a program). */
const char *dune_model_file(const char *spec);

/*
 * The rows of flows with use[flow] nonzero (NULL: all) as the model sees them: its columns in its order, its class
 * numbers. Flows of classes it does not know are left out; *left_out (may be NULL) counts them.
 */
int dune_model_table(struct dune_table *t, const struct dune_model *m, const struct dune_dataset *ds,
                     const uint8_t *use, uint64_t *left_out, struct dune_diag *d) DUNE_MUST_USE;
/* Class probabilities of every row of such a table: p[n_rows][n_classes], rows sum to 1. */
int dune_model_proba(const struct dune_model *m, const struct dune_table *t, float *p, struct dune_diag *d) DUNE_MUST_USE;
/* The most probable class of every row; ties to the lower class. A dune_predict_fn with ctx = the model. */
int dune_model_predict(void *model, const struct dune_table *t, uint16_t *out, struct dune_diag *d) DUNE_MUST_USE;

/*
 * The trees of a model as a forest of ours, yours to free: a copy of what is one, and boosted trees as one tree of
 * max_leaves (0: 65,536) that answers the same class for every row. DUNE_E_INFEASIBLE when it takes more.
 */
int dune_model_as_forest(struct dune_forest **out, const struct dune_model *m, uint32_t max_leaves,
                         struct dune_diag *d) DUNE_MUST_USE;

/* --- what a model explains its classes with ------------------------------------------------------ */
enum dune_model_method {
    DUNE_MODEL_NATIVE,      /* by the kind: Gini decrease of trees, contributions (SHAP) of XGBoost, permutation of a
                               program, Gini decrease of a forest that learnt what predictions say */
    DUNE_MODEL_GINI,
    DUNE_MODEL_SHAP,
    DUNE_MODEL_PERMUTATION
};
/* W on the rows of t. *method becomes what was used. spread (may be NULL) gets the spread of permutation. */
int dune_model_importance(struct dune_importance **out, const struct dune_model *m, const struct dune_table *t,
                          enum dune_model_method *method, const struct dune_permute_cfg *pc,
                          struct dune_importance_spread **spread, struct dune_diag *d) DUNE_MUST_USE;
const char *dune_model_method_name(enum dune_model_method m);
/* f: F1 per class on the rows of t, percent. */
int dune_model_scores(struct dune_scores **out, const struct dune_model *m, const struct dune_table *t,
                      struct dune_diag *d) DUNE_MUST_USE;

/* --- XGBoost ----------------------------------------------------------------------------------------- */
struct dune_xgb_cfg { /* zero: the default */
    uint32_t rounds;    /* 0: 100 */
    uint32_t max_depth; /* 0: 6 */
    double eta;         /* 0: 0.3 */
    double balance;     /* class-weight exponent */
    uint64_t seed;
};
const char *dune_xgb_version(void); /* NULL: this build has no libxgboost */
/*
 * Trains on the flows with use[flow] nonzero (NULL: the train split), one thread, so that the same seed gives the same
 * bytes. The text is XGBoost's own JSON with our names in its attributes; yours. DUNE_E_ENV without libxgboost.
 */
int dune_xgb_train(char **text, size_t *len, const struct dune_dataset *ds, unsigned n, enum dune_mode mode,
                   dune_feature_mask features, const struct dune_xgb_cfg *cfg, const uint8_t *use,
                   struct dune_diag *d) DUNE_MUST_USE;
/* How a model of XGBoost was trained here; false: it was not, or on other rows. */
bool dune_xgb_recipe(const struct dune_model *m, const struct dune_dataset *ds, struct dune_xgb_cfg *cfg);
/* The model of a text. */
int dune_model_xgb_parse(struct dune_model **out, const char *name, const char *text, size_t len,
                         const struct dune_model_cfg *cfg, const struct dune_dataset *ds,
                         struct dune_diag *d) DUNE_MUST_USE;

/* --- what it tells the planners ------------------------------------------------------------------------ */
/* "xgboost": a model that is trained here. */
bool dune_model_is_trained_here(const char *spec);
/* The model of a spec as it is; one that is trained here learns the flows with train[flow] nonzero, at mc's n, mode and
 * features, which only it reads. */
int dune_model_for_planning(struct dune_model **out, const char *spec, const struct dune_model_cfg *mc, uint64_t seed,
                            const struct dune_dataset *ds, const uint8_t *train, struct dune_diag *d) DUNE_MUST_USE;
/* W (by the method of its kind) and f on the flows with use[flow] nonzero. */
int dune_model_explain(struct dune_importance **w, struct dune_scores **f, const struct dune_model *m, uint64_t seed,
                       const struct dune_dataset *ds, const uint8_t *use, struct dune_diag *d) DUNE_MUST_USE;
/*
 * What a model holds of the first packets of every flow: the strongest class besides the flow's own, and its share of the
 * two; DUNE_NO_CLASS: it was not asked, or there is none. Packet i of flow f is at f * DUNE_TOLD_PACKETS + i - 1.
 */
enum { DUNE_TOLD_PACKETS = 15 };
struct dune_told {
    uint16_t *rival; /* classes of the data set */
    float *share;    /* 0..1 */
};
void dune_told_init(struct dune_told *told, const struct dune_dataset *ds);
void dune_told_fini(struct dune_told *told);
uint64_t dune_told_hash(const struct dune_told *told, const struct dune_dataset *ds);
/* Asks m about the flows with use[flow] nonzero. Packets beyond its last row of a flow get what it said there. */
int dune_model_tell(const struct dune_model *m, const struct dune_dataset *ds, const uint8_t *use, struct dune_told *told,
                    struct dune_diag *d) DUNE_MUST_USE;

/* --- files ------------------------------------------------------------------------------------------- */
/* scikit-learn's trees as a forest of ours; units of thresholds are those of `extract --csv`. */
int dune_sklearn_parse(struct dune_forest **out, const char *name, const char *text, size_t len,
                       struct dune_diag *d) DUNE_MUST_USE;
/* predictions: flow,packet, then one column per class. */
int dune_predictions_write(const struct dune_model *m, const struct dune_table *t, const float *p, const char *path,
                           struct dune_diag *d) DUNE_MUST_USE;
int dune_predictions_parse(struct dune_model_predictions **out, const char *name, const void *data, size_t len,
                           struct dune_diag *d) DUNE_MUST_USE;
void dune_predictions_free(struct dune_model_predictions *p);
/* What a program wrote: CSV with a header of class names, or a NumPy array of float32 or float64 with a column per
 * class in the order of names. p[n_rows][n_classes]. */
int dune_exec_output_parse(const char *name, const void *data, size_t len, size_t n_rows, char *const *class_name,
                           uint32_t n_classes, float *p, struct dune_diag *d) DUNE_MUST_USE;

/* The number that `extract --csv` writes for value v of a feature. */
double dune_model_value(int feat, uint32_t v);
/*
 * The largest v that goes left when another program compares (float)dune_model_value(v) with t: <= t, or < t when
 * strict. False: none does. Values above the feature's maximum do not occur.
 */
bool dune_model_threshold(int feat, double t, bool strict, uint32_t *v);

#endif
