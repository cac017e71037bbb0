/* SPDX-License-Identifier: Apache-2.0 */
/* simple_switch as a live device of an agent. */
#ifndef DUNE_BMV2_LIVE_H
#define DUNE_BMV2_LIVE_H

#include "dune/bmv2.h"
#include "dune/control.h"

struct dune_live_bmv2_cfg {
    const char *dir;     /* for program, compiled program and log; it stays */
    uint32_t n_ports;
    struct dune_bmv2_port port[DUNE_BMV2_MAX_PORTS - 1]; /* number 1 towards the end of the chain */
    const char *cpu, *cpu_peer; /* the two ends of the CPU port's link; NULL: no digests */
    bool back, keep_shim, drop_edge_shim;
    bool release;        /* flows that get a rule give up their slot (dune_bmv2_release); needs cpu */
    uint32_t digest_rate, digest_burst;
};
/*
 * The first plan decides the program: it is compiled and the switch started when it is loaded; before,
 * nothing is forwarded. Later plans are new entries and must fit that program (dune_p4_generate_entries);
 * after the last one is unloaded the switch forwards and its edges strip shims and let none in. Ticks of
 * digests and rules are those of CLOCK_REALTIME. The strings are copied.
 */
struct dune_live *dune_live_bmv2_new(const struct dune_live_bmv2_cfg *cfg);
/* Is its switch running, or not started yet? */
bool dune_live_bmv2_alive(struct dune_live *l);

#endif
