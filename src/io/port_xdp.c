/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A network interface of Linux by AF_XDP: af_xdp:IFACE[,native|,generic][,copy|,zerocopy]. A program on the interface
 * (xsk_program.c) hands every frame to a socket of its queue, before the host's own stack sees it.
 *
 * A frame longer than a chunk of memory lies in several, where the kernel can do that (6.6); it is put together here. What
 * comes while all chunks are full or lent is lost, and the kernel counts it.
 */
#include "io/io_int.h"
#include "io/xsk_int.h"

#include <errno.h>
#include <linux/ethtool.h>
#include <linux/if_packet.h>
#include <linux/sockios.h>
#include <net/ethernet.h>
#include <net/if.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

/* CHUNKS_A_FRAME: what fits one buffer of the network stack, 16 pages beside its first part. SMALL_MTU: frames of it fit 2048
 * bytes with what the kernel and the program put in front. */
enum { RX_BYTES = 8 << 20, CHUNKS_A_FRAME = 17, TAG = 4, KICKS = 64, FLUSH_MS = 500, BUSY_TRIES = 50, SMALL_MTU = 1700 };

struct xdp_port {
    struct dune_port base;
    char ifname[IFNAMSIZ];
    uint32_t ifindex, mtu, n_queues, next_queue;
    struct xsk_queue queue[XSK_QUEUES];
    struct xsk_program program;
    uint32_t chunk, rx_chunks;
    bool several, zero_copy;            /* several: a frame may lie in several chunks */
    bool want_native, want_generic, want_copy, want_zero_copy;
    bool gone;
    int promiscuous;                    /* a socket that keeps the interface so; -1 */
    uint64_t free_tx[XSK_TX_CHUNKS];        /* frames leave by queue 0 */
    uint32_t n_free_tx;
    struct {
        struct xsk_queue *q;
        uint64_t chunk;
    } lent[DUNE_IO_BURST_MAX];
    uint32_t n_lent;
    struct dune_buf whole[DUNE_IO_BURST_MAX]; /* of frames in several chunks */
    int64_t clock_offset;               /* CLOCK_REALTIME - CLOCK_MONOTONIC */
};

static int fail(struct xdp_port *c, int e, struct dune_diag *d, const char *what)
{
    return dune_diag_set(d, DUNE_E_ENV, NULL, "interface %s: %s: %s%s", c->ifname, what, strerror(e),
                         e == EPERM || e == EACCES ? "; it takes root, or CAP_NET_RAW, CAP_NET_ADMIN, CAP_BPF and CAP_IPC_LOCK"
                         : e == ENOBUFS || e == ENOMEM ? "; raise the limit of locked memory (ulimit -l)" : "");
}

/* --- opening ------------------------------------------------------------------------------------------------ */

static void xdp_close(struct dune_port *p)
{
    struct xdp_port *c = (struct xdp_port *)p;

    dune_xsk_program_close(&c->program); /* first: from now on frames go where they went before */
    for (uint32_t i = 0; i < c->n_queues; i++)
        dune_xsk_queue_close(&c->queue[i]);
    if (c->promiscuous >= 0)
        close(c->promiscuous);
    if (p->fd >= 0 && c->n_queues > 1)
        close(p->fd);
    for (unsigned i = 0; i < DUNE_IO_BURST_MAX; i++)
        dune_buf_fini(&c->whole[i]);
    dune_mem_free(c);
}

/* Of a socket that was closed just now the kernel lets go a moment later. */
static int open_queue(struct xdp_port *c, uint32_t i)
{
    const struct xsk_place at = {c->ifindex, i, c->chunk, c->rx_chunks, c->several, c->want_copy, c->want_zero_copy};
    int rc = dune_xsk_queue_open(&c->queue[i], &at);

    for (int tries = 0; rc == -EBUSY && tries < BUSY_TRIES; tries++) {
        dune_xsk_queue_close(&c->queue[i]);
        usleep(10000);
        rc = dune_xsk_queue_open(&c->queue[i], &at);
    }
    return rc;
}

