/* SPDX-License-Identifier: Apache-2.0 */
/* What the files of the experiment stage share. */
#ifndef DUNE_EXPERIMENT_INT_H
#define DUNE_EXPERIMENT_INT_H

#include "base/base.h"
#include "dune/experiment.h"

/* Identity of a result: everything it was made from, hashed. */
struct dune_run_key {
    struct dune_buf text;
};
void dune_run_key_init(struct dune_run_key *k);
void dune_run_key_text(struct dune_run_key *k, const char *text);
void dune_run_key_u64(struct dune_run_key *k, uint64_t v);
int dune_run_key_file(struct dune_run_key *k, const char *path, struct dune_diag *d) DUNE_MUST_USE;
void dune_run_key_finish(struct dune_run_key *k, char out[33]);

/* Is dir/file there and made from this key? */
bool dune_run_is_done(const char *dir, const char *file, const char *key);
int dune_run_mark_done(const char *dir, const char *file, const char *key, struct dune_diag *d) DUNE_MUST_USE;

/* The files of a run, opened. */
struct dune_run_inputs {
    struct dune_paths train, test;
    struct dune_labels *labels;
    struct dune_captures *captures;
    struct dune_ndpi_report ndpi;
};
int dune_run_inputs_open(struct dune_run_inputs *in, const struct dune_experiment *e,
                         struct dune_diag *d) DUNE_MUST_USE;
void dune_run_inputs_close(struct dune_run_inputs *in);
/* DIR/inputs.json (docs/formats/inputs.md), for those who look at the run directory later. */
int dune_run_inputs_write(const struct dune_run_inputs *in, const struct dune_experiment *e, const char *dir,
                          struct dune_diag *d) DUNE_MUST_USE;
/* dir/file as a data set with max_n packets per flow: read if it is there, else extracted. */
int dune_run_dataset(struct dune_dataset **out, const struct dune_experiment *e,
                     const struct dune_run_inputs *in, const char *dir, const char *file, uint32_t max_n,
                     unsigned threads, struct dune_extract_report *report, bool *reused,
                     struct dune_diag *d) DUNE_MUST_USE;
/* Replays the test captures through a plan; fills replay and group. */
int dune_run_replay(struct dune_run *r, struct dune_run_solution *s, const char *dir, const struct dune_run_inputs *in,
                    const struct dune_run_opts *o, struct dune_diag *d) DUNE_MUST_USE;

/* The rows of the ablation, not planned yet; given: candidate features of the experiment. */
void dune_run_ablation_rows(struct dune_run *r, dune_feature_mask given);
/* DIR/pareto.json: see dune/pareto.h; made: it was not there yet. */
int dune_run_pareto(const struct dune_run *r, const char *dir, unsigned threads, dune_feature_mask features, bool *made,
                    struct dune_diag *d) DUNE_MUST_USE;
struct dune_jsonw;
/* Key "ablation" and its value. */
void dune_run_ablation_json(const struct dune_run *r, struct dune_jsonw *w);

#endif
