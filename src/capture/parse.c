/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The parser of the user plane: Ethernet, VLAN tags, IPv4 or IPv6, TCP or UDP. Every check that reads
 * a byte first proves that it was captured; the order of the checks is the order of enum dune_reason
 * within a header, and headers are visited from the outside in. Other targets reproduce exactly this.
 */
#include "dune/packet.h"

#include <endian.h>
#include <string.h>

enum { ETH_LEN = 14, VLAN_LEN = 4, IPV4_LEN = 20, IPV6_LEN = 40, TCP_NEED = 16, UDP_LEN = 8 };
enum { TYPE_IPV4 = 0x0800, TYPE_VLAN = 0x8100, TYPE_IPV6 = 0x86DD, TYPE_QINQ = 0x88A8 };
enum { PROTO_TCP = 6, PROTO_UDP = 17 };
enum { EXT_HOP = 0, EXT_ROUTING = 43, EXT_FRAGMENT = 44, EXT_AH = 51, EXT_DEST = 60 };

const struct dune_parser_limits dune_parser_limits_default = {2, 40, 2, 64, true};

static const char *const names[] = {
#define X(id, name, text) name,
    DUNE_REASONS(X)
#undef X
};

static const char *const texts[] = {
#define X(id, name, text) text,
    DUNE_REASONS(X)
#undef X
};

const char *dune_reason_name(enum dune_reason r)
{
    return (unsigned)r < DUNE_N_REASONS ? names[r] : "?";
}

const char *dune_reason_text(enum dune_reason r)
{
    return (unsigned)r < DUNE_N_REASONS ? texts[r] : "?";
}

bool dune_flow_key_equal(const struct dune_flow_key *a, const struct dune_flow_key *b)
{
    return a->len == b->len && memcmp(a->bytes, b->bytes, a->len) == 0;
}

/* What is left to look at; off never passes len. */
struct cursor {
    const uint8_t *data;
    size_t len, off;
};

static inline bool have(const struct cursor *c, size_t n)
{
    return c->len - c->off >= n;
}

static inline const uint8_t *here(const struct cursor *c)
{
    return c->data + c->off;
}

static inline uint16_t be16(const uint8_t *p)
{
    return (uint16_t)(p[0] << 8 | p[1]);
}

/* Leaves the cursor at L3 and the EtherType of the innermost tag in *type. */
static inline enum dune_reason parse_l2(struct dune_packet *p, struct cursor *c,
                                        const struct dune_parser_limits *lim, uint16_t *type)
{
    if (!have(c, ETH_LEN))
        return DUNE_REASON_SHORT_L2;
    *type = be16(here(c) + 12);
    c->off = ETH_LEN;
    while (*type == TYPE_VLAN || *type == TYPE_QINQ) {
        if (p->n_vlan >= lim->max_vlan)
            return DUNE_REASON_VLAN_DEPTH;
        if (!have(c, VLAN_LEN))
            return DUNE_REASON_SHORT_L2;
        *type = be16(here(c) + 2);
        c->off += VLAN_LEN;
        p->n_vlan++;
    }
    p->l2_len = p->l3_off = (uint16_t)c->off;
    return DUNE_REASON_OK;
}

static inline enum dune_reason parse_ipv4(struct dune_packet *p, struct cursor *c,
                                          const struct dune_parser_limits *lim)
{
    const uint8_t *ip = here(c);
    unsigned ihl;

    if (!have(c, IPV4_LEN))
        return DUNE_REASON_SHORT_L3;
    if (ip[0] >> 4 != 4)
        return DUNE_REASON_BAD_VERSION;
    ihl = ip[0] & 15;
    if (ihl < 5)
        return DUNE_REASON_BAD_IHL;
    if (ihl * 4 - IPV4_LEN > lim->max_ipv4_options)
        return DUNE_REASON_OPTIONS;
    if (!have(c, (size_t)ihl * 4))
        return DUNE_REASON_SHORT_L3;
    if (be16(ip + 6) & 0x1fff)
        return DUNE_REASON_FRAGMENT;
    p->ip_len = be16(ip + 2);
    p->ttl = ip[8];
    p->tos = ip[1];
    p->proto = ip[9];
    p->ip_hdr_len = (uint8_t)ihl;
    p->key.len = 13;
    memcpy(p->key.bytes, ip + 12, 8);
    c->off += (size_t)ihl * 4;
    return DUNE_REASON_OK;
}

/* Bytes of the extension header at e; 8 of them are there. */
static inline size_t ext_len(uint8_t kind, const uint8_t *e)
{
    if (kind == EXT_FRAGMENT)
        return 8;
    return kind == EXT_AH ? ((size_t)e[1] + 2) * 4 : ((size_t)e[1] + 1) * 8;
}

static inline bool is_ext(uint8_t kind)
{
    return kind == EXT_HOP || kind == EXT_ROUTING || kind == EXT_FRAGMENT || kind == EXT_AH ||
           kind == EXT_DEST;
}

static enum dune_reason skip_ext(struct dune_packet *p, struct cursor *c,
                                 const struct dune_parser_limits *lim)
{
    for (unsigned n = 0; is_ext(p->proto); n++) {
        const uint8_t *e = here(c);
        size_t len;

        if (n >= lim->max_ipv6_ext)
            return DUNE_REASON_EXT_HEADERS;
        if (!have(c, 8))
            return DUNE_REASON_SHORT_L3;
        len = ext_len(p->proto, e);
        if (len > lim->max_ipv6_ext_len)
            return DUNE_REASON_EXT_HEADERS;
        if (!have(c, len))
            return DUNE_REASON_SHORT_L3;
        if (p->proto == EXT_FRAGMENT && be16(e + 2) & 0xfff8)
            return DUNE_REASON_FRAGMENT;
        p->proto = e[0];
        c->off += len;
    }
    return DUNE_REASON_OK;
}

