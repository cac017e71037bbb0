/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Ports: which interface is which, the program on them, and how they were before. Programs are attached by
 * netlink, so they stay when this process dies.
 */
#include "targets/xdp/xdp_skel.h"

#include <errno.h>
#include <linux/if_link.h>
#include <net/if.h>
#include <string.h>
#include <unistd.h>

struct xdp_attached {
    bool used, plain;
    char ifname[IF_NAMESIZE];
    uint32_t ifindex, out, place; /* place: in settings.port */
    int kind;
    enum dune_xdp_mode mode;
};

static uint32_t flags_of(enum dune_xdp_mode m)
{
    return m == DUNE_XDP_GENERIC ? XDP_FLAGS_SKB_MODE : XDP_FLAGS_DRV_MODE;
}

static int program_fd(const struct dune_xdp *x)
{
    if (x->opts.shim_only)
        return bpf_program__fd(x->skel->progs.dune_shim);
    return bpf_program__fd(x->opts.spread ? x->skel->progs.dune_spread : x->skel->progs.dune_device);
}

/* --- what is on an interface already ------------------------------------------------------------------------ */

struct present {
    int fd; /* -1: nothing */
    bool ours;
    enum dune_xdp_mode mode;
};

static bool is_ours(int fd)
{
    struct bpf_prog_info info = {0};
    uint32_t bytes = sizeof(info);

    return bpf_obj_get_info_by_fd(fd, &info, &bytes) == 0 && strncmp(info.name, "dune_", 5) == 0;
}

static int look(uint32_t ifindex, const char *ifname, struct present *p, struct dune_diag *d)
{
    LIBBPF_OPTS(bpf_xdp_query_opts, q);
    int rc = bpf_xdp_query((int)ifindex, 0, &q);

    *p = (struct present){.fd = -1, .mode = DUNE_XDP_NATIVE};
    if (rc)
        return dune_diag_set(d, DUNE_E_ENV, NULL, "interface %s: cannot ask for its XDP program: %s", ifname,
                             strerror(-rc));
    if (q.attach_mode == XDP_ATTACHED_NONE)
        return 0;
    if (q.attach_mode == XDP_ATTACHED_SKB)
        p->mode = DUNE_XDP_GENERIC;
    p->fd = bpf_prog_get_fd_by_id(q.prog_id ? q.prog_id : q.drv_prog_id ? q.drv_prog_id : q.skb_prog_id);
    if (p->fd < 0 && errno != ENOENT)
        return dune_diag_set(d, DUNE_E_ENV, NULL, "interface %s: cannot look at its XDP program: %s", ifname,
                             strerror(errno));
    p->ours = p->fd >= 0 && is_ours(p->fd);
    return 0;
}

/* --- attaching the program -------------------------------------------------------------------------------------- */

static int put_program(const struct xdp_attached *a, int fd, enum dune_xdp_mode mode, const struct present *old)
{
    LIBBPF_OPTS(bpf_xdp_attach_opts, o, .old_prog_fd = old->fd);

    if (old->fd < 0)
        return bpf_xdp_attach((int)a->ifindex, fd, flags_of(mode) | XDP_FLAGS_UPDATE_IF_NOEXIST, NULL);
    return bpf_xdp_attach((int)a->ifindex, fd, flags_of(mode) | XDP_FLAGS_REPLACE, &o);
}

/* A program of ours is replaced in the mode it runs in, unless another one is asked for. */
static int put_in_mode(struct xdp_attached *a, int fd, enum dune_xdp_mode want, struct present *old)
{
    int rc;

    if (old->fd >= 0 && want != DUNE_XDP_AUTO && want != old->mode) {
        bpf_xdp_detach((int)a->ifindex, flags_of(old->mode), NULL);
        close(old->fd);
        old->fd = -1;
    }
    a->mode = old->fd >= 0 ? old->mode : want == DUNE_XDP_GENERIC ? DUNE_XDP_GENERIC : DUNE_XDP_NATIVE;
    rc = put_program(a, fd, a->mode, old);
    if (rc && old->fd < 0 && want == DUNE_XDP_AUTO) {
        a->mode = DUNE_XDP_GENERIC;
        rc = put_program(a, fd, a->mode, old);
    }
    return rc;
}

