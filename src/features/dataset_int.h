/* SPDX-License-Identifier: Apache-2.0 */
/*
 * How data sets are laid out and filled inside this stage.
 *
 * A data set in memory *is* its file: one block of bytes, a header, a section table and 64-byte
 * aligned sections (docs/formats/dataset.md). Building fills the block and seals it; reading maps it.
 */
#ifndef DUNE_DATASET_INT_H
#define DUNE_DATASET_INT_H

#include "base/base.h"
#include "dune/dataset.h"

enum dune_dset_section {
    DSET_FEATURE_NAMES,
    DSET_CLASS_NAMES,
    DSET_CAPTURE_NAMES,
    DSET_CAPTURE_SPLIT,
    DSET_FLOW_CLASS,
    DSET_FLOW_SPLIT,
    DSET_FLOW_CAPTURE,
    DSET_FLOW_START,
    DSET_FLOW_LEN,
    DSET_FLOW_ROW,
    DSET_COLUMNS, /* one section per feature */
    DSET_N_SECTIONS = DSET_COLUMNS + DUNE_N_FEATURES
};

/* Packets of a flow: DUNE_WEIGHT_ONE times this fits 64 bits. */
#define DSET_MAX_FLOW_LEN ((UINT64_C(1) << 40) - 1)

/* What must be known before a data set can be laid out. */
struct dune_dset_shape {
    uint32_t n_classes, n_captures;
    const char *const *class_name, *const *capture_name;
    uint64_t n_flows, n_rows, timeout;
    uint32_t max_n; /* as in struct dune_dataset: DUNE_MAX_N_ALL or the number */
};

/* The writable view of a data set that is being built. */
struct dune_dset_parts {
    uint8_t *capture_split, *flow_split;
    uint16_t *flow_class;
    uint32_t *flow_capture;
    uint64_t *flow_start, *flow_len, *flow_row;
    uint32_t *col[DUNE_N_FEATURES];
};

/* A data set with zeroed contents, but for the columns. Fill the parts, then seal. */
struct dune_dataset *dune_dset_new(const struct dune_dset_shape *shape, struct dune_dset_parts *parts);
/* Computes the digests and the content hash; nothing may change afterwards. */
void dune_dset_seal(struct dune_dataset *ds, unsigned threads);

/* split.c. Cuts the flows with use[i] == 1 per class: part[i] = 1 for the latest quarter of captures (or
 * flows), 0 for the rest; other flows keep their part. */
struct dune_dset_flows {
    uint64_t n_flows;
    uint32_t n_classes, n_captures;
    const uint16_t *cls;
    const uint32_t *capture;
    const uint64_t *start;
    const uint8_t *use;
};
void dune_dset_cut_latest(const struct dune_dset_flows *f, uint8_t *part);
/* The same by start time alone: per class the first share (at least one flow) 0, the others 1. */
void dune_dset_cut_share(const struct dune_dset_flows *f, double share, uint8_t *part);

#endif
