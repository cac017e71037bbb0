/* SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause) */
/* Maps of the XDP program and how its files reach them. Only for clang -target bpf. */
#ifndef DUNE_TARGETS_XDP_BPF_H
#define DUNE_TARGETS_XDP_BPF_H

#include <linux/bpf.h>
#include <bpf/bpf_endian.h>
#include <bpf/bpf_helpers.h>
#include <stdbool.h>
#include <stddef.h>

#include "targets/xdp/xdp_shared.h"

/* Registers of a slot lie below DUNE_CORE_SLOT_MAX; behind the arena there is slack. */
#define DUNE_CORE_REG(offset, bytes) ((offset) & (DUNE_CORE_SLOT_MAX - (bytes)))
#define DUNE_CORE_REG_ANY(offset) ((offset) & (DUNE_CORE_SLOT_MAX - 1))
/* Steps down a tree need no masks: a child's index is at most 65535 + 1 and there are so many nodes; the low byte of feat
 * is an offset (xdp_shared.h) within a vector of XDP_X. */
#define DUNE_CORE_NODE_AT(i) (i)
#define DUNE_CORE_NODE_FEAT(v) (*(const uint8_t *)(const void *)&(v)->feat)
#define DUNE_CORE_VALUE(x, feat) (*(const uint32_t *)(const void *)((const uint8_t *)(x) + (feat)))

/* Set by the host before the program is loaded, constants for the verifier: what is off costs nothing. */
const volatile bool testing;       /* tick, ports and trace from and to the test */
const volatile bool counting;      /* what sub-models see, for drift */
const volatile bool tracing;       /* every packet leaves a record */
const volatile bool locked;        /* several CPUs may meet in a bucket */
const volatile bool ordered;       /* a plain store releases a lock (x86) */
const volatile bool uses_crc;      /* crc_table is filled */
const volatile uint32_t arena_mask; /* bytes of one generation - 64 */
/* CRC-32C and CRC-32 of a byte with k bytes behind it. */
const volatile uint32_t crc_table[2][16][256];

/* Reached by its address, without a look-up. */
struct xdp_settings settings SEC(XDP_SETTINGS_MAP);

struct {
    __uint(type, BPF_MAP_TYPE_ARRAY);
    __uint(max_entries, XDP_GENS);
    __type(key, uint32_t);
    __type(value, struct xdp_plan);
} plans SEC(".maps");

struct xdp_nodes {
    struct dune_core_node node[XDP_MAX_NODES + 1];
};
struct {
    __uint(type, BPF_MAP_TYPE_ARRAY);
    __uint(max_entries, XDP_GENS);
    __type(key, uint32_t);
    __type(value, struct xdp_nodes);
} nodes SEC(".maps");

struct { /* the host sets the size of a value */
    __uint(type, BPF_MAP_TYPE_ARRAY);
    __uint(max_entries, XDP_GENS);
    __uint(map_flags, BPF_F_MMAPABLE);
    __uint(key_size, sizeof(uint32_t));
    __uint(value_size, 2 * XDP_ARENA_SLACK);
} arena SEC(".maps");

/* Side by side: of many flows a line of locks was last held by another CPU anyway, and so they stay in the first cache. */
uint64_t lock_words[XDP_LOCKS] __attribute__((aligned(64)));

struct { /* the host sets the number of entries */
    __uint(type, BPF_MAP_TYPE_HASH);
    __uint(max_entries, 1);
    __type(key, struct xdp_rule_key);
    __type(value, struct xdp_flow_rules);
} rules SEC(".maps");

struct { /* the host sets its size */
    __uint(type, BPF_MAP_TYPE_RINGBUF);
    __uint(max_entries, 65536);
} digests SEC(".maps");

struct {
    __uint(type, BPF_MAP_TYPE_PERCPU_ARRAY);
    __uint(max_entries, 1);
    __type(key, uint32_t);
    __type(value, struct xdp_counts);
} counts SEC(".maps");

/* One entry per CPU, generation and side, made by hand: a value is too large for a map per CPU, and this one is mapped. */
struct { /* the host sets the number of entries */
    __uint(type, BPF_MAP_TYPE_ARRAY);
    __uint(max_entries, 1);
    __uint(map_flags, BPF_F_MMAPABLE);
    __type(key, uint32_t);
    __type(value, struct xdp_drift);
} drift SEC(".maps");

struct {
    __uint(type, BPF_MAP_TYPE_ARRAY);
    __uint(max_entries, XDP_GENS);
    __type(key, uint32_t);
    __type(value, struct xdp_cuts);
} cuts SEC(".maps");