static int open_queues(struct xdp_port *c, struct dune_diag *d)
{
    uint32_t i;
    int rc = 0;

    for (i = 0; rc == 0 && i < c->n_queues; i++)
        rc = open_queue(c, i);
    if ((rc == -EINVAL || rc == -EOPNOTSUPP) && c->several) { /* an older kernel, or driver */
        for (i = 0; i < c->n_queues; i++)
            dune_xsk_queue_close(&c->queue[i]);
        c->several = false;
        return open_queues(c, d);
    }
    if (rc == -EBUSY)
        return dune_diag_set(d, DUNE_E_ENV, NULL, "interface %s has another AF_XDP port already", c->ifname);
    c->zero_copy = rc == 0 && dune_xsk_queue_zero_copy(&c->queue[0]);
    return rc ? fail(c, -rc, d, c->want_zero_copy ? "no AF_XDP socket without copying" : "no AF_XDP socket") : 0;
}

static int interface_call(struct xdp_port *c, unsigned long call, struct ifreq *r)
{
    int fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0), rc;

    memcpy(r->ifr_name, c->ifname, IFNAMSIZ);
    rc = fd < 0 || ioctl(fd, call, r) ? -errno : 0;
    if (fd >= 0)
        close(fd);
    return rc;
}

static void read_mtu(struct xdp_port *c)
{
    struct ifreq r = {0};

    if (interface_call(c, SIOCGIFMTU, &r) == 0)
        c->mtu = (uint32_t)r.ifr_mtu;
}

static uint32_t count_queues(struct xdp_port *c)
{
    struct ethtool_channels ch = {.cmd = ETHTOOL_GCHANNELS};
    struct ifreq r = {.ifr_data = (char *)&ch};
    uint32_t n = interface_call(c, SIOCETHTOOL, &r) ? 1 : ch.combined_count + ch.rx_count;

    return DUNE_MAX(n, 1u);
}

/* A socket of the packet family holds the interface in this state while it is open, and not longer. */
static void make_promiscuous(struct xdp_port *c)
{
    struct packet_mreq m = {.mr_type = PACKET_MR_PROMISC, .mr_ifindex = (int)c->ifindex};

    c->promiscuous = socket(AF_PACKET, SOCK_RAW | SOCK_CLOEXEC, 0);
    (void)!setsockopt(c->promiscuous, SOL_PACKET, PACKET_ADD_MEMBERSHIP, &m, sizeof(m));
}

static int wait_on_all(struct xdp_port *c, struct dune_diag *d)
{
    c->base.fd = c->queue[0].fd;
    if (c->n_queues == 1)
        return 0;
    c->base.fd = epoll_create1(EPOLL_CLOEXEC);
    for (uint32_t i = 0; i < c->n_queues; i++) {
        struct epoll_event e = {.events = EPOLLIN};

        if (epoll_ctl(c->base.fd, EPOLL_CTL_ADD, c->queue[i].fd, &e))
            return fail(c, errno, d, "cannot wait for its queues");
    }
    return 0;
}

static int put_program(struct xdp_port *c, struct dune_diag *d)
{
    int rc = dune_xsk_program_load(&c->program, c->n_queues);

    for (uint32_t i = 0; rc == 0 && i < c->n_queues; i++)
        rc = dune_xsk_program_put(&c->program, i, c->queue[i].fd);
    if (rc < 0)
        return fail(c, -rc, d, "the kernel takes no program for AF_XDP");
    rc = dune_xsk_program_attach(&c->program, c->ifindex, c->want_native, c->want_generic);
    if (rc == -EBUSY || rc == -EEXIST)
        return dune_diag_set(d, DUNE_E_ENV, NULL, "interface %s has an XDP program already; ip link set dev %s xdp off takes "
                             "it off", c->ifname, c->ifname);
    return rc ? fail(c, -rc, d, "no XDP program can be attached to it") : 0;
}

static int set_up(struct xdp_port *c, const struct dune_port_opts *o, struct dune_diag *d)
{
    uint32_t bytes = o->ring_bytes ? o->ring_bytes : RX_BYTES;
    int rc;

    c->ifindex = if_nametoindex(c->ifname);
    if (!c->ifindex)
        return fail(c, errno, d, "cannot use it");
    c->n_queues = count_queues(c);
    if (c->n_queues > XSK_QUEUES) {
        rc = dune_diag_set(d, DUNE_E_ENV, NULL, "interface %s has %u queues, more than %d: ethtool -L %s combined N", c->ifname,
                           c->n_queues, XSK_QUEUES, c->ifname);
        c->n_queues = 0;
        return rc;
    }
    read_mtu(c);
    c->chunk = c->mtu <= SMALL_MTU ? 2048 : 4096;
    for (c->rx_chunks = DUNE_IO_BURST_MAX * 2; c->rx_chunks < bytes / c->chunk / c->n_queues && c->rx_chunks < 1u << 16;)
        c->rx_chunks *= 2;
    c->several = true;
    rc = open_queues(c, d);
    for (uint32_t i = 0; i < XSK_TX_CHUNKS; i++)
        c->free_tx[c->n_free_tx++] = (uint64_t)(c->rx_chunks + XSK_TX_CHUNKS - 1 - i) * c->chunk;
    if (rc == 0)
        rc = wait_on_all(c, d);
    if (rc == 0 && o->promiscuous)
        make_promiscuous(c);
    return rc ? rc : put_program(c, d);
}

