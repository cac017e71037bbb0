/* SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause) */
/*
 * One device as an XDP program: the steps of design section 5 in order, as src/targets/ref/ref_device.c
 * has them. Large steps are functions that the verifier checks one by one; what they share about the
 * packet lies in a value per CPU (struct xdp_pass).
 *
 *   receive -> admit -> known -> infer -> act -> leave
 *
 * A shim that came in stays where it is until the packet leaves: overwritten on a chain port, removed on
 * an edge port. So most devices move no bytes.
 */
#include "targets/xdp/xdp_bpf_answer.h"
#include "targets/xdp/xdp_bpf_frame.h"

char LICENSE[] SEC("license") = "Dual BSD/GPL";

enum next { NEXT, SEND, GONE };

/* --- step 1 ------------------------------------------------------------------------------------------------ */

/* Settled starts as 1 at an edge, as 0 where packets of the flow may have been missed. */
static __always_inline void fresh_shim(struct xdp_pass *p, struct xdp_counts *n, uint16_t generation)
{
    p->has_shim = 1;
    p->generation = generation;
    p->shim_word = p->arrived_word = p->in_kind == XDP_EDGE ? bpf_htonl((uint32_t)DUNE_CORE_SETTLED << 24) : 0;
    n->shim_added++;
}

/* A shim where none may be: inside a fresh one it cannot be mistaken for ours. */
static __always_inline enum next wrap_forged(struct xdp_pass *p, struct xdp_settings *s, struct xdp_counts *n)
{
    uint32_t gen = s->stamp & 1;

    n->shim_at_edge++;
    if (s->drop_edge_shim) {
        p->reason = XDP_SHIM_INSIDE;
        p->fate = XDP_FATE_DROPPED_EDGE_SHIM;
        n->dropped_edge_shim++;
        return GONE;
    }
    p->key.gen = gen;
    p->gen_ok = s->held[gen] != 0;
    fresh_shim(p, n, (uint16_t)s->generation[gen]);
    return NEXT;
}

static __always_inline bool find_generation(struct xdp_pass *p, const struct xdp_settings *s)
{
    for (uint32_t i = 0; i < XDP_GENS; i++) {
        if (s->held[i] && s->generation[i] == p->generation) {
            p->key.gen = i;
            return true;
        }
    }
    return false;
}

static __always_inline enum next refuse(struct xdp_pass *p, uint32_t fate, uint64_t *counter)
{
    p->fate = (uint8_t)fate;
    ++*counter;
    return SEND;
}

static __always_inline enum next bad_shim(struct xdp_md *ctx, struct xdp_pass *p, struct xdp_settings *s,
                                          struct xdp_counts *n)
{
    uint32_t at = p->shim_at;

    p->shim_word = 0;
    p->generation = p->ethertype = 0;
    p->shim_at = 0;
    n->shim_bad++;
    if (strip_shim(ctx, at)) {
        p->fate = XDP_FATE_DROPPED_BAD_SHIM;
        n->dropped_bad_shim++;
        return GONE;
    }
    at = (uint32_t)find_shim(ctx);
    if (!at)
        return NEXT;
    p->l2_len = (uint8_t)at;
    return wrap_forged(p, s, n);
}

static __always_inline enum next read_shim(struct xdp_md *ctx, struct xdp_pass *p, struct xdp_settings *s,
                                           struct xdp_counts *n)
{
    int version;

    p->shim_at = p->l2_len;
    version = load_shim(ctx, p);
    if (version < 0) {
        p->shim_at = 0;
        p->fate = XDP_FATE_DROPPED_BAD_SHIM;
        n->shim_bad++;
        n->dropped_bad_shim++;
        return GONE;
    }
    if (version != SHIM_VERSION)
        return bad_shim(ctx, p, s, n);
    p->has_shim = 1;
    p->arrived_word = p->shim_word;
    n->shim_read++;
    p->gen_ok = find_generation(p, s);
    return p->gen_ok ? NEXT : refuse(p, XDP_FATE_GENERATION_MISSING, &n->generation_missing);
}