struct {
    __uint(type, BPF_MAP_TYPE_PERCPU_ARRAY);
    __uint(max_entries, 1);
    __type(key, uint32_t);
    __type(value, struct xdp_pass);
} passes SEC(".maps");

struct { /* not read: updating it lets the host wait until no packet is under way */
    __uint(type, BPF_MAP_TYPE_ARRAY_OF_MAPS);
    __uint(max_entries, 1);
    __type(key, uint32_t);
    __array(values, struct {
        __uint(type, BPF_MAP_TYPE_ARRAY);
        __uint(max_entries, 1);
        __type(key, uint32_t);
        __type(value, uint32_t);
    });
} grace SEC(".maps");

struct { /* what is put into grace */
    __uint(type, BPF_MAP_TYPE_ARRAY);
    __uint(max_entries, 1);
    __type(key, uint32_t);
    __type(value, uint32_t);
} nothing SEC(".maps");

struct { /* filled in test runs only */
    __uint(type, BPF_MAP_TYPE_ARRAY);
    __uint(max_entries, 1);
    __uint(map_flags, BPF_F_MMAPABLE);
    __type(key, uint32_t);
    __type(value, struct xdp_trace);
} traces SEC(".maps");

struct { /* the host sets its size */
    __uint(type, BPF_MAP_TYPE_RINGBUF);
    __uint(max_entries, 4096);
} events SEC(".maps");

struct {
    __uint(type, BPF_MAP_TYPE_PERCPU_ARRAY);
    __uint(max_entries, 1);
    __type(key, uint32_t);
    __type(value, struct xdp_snap);
} snaps SEC(".maps");

uint64_t event_serial;

struct { /* port number -> interface */
    __uint(type, BPF_MAP_TYPE_DEVMAP);
    __uint(max_entries, XDP_MAX_PORTS);
    __uint(key_size, sizeof(uint32_t));
    __uint(value_size, sizeof(struct bpf_devmap_val));
} out_ports SEC(".maps");

struct { /* place in settings.cpu -> queue and program there */
    __uint(type, BPF_MAP_TYPE_CPUMAP);
    __uint(max_entries, XDP_MAX_CPUS);
    __uint(key_size, sizeof(uint32_t));
    __uint(value_size, sizeof(struct bpf_cpumap_val));
} cpus SEC(".maps");

#define MIRROR_MAP(name)                                                                           \
    struct {                                                                                       \
        __uint(type, BPF_MAP_TYPE_DEVMAP_HASH);                                                    \
        __uint(max_entries, 2);                                                                    \
        __uint(key_size, sizeof(uint32_t));                                                        \
        __uint(value_size, sizeof(struct bpf_devmap_val));                                         \
    } name SEC(".maps")
MIRROR_MAP(mirror0); /* two interfaces each: a packet goes to both */
MIRROR_MAP(mirror1);
MIRROR_MAP(mirror2);
MIRROR_MAP(mirror3);

static __always_inline struct xdp_settings *get_settings(void)
{
    return &settings;
}

static __always_inline struct xdp_pass *get_pass(void)
{
    uint32_t zero = 0;

    return bpf_map_lookup_elem(&passes, &zero);
}

static __always_inline struct xdp_counts *get_counts(void)
{
    uint32_t zero = 0;

    return bpf_map_lookup_elem(&counts, &zero);
}

static __always_inline struct xdp_snap *get_snap(void)
{
    uint32_t zero = 0;

    return bpf_map_lookup_elem(&snaps, &zero);
}

static __always_inline struct xdp_plan *get_plan(uint32_t gen)
{
    return bpf_map_lookup_elem(&plans, &gen);
}

static __always_inline struct xdp_drift *get_drift(const struct xdp_pass *p, uint32_t gen)
{
    uint32_t key = (bpf_get_smp_processor_id() * XDP_GENS + (gen & (XDP_GENS - 1))) * XDP_DRIFT_SIDES + (p->drift_side & 1);

    return bpf_map_lookup_elem(&drift, &key);
}

static __always_inline struct xdp_cuts *get_cuts(uint32_t gen)
{
    return bpf_map_lookup_elem(&cuts, &gen);
}

static __always_inline struct xdp_trace *get_trace(void)
{
    uint32_t zero = 0;

    return bpf_map_lookup_elem(&traces, &zero);
}

static __always_inline uint8_t *get_arena(uint32_t gen)
{
    return bpf_map_lookup_elem(&arena, &gen);
}

/* The slot at an offset of the arena, or what lies in its slack. */
static __always_inline struct dune_core_slot *get_slot(uint32_t gen, uint32_t at)
{
    uint8_t *base = get_arena(gen);

    return base ? (struct dune_core_slot *)(void *)(base + (at & arena_mask)) : (void *)0;
}

#endif
