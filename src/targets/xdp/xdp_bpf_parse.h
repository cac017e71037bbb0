/* SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause) */
/* Step 2: the parser of src/capture/parse.c, check by check, and the filter. */
#ifndef DUNE_TARGETS_XDP_BPF_PARSE_H
#define DUNE_TARGETS_XDP_BPF_PARSE_H

#include "targets/xdp/xdp_bpf.h"

enum { ETH_BYTES = 14, VLAN_BYTES = 4, SHIM_BYTES = 8 };
enum { TYPE_IPV4 = 0x0800, TYPE_VLAN = 0x8100, TYPE_IPV6 = 0x86DD, TYPE_QINQ = 0x88A8 };
enum { PROTO_TCP = 6, PROTO_UDP = 17 };
enum { EXT_HOP = 0, EXT_ROUTING = 43, EXT_FRAGMENT = 44, EXT_AH = 51, EXT_DEST = 60 };

struct cursor {
    uint8_t *at, *end;
    uint32_t off; /* of at in the frame */
};
#define HAVE(c, n) ((c)->at + (n) <= (c)->end)

static __always_inline uint16_t be16(const uint8_t *at)
{
    return bpf_ntohs(*(const uint16_t *)(const void *)at);
}

static __always_inline bool is_tag(uint16_t type)
{
    return type == TYPE_VLAN || type == TYPE_QINQ;
}

/* Ethernet and tags; a shim behind some tags is stepped over. */
static __always_inline uint32_t parse_l2(struct cursor *c, struct xdp_pass *p, const struct xdp_plan *plan,
                                         uint16_t *type_out)
{
    uint32_t tags = 0;
    uint16_t type;

    if (p->cut || !HAVE(c, ETH_BYTES))
        return XDP_SHORT_L2;
    type = be16(c->at + 12);
    c->at += ETH_BYTES;
    c->off = ETH_BYTES;
    for (int i = 0; i < 4; i++) {
        if (p->shim_at && c->off == p->shim_at) {
            if (!HAVE(c, SHIM_BYTES))
                return XDP_SHORT_L2;
            type = be16(c->at + 6);
            c->at += SHIM_BYTES;
            c->off += SHIM_BYTES;
        }
        if (!is_tag(type))
            break;
        if (tags >= plan->max_vlan || i == 3)
            return XDP_VLAN_DEPTH;
        if (!HAVE(c, VLAN_BYTES))
            return XDP_SHORT_L2;
        type = be16(c->at + 2);
        c->at += VLAN_BYTES;
        c->off += VLAN_BYTES;
        tags++;
    }
    *type_out = type;
    return XDP_OK;
}

/*
 * In these, keep is a constant: false where it is asked only whether the packet can be inferred, of one whose verdict has
 * been settled before.
 */
static __always_inline uint32_t parse_ipv4(struct cursor *c, struct xdp_pass *p, const struct xdp_plan *plan, uint8_t *proto,
                                           bool keep)
{
    uint8_t *ip = c->at;
    uint32_t bytes;

    if (!HAVE(c, 20))
        return XDP_SHORT_L3;
    if (ip[0] >> 4 != 4)
        return XDP_BAD_VERSION;
    bytes = (ip[0] & 15u) * 4;
    if (bytes < 20)
        return XDP_BAD_IHL;
    if (bytes - 20 > plan->max_ipv4_options)
        return XDP_OPTIONS;
    if (!HAVE(c, bytes))
        return XDP_SHORT_L3;
    if (be16(ip + 6) & 0x1fff)
        return XDP_FRAGMENT;
    *proto = ip[9];
    if (keep) {
        p->pkt.w[DUNE_CORE_W_LEN] = be16(ip + 2) | (uint32_t)ip[8] << 16 | (uint32_t)ip[1] << 24;
        p->pkt.w[DUNE_CORE_W_PROTO] = ip[9] | (bytes / 4) << 8;
        p->key.len = 13;
        p->key.tuple[0] = *(uint64_t *)(void *)(ip + 12);
        p->key.tuple[1] = p->key.tuple[2] = p->key.tuple[3] = p->key.tuple[4] = 0;
        p->is_ipv6 = 0;
    }
    c->at += bytes;
    c->off += bytes;
    return XDP_OK;
}