static int attach_program(struct dune_xdp *x, struct xdp_attached *a, enum dune_xdp_mode want,
                          struct dune_diag *d)
{
    struct present old;
    int rc = look(a->ifindex, a->ifname, &old, d);

    if (rc)
        return rc;
    if (old.fd >= 0 && !old.ours) {
        close(old.fd);
        return dune_diag_set(d, DUNE_E_ENV, NULL, "interface %s has an XDP program of somebody else: ip link set "
                             "dev %s xdp off", a->ifname, a->ifname);
    }
    rc = put_in_mode(a, program_fd(x), want, &old);
    if (rc == 0 && old.fd >= 0)
        dune_xdp_note_replaced(x, old.fd);
    if (old.fd >= 0)
        close(old.fd);
    if (rc == 0)
        return 0;
    return dune_diag_set(d, DUNE_E_ENV, NULL, "interface %s does not take the XDP program in %s mode: %s", a->ifname,
                         dune_xdp_mode_name(a->mode), strerror(-rc));
}

/* --- what the program knows about ports ------------------------------------------------------------------------- */

static int find_place(const struct dune_xdp *x, uint32_t ifindex, uint32_t *place)
{
    for (uint32_t i = 0; i < XDP_PORT_PROBES; i++) {
        *place = (ifindex & (XDP_PORT_HASH - 1)) + i;
        if (x->settings->port[*place].ifindex == 0)
            return 0;
    }
    return -1;
}

/* The index is written last: before, the entry is nobody's. */
static void publish_port(struct dune_xdp *x, const struct xdp_attached *a)
{
    struct xdp_port *p = &x->settings->port[a->place];
    bool to_host = a->out == DUNE_XDP_TO_HOST;
    const struct xdp_attached *out = to_host || a->out >= XDP_MAX_PORTS ? NULL : &x->port[a->out];

    p->in_kind = (uint8_t)a->kind;
    p->out_kind = (uint8_t)(x->opts.keep_shim ? DUNE_PORT_CHAIN : out && out->used ? out->kind : DUNE_PORT_EDGE);
    p->to_host = to_host;
    p->plain = a->plain;
    p->out = to_host ? 0 : a->out;
    __atomic_store_n(&p->ifindex, a->ifindex, __ATOMIC_SEQ_CST);
}

static int out_entry(struct dune_xdp *x, uint32_t number, uint32_t ifindex)
{
    struct bpf_devmap_val v = {.ifindex = ifindex};
    int fd = bpf_map__fd(x->skel->maps.out_ports);

    if (ifindex == 0)
        return bpf_map_delete_elem(fd, &number);
    return bpf_map_update_elem(fd, &number, &v, BPF_ANY);
}

/* Packets of a mirrored class go to their port and to the mirror's: a map of two for every such pair. */
static void put_pair(struct dune_xdp *x, uint32_t at, uint32_t out, uint32_t mirror)
{
    struct bpf_map *m[XDP_MIRRORS] = {x->skel->maps.mirror0, x->skel->maps.mirror1, x->skel->maps.mirror2,
                                      x->skel->maps.mirror3};
    uint32_t key[2] = {0, 1};

    for (int i = 0; i < 2; i++) {
        struct bpf_devmap_val v = {.ifindex = x->port[i ? mirror : out].ifindex};

        if (bpf_map_update_elem(bpf_map__fd(m[at]), &key[i], &v, BPF_ANY))
            return;
    }
    __atomic_store_n(&x->settings->mirror_pair[at], out << 16 | mirror, __ATOMIC_SEQ_CST);
}

