/* SPDX-License-Identifier: Apache-2.0 */
/*
 * libdune: the stable interface. Plans, classifying packets and rows, data sets, the planner.
 *
 *     cc prog.c $(pkg-config --cflags --libs dune)
 *
 * This header and dune/error.h are all that is installed and all that the shared library exports; the other
 * headers beside it are between the stages of this program and change with it. Within one version of
 * the library (libdune.so.1) functions and structs of this header keep their names, arguments and sizes; what
 * is new is added behind it, in the reserved members that are zero until then.
 *
 * Ownership: what _read, _parse, _new, _extract and _make hand out is yours and goes to the _free of its kind, which
 * accepts NULL. Pointers that other functions return are lent: they last as long as the object they came
 * from. Strings and arrays that you pass are borrowed for the call; but a classifier borrows its plan until it is freed.
 *
 * Threads: plans and data sets never change, any number of threads may use one at a time. A classifier belongs
 * to one thread at a time; several threads take a classifier each, on one plan. There is no global state that
 * a call leaves behind.
 *
 * Errors: functions that can fail return 0 or a negative enum dune_err and fill *d, which may be NULL and must be
 * zeroed before the call: the first error wins. Nothing is printed and nothing exits, with one exception:
 * without memory the process ends with a message.
 */
#ifndef DUNE_DUNE_H
#define DUNE_DUNE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

#include "dune/error.h" /* of its functions the library exports dune_diag_format */

#define DUNE_API_VERSION 1
/* DUNE_API_VERSION of the library that was loaded; its version as text, "0.1.0". */
unsigned dune_api_version(void);
const char *dune_version(void);
/* "file:line: place: message" of an error, always terminated. */
void dune_diag_format(const struct dune_diag *d, char *out, uint32_t out_bytes);

/* --- features --------------------------------------------------------------------------------------- */
/* The catalog: canonical names, from 0 to dune_n_features() - 1; NULL beyond. */
unsigned dune_n_features(void);
const char *dune_feature_name(unsigned i);

/* --- plans ------------------------------------------------------------------------------------------- */
struct dune_plan;
/* A plan file (docs/formats/plan.md), read and verified. */
int dune_plan_read(struct dune_plan **out, const char *path, struct dune_diag *d) DUNE_MUST_USE;
/* The same from memory; name is for messages. */
int dune_plan_parse(struct dune_plan **out, const char *name, const char *text, size_t len,
                    struct dune_diag *d) DUNE_MUST_USE;
/* Written under a temporary name and renamed. */
int dune_plan_write(const struct dune_plan *p, const char *path, struct dune_diag *d) DUNE_MUST_USE;
void dune_plan_free(struct dune_plan *p);
unsigned dune_plan_n_classes(const struct dune_plan *p);
/* Name of class 1 .. n_classes; "" for 0 (no class), NULL beyond. */
const char *dune_plan_class_name(const struct dune_plan *p, unsigned cls);
unsigned dune_plan_n_submodels(const struct dune_plan *p);
unsigned dune_plan_n_devices(const struct dune_plan *p);
/* Does a sub-model read this feature (by any of its names)? */
bool dune_plan_reads(const struct dune_plan *p, const char *feature);

/* --- packets ----------------------------------------------------------------------------------------- */
struct dune_input {
    const void *data;  /* an Ethernet frame, tags in place, without check sequence */
    uint32_t cap_len;  /* bytes at data */
    uint32_t wire_len; /* on the wire; 0: cap_len */
    uint64_t ts_ns;    /* nanoseconds of any clock; gaps and time-outs are differences */
};

