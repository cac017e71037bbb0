/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A socket of AF_XDP with its memory and its four rings:
 *
 *   memory of a queue:  [ chunk | chunk | ... rx ... | chunk | ... tx ... | chunk ]
 *
 *   rx chunk: in the fill ring -> the kernel writes a frame -> in the rx ring -> lent -> in the fill ring
 *   tx chunk: free -> filled by dune_port_tx, in the tx ring -> sent -> in the completion ring -> free
 *
 * As many chunks as the fill and the rx ring have places are for receiving, so neither ring can overflow.
 */
#include "io/xsk_int.h"

#include <errno.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/base.h"

static int map_ring(int fd, struct xsk_ring *r, const struct xdp_ring_offset *o, size_t entry_bytes, uint32_t n, off_t page)
{
    uint8_t *at;

    r->map_bytes = o->desc + entry_bytes * n;
    at = mmap(NULL, r->map_bytes, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_POPULATE, fd, page);
    if (at == MAP_FAILED)
        return -errno;
    r->map = at;
    r->producer = (uint32_t *)(void *)(at + o->producer);
    r->consumer = (uint32_t *)(void *)(at + o->consumer);
    r->flags = (uint32_t *)(void *)(at + o->flags);
    r->entry = at + o->desc;
    r->mask = n - 1;
    return 0;
}

static int map_rings(struct xsk_queue *q, uint32_t n_rx)
{
    struct xdp_mmap_offsets o;
    socklen_t len = sizeof(o);
    int rc;

    if (getsockopt(q->fd, SOL_XDP, XDP_MMAP_OFFSETS, &o, &len))
        return -errno;
    rc = map_ring(q->fd, &q->fill, &o.fr, sizeof(uint64_t), n_rx, XDP_UMEM_PGOFF_FILL_RING);
    if (!rc)
        rc = map_ring(q->fd, &q->done, &o.cr, sizeof(uint64_t), XSK_TX_CHUNKS, (off_t)XDP_UMEM_PGOFF_COMPLETION_RING);
    if (!rc)
        rc = map_ring(q->fd, &q->rx, &o.rx, sizeof(struct xdp_desc), n_rx, XDP_PGOFF_RX_RING);
    if (!rc)
        rc = map_ring(q->fd, &q->tx, &o.tx, sizeof(struct xdp_desc), XSK_TX_CHUNKS, XDP_PGOFF_TX_RING);
    return rc;
}

void dune_xsk_queue_close(struct xsk_queue *q)
{
    const struct xsk_ring *ring[] = {&q->fill, &q->rx, &q->tx, &q->done};

    for (size_t i = 0; i < DUNE_ARRAY_LEN(ring); i++)
        if (ring[i]->map)
            munmap(ring[i]->map, ring[i]->map_bytes);
    if (q->fd >= 0)
        close(q->fd);
    if (q->memory)
        munmap(q->memory, q->bytes);
    *q = (struct xsk_queue){.fd = -1};
}

/* The memory is locked, and counts against a limit that is often too low and is for all processes of the user. Where it
 * cannot be raised the kernel says so in the next step. */
static void allow_locked(void)
{
    const struct rlimit none = {RLIM_INFINITY, RLIM_INFINITY};
    struct rlimit r;

    if (setrlimit(RLIMIT_MEMLOCK, &none) && getrlimit(RLIMIT_MEMLOCK, &r) == 0) {
        r.rlim_cur = r.rlim_max;
        (void)!setrlimit(RLIMIT_MEMLOCK, &r);
    }
}

static int set_option(int fd, int option, const void *v, socklen_t len)
{
    return setsockopt(fd, SOL_XDP, option, v, len) ? -errno : 0;
}

static int set_up_memory(struct xsk_queue *q, uint32_t chunk, uint32_t n_rx)
{
    const uint32_t n_tx = XSK_TX_CHUNKS;
    struct xdp_umem_reg reg = {.chunk_size = chunk};
    int rc;

    q->bytes = (size_t)(n_rx + n_tx) * chunk;
    allow_locked();
    q->memory = mmap(NULL, q->bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    if (q->memory == MAP_FAILED) {
        q->memory = NULL;
        return -errno;
    }
    reg.addr = (uintptr_t)q->memory;
    reg.len = q->bytes;
    rc = set_option(q->fd, XDP_UMEM_REG, &reg, sizeof(reg));
    if (!rc)
        rc = set_option(q->fd, XDP_UMEM_FILL_RING, &n_rx, sizeof(n_rx));
    if (!rc)
        rc = set_option(q->fd, XDP_UMEM_COMPLETION_RING, &n_tx, sizeof(n_tx));
    if (!rc)
        rc = set_option(q->fd, XDP_RX_RING, &n_rx, sizeof(n_rx));
    if (!rc)
        rc = set_option(q->fd, XDP_TX_RING, &n_tx, sizeof(n_tx));
    return rc ? rc : map_rings(q, n_rx);
}

static int bind_queue(struct xsk_queue *q, const struct xsk_place *at)
{
    struct sockaddr_xdp a = {.sxdp_family = AF_XDP, .sxdp_ifindex = at->ifindex, .sxdp_queue_id = at->queue,
                             .sxdp_flags = XDP_USE_NEED_WAKEUP};

    a.sxdp_flags |= (uint16_t)((at->several ? XDP_USE_SG : 0) | (at->copy ? XDP_COPY : 0) | (at->zero_copy ? XDP_ZEROCOPY : 0));
    if (bind(q->fd, (struct sockaddr *)&a, sizeof(a)))
        return -errno;
    for (uint32_t i = 0; i < at->rx_chunks; i++)
        *xsk_address(&q->fill, q->fill.mine++) = (uint64_t)i * at->chunk;
    __atomic_store_n(q->fill.producer, q->fill.mine, __ATOMIC_RELEASE);
    return 0;
}

int dune_xsk_queue_open(struct xsk_queue *q, const struct xsk_place *at)
{
    int rc;

    *q = (struct xsk_queue){.fd = socket(AF_XDP, SOCK_RAW | SOCK_CLOEXEC, 0)};
    if (q->fd < 0)
        return -errno;
    rc = set_up_memory(q, at->chunk, at->rx_chunks);
    return rc ? rc : bind_queue(q, at);
}

bool dune_xsk_queue_zero_copy(const struct xsk_queue *q)
{
    struct xdp_options o = {0};
    socklen_t len = sizeof(o);

    return getsockopt(q->fd, SOL_XDP, XDP_OPTIONS, &o, &len) == 0 && o.flags & XDP_OPTIONS_ZEROCOPY;
}
