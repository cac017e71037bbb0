/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Partition of classes into blocks (design section 4). For a block s of k classes over r features:
 * net_j = sum_{c in s} W_cj - k/r; features {j: net_j > 0}; Theta = sum of positive net_j;
 * Delta = f_c if k = 1 else max f - min f; gain = Theta / (1 + Delta).
 * Total(P) = (m - |P|)/(m - 1) * sum gain.
 */
#ifndef DUNE_PARTITION_H
#define DUNE_PARTITION_H

#include "dune/importance.h"

struct dune_block {
    uint32_t n_classes, n_feats;
    uint32_t *cls;  /* indices into dune_blocks.class_name, ascending */
    uint32_t *feat; /* indices into dune_blocks.feat_name, ascending */
    double gain;    /* NAN when the method has none */
};
struct dune_blocks {
    char *method; /* "greedy", "exact", "ilp", "random", ... */
    double objective; /* what the method optimises: the total, ilp: its cost, together/apart: the
                         confusion within blocks; NAN when unknown */
    bool optimal; /* proven */
    double gap;   /* |bound - objective| / |objective|; 0 when optimal, -1 unknown */
    uint32_t n_classes, n_feats, n_blocks;
    char **class_name, **feat_name;
    struct dune_block *block; /* ordered by smallest class */
    uint32_t n_levels; /* greedy: total at each of the m - 1 merge levels */
    double *level;
};

enum dune_partition_method {
    DUNE_PART_GREEDY, DUNE_PART_EXACT, DUNE_PART_ILP, DUNE_PART_RANDOM, DUNE_PART_TOGETHER, DUNE_PART_APART
};
struct dune_partition_cfg {
    enum dune_partition_method method;
    uint32_t n_blocks;          /* 0: the method chooses; random, together and apart need it */
    const char *const *classes; /* subset by name in this order, NULL: all of W in W's order */
    uint32_t n_classes;
    uint64_t seed;
    const double *confusion;    /* together/apart: [m][m] flow-weighted confusion, row = truth; may be NULL */
    uint64_t memory_limit;      /* bytes for exact/ilp, 0: 2 GiB */
    unsigned threads;           /* 0: all; never changes the result */
};
int dune_partition_method_find(const char *name); /* -1: unknown */
/*
 * W and f are matched by class name; classes only in one of them: DUNE_E_INPUT naming them (all of them
 * unless a subset is asked for). Greedy ties within 1e-12: lexicographically smallest blocks.
 */
int dune_partition(struct dune_blocks **out, const struct dune_importance *w,
                   const struct dune_scores *f, const struct dune_partition_cfg *cfg,
                   struct dune_diag *d) DUNE_MUST_USE;
void dune_blocks_free(struct dune_blocks *b);
/* Total of the published objective for any partition given as block index per class. */
double dune_partition_total(const struct dune_importance *w, const struct dune_scores *f,
                            const uint32_t *block_of, uint32_t n_blocks);

/* blocks.json: {"method","objective","blocks":[{"classes","features","gain"}],"optimal","gap"} and
 * "levels", "classes", "features" (all names, in order). Only "blocks" with "classes" is needed to read
 * one: features then are numbered as they appear. Duplicate classes are refused. */
int dune_blocks_write(const struct dune_blocks *b, const char *path, struct dune_diag *d) DUNE_MUST_USE;
int dune_blocks_format(const struct dune_blocks *b, char **text, size_t *len); /* *text is yours */
int dune_blocks_read(struct dune_blocks **out, const char *path, struct dune_diag *d) DUNE_MUST_USE;
int dune_blocks_parse(struct dune_blocks **out, const char *name, const char *text, size_t len,
                      struct dune_diag *d) DUNE_MUST_USE;

#endif