static int parse(struct xdp_port *c, const char *what, struct dune_diag *d)
{
    size_t len = strcspn(what, ",");

    if (len == 0 || len >= IFNAMSIZ)
        return dune_diag_set(d, DUNE_E_USAGE, NULL, "\"%s\" names no interface", what);
    memcpy(c->ifname, what, len);
    for (const char *at = what + len; *at; at += len) {
        const struct {
            const char *word;
            bool *to;
        } words[] = {{",native", &c->want_native}, {",generic", &c->want_generic}, {",copy", &c->want_copy},
                     {",zerocopy", &c->want_zero_copy}};
        size_t i = 0;

        len = 1 + strcspn(at + 1, ",");
        while (i < DUNE_ARRAY_LEN(words) && (strlen(words[i].word) != len || strncmp(words[i].word, at, len) != 0))
            i++;
        if (i == DUNE_ARRAY_LEN(words))
            return dune_diag_set(d, DUNE_E_USAGE, NULL, "an AF_XDP port is af_xdp:IFACE[,native|,generic][,copy|,zerocopy], not "
                                 "\"af_xdp:%s\"", what);
        *words[i].to = true;
    }
    if ((c->want_native && c->want_generic) || (c->want_copy && c->want_zero_copy))
        return dune_diag_set(d, DUNE_E_USAGE, NULL, "\"af_xdp:%s\" asks for two things that exclude each other", what);
    return 0;
}

static int xdp_open(struct dune_port **out, const char *what, const struct dune_port_opts *o, struct dune_diag *d)
{
    struct xdp_port *c = DUNE_NEW(struct xdp_port);
    int rc;

    c->base.ops = &dune_port_xdp;
    c->base.fd = c->promiscuous = -1;
    c->program = (struct xsk_program){-1, -1, -1, false};
    for (uint32_t i = 0; i < XSK_QUEUES; i++)
        c->queue[i].fd = -1;
    rc = parse(c, what, d);
    if (rc == 0)
        rc = set_up(c, o, d);
    if (rc)
        xdp_close(&c->base);
    else
        *out = &c->base;
    return rc;
}

static const char *not_in_kernel(void)
{
    int fd = socket(AF_XDP, SOCK_RAW | SOCK_CLOEXEC, 0);

    if (fd >= 0)
        close(fd);
    return fd < 0 && errno == EAFNOSUPPORT ? "the kernel has no AF_XDP (CONFIG_XDP_SOCKETS)" : NULL;
}

/* --- receiving --------------------------------------------------------------------------------------------- */

static uint64_t now_ns(clockid_t clock)
{
    struct timespec t;

    clock_gettime(clock, &t);
    return (uint64_t)t.tv_sec * 1000000000u + (uint64_t)t.tv_nsec;
}

static void take_back(struct xsk_queue *q, uint64_t chunk)
{
    *xsk_address(&q->fill, q->fill.mine++) = chunk;
    __atomic_store_n(q->fill.producer, q->fill.mine, __ATOMIC_RELEASE);
}

static void take_back_all(struct xdp_port *c)
{
    for (uint32_t i = 0; i < c->n_lent; i++)
        if (c->lent[i].q)
            take_back(c->lent[i].q, c->lent[i].chunk);
    c->n_lent = 0;
}

/* A step of the wall clock is followed, the noise of two readings is not: times of frames keep their order. */
static void read_clocks(struct xdp_port *c)
{
    int64_t offset = (int64_t)(now_ns(CLOCK_REALTIME) - now_ns(CLOCK_MONOTONIC));

    if (offset - c->clock_offset > 1000 || c->clock_offset - offset > 1000)
        c->clock_offset = offset;
}

