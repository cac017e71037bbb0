/* SPDX-License-Identifier: Apache-2.0 */
/* Loading the program, mapping its maps, test runs, the end. */
#include "targets/xdp/xdp_skel.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

enum { RING_DEFAULT = 1 << 20, ARENA_DEFAULT = 32 << 20, ARENA_LEAST = 64 << 10, TRACE_DEFAULT = 16 << 20 };

static int no_message(enum libbpf_print_level level, const char *fmt, va_list args)
{
    (void)level;
    (void)fmt;
    (void)args;
    return 0;
}

/* --- is BPF to be had? -------------------------------------------------------------------------------------- */

static const char *explain(int err)
{
    switch (err) {
    case EPERM:
    case EACCES:
        return "loading BPF programs is not allowed here: it takes root or CAP_BPF and CAP_NET_ADMIN";
    case ENOSYS:
        return "this kernel has no BPF";
    default:
        return "this kernel does not load an XDP program for multi-buffer frames (Linux 5.18 or later does)";
    }
}

const char *dune_xdp_available(void)
{
    static const struct bpf_insn pass[] = {
        {.code = BPF_ALU64 | BPF_MOV | BPF_K, .dst_reg = BPF_REG_0, .imm = XDP_PASS},
        {.code = BPF_JMP | BPF_EXIT},
    };
    LIBBPF_OPTS(bpf_prog_load_opts, opts, .prog_flags = BPF_F_XDP_HAS_FRAGS);
    int fd = bpf_prog_load(BPF_PROG_TYPE_XDP, "dune_try", "Dual BSD/GPL", pass, DUNE_ARRAY_LEN(pass), &opts);

    if (fd < 0)
        return explain(-fd);
    close(fd);
    return NULL;
}

bool dune_xdp_library(const char **built, const char **loaded)
{
    static char made_with[16], running[16];

    snprintf(made_with, sizeof(made_with), "%d.%d", LIBBPF_MAJOR_VERSION, LIBBPF_MINOR_VERSION);
    snprintf(running, sizeof(running), "%u.%u", libbpf_major_version(), libbpf_minor_version());
    *built = made_with;
    *loaded = running;
    return true;
}

/* --- opening --------------------------------------------------------------------------------------------------- */

static uint64_t round_up(uint64_t bytes)
{
    uint64_t v = ARENA_LEAST;

    while (v < bytes)
        v *= 2;
    return v;
}

static int map_value(void **out, struct bpf_map *m, size_t bytes, struct dune_diag *d)
{
    *out = mmap(NULL, bytes, PROT_READ | PROT_WRITE, MAP_SHARED, bpf_map__fd(m), 0);
    if (*out != MAP_FAILED)
        return 0;
    *out = NULL;
    return dune_diag_set(d, DUNE_E_ENV, NULL, "cannot map %s: %s", bpf_map__name(m), strerror(errno));
}

static size_t page_up(size_t bytes)
{
    size_t page = (size_t)sysconf(_SC_PAGESIZE);

    return (bytes + page - 1) / page * page;
}

static int map_all(struct dune_xdp *x, struct dune_diag *d)
{
    int rc = map_value((void **)&x->traces, x->skel->maps.traces, page_up(sizeof(*x->traces)), d);

    x->settings = &x->skel->data_settings->settings;
    if (rc == 0)
        rc = map_value((void **)&x->arena, x->skel->maps.arena, page_up(XDP_GENS * x->arena_step), d);
    if (rc == 0 && x->n_drift)
        rc = map_value((void **)&x->drift, x->skel->maps.drift, page_up(x->n_drift * sizeof(*x->drift)), d);
    return rc;
}

static int set_sizes(struct dune_xdp *x, struct dune_diag *d)
{
    struct dune_device_bpf *s = x->skel;
    uint32_t rules_max = x->opts.rules_max ? x->opts.rules_max : DUNE_RULES_MAX_DEFAULT;
    uint32_t ring = x->opts.ring_bytes ? x->opts.ring_bytes : RING_DEFAULT;

    x->arena_step = x->capacity + XDP_ARENA_SLACK;
    if (bpf_map__set_value_size(s->maps.arena, (uint32_t)x->arena_step) ||
        bpf_map__set_max_entries(s->maps.rules, rules_max) || bpf_map__set_max_entries(s->maps.digests, ring))
        return dune_diag_set(d, DUNE_E_INTERNAL, NULL, "cannot set the sizes of the BPF maps");
    if (x->opts.drift) {
        x->n_drift = (uint32_t)DUNE_MAX(libbpf_num_possible_cpus(), 1) * XDP_GENS * XDP_DRIFT_SIDES;
        x->drift_sum = DUNE_NEW_N(struct xdp_drift, XDP_GENS);
    }
    if (x->opts.drift && bpf_map__set_max_entries(s->maps.drift, x->n_drift))
        return dune_diag_set(d, DUNE_E_INTERNAL, NULL, "cannot set the sizes of the BPF maps");
    if (x->bench && bpf_map__set_max_entries(s->maps.bench_frames, x->bench))
        return dune_diag_set(d, DUNE_E_INTERNAL, NULL, "cannot set the sizes of the BPF maps");
    if (x->opts.trace &&
        bpf_map__set_max_entries(s->maps.events, x->opts.trace_bytes ? x->opts.trace_bytes : TRACE_DEFAULT))
        return dune_diag_set(d, DUNE_E_INTERNAL, NULL, "cannot set the sizes of the BPF maps");
    s->rodata->tracing = x->opts.trace;
    s->rodata->counting = x->opts.drift;
    s->rodata->bench_n = x->bench;
    s->rodata->arena_mask = (uint32_t)(x->capacity - 64);
    s->rodata->testing = x->testing;
    s->rodata->locked = !x->opts.one_cpu;
#if defined(__x86_64__) || defined(__i386__)
    s->rodata->ordered = true;
#endif
    s->rodata->uses_crc = true;
    dune_xdp_crc_tables((uint32_t(*)[16][256])(uintptr_t)s->rodata->crc_table);
    return 0;
}

