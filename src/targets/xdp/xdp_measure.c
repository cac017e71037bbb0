/* SPDX-License-Identifier: Apache-2.0 */
/* What a packet costs inside the kernel: the benchmark's side of the program. */
#include "targets/xdp/xdp_skel.h"

#include <errno.h>
#include <linux/if_link.h>
#include <net/if.h>
#include <string.h>

enum { FRAME = 64, LO = 1 };

static int put_frames(struct dune_xdp *x, const struct dune_chain_packet *pkt, uint32_t n, struct dune_diag *d)
{
    int fd = bpf_map__fd(x->skel->maps.bench_frames);
    uint8_t frame[FRAME];

    for (uint32_t i = 0; i < n; i++) {
        memset(frame, 0, sizeof(frame));
        memcpy(frame, pkt[i].data, DUNE_MIN(pkt[i].cap_len, (uint32_t)FRAME));
        if (bpf_map_update_elem(fd, &i, frame, BPF_ANY))
            return dune_diag_set(d, DUNE_E_ENV, NULL, "cannot write frame %u: %s", i, strerror(errno));
    }
    return 0;
}

int dune_xdp_bench_open(struct dune_xdp **out, const struct dune_plan *p, const struct dune_xdp_opts *o,
                        const struct dune_chain_packet *pkt, uint32_t n, struct dune_diag *d)
{
    struct dune_xdp *x = NULL;
    int rc = dune_xdp_open_as(&x, o, false, n, d);

    if (rc == 0)
        rc = dune_xdp_hold(x, p, 0, d);
    if (rc == 0)
        rc = put_frames(x, pkt, n, d);
    if (rc) {
        dune_xdp_close(x, DUNE_XDP_DETACH);
        return rc;
    }
    /* Test runs come in by the loopback interface. */
    x->settings->port[LO] = (struct xdp_port){.ifindex = LO, .in_kind = XDP_EDGE, .out_kind = XDP_EDGE};
    *out = x;
    return 0;
}

int dune_xdp_source_open(struct dune_xdp **out, const char *ifname, const char *sink, const struct dune_chain_packet *pkt,
                         uint32_t n, struct dune_diag *d)
{
    const struct dune_xdp_opts o = {.shim_only = true, .state_bytes = 1};
    struct bpf_devmap_val to = {.ifindex = if_nametoindex(ifname)};
    uint32_t zero = 0;
    struct dune_xdp *x = NULL;
    int rc = dune_xdp_open_as(&x, &o, false, n, d);

    if (rc == 0)
        rc = put_frames(x, pkt, n, d);
    if (rc == 0 && bpf_map_update_elem(bpf_map__fd(x->skel->maps.out_ports), &zero, &to, BPF_ANY))
        rc = dune_diag_set(d, DUNE_E_ENV, NULL, "interface %s takes no frames: %s", ifname, strerror(errno));
    if (rc == 0 && bpf_xdp_attach((int)if_nametoindex(sink), bpf_program__fd(x->skel->progs.dune_empty), XDP_FLAGS_DRV_MODE,
                                  NULL))
        rc = dune_diag_set(d, DUNE_E_ENV, NULL, "interface %s takes no XDP program: %s", sink, strerror(errno));
    if (rc) {
        dune_xdp_close(x, DUNE_XDP_DETACH);
        return rc;
    }
    *out = x;
    return 0;
}

int dune_xdp_source_send(struct dune_xdp *x, uint32_t n, struct dune_diag *d)
{
    uint8_t frame[FRAME] = {0};
    LIBBPF_OPTS(bpf_test_run_opts, o, .data_in = frame, .data_size_in = sizeof(frame), .repeat = (int)n,
                .flags = BPF_F_TEST_XDP_LIVE_FRAMES, .batch_size = 64);

    if (bpf_prog_test_run_opts(bpf_program__fd(x->skel->progs.dune_source), &o))
        return dune_diag_set(d, DUNE_E_ENV, NULL, "cannot send from the kernel: %s (Linux 5.18 or later can)",
                             strerror(errno));
    return 0;
}

static int program_of(const struct dune_xdp *x, enum dune_xdp_bench_program what)
{
    const struct bpf_program *p = what == DUNE_XDP_EMPTY  ? x->skel->progs.dune_empty
                                  : what == DUNE_XDP_FEED ? x->skel->progs.dune_feed
                                  : what == DUNE_XDP_FED  ? x->skel->progs.dune_bench
                                                          : x->skel->progs.dune_device;

    return bpf_program__fd(p);
}

int dune_xdp_bench_run(struct dune_xdp *x, enum dune_xdp_bench_program what, uint32_t repeat, double *ns,
                       struct dune_diag *d)
{
    uint32_t zero = 0;
    uint8_t frame[FRAME];
    LIBBPF_OPTS(bpf_test_run_opts, o, .data_in = frame, .data_size_in = sizeof(frame), .repeat = (int)repeat);
    int rc = bpf_map_lookup_elem(bpf_map__fd(x->skel->maps.bench_frames), &zero, frame);

    dune_xdp_clear(x);
    x->skel->bss->bench_at = 0;
    if (rc == 0)
        rc = bpf_prog_test_run_opts(program_of(x, what), &o);
    if (rc)
        return dune_diag_set(d, DUNE_E_ENV, NULL, "cannot run the XDP program: %s", strerror(errno));
    *ns = o.duration;
    ring_buffer__consume(x->ring);
    return 0;
}
