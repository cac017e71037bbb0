/* SPDX-License-Identifier: Apache-2.0 */
/* Random frames that are mostly right: what parsers are tested with. */
#ifndef DUNE_TEST_FRAMES_H
#define DUNE_TEST_FRAMES_H

#include <string.h>

#include "base/base.h"

struct frame {
    uint8_t b[1024];
    size_t len;
};

static inline void frame_put16(struct frame *f, unsigned v)
{
    f->b[f->len++] = (uint8_t)(v >> 8);
    f->b[f->len++] = (uint8_t)v;
}

static inline void frame_noise(struct frame *f, struct dune_rng *r, size_t n)
{
    while (n--)
        f->b[f->len++] = (uint8_t)dune_rng_u64(r);
}

static inline unsigned frame_pick(struct dune_rng *r, const uint16_t *of, size_t n)
{
    return of[dune_rng_below(r, n)];
}

#define FRAME_PICK(r, ...)                                                                         \
    frame_pick((r), (const uint16_t[]){__VA_ARGS__},                                               \
               sizeof((const uint16_t[]){__VA_ARGS__}) / sizeof(uint16_t))

static inline void frame_l4(struct frame *f, struct dune_rng *r, unsigned proto)
{
    size_t at = f->len;

    frame_noise(f, r, 20);
    if (proto == 6)
        f->b[at + 12] = (uint8_t)(dune_rng_below(r, 16) ? 0x50 : dune_rng_u64(r));
    frame_noise(f, r, dune_rng_below(r, 30));
}

static inline void frame_ipv4(struct frame *f, struct dune_rng *r, unsigned proto, bool odd)
{
    size_t at = f->len, ihl = dune_rng_below(r, 4) ? 5 : 5 + dune_rng_below(r, 11);

    if (odd && dune_rng_below(r, 50) == 0)
        ihl = dune_rng_below(r, 5);
    frame_noise(f, r, DUNE_MAX(ihl, 5) * 4);
    if (ihl > 5)
        memset(f->b + at + 20, 1, ihl * 4 - 20); /* no-operation options */
    f->b[at] = (uint8_t)(0x40 | ihl);
    f->b[at + 6] &= 0x40;
    f->b[at + 7] = 0;
    f->b[at + 9] = (uint8_t)proto;
    frame_l4(f, r, proto);
    f->b[at + 2] = (uint8_t)((f->len - at) >> 8);
    f->b[at + 3] = (uint8_t)(f->len - at);
}

/* Up to max_ext extension headers. */
static inline void frame_ipv6(struct frame *f, struct dune_rng *r, unsigned proto, unsigned max_ext)
{
    size_t at = f->len, next = at + 6;
    unsigned n = (unsigned)dune_rng_below(r, 3) ? 0 : (unsigned)dune_rng_below(r, max_ext + 1);

    frame_noise(f, r, 40);
    f->b[at] = (uint8_t)(0x60 | (f->b[at] & 15));
    for (unsigned i = 0; i < n; i++) {
        unsigned kind = FRAME_PICK(r, 0, 43, 44, 51, 60);
        size_t e = f->len, units = dune_rng_below(r, 9);

        if (kind == 0 && i > 0)
            kind = 60;
        if (kind == 44)
            units = 0;
        f->b[next] = (uint8_t)kind;
        next = e;
        frame_noise(f, r, 8 + units * 8);
        memset(f->b + e + 1, 0, 7);
        f->b[e + 1] = (uint8_t)(kind == 51 ? units * 2 : units);
        if (kind != 44 && kind != 51 && kind != 43)
            memset(f->b + e + 2, 0, 6 + units * 8); /* Pad1 options */
    }
    f->b[next] = (uint8_t)proto;
    frame_l4(f, r, proto);
    f->b[at + 4] = (uint8_t)((f->len - at - 40) >> 8);
    f->b[at + 5] = (uint8_t)(f->len - at - 40);
}

/* A whole frame; every proportion of tags, versions, extensions and protocols occurs. */
static inline void frame_make(struct frame *f, struct dune_rng *r, unsigned max_vlan,
                              unsigned max_ext, bool odd)
{
    unsigned n_vlan = dune_rng_below(r, 3) ? 0 : (unsigned)dune_rng_below(r, max_vlan + 1);
    unsigned proto = dune_rng_below(r, 2) ? 6 : 17;
    bool v6 = dune_rng_below(r, 2);

    if (odd && dune_rng_below(r, 20) == 0)
        proto = (unsigned)dune_rng_below(r, 256);
    f->len = 0;
    frame_noise(f, r, 12);
    f->b[0] &= 0xfe;
    for (unsigned i = 0; i < n_vlan; i++) {
        frame_put16(f, dune_rng_below(r, 2) ? 0x8100 : 0x88a8);
        frame_noise(f, r, 2);
    }
    frame_put16(f, v6 ? 0x86dd : 0x0800);
    if (v6)
        frame_ipv6(f, r, proto, max_ext);
    else
        frame_ipv4(f, r, proto, odd);
}

#endif