static int on_digest(void *ctx, void *data, size_t bytes)
{
    struct dune_xdp *x = ctx;
    const struct xdp_digest *g = data;
    struct dune_digest dg = {.device = x->device, .generation = g->generation, .tick = g->tick, .cls = g->cls,
                             .flags = g->flags, .submodel = g->submodel, .conf = g->conf};

    if (bytes < sizeof(*g) || g->len > sizeof(dg.key.bytes))
        return 0;
    dg.key.len = (uint8_t)g->len;
    memcpy(dg.key.bytes, g->tuple, g->len);
    if (x->digest_fn)
        x->digest_fn(x->digest_ctx, &dg);
    return 0;
}

static int on_event(void *ctx, void *data, size_t bytes)
{
    struct dune_xdp *x = ctx;
    const struct xdp_event *e = data;
    struct dune_live_record r = {
        .serial = e->serial, .tick = e->tick, .count = e->count, .wire_len = e->wire_len, .slot_index = e->slot_index,
        .cap_len = e->cap_len, .generation = e->generation, .position = x->device, .in_port = e->in_kind,
        .out_port = e->out_kind, .fate = e->fate, .reason = e->reason, .slot = e->slot, .way = e->way,
        .has_shim = e->has_shim, .digest = e->digest, .became_final = e->became_final, .dropped = e->dropped,
        .shim_flags = e->shim_flags, .shim_submodel = e->shim_submodel, .shim_cls = e->shim_cls,
        .shim_conf = e->shim_conf};

    if (bytes < sizeof(*e) || e->cap_len > sizeof(r.frame))
        return 0;
    memcpy(r.frame, e->frame, e->cap_len);
    x->trace_fn(x->trace_ctx, &r);
    return 0;
}

int dune_xdp_poll_trace(struct dune_xdp *x, dune_live_record_fn fn, void *ctx, struct dune_diag *d)
{
    int n;

    if (!x->trace_ring)
        return 0;
    x->trace_fn = fn;
    x->trace_ctx = ctx;
    n = ring_buffer__consume(x->trace_ring);
    return n < 0 ? dune_diag_set(d, DUNE_E_ENV, NULL, "cannot read the trace: %s", strerror(-n)) : 0;
}

/* Each costs time to verify, so only those that will run are loaded. */
static void choose_programs(struct dune_xdp *x)
{
    bool device = !x->opts.shim_only;

    bpf_program__set_autoload(x->skel->progs.dune_strip, !x->testing && device);
    bpf_program__set_autoload(x->skel->progs.dune_device, !x->opts.spread && device);
    bpf_program__set_autoload(x->skel->progs.dune_shim, !device);
    bpf_program__set_autoload(x->skel->progs.dune_source, x->bench && !device);
    bpf_program__set_autoload(x->skel->progs.dune_spread, x->opts.spread);
    bpf_program__set_autoload(x->skel->progs.dune_on_cpu, x->opts.spread);
    bpf_program__set_autoload(x->skel->progs.dune_empty, x->bench);
    bpf_program__set_autoload(x->skel->progs.dune_feed, x->bench && device);
    bpf_program__set_autoload(x->skel->progs.dune_bench, x->bench && device);
}

static int load(struct dune_xdp *x, struct dune_diag *d)
{
    int rc;

    x->skel = dune_device_bpf__open();
    if (!x->skel)
        return dune_diag_set(d, DUNE_E_ENV, NULL, "cannot open the XDP program: %s", strerror(errno));
    rc = set_sizes(x, d);
    if (rc)
        return rc;
    choose_programs(x);
    rc = dune_device_bpf__load(x->skel);
    if (rc)
        return dune_diag_set(d, DUNE_E_ENV, NULL, "the kernel refuses the XDP program: %s", strerror(-rc));
    x->prog_fd = bpf_program__fd(x->skel->progs.dune_device);
    rc = map_all(x, d);
    if (rc)
        return rc;
    x->ring = ring_buffer__new(bpf_map__fd(x->skel->maps.digests), on_digest, x, NULL);
    if (x->opts.trace)
        x->trace_ring = ring_buffer__new(bpf_map__fd(x->skel->maps.events), on_event, x, NULL);
    if (!x->ring || (x->opts.trace && !x->trace_ring))
        return dune_diag_set(d, DUNE_E_ENV, NULL, "cannot read the ring buffer: %s", strerror(errno));
    return 0;
}

