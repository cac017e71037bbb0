/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What the AF_XDP port stands on: sockets with their memory and rings, one per queue of the interface (xsk_queue.c), and the
 * program on the interface that hands its frames to them (xsk_program.c).
 */
#ifndef DUNE_IO_XSK_INT_H
#define DUNE_IO_XSK_INT_H

#include <linux/if_xdp.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#ifndef XDP_USE_SG /* in headers from 6.6 on */
#define XDP_USE_SG (1 << 4)
#define XDP_PKT_CONTD (1 << 0)
#endif

enum { XSK_QUEUES = 64, XSK_STAMP = 8, XSK_TX_CHUNKS = 512 };

/* --- xsk_queue.c ------------------------------------------------------------------------------------------- */
struct xsk_ring {
    uint32_t *producer, *consumer, *flags;
    void *entry;
    uint32_t mask, mine; /* mine: our end, which may be ahead of what the other side sees */
    void *map;
    size_t map_bytes;
};

struct xsk_queue {
    int fd; /* -1: closed */
    uint8_t *memory;
    size_t bytes;
    struct xsk_ring fill, rx, tx, done;
};


/* Where a queue's socket is bound to, and how. */
struct xsk_place {
    uint32_t ifindex, queue;
    uint32_t chunk, rx_chunks; /* bytes of one; a power of two of them */
    bool several, copy, zero_copy;
};

/* A negative errno; the queue is to be closed in any case. */
int dune_xsk_queue_open(struct xsk_queue *q, const struct xsk_place *at);
void dune_xsk_queue_close(struct xsk_queue *q);
bool dune_xsk_queue_zero_copy(const struct xsk_queue *q);

/* How many entries the other side has put there for us, or left free for us; how many of ours it has not taken. */
static inline uint32_t xsk_to_take(const struct xsk_ring *r)
{
    return __atomic_load_n(r->producer, __ATOMIC_ACQUIRE) - r->mine;
}

static inline uint32_t xsk_pending(const struct xsk_ring *r)
{
    return r->mine - __atomic_load_n(r->consumer, __ATOMIC_ACQUIRE);
}

static inline uint32_t xsk_to_put(const struct xsk_ring *r)
{
    return r->mask + 1 - xsk_pending(r);
}

static inline uint64_t *xsk_address(const struct xsk_ring *r, uint32_t i)
{
    return (uint64_t *)r->entry + (i & r->mask);
}

static inline struct xdp_desc *xsk_desc(const struct xsk_ring *r, uint32_t i)
{
    return (struct xdp_desc *)r->entry + (i & r->mask);
}

static inline bool xsk_wants_call(const struct xsk_ring *r)
{
    return __atomic_load_n(r->flags, __ATOMIC_ACQUIRE) & XDP_RING_NEED_WAKEUP;
}

/* --- xsk_program.c ----------------------------------------------------------------------------------------- */
struct xsk_program {
    int map, program, link; /* descriptors; -1: none. When the last one is closed, by whatever end of this process,
                             * the interface is without program again */
    bool native;
};

/*
 * A map for n queues and the program that looks into it. In front of every frame the program leaves XSK_STAMP bytes
 * with the time of its arrival on CLOCK_MONOTONIC, where the driver has room for them. A negative errno.
 */
int dune_xsk_program_load(struct xsk_program *p, uint32_t n);
int dune_xsk_program_put(const struct xsk_program *p, uint32_t queue, int socket); /* from then on its frames go there */
/* Native where the driver can and generic is not asked for. -EBUSY: there is another program. */
int dune_xsk_program_attach(struct xsk_program *p, uint32_t ifindex, bool want_native, bool want_generic);
void dune_xsk_program_close(struct xsk_program *p);

#endif
