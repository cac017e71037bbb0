/* SPDX-License-Identifier: Apache-2.0 */
/* Small random data sets for tests: shape and values depend on the seed only. */
#ifndef DUNE_TEST_RANDOM_DATASET_H
#define DUNE_TEST_RANDOM_DATASET_H

#include "features/dataset_int.h"

struct random_shape {
    uint32_t classes, captures, max_n; /* max_n 0: all */
    uint64_t flows, max_len;
    uint64_t seed;
    unsigned test_percent;
};

/* Rows of one flow: values below the features' limits, packet count as it must be. */
static inline void random_rows(struct dune_dset_parts *p, uint64_t first, uint64_t n,
                               struct dune_rng *rng)
{
    for (uint64_t k = 0; k < n; k++)
        for (int f = 0; f < DUNE_N_FEATURES; f++)
            p->col[f][first + k] = f == DUNE_F_COUNT
                                       ? (uint32_t)(k + 1)
                                       : (uint32_t)dune_rng_below(rng, (uint64_t)dune_feature_max(f) + 1);
}

static inline struct dune_dataset *random_dataset(struct random_shape s)
{
    static const char *const class_name[] = {"A", "B,\"x\"", "C c", "D", "E", "F", "G", "H"};
    const char **capture_name = dune_mem_alloc(s.captures, sizeof(*capture_name));
    uint64_t *len = dune_mem_alloc(s.flows, sizeof(*len)), row = 0;
    struct dune_dset_shape shape = {.n_classes = s.classes, .n_captures = s.captures,
                                    .class_name = class_name, .capture_name = capture_name,
                                    .n_flows = s.flows, .timeout = 1000000, .max_n = s.max_n};
    struct dune_dset_parts p;
    struct dune_dataset *ds;
    struct dune_rng rng;

    dune_rng_init(&rng, s.seed, 0, 0, 0);
    for (uint32_t i = 0; i < s.captures; i++)
        capture_name[i] = dune_mem_printf("dir/c.pcap#%u", i);
    for (uint64_t i = 0; i < s.flows; i++) {
        len[i] = 1 + dune_rng_below(&rng, s.max_len);
        shape.n_rows += s.max_n ? DUNE_MIN(len[i], s.max_n) : len[i];
    }
    ds = dune_dset_new(&shape, &p);
    for (uint64_t i = 0; i < s.flows; i++) {
        uint64_t n = s.max_n ? DUNE_MIN(len[i], s.max_n) : len[i];

        p.flow_class[i] = (uint16_t)dune_rng_below(&rng, s.classes);
        p.flow_split[i] = dune_rng_below(&rng, 100) < s.test_percent;
        p.flow_capture[i] = (uint32_t)(i * s.captures / s.flows);
        p.flow_start[i] = dune_rng_below(&rng, 1000000);
        p.flow_len[i] = len[i];
        p.flow_row[i] = row;
        random_rows(&p, row, n, &rng);
        row += n;
    }
    p.flow_row[s.flows] = row;
    dune_dset_seal(ds, 1);
    for (uint32_t i = 0; i < s.captures; i++)
        dune_mem_free((char *)capture_name[i]);
    dune_mem_free(capture_name);
    dune_mem_free(len);
    return ds;
}

#endif
