/* SPDX-License-Identifier: Apache-2.0 */
/* The parts of the traffic generator: profile, frames, conversations. */
#ifndef DUNE_CAPTURE_SYNTH_INT_H
#define DUNE_CAPTURE_SYNTH_INT_H

#include "base/base.h"
#include "dune/synth.h"

#define SYNTH_UNIT UINT64_C(1000000) /* shares are whole millionths */
#define SYNTH_MAX_CLASSES 64

enum synth_draw { SYNTH_CONST, SYNTH_UNIFORM, SYNTH_EXP, SYNTH_NORMAL, SYNTH_CHOICE };

struct synth_dist {
    enum synth_draw draw;
    int64_t min, max, mean, sd;
    size_t n; /* choices */
    const int64_t *of;
};

struct synth_seq { /* the k-th value; the last one stands for all later ones */
    size_t n;
    const struct synth_dist *item;
};

enum synth_end { SYNTH_FIN, SYNTH_RST, SYNTH_OPEN };

/* One way a class talks. */
struct synth_talk {
    uint64_t share;
    bool tcp, ipv6;
    enum synth_end end;
    uint32_t vlan, tcp_options, n_peers;
    struct synth_dist port, source_port, ttl, peer_ttl, tos, window, peer_window, packets, rtt_us;
    struct synth_seq up, down, gap_us; /* payload bytes; gaps before data packets */
    const char *pattern;               /* of 'u' and 'd', repeated */
};

struct synth_class {
    const char *name;
    uint64_t share, overlap;
    uint32_t n_devices;
    size_t n_like; /* classes whose talk it borrows with probability overlap */
    const uint32_t *like;
    size_t n_talk;
    const struct synth_talk *talk;
};

struct dune_synth {
    struct dune_arena arena;
    char *text;
    size_t text_len;
    const char *name;
    uint64_t noise; /* share of extra packets */
    size_t n_classes;
    struct synth_class cls[SYNTH_MAX_CLASSES];
};

int64_t synth_draw(const struct synth_dist *dist, struct dune_rng *r);
int64_t synth_draw_at(const struct synth_seq *seq, uint32_t k, struct dune_rng *r);

/* --- synth_frame.c --- */
#define SYNTH_FRAME_BYTES 2048
#define SYNTH_MAX_PAYLOAD 1400

struct synth_frame {
    uint8_t src_mac[6], dst_mac[6];
    uint32_t vlan;
    bool ipv6, tcp;
    uint32_t src_host, dst_host; /* IPv4 addresses; IPv6 ones are made from them */
    uint16_t sport, dport, ip_id;
    uint8_t ttl, tos, flags;
    uint32_t seq, ack, option_bytes;
    uint16_t window;
    uint32_t payload_len; /* zero bytes */
};
/* Builds the frame with valid checksums; returns its length. */
uint32_t synth_frame_build(const struct synth_frame *f, uint8_t out[SYNTH_FRAME_BYTES]);
uint32_t synth_frame_arp(const uint8_t src_mac[6], uint32_t host, uint8_t out[SYNTH_FRAME_BYTES]);

/* --- synth_capture.c: one capture --- */
struct synth_result {
    uint64_t n_packets, n_flows, n_flows_ge3, n_bytes, n_noise, first_ns, last_ns;
    uint64_t flows_by_class[SYNTH_MAX_CLASSES];
};
int synth_capture_write(const struct dune_synth *s, const struct dune_synth_cfg *cfg, const char *path,
                        uint64_t capture, uint64_t start_ns, uint64_t n_flows, struct synth_result *res,
                        struct dune_progress *progress, struct dune_diag *d) DUNE_MUST_USE;
void synth_device_mac(uint32_t cls, uint32_t device, uint8_t mac[6]);

#endif
