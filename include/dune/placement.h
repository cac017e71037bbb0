/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Sub-models on the devices of a network.
 *
 * A topology is a directed graph without cycles: packets come in at its sources (nothing leads to them) and leave at its
 * sinks. A device may hold any run of consecutive sub-models that fits its budget. Placed is a plan when every path from
 * a source to a sink meets all sub-models in order. A packet may meet a sub-model again further down, where paths of
 * different progress join; the second answer is the first one, so that nothing changes but its cost.
 *
 *   in(v)  = the least out(u) over the devices u before v, 0 at a source: what every packet has met on arrival
 *   out(v) = what every packet has met when it leaves; the device holds sub-models in(v) ... out(v) - 1
 *
 * The sum of what single sub-models cost is minimised exactly at any size, as a minimum cut. The number of devices that
 * hold something is NP-hard: it comes with a proved lower bound, and exactly for small networks.
 */
#ifndef DUNE_PLACEMENT_H
#define DUNE_PLACEMENT_H

#include "dune/plan.h"

enum {
    DUNE_TOPOLOGY_DEVICES = 20000,
    DUNE_TOPOLOGY_LINKS = 1000000,
    DUNE_PLACE_EXACT = 40 /* devices up to which the fewest are sought exactly */
};

/* --- topologies ----------------------------------------------------------------------------------------- */
struct dune_topology_device {
    char *name, *profile;
    struct dune_budget budget;
    bool fits_profile;    /* the file names the profile: sub-models must fit it, not the budget alone */
    bool plain;           /* forwards only */
    uint32_t layer;       /* longest way from a source */
    uint32_t hosts;       /* senders at a source; for traffic */
    uint32_t hop_ns, submodel_ns; /* time for a packet, and for every sub-model it meets */
};
struct dune_topology_link {
    uint32_t from, to;
};
struct dune_topology {
    bool row;             /* a list of devices without links */
    uint32_t n, n_links;
    struct dune_topology_device *dev;
    struct dune_topology_link *link;
    /* derived: devices so that links lead forward; neighbours of v at [at[v], at[v + 1]) */
    uint32_t *order, *next_at, *next, *prev_at, *prev;
};
/*
 * A topology as YAML (docs/placement.md): a list of devices, which is a row unless there are links; or a generator:
 *
 *     devices: [{name: a, budget: tight}, {name: b, plain: true}, {name: c}]
 *     links: [[a, b], [b, c]]
 *
 *     fat_tree: {pods: 4, leafs: 6, spines: 4, super_spines: 4, hosts: 2, egress_leafs: 6, egress_spines: 4}
 *     layers: {leaf: {budget: tiny}, super_spine: {plain: true}}
 *
 *     random: {devices: 100, layers: 6, degree: 3, seed: 1}
 */
int dune_network_parse(struct dune_topology **out, const char *name, const char *text, size_t len,
                       const char *profile, const struct dune_budget *budget, struct dune_diag *d) DUNE_MUST_USE;
int dune_network_read(struct dune_topology **out, const char *path, const char *profile,
                      const struct dune_budget *budget, struct dune_diag *d) DUNE_MUST_USE;
void dune_network_free(struct dune_topology *t);
/* The devices of a row, for a plan (dune_devices_free). DUNE_E_USAGE: it is no row, or too long. */
int dune_network_row(const struct dune_topology *t, struct dune_plan_device **out, uint32_t *n,
                     struct dune_diag *d) DUNE_MUST_USE;
/* What a plan for this network has to be made for: as many devices as the way with the fewest has that are not plain, each
 * with the least budget there is. Every plan that fits this row fits every way. DUNE_E_INFEASIBLE: a way has none. */
int dune_network_narrowest(const struct dune_topology *t, struct dune_plan_device **out, uint32_t *n,
                           struct dune_diag *d) DUNE_MUST_USE;
/* A generated fat tree: pods of leafs and spines, each spine linked to all super spines, these to the egress spines, these to
 * the egress leafs. hosts: at a leaf. */
struct dune_fat_tree {
    uint32_t pods, leafs, spines, super_spines, hosts, egress_leafs, egress_spines;
};
enum { DUNE_TREE_LEAF, DUNE_TREE_SPINE, DUNE_TREE_SUPER, DUNE_TREE_EGRESS_SPINE, DUNE_TREE_EGRESS_LEAF, DUNE_TREE_LAYERS };
extern const char *const dune_tree_layer_names[DUNE_TREE_LAYERS + 1];
struct dune_topology *dune_network_fat_tree(const struct dune_fat_tree *f, const char *profile,
                                            const struct dune_budget *budget);
