/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Packets: the parser of the user plane and its limits.
 *
 * A packet is "inferable" when it is Ethernet, up to 2 VLAN tags, IPv4 or IPv6, TCP or UDP, the first
 * fragment or unfragmented, and the captured bytes cover L2, L3 and the first 16 bytes of TCP or 8
 * of UDP. Everything else is not inferable for exactly one reason. Lengths come from headers, never
 * from the captured length.
 */
#ifndef DUNE_PACKET_H
#define DUNE_PACKET_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* Why a packet is not inferable, in the order in which the parser finds out. */
#define DUNE_REASONS(X)                                                                            \
    X(OK, "ok", "inferable")                                                                       \
    X(SHORT_L2, "short_l2", "captured bytes end inside Ethernet or a VLAN tag")                    \
    X(VLAN_DEPTH, "vlan_depth", "more VLAN tags than the parser reads")                            \
    X(NOT_IP, "not_ip", "EtherType is neither IPv4 nor IPv6")                                      \
    X(SHIM_INSIDE, "shim_inside", "carries the shim's EtherType where a plain packet is expected") \
    X(SHORT_L3, "short_l3", "captured bytes end inside the IP header")                             \
    X(BAD_VERSION, "bad_version", "IP version does not match the EtherType")                       \
    X(BAD_IHL, "bad_ihl", "IPv4 header length below 20 bytes")                                     \
    X(OPTIONS, "options", "IPv4 options longer than the parser reads")                             \
    X(EXT_HEADERS, "ext_headers", "more or longer IPv6 extension headers than the parser reads")   \
    X(FRAGMENT, "fragment", "not the first fragment")                                              \
    X(NOT_TCP_UDP, "not_tcp_udp", "neither TCP nor UDP")                                           \
    X(SHORT_L4, "short_l4", "captured bytes end inside the TCP or UDP header")                     \
    X(BAD_DATA_OFFSET, "bad_data_offset", "TCP data offset below 5")

enum dune_reason {
#define X(id, name, text) DUNE_REASON_##id,
    DUNE_REASONS(X)
#undef X
    DUNE_N_REASONS
};

/* Short name ("not_ip") and sentence of a reason; "?" when out of range. */
const char *dune_reason_name(enum dune_reason r);
const char *dune_reason_text(enum dune_reason r);

/* Parser limits; part of the plan. A P4 profile may lower them. Zero-initialised is not valid. */
struct dune_parser_limits {
    uint8_t max_vlan;         /* 0..2 */
    uint8_t max_ipv4_options; /* bytes, 0..40, multiple of 4 */
    uint8_t max_ipv6_ext;     /* extension headers, 0..2 */
    uint8_t max_ipv6_ext_len; /* bytes each, 0..64 */
    bool ipv6;                /* false: IPv6 is not_ip */
};
/* {2, 40, 2, 64, true}: the limits of the reference. */
extern const struct dune_parser_limits dune_parser_limits_default;

/* Directed 5-tuple in network order, as hashed: src|dst|sport|dport|proto. */
struct dune_flow_key {
    uint8_t bytes[37];
    uint8_t len; /* 13 (IPv4) or 37 (IPv6) */
};
bool dune_flow_key_equal(const struct dune_flow_key *a, const struct dune_flow_key *b);

/* What the parser found. Fields a packet does not have are 0. */
struct dune_packet {
    enum dune_reason reason; /* OK: inferable, all fields below are valid */
    uint8_t n_vlan;
    uint16_t l2_len;  /* Ethernet and VLAN tags, without the EtherType's payload: 14, 18, 22 */
    uint16_t l3_off, l4_off;
    bool is_ipv6, is_tcp;
    uint16_t ip_len;  /* IPv4 total length; IPv6 40 + payload length, saturated at 65535 */
    uint8_t ttl, tos, proto, ip_hdr_len; /* hdr_len: IHL nibble; IPv6: 10 */
    uint16_t srcport, dstport;
    uint8_t tcp_flags; /* byte 13 of TCP: cwr ece urg ack psh rst syn fin from high to low */
    uint16_t tcp_window;
    uint8_t tcp_hdr_len; /* data offset nibble */
    uint16_t udp_length;
    struct dune_flow_key key;
};

enum { /* bits of dune_packet.tcp_flags */
    DUNE_TCP_FIN = 0x01, DUNE_TCP_SYN = 0x02, DUNE_TCP_RST = 0x04, DUNE_TCP_PSH = 0x08,
    DUNE_TCP_ACK = 0x10, DUNE_TCP_URG = 0x20, DUNE_TCP_ECE = 0x40, DUNE_TCP_CWR = 0x80
};

#define DUNE_ETHERTYPE_SHIM_DEFAULT 0x88B5

/*
 * Parses one frame of cap_len captured bytes. Never reads beyond them. shim_ethertype is the value
 * that means "shim" (0: none); a packet that carries it is SHIM_INSIDE. Returns p->reason.
 * On return with a reason other than OK, key and the L4 fields are unspecified but initialised.
 */
enum dune_reason dune_packet_parse(struct dune_packet *p, const uint8_t *frame, size_t cap_len,
                                   const struct dune_parser_limits *limits,
                                   uint16_t shim_ethertype);

/* tick = floor(ns / 1024); the time unit of every target. */
static inline uint64_t dune_tick(uint64_t ns)
{
    return ns >> 10;
}

#endif