static __always_inline enum next receive(struct xdp_md *ctx, struct xdp_pass *p, struct xdp_settings *s,
                                         struct xdp_counts *n)
{
    uint32_t at = p->cut ? 0 : (uint32_t)find_shim(ctx);

    if (!at)
        return NEXT;
    p->l2_len = (uint8_t)at;
    return p->in_kind == XDP_EDGE ? wrap_forged(p, s, n) : read_shim(ctx, p, s, n);
}

/* --- step 2 ------------------------------------------------------------------------------------------------ */

/* Live: the clock is read once, and only for packets that need it. */
static __always_inline void take_time(struct xdp_pass *p)
{
    if (p->timed)
        return;
    p->now = bpf_ktime_get_ns() >> 10;
    p->timed = 1;
}

/* Section 8: does the older generation still have this flow? Parsed by its own plan. */
static __always_inline bool still_older(struct xdp_md *ctx, struct xdp_pass *p, const struct xdp_settings *s,
                                        uint32_t old)
{
    struct xdp_plan *plan;

    if (!s->held[old])
        return false;
    take_time(p);
    plan = get_plan(old);
    if (p->now > s->drain_until || !plan || parse(ctx, old) != XDP_OK)
        return false;
    if (plan->filters && !matches_filter(old))
        return false;
    if (s->rules_on[old] && find_rule(old, 0))
        return true;
    return has_live_slot(old);
}

/* A canary: is this flow among those that keep the other generation although they are new? */
__attribute__((noinline)) int outside_share(struct xdp_md *ctx, uint32_t stamp)
{
    struct xdp_settings *s = get_settings();
    struct xdp_pass *p = get_pass();

    if (!s || !p || parse(ctx, stamp) != XDP_OK)
        return 0;
    return crc(1, &p->key) % XDP_STAMP_ALL >= s->share[stamp & 1];
}

/* The generation this device stamps on a packet without shim. */
static __always_inline uint32_t choose_generation(struct xdp_md *ctx, struct xdp_pass *p,
                                                  const struct xdp_settings *s)
{
    uint32_t stamp = s->stamp & 1, old = !stamp;

    if (still_older(ctx, p, s, old))
        return old;
    return s->share[stamp] < XDP_STAMP_ALL && s->held[old] && outside_share(ctx, stamp) ? old : stamp;
}

static __always_inline enum next not_inferable(struct xdp_pass *p, struct xdp_counts *n, uint32_t reason)
{
    p->reason = (uint8_t)reason;
    p->fate = XDP_FATE_NOT_INFERABLE;
    if (reason < XDP_N_REASONS)
        n->not_inferable[reason]++;
    return SEND;
}

/* Came in with a verdict that stays, and nothing here asks for more. */
static __always_inline bool was_settled(const struct xdp_pass *p, const struct xdp_plan *plan)
{
    const uint8_t done = DUNE_CORE_FINAL | DUNE_CORE_SETTLED;

    return p->has_shim && (p->shim.flags & done) == done && !plan->filters && !plan->acts;
}

static __always_inline enum next admit(struct xdp_md *ctx, struct xdp_pass *p, struct xdp_settings *s,
                                       struct xdp_counts *n, struct xdp_plan **to)
{
    struct xdp_plan *plan;
    uint32_t reason;

