/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A network interface of Linux: AF_PACKET with a TPACKET_V3 receive ring, and a burst of frames per
 * system call to send.
 *
 * The kernel fills the ring block by block and hands over a block when it is full or block_ms have
 * passed. A block goes back when all its frames were lent and the caller asks for more; frames of one
 * burst never come from two blocks, so they all live until then.
 */
#include "io/io_int.h"

#include <arpa/inet.h>
#include <errno.h>
#include <linux/if_packet.h>
#include <linux/net_tstamp.h>
#include <linux/sockios.h>
#include <net/ethernet.h>
#include <net/if.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <unistd.h>

enum { BLOCK_BYTES = 1 << 18, RING_BYTES = 8 << 20, TAG = 4 };

struct packet_port {
    struct dune_port base;
    uint8_t *ring;
    size_t ring_bytes;
    unsigned n_blocks, block;       /* block: the one in hand, or the next to come */
    const struct tpacket3_hdr *next; /* in the block in hand; NULL: none left */
    uint32_t n_left;
    bool holding;                   /* the block belongs to us */
    char ifname[IFNAMSIZ];
};

static int fail(struct packet_port *c, struct dune_diag *d, const char *what)
{
    int e = errno;

    return dune_diag_set(d, DUNE_E_ENV, NULL, "interface %s: %s: %s%s", c->ifname, what, strerror(e),
                         e == EPERM || e == EACCES ? "; it takes root or CAP_NET_RAW" : "");
}

static int set_option(struct packet_port *c, int option, const void *v, socklen_t len, const char *what,
                      struct dune_diag *d)
{
    return setsockopt(c->base.fd, SOL_PACKET, option, v, len) ? fail(c, d, what) : 0;
}

static void packet_close(struct dune_port *p)
{
    struct packet_port *c = (struct packet_port *)p;

    if (c->ring)
        munmap(c->ring, c->ring_bytes);
    if (p->fd >= 0)
        close(p->fd);
    dune_mem_free(c);
}

/* Time stamps of the interface where it has them; the kernel's otherwise. */
static void ask_hw_time(struct packet_port *c)
{
    struct hwtstamp_config cfg = {.tx_type = HWTSTAMP_TX_OFF, .rx_filter = HWTSTAMP_FILTER_ALL};
    struct ifreq r = {0};
    int how = SOF_TIMESTAMPING_RAW_HARDWARE;

    memcpy(r.ifr_name, c->ifname, IFNAMSIZ);
    r.ifr_data = (char *)&cfg;
    if (ioctl(c->base.fd, SIOCSHWTSTAMP, &r) == 0)
        (void)!setsockopt(c->base.fd, SOL_PACKET, PACKET_TIMESTAMP, &how, sizeof(how));
}

static int make_ring(struct packet_port *c, const struct dune_port_opts *o, struct dune_diag *d)
{
    uint32_t bytes = o->ring_bytes ? o->ring_bytes : RING_BYTES;
    struct tpacket_req3 q = {.tp_block_size = BLOCK_BYTES, .tp_frame_size = 2048,
                             .tp_retire_blk_tov = o->block_ms ? o->block_ms : 1};
    int version = TPACKET_V3, reserve = TAG;
    int rc;

    q.tp_block_nr = DUNE_MAX(2, bytes / BLOCK_BYTES);
    q.tp_frame_nr = q.tp_block_nr * (q.tp_block_size / q.tp_frame_size);
    rc = set_option(c, PACKET_VERSION, &version, sizeof(version), "no TPACKET_V3", d);
    if (!rc)
        rc = set_option(c, PACKET_RESERVE, &reserve, sizeof(reserve), "no room for VLAN tags", d);
    if (!rc)
        rc = set_option(c, PACKET_RX_RING, &q, sizeof(q), "no receive ring", d);
    if (rc)
        return rc;
    c->n_blocks = q.tp_block_nr;
    c->ring_bytes = (size_t)q.tp_block_nr * q.tp_block_size;
    c->ring = mmap(NULL, c->ring_bytes, PROT_READ | PROT_WRITE, MAP_SHARED, c->base.fd, 0);
    if (c->ring == MAP_FAILED) {
        c->ring = NULL;
        return fail(c, d, "cannot map the receive ring");
    }
    return 0;
}

