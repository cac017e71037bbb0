/* SPDX-License-Identifier: Apache-2.0 */
/* Frames with valid checksums; the payload is zero bytes, which leave a checksum as it is. */
#include "capture/synth_int.h"

#include <string.h>

static uint8_t *put16(uint8_t *p, uint32_t v)
{
    p[0] = (uint8_t)(v >> 8);
    p[1] = (uint8_t)v;
    return p + 2;
}

static uint8_t *put32(uint8_t *p, uint32_t v)
{
    return put16(put16(p, v >> 16), v);
}

static uint32_t add_sum(uint32_t sum, const uint8_t *p, size_t len)
{
    size_t i;

    for (i = 0; i + 1 < len; i += 2)
        sum += (uint32_t)p[i] << 8 | p[i + 1];
    return sum;
}

static uint16_t fold(uint32_t sum)
{
    while (sum >> 16)
        sum = (sum & 0xffff) + (sum >> 16);
    return (uint16_t)~sum;
}

static uint8_t *put_ethernet(uint8_t *p, const uint8_t *dst, const uint8_t *src, uint32_t vlan,
                             uint32_t type)
{
    memcpy(p, dst, 6);
    memcpy(p + 6, src, 6);
    p += 12;
    if (vlan)
        p = put16(put16(p, 0x8100), vlan);
    return put16(p, type);
}

static uint8_t *put_ipv6_address(uint8_t *p, uint32_t host)
{
    memset(p, 0, 16);
    put32(p, 0x20010db8);
    put32(p + 12, host);
    return p + 16;
}

/* Writes the IP header and returns the checksum's start: the sum of the pseudo header. */
static uint32_t put_ip(const struct synth_frame *f, uint8_t **at, uint32_t l4_len)
{
    uint8_t *p = *at, proto = f->tcp ? 6 : 17;

    if (f->ipv6) {
        put32(p, 0x60000000u | (uint32_t)f->tos << 20);
        put16(p + 4, l4_len);
        p[6] = proto;
        p[7] = f->ttl;
        put_ipv6_address(put_ipv6_address(p + 8, f->src_host), f->dst_host);
        *at = p + 40;
        return add_sum(l4_len + proto, p + 8, 32);
    }
    p[0] = 0x45;
    p[1] = f->tos;
    put16(p + 2, 20 + l4_len);
    put16(p + 4, f->ip_id);
    put16(p + 6, 0x4000);
    p[8] = f->ttl;
    p[9] = proto;
    put16(p + 10, 0);
    put32(put32(p + 12, f->src_host), f->dst_host);
    put16(p + 10, fold(add_sum(0, p, 20)));
    *at = p + 20;
    return add_sum(l4_len + proto, p + 12, 8);
}

static uint32_t put_tcp(const struct synth_frame *f, uint8_t *p, uint32_t sum)
{
    uint32_t options = f->option_bytes + ((f->flags & 2) ? 4 : 0), len = 20 + options;

    put16(put16(p, f->sport), f->dport);
    put32(put32(p + 4, f->seq), f->ack);
    p[12] = (uint8_t)(len / 4 << 4);
    p[13] = f->flags;
    put16(p + 14, f->window);
    put32(p + 16, 0);
    memset(p + 20, 1, options); /* NOP */
    if (f->flags & 2)
        put32(p + 20, 0x020405b4); /* MSS 1460 */
    put16(p + 16, fold(add_sum(sum, p, len)));
    return len;
}

static uint32_t put_udp(const struct synth_frame *f, uint8_t *p, uint32_t sum)
{
    uint16_t check;

    put16(put16(p, f->sport), f->dport);
    put16(put16(p + 4, 8 + f->payload_len), 0);
    check = fold(add_sum(sum, p, 8));
    put16(p + 6, check ? check : 0xffff);
    return 8;
}

uint32_t synth_frame_build(const struct synth_frame *f, uint8_t out[SYNTH_FRAME_BYTES])
{
    uint32_t options = f->option_bytes + ((f->flags & 2) ? 4 : 0), sum, len;
    uint8_t *p = put_ethernet(out, f->dst_mac, f->src_mac, f->vlan, f->ipv6 ? 0x86dd : 0x0800);

    sum = put_ip(f, &p, (f->tcp ? 20 + options : 8) + f->payload_len);
    p += f->tcp ? put_tcp(f, p, sum) : put_udp(f, p, sum);
    memset(p, 0, f->payload_len);
    len = (uint32_t)(p - out) + f->payload_len;
    while (len < 60) /* Ethernet padding */
        out[len++] = 0;
    return len;
}

uint32_t synth_frame_arp(const uint8_t src_mac[6], uint32_t host, uint8_t out[SYNTH_FRAME_BYTES])
{
    static const uint8_t broadcast[6] = {0xff, 0xff, 0xff, 0xff, 0xff, 0xff};
    uint8_t *p;

    memset(out, 0, 60);
    p = put_ethernet(out, broadcast, src_mac, 0, 0x0806);
    p = put32(put32(p, 0x00010800), 0x06040001);
    memcpy(p, src_mac, 6);
    put32(p + 6, host);
    put32(p + 16, (host & 0xffffff00u) | 1);
    return 60;
}