static __always_inline bool is_ext(uint8_t kind)
{
    return kind == EXT_HOP || kind == EXT_ROUTING || kind == EXT_FRAGMENT || kind == EXT_AH || kind == EXT_DEST;
}

static __always_inline uint32_t ext_bytes(uint8_t kind, const uint8_t *e)
{
    if (kind == EXT_FRAGMENT)
        return 8;
    return kind == EXT_AH ? (e[1] + 2u) * 4 : (e[1] + 1u) * 8;
}

static __always_inline uint32_t skip_ext(struct cursor *c, const struct xdp_plan *plan, uint8_t *proto)
{
    for (uint32_t n = 0; n < 3 && is_ext(*proto); n++) {
        uint8_t *e = c->at;
        uint32_t bytes;

        if (n >= plan->max_ipv6_ext || n == 2)
            return XDP_EXT_HEADERS;
        if (!HAVE(c, 8))
            return XDP_SHORT_L3;
        bytes = ext_bytes(*proto, e);
        if (bytes > plan->max_ipv6_ext_len || bytes > 64)
            return XDP_EXT_HEADERS;
        if (!HAVE(c, bytes))
            return XDP_SHORT_L3;
        if (*proto == EXT_FRAGMENT && be16(e + 2) & 0xfff8)
            return XDP_FRAGMENT;
        *proto = e[0];
        c->at += bytes;
        c->off += bytes;
    }
    return XDP_OK;
}

static __always_inline uint32_t parse_ipv6(struct cursor *c, struct xdp_pass *p, const struct xdp_plan *plan, uint8_t *proto,
                                           bool keep)
{
    uint8_t *ip = c->at;
    uint32_t len, r;

    if (!HAVE(c, 40))
        return XDP_SHORT_L3;
    if (ip[0] >> 4 != 6)
        return XDP_BAD_VERSION;
    len = be16(ip + 4) + 40u;
    if (len > UINT16_MAX)
        len = UINT16_MAX;
    *proto = ip[6];
    if (keep) {
        p->pkt.w[DUNE_CORE_W_LEN] = len | (uint32_t)ip[7] << 16 | (uint32_t)(be16(ip) >> 4 & 0xff) << 24;
        p->key.len = 37;
        p->key.tuple[0] = *(uint64_t *)(void *)(ip + 8);
        p->key.tuple[1] = *(uint64_t *)(void *)(ip + 16);
        p->key.tuple[2] = *(uint64_t *)(void *)(ip + 24);
        p->key.tuple[3] = *(uint64_t *)(void *)(ip + 32);
        p->is_ipv6 = 1;
    }
    c->at += 40;
    c->off += 40;
    r = skip_ext(c, plan, proto);
    if (keep)
        p->pkt.w[DUNE_CORE_W_PROTO] = *proto | 10u << 8;
    return r;
}

static __always_inline void keep_l4(struct xdp_pass *p, const uint8_t *l4, uint32_t proto)
{
    uint32_t last = p->is_ipv6 ? 4 : 1, dport = be16(l4 + 2);

    p->key.tuple[last] = *(const uint32_t *)(const void *)l4 | (uint64_t)proto << 32;
    p->pkt.w[DUNE_CORE_W_PORTS] = be16(l4) | dport << 16;
    p->pkt.w[DUNE_CORE_W_PORT_LOW] = dport < 1024 ? dport : 0;
}

static __always_inline uint32_t parse_l4(struct cursor *c, struct xdp_pass *p, uint32_t proto, bool keep)
{
    uint8_t *l4 = c->at;
    bool tcp = proto == PROTO_TCP;

    if (!tcp && proto != PROTO_UDP)
        return XDP_NOT_TCP_UDP;
    if (!HAVE(c, 8) || (tcp && !HAVE(c, 16)))
        return XDP_SHORT_L4;
    if (keep)
        keep_l4(p, l4, proto);
    if (!tcp) {
        if (keep)
            p->pkt.w[DUNE_CORE_W_L4] = (uint32_t)be16(l4 + 4) << 16;
        return XDP_OK;
    }
    if (!HAVE(c, 16)) /* known already; the verifier wants to see it here */
        return XDP_SHORT_L4;
    if (keep) {
        p->pkt.w[DUNE_CORE_W_PROTO] |= (uint32_t)l4[13] << 16 | (uint32_t)(l4[12] >> 4) << 24;
        p->pkt.w[DUNE_CORE_W_L4] = be16(l4 + 14);
    }
    return l4[12] >> 4 < 5 ? XDP_BAD_DATA_OFFSET : XDP_OK;
}