    if (p->has_shim ? !p->gen_ok : !s->held[s->stamp & 1])
        return refuse(p, XDP_FATE_GENERATION_MISSING, &n->generation_missing);
    if (!p->has_shim)
        p->key.gen = choose_generation(ctx, p, s);
    p->gen_ok = 1;
    *to = plan = get_plan(p->key.gen);
    if (!plan)
        return refuse(p, XDP_FATE_GENERATION_MISSING, &n->generation_missing);
    reason = was_settled(p, plan) ? parse_here(ctx, p, s, plan, false) : parse_here(ctx, p, s, plan, true);
    if (reason != XDP_OK)
        return not_inferable(p, n, reason);
    if (plan->filters && !matches_filter(p->key.gen))
        return refuse(p, XDP_FATE_FILTERED, &n->filtered);
    if (p->has_shim)
        return NEXT;
    if (plan->chain_mtu && (p->pkt.w[DUNE_CORE_W_LEN] & 0xffff) + SHIM_BYTES > plan->chain_mtu)
        return refuse(p, XDP_FATE_TOO_BIG, &n->too_big);
    if (p->in_kind == XDP_CHAIN)
        n->shim_missing++;
    fresh_shim(p, n, (uint16_t)s->generation[p->key.gen & 1]);
    return NEXT;
}

/* --- step 3 ------------------------------------------------------------------------------------------------ */

static __always_inline enum next known(struct xdp_pass *p, struct xdp_settings *s, struct xdp_counts *n,
                                       const struct xdp_plan *plan)
{
    const uint8_t done = DUNE_CORE_FINAL | DUNE_CORE_SETTLED;

    if ((p->shim.flags & done) == done)
        return refuse(p, XDP_FATE_PASSED_SETTLED, &n->passed_settled);
    take_time(p);
    if (!s->rules_on[p->key.gen & 1] || !plan || !use_rule(p, plan))
        return NEXT;
    p->became_final = 1;
    return refuse(p, XDP_FATE_RULE_HIT, &n->rule_hit);
}

/* --- step 9 ------------------------------------------------------------------------------------------------ */

/* Tentative and unclaimed packets get no action: their class id is 0 here. */
static __always_inline uint32_t claimed(const struct dune_core_shim *s)
{
    return s->flags & DUNE_CORE_FINAL && !(s->flags & DUNE_CORE_TENTATIVE) ? s->cls : 0;
}

/* Is this a verdict that drop and mirror act on? They do so on the device where it becomes one. */
static __always_inline bool acts(const struct xdp_plan *plan, const struct dune_core_shim *s)
{
    uint32_t cls = claimed(s), action = plan->action[cls];

    return (action == XDP_DROP_CLASS || action == XDP_MIRROR) &&
           (plan->action_any[cls] || s->flags & DUNE_CORE_SETTLED);
}

/* False: dropped. */
static __always_inline bool act(struct xdp_md *ctx, struct xdp_pass *p, struct xdp_counts *n, const struct xdp_plan *plan)
{
    uint32_t cls;

    if (!plan->acts)
        return true;
    cls = claimed(&p->shim);
    if (plan->last_device && plan->action[cls] == XDP_MARK) {
        mark_packet(ctx, plan->action_arg[cls]);
        n->marked++;
    } else if (plan->last_device && plan->action[cls] == XDP_STEER) {
        p->steer_port = plan->action_arg[cls];
        n->steered++;
    }
    if (!acts(plan, &p->shim) || acts(plan, &p->arrived))
        return true;
    if (plan->action[cls] == XDP_DROP_CLASS)
        return false;
    p->mirrored = 1;
    p->mirror_port = plan->action_arg[cls];
    n->mirrored++;
    return true;
}

/* The shim in the frame says what it has to say. */
static __always_inline bool put_shim(struct xdp_md *ctx, struct xdp_pass *p, const struct xdp_settings *s)
{
    if (!p->shim_at)
        return write_shim(ctx, p, s) == 0;
    return p->shim_word == p->arrived_word || overwrite_shim(ctx, p) == 0;
}

/* The frame as it leaves. */
static __always_inline void dress(struct xdp_md *ctx, struct xdp_pass *p, const struct xdp_settings *s, struct xdp_counts *n)
{
    if (!p->has_shim)
        return;
    if (p->out_kind == XDP_CHAIN) {
        if (put_shim(ctx, p, s)) {
            n->shim_kept++;
            return;
        }
        n->no_room++;
    } else if (p->shim_at) {
        strip_here(ctx, p->shim_at);
    }
    n->shim_stripped++;
}