static int attach(struct packet_port *c, const struct dune_port_opts *o, struct dune_diag *d)
{
    struct sockaddr_ll a = {.sll_family = AF_PACKET, .sll_protocol = htons(ETH_P_ALL)};
    struct packet_mreq m = {.mr_type = PACKET_MR_PROMISC};
    int on = 1, rc;

    a.sll_ifindex = m.mr_ifindex = (int)if_nametoindex(c->ifname);
    if (!a.sll_ifindex)
        return fail(c, d, "cannot use it");
    /* What this host sends there by itself is not for us. */
    rc = set_option(c, PACKET_IGNORE_OUTGOING, &on, sizeof(on), "cannot ignore outgoing frames", d);
    if (!rc && o->promiscuous)
        rc = set_option(c, PACKET_ADD_MEMBERSHIP, &m, sizeof(m), "no promiscuous mode", d);
    if (!rc)
        rc = make_ring(c, o, d);
    if (rc)
        return rc;
    (void)!setsockopt(c->base.fd, SOL_PACKET, PACKET_QDISC_BYPASS, &on, sizeof(on)); /* only speed */
    if (o->hw_time)
        ask_hw_time(c);
    return bind(c->base.fd, (struct sockaddr *)&a, sizeof(a)) ? fail(c, d, "cannot attach to it") : 0;
}

static int packet_open(struct dune_port **out, const char *what, const struct dune_port_opts *o,
                       struct dune_diag *d)
{
    struct packet_port *c;
    int rc;

