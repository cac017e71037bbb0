/* SPDX-License-Identifier: Apache-2.0 */
/* What the files of the live stage share. */
#ifndef DUNE_LIVE_LIVE_INT_H
#define DUNE_LIVE_LIVE_INT_H

#include <pthread.h>
#include <stdatomic.h>
#include <sys/types.h>

#include "base/base.h"
#include "dune/io.h"
#include "dune/live.h"
#include "dune/replay.h"

/* --- hist.c: times in bins, four per power of two ------------------------------------------------------- */
#define LIVE_BINS 256
struct live_hist {
    uint64_t n, bin[LIVE_BINS];
};
void dune_live_hist_add(struct live_hist *h, uint64_t ns);
/* The upper end of the bin where a share q of the times is reached; 0: none. */
uint64_t dune_live_hist_quantile(const struct live_hist *h, double q);

/* --- netns.c ---------------------------------------------------------------------------------------------- */
/* Runs a program and waits; its output is kept for the message. */
int dune_netns_command(struct dune_diag *d, const char *const *argv) DUNE_MUST_USE;
#define NETNS_RUN(d, ...) dune_netns_command(d, (const char *const[]){__VA_ARGS__, NULL})
/* Moves this thread into a namespace, and back. */
int dune_netns_enter(const char *name, int *old, struct dune_diag *d) DUNE_MUST_USE;
void dune_netns_leave(int old);
int dune_netns_open_port(struct dune_port **out, const char *netns, const char *ifname, struct dune_diag *d) DUNE_MUST_USE;
/* Starts a program inside a namespace; it ends when this process does. out: file for its output, or NULL. */
int dune_netns_spawn(pid_t *pid, const char *netns, const char *out, const char *const *argv,
                     struct dune_diag *d) DUNE_MUST_USE;
/* Asks it to end, waits, and kills it after two seconds. *status as of waitpid. */
void dune_netns_stop(pid_t pid, int *status);

/* --- switch.c, switch_bmv2.c, switch_xdp.c ------------------------------------------------------------------------------- */
struct live_saved { /* of the ports that were checked */
    struct dune_iface iface[2 * DUNE_SWITCH_PORTS + 1];
    uint32_t n;
};
/* Sets or demands MTU and offloads of every port (design section 6). specs: ports that are no interface of Linux are their
 * owner's business and left alone. Also after an error what was changed is put back by dune_live_restore_ports. */
int dune_live_check_ports(const struct dune_switch_cfg *cfg, bool specs, struct live_saved *s, struct dune_diag *d) DUNE_MUST_USE;
void dune_live_restore_ports(struct live_saved *s);
/* The file that cfg->trace names, with the settings of the device; *out stays as it is where none is named. */
struct dune_trace_writer;
int dune_live_open_trace(const struct dune_switch_cfg *cfg, struct dune_trace_writer **out,
                         struct dune_diag *d) DUNE_MUST_USE;
/* A switch whose packets simple_switch forwards. */
int dune_live_switch_bmv2(const struct dune_switch_cfg *cfg, struct dune_bus *bus, struct dune_diag *d) DUNE_MUST_USE;
/* A switch whose packets an XDP program forwards. */
int dune_live_switch_xdp(const struct dune_switch_cfg *cfg, struct dune_bus *bus, struct dune_diag *d) DUNE_MUST_USE;

/* A veth interface takes frames from XDP programs only when it has a program of its own or gro on (iface.c). */
int dune_live_napi_on(const char *name, struct dune_diag *d) DUNE_MUST_USE;

/* --- testbed.c ---------------------------------------------------------------------------------------------- */
uint32_t dune_testbed_n_devices(const struct dune_testbed_cfg *cfg);
/* Level and place in it of device i, and the device it sends to (UINT32_MAX: the sink). */
void dune_testbed_place(const struct dune_testbed_cfg *cfg, uint32_t i, uint32_t *level, uint32_t *next);
/* The devices that device i sends to, in order. Returns how many; 0: it sends to the sink. */
uint32_t dune_testbed_next(const struct dune_testbed_cfg *cfg, uint32_t i, uint32_t list[DUNE_TESTBED_DEVICES]);
/* Ports in and out of device i. */
uint32_t dune_testbed_n_in(const struct dune_testbed_cfg *cfg, uint32_t i);
uint32_t dune_testbed_n_out(const struct dune_testbed_cfg *cfg, uint32_t i);
void dune_testbed_out_name(uint32_t k, char out[16]); /* "out", then "out1" ... */
/* Links of the source. */
uint32_t dune_testbed_n_sources(const struct dune_testbed_cfg *cfg);
void dune_testbed_netns(const struct dune_testbed_cfg *cfg, const char *what, char out[64]);
void dune_testbed_device_name(uint32_t i, char out[16]);
/* Directory of sockets, logs and process ids of a testbed. */
void dune_testbed_dir(const char *name, char out[128]);
int dune_testbed_note_pid(const char *name, pid_t pid, struct dune_diag *d) DUNE_MUST_USE;

/* --- traffic.c: what is sent, and what became of it ----------------------------------------------------------- */
struct live_packet {
    const uint8_t *data;
    uint32_t len, truth;   /* truth: class, UINT32_MAX none */
    uint64_t at_ns;        /* from the start */
    uint64_t flow;         /* DUNE_NO_FLOW: none */
    uint64_t hash;
    uint32_t next_same;    /* the next packet with these bytes, UINT32_MAX: none */
    uint32_t leaf;         /* first device it goes to */
    _Atomic uint64_t sent_ns;
    uint64_t arrived_ns;   /* 0: not yet */
    struct dune_shim shim; /* as it arrived */
    bool has_shim;
};
struct live_traffic {
    struct live_packet *pkt; /* by time */
    size_t n;
    struct dune_truth *truth;
    uint32_t n_classes;
    char **class_name;       /* of labels and plan */
    uint32_t of_plan[256];   /* plan class id -> class */
    uint16_t ethertype;      /* of the shims that come back */
    uint32_t *head;          /* [n_heads]: by hash, first packet not yet arrived */
    uint32_t n_heads;
    struct dune_reader **reader;
    size_t n_readers;
    struct dune_confusion flow, packet;
    struct dune_confusion digest;
    struct live_key {
        struct dune_flow_key key; /* len 0: empty */
        uint32_t truth;
    } *key;                  /* [n_keys]: class of a flow by its 5-tuple */
    uint32_t n_keys;
    uint64_t labelled_flows;
    struct live_hist chain;  /* from source to sink */
    uint64_t arrived, bytes, unknown, inferable, claimed, settled, fl, collided, digests;
};
int dune_live_traffic_load(struct live_traffic *t, const struct dune_testbed_run_cfg *run, uint32_t n_leaves,
                           struct dune_diag *d) DUNE_MUST_USE;
void dune_live_traffic_free(struct live_traffic *t);
/* A frame that arrived at the sink; shim: it may carry one. */
void dune_live_traffic_arrived(struct live_traffic *t, const uint8_t *data, uint32_t len, uint64_t ts_ns);
/* A digest with its class, NULL: unclaimed. */
void dune_live_traffic_digest(struct live_traffic *t, const struct dune_flow_key *key, const char *cls);

#endif
