/* SPDX-License-Identifier: Apache-2.0 */
/* Digests as frames at the CPU port: 58 bytes, digest_t of the program. */
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
