/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Devices on interfaces of this host, and a testbed of such devices in network namespaces.
 *
 *   source --> [switch] --shim--> [switch] --shim--> [switch] --> sink
 *                 \_______________ bus ______________/
 *                              controller
 */
#ifndef DUNE_LIVE_H
#define DUNE_LIVE_H

#include "dune/capture.h"
#include "dune/controller.h"
#include "dune/labels.h"
#include "dune/metrics.h"
#include "dune/placement.h"
#include "dune/trace.h"

uint64_t dune_live_now_ns(void); /* since the epoch, as packets are stamped and devices and controller count time */

/* --- one switch --------------------------------------------------------------------------------------- */
struct dune_switch_port {
    const char *ifname; /* of Linux, or for reference and fast a port as dune/io.h names them */
    int kind; /* DUNE_PORT_EDGE, DUNE_PORT_CHAIN */
};
enum { DUNE_SWITCH_PORTS = 32 };
struct dune_switch_cfg { /* zero: the default */
    const char *name;      /* of the device; required */
    const char *engine;    /* "reference", "fast", "xdp", or "bmv2"; NULL: reference */
    struct dune_switch_port in[DUNE_SWITCH_PORTS]; /* what comes in here leaves by out, and the other way
                                                      round what is for that port's side: see back */
    uint32_t n_in;
    struct dune_switch_port out;
    struct dune_switch_port more_out[DUNE_SWITCH_PORTS]; /* further ports where frames leave, of the kind of out */
    uint32_t n_more_out;
    uint8_t way[DUNE_SWITCH_PORTS]; /* by port in: 0: frames leave by out, k: by more_out[k - 1] */
    bool back;             /* what comes in at out leaves by in[0] as it is; shims are dropped */
    bool fix;              /* MTU and offloads that are wrong are set, and restored at the end */
    const char *trace;     /* file: what became of every packet (dune/trace.h); NULL: none. bmv2 refuses it */
    bool release_slots;    /* flows that get a rule give up their slot at once instead of letting it expire; bmv2 only */
    bool confine;          /* once set up, refuse system calls that forwarding never needs, for the whole process */
    struct dune_chain_opts opts; /* slots, ways, keep_shim, drop_edge_shim, rules_max, digest_rate */
    void (*note)(void *ctx, const char *text);
    void *note_ctx;
    void (*digest)(void *ctx, const struct dune_digest *dg, const char *cls); /* as of struct dune_agent_cfg */
    void *digest_ctx;
};
/* Is there such an engine (NULL: reference), and can it do that? DUNE_E_USAGE says what it cannot. dune_switch_run asks, too. */
int dune_switch_can(const char *engine, bool trace, bool release_slots, struct dune_diag *d) DUNE_MUST_USE;
/* Runs until dune_interrupted(). Errors: DUNE_E_ENV (privilege, interface, MTU, offload). */
int dune_switch_run(const struct dune_switch_cfg *cfg, struct dune_bus *bus, struct dune_diag *d) DUNE_MUST_USE;

/* Is one of its ports of this kind (dune/io.h)? */
bool dune_switch_on(const struct dune_switch_cfg *cfg, const char *kind);

/* --- interfaces --------------------------------------------------------------------------------------- */
#define DUNE_IFACE_OFFLOADS 6
struct dune_iface { /* what was changed on an interface, to be undone */
    char name[16];
    uint32_t mtu;      /* before; 0: not changed */
    int offload[DUNE_IFACE_OFFLOADS]; /* before; -1: not changed */
};
/* Is the interface fit for frames with a shim? mtu 0: any. Offloads that merge or split frames must be off.
 * fix: sets what is wrong and remembers it in saved. DUNE_E_ENV names interface, setting and command. */
int dune_iface_check(const char *name, uint32_t mtu, bool fix, struct dune_iface *saved,
                     struct dune_diag *d) DUNE_MUST_USE;
void dune_iface_restore(const struct dune_iface *saved);
int dune_iface_mtu(const char *name, uint32_t *mtu, struct dune_diag *d) DUNE_MUST_USE;

/* --- testbed ------------------------------------------------------------------------------------------ */
enum { DUNE_TESTBED_LEVELS = 32, DUNE_TESTBED_DEVICES = 40, DUNE_TESTBED_SOURCES = 64 };
/*
 * A topology as YAML:
 *
 *     name: lab            # of namespaces and files; letters, digits, - ; default "dune"
 *     levels: [4, 2, 1]    # devices at every position of the chain, source side first: a tree towards the
 *                          # sink, evenly spread. A row of three devices: [1, 1, 1]
 *     mtu: 1500            # of the edges; chain links get 8 more
 *
 * or, instead of levels, a fat tree; every leaf and spine is linked to all above it, as src is to every leaf once per spine:
 *
 *     fat_tree: {pods: 2, leafs: 2, spines: 2, super_spines: 2, egress_leafs: 1, egress_spines: 2}
 *
 * Ways are fixed: what comes in by the k-th port of a device leaves by its k-th port out, counted around.
 */
struct dune_testbed_cfg {
    char name[32];
    uint32_t n_levels;
    uint32_t level[DUNE_TESTBED_LEVELS];
    struct dune_fat_tree tree; /* pods 0: the levels are a tree towards the sink */
    uint32_t mtu;
};
int dune_testbed_parse(struct dune_testbed_cfg *cfg, const char *file, const char *text, size_t len,
                       struct dune_diag *d) DUNE_MUST_USE;
