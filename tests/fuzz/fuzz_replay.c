/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A plan that the verifier accepts never misbehaves: a right plan is bent in a few places, and what the verifier still takes is
 * written, read, and run in every engine on the same packets, whose verdicts, frames and counters must agree. With
 * DUNE_FUZZ_XDP in the environment (root) the XDP program runs, too.
 *
 *   plan seed 2 | options 3 | number of bends 1 | bends of 5 bytes | packets: kind, flow, time step, then as the kind says
 */
#include "fuzz/engine_kit.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len);

struct input {
    const uint8_t *p, *end;
};

static uint8_t take(struct input *in)
{
    return in->p < in->end ? *in->p++ : 0;
}

static uint32_t take16(struct input *in)
{
    uint32_t hi = take(in);

    return hi << 8 | take(in);
}

/* --- bends --------------------------------------------------------------------------------------------------------- */

static void bend_tables(struct dune_submodel *sm, uint8_t what, uint8_t at, uint32_t v)
{
    struct dune_plan_feature *f = sm->n_feats ? &sm->feat[at % sm->n_feats] : NULL;
    struct dune_plan_tree *t = &sm->tree[at % sm->n_trees];
    struct dune_plan_leaf *leaf = &t->leaf[v % t->n_leaves];

    switch (what) {
    case 0:
        if (f)
            f->row[v % f->n_rows].lo = v;
        break;
    case 1:
        if (f)
            f->row[v % f->n_rows].hi = v & 1 ? v : UINT32_MAX;
        break;
    case 2:
        if (f && f->n_bits[at % sm->n_trees])
            f->code[at % sm->n_trees][v % (f->n_rows * f->n_bits[at % sm->n_trees])] ^= 1;
        break;
    case 3:
        if (t->key_bits)
            t->match[v % (t->n_leaves * t->key_bits)] = "01*x"[v >> 8 & 3];
        break;
    case 4:
        *leaf = (struct dune_plan_leaf){(uint8_t)(v >> 8), (uint8_t)v, (uint8_t)at, (uint8_t)(v + at)};
        break;
    case 5:
        t->n_leaves -= t->n_leaves > 1;
        break;
    case 6:
        if (f)
            f->n_rows -= f->n_rows > 1;
        break;
    default:
        if (f)
            f->feat = (uint8_t)v;
    }
}

static void bend_submodel(struct dune_plan *p, struct dune_submodel *sm, uint8_t what, uint32_t v)
{
    struct dune_submodel other;

    switch (what) {
    case 0:
        sm->id = (uint8_t)v;
        break;
    case 1:
        sm->n = (uint8_t)v;
        break;
    case 2:
        sm->mode = (enum dune_mode)(v % (DUNE_N_MODES + 1));
        break;
    case 3:
        sm->device = (uint16_t)(v & 0x100 ? v : v % 4);
        break;
    case 4:
        sm->cls[v % sm->n_classes] = (uint8_t)(v >> 8);
        break;
    case 5:
        sm->n_classes = 1 + v % 2;
        break;
    default: /* another order */
        other = *sm;
        *sm = p->sub[v % p->n_submodels];
        p->sub[v % p->n_submodels] = other;
    }
}

static void bend_filter(struct dune_filter *f, uint8_t at, uint32_t v)
{
    if (at & 1 && !f->prefix) {
        f->prefix = dune_mem_zalloc(1, sizeof(*f->prefix));
        f->prefix[0].addr[0] = 10;
        f->prefix[0].len = (uint8_t)(v & 0x200 ? v : 8 + v % 25);
        f->prefix[0].ipv6 = v >> 8 & 1;
        f->n_prefixes = 1;
    }
    if (at & 2 && !f->port) {
        f->port = dune_mem_zalloc(1, sizeof(*f->port));
        f->port[0].lo = (uint16_t)v;
        f->port[0].hi = (uint16_t)(v + at);
        f->n_ports = 1;
    }
    if (at & 4 && !f->proto) {
        f->proto = dune_mem_zalloc(1, 1);
        f->proto[0] = (uint8_t)v;
        f->n_protos = 1;
    }
}

