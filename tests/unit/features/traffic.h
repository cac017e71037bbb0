/* SPDX-License-Identifier: Apache-2.0 */
/* Random captures for tests: few addresses and ports, so that flows repeat; clocks that jump. */
#ifndef DUNE_TEST_TRAFFIC_H
#define DUNE_TEST_TRAFFIC_H

#include "base/base.h"
#include "dune/capture.h"

static inline void put_be(uint8_t *p, uint64_t v, int bytes)
{
    for (int i = bytes - 1; i >= 0; i--, v >>= 8)
        p[i] = (uint8_t)v;
}

/* One frame: mostly IPv4 or IPv6 with TCP or UDP, sometimes ARP. Source MAC 02:00:00:00:00:0x. */
static inline uint32_t random_frame(uint8_t *f, struct dune_rng *rng)
{
    bool v6 = dune_rng_below(rng, 4) == 0, tcp = dune_rng_below(rng, 2);
    uint32_t l3 = 14, l4, payload = (uint32_t)dune_rng_below(rng, 200);
    uint64_t pair = dune_rng_below(rng, 4), ports = dune_rng_below(rng, 3);

    memset(f, 0, 400);
    f[0] = f[6] = 2;
    f[11] = (uint8_t)dune_rng_below(rng, 4);
    f[5] = 9;
    put_be(f + 12, v6 ? 0x86dd : 0x0800, 2);
    if (dune_rng_below(rng, 12) == 0) {
        put_be(f + 12, 0x0806, 2);
        return 60;
    }
    l4 = l3 + (v6 ? 40 : 20);
    payload += tcp ? 20 : 8;
    if (v6) {
        f[l3] = 0x60;
        put_be(f + l3 + 4, payload, 2);
        f[l3 + 6] = tcp ? 6 : 17;
        f[l3 + 7] = (uint8_t)dune_rng_below(rng, 256);
        f[l3 + 8] = f[l3 + 24] = 0xfd;
        f[l3 + 23] = (uint8_t)pair;
        f[l3 + 39] = (uint8_t)(pair ^ 1);
    } else {
        f[l3] = 0x45;
        f[l3 + 1] = (uint8_t)dune_rng_below(rng, 256);
        put_be(f + l3 + 2, 20 + payload, 2);
        f[l3 + 8] = (uint8_t)dune_rng_below(rng, 256);
        f[l3 + 9] = tcp ? 6 : 17;
        put_be(f + l3 + 12, 0x0a000000 + pair, 4);
        put_be(f + l3 + 16, 0x0a000000 + (pair ^ 1), 4);
    }
    put_be(f + l4, 1000 + ports, 2);
    put_be(f + l4 + 2, 80 + ports * 1000, 2);
    if (tcp) {
        f[l4 + 12] = 0x50;
        f[l4 + 13] = (uint8_t)dune_rng_below(rng, 256);
        put_be(f + l4 + 14, dune_rng_below(rng, 65536), 2);
    } else {
        put_be(f + l4 + 4, payload, 2);
    }
    return l4 + payload;
}

/* Writes n packets to path. */
static inline void write_traffic(const char *path, unsigned n, uint64_t seed)
{
    static const uint64_t jump[] = {500, 20000, 3000000, 2000000000, 90000000000};
    uint64_t ns = UINT64_C(1600000000) * 1000000000;
    struct dune_writer *w;
    struct dune_diag d = {0};
    struct dune_rng rng;
    uint8_t frame[400];

    dune_rng_init(&rng, seed, 1, 0, 0);
    assert_ok(dune_writer_open(&w, path, &d), d);
    for (unsigned i = 0; i < n; i++) {
        uint32_t len = random_frame(frame, &rng), cap = len;

        if (dune_rng_below(&rng, 4) == 0)
            cap = DUNE_MIN(len, 40 + (uint32_t)dune_rng_below(&rng, 60));
        assert_ok(dune_writer_put(w, ns, frame, cap, len, &d), d);
        ns += dune_rng_below(&rng, jump[dune_rng_below(&rng, 5)] * (i % 7 ? 1 : 3));
        if (dune_rng_below(&rng, 10) == 0)
            ns -= 700000;
    }
    assert_ok(dune_writer_commit(w, &d), d);
}

#endif