enum { /* bits of dune_result.flags */
    DUNE_RESULT_FINAL = 1,       /* no device behind could say more about this packet */
    DUNE_RESULT_TENTATIVE = 2,   /* cls is a fallback, no sub-model claimed it */
    DUNE_RESULT_SETTLED = 4,     /* no later packet of the flow will get another verdict */
    DUNE_RESULT_COLLISION = 8,   /* some device had no slot for the flow */
    DUNE_RESULT_FLOW_LEVEL = 16, /* the answer is that of packet n or a stored one */
    DUNE_RESULT_INFERABLE = 32,  /* else nothing else applies; see reason */
    DUNE_RESULT_DROPPED = 64     /* by the class's action */
};
#define DUNE_RESULT_NOWHERE UINT16_MAX
struct dune_result {
    uint8_t cls;        /* class of the plan; 0: none */
    uint8_t confidence; /* 0..255 */
    uint8_t submodel;   /* id of the sub-model whose answer it is */
    uint8_t flags;      /* DUNE_RESULT_* */
    uint8_t reason;     /* 0: inferable, else why not: dune_result_reason */
    uint8_t reserved;
    uint16_t device;    /* where the verdict became final, from 0; DUNE_RESULT_NOWHERE */
};
/* "not_ip", "fragment" ...; "ok" for 0; NULL beyond the last. */
const char *dune_result_reason(unsigned reason);

struct dune_classifier;
struct dune_classifier_options { /* zero: the default */
    const char *engine;   /* "fast" (default), "reference", "xdp"; all give the same verdicts */
    uint32_t slots, ways; /* of the flow table of a device; 0: what the plan says */
    uint64_t reserved[6];
};
/* All devices of a plan in a row, without interfaces. o may be NULL. DUNE_E_ENV: no such engine here. */
int dune_classifier_new(struct dune_classifier **out, const struct dune_plan *p,
                        const struct dune_classifier_options *o, struct dune_diag *d) DUNE_MUST_USE;
void dune_classifier_free(struct dune_classifier *c);
/* Forgets all flows. Between captures that have nothing to do with each other. */
void dune_classifier_reset(struct dune_classifier *c);
/* n packets in the order in which they came; out has n. Flows go on from call to call. */
int dune_classify(struct dune_classifier *c, const struct dune_input *in, size_t n, struct dune_result *out,
                  struct dune_diag *d) DUNE_MUST_USE;
/* Up to 64 packets of a capture file and their results; not 0: enough. */
typedef int (*dune_result_fn)(void *ctx, const struct dune_input *in, const struct dune_result *r, size_t n);
/* A capture file (pcap, pcapng, plain or packed). Flows of before are forgotten first. DUNE_E_INTERRUPTED when fn
 * had enough. */
int dune_classify_capture(struct dune_classifier *c, const char *path, dune_result_fn fn, void *ctx,
                          struct dune_diag *d) DUNE_MUST_USE;

/* --- rows of features ----------------------------------------------------------------------------------- */
/*
 * n_rows x n_columns integers, row by row; column[i] names a feature (canonical, published or alias), times in ticks
 * of 1.024 us, every feature that the plan reads is there. A row is one packet and stands alone: with a
 * column "count" (packets of the flow so far) a sub-model takes a row with count < n as one of its first packets, else, and
 * without such a column, as its packet n. DUNE_E_USAGE names a column that is unknown, missing or there twice, and
 * refuses the claim rule `votes`.
 */
int dune_classify_rows(const struct dune_plan *p, const char *const *column, size_t n_columns, const uint32_t *rows,
                       size_t n_rows, struct dune_result *out, struct dune_diag *d) DUNE_MUST_USE;

/* --- data sets ------------------------------------------------------------------------------------------- */
struct dune_dataset;
struct dune_dataset_options { /* zero: the default */
    const char *const *train; /* capture files, globs, directories; one with train/ and test/ in it gives both */
    size_t n_train;
    const char *const *test;
    size_t n_test;
    const char *labels;       /* a file, or ndpi, ndpi-protocol, ndpi-category (docs/formats/labels.md); required */
    const char *captures;     /* list of captures in the files; NULL: a file is one */
    const char *label_field;  /* for labels from logs; NULL */
    const char *unlabelled;   /* class of flows without label; NULL: dropped */
    const char *timeout;      /* seconds, or "none"; NULL: "60" */
    uint32_t max_n;           /* packets kept per flow; 0: 4, UINT32_MAX: all */
    uint32_t threads;         /* 0: all */
    const char *gateway;      /* MAC address, of the UNSW device list; NULL: that of the data set */
    uint32_t min_flows;       /* classes with fewer flows in train count as unlabelled; 0: 20 with nDPI, else none; 1: none */
    uint32_t reserved_too;
    uint64_t reserved[4];
};
int dune_dataset_extract(struct dune_dataset **out, const struct dune_dataset_options *o,
                         struct dune_diag *d) DUNE_MUST_USE;