/* Devices in layers, each linked to up to degree random ones of the next; every device is on a path. */
struct dune_topology *dune_network_random(uint32_t devices, uint32_t layers, uint32_t degree, uint64_t seed,
                                          const char *profile, const struct dune_budget *budget);
/* Fills what is derived. DUNE_E_INPUT: a cycle, with a device on it. */
int dune_network_finish(struct dune_topology *t, const char *file, struct dune_diag *d) DUNE_MUST_USE;

/* --- the problem in numbers ------------------------------------------------------------------------------ */
struct dune_place_job {
    const struct dune_topology *net;
    uint32_t m;              /* sub-models, up to 64 */
    const uint8_t *reach;    /* [n * (m + 1)]: the first sub-model that v cannot take any more when it begins with i */
    const uint32_t *weight;  /* [n * m]: what sub-model k costs on v; NULL: 1 per device that holds anything */
    uint32_t max_states;     /* of the exact search, per step; 0: 100000 */
};
struct dune_place_answer {
    uint8_t *in, *out;       /* [n]: v holds in ... out - 1 */
    uint64_t cost, bound;    /* no placement costs less than bound */
    uint32_t single;         /* devices with at most one sub-model each, the fewest; UINT32_MAX: impossible */
    bool exact;              /* the exact search ended: cost is the least */
};
/* DUNE_E_INFEASIBLE: *stuck (room for n + 1 numbers, or NULL) has the path that meets the fewest, ended by UINT32_MAX. */
int dune_place_solve(const struct dune_place_job *job, struct dune_place_answer *a, uint32_t *stuck,
                     struct dune_diag *d) DUNE_MUST_USE;
void dune_place_answer_fini(struct dune_place_answer *a);

/* --- a plan on a network --------------------------------------------------------------------------------- */
enum dune_place_goal { DUNE_PLACE_DEVICES, DUNE_PLACE_RESOURCES, DUNE_PLACE_LATENCY };
const char *dune_place_goal_name(enum dune_place_goal g);
struct dune_placement {
    enum dune_place_goal goal;
    struct dune_place_answer answer;
    uint32_t devices, most;  /* that hold something; sub-models on one of them */
    uint64_t leaves;         /* installed, over all devices */
    double mean_ns, worst_ns; /* of all paths: hops and sub-models */
    uint32_t n_positions;    /* runs of sub-models that no device divides: the devices of the plan afterwards */
    uint16_t *first, *last;  /* [n]: positions that v holds; last < first: none */
    bool uniform;            /* every device holds one position at most: a controller can run it as it is */
    double seconds;          /* of CPU */
};
/*
 * Places the sub-models of p; its devices become the positions, named p1 ... with the least budget of those that
 * hold it. Errors: DUNE_E_INFEASIBLE names the path, the sub-model and the budget.
 */
int dune_place_plan(struct dune_plan *p, const struct dune_topology *t, enum dune_place_goal goal,
                    struct dune_placement *out, struct dune_diag *d) DUNE_MUST_USE;
void dune_placement_fini(struct dune_placement *x);

/* --- traffic ---------------------------------------------------------------------------------------------- */
struct dune_place_traffic_cfg {
    uint32_t flows;      /* from random sources to random sinks on random ways; 0: 20000 */
    double load;         /* packets per second of the whole network; 0: so many that the busiest device is busy half the time */
    uint64_t seed;
};
struct dune_place_load {
    uint64_t packets, flows;
    double busy;         /* share of the time */
    double mean_ns, p99_ns; /* in the device, waiting included */
};
struct dune_place_traffic {
    uint64_t packets, flows;
    double seconds, pps;
    double mean_ns, p50_ns, p99_ns; /* from source to sink */
    struct dune_place_load *dev;    /* [n] */
};
/* Packets of flows through queues of one server per device: hop_ns, and submodel_ns for every sub-model it holds. */
void dune_place_traffic(const struct dune_topology *t, const struct dune_placement *x,
                        const struct dune_place_traffic_cfg *cfg, struct dune_place_traffic *out);
void dune_place_traffic_fini(struct dune_place_traffic *x);

#endif
