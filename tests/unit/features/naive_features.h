/* SPDX-License-Identifier: Apache-2.0 */
/* The slow second opinion: every feature recomputed from the whole list of packets so far. */
#ifndef DUNE_TEST_NAIVE_FEATURES_H
#define DUNE_TEST_NAIVE_FEATURES_H

#include "dune/features.h"

struct naive_packet {
    struct dune_packet p;
    uint64_t tick;
};

/* Gap before packet i >= 1: the clock runs from the latest tick of packets 0..i-1. */
static inline uint64_t naive_gap(const struct naive_packet *q, size_t i)
{
    uint64_t latest = 0, gap;

    for (size_t j = 0; j < i; j++)
        latest = q[j].tick > latest ? q[j].tick : latest;
    gap = q[i].tick > latest ? q[i].tick - latest : 0;
    return gap > UINT32_MAX ? UINT32_MAX : gap;
}

static inline uint64_t naive_duration(const struct naive_packet *q, size_t n)
{
    uint64_t latest = 0;

    for (size_t j = 0; j < n; j++)
        latest = q[j].tick > latest ? q[j].tick : latest;
    return latest - q[0].tick;
}

static inline uint64_t naive_flag_count(const struct naive_packet *q, size_t n, unsigned bit)
{
    uint64_t c = 0;

    for (size_t j = 0; j < n; j++)
        c += (q[j].p.tcp_flags >> bit) & 1;
    return c;
}

/* Minimum, maximum or sum of lengths; udp: of UDP packets only. */
static inline uint64_t naive_length(const struct naive_packet *q, size_t n, char what, bool udp)
{
    uint64_t min = UINT64_MAX, max = 0, sum = 0;

    for (size_t j = 0; j < n; j++) {
        uint64_t len = udp ? q[j].p.udp_length : q[j].p.ip_len;

        if (udp && q[j].p.is_tcp)
            continue;
        min = len < min ? len : min;
        max = len > max ? len : max;
        sum += len;
    }
    return what == '+' ? sum : what == '>' ? max : min == UINT64_MAX ? 0 : min;
}

static inline uint64_t naive_gap_extreme(const struct naive_packet *q, size_t n, char what)
{
    uint64_t best = 0;

    for (size_t j = 1; j < n; j++) {
        uint64_t g = naive_gap(q, j);

        if (j == 1 || (what == '>' ? g > best : g < best))
            best = g;
    }
    return best;
}

static inline uint64_t naive_packet_feature(const struct dune_packet *p, int id)
{
    switch (id) {
    case DUNE_F_IP_LEN: return p->ip_len;
    case DUNE_F_IP_TTL: return p->ttl;
    case DUNE_F_IP_TOS: return p->tos;
    case DUNE_F_IP_PROTO: return p->proto;
    case DUNE_F_IP_HDR_LEN: return p->ip_hdr_len;
    case DUNE_F_SRCPORT: return p->srcport;
    case DUNE_F_DSTPORT: return p->dstport;
    case DUNE_F_DSTPORT_LOW: return p->dstport <= 1023 ? p->dstport : 0;
    case DUNE_F_TCP_FIN: return p->tcp_flags >> 0 & 1;
    case DUNE_F_TCP_SYN: return p->tcp_flags >> 1 & 1;
    case DUNE_F_TCP_RST: return p->tcp_flags >> 2 & 1;
    case DUNE_F_TCP_PSH: return p->tcp_flags >> 3 & 1;
    case DUNE_F_TCP_ACK: return p->tcp_flags >> 4 & 1;
    case DUNE_F_TCP_URG: return p->tcp_flags >> 5 & 1;
    case DUNE_F_TCP_ECE: return p->tcp_flags >> 6 & 1;
    case DUNE_F_TCP_CWR: return p->tcp_flags >> 7 & 1;
    case DUNE_F_TCP_WINDOW: return p->tcp_window;
    case DUNE_F_TCP_HDR_LEN: return p->tcp_hdr_len;
    case DUNE_F_UDP_LENGTH: return p->udp_length;
    default: return UINT64_MAX; /* not a packet feature */
    }
}

/* Feature id of the last of n packets of a flow. */
static inline uint32_t naive_feature(const struct naive_packet *q, size_t n, int id)
{
    uint64_t v = 0, max = (UINT64_C(1) << dune_catalog[id].bits) - 1;
    unsigned k = dune_catalog[id].kth;

    switch (id) {
    case DUNE_F_LEN_MIN: v = naive_length(q, n, '<', false); break;
    case DUNE_F_LEN_MAX: v = naive_length(q, n, '>', false); break;
    case DUNE_F_LEN_TOTAL: v = naive_length(q, n, '+', false); break;
    case DUNE_F_UDP_MIN: v = naive_length(q, n, '<', true); break;
    case DUNE_F_UDP_MAX: v = naive_length(q, n, '>', true); break;
    case DUNE_F_FIN_COUNT: v = naive_flag_count(q, n, 0); break;
    case DUNE_F_SYN_COUNT: v = naive_flag_count(q, n, 1); break;
    case DUNE_F_RST_COUNT: v = naive_flag_count(q, n, 2); break;
    case DUNE_F_PSH_COUNT: v = naive_flag_count(q, n, 3); break;
    case DUNE_F_ACK_COUNT: v = naive_flag_count(q, n, 4); break;
    case DUNE_F_URG_COUNT: v = naive_flag_count(q, n, 5); break;
    case DUNE_F_ECE_COUNT: v = naive_flag_count(q, n, 6); break;
    case DUNE_F_CWR_COUNT: v = naive_flag_count(q, n, 7); break;
    case DUNE_F_GAP_MIN: v = naive_gap_extreme(q, n, '<'); break;
    case DUNE_F_GAP_MAX: v = naive_gap_extreme(q, n, '>'); break;
    case DUNE_F_DURATION: v = naive_duration(q, n); break;
    case DUNE_F_COUNT: v = n; break;
    default:
        if (!k)
            v = naive_packet_feature(&q[n - 1].p, id);
        else if (k <= n)
            v = id >= DUNE_F_GAP_2 ? naive_gap(q, k - 1) : q[k - 1].p.ip_len;
    }
    return (uint32_t)(v > max ? max : v);
}

#endif
