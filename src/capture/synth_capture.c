/* SPDX-License-Identifier: Apache-2.0 */
/*
 * One capture: conversations begin at random moments and are interleaved in time by a heap, so memory
 * holds only those alive. Each conversation draws from its own stream of random numbers.
 */
#include "capture/synth_int.h"
#include "dune/capture.h"

#include <string.h>

enum { FIN = 1, SYN = 2, RST = 4, PSH = 8, ACK = 16 };

struct conv {
    struct dune_rng rng;
    const struct synth_talk *talk;
    uint32_t cls, device, peer;
    uint64_t next_ns, id;
    uint32_t step, n_data, n_steps; /* steps: handshake, data, end */
    uint32_t n_sent[2];
    uint16_t sport, dport;
    uint8_t ttl[2], tos;
    uint32_t seq[2];
    uint64_t rtt_ns;
};

struct gen {
    const struct dune_synth *s;
    const struct dune_synth_cfg *cfg;
    struct dune_rng rng;
    uint64_t capture, next_id, next_start_ns, mean_start_ns;
    uint16_t next_port[SYNTH_MAX_CLASSES];
    struct {
        struct conv *data;
        size_t len, cap;
    } heap;
    struct dune_writer *out;
    struct synth_result *res;
    struct dune_diag *d;
};

void synth_device_mac(uint32_t cls, uint32_t device, uint8_t mac[6])
{
    const uint8_t m[6] = {0x02, 0xd0, 0x00, 0x00, (uint8_t)cls, (uint8_t)(device + 1)};

    memcpy(mac, m, 6);
}

static uint32_t device_host(const struct conv *c)
{
    return 0xc0a80000u | (c->cls + 10) << 8 | (c->device + 2); /* 192.168.x.y */
}

/* --- the heap, by next packet, then by age ------------------------------------------------------ */

static bool before(const struct conv *a, const struct conv *b)
{
    return a->next_ns != b->next_ns ? a->next_ns < b->next_ns : a->id < b->id;
}

static void swap(struct conv *a, struct conv *b)
{
    struct conv t = *a;

    *a = *b;
    *b = t;
}

static void sift_up(struct gen *g, size_t i)
{
    struct conv *h = g->heap.data;

    for (; i > 0 && before(&h[i], &h[(i - 1) / 2]); i = (i - 1) / 2)
        swap(&h[i], &h[(i - 1) / 2]);
}

static void sift_down(struct gen *g, size_t i)
{
    struct conv *h = g->heap.data;
    size_t child;

    for (; (child = 2 * i + 1) < g->heap.len; i = child) {
        if (child + 1 < g->heap.len && before(&h[child + 1], &h[child]))
            child++;
        if (!before(&h[child], &h[i]))
            return;
        swap(&h[child], &h[i]);
    }
}

/* --- conversations ------------------------------------------------------------------------------ */

static size_t pick(struct dune_rng *r, size_t n, const void *first, size_t stride)
{
    uint64_t total = 0, at;
    size_t i;

    for (i = 0; i < n; i++)
        total += *(const uint64_t *)((const char *)first + i * stride);
    at = dune_rng_below(r, total);
    for (i = 0;; i++) {
        uint64_t share = *(const uint64_t *)((const char *)first + i * stride);
        if (at < share)
            return i;
        at -= share;
    }
}

/* The class that acts, and the class whose ways it follows this time. */
static void choose(const struct dune_synth *s, struct conv *c)
{
    const struct synth_class *cls;

    c->cls = (uint32_t)pick(&c->rng, s->n_classes, &s->cls[0].share, sizeof(s->cls[0]));
    cls = &s->cls[c->cls];
    c->device = (uint32_t)dune_rng_below(&c->rng, cls->n_devices);
    if (cls->overlap && dune_rng_below(&c->rng, SYNTH_UNIT) < cls->overlap)
        cls = &s->cls[cls->like[dune_rng_below(&c->rng, cls->n_like)]];
    c->talk = &cls->talk[pick(&c->rng, cls->n_talk, &cls->talk[0].share, sizeof(cls->talk[0]))];
}

static uint32_t handshake(const struct conv *c)
{
    return c->talk->tcp ? 3 : 0;
}

static bool is_up(const struct conv *c, uint32_t step)
{
    uint32_t h = handshake(c);

    if (step < h)
        return step != 1;
    if (step < h + c->n_data)
        return c->talk->pattern[(step - h) % strlen(c->talk->pattern)] == 'u';
    return step - h - c->n_data != 1;
}