/* When it arrived, as the program noted; as of now where it had no room to. The note is wiped out for the next frame. */
static uint64_t arrival(struct xdp_port *c, uint8_t *data, uint64_t addr)
{
    uint64_t at = 0;

    if (addr % c->chunk >= XSK_STAMP) {
        memcpy(&at, data - XSK_STAMP, XSK_STAMP);
        memset(data - XSK_STAMP, 0, XSK_STAMP);
    }
    return (uint64_t)c->clock_offset + (at ? at : now_ns(CLOCK_MONOTONIC));
}

/* The frame that starts with the next entry; the number of its entries, 0: not all there yet. */
static uint32_t n_entries(const struct xsk_queue *q, uint32_t there)
{
    for (uint32_t n = 1; n <= there; n++)
        if (!(xsk_desc(&q->rx, q->rx.mine + n - 1)->options & XDP_PKT_CONTD))
            return n;
    return 0;
}

static void lend(struct xdp_port *c, struct xsk_queue *q, struct dune_frame *f, uint32_t n)
{
    const struct xdp_desc *first = xsk_desc(&q->rx, q->rx.mine);
    uint8_t *data = q->memory + first->addr;
    struct dune_buf *b = &c->whole[c->n_lent];

    f->ts_ns = arrival(c, data, first->addr);
    f->tick = dune_tick(f->ts_ns);
    f->data = data;
    f->cap_len = first->len;
    c->lent[c->n_lent].q = n == 1 ? q : NULL;
    c->lent[c->n_lent].chunk = first->addr / c->chunk * c->chunk;
    if (n > 1) {
        b->len = 0;
        for (uint32_t i = 0; i < n; i++) {
            const struct xdp_desc *e = xsk_desc(&q->rx, q->rx.mine + i);

            dune_buf_append(b, q->memory + e->addr, e->len);
            take_back(q, e->addr / c->chunk * c->chunk);
        }
        f->data = (const uint8_t *)b->data;
        f->cap_len = (uint32_t)b->len;
    }
    f->wire_len = f->cap_len;
    q->rx.mine += n;
    c->n_lent++;
}

static unsigned receive(struct xdp_port *c, struct xsk_queue *q, struct dune_frame *f, unsigned room)
{
    uint32_t there = xsk_to_take(&q->rx), n;
    unsigned got = 0;

    while (got < room && there && (n = n_entries(q, there))) {
        lend(c, q, &f[got++], n);
        there -= n;
    }
    __atomic_store_n(q->rx.consumer, q->rx.mine, __ATOMIC_RELEASE);
    if (xsk_wants_call(&q->fill))
        recvfrom(q->fd, NULL, 0, MSG_DONTWAIT, NULL, NULL);
    return got;
}

static int check_gone(struct xdp_port *c, struct dune_diag *d)
{
    int e = 0;
    socklen_t len = sizeof(e);

    if (!c->gone && (getsockopt(c->queue[0].fd, SOL_SOCKET, SO_ERROR, &e, &len) != 0 || !e))
        return 0;
    if (!c->gone && if_nametoindex(c->ifname) == c->ifindex)
        return 0; /* it is only down */
    c->gone = true;
    return fail(c, ENODEV, d, "it is gone");
}

static void kick(struct xdp_port *c);

static int xdp_rx(struct dune_port *p, struct dune_frame *f, unsigned n, unsigned *got, struct dune_diag *d)
{
    struct xdp_port *c = (struct xdp_port *)p;

    take_back_all(c);
    kick(c);
    read_clocks(c);
    for (uint32_t i = 0; i < c->n_queues && *got < n; i++) {
        *got += receive(c, &c->queue[c->next_queue], f + *got, n - *got);
        c->next_queue = (c->next_queue + 1) % c->n_queues;
    }
    return *got ? 0 : check_gone(c, d);
}

/* --- sending -------------------------------------------------------------------------------------------------- */

static void collect_sent(struct xdp_port *c)
{
    struct xsk_ring *r = &c->queue[0].done;

    for (uint32_t n = xsk_to_take(r); n > 0; n--)
        c->free_tx[c->n_free_tx++] = *xsk_address(r, r->mine++);
    __atomic_store_n(r->consumer, r->mine, __ATOMIC_RELEASE);
}

/*
 * Makes the kernel send what waits in the ring, as much as it takes now: one call sends some dozens of frames. A call that
 * ends with EBUSY has dropped one frame, the last that it took.
 */