static __always_inline int mirror(struct xdp_pass *p, struct xdp_settings *s, struct xdp_counts *n)
{
    uint32_t pair = p->out << 16 | (p->mirror_port & 0xffff);
    const uint64_t flags = BPF_F_BROADCAST;

    if (s->mirror_pair[0] == pair)
        return (int)bpf_redirect_map(&mirror0, 0, flags);
    if (s->mirror_pair[1] == pair)
        return (int)bpf_redirect_map(&mirror1, 0, flags);
    if (s->mirror_pair[2] == pair)
        return (int)bpf_redirect_map(&mirror2, 0, flags);
    if (s->mirror_pair[3] == pair)
        return (int)bpf_redirect_map(&mirror3, 0, flags);
    n->no_mirror++;
    return -1;
}

static __always_inline int forward(struct xdp_pass *p, struct xdp_settings *s, struct xdp_counts *n)
{
    int rc;

    if (p->steer_port < XDP_MAX_PORTS) {
        rc = (int)bpf_redirect_map(&out_ports, p->steer_port, XDP_ABORTED);
        if (rc == XDP_REDIRECT)
            return rc;
    }
    if (p->steer_port != XDP_NO_PORT)
        n->no_steer++;
    if (p->mirrored && !p->to_host) {
        rc = mirror(p, s, n);
        if (rc == XDP_REDIRECT)
            return rc;
    }
    if (p->to_host)
        return XDP_PASS;
    return (int)bpf_redirect_map(&out_ports, p->out, XDP_DROP);
}

static __always_inline void write_trace(const struct xdp_pass *p)
{
    struct xdp_trace *t = get_trace();

    if (!t)
        return;
    t->tick = p->now;
    t->count = p->count;
    t->fate = p->fate;
    t->reason = p->reason;
    t->slot = p->outcome;
    t->has_shim = p->has_shim;
    t->digest = p->digest;
    t->became_final = p->became_final;
    t->dropped = p->dropped;
    t->mirrored = p->mirrored;
    t->shim_flags = p->shim.flags;
    t->shim_submodel = p->shim.submodel;
    t->shim_cls = p->shim.cls;
    t->shim_conf = p->shim.conf;
    t->generation = p->generation;
    t->ethertype = p->ethertype;
    t->mirror_port = p->mirror_port;
    t->steer_port = p->steer_port;
    t->slot_index = p->outcome == XDP_SLOT_NONE ? 0 : p->index;
    t->way = p->way;
    t->n_answers = p->n_answers;
    t->shim_came = p->shim_at != 0;
}

/* --- live trace ------------------------------------------------------------------------------------------- */

static __always_inline void take_snap(struct xdp_md *ctx, struct xdp_pass *p)
{
    struct xdp_snap *s = get_snap();
    uint32_t len;

    p->serial = UINT64_MAX;
    if (!s)
        return;
    len = (uint32_t)bpf_xdp_get_buff_len(ctx);
    s->len = len;
    if (len > XDP_EVENT_FRAME)
        len = XDP_EVENT_FRAME;
    s->cap = len >= 1 && bpf_xdp_load_bytes(ctx, 0, s->frame, len) == 0 ? len : 0;
}