    if (!*what || strlen(what) >= IFNAMSIZ)
        return dune_diag_set(d, DUNE_E_USAGE, NULL, "\"%s\" is no name of an interface", what);
    c = DUNE_NEW(struct packet_port);
    c->base.ops = &dune_port_packet;
    snprintf(c->ifname, sizeof(c->ifname), "%s", what);
    c->base.fd = socket(AF_PACKET, SOCK_RAW | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    rc = c->base.fd < 0 ? fail(c, d, "no packet socket") : attach(c, o, d);
    if (rc)
        packet_close(&c->base);
    else
        *out = &c->base;
    return rc;
}

/* --- receiving ------------------------------------------------------------------------------------- */

static struct tpacket_block_desc *block_of(const struct packet_port *c)
{
    return (struct tpacket_block_desc *)(c->ring + (size_t)c->block * BLOCK_BYTES);
}

/* True when a block with frames is in hand. */
static bool next_block(struct packet_port *c)
{
    struct tpacket_block_desc *b = block_of(c);

    if (c->holding) {
        __atomic_store_n(&b->hdr.bh1.block_status, TP_STATUS_KERNEL, __ATOMIC_RELEASE);
        c->block = (c->block + 1) % c->n_blocks;
        b = block_of(c);
    }
    c->holding = __atomic_load_n(&b->hdr.bh1.block_status, __ATOMIC_ACQUIRE) & TP_STATUS_USER;
    c->n_left = c->holding ? b->hdr.bh1.num_pkts : 0;
    c->next = (const struct tpacket3_hdr *)((const uint8_t *)b + b->hdr.bh1.offset_to_first_pkt);
    return c->n_left;
}

/* The kernel takes the outermost tag out of the frame; it goes back to where it was, into the room
 * reserved in front. */
static void put_tag_back(const struct tpacket3_hdr *h, struct dune_frame *f)
{
    uint8_t *data = (uint8_t *)(uintptr_t)f->data - TAG;
    uint16_t tpid = h->tp_status & TP_STATUS_VLAN_TPID_VALID ? h->hv1.tp_vlan_tpid : ETH_P_8021Q;
    uint16_t tci = (uint16_t)h->hv1.tp_vlan_tci;

    memmove(data, data + TAG, 2 * ETH_ALEN);
    data[12] = (uint8_t)(tpid >> 8), data[13] = (uint8_t)tpid;
    data[14] = (uint8_t)(tci >> 8), data[15] = (uint8_t)tci;
    f->data = data;
    f->cap_len += TAG;
    f->wire_len += TAG;
}

static void lend(struct packet_port *c, struct dune_frame *f)
{
    const struct tpacket3_hdr *h = c->next;

    f->data = (const uint8_t *)h + h->tp_mac;
    f->cap_len = h->tp_snaplen;
    f->wire_len = h->tp_len;
    f->ts_ns = h->tp_sec * UINT64_C(1000000000) + h->tp_nsec;
    f->tick = dune_tick(f->ts_ns);
    if (h->tp_status & TP_STATUS_TS_RAW_HARDWARE)
        c->base.stats.hw_time = true;
    if (h->tp_status & TP_STATUS_VLAN_VALID && f->cap_len >= 2 * ETH_ALEN)
        put_tag_back(h, f);
    c->next = (const struct tpacket3_hdr *)((const uint8_t *)h + h->tp_next_offset);
    c->n_left--;
}

static int socket_error(struct packet_port *c, struct dune_diag *d)
{
    int e = 0;
    socklen_t len = sizeof(e);

    if (getsockopt(c->base.fd, SOL_SOCKET, SO_ERROR, &e, &len) != 0 || !e || e == ENOBUFS)
        return 0;
    if (e == ENETDOWN && if_nametoindex(c->ifname))
        return 0; /* it may come up again */
    errno = e;
    return fail(c, d, "it is gone");
}

static int packet_rx(struct dune_port *p, struct dune_frame *f, unsigned n, unsigned *got, struct dune_diag *d)
{
    struct packet_port *c = (struct packet_port *)p;

    while (!c->n_left) { /* a block can be empty */
        if (!next_block(c) && !c->holding)
            return socket_error(c, d);
    }
    while (*got < n && c->n_left)
        lend(c, &f[(*got)++]);
    return 0;
}

/* --- sending --------------------------------------------------------------------------------------- */

/* A frame that this interface never takes; anything else is a lack of room or the end of the port. */
static bool never_fits(int e)
{
    return e == EMSGSIZE || e == EINVAL;
}

static bool no_room_now(int e)
{
    return e == EAGAIN || e == EWOULDBLOCK || e == ENOBUFS || e == ENETDOWN || e == EINTR;
}

static int packet_tx(struct dune_port *p, const struct dune_frame *f, unsigned n, unsigned *sent,
                     struct dune_diag *d)
{
    struct packet_port *c = (struct packet_port *)p;
    struct mmsghdr m[DUNE_IO_BURST_MAX] = {0};
    struct iovec v[DUNE_IO_BURST_MAX];
    int k = 0;

    for (unsigned i = 0; i < n; i++) {
        v[i] = (struct iovec){(void *)(uintptr_t)f[i].data, f[i].cap_len};
        m[i].msg_hdr.msg_iov = &v[i];
        m[i].msg_hdr.msg_iovlen = 1;
    }
    while (*sent < n) {
        k = sendmmsg(p->fd, m + *sent, n - *sent, MSG_DONTWAIT);
        for (int i = 0; i < k; i++)
            p->stats.tx_bytes += f[*sent + (unsigned)i].cap_len;
        if (k > 0) {
            p->stats.tx_frames += (unsigned)k;
            *sent += (unsigned)k;
        } else if (never_fits(errno)) {
            p->stats.tx_refused++;
            ++*sent;
        } else
            break;
    }
    if (*sent < n && !no_room_now(errno))
        return fail(c, d, "cannot send");
    p->stats.tx_full += n - *sent;
    return 0;
}

static void packet_stats(struct dune_port *p)
{
    struct tpacket_stats_v3 s; /* reading sets the kernel's counts back to 0 */
    socklen_t len = sizeof(s);

    if (getsockopt(p->fd, SOL_PACKET, PACKET_STATISTICS, &s, &len) == 0)
        p->stats.rx_dropped += s.tp_drops;
}

const struct dune_port_ops dune_port_packet = {
    .kind = "af_packet", .open = packet_open, .rx = packet_rx, .tx = packet_tx, .stats = packet_stats,
    .close = packet_close,
};
