/* SPDX-License-Identifier: Apache-2.0 */
/* Interfaces that carry shims: room for 8 bytes more, and nothing that merges or splits frames. */
#include "live/live_int.h"

#include <errno.h>
#include <linux/ethtool.h>
#include <linux/sockios.h>
#include <net/if.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <unistd.h>

static const struct {
    const char *name; /* as ethtool -K says it */
    uint32_t get, set;
    bool flag; /* LRO is a bit of the flags */
} offload[DUNE_IFACE_OFFLOADS] = {
    {"tso", ETHTOOL_GTSO, ETHTOOL_STSO, false}, {"gso", ETHTOOL_GGSO, ETHTOOL_SGSO, false},
    {"gro", ETHTOOL_GGRO, ETHTOOL_SGRO, false}, {"lro", ETHTOOL_GFLAGS, ETHTOOL_SFLAGS, true},
    {"rx", ETHTOOL_GRXCSUM, ETHTOOL_SRXCSUM, false}, {"tx", ETHTOOL_GTXCSUM, ETHTOOL_STXCSUM, false},
};

static void set_name(struct ifreq *r, const char *name)
{
    memset(r, 0, sizeof(*r));
    snprintf(r->ifr_name, sizeof(r->ifr_name), "%s", name);
}

static bool ethtool(int fd, const char *name, uint32_t cmd, uint32_t *v)
{
    struct ethtool_value e = {.cmd = cmd, .data = *v};
    struct ifreq r;
    bool ok;

    set_name(&r, name);
    r.ifr_data = (char *)&e;
    ok = ioctl(fd, SIOCETHTOOL, &r) == 0;
    *v = e.data;
    return ok;
}

/* -1: the driver does not know it. */
static int read_offload(int fd, const char *name, unsigned i, uint32_t *raw)
{
    *raw = 0;
    if (!ethtool(fd, name, offload[i].get, raw))
        return -1;
    return offload[i].flag ? (*raw & ETH_FLAG_LRO) != 0 : *raw != 0;
}

static bool write_offload(int fd, const char *name, unsigned i, bool on)
{
    uint32_t v = on;

    if (offload[i].flag) {
        if (!ethtool(fd, name, offload[i].get, &v))
            return false;
        v = on ? v | ETH_FLAG_LRO : v & ~(uint32_t)ETH_FLAG_LRO;
    }
    return ethtool(fd, name, offload[i].set, &v);
}

static int no_interface(const char *name, struct dune_diag *d)
{
    return dune_diag_set(d, DUNE_E_ENV, NULL, "interface %s: %s", name, strerror(errno));
}

int dune_iface_mtu(const char *name, uint32_t *mtu, struct dune_diag *d)
{
    int fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0), rc = 0;
    struct ifreq r;

    set_name(&r, name);
    if (fd < 0 || ioctl(fd, SIOCGIFMTU, &r))
        rc = no_interface(name, d);
    else
        *mtu = (uint32_t)r.ifr_mtu;
    if (fd >= 0)
        close(fd);
    return rc;
}

static int check_mtu(int fd, const char *name, uint32_t mtu, bool fix, struct dune_iface *saved, struct dune_diag *d)
{
    struct ifreq r;

    set_name(&r, name);
    if (ioctl(fd, SIOCGIFMTU, &r))
        return no_interface(name, d);
    if ((uint32_t)r.ifr_mtu >= mtu)
        return 0;
    saved->mtu = (uint32_t)r.ifr_mtu;
    r.ifr_mtu = (int)mtu;
    if (fix && ioctl(fd, SIOCSIFMTU, &r) == 0)
        return 0;
    mtu = saved->mtu;
    saved->mtu = 0;
    if (fix)
        return dune_diag_set(d, DUNE_E_ENV, NULL, "interface %s has MTU %u, and the %d that frames with a shim need cannot be "
                             "set: %s", name, mtu, r.ifr_mtu, strerror(errno));
    return dune_diag_set(d, DUNE_E_ENV, NULL, "interface %s has MTU %u, frames with a shim need %d: "
                         "ip link set %s mtu %d, or --fix", name, mtu, r.ifr_mtu, name, r.ifr_mtu);
}

int dune_iface_check(const char *name, uint32_t mtu, bool fix, struct dune_iface *saved, struct dune_diag *d)
{
    int fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0), rc;
    uint32_t raw;

    memset(saved, 0, sizeof(*saved));
    snprintf(saved->name, sizeof(saved->name), "%s", name);
    for (unsigned i = 0; i < DUNE_IFACE_OFFLOADS; i++)
        saved->offload[i] = -1;
    if (fd < 0)
        return no_interface(name, d);
    rc = check_mtu(fd, name, mtu, fix, saved, d);
    for (unsigned i = 0; rc == 0 && i < DUNE_IFACE_OFFLOADS; i++) {
        if (read_offload(fd, name, i, &raw) <= 0)
            continue;
        if (fix && write_offload(fd, name, i, false) && read_offload(fd, name, i, &raw) == 0)
            saved->offload[i] = 1;
        else if (i < 4) /* checksums: what the card checks is right with and without shim */
            rc = dune_diag_set(d, DUNE_E_ENV, NULL, "interface %s has %s on, which merges or splits frames%s: "
                               "ethtool -K %s %s off%s", name, offload[i].name, fix ? ", and does not let it go" : "", name,
                               offload[i].name, fix ? "" : ", or --fix");
    }
    close(fd);
    if (rc)
        dune_iface_restore(saved);
    return rc;
}

void dune_iface_restore(const struct dune_iface *saved)
{
    int fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
    struct ifreq r;

    if (fd < 0)
        return;
    for (unsigned i = 0; i < DUNE_IFACE_OFFLOADS; i++)
        if (saved->offload[i] == 1)
            write_offload(fd, saved->name, i, true);
    if (saved->mtu) {
        set_name(&r, saved->name);
        r.ifr_mtu = (int)saved->mtu;
        ioctl(fd, SIOCSIFMTU, &r);
    }
    close(fd);
}

int dune_live_napi_on(const char *name, struct dune_diag *d)
{
    int fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
    bool ok = fd >= 0 && write_offload(fd, name, 2, true);

    if (fd >= 0)
        close(fd);
    return ok ? 0 : dune_diag_set(d, DUNE_E_ENV, NULL, "interface %s: gro cannot be set: %s", name, strerror(errno));
}