__attribute__((noinline)) int write_event(void)
{
    struct xdp_pass *p = get_pass();
    struct xdp_settings *s = get_settings();
    struct xdp_counts *n = get_counts();
    struct xdp_snap *snap = get_snap();
    struct xdp_event *e;

    if (!p || !s || !n || !snap)
        return 0;
    e = bpf_ringbuf_reserve(&events, sizeof(*e), 0);
    if (!e) {
        n->events_lost++;
        return 0;
    }
    __builtin_memset(e, 0, offsetof(struct xdp_event, frame));
    e->serial = p->serial != UINT64_MAX ? p->serial : __sync_fetch_and_add(&event_serial, 1);
    e->tick = p->now;
    e->count = p->count;
    e->slot_index = p->outcome == XDP_SLOT_NONE ? 0 : p->index;
    e->generation = p->has_shim ? p->generation : (uint16_t)s->generation[p->key.gen & 1];
    e->in_kind = p->in_kind;
    e->out_kind = p->out_kind;
    e->fate = p->fate;
    e->reason = p->reason;
    e->slot = p->outcome;
    e->way = p->way;
    e->has_shim = p->has_shim;
    e->digest = p->digest;
    e->became_final = p->became_final;
    e->dropped = p->dropped;
    e->shim_flags = p->shim.flags;
    e->shim_submodel = p->shim.submodel;
    e->shim_cls = p->shim.cls;
    e->shim_conf = p->shim.conf;
    e->wire_len = snap->len;
    e->cap_len = (uint16_t)snap->cap;
    __builtin_memcpy(e->frame, snap->frame, sizeof(e->frame));
    bpf_ringbuf_submit(e, 0);
    return 0;
}

static __always_inline void note_latency(const struct xdp_pass *p, struct xdp_counts *n)
{
    uint64_t ns = bpf_ktime_get_ns() - p->started;
    uint32_t bin = 0, octave = 0;

    for (int i = 0; i < 30 && ns >= 8; i++) {
        ns >>= 1;
        octave++;
    }
    bin = (uint32_t)ns < 4 ? (uint32_t)ns : (octave + 1) * 4 + ((uint32_t)ns & 3);
    if (bin < XDP_LATENCY_BINS)
        n->latency[bin]++;
}

static __always_inline int leave(struct xdp_md *ctx, struct xdp_pass *p, struct xdp_settings *s,
                                 struct xdp_counts *n, const struct xdp_plan *plan, enum next next)
{
    int rc = XDP_DROP;

    if (next == GONE) {
        p->dropped = 1;
    } else if (p->has_shim && p->gen_ok && p->reason == XDP_OK && plan &&
               !act(ctx, p, n, plan)) {
        p->dropped = 1;
        n->dropped_action++;
    } else {
        dress(ctx, p, s, n);
        n->out++;
        rc = testing ? XDP_TX : forward(p, s, n);
    }
    if (testing) {
        write_trace(p);
    } else {
        if (p->started && (!tracing || n->in % XDP_LATENCY_EVERY == 1))
            note_latency(p, n);
        if (tracing)
            write_event();
    }
    return rc;
}

/* --- all steps --------------------------------------------------------------------------------------------- */

static __always_inline bool begin_test(struct xdp_md *ctx, struct xdp_pass *p)
{
    struct xdp_test_meta *m = (struct xdp_test_meta *)(long)ctx->data_meta;

    if ((uint8_t *)(m + 1) > (uint8_t *)(long)ctx->data)
        return false;
    p->now = m->tick;
    p->timed = 1;
    p->in_kind = m->in_kind;
    p->out_kind = m->out_kind;
    p->cut = m->cut;
    return true;
}

static __always_inline const struct xdp_port *find_port(const struct xdp_settings *s, uint32_t ifindex)
{
    for (uint32_t i = 0; i < XDP_PORT_PROBES; i++) {
        const struct xdp_port *port = &s->port[(ifindex & (XDP_PORT_HASH - 1)) + i];

        if (port->ifindex == ifindex)
            return port;
    }
    return (void *)0;
}

static __always_inline bool begin_live(struct xdp_md *ctx, struct xdp_pass *p, const struct xdp_settings *s,
                                       struct xdp_counts *n)
{
    const struct xdp_port *port = find_port(s, ctx->ingress_ifindex);

