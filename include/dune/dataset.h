/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Data sets: flows with the first max_n packets of each as integer rows, and views of them.
 *
 * A data set is immutable after building and owned by one pointer. Rows are stored column by column:
 * col[f][row] is feature f (catalog id) with FL features holding the *running* values over packets
 * 1..i of the flow, where the row is packet i. Rows of one flow are consecutive and in packet order;
 * flows are ordered by capture, then first packet.
 */
#ifndef DUNE_DATASET_H
#define DUNE_DATASET_H

#include "dune/features.h"
#include "dune/capture.h"
#include "dune/labels.h"

enum dune_split { DUNE_SPLIT_TRAIN = 0, DUNE_SPLIT_TEST = 1 };

#define DUNE_WEIGHT_ONE (UINT64_C(1) << 24) /* weight of one flow */
#define DUNE_MAX_N_ALL 0                    /* max_n: every packet */

struct dune_dataset {
    uint32_t n_classes;
    const char *const *class_name; /* sorted bytewise; class id = index */
    uint32_t n_captures;
    const char *const *capture_name; /* "file" or "file#piece" */
    const uint8_t *capture_split;    /* enum dune_split of the capture's first flow (informative) */
    uint64_t timeout;                /* ticks or DUNE_TIMEOUT_NONE */
    uint32_t max_n;                  /* packets kept per flow; DUNE_MAX_N_ALL */

    uint64_t n_flows;
    const uint16_t *flow_class;
    const uint8_t *flow_split;
    const uint32_t *flow_capture;
    const uint64_t *flow_start; /* tick of the first packet */
    const uint64_t *flow_len;   /* packets of the whole flow, >= rows kept */
    const uint64_t *flow_row;   /* first row; flow_row[n_flows] = n_rows */

    uint64_t n_rows;
    const uint32_t *col[DUNE_N_FEATURES];
    char hash[33]; /* content hash of all of the above, hex */
    void *owner;   /* private: mapping or arena */
};

/* What extraction saw, for reports. in = ok + sum of other reasons; ok = kept + unlabelled_dropped. */
struct dune_extract_report {
    uint64_t packets, bytes;
    uint64_t by_reason[DUNE_N_REASONS];
    uint64_t labelled, unlabelled; /* inferable packets */
    uint64_t conflicts;            /* packets on which label entries disagree */
    uint64_t flow_label_changes;   /* packets labelled differently from their flow's first packet */
    uint64_t snapped;              /* packets with captured < wire length */
    uint64_t backwards;            /* packets with a timestamp before their predecessor */
    uint64_t flows, unlabelled_flows;
    uint64_t rare_flows;           /* of classes below min_flows, which count as unlabelled */
    uint32_t rare_classes;
    char rare[200];                /* their names, as many as fit */
};

struct dune_extract_opts {
    uint32_t max_n;        /* 0: default 4; UINT32_MAX: all */
    uint64_t timeout;      /* ticks; 0: default 60 s */
    const char *unlabelled;/* class name for unlabelled flows, NULL: dropped */
    unsigned threads;      /* 0: all */
    double time_split;     /* 0: by file list; else share of flows (by start time) that is train */
    uint64_t shard_bytes;  /* files from this size on are read by all threads together; 0: 8 MiB */
    bool captures_split;   /* --split captures: latest 25 % of captures per class are test */
    uint32_t min_flows;    /* classes with fewer flows in the files of train count as unlabelled */
};

/* "captures" or "time:SHARE" into captures_split and time_split. */
int dune_split_parse(const char *text, struct dune_extract_opts *o, struct dune_diag *d) DUNE_MUST_USE;

/* One input file and the split it belongs to. */
struct dune_extract_input {
    const char *path;
    enum dune_split split;
};
/*
 * A growing list of inputs; all zero is empty. spec is a file, a glob or a directory (all files below it
 * but those that are documents by their suffix: md, txt, csv, json, yaml, yml, html, pdf); sorted by name.
 */
struct dune_inputs {
    struct dune_extract_input *data;
    size_t len, cap;
};
int dune_inputs_add(struct dune_inputs *in, const char *spec, enum dune_split split,
                    struct dune_diag *d) DUNE_MUST_USE;
/* The same, except that a directory with a subdirectory train/ gives train/ and, if there, test/. */
int dune_inputs_add_tree(struct dune_inputs *in, const char *spec, struct dune_diag *d) DUNE_MUST_USE;
/* DUNE_E_USAGE when there is no input or one file (also by another name) is there twice. */
int dune_inputs_check(const struct dune_inputs *in, struct dune_diag *d) DUNE_MUST_USE;
void dune_inputs_fini(struct dune_inputs *in);

/*
 * Reads captures into a data set. captures may be NULL (each file is one capture). A flow's class is
 * the label of its first packet. Errors: DUNE_E_INPUT when no packet is labelled, when the files
 * hold fewer than 2 classes, or when captures and files disagree. Same bytes for any thread count.
 */
int dune_extract(struct dune_dataset **out, const struct dune_extract_input *in, size_t n_in,
                 const struct dune_labels *labels, const struct dune_captures *captures,
                 const struct dune_extract_opts *opts, struct dune_extract_report *report,
                 struct dune_diag *d) DUNE_MUST_USE;

/* Names of captures, "file" or "file#piece", with the fewest path components that tell the files
 * apart: names do not depend on where the data lies. piece NULL: the whole file. The name is yours. */
unsigned dune_capture_components(const char *const *paths, size_t n_paths);
char *dune_capture_name(const char *path, unsigned components, const struct dune_piece *piece);