static void start_conv(struct gen *g, struct conv *c, uint64_t id, uint64_t at_ns)
{
    const struct synth_talk *t;

    memset(c, 0, sizeof(*c));
    dune_rng_init(&c->rng, g->cfg->seed, UINT64_C(0x73796e7468), g->capture, id);
    choose(g->s, c);
    t = c->talk;
    c->id = id;
    c->next_ns = at_ns;
    c->peer = (uint32_t)dune_rng_below(&c->rng, t->n_peers);
    c->dport = (uint16_t)synth_draw(&t->port, &c->rng);
    c->sport = (uint16_t)synth_draw(&t->source_port, &c->rng);
    if (c->sport == 0) {
        c->sport = (uint16_t)(32768 + g->next_port[c->cls] % 28232);
        g->next_port[c->cls] = (uint16_t)((g->next_port[c->cls] + 1) % 28232);
    }
    c->ttl[0] = (uint8_t)synth_draw(&t->ttl, &c->rng);
    c->ttl[1] = (uint8_t)synth_draw(&t->peer_ttl, &c->rng);
    c->tos = (uint8_t)synth_draw(&t->tos, &c->rng);
    c->rtt_ns = (uint64_t)synth_draw(&t->rtt_us, &c->rng) * 1000;
    c->seq[0] = (uint32_t)dune_rng_u64(&c->rng);
    c->seq[1] = (uint32_t)dune_rng_u64(&c->rng);
    c->n_data = (uint32_t)synth_draw(&t->packets, &c->rng);
    c->n_steps = handshake(c) + c->n_data;
    if (t->tcp)
        c->n_steps += t->end == SYNTH_FIN ? 3 : t->end == SYNTH_RST ? 1 : 0;
}

static uint8_t tcp_flags(const struct conv *c, uint32_t step, uint32_t payload)
{
    if (step < 3)
        return step == 0 ? SYN : step == 1 ? SYN | ACK : ACK;
    if (step < 3 + c->n_data)
        return payload ? PSH | ACK : ACK;
    if (c->talk->end == SYNTH_RST)
        return RST | ACK;
    return step - 3 - c->n_data < 2 ? FIN | ACK : ACK;
}

/* The time from a step to the one before it. */
static uint64_t gap_before(struct conv *c, uint32_t step)
{
    uint32_t h = handshake(c);
    uint64_t jitter = dune_rng_below(&c->rng, c->rtt_ns / 8 + 1);

    if (step < h)
        return step == 1 ? c->rtt_ns + jitter : 50000 + jitter / 16;
    if (step >= h + c->n_data)
        return c->rtt_ns / 2 + jitter;
    return (uint64_t)synth_draw_at(&c->talk->gap_us, step - h, &c->rng) * 1000 + 1000 + jitter / 64;
}

static void fill_addresses(const struct conv *c, bool up, struct synth_frame *f)
{
    static const uint8_t gateway[6] = {0x02, 0xee, 0, 0, 0, 1};
    uint32_t peer = 0xc6120000u + 256 + c->peer; /* 198.18.0.0/15, for tests only */
    uint32_t device = device_host(c);
    uint8_t mac[6];

    synth_device_mac(c->cls, c->device, mac);
    memcpy(f->src_mac, up ? mac : gateway, 6);
    memcpy(f->dst_mac, up ? gateway : mac, 6);
    f->src_host = up ? device : peer;
    f->dst_host = up ? peer : device;
    f->sport = up ? c->sport : c->dport;
    f->dport = up ? c->dport : c->sport;
}

static void fill_frame(struct conv *c, bool up, struct synth_frame *f)
{
    const struct synth_talk *t = c->talk;
    uint32_t h = handshake(c), step = c->step;

    memset(f, 0, sizeof(*f));
    fill_addresses(c, up, f);
    f->vlan = t->vlan;
    f->ipv6 = t->ipv6;
    f->tcp = t->tcp;
    f->ttl = c->ttl[!up];
    f->tos = c->tos;
    f->ip_id = (uint16_t)(c->id * 7 + step);
    if (step >= h && step < h + c->n_data) {
        uint32_t k = c->n_sent[!up] - (t->tcp ? (up ? 2 : 1) : 0);
        f->payload_len = (uint32_t)synth_draw_at(up ? &t->up : &t->down, k, &c->rng);
    }
    if (!t->tcp)
        return;
    f->option_bytes = t->tcp_options;
    f->flags = tcp_flags(c, step, f->payload_len);
    f->window = (uint16_t)synth_draw(up ? &t->window : &t->peer_window, &c->rng);
    f->seq = c->seq[!up];
    f->ack = f->flags & ACK ? c->seq[up] : 0;
    c->seq[!up] += f->payload_len + ((f->flags & (SYN | FIN)) ? 1 : 0);
}

static int put(struct gen *g, uint64_t ts_ns, const uint8_t *frame, uint32_t len)
{
    uint32_t cap = g->cfg->snap && g->cfg->snap < len ? g->cfg->snap : len;

    if (g->res->n_packets++ == 0)
        g->res->first_ns = ts_ns;
    g->res->last_ns = ts_ns;
    g->res->n_bytes += len;
    return dune_writer_put(g->out, ts_ns, frame, cap, len, g->d);
}

