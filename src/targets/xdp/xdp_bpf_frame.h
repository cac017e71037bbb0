/* SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause) */
/*
 * The shim in the frame (design section 6). It ends where the payload starts, so adding one moves the
 * addresses and tags 8 bytes to the front and leaves every other byte where it was:
 *
 *   addresses | tags | 88B5 | version+flags submodel class conf generation(2) original type(2) | payload
 */
#ifndef DUNE_TARGETS_XDP_BPF_FRAME_H
#define DUNE_TARGETS_XDP_BPF_FRAME_H

#include "targets/xdp/xdp_bpf_parse.h"

enum { SHIM_VERSION = 1 };

/* Offset of the shim's 8 bytes behind at most max_vlan tags (14, 18, 22), or 0. */
static __always_inline int find_shim(struct xdp_md *ctx)
{
    uint8_t *at = (uint8_t *)(long)ctx->data, *end = (uint8_t *)(long)ctx->data_end;
    struct xdp_settings *s = get_settings();
    uint32_t off = ETH_BYTES;

    if (!s)
        return 0;
    for (uint32_t tags = 0; tags < 3; tags++, off += VLAN_BYTES) {
        uint16_t type;

        if (at + ETH_BYTES > end)
            return 0;
        type = be16(at + 12);
        if (type == s->shim_ethertype)
            return (int)off;
        if (!is_tag(type) || tags >= s->max_vlan)
            return 0;
        at += VLAN_BYTES;
    }
    return 0;
}

/* Moves addresses and tags over a shim at offset at. Negative: it cannot be done. */
static __always_inline int strip_here(struct xdp_md *ctx, uint32_t at)
{
    uint8_t *d = (uint8_t *)(long)ctx->data, *end = (uint8_t *)(long)ctx->data_end;
    uint64_t a;
    uint32_t b;

    if (d + ETH_BYTES + SHIM_BYTES > end)
        return -1;
    if (at >= ETH_BYTES + 2 * VLAN_BYTES) {
        if (d + ETH_BYTES + 2 * VLAN_BYTES + SHIM_BYTES > end)
            return -1;
        *(uint32_t *)(void *)(d + 24) = *(uint32_t *)(void *)(d + 16);
    }
    if (at >= ETH_BYTES + VLAN_BYTES) {
        if (d + ETH_BYTES + VLAN_BYTES + SHIM_BYTES > end)
            return -1;
        *(uint32_t *)(void *)(d + 20) = *(uint32_t *)(void *)(d + 12);
    }
    a = *(uint64_t *)(void *)d;
    b = *(uint32_t *)(void *)(d + 8);
    *(uint64_t *)(void *)(d + 8) = a;
    *(uint32_t *)(void *)(d + 16) = b;
    return (int)bpf_xdp_adjust_head(ctx, SHIM_BYTES);
}

/* The same as a function of its own, for ways that are seldom gone. */
__attribute__((noinline)) int strip_shim(struct xdp_md *ctx, uint32_t at)
{
    return strip_here(ctx, at);
}

/* Makes room for a shim at offset at and writes the shim's EtherType in front of it. */
static __always_inline int open_gap(struct xdp_md *ctx, uint32_t at, uint16_t *old_type, uint16_t type)
{
    uint8_t *d, *end, *l2_end;

    if (bpf_xdp_adjust_head(ctx, -SHIM_BYTES))
        return -1;
    d = (uint8_t *)(long)ctx->data;
    end = (uint8_t *)(long)ctx->data_end;
    if (d + ETH_BYTES + SHIM_BYTES > end)
        return -1;
    *(uint64_t *)(void *)d = *(uint64_t *)(void *)(d + 8);
    *(uint32_t *)(void *)(d + 8) = *(uint32_t *)(void *)(d + 16);
    if (at >= ETH_BYTES + VLAN_BYTES) {
        if (d + ETH_BYTES + VLAN_BYTES + SHIM_BYTES > end)
            return -1;
        *(uint32_t *)(void *)(d + 12) = *(uint32_t *)(void *)(d + 20);
    }
    if (at >= ETH_BYTES + 2 * VLAN_BYTES) {
        if (d + ETH_BYTES + 2 * VLAN_BYTES + SHIM_BYTES > end)
            return -1;
        *(uint32_t *)(void *)(d + 16) = *(uint32_t *)(void *)(d + 24);
    }
    l2_end = d + ((at - 2) & 31);
    if (l2_end + 10 > end)
        return -1;
    *old_type = *(uint16_t *)(void *)(l2_end + 8);
    *(uint16_t *)(void *)l2_end = bpf_htons(type);
    return 0;
}

