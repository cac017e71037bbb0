/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Ports: where frames come from and go to. One operations struct, one file per kind:
 *
 *   pcap:IN.pcap[,OUT.pcap]   capture files; either name may be empty
 *   af_packet:IFACE           a network interface of Linux, TPACKET_V3
 *   af_xdp:IFACE[,OPTION]     the same by AF_XDP: past the host's own stack
 *   dpdk:DEVICE               a device of DPDK
 *   mem                       memory: a list of frames, or one end of a wire between two threads
 *
 * Frames are whole Ethernet frames without check sequence, VLAN tags in place. A port belongs to one
 * thread at a time. dune_port_rx lends frames: they stay valid and unchanged until the next
 * dune_port_rx or the close of the same port. dune_port_tx borrows frames for the call and copies what
 * it keeps, so what one port lent can be sent by another as it is. No call ever blocks; wait for
 * the port's fd with poll(2).
 */
#ifndef DUNE_IO_H
#define DUNE_IO_H

#include <stdbool.h>
#include <stdint.h>

#include "dune/error.h"

#define DUNE_IO_BURST_MAX 64

struct dune_frame {
    const uint8_t *data;
    uint32_t cap_len;  /* bytes at data; tx sends these */
    uint32_t wire_len; /* on the wire, at least cap_len */
    uint64_t ts_ns;    /* rx: when it arrived, since the epoch; tx: what a capture file gets */
    uint64_t tick;     /* rx: floor(ts_ns / 1024) */
};

struct dune_port_stats {
    uint64_t rx_frames, rx_bytes; /* lent to the caller */
    uint64_t rx_dropped;          /* lost before they could be lent: no room */
    uint64_t rx_truncated;        /* lent with cap_len < wire_len */
    uint64_t tx_frames, tx_bytes; /* taken over */
    uint64_t tx_full;             /* frames not taken over because there was no room, each try */
    uint64_t tx_refused;          /* frames that can never be sent there: too long, no frame at all */
    uint64_t tx_lost;             /* taken over, then dropped by the interface, as far as it says so */
    bool hw_time;                 /* ts_ns comes from the interface's clock */
};

struct dune_port_opts {   /* zero: the defaults */
    bool promiscuous;     /* also frames for other addresses */
    bool hw_time;         /* the interface's time stamps where it has them */
    uint32_t ring_bytes;  /* receive ring; 0: 8 MiB */
    uint32_t block_ms;    /* af_packet: how long a frame waits for company; 0: 1 */
};

struct dune_port { /* every port starts with this */
    const struct dune_port_ops *ops;
    char *name;    /* as opened */
    bool ended;    /* no frame will ever come any more: the end of a file */
    int fd;        /* readable when frames wait; -1: ask again at any time */
    struct dune_port_stats stats;
};

struct dune_port_ops {
    const char *kind;
    const char *(*available)(void); /* NULL: yes; else the reason why not */
    /* what is behind "kind:" */
    int (*open)(struct dune_port **out, const char *what, const struct dune_port_opts *o,
                struct dune_diag *d);
    int (*rx)(struct dune_port *p, struct dune_frame *f, unsigned n, unsigned *got, struct dune_diag *d);
    int (*tx)(struct dune_port *p, const struct dune_frame *f, unsigned n, unsigned *sent,
              struct dune_diag *d);
    void (*stats)(struct dune_port *p);                      /* brings p->stats up to date; may be NULL */
    int (*finish)(struct dune_port *p, struct dune_diag *d); /* output complete; may be NULL */
    void (*close)(struct dune_port *p);
};

/* Opens "kind:what". o may be NULL. DUNE_E_USAGE: no such kind, what is malformed; DUNE_E_ENV: not part of
 * this build, no privilege, no such interface; DUNE_E_IO and the errors of captures. */
int dune_port_open(struct dune_port **out, const char *spec, const struct dune_port_opts *o,
                   struct dune_diag *d) DUNE_MUST_USE;
/* Up to n <= DUNE_IO_BURST_MAX frames that are there now; *got may be 0, see p->ended. */
int dune_port_rx(struct dune_port *p, struct dune_frame *f, unsigned n, unsigned *got,
                 struct dune_diag *d) DUNE_MUST_USE;
/* Sends frames in order. *sent < n: no room for the rest now. A frame that can never be sent there is
 * counted in tx_refused and passed over. Negative: the port is unusable. */
int dune_port_tx(struct dune_port *p, const struct dune_frame *f, unsigned n, unsigned *sent,
                 struct dune_diag *d) DUNE_MUST_USE;
void dune_port_stats(struct dune_port *p, struct dune_port_stats *out);
/* Completes what was written: a capture file gets its name. Without it, closing throws it away. */
int dune_port_finish(struct dune_port *p, struct dune_diag *d) DUNE_MUST_USE;
void dune_port_close(struct dune_port *p); /* NULL is fine */

/* The kinds, for help texts: NULL behind the last. */
const struct dune_port_ops *dune_port_kind(unsigned i);

/* --- memory ---------------------------------------------------------------------------------------- */
/* A port that lends the caller's n frames, `times` times over (0: for ever), and counts what is sent. */
struct dune_port *dune_port_mem_list(const struct dune_frame *f, uint64_t n, uint64_t times);
/* A wire: what one end sends the other receives, each way up to `frames` (rounded up to a power of two)
 * of up to max_bytes. Each end may belong to a thread of its own. ts_ns travels along. Ends are closed
 * in any order; what is sent to a closed end is refused. */
void dune_port_mem_wire(struct dune_port *end[2], uint32_t frames, uint32_t max_bytes);

#endif