static void kick(struct xdp_port *c)
{
    const struct xsk_queue *q = &c->queue[0];

    for (int i = 0; i < KICKS && xsk_pending(&q->tx) && xsk_wants_call(&q->tx); i++) {
        uint32_t before = xsk_pending(&q->tx);
        bool dropped = sendto(q->fd, NULL, 0, MSG_DONTWAIT, NULL, 0) < 0 && errno == EBUSY;

        if (dropped && !c->zero_copy && xsk_pending(&q->tx) != before)
            c->base.stats.tx_lost++;
        else if (xsk_pending(&q->tx) == before)
            break;
    }
}

/* An interface takes frames of its MTU behind the Ethernet header, and with a VLAN tag. */
static bool fits(struct xdp_port *c, const struct dune_frame *f)
{
    uint32_t room = c->mtu + ETH_HLEN;

    if (f->cap_len < ETH_HLEN || f->cap_len > (c->several ? CHUNKS_A_FRAME : 1) * c->chunk)
        return false;
    if (f->cap_len > ETH_HLEN && ((f->data[12] == 0x81 && f->data[13] == 0) || (f->data[12] == 0x88 && f->data[13] == 0xa8)))
        room += TAG;
    return f->cap_len <= room;
}

static void put_in_ring(struct xdp_port *c, const struct dune_frame *f, uint32_t chunks)
{
    struct xsk_queue *q = &c->queue[0];

    for (uint32_t i = 0; i < chunks; i++) {
        uint64_t chunk = c->free_tx[--c->n_free_tx];
        uint32_t at = i * c->chunk, len = DUNE_MIN(c->chunk, f->cap_len - at);

        memcpy(q->memory + chunk, f->data + at, len);
        *xsk_desc(&q->tx, q->tx.mine++) = (struct xdp_desc){chunk, len, i + 1 < chunks ? XDP_PKT_CONTD : 0};
    }
    c->base.stats.tx_frames++;
    c->base.stats.tx_bytes += f->cap_len;
}

static int xdp_tx(struct dune_port *p, const struct dune_frame *f, unsigned n, unsigned *sent, struct dune_diag *d)
{
    struct xdp_port *c = (struct xdp_port *)p;
    struct xsk_ring *ring = &c->queue[0].tx;

    collect_sent(c);
    for (; *sent < n; ++*sent) {
        uint32_t chunks = (f[*sent].cap_len + c->chunk - 1) / c->chunk;

        if (!fits(c, &f[*sent]))
            read_mtu(c); /* it may have changed */
        if (!fits(c, &f[*sent])) {
            p->stats.tx_refused++;
            continue;
        }
        if (chunks > c->n_free_tx || chunks > xsk_to_put(ring))
            break;
        put_in_ring(c, &f[*sent], chunks);
    }
    __atomic_store_n(ring->producer, ring->mine, __ATOMIC_RELEASE);
    kick(c);
    p->stats.tx_full += n - *sent;
    return *sent == n ? 0 : check_gone(c, d);
}

static int xdp_finish(struct dune_port *p, struct dune_diag *d)
{
    struct xdp_port *c = (struct xdp_port *)p;
    const struct xsk_ring *ring = &c->queue[0].tx;

    (void)d;
    for (int i = 0; i < FLUSH_MS && xsk_pending(ring); i++) {
        kick(c);
        collect_sent(c);
        if (xsk_pending(ring))
            usleep(1000);
    }
    for (uint32_t left = xsk_pending(ring), i = 1; i <= left; i++) /* it went down, or away */
        p->stats.tx_lost += !(xsk_desc(ring, ring->mine - i)->options & XDP_PKT_CONTD);
    return 0;
}

static void xdp_stats(struct dune_port *p)
{
    struct xdp_port *c = (struct xdp_port *)p;
    struct xdp_statistics s;
    uint64_t lost = 0;

    read_mtu(c);
    for (uint32_t i = 0; i < c->n_queues; i++) {
        socklen_t len = sizeof(s);

        memset(&s, 0, sizeof(s));
        if (getsockopt(c->queue[i].fd, SOL_XDP, XDP_STATISTICS, &s, &len) == 0)
            lost += s.rx_dropped + s.rx_ring_full;
    }
    p->stats.rx_dropped = DUNE_MAX(p->stats.rx_dropped, lost); /* an interface that is gone has no counts any more */
}

const struct dune_port_ops dune_port_xdp = {
    .kind = "af_xdp", .available = not_in_kernel, .open = xdp_open, .rx = xdp_rx, .tx = xdp_tx, .stats = xdp_stats, .finish = xdp_finish,
    .close = xdp_close,
};