/* Traffic that no model may claim: ARP of the devices, and names looked up by a host without a label. */
static int put_noise(struct gen *g, const struct conv *c, uint64_t ts_ns)
{
    struct synth_frame f = {.dst_mac = {0x02, 0xee, 0, 0, 0, 1}, .src_mac = {0x02, 0xaa, 0, 0, 0, 9},
                            .src_host = 0xc0a80109u, .dst_host = 0xc0a80101u, .dport = 53, .ttl = 64};
    uint8_t frame[SYNTH_FRAME_BYTES], mac[6];
    uint32_t len;

    g->res->n_noise++;
    if (dune_rng_below(&g->rng, 2)) {
        synth_device_mac(c->cls, c->device, mac);
        len = synth_frame_arp(mac, device_host(c), frame);
    } else {
        f.sport = (uint16_t)(40000 + dune_rng_below(&g->rng, 20000));
        f.payload_len = (uint32_t)(30 + dune_rng_below(&g->rng, 30));
        len = synth_frame_build(&f, frame);
    }
    return put(g, ts_ns, frame, len);
}

static int emit(struct gen *g, struct conv *c)
{
    uint8_t frame[SYNTH_FRAME_BYTES];
    bool up = is_up(c, c->step);
    struct synth_frame f;
    int rc;

    fill_frame(c, up, &f);
    rc = put(g, c->next_ns, frame, synth_frame_build(&f, frame));
    if (rc == 0 && g->s->noise && dune_rng_below(&g->rng, SYNTH_UNIT) < g->s->noise)
        rc = put_noise(g, c, c->next_ns);
    c->n_sent[!up]++;
    c->step++;
    if (c->step < c->n_steps)
        c->next_ns += gap_before(c, c->step);
    return rc;
}

/* How many directed flows of a conversation have at least n packets. */
static uint64_t flows_of(const struct conv *c, uint32_t n)
{
    uint32_t sent[2] = {0, 0}, i;

    for (i = 0; i < c->n_steps && (sent[0] < n || sent[1] < n); i++)
        sent[!is_up(c, i)]++;
    return (uint64_t)(sent[0] >= n) + (sent[1] >= n);
}

/* Mean life of conversations, from a sample: with it, the wanted number is alive at a time. */
static uint64_t mean_life(struct gen *g)
{
    uint64_t total = 0, i;
    uint32_t k;
    struct conv c;

    for (i = 0; i < 256; i++) {
        start_conv(g, &c, UINT64_MAX - i, 0);
        for (k = 1; k < c.n_steps; k++)
            total += gap_before(&c, k);
    }
    return total / 256 + 1;
}

static void begin(struct gen *g)
{
    struct conv c;
    uint64_t n;
    struct synth_dist gap = {.draw = SYNTH_EXP, .max = INT64_MAX};

    start_conv(g, &c, g->next_id++, g->next_start_ns);
    n = flows_of(&c, 1);
    g->res->n_flows += n;
    g->res->n_flows_ge3 += flows_of(&c, 3);
    g->res->flows_by_class[c.cls] += n;
    DUNE_VEC_PUSH(&g->heap, c);
    sift_up(g, g->heap.len - 1);
    gap.mean = (int64_t)g->mean_start_ns;
    g->next_start_ns += (uint64_t)synth_draw(&gap, &g->rng);
}

static int run(struct gen *g, uint64_t n_flows, struct dune_progress *progress)
{
    uint64_t told = 0;
    int rc = 0;

    while (rc == 0) {
        bool more = g->res->n_flows < n_flows;
        if (more && (g->heap.len == 0 || g->next_start_ns <= g->heap.data[0].next_ns)) {
            begin(g);
            if (g->res->n_flows - told >= 64) {
                dune_progress_add(progress, g->res->n_flows - told);
                told = g->res->n_flows;
            }
            if (dune_interrupted())
                return DUNE_E_INTERRUPTED;
            continue;
        }
        if (g->heap.len == 0)
            return 0;
        rc = emit(g, &g->heap.data[0]);
        if (g->heap.data[0].step == g->heap.data[0].n_steps)
            g->heap.data[0] = g->heap.data[--g->heap.len];
        sift_down(g, 0);
    }
    return rc;
}

int synth_capture_write(const struct dune_synth *s, const struct dune_synth_cfg *cfg, const char *path,
                        uint64_t capture, uint64_t start_ns, uint64_t n_flows, struct synth_result *res,
                        struct dune_progress *progress, struct dune_diag *d)
{
    struct gen g = {.s = s, .cfg = cfg, .capture = capture, .next_start_ns = start_ns, .res = res, .d = d};
    size_t i;
    int rc = dune_writer_open(&g.out, path, d);

    if (rc)
        return rc;
    dune_rng_init(&g.rng, cfg->seed, UINT64_C(0x63617074), capture, 0);
    g.mean_start_ns = mean_life(&g) / cfg->concurrency + 1;
    for (i = 0; i < s->n_classes; i++)
        g.next_port[i] = (uint16_t)dune_rng_below(&g.rng, 28232);
    rc = run(&g, n_flows, progress);
    if (rc)
        dune_writer_abort(g.out);
    else
        rc = dune_writer_commit(g.out, d);
    DUNE_VEC_FREE(&g.heap);
    return rc;
}