static void bend_plan(struct dune_plan *p, uint8_t what, uint8_t at, uint32_t v)
{
    struct dune_plan_class *c = &p->cls[at % p->n_classes];

    switch (what) {
    case 0:
        c->min_confidence = (uint16_t)(v & 0x8000 ? v : v % 256);
        break;
    case 1:
        c->action = (enum dune_action_kind)(v % 6);
        c->action_any = v >> 8 & 1;
        break;
    case 2:
        c->action_arg = v;
        break;
    case 3:
        p->claim = (enum dune_claim_rule)(v % 4);
        p->fallback = (enum dune_fallback)(at % 3);
        break;
    case 4:
        p->early_exit = (uint16_t)(v & 0x8000 ? v : v % 257);
        break;
    case 5:
        p->timeout = at & 1 ? v : at & 2 ? DUNE_TIMEOUT_NONE : UINT64_MAX - v;
        p->syn_timeout = at & 4 ? v : 0;
        break;
    case 6:
        p->hash = (enum dune_hash_kind)(v % 3);
        p->slots = at & 1 ? UINT32_C(1) << (v & 31) : v;
        p->ways = at >> 1 & 15;
        break;
    case 7:
        p->parser = (struct dune_parser_limits){(uint8_t)(v & 7), (uint8_t)(v >> 8 & 63), (uint8_t)(at & 3), (uint8_t)(at & 0xfc), v >> 15};
        break;
    case 8:
        p->shim_ethertype = (uint16_t)v;
        break;
    case 9:
        p->chain_mtu = v;
        break;
    case 10:
        bend_filter(&p->filter, at, v);
        break;
    default:
        p->generation = (uint16_t)v;
    }
}

static void bend(struct dune_plan *p, struct input *in)
{
    uint8_t kind = take(in), which = take(in), at = take(in);
    uint32_t v = take16(in);
    struct dune_submodel *sm = p->n_submodels ? &p->sub[which % p->n_submodels] : NULL;

    if (kind < 100 && sm)
        bend_tables(sm, kind % 8, at, v);
    else if (kind < 180 && sm)
        bend_submodel(p, sm, kind % 7, v);
    else
        bend_plan(p, kind % 12, at, v);
}

/* --- packets ------------------------------------------------------------------------------------------------------ */

/* An IPv4 packet of one of eight flows. */
static size_t make_packet(uint8_t out[128], uint8_t flow, uint8_t bits)
{
    static const uint8_t head[] = {2, 0, 0, 0, 0, 1, 2, 0, 0, 0, 0, 2, 8, 0, 0x45, 0, 0, 60, 0, 1, 0x40, 0, 64, 6, 0, 0, 10, 0, 0, 1, 10, 0, 0, 2};
    uint8_t *ip = out + 14, *l4 = ip + 20;

    memset(out, 0, 128);
    memcpy(out, head, sizeof(head));
    ip[2] = bits >> 6;
    ip[3] = (uint8_t)(40 + (bits & 0x3f));
    ip[8] = (uint8_t)(60 + (bits & 7));
    ip[9] = flow & 4 ? 17 : 6;
    ip[15] = flow & 3;
    l4[0] = 0x80;
    l4[3] = 80;
    l4[5] = bits; /* of UDP the length, of TCP a sequence number */
    l4[12] = 0x50;
    l4[13] = bits;
    l4[14] = flow;
    return 14 + 20 + 20 + (bits & 15);
}

/* Whole packets, one byte changed, a length cut, or any bytes. */
static size_t next_frame(struct input *in, uint8_t kind, uint8_t out[128])
{
    size_t n, at;

    if (kind & 1) {
        n = take(in) & 127;
        n = DUNE_MIN(n, (size_t)(in->end - in->p));
        memcpy(out, in->p, n);
        in->p += n;
        return n;
    }
    n = make_packet(out, kind >> 1 & 7, take(in));
    if (kind & 0x10) {
        at = take(in) % n;
        out[at] = take(in);
    }
    return kind & 0x20 ? take(in) % (n + 1) : n;
}

