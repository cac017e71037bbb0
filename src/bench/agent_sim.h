/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Many agents in one process: real agents over real connections, with devices behind them that hold plans, make digests
 * at a given rate and take rules, and see no packet. The time from a digest to its rule is what is measured: a rule
 * carries the tick of its digest.
 */
#ifndef DUNE_BENCH_AGENT_SIM_H
#define DUNE_BENCH_AGENT_SIM_H

#include "base/base.h"
#include "dune/control.h"

struct agent_sim_cfg {
    const char *url; /* of the NATS server */
    uint32_t n_agents, chain_length, n_connections, n_threads;
};
struct agent_sim; /* opaque */
int agent_sim_start(struct agent_sim **out, const struct agent_sim_cfg *cfg, struct dune_diag *d) DUNE_MUST_USE;
void agent_sim_stop(struct agent_sim *s); /* NULL is fine */
/* The name of agent i and its place: NAME:POSITION:CHAIN. */
void agent_sim_place(const struct agent_sim_cfg *cfg, uint32_t i, char *out, size_t bytes);
void agent_sim_set_rate(struct agent_sim *s, uint64_t per_second); /* of all agents together */

struct agent_sim_totals {
    uint64_t digests, rules; /* made, and arrived at a first device */
    uint64_t loads;          /* plans taken by devices */
    uint64_t last_rule_ns;   /* CLOCK_REALTIME */
};
void agent_sim_totals(struct agent_sim *s, struct agent_sim_totals *out);
/* Microseconds from digest to rule of all rules since the last call. */
struct agent_sim_times {
    DUNE_VEC(uint32_t) us;
};
void agent_sim_take(struct agent_sim *s, struct agent_sim_times *out);

#endif