    if (!port) {
        n->no_port++;
        return false;
    }
    p->started = 0;
    if (tracing || n->in % XDP_LATENCY_EVERY == 0) {
        p->started = bpf_ktime_get_ns();
        p->now = p->started >> 10;
        p->timed = 1;
    }
    p->in_kind = port->in_kind;
    p->out_kind = port->out_kind;
    p->out = port->out;
    p->to_host = port->to_host;
    p->plain = port->plain;
    return true;
}

static __always_inline bool begin(struct xdp_md *ctx, struct xdp_pass *p, const struct xdp_settings *s,
                                  struct xdp_counts *n)
{
    enum { FROM = offsetof(struct xdp_pass, shim), TO = offsetof(struct xdp_pass, l3_off) };

    _Static_assert(FROM % 8 == 0 && TO % 8 == 0, "a few stores of 8 bytes");
    /* as words: through a byte pointer the compiler knows no alignment and stores byte by byte */
    for (uint32_t i = FROM / 8; i < TO / 8; i++)
        ((dune_core_u64 *)(void *)p)[i] = 0;
    p->key.gen = 0;
    p->steer_port = p->mirror_port = XDP_NO_PORT;
    if (counting)
        p->drift_side = (uint8_t)(s->drift_side & (XDP_DRIFT_ON | 1)); /* one for the whole packet */
    return testing ? begin_test(ctx, p) : begin_live(ctx, p, s, n);
}

/* The way back: nothing of ours is read, and a shim has no business there. */
static __always_inline int pass_plain(struct xdp_md *ctx, const struct xdp_pass *p, struct xdp_counts *n)
{
    n->plain++;
    if (find_shim(ctx)) {
        n->plain_dropped++;
        return XDP_DROP;
    }
    return p->to_host ? XDP_PASS : (int)bpf_redirect_map(&out_ports, p->out, XDP_DROP);
}

static __always_inline int device(struct xdp_md *ctx)
{
    struct xdp_pass *p = get_pass();
    struct xdp_settings *s = get_settings();
    struct xdp_counts *n = get_counts();
    struct xdp_plan *plan = (void *)0;
    enum next next;

    if (!p || !s || !n || !begin(ctx, p, s, n))
        return XDP_PASS;
    if (!testing && p->plain)
        return pass_plain(ctx, p, n);
    if (tracing && !testing)
        take_snap(ctx, p);
    n->in++;
    next = receive(ctx, p, s, n);
    if (next == NEXT)
        next = admit(ctx, p, s, n, &plan);
    if (next == NEXT)
        next = known(p, s, n, plan);
    if (next == NEXT && plan)
        infer(p, plan, n, p->key.gen);
    return leave(ctx, p, s, n, plan, next);
}

SEC("xdp.frags")
int dune_device(struct xdp_md *ctx)
{
    return device(ctx);
}

/* --- packets of one queue, spread over CPUs --------------------------------------------------------------------- */
/*
 * A network card that does not know the shim's EtherType puts all packets with a shim into one queue. This
 * program takes them there and hands them on by slot, so that a slot is always at the same CPU; the device
 * runs where they arrive. What cannot be parsed goes to the first CPU.
 */
SEC("xdp.frags")
int dune_spread(struct xdp_md *ctx)
{
    struct xdp_pass *p = get_pass();
    struct xdp_settings *s = get_settings();
    struct xdp_counts *n = get_counts();
    struct xdp_plan *plan;
    uint32_t gen, to = 0;

    if (!p || !s || !n || s->n_cpus == 0)
        return XDP_PASS;
    gen = s->stamp & 1;
    p->cut = p->has_shim = p->shim_at = 0;
    p->shim_at = (uint8_t)find_shim(ctx);
    plan = get_plan(gen);
    if (plan && s->held[gen] && parse(ctx, gen) == XDP_OK) {
        hash_flow(gen);
        to = (uint32_t)((uint64_t)p->index * s->n_cpus / ((uint64_t)plan->slot_mask + 1));
    }
    n->spread++;
    return (int)bpf_redirect_map(&cpus, to, XDP_DROP);
}