static inline enum dune_reason parse_ipv6(struct dune_packet *p, struct cursor *c,
                                          const struct dune_parser_limits *lim)
{
    const uint8_t *ip = here(c);
    uint32_t len;

    if (!have(c, IPV6_LEN))
        return DUNE_REASON_SHORT_L3;
    if (ip[0] >> 4 != 6)
        return DUNE_REASON_BAD_VERSION;
    len = (uint32_t)be16(ip + 4) + IPV6_LEN;
    p->is_ipv6 = true;
    p->ip_len = len > UINT16_MAX ? UINT16_MAX : (uint16_t)len;
    p->ttl = ip[7];
    p->tos = (uint8_t)(be16(ip) >> 4);
    p->proto = ip[6];
    p->ip_hdr_len = 10;
    p->key.len = 37;
    memcpy(p->key.bytes, ip + 8, 32);
    c->off += IPV6_LEN;
    return skip_ext(p, c, lim);
}

static inline enum dune_reason parse_l4(struct dune_packet *p, struct cursor *c)
{
    const uint8_t *l4 = here(c);
    uint8_t *tail = p->key.bytes + p->key.len - 5;

    p->l4_off = (uint16_t)c->off;
    if (p->proto != PROTO_TCP && p->proto != PROTO_UDP)
        return DUNE_REASON_NOT_TCP_UDP;
    p->is_tcp = p->proto == PROTO_TCP;
    if (!have(c, p->is_tcp ? TCP_NEED : UDP_LEN))
        return DUNE_REASON_SHORT_L4;
    p->srcport = be16(l4);
    p->dstport = be16(l4 + 2);
    memcpy(tail, l4, 4);
    tail[4] = p->proto;
    if (!p->is_tcp) {
        p->udp_length = be16(l4 + 4);
        return DUNE_REASON_OK;
    }
    p->tcp_hdr_len = l4[12] >> 4;
    p->tcp_flags = l4[13];
    p->tcp_window = be16(l4 + 14);
    return p->tcp_hdr_len < 5 ? DUNE_REASON_BAD_DATA_OFFSET : DUNE_REASON_OK;
}

static inline enum dune_reason parse(struct dune_packet *p, struct cursor *c,
                                     const struct dune_parser_limits *lim, uint16_t shim)
{
    uint16_t type = 0;
    enum dune_reason r = parse_l2(p, c, lim, &type);

    if (r)
        return r;
    if (shim && type == shim)
        return DUNE_REASON_SHIM_INSIDE;
    if (type == TYPE_IPV4)
        r = parse_ipv4(p, c, lim);
    else if (type == TYPE_IPV6 && lim->ipv6)
        r = parse_ipv6(p, c, lim);
    else
        return DUNE_REASON_NOT_IP;
    return r ? r : parse_l4(p, c);
}

/* What nearly all packets are: no tag, IPv4 without options, not a fragment, TCP or UDP, all of it captured. The same
 * fields as by the long way; false: go that way. */
static inline bool parse_plain(struct dune_packet *p, const uint8_t *f, size_t len)
{
    const uint8_t *ip = f + ETH_LEN, *l4 = ip + IPV4_LEN;
    uint16_t word;

    if (len < ETH_LEN + IPV4_LEN + TCP_NEED || be16(f + 12) != TYPE_IPV4 || ip[0] != 0x45)
        return false;
    memcpy(&word, ip + 6, sizeof(word));
    if ((word & htobe16(0x1fff)) || (ip[9] != PROTO_TCP && ip[9] != PROTO_UDP) || (ip[9] == PROTO_TCP && l4[12] >> 4 < 5))
        return false;
    p->l2_len = p->l3_off = ETH_LEN;
    p->l4_off = ETH_LEN + IPV4_LEN;
    p->ip_len = be16(ip + 2);
    p->ttl = ip[8];
    p->tos = ip[1];
    p->proto = ip[9];
    p->ip_hdr_len = 5;
    p->key.len = 13;
    memcpy(p->key.bytes, ip + 12, 12);
    p->key.bytes[12] = ip[9];
    p->srcport = be16(l4);
    p->dstport = be16(l4 + 2);
    if (ip[9] == PROTO_UDP) {
        p->udp_length = be16(l4 + 4);
        return true;
    }
    p->is_tcp = true;
    p->tcp_hdr_len = l4[12] >> 4;
    p->tcp_flags = l4[13];
    p->tcp_window = be16(l4 + 14);
    return true;
}

enum dune_reason dune_packet_parse(struct dune_packet *p, const uint8_t *frame, size_t cap_len,
                                   const struct dune_parser_limits *limits,
                                   uint16_t shim_ethertype)
{
    struct cursor c = {frame, cap_len, 0};

    memset(p, 0, sizeof(*p));
    if (shim_ethertype != TYPE_IPV4 && parse_plain(p, frame, cap_len))
        return DUNE_REASON_OK;
    p->reason = parse(p, &c, limits, shim_ethertype);
    return p->reason;
}