int dune_testbed_read(struct dune_testbed_cfg *cfg, const char *path, struct dune_diag *d) DUNE_MUST_USE;
void dune_testbed_row(struct dune_testbed_cfg *cfg, uint32_t n_devices); /* a row of devices, name "dune" */

/* Namespaces and links. What an earlier run of that name left is removed first. */
int dune_testbed_up(const struct dune_testbed_cfg *cfg, struct dune_diag *d) DUNE_MUST_USE;
/* Ends the switches of that name and removes its namespaces; fine when there are none. */
int dune_testbed_down(const char *name, struct dune_diag *d) DUNE_MUST_USE;

struct dune_testbed_now {
    double seconds;
    uint64_t sent, arrived;
    struct dune_f1 flow; /* of what arrived so far */
};
struct dune_testbed_look { /* what somebody who looks on sees; borrowed for the call */
    double seconds;
    uint64_t sent, packets;    /* packets: that will be sent */
    uint64_t arrived, bytes, inferable, claimed, settled, fl, collided, digests; /* bytes: of what arrived */
    uint32_t n_classes;        /* of labels and plan, sorted bytewise */
    const char *const *class_name;
    const struct dune_confusion *flow, *packet;
    uint64_t chain_p50_ns, chain_p90_ns, chain_p99_ns;
    const struct dune_controller *controller;
    uint32_t n_devices;        /* named s1, s2 ... */
};
struct dune_testbed_run_cfg { /* zero: the default */
    const struct dune_plan *plan;
    const char *dunectl;         /* the program that runs a switch; required */
    const char *engine;          /* of the switches; NULL: reference */
    const char *ports;           /* kind of their ports, af_packet or af_xdp; NULL: af_packet */
    const char *const *pcaps;    /* source; all start at the same moment, */
    bool in_turn;                /* or one after the other */
    size_t n_pcaps;
    const struct dune_labels *labels;
    double seconds;              /* of traffic; 0: to the end of the captures */
    double speed;                /* 1: as captured; 0: 1 */
    double pps;                  /* > 0: packets per second instead of the captured pace */
    bool top_speed;              /* as fast as the link takes them */
    bool tcpreplay;              /* sent by tcpreplay, one per first device */
    bool strip;                  /* the last device strips; verdicts then come from the digests alone */
    bool no_rules;
    bool release_slots;          /* as of struct dune_switch_cfg */
    const char *record;          /* capture of what arrived; NULL: none */
    const char *trace;           /* directory for a trace per switch, judged in the end; NULL: none */
    struct dune_chain_opts opts; /* of the switches */
    void (*note)(void *ctx, const char *text);
    void *note_ctx;
    /* every second */
    void (*tick)(void *ctx, const struct dune_testbed_now *now);
    void *tick_ctx;
    /* ten times a second, and every digest, in the controller's thread */
    void (*look)(void *ctx, const struct dune_testbed_look *look);
    dune_controller_digest_fn digest;
    void *look_ctx;
    bool (*stop)(void *ctx); /* true: ends the traffic early, as if the captures ended */
    void *stop_ctx;
};
struct dune_testbed_result {
    uint64_t sent, refused, arrived, lost;
    uint64_t unknown; /* arrived, but not byte for byte what was sent */
    uint64_t inferable, claimed, settled;
    double seconds;
    struct dune_f1 flow, packet;  /* flow level and packet level, of what arrived (verdicts in the shim) */
    struct dune_f1 digest;        /* of the flows that the controller heard of */
    uint64_t flows, labelled_flows, digests;
    uint64_t chain_p50_ns, chain_p99_ns; /* from source to sink */
    uint32_t n_devices;
    struct dune_testbed_device {
        char name[DUNE_CTL_NAME];
        uint64_t hop_p50_ns, hop_p90_ns, hop_p99_ns, lost;
        struct dune_counters counters;
    } device[DUNE_TESTBED_DEVICES];
    struct dune_controller_stats controller;
    bool traced;
    struct dune_judgement judgement; /* when traced */
};
/* Runs switches, controller, source and sink on a testbed that is up. Interrupted: DUNE_E_INTERRUPTED, with
 * nothing left running. */
int dune_testbed_run(const struct dune_testbed_cfg *cfg, const struct dune_testbed_run_cfg *run,
                     struct dune_testbed_result *out, struct dune_diag *d) DUNE_MUST_USE;
/*
 * Labelled traffic of real programs (web, streaming, bulk TCP and UDP, DNS, NTP, MQTT, SSH, a bounded port scan and
 * SYN flood), servers and every class of clients in namespaces of their own: out/train, out/test, out/labels.csv.
 * Needs python3, tcpdump and the programs; DUNE_E_ENV names those that are missing.
 */
struct dune_testbed_record_cfg {
    const char *out;      /* directory; required */
    double seconds;       /* of one run; 0: 20 */
    uint32_t train, test; /* runs */
    uint64_t seed;
};
int dune_testbed_record(const struct dune_testbed_record_cfg *cfg, struct dune_diag *d) DUNE_MUST_USE;
/* Removes the testbed when this process ends, however it ends: a child waits for that. Once per process. */
int dune_testbed_guard(const char *name, struct dune_diag *d) DUNE_MUST_USE;

#endif