/* docs/formats/dataset.md */
int dune_dataset_read(struct dune_dataset **out, const char *path, struct dune_diag *d) DUNE_MUST_USE;
int dune_dataset_write(const struct dune_dataset *ds, const char *path, struct dune_diag *d) DUNE_MUST_USE;
void dune_dataset_free(struct dune_dataset *ds);
uint64_t dune_dataset_n_rows(const struct dune_dataset *ds);
uint64_t dune_dataset_n_flows(const struct dune_dataset *ds);
unsigned dune_dataset_n_classes(const struct dune_dataset *ds);
const char *dune_dataset_class_name(const struct dune_dataset *ds, unsigned cls); /* from 0; NULL beyond */
/* One feature of all rows; NULL: no such feature. A row is a packet, its flow features are those so far. */
const uint32_t *dune_dataset_column(const struct dune_dataset *ds, const char *feature);
/* Rows of flow f: [row[f], row[f + 1]). Class, packets of the whole flow, 1: test. */
const uint64_t *dune_dataset_flow_row(const struct dune_dataset *ds);
const uint16_t *dune_dataset_flow_class(const struct dune_dataset *ds);
const uint64_t *dune_dataset_flow_len(const struct dune_dataset *ds);
const uint8_t *dune_dataset_flow_test(const struct dune_dataset *ds);

/* --- the planner ----------------------------------------------------------------------------------------- */
struct dune_plan_options { /* zero: the default */
    const char *solution;  /* "dune"; none, mousika, jewel, flowrest, votes, dune-paper */
    const char *budget;    /* per device: "tight", "tiny", "loose", "leaves_sum=N,features_distinct=N" */
    const char *features;  /* candidates: "all" */
    const char *profile;   /* of the devices: "engine" */
    const char *effort;    /* "default", "quick", "full" */
    uint32_t devices;      /* 5 */
    uint32_t threads;      /* 0: all; the plan is the same on any number */
    uint64_t seed;         /* 0: 1 */
    double time_limit_s;   /* 0: none beyond that of the effort */
    const char *model;     /* unconstrained model of dune and dune-paper: docs/models.md; NULL: ours */
    const char *distill;   /* soft labels of dune: "auto", "off", "model" */
    uint64_t reserved[4];
};
/* From the train flows of a data set to a plan. train_macro (may be NULL): macro F1 of the choice on flows it was not
 * fitted to, 0..1. */
int dune_plan_make(struct dune_plan **out, const struct dune_dataset *ds, const struct dune_plan_options *o,
                   double *train_macro, struct dune_diag *d) DUNE_MUST_USE;

struct dune_score {
    double macro, weighted, micro; /* F1, 0..1 */
    double coverage;               /* share with a class */
};
struct dune_plan_scores {
    uint64_t packets, inferable, flows;
    struct dune_score flow, packet; /* a flow weighs 1; a packet weighs 1 */
    uint64_t reserved[6];
};
struct dune_score_options { /* zero: the default */
    const char *engine;   /* "fast" */
    const char *labels;   /* a file, or ndpi ...; required */
    const char *captures; /* NULL: a file is one capture */
    const char *label_field;
    const char *gateway;  /* of the UNSW device list */
    uint64_t reserved[5];
};
/* Sends capture files (files, globs, directories) through a plan and scores the verdicts by labels. */
int dune_plan_score(struct dune_plan_scores *out, const struct dune_plan *p, const char *const *captures, size_t n,
                    const struct dune_score_options *o, struct dune_diag *d) DUNE_MUST_USE;

#ifdef __cplusplus
}
#endif
#endif
