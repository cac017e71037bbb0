/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Small data sets that can be learnt: every class has its own centre in some features, the rest is noise.
 * Shape and values depend on the seed only; the labels can be changed without changing the rows.
 */
#ifndef DUNE_TEST_SIGNAL_DATASET_H
#define DUNE_TEST_SIGNAL_DATASET_H

#include "features/dataset_int.h"

struct signal_shape {
    uint32_t classes, captures; /* at most 8 classes */
    uint64_t flows;
    unsigned noise;             /* 0: classes apart, 100: only noise */
    uint64_t seed;
    const uint16_t *label;      /* [flows] instead of the drawn classes; NULL: as drawn */
};

/* Features that carry the class: each tells groups of classes apart, none tells all. */
static const uint8_t signal_feat[] = {DUNE_F_IP_LEN, DUNE_F_TCP_WINDOW, DUNE_F_IP_TTL, DUNE_F_SRCPORT,
                                      DUNE_F_DSTPORT, DUNE_F_LEN_MAX, DUNE_F_GAP_MAX};

static inline uint32_t signal_value(int f, unsigned cls, struct dune_rng *rng, unsigned noise)
{
    uint64_t max = dune_feature_max(f);
    uint64_t drawn = dune_rng_below(rng, max + 1);

    for (unsigned i = 0; i < sizeof(signal_feat); i++)
        if (signal_feat[i] == f && dune_rng_below(rng, 100) >= noise)
            return (uint32_t)((max / 9) * ((cls * (i + 3) + i) % 8) + dune_rng_below(rng, max / 9 + 1));
    return (uint32_t)drawn;
}

static inline struct dune_dataset *signal_dataset(const struct signal_shape *s)
{
    static const char *const class_name[] = {"A", "B", "C", "D", "E", "F", "G", "H"};
    const char **capture_name = dune_mem_alloc(s->captures, sizeof(*capture_name));
    uint64_t *len = dune_mem_alloc(s->flows, sizeof(*len)), row = 0;
    struct dune_dset_shape shape = {.n_classes = s->classes, .n_captures = s->captures,
                                    .class_name = class_name, .capture_name = capture_name,
                                    .n_flows = s->flows, .timeout = 1000000, .max_n = 4};
    struct dune_dset_parts p;
    struct dune_dataset *ds;
    struct dune_rng rng;

    dune_rng_init(&rng, s->seed, 0, 0, 0);
    for (uint32_t i = 0; i < s->captures; i++)
        capture_name[i] = dune_mem_printf("c%02u.pcap", i);
    for (uint64_t i = 0; i < s->flows; i++) {
        len[i] = 1 + dune_rng_below(&rng, 9);
        shape.n_rows += DUNE_MIN(len[i], 4);
    }
    ds = dune_dset_new(&shape, &p);
    for (uint64_t i = 0; i < s->flows; i++) {
        unsigned cls = (unsigned)dune_rng_below(&rng, s->classes);

        p.flow_class[i] = s->label ? s->label[i] : (uint16_t)cls;
        p.flow_split[i] = dune_rng_below(&rng, 100) < 20;
        p.flow_capture[i] = (uint32_t)(i * s->captures / s->flows);
        p.flow_start[i] = i * 100;
        p.flow_len[i] = len[i];
        p.flow_row[i] = row;
        for (uint64_t k = 0; k < DUNE_MIN(len[i], 4); k++, row++)
            for (int f = 0; f < DUNE_N_FEATURES; f++)
                p.col[f][row] = f == DUNE_F_COUNT ? (uint32_t)(k + 1) : signal_value(f, cls, &rng, s->noise);
    }
    p.flow_row[s->flows] = row;
    dune_dset_seal(ds, 1);
    for (uint32_t i = 0; i < s->captures; i++)
        dune_mem_free((char *)capture_name[i]);
    dune_mem_free(capture_name);
    dune_mem_free(len);
    return ds;
}

#endif
