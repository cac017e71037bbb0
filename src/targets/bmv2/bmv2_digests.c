/* SPDX-License-Identifier: Apache-2.0 */
/* Frames at the CPU port: digests come out, 58 bytes, digest_t of the program; packets that release slots go in. */
#include "targets/bmv2/bmv2_int.h"

#include <arpa/inet.h>
#include <errno.h>
#include <net/if.h>
#include <netpacket/packet.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

enum { MAGIC = 0x44554E45, ETH_ALL = 3 };

static uint64_t number(const uint8_t *p, unsigned n)
{
    uint64_t v = 0;

    while (n--)
        v = v << 8 | *p++;
    return v;
}

bool dune_bmv2_digest_parse(const uint8_t *f, size_t len, struct dune_digest *dg)
{
    bool ipv6 = len > 20 && f[20] == 6;
    uint8_t *key = dg->key.bytes;
    unsigned n = ipv6 ? 16 : 4;

    if (len < DUNE_BMV2_DIGEST_BYTES || number(f, 4) != MAGIC || (f[20] != 4 && f[20] != 6))
        return false;
    memset(dg, 0, sizeof(*dg));
    dg->device = (uint16_t)number(f + 4, 2);
    dg->generation = (uint16_t)number(f + 6, 2);
    dg->tick = number(f + 8, 8);
    dg->cls = f[16];
    dg->flags = f[17] & (DUNE_SHIM_TENTATIVE | DUNE_SHIM_FL);
    dg->submodel = f[18];
    dg->conf = f[19];
    memcpy(key, f + 26 + 16 - n, n);
    memcpy(key + n, f + 42 + 16 - n, n);
    memcpy(key + 2 * n, f + 22, 4);
    key[2 * n + 4] = f[21];
    dg->key.len = (uint8_t)(2 * n + 5);
    return true;
}

int bmv2_digests_open(const char *ifname, int *out, struct dune_diag *d)
{
    struct sockaddr_ll a = {.sll_family = AF_PACKET, .sll_protocol = htons(ETH_ALL)};
    int fd = socket(AF_PACKET, SOCK_RAW | SOCK_NONBLOCK | SOCK_CLOEXEC, htons(ETH_ALL)), size = 16 << 20;

    a.sll_ifindex = (int)if_nametoindex(ifname);
    if (a.sll_ifindex && fd >= 0 && bind(fd, (struct sockaddr *)&a, sizeof(a)) == 0) {
        setsockopt(fd, SOL_SOCKET, SO_RCVBUFFORCE, &size, sizeof(size));
        *out = fd;
        return 0;
    }
    if (fd >= 0)
        close(fd);
    return dune_diag_set(d, DUNE_E_ENV, ifname, "cannot listen for digests: %s", strerror(errno));
}

unsigned dune_bmv2_digests(struct dune_bmv2 *sw, dune_digest_fn fn, void *ctx)
{
    struct dune_digest dg;
    uint8_t frame[256];
    unsigned n = 0;

    for (;;) {
        struct sockaddr_ll from;
        socklen_t from_len = sizeof(from);
        ssize_t len = sw->digest_fd < 0 ? -1 : recvfrom(sw->digest_fd, frame, sizeof(frame), 0,
                                                        (struct sockaddr *)&from, &from_len);

        if (len < 0 && errno == EINTR)
            continue;
        if (len < 0)
            return n;
        if (from.sll_pkttype == PACKET_OUTGOING || !dune_bmv2_digest_parse(frame, (size_t)len, &dg))
            continue;
        fn(ctx, &dg);
        n++;
    }
}

int dune_bmv2_digest_fd(const struct dune_bmv2 *sw)
{
    return sw->digest_fd;
}

/* --- releasing slots ---------------------------------------------------------------------------------------- */

static void put(uint8_t *p, uint64_t v, unsigned n)
{
    while (n--) {
        p[n] = (uint8_t)v;
        v >>= 8;
    }
}

/* A packet of the flow with nothing in it, behind a shim that names the generation. Returns its length, 0: the flow is not
 * TCP or UDP, which has no slot. */
static size_t release_frame(uint8_t f[128], const struct dune_bmv2 *sw, uint16_t generation, const struct dune_flow_key *key)
{
    unsigned n = key->len == 13 ? 4 : 16, l3 = key->len == 13 ? 20 : 40;
    uint8_t proto = key->bytes[2 * n + 4], *p = f + (sw->test_clock ? 8 : 0), *l4;
    unsigned l4_len = proto == 6 ? 20 : 8;

    if (proto != 6 && proto != 17)
        return 0;
    memset(f, 0, 128);
    put(p + 12, sw->shim_ethertype, 2);
    dune_shim_put(p + 14, &(struct dune_shim){.version = DUNE_SHIM_VERSION, .generation = generation, .ethertype = n == 4 ? 0x0800 : 0x86DD});
    p += 14 + DUNE_SHIM_BYTES;
    p[0] = n == 4 ? 0x45 : 0x60;
    put(p + (n == 4 ? 2 : 4), n == 4 ? l3 + l4_len : l4_len, 2);
    p[n == 4 ? 9 : 6] = proto;
    memcpy(p + (n == 4 ? 12 : 8), key->bytes, 2 * n);
    l4 = p + l3;
    memcpy(l4, key->bytes + 2 * n, 4);
    if (proto == 6)
        l4[12] = 5 << 4;
    else
        put(l4 + 4, l4_len, 2);
    return (size_t)(l4 + l4_len - f);
}

int bmv2_release_send(struct dune_bmv2 *sw, uint16_t generation, const struct dune_flow_key *key, struct dune_diag *d)
{
    uint8_t frame[128];
    size_t len = release_frame(frame, sw, generation, key);

    if (len == 0 || send(sw->digest_fd, frame, len, MSG_DONTWAIT) == (ssize_t)len || errno == EAGAIN || errno == ENOBUFS)
        return 0;
    return dune_diag_set(d, DUNE_E_ENV, NULL, "cannot send to the CPU port of the switch: %s", strerror(errno));
}
