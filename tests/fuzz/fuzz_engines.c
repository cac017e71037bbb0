/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The fast engine against the reference. Eight bytes choose plan and options, then packets follow: two
 * bytes of length and direction of time, one of the time step, the frame.
 */
#include "fuzz/engine_kit.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len);

static void run(struct dune_chain *c[2], const uint8_t *data, size_t len)
{
    struct dune_chain_packet pkt[DUNE_BURST_MAX];
    uint64_t tick = 100000;
    unsigned n = 0;

    while (len >= 3) {
        size_t want = (size_t)(data[0] & 3) << 8 | data[1];
        uint64_t step = (uint64_t)data[2] * (data[0] & 0x20 ? 100 : 1);

        tick = data[0] & 0x80 ? tick - DUNE_MIN(step, tick) : tick + step;
        data += 3;
        len -= 3;
        want = DUNE_MIN(want, len);
        pkt[n++] = (struct dune_chain_packet){data, (uint32_t)want, (uint32_t)want, tick};
        data += want;
        len -= want;
        if (n == DUNE_BURST_MAX || len < 3) {
            compare(c, 2, pkt, n);
            n = 0;
        }
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len)
{
    const struct dune_engine_ops *ops[2] = {&dune_engine_reference, &dune_engine_fast};
    struct dune_chain *c[2] = {NULL, NULL};
    struct dune_chain_opts o;
    struct dune_plan *p;
    struct dune_rng r;

    if (len < 8)
        return 0;
    dune_rng_init(&r, (uint64_t)data[0] << 8 | data[1], 5, 0, 0);
    p = make_plan(&r);
    o = (struct dune_chain_opts){.slots = UINT32_C(1) << (data[2] & 7), .ways = 1 + (data[2] >> 3 & 7),
                                 .rules = data[3] & 1, .drop_edge_shim = data[3] & 2, .keep_shim = data[3] & 4,
                                 .rules_everywhere = data[3] & 8, .rule_delay = data[4],
                                 .digest_rate = data[5], .rules_max = data[6]};
    for (int e = 0; e < 2; e++)
        if (ops[e]->open(&c[e], p, &o, NULL))
            abort();
    run(c, data + 8, len - 8);
    compare_counters(c, 2, p->n_devices);
    ops[0]->close(c[0]);
    ops[1]->close(c[1]);
    dune_plan_free(p);
    return 0;
}