static bool mirrors_to(const struct dune_xdp *x, uint32_t number)
{
    for (int g = 0; g < XDP_GENS; g++)
        if (x->gen[g].held && x->gen[g].mirrors >> number & 1)
            return true;
    return false;
}

/* Pairs beyond the fourth are forwarded only, and counted. */
void dune_xdp_refresh_mirrors(struct dune_xdp *x)
{
    uint64_t done = 0;
    uint32_t at = 0;

    for (int i = 0; i < XDP_MIRRORS; i++)
        __atomic_store_n(&x->settings->mirror_pair[i], UINT32_MAX, __ATOMIC_SEQ_CST);
    for (uint32_t p = 0; x->port && p < XDP_MAX_PORTS; p++) {
        uint32_t out = x->port[p].out;

        if (!x->port[p].used || x->port[p].plain || out >= XDP_MAX_PORTS || !x->port[out].used || done >> out & 1)
            continue;
        done |= 1ull << out;
        for (uint32_t m = 0; m < XDP_MAX_PORTS && at < XDP_MIRRORS; m++)
            if (m != out && x->port[m].used && mirrors_to(x, m))
                put_pair(x, at++, out, m);
    }
}

static void refresh(struct dune_xdp *x)
{
    for (uint32_t i = 0; i < XDP_MAX_PORTS; i++)
        if (x->port[i].used)
            publish_port(x, &x->port[i]);
    dune_xdp_refresh_mirrors(x);
}

/* --- the interface --------------------------------------------------------------------------------------------------- */

static int check(const struct dune_xdp *x, const struct dune_xdp_port *p, struct xdp_attached *a, struct dune_diag *d)
{
    if (p->number >= XDP_MAX_PORTS || (p->out != DUNE_XDP_TO_HOST && p->out >= XDP_MAX_PORTS))
        return dune_diag_set(d, DUNE_E_USAGE, NULL, "port numbers go from 0 to %d", XDP_MAX_PORTS - 1);
    if (x->port[p->number].used)
        return dune_diag_set(d, DUNE_E_USAGE, NULL, "port %u is in use", p->number);
    *a = (struct xdp_attached){.used = true, .plain = p->plain, .out = p->out, .kind = p->kind};
    a->ifindex = if_nametoindex(p->ifname);
    if (!a->ifindex)
        return dune_diag_set(d, DUNE_E_ENV, NULL, "there is no interface %s", p->ifname);
    snprintf(a->ifname, sizeof(a->ifname), "%s", p->ifname);
    for (uint32_t i = 0; i < XDP_MAX_PORTS; i++)
        if (x->port[i].used && x->port[i].ifindex == a->ifindex)
            return dune_diag_set(d, DUNE_E_USAGE, NULL, "interface %s is port %u already", p->ifname, i);
    if (find_place(x, a->ifindex, &a->place))
        return dune_diag_set(d, DUNE_E_ENV, NULL, "no place for interface %s: its index is too close to others",
                             p->ifname);
    return 0;
}

int dune_xdp_attach(struct dune_xdp *x, const struct dune_xdp_port *p, struct dune_diag *d)
{
    struct xdp_attached a;
    int rc;

    if (!x->port)
        x->port = DUNE_NEW_N(struct xdp_attached, XDP_MAX_PORTS);
    rc = check(x, p, &a, d);
    if (rc)
        return rc;
    if (out_entry(x, p->number, a.ifindex))
        return dune_diag_set(d, DUNE_E_ENV, NULL, "interface %s cannot be a port: %s", p->ifname, strerror(errno));
    x->port[p->number] = a;
    refresh(x); /* before the program: its first packet finds the port */
    rc = attach_program(x, &x->port[p->number], p->mode, d);
    if (rc) {
        x->settings->port[a.place].ifindex = 0;
        x->port[p->number].used = false;
        out_entry(x, p->number, 0);
        refresh(x);
    }
    return rc;
}