/* Writes the packet's shim in place of the one that came in. */
static __always_inline int overwrite_shim(struct xdp_md *ctx, const struct xdp_pass *p)
{
    uint8_t *d = (uint8_t *)(long)ctx->data + (p->shim_at & 31), *end = (uint8_t *)(long)ctx->data_end;

    if (d + SHIM_BYTES > end)
        return -1;
    d[0] = (uint8_t)(SHIM_VERSION << 5 | (p->shim.flags & 0x1f));
    d[1] = p->shim.submodel;
    d[2] = p->shim.cls;
    d[3] = p->shim.conf;
    d[4] = (uint8_t)(p->generation >> 8);
    d[5] = (uint8_t)p->generation;
    return 0;
}

/* Writes the packet's shim as a fresh one. */
static __always_inline int write_shim(struct xdp_md *ctx, struct xdp_pass *p, const struct xdp_settings *s)
{
    uint16_t type = 0;
    uint8_t *d, *end;

    if (open_gap(ctx, p->l2_len, &type, (uint16_t)s->shim_ethertype))
        return -1;
    d = (uint8_t *)(long)ctx->data + (p->l2_len & 31);
    end = (uint8_t *)(long)ctx->data_end;
    if (d + SHIM_BYTES > end)
        return -1;
    p->shim_at = p->l2_len;
    if (overwrite_shim(ctx, p))
        return -1;
    p->shim_at = 0;
    *(uint16_t *)(void *)(d + 6) = type;
    p->ethertype = bpf_ntohs(type);
    return 0;
}

/* Reads the shim at p->shim_at. Returns its version, or negative when the frame ends inside it. */
static __always_inline int load_shim(struct xdp_md *ctx, struct xdp_pass *p)
{
    uint8_t *d = (uint8_t *)(long)ctx->data + (p->shim_at & 31), *end = (uint8_t *)(long)ctx->data_end;

    if (d + SHIM_BYTES > end)
        return -1;
    p->shim_word = *(dune_core_u32 *)(void *)d & bpf_htonl(0x1fffffff); /* the version is not part of it */
    p->generation = be16(d + 4);
    p->ethertype = be16(d + 6);
    return d[0] >> 5;
}

/* --- action mark ----------------------------------------------------------------------------------------- */

static __always_inline void mark_ipv4(uint8_t *ip, uint32_t tos)
{
    /* RFC 1624 */
    uint32_t old = (uint32_t)(ip[0] << 8 | ip[1]), new = (uint32_t)(ip[0] << 8) | tos;
    uint32_t sum = (~(uint32_t)(ip[10] << 8 | ip[11]) & 0xffff) + (~old & 0xffff) + new;

    sum = (sum & 0xffff) + (sum >> 16);
    sum = ~((sum & 0xffff) + (sum >> 16)) & 0xffff;
    ip[1] = (uint8_t)tos;
    ip[10] = (uint8_t)(sum >> 8);
    ip[11] = (uint8_t)sum;
}

/* Sets the DSCP; the ECN bits stay. */
__attribute__((noinline)) int mark_packet(struct xdp_md *ctx, uint32_t dscp)
{
    struct xdp_pass *p = get_pass();
    uint8_t *ip, *end = (uint8_t *)(long)ctx->data_end;
    uint32_t old, tos;

    if (!p)
        return 0;
    ip = (uint8_t *)(long)ctx->data + (p->l3_off & 63);
    if (ip + 20 > end)
        return 0;
    old = p->pkt.w[DUNE_CORE_W_LEN] >> 24;
    tos = (dscp & 0x3f) << 2 | (old & 3);
    if (p->is_ipv6) {
        ip[0] = (uint8_t)((ip[0] & 0xf0) | tos >> 4);
        ip[1] = (uint8_t)((tos << 4 & 0xf0) | (ip[1] & 0x0f));
    } else if (tos != old) {
        mark_ipv4(ip, tos);
    }
    return 0;
}

#endif
