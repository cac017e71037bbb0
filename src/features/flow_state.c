/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The registers of one flow. This file defines what every flow feature means: the data set, the
 * engines and the generated targets must give the same integers after every packet.
 *
 *   packet   gap before it      registers it changes
 *   1        none               all but the gaps; gap.min = gap.max = duration = 0
 *   2        now - last         gap.min = gap.max = this gap
 *   3..      now - last         gap.min, gap.max, duration, counts, lengths
 *   k <= 8                      also len.k, and gap.k from packet 2 on
 */
#include <string.h>

#include "base/base.h"
#include "dune/features.h"

_Static_assert(DUNE_F_UDP_LENGTH + 1 == DUNE_F_LEN_MIN, "flow features follow the packet features");

static uint32_t saturate(uint64_t v, uint32_t max)
{
    return v > max ? max : (uint32_t)v;
}

static void raise_to(uint32_t *reg, uint32_t v)
{
    if (v > *reg)
        *reg = v;
}

static void update_lengths(struct dune_flow_regs *r, const struct dune_packet *p)
{
    uint32_t *v = r->value;

    if (r->count == 0 || p->ip_len < v[DUNE_F_LEN_MIN])
        v[DUNE_F_LEN_MIN] = p->ip_len;
    raise_to(&v[DUNE_F_LEN_MAX], p->ip_len);
    v[DUNE_F_LEN_TOTAL] = saturate((uint64_t)v[DUNE_F_LEN_TOTAL] + p->ip_len, UINT32_MAX);
    if (p->is_tcp)
        return;
    /* Two flows of different protocols can share a slot by a hash collision: hence udp_seen. */
    if (!r->udp_seen || p->udp_length < v[DUNE_F_UDP_MIN])
        v[DUNE_F_UDP_MIN] = p->udp_length;
    raise_to(&v[DUNE_F_UDP_MAX], p->udp_length);
    r->udp_seen = true;
}

static void update_flags(struct dune_flow_regs *r, uint8_t flags)
{
    static const uint8_t id[8] = { /* by the bit of the flag */
        DUNE_F_FIN_COUNT, DUNE_F_SYN_COUNT, DUNE_F_RST_COUNT, DUNE_F_PSH_COUNT,
        DUNE_F_ACK_COUNT, DUNE_F_URG_COUNT, DUNE_F_ECE_COUNT, DUNE_F_CWR_COUNT,
    };

    for (unsigned left = flags; left; left &= left - 1) {
        uint32_t *count = &r->value[id[__builtin_ctz(left)]];

        *count += *count < UINT8_MAX;
    }
}

/* Times; needs the count before this packet. Returns the gap before it. */
static uint32_t update_times(struct dune_flow_regs *r, uint64_t now)
{
    uint32_t *v = r->value, gap;

    if (r->count == 0) {
        r->first = r->last = now;
        return 0;
    }
    gap = now > r->last ? saturate(now - r->last, UINT32_MAX) : 0;
    if (r->count == 1 || gap < v[DUNE_F_GAP_MIN])
        v[DUNE_F_GAP_MIN] = gap;
    raise_to(&v[DUNE_F_GAP_MAX], gap);
    if (now > r->last)
        r->last = now;
    v[DUNE_F_DURATION] = saturate(r->last - r->first, UINT32_MAX);
    return gap;
}

void dune_flow_update(struct dune_flow_regs *r, const struct dune_packet *p, uint64_t now)
{
    uint32_t gap = update_times(r, now);

    update_lengths(r, p);
    update_flags(r, p->tcp_flags);
    if (r->count < DUNE_KTH_MAX) {
        r->value[DUNE_F_LEN_1 + r->count] = p->ip_len;
        if (r->count > 0)
            r->value[DUNE_F_GAP_2 + r->count - 1] = gap;
    }
    r->count++;
    r->value[DUNE_F_COUNT] = saturate(r->count, UINT16_MAX);
}

void dune_feature_vector(const struct dune_packet *p, const struct dune_flow_regs *r, uint32_t *out)
{
    out[DUNE_F_IP_LEN] = p->ip_len;
    out[DUNE_F_IP_TTL] = p->ttl;
    out[DUNE_F_IP_TOS] = p->tos;
    out[DUNE_F_IP_PROTO] = p->proto;
    out[DUNE_F_IP_HDR_LEN] = p->ip_hdr_len;
    out[DUNE_F_SRCPORT] = p->srcport;
    out[DUNE_F_DSTPORT] = p->dstport;
    out[DUNE_F_DSTPORT_LOW] = p->dstport < 1024 ? p->dstport : 0;
    out[DUNE_F_TCP_SYN] = (p->tcp_flags & DUNE_TCP_SYN) != 0;
    out[DUNE_F_TCP_ACK] = (p->tcp_flags & DUNE_TCP_ACK) != 0;
    out[DUNE_F_TCP_PSH] = (p->tcp_flags & DUNE_TCP_PSH) != 0;
    out[DUNE_F_TCP_FIN] = (p->tcp_flags & DUNE_TCP_FIN) != 0;
    out[DUNE_F_TCP_RST] = (p->tcp_flags & DUNE_TCP_RST) != 0;
    out[DUNE_F_TCP_URG] = (p->tcp_flags & DUNE_TCP_URG) != 0;
    out[DUNE_F_TCP_ECE] = (p->tcp_flags & DUNE_TCP_ECE) != 0;
    out[DUNE_F_TCP_CWR] = (p->tcp_flags & DUNE_TCP_CWR) != 0;
    out[DUNE_F_TCP_WINDOW] = p->tcp_window;
    out[DUNE_F_TCP_HDR_LEN] = p->tcp_hdr_len;
    out[DUNE_F_UDP_LENGTH] = p->udp_length;
    if (r)
        memcpy(out + DUNE_F_LEN_MIN, r->value + DUNE_F_LEN_MIN,
               (DUNE_N_FEATURES - DUNE_F_LEN_MIN) * sizeof(*out));
    else
        memset(out + DUNE_F_LEN_MIN, 0, (DUNE_N_FEATURES - DUNE_F_LEN_MIN) * sizeof(*out));
}

/* Digits after the point as nanoseconds, what is beyond them cut off; NULL: not digits. */
static const char *parse_fraction(const char *p, uint64_t *ns)
{
    uint64_t unit = 100000000;

    if (*p < '0' || *p > '9')
        return NULL;
    for (; *p >= '0' && *p <= '9'; p++, unit /= 10)
        *ns += (uint64_t)(*p - '0') * unit;
    return p;
}

int dune_timeout_parse(const char *text, uint64_t *ticks, struct dune_diag *d)
{
    const uint64_t max_seconds = UINT64_C(1000000000); /* 31 years; ns then fit 64 bits */
    uint64_t seconds = 0, ns = 0;
    const char *p = text;

    if (strcmp(text, "none") == 0) {
        *ticks = DUNE_TIMEOUT_NONE;
        return 0;
    }
    for (; *p >= '0' && *p <= '9' && seconds <= max_seconds; p++)
        seconds = seconds * 10 + (uint64_t)(*p - '0');
    if (p > text && *p == '.')
        p = parse_fraction(p + 1, &ns);
    ns += seconds <= max_seconds ? seconds * 1000000000 : 0;
    if (p == text || !p || *p || seconds > max_seconds || dune_tick(ns) == 0)
        return dune_diag_set(d, DUNE_E_USAGE, NULL,
                             "timeout \"%s\": want seconds (60, 1.5; above 0, at most %llu) or none",
                             text, (unsigned long long)max_seconds);
    *ticks = dune_tick(ns);
    return 0;
}