/* File format "DUNEDSET", version 1: docs/formats/dataset.md. Reading maps the file. */
int dune_dataset_write(const struct dune_dataset *ds, const char *path, struct dune_diag *d) DUNE_MUST_USE;
int dune_dataset_read(struct dune_dataset **out, const char *path, struct dune_diag *d) DUNE_MUST_USE;
int dune_dataset_parse(struct dune_dataset **out, const char *name, const void *data, size_t len,
                       struct dune_diag *d) DUNE_MUST_USE;
void dune_dataset_free(struct dune_dataset *ds);
int dune_dataset_find_class(const struct dune_dataset *ds, const char *name); /* -1: absent */

/* --- views ----------------------------------------------------------------------------------------- */
/* How PL packets (1..n-1) see FL features; design section 2. */
enum dune_mode {
    DUNE_MODE_RUNNING,   /* FL features of packets 1..i */
    DUNE_MODE_PUBLISHED, /* FL features 0 before packet n */
    DUNE_MODE_PACKET,    /* every packet a PL answer, FL features 0, nothing stored */
    DUNE_MODE_FLOW,      /* no answer before packet n */
    DUNE_N_MODES
};
const char *dune_mode_name(enum dune_mode m);
int dune_mode_find(const char *name); /* -1: unknown */

/* A training or evaluation table: rows x columns of integers, classes and weights. Owns its arrays. */
struct dune_table {
    size_t n_rows;
    uint32_t n_cols;
    uint32_t n_classes;
    uint8_t *feat;     /* [n_cols] catalog ids */
    uint32_t **col;    /* [n_cols][n_rows] */
    uint16_t *cls;     /* [n_rows], ids of the data set (or relabelled by the caller) */
    uint64_t *w;       /* [n_rows], DUNE_WEIGHT_ONE = one flow */
    uint32_t *flow;    /* [n_rows], flow index in the data set */
    uint32_t *pos;     /* [n_rows], packet number 1..; */
};

struct dune_view {
    unsigned n;             /* inference point (ignored by PACKET) */
    enum dune_mode mode;
    dune_feature_mask features;
    const uint8_t *flow_use; /* [n_flows] nonzero: take this flow; NULL: all */
    uint32_t collision_per_mille; /* adds each packet once more with FL features 0 at this share of
                                     its weight (50 = the design's 0.05; 0 = off) */
};
/*
 * Builds the table of a view: PL rows of packets 1..n-1 (weight 1/len) and the FL row of packet n
 * (weight (len - n + 1)/len); flows shorter than n have PL rows only; mode FLOW has FL rows only;
 * mode PACKET one row per stored packet, needs max_n = all to be exact (else the last stored row
 * stands for the rest). Weight 0 is rounded up to 1. Errors: DUNE_E_USAGE when n > max_n.
 */
int dune_table_build(struct dune_table *t, const struct dune_dataset *ds, const struct dune_view *v,
                     struct dune_diag *d) DUNE_MUST_USE;
void dune_table_fini(struct dune_table *t);
/* Multiplies row weights by (class share)^-a, rescaled to the old total weight (design section 3).
 * Shares are of the table's own cls and w. a = 0 changes nothing. */
void dune_table_balance(struct dune_table *t, double a);

/* --- folds ------------------------------------------------------------------------------------------ */
/*
 * Cuts the train flows into k folds: per class by capture when it has >= 4 captures (whole captures,
 * a capture with several classes is one group), else by flow start time in contiguous blocks. fold
 * gets 0..k-1 per flow, 255 for test flows and for flows of classes with fewer than 4 flows (they
 * stay in train always). seed 0: latest captures in the last fold; other seeds shuffle the groups.
 */
void dune_folds_make(const struct dune_dataset *ds, unsigned k, uint64_t seed, uint8_t *fold);
/* Validation split: latest 25 % of captures per class (or of flows by start time): 1 = validation,
 * 0 = train, 255 = test flow. Flagged classes (fewer than 4 flows) stay in train. */
void dune_validation_make(const struct dune_dataset *ds, uint8_t *part);

/* --- CSV --------------------------------------------------------------------------------------------- */
/*
 * One row per row of a view: flow, capture, split, packet, the features under their published names,
 * weight, Label. Times in microseconds with 3 decimals, exact (a tick is 1.024); weight in flows with 8
 * decimals, enough to get the integer back.
 */
int dune_dataset_csv_write(const struct dune_dataset *ds, const struct dune_view *v, const char *path,
                           struct dune_diag *d) DUNE_MUST_USE;
/* The same; rows of train flows with part[flow] = 1 (dune_validation_make) have the split "validation". */
int dune_dataset_csv_write_parts(const struct dune_dataset *ds, const struct dune_view *v, const uint8_t *part,
                                 const char *path, struct dune_diag *d) DUNE_MUST_USE;
/*
 * Reads such a CSV back: rows, classes (*class_names: t->n_classes strings sorted bytewise, free them
 * with dune_class_names_free) and weights. Only features and Label are needed: without weight a row
 * weighs one flow, without flow and packet each row is packet 1 of its own flow. Unnamed index columns
 * are passed over, -1 in a flow feature (published data) is 0. Unknown columns are an error naming them.
 */
int dune_table_csv_read(struct dune_table *t, const char *path, char ***class_names,
                        struct dune_diag *d) DUNE_MUST_USE;
int dune_table_csv_parse(struct dune_table *t, const char *name, const void *data, size_t len,
                         char ***class_names, struct dune_diag *d) DUNE_MUST_USE;
void dune_class_names_free(char **names, uint32_t n);

#endif
