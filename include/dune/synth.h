/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Synthetic labelled traffic from described profiles (docs/formats/profile.md). Everything follows from
 * the profile and the seed: the same bytes on any number of threads.
 */
#ifndef DUNE_SYNTH_H
#define DUNE_SYNTH_H

#include <stddef.h>
#include <stdint.h>

#include "dune/error.h"

struct dune_synth; /* a profile that was read; opaque, immutable */

/* Reads a profile (YAML, or JSON as its subset). The built-in one is parsed from dune_synth_default. */
int dune_synth_parse(struct dune_synth **out, const char *name, const void *text, size_t len,
                     struct dune_diag *d) DUNE_MUST_USE;
void dune_synth_free(struct dune_synth *s);
const char *dune_synth_default(void); /* the text of the built-in profile */
uint32_t dune_synth_n_classes(const struct dune_synth *s);
const char *dune_synth_class(const struct dune_synth *s, uint32_t id);

struct dune_synth_cfg {      /* zero: the default */
    uint64_t n_flows;        /* directed flows in train and test together; 20000 */
    uint32_t train_captures; /* 12 */
    uint32_t test_captures;  /* 4 */
    uint32_t concurrency;    /* conversations alive at a time; 50 */
    uint32_t snap;           /* captured bytes per packet; 0: all */
    uint64_t seed;
    uint32_t n_threads; /* 0: 1 */
};

struct dune_synth_stats {
    uint64_t n_packets, n_flows, n_flows_ge3, n_bytes; /* bytes on the wire */
    uint64_t n_noise;                                  /* packets without a label or not inferable */
    uint64_t flows_by_class[64];
};

/*
 * Writes DIR/train/synth-NN.pcap, DIR/test/synth-NN.pcap, labels.csv (by MAC), captures.csv, profile.yaml
 * and a README.md that says the traffic is synthetic; captures.csv comes last. Older synth-*.pcap there
 * are removed. Bounded memory: conversations alive at a time.
 */
int dune_synth_write(const struct dune_synth *s, const struct dune_synth_cfg *cfg, const char *dir,
                     struct dune_synth_stats *stats, struct dune_diag *d) DUNE_MUST_USE;

#endif
