/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Counters that outlive the process. A program whose process was killed stays on its interfaces and counts on; the program that
 * replaces it there goes on from its numbers, so that over all lives of a device in = out + what was dropped.
 */
#include "io/net_dev.h"
#include "targets/xdp/xdp_skel.h"

#include <string.h>
#include <unistd.h>

enum { MAPS_MAX = 64 };

/* The descriptor of a map of this name and size, -1: not among those. */
static int find_map(const uint32_t *id, uint32_t n, const char *name, uint32_t bytes, uint32_t *found)
{
    for (uint32_t i = 0; i < n; i++) {
        struct bpf_map_info info = {0};
        uint32_t len = sizeof(info);
        int fd = bpf_map_get_fd_by_id(id[i]);

        if (fd < 0)
            continue;
        if (bpf_obj_get_info_by_fd(fd, &info, &len) == 0 && strcmp(info.name, name) == 0 && info.value_size == bytes) {
            *found = id[i];
            return fd;
        }
        close(fd);
    }
    return -1;
}

void dune_xdp_forget_replaced(struct dune_xdp *x)
{
    if (!x->old.counts_id)
        return;
    close(x->old.counts);
    close(x->old.settings);
    x->old = (struct xdp_replaced){0};
}

void dune_xdp_note_replaced(struct dune_xdp *x, int prog_fd)
{
    uint32_t id[MAPS_MAX], len = sizeof(struct bpf_prog_info), counts_id, ignored;
    struct bpf_prog_info info = {.nr_map_ids = MAPS_MAX, .map_ids = (uint64_t)(uintptr_t)id};
    struct xdp_replaced r;

    if (bpf_obj_get_info_by_fd(prog_fd, &info, &len))
        return;
    info.nr_map_ids = DUNE_MIN(info.nr_map_ids, (uint32_t)MAPS_MAX);
    r.counts = find_map(id, info.nr_map_ids, "counts", sizeof(struct xdp_counts), &counts_id);
    r.settings = find_map(id, info.nr_map_ids, XDP_SETTINGS_MAP, sizeof(struct xdp_settings), &ignored);
    if (r.counts >= 0 && r.settings >= 0 && counts_id != x->old.counts_id) {
        dune_xdp_forget_replaced(x);
        r.counts_id = counts_id;
        x->old = r;
        return;
    }
    if (r.counts >= 0)
        close(r.counts);
    if (r.settings >= 0)
        close(r.settings);
}

/* --- what ports out refused ------------------------------------------------------------------------------------------ */

static uint64_t refused_ever(const struct dune_xdp *x)
{
    char name[IF_NAMESIZE];
    uint64_t sum = 0;

    for (uint32_t i = 0; i < XDP_MAX_PORTS; i++)
        if (dune_xdp_port_name(x, i, name))
            sum += dune_net_dev(name, DUNE_NET_DEV_TX_DROPPED);
    return sum;
}

uint64_t dune_xdp_refused(const struct dune_xdp *x)
{
    return refused_ever(x) - x->settings->refused_before;
}

void dune_xdp_carry_counts(struct dune_xdp *x)
{
    struct xdp_settings *old = NULL;
    uint32_t zero = 0;

    x->settings->refused_before = refused_ever(x);
    if (!x->old.counts_id)
        return;
    dune_xdp_wait_for_packets(x); /* the last of the old program */
    old = DUNE_NEW(struct xdp_settings);
    if (bpf_map_lookup_elem(x->old.settings, &zero, old) == 0 && dune_xdp_add_counts(x->old.counts, &old->carried)) {
        x->settings->carried = old->carried;
        x->settings->refused_before = old->refused_before;
    }
    dune_mem_free(old);
    dune_xdp_forget_replaced(x);
}