static void send_packets(struct dune_chain **c, int n_chains, struct input *in)
{
    struct dune_chain_packet pkt[DUNE_BURST_MAX];
    uint8_t frame[DUNE_BURST_MAX][128];
    uint64_t tick = 100000;
    unsigned n = 0, bursts = 0;

    while (in->p < in->end && bursts < 16) {
        uint8_t kind = take(in);
        size_t len;

        tick += (uint64_t)take(in) * (kind & 0x40 ? 1000 : 1);
        len = next_frame(in, kind, frame[n]);
        pkt[n] = (struct dune_chain_packet){frame[n], (uint32_t)len, (uint32_t)len, tick};
        if (++n == DUNE_BURST_MAX || in->p >= in->end) {
            compare(c, n_chains, pkt, n);
            bursts++;
            n = 0;
        }
        if (kind >= 0xfe) {
            compare(c, n_chains, pkt, n);
            n = 0;
            for (int e = 0; e < n_chains; e++)
                c[e]->ops->new_capture(c[e]);
        }
    }
}

/* An engine may refuse a plan, but says why; the reference takes all. */
static void run_engines(const struct dune_plan *p, const struct dune_chain_opts *o, struct input *in)
{
    const struct dune_engine_ops *ops[3] = {&dune_engine_reference, &dune_engine_fast, &dune_engine_xdp};
    struct dune_chain *c[3];
    struct dune_counters n[DUNE_MAX_DEVICES];
    int n_chains = 0, n_ops = getenv("DUNE_FUZZ_XDP") ? 3 : 2;

    for (int e = 0; e < n_ops; e++) {
        struct dune_diag d = {0};

        if (ops[e]->open(&c[n_chains], p, o, &d) == 0)
            n_chains++;
        else if (e == 0 || !d.code || !d.msg[0])
            abort();
    }
    send_packets(c, n_chains, in);
    compare_counters(c, n_chains, p->n_devices);
    for (uint32_t i = 0; i < p->n_devices; i++)
        c[0]->ops->counters(c[0], i, &n[i]);
    if (dune_counters_check(n, p->n_devices, true, NULL))
        abort();
    for (int e = 0; e < n_chains; e++)
        c[e]->ops->close(c[e]);
}

/* What was accepted is written and read again, as a file on its way to a device is. */
static struct dune_plan *through_a_file(const struct dune_plan *p)
{
    struct dune_plan *read;
    char *text;
    size_t len;

    if (dune_plan_format(p, &text, &len, NULL) || dune_plan_parse(&read, "fuzz", text, len, NULL))
        abort();
    dune_mem_free(text);
    return read;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len)
{
    struct input in = {data, data + len};
    struct dune_chain_opts o = {.check_keys = true};
    struct dune_diag d = {0};
    struct dune_plan *p, *read;
    struct dune_rng r;
    uint8_t opt;

    dune_rng_init(&r, take16(&in), 5, 0, 0);
    p = make_plan(&r);
    opt = take(&in);
    o.slots = UINT32_C(1) << (opt & 7); /* few, so that flows meet */
    o.ways = 1 + (opt >> 3 & 7);
    opt = take(&in);
    o.rules = opt & 1;
    o.drop_edge_shim = opt & 2;
    o.keep_shim = opt & 4;
    o.rules_everywhere = opt & 8;
    o.rules_max = opt >> 4;
    o.rule_delay = take(&in);
    for (uint8_t n = take(&in) % 16; n > 0; n--)
        bend(p, &in);
    if (dune_plan_verify(p, &d) == 0) {
        read = through_a_file(p);
        run_engines(read, &o, &in);
        dune_plan_free(read);
    } else if (!d.code || !d.msg[0]) {
        abort();
    }
    dune_plan_free(p);
    return 0;
}