static void first_settings(struct dune_xdp *x)
{
    struct xdp_settings *s = x->settings;
    uint64_t burst = x->opts.digest_burst ? x->opts.digest_burst : x->opts.digest_rate;

    s->shim_ethertype = DUNE_ETHERTYPE_SHIM_DEFAULT;
    s->max_vlan = 2;
    s->drop_edge_shim = x->opts.drop_edge_shim;
    s->digest_rate = x->opts.digest_rate;
    s->digest_full = burst * DUNE_DIGEST_REPEAT;
    for (int i = 0; i < XDP_MIRRORS; i++)
        s->mirror_pair[i] = UINT32_MAX;
}

int dune_xdp_open_as(struct dune_xdp **out, const struct dune_xdp_opts *o, bool testing, uint32_t bench,
                     struct dune_diag *d)
{
    const char *why = dune_xdp_available();
    struct dune_xdp *x;
    int rc;

    if (why)
        return dune_diag_set(d, DUNE_E_ENV, NULL, "%s", why);
    x = DUNE_NEW(struct dune_xdp);
    if (o)
        x->opts = *o;
    x->testing = testing;
    x->bench = bench;
    x->prog_fd = -1;
    x->capacity = round_up(x->opts.state_bytes ? x->opts.state_bytes : ARENA_DEFAULT);
    libbpf_set_print(no_message);
    rc = x->capacity > XDP_ARENA_MOST
             ? dune_diag_set(d, DUNE_E_INFEASIBLE, NULL, "%llu bytes of slots, the XDP program reaches %llu",
                             (unsigned long long)x->opts.state_bytes, (unsigned long long)XDP_ARENA_MOST)
             : load(x, d);
    if (rc) {
        dune_xdp_close(x, DUNE_XDP_DETACH);
        return rc;
    }
    first_settings(x);
    rc = x->opts.spread ? dune_xdp_set_cpus(x, d) : 0;
    if (rc) {
        dune_xdp_close(x, DUNE_XDP_DETACH);
        return rc;
    }
    *out = x;
    return 0;
}

int dune_xdp_open(struct dune_xdp **out, const struct dune_xdp_opts *o, struct dune_diag *d)
{
    return dune_xdp_open_as(out, o, false, 0, d);
}

void dune_xdp_close(struct dune_xdp *x, enum dune_xdp_end end)
{
    if (!x)
        return;
    dune_xdp_end_ports(x, end);
    dune_xdp_forget_replaced(x);
    if (x->traces)
        munmap(x->traces, page_up(sizeof(*x->traces)));
    if (x->arena)
        munmap(x->arena, page_up(XDP_GENS * x->arena_step));
    if (x->drift)
        munmap(x->drift, page_up(x->n_drift * sizeof(*x->drift)));
    dune_mem_free(x->drift_sum);
    ring_buffer__free(x->ring);
    ring_buffer__free(x->trace_ring);
    dune_device_bpf__destroy(x->skel);
    dune_mem_free(x);
}

/* --- test runs -------------------------------------------------------------------------------------------------- */

int dune_xdp_test_run(struct dune_xdp *x, struct xdp_run *r, const struct xdp_test_meta *m, struct dune_diag *d)
{
    struct xdp_md in = {.data = sizeof(*m), .data_end = (uint32_t)(sizeof(*m) + r->in_len)}, out = {0};
    uint8_t *frame = dune_mem_alloc(sizeof(*m) + r->in_len, 1);
    LIBBPF_OPTS(bpf_test_run_opts, o, .data_in = frame, .data_size_in = in.data_end, .data_out = r->out,
                .data_size_out = r->room, .ctx_in = &in, .ctx_size_in = sizeof(in), .ctx_out = &out,
                .ctx_size_out = sizeof(out), .repeat = r->repeat ? (int)r->repeat : 1);
    int rc;

    memcpy(frame, m, sizeof(*m));
    memcpy(frame + sizeof(*m), r->in, r->in_len);
    rc = bpf_prog_test_run_opts(x->prog_fd, &o);
    dune_mem_free(frame);
    if (rc)
        return dune_diag_set(d, DUNE_E_ENV, NULL, "test run of %u bytes: %s", r->in_len, strerror(-rc));
    r->retval = o.retval;
    r->duration = o.duration;
    r->out_len = o.data_size_out - DUNE_MIN(o.data_size_out, out.data);
    if (r->room)
        memmove(r->out, r->out + out.data, r->out_len);
    return 0;
}
