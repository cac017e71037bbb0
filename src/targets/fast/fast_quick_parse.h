/* SPDX-License-Identifier: Apache-2.0 */
/* The packet most packets are: untagged IPv4 without options or fragments, TCP or UDP, all captured. */
#ifndef DUNE_TARGETS_FAST_QUICK_PARSE_H
#define DUNE_TARGETS_FAST_QUICK_PARSE_H

#include <string.h>

#include "targets/core/dune_core_types.h"

enum { FAST_IP = 14, FAST_L4 = 34, FAST_NEED_UDP = 42, FAST_NEED_TCP = 50 };

static inline uint32_t fast_be16(const uint8_t *p)
{
    uint16_t v;

    memcpy(&v, p, 2);
    return __builtin_bswap16(v);
}

/*
 * False: not that packet, ask the parser of all targets. The shim's EtherType is never IPv4's
 * (dune_plan_verify), so no shim is overlooked. *addr and *ports are the key's bytes as they lie.
 */
static inline bool fast_quick_parse(const uint8_t *f, uint32_t len, struct dune_core_packet *out,
                                    uint64_t *addr, uint32_t *ports)
{
    uint32_t frag, proto, ttl_proto, dst;
    uint16_t type, word;

    if (len < FAST_NEED_UDP)
        return false;
    memcpy(&type, f + 12, 2);
    memcpy(&word, f + FAST_IP + 6, 2);
    frag = word & 0xff1f; /* as it lies: the first byte has flags and the offset's high bits */
    if (type != 0x0008 || f[FAST_IP] != 0x45 || frag)
        return false;
    ttl_proto = fast_be16(f + FAST_IP + 8);
    proto = ttl_proto & 0xff;
    memcpy(addr, f + FAST_IP + 12, 8);
    memcpy(ports, f + FAST_L4, 4);
    dst = __builtin_bswap32(*ports) & 0xffff;
    out->w[DUNE_CORE_W_LEN] = fast_be16(f + FAST_IP + 2) | (ttl_proto >> 8) << 16 | (uint32_t)f[FAST_IP + 1] << 24;
    out->w[DUNE_CORE_W_PORTS] = __builtin_bswap32(*ports) >> 16 | dst << 16;
    out->w[DUNE_CORE_W_PORT_LOW] = dst & (0u - (uint32_t)(dst < 1024)); /* without a branch */
    if (proto == 17) {
        out->w[DUNE_CORE_W_PROTO] = proto | 5 << 8;
        out->w[DUNE_CORE_W_L4] = fast_be16(f + FAST_L4 + 4) << 16;
        return true;
    }
    if (proto != 6 || len < FAST_NEED_TCP || f[FAST_L4 + 12] < 0x50)
        return false;
    out->w[DUNE_CORE_W_PROTO] = proto | 5 << 8 | (uint32_t)f[FAST_L4 + 13] << 16 |
                                (uint32_t)(f[FAST_L4 + 12] >> 4) << 24;
    out->w[DUNE_CORE_W_L4] = fast_be16(f + FAST_L4 + 14);
    return true;
}

#endif
