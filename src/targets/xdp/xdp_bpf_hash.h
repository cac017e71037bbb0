/* SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause) */
/* The two hashes of design section 5 over the 13 or 37 bytes of a tuple. */
#ifndef DUNE_TARGETS_XDP_BPF_HASH_H
#define DUNE_TARGETS_XDP_BPF_HASH_H

#include "targets/xdp/xdp_bpf.h"

static __always_inline uint64_t rotl(uint64_t v, int by)
{
    return v << by | v >> (64 - by);
}

static __always_inline void sip_round(uint64_t v[4])
{
    v[0] += v[1];
    v[2] += v[3];
    v[1] = rotl(v[1], 13) ^ v[0];
    v[3] = rotl(v[3], 16) ^ v[2];
    v[0] = rotl(v[0], 32);
    v[2] += v[1];
    v[0] += v[3];
    v[1] = rotl(v[1], 17) ^ v[2];
    v[3] = rotl(v[3], 21) ^ v[0];
    v[2] = rotl(v[2], 32);
}

static __always_inline void sip_word(uint64_t v[4], uint64_t m)
{
    v[3] ^= m;
    sip_round(v);
    sip_round(v);
    v[0] ^= m;
}

static __always_inline uint64_t siphash(const struct xdp_plan *plan, const struct xdp_rule_key *k)
{
    uint64_t v[4] = {plan->sip[0], plan->sip[1], plan->sip[2], plan->sip[3]};

    sip_word(v, k->tuple[0]);
    if (k->len == 13) {
        sip_word(v, k->tuple[1] | 13ull << 56);
    } else {
        sip_word(v, k->tuple[1]);
        sip_word(v, k->tuple[2]);
        sip_word(v, k->tuple[3]);
        sip_word(v, k->tuple[4] | 37ull << 56);
    }
    v[2] ^= 0xff;
    sip_round(v);
    sip_round(v);
    sip_round(v);
    sip_round(v);
    return v[0] ^ v[1] ^ v[2] ^ v[3];
}

/* n bytes of lo (8) and hi, with crc in front of them. */
static __always_inline uint32_t crc_slice(int kind, uint32_t crc, uint64_t lo, uint64_t hi, int n)
{
    uint32_t out = 0;

    lo ^= crc;
#pragma unroll
    for (int i = 0; i < n; i++)
        out ^= crc_table[kind][n - 1 - i][(i < 8 ? lo >> (8 * i) : hi >> (8 * (i - 8))) & 0xff];
    return out;
}

static __always_inline uint32_t crc(int kind, const struct xdp_rule_key *k)
{
    uint32_t c = UINT32_MAX;

    if (k->len == 13)
        return ~crc_slice(kind, c, k->tuple[0], k->tuple[1], 13);
    c = crc_slice(kind, c, k->tuple[0], k->tuple[1], 16);
    c = crc_slice(kind, c, k->tuple[2], k->tuple[3], 16);
    return ~crc_slice(kind, c, k->tuple[4], 0, 5);
}

/* Is it the flow that was hashed last? Two hashes of a train of packets are one too many. */
static __always_inline bool hashed_already(const struct xdp_pass *p, const struct xdp_plan *plan)
{
    if (p->hashed_serial != plan->serial || p->hashed_len != p->key.len || p->hashed[0] != p->key.tuple[0] ||
        p->hashed[1] != p->key.tuple[1])
        return false;
    return p->key.len == 13 || (p->hashed[2] == p->key.tuple[2] && p->hashed[3] == p->key.tuple[3] &&
                                p->hashed[4] == p->key.tuple[4]);
}

static __always_inline void remember_hash(struct xdp_pass *p, const struct xdp_plan *plan)
{
    p->hashed_serial = plan->serial;
    p->hashed_len = p->key.len;
    __builtin_memcpy(p->hashed, p->key.tuple, sizeof(p->hashed));
    p->hashed_index = p->index;
    p->hashed_id = p->id;
}

/* Index and id of the packet's flow under a plan. */
static __always_inline void hash_here(struct xdp_pass *p, const struct xdp_plan *plan)
{
    uint64_t h;

    if (hashed_already(p, plan)) {
        p->index = p->hashed_index;
        p->id = p->hashed_id;
        return;
    }
    if (uses_crc && plan->hash == XDP_HASH_CRC) {
        p->index = crc(0, &p->key);
        p->id = crc(1, &p->key);
    } else {
        h = siphash(plan, &p->key);
        p->index = (uint32_t)h;
        p->id = (uint32_t)(h >> 32);
    }
    p->index &= plan->slot_mask;
    if (p->id == 0)
        p->id = 1;
    remember_hash(p, plan);
}

/* The same under the plan at position gen. */
__attribute__((noinline)) int hash_flow(uint32_t gen)
{
    struct xdp_pass *p = get_pass();
    struct xdp_plan *plan = get_plan(gen);

    if (p && plan)
        hash_here(p, plan);
    return 0;
}

#endif