bool dune_xdp_port_name(const struct dune_xdp *x, uint32_t number, char name[IF_NAMESIZE])
{
    if (!x->port || !x->port[number].used)
        return false;
    memcpy(name, x->port[number].ifname, IF_NAMESIZE);
    return true;
}

enum dune_xdp_mode dune_xdp_port_mode(const struct dune_xdp *x, uint32_t number)
{
    return x->port && number < XDP_MAX_PORTS && x->port[number].used ? x->port[number].mode : DUNE_XDP_AUTO;
}

/* Takes the program off, if it is still ours. */
static int take_off(const struct dune_xdp *x, const struct xdp_attached *a)
{
    LIBBPF_OPTS(bpf_xdp_attach_opts, o, .old_prog_fd = program_fd(x));

    return bpf_xdp_detach((int)a->ifindex, flags_of(a->mode), &o);
}

int dune_xdp_detach(struct dune_xdp *x, uint32_t number, struct dune_diag *d)
{
    struct xdp_attached *a = x->port && number < XDP_MAX_PORTS ? &x->port[number] : NULL;
    int rc;

    if (!a || !a->used)
        return dune_diag_set(d, DUNE_E_USAGE, NULL, "port %u is not attached", number);
    rc = take_off(x, a);
    x->settings->port[a->place].ifindex = 0;
    a->used = false;
    out_entry(x, number, 0);
    refresh(x);
    if (rc && rc != -ENODEV && rc != -EEXIST)
        return dune_diag_set(d, DUNE_E_ENV, NULL, "interface %s: cannot remove the XDP program: %s", a->ifname,
                             strerror(-rc));
    return 0;
}

static void leave_strip(struct dune_xdp *x, const struct xdp_attached *a)
{
    LIBBPF_OPTS(bpf_xdp_attach_opts, o, .old_prog_fd = program_fd(x));
    int fd = bpf_program__fd(x->skel->progs.dune_strip);

    if (bpf_xdp_attach((int)a->ifindex, fd, flags_of(a->mode) | XDP_FLAGS_REPLACE, &o))
        take_off(x, a);
}

void dune_xdp_end_ports(struct dune_xdp *x, enum dune_xdp_end end)
{
    for (uint32_t i = 0; x->port && i < XDP_MAX_PORTS; i++) {
        if (!x->port[i].used)
            continue;
        if (end == DUNE_XDP_STRIP)
            leave_strip(x, &x->port[i]);
        else
            take_off(x, &x->port[i]);
    }
    dune_mem_free(x->port);
    x->port = NULL;
}

int dune_xdp_clean(const char *ifname, struct dune_diag *d)
{
    uint32_t ifindex = if_nametoindex(ifname);
    struct present old;
    int rc;

    if (!ifindex)
        return dune_diag_set(d, DUNE_E_ENV, NULL, "there is no interface %s", ifname);
    rc = look(ifindex, ifname, &old, d);
    if (rc || old.fd < 0)
        return rc;
    rc = old.ours ? bpf_xdp_detach((int)ifindex, flags_of(old.mode), NULL) : 0;
    close(old.fd);
    if (rc)
        return dune_diag_set(d, DUNE_E_ENV, NULL, "interface %s: cannot remove the XDP program: %s", ifname,
                             strerror(-rc));
    return 0;
}

/* --- spreading --------------------------------------------------------------------------------------------------------- */

int dune_xdp_set_cpus(struct dune_xdp *x, struct dune_diag *d)
{
    struct bpf_cpumap_val v = {.qsize = 2048, .bpf_prog.fd = bpf_program__fd(x->skel->progs.dune_on_cpu)};

    for (uint32_t i = 0; i < x->opts.spread; i++)
        if (bpf_map_update_elem(bpf_map__fd(x->skel->maps.cpus), &i, &v, BPF_ANY))
            return dune_diag_set(d, DUNE_E_ENV, NULL, "CPU %u does not take packets: %s", i, strerror(errno));
    x->settings->n_cpus = x->opts.spread;
    return 0;
}