SEC("xdp.frags/cpumap")
int dune_on_cpu(struct xdp_md *ctx)
{
    return device(ctx);
}

/* --- when plan and agent are gone -------------------------------------------------------------------------------- */
/* Forwards as before; takes the shim off at edge ports and lets none in there. */
SEC("xdp.frags")
int dune_strip(struct xdp_md *ctx)
{
    struct xdp_settings *s = get_settings();
    const struct xdp_port *port;
    uint32_t at;

    if (!s)
        return XDP_PASS;
    port = find_port(s, ctx->ingress_ifindex);
    if (!port)
        return XDP_PASS;
    at = (uint32_t)find_shim(ctx);
    if (at && (port->in_kind == XDP_EDGE || port->plain))
        return XDP_DROP;
    if (at && port->out_kind == XDP_EDGE && strip_shim(ctx, at))
        return XDP_DROP;
    return port->to_host ? XDP_PASS : (int)bpf_redirect_map(&out_ports, port->out, XDP_DROP);
}

/* --- for the benchmark: packets from a map, so that flows differ from run to run -------------------------------- */
const volatile uint32_t bench_n;
uint64_t bench_at;

struct bench_frame {
    uint64_t word[8];
};
struct { /* the host sets the number of entries */
    __uint(type, BPF_MAP_TYPE_ARRAY);
    __uint(max_entries, 1);
    __type(key, uint32_t);
    __type(value, struct bench_frame);
} bench_frames SEC(".maps");

static __always_inline bool next_frame(struct xdp_md *ctx)
{
    uint8_t *d = (uint8_t *)(long)ctx->data, *end = (uint8_t *)(long)ctx->data_end;
    uint32_t at = (uint32_t)bench_at;
    struct bench_frame *f;

    bench_at = at + 1 < bench_n ? at + 1 : 0;
    f = bpf_map_lookup_elem(&bench_frames, &at);
    if (!f || d + sizeof(*f) > end)
        return false;
    for (uint32_t i = 0; i < sizeof(f->word) / 8; i++) /* by words: a card does not write byte by byte either */
        ((dune_core_u64 *)(void *)d)[i] = f->word[i];
    return true;
}

/* Packets of the map out of port 0. */
SEC("xdp.frags")
int dune_source(struct xdp_md *ctx)
{
    return next_frame(ctx) ? (int)bpf_redirect_map(&out_ports, 0, XDP_DROP) : XDP_ABORTED;
}

/* What a chain costs that carries shims and knows nothing: added at an edge, passed on, stripped at an edge. No tags. */
SEC("xdp.frags")
int dune_shim(struct xdp_md *ctx)
{
    struct xdp_settings *s = get_settings();
    struct xdp_pass *p = get_pass();
    const struct xdp_port *port;
    uint32_t at;

    if (!s || !p)
        return XDP_PASS;
    port = find_port(s, ctx->ingress_ifindex);
    if (!port)
        return XDP_PASS;
    at = (uint32_t)find_shim(ctx);
    if (!at && port->in_kind == XDP_EDGE) {
        p->shim_at = 0;
        p->l2_len = 14;
        p->generation = 1;
        p->shim = (struct dune_core_shim){.flags = DUNE_CORE_SETTLED};
        write_shim(ctx, p, s);
    } else if (at && port->out_kind == XDP_EDGE) {
        strip_here(ctx, at);
    }
    return (int)bpf_redirect_map(&out_ports, port->out, XDP_DROP);
}

SEC("xdp.frags")
int dune_empty(struct xdp_md *ctx)
{
    (void)ctx;
    return XDP_DROP;
}

SEC("xdp.frags")
int dune_feed(struct xdp_md *ctx)
{
    return next_frame(ctx) ? XDP_DROP : XDP_ABORTED;
}

SEC("xdp.frags")
int dune_bench(struct xdp_md *ctx)
{
    return next_frame(ctx) ? device(ctx) : XDP_ABORTED;
}