/*
 * Parses the frame by the limits of a plan. Returns the reason. A call costs as much as parsing on machines that
 * guard returns, so the common way through the program has this inside.
 */
static __always_inline uint32_t parse_here(struct xdp_md *ctx, struct xdp_pass *p, const struct xdp_settings *s,
                                           const struct xdp_plan *plan, bool keep)
{
    uint8_t proto = 0;
    struct cursor c = {(uint8_t *)(long)ctx->data, (uint8_t *)(long)ctx->data_end, 0};
    uint16_t type = 0;
    uint32_t r = parse_l2(&c, p, plan, &type);

    if (r)
        return r;
    if (type == s->shim_ethertype)
        return XDP_SHIM_INSIDE;
    p->l3_off = c.off;
    if (!p->has_shim)
        p->l2_len = c.off;
    if (type == TYPE_IPV4)
        r = parse_ipv4(&c, p, plan, &proto, keep);
    else if (type == TYPE_IPV6 && plan->ipv6)
        r = parse_ipv6(&c, p, plan, &proto, keep);
    else
        r = XDP_NOT_IP;
    return r ? r : parse_l4(&c, p, proto, keep);
}

/* The same by the plan at position gen. */
__attribute__((noinline)) int parse(struct xdp_md *ctx, uint32_t gen)
{
    struct xdp_pass *p = get_pass();
    struct xdp_settings *s = get_settings();
    struct xdp_plan *plan = get_plan(gen);

    return p && s && plan ? (int)parse_here(ctx, p, s, plan, true) : XDP_SHORT_L2;
}

/* --- target traffic ------------------------------------------------------------------------------------ */

static __always_inline bool in_prefix(const struct xdp_prefix *f, const uint32_t *addr, uint32_t words)
{
    uint32_t differ = 0;

    for (uint32_t i = 0; i < 4 && i < words; i++)
        differ |= (addr[i] ^ f->addr[i]) & f->mask[i];
    return differ == 0;
}

static __always_inline bool match_prefix(const struct xdp_filter *f, const struct xdp_pass *p)
{
    const uint32_t *tuple = (const uint32_t *)(const void *)p->key.tuple;
    uint32_t n = p->is_ipv6 ? f->n_v6 : f->n_v4;

    if (f->n_v4 + f->n_v6 == 0)
        return true;
    for (uint32_t i = 0; i < XDP_MAX_FILTER && i < n; i++) {
        if (p->is_ipv6 ? in_prefix(&f->v6[i], tuple, 4) || in_prefix(&f->v6[i], tuple + 4, 4)
                       : in_prefix(&f->v4[i], tuple, 1) || in_prefix(&f->v4[i], tuple + 1, 1))
            return true;
    }
    return false;
}

static __always_inline bool match_port(const struct xdp_filter *f, uint32_t ports)
{
    uint32_t s = ports & 0xffff, d = ports >> 16;

    if (f->n_ports == 0)
        return true;
    for (uint32_t i = 0; i < XDP_MAX_FILTER && i < f->n_ports; i++)
        if ((s >= f->lo[i] && s <= f->hi[i]) || (d >= f->lo[i] && d <= f->hi[i]))
            return true;
    return false;
}

/* Is the parsed packet target traffic of the plan at position gen? */
__attribute__((noinline)) int matches_filter(uint32_t gen)
{
    struct xdp_pass *p = get_pass();
    struct xdp_plan *plan = get_plan(gen);
    uint32_t proto;

    if (!p || !plan)
        return 0;
    proto = p->pkt.w[DUNE_CORE_W_PROTO] & 0xff;
    if (plan->filter.n_protos && !(plan->filter.proto[proto >> 5] >> (proto & 31) & 1))
        return 0;
    return match_port(&plan->filter, p->pkt.w[DUNE_CORE_W_PORTS]) && match_prefix(&plan->filter, p);
}

#endif
