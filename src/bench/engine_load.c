/* SPDX-License-Identifier: Apache-2.0 */
#include "bench/engine_load.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

/* --- traffic ---------------------------------------------------------------------------------------- */

/* Lengths fall off as 1 / rank and add up to mean * n_flows; every flow has a packet. */
static uint64_t zipf_lengths(uint32_t *len, uint32_t n_flows, uint32_t mean)
{
    double sum = 0, scale;
    uint64_t total = 0;

    for (uint32_t r = 1; r <= n_flows; r++)
        sum += 1.0 / r;
    scale = (double)mean * n_flows / sum;
    for (uint32_t r = 0; r < n_flows; r++) {
        len[r] = (uint32_t)DUNE_MAX(1.0, floor(scale / (r + 1) + 0.5));
        total += len[r];
    }
    return total;
}

void bench_load_init(struct bench_load *l, enum bench_mix mix, uint32_t n_flows, uint64_t seed)
{
    uint32_t *len = dune_mem_alloc(n_flows, sizeof(*len));
    uint64_t at = 0;
    struct dune_rng r;

    *l = (struct bench_load){.n_flows = n_flows, .n = (uint64_t)n_flows * LOAD_POINT};
    for (uint32_t f = 0; f < n_flows; f++)
        len[f] = LOAD_POINT;
    if (mix == BENCH_STEADY)
        l->n = zipf_lengths(len, n_flows, 20);
    l->order = dune_mem_alloc(l->n, sizeof(*l->order));
    for (uint32_t f = 0; f < n_flows; f++)
        for (uint32_t k = 0; k < len[f]; k++)
            l->order[at++] = f;
    dune_rng_init(&r, seed, 0x10ad, 0, 0);
    for (uint64_t i = l->n - 1; i > 0; i--) {
        uint64_t j = dune_rng_below(&r, i + 1);
        uint32_t swap = l->order[i];

        l->order[i] = l->order[j];
        l->order[j] = swap;
    }
    dune_mem_free(len);
}

void bench_load_fini(struct bench_load *l)
{
    dune_mem_free(l->order);
}

static void put16(uint8_t *p, uint32_t v)
{
    p[0] = (uint8_t)(v >> 8);
    p[1] = (uint8_t)v;
}

/* Every class has four kinds of packets, which overlap with those of others. */
static void make_frame(uint8_t *f, uint64_t flow, uint64_t packet)
{
    static const uint8_t head[] = {2, 0, 0, 0, 0, 1, 2, 0, 0, 0, 0, 2, 8, 0, 0x45, 0};
    uint64_t who = dune_mix64(flow, 0xf10), draw = dune_mix64(who, packet);
    uint32_t cls = (uint32_t)(who % LOAD_CLASSES), kind = (uint32_t)(draw & 3);
    uint64_t style = dune_mix64(cls, kind);

    memcpy(f, head, sizeof(head));
    put16(f + 16, 60 + (uint32_t)(style % 1000) + (uint32_t)(draw >> 8 & 255));      /* length */
    memset(f + 18, 0, 4);
    f[22] = (uint8_t)((style >> 10 & 1 ? 64 : 128) - (who >> 20 & 15));              /* TTL */
    f[23] = 6;
    memset(f + 24, 0, 2);
    put16(f + 26, 0x0a00 | (uint32_t)(flow >> 16 & 255)), put16(f + 28, (uint32_t)flow & 0xffff);
    put16(f + 30, 0x0b01), put16(f + 32, (uint32_t)(who >> 32 & 0xfff));
    put16(f + 34, 1024 + (uint32_t)(who >> 44 & 0x3fff));
    put16(f + 36, (uint32_t)(dune_mix64(cls, who & 7) & 0x7ff) + (uint32_t)(who >> 8 & 127)); /* port */
    memset(f + 38, 0, 8);
    f[46] = 0x50;
    f[47] = (uint8_t)(0x10 | (draw >> 30 & 8));
    put16(f + 48, (uint32_t)(style >> 20 & 0x7fff) + (uint32_t)(draw >> 40 & 0x1fff)); /* window */
    memset(f + 50, 0, 10);
}

size_t bench_load_fill(const struct bench_load *l, uint64_t at, struct bench_batch *b)
{
    size_t n = (size_t)DUNE_MIN((uint64_t)LOAD_BATCH, l->n - at);

    for (size_t i = 0; i < n; i++) {
        make_frame(b->frame[i], l->order[at + i], at + i);
        b->pkt[i] = (struct dune_chain_packet){b->frame[i], 60, 60, 1000000 + (at + i) / 16};
    }
    return n;
}

enum { MOST_FRAMES = 1 << 20 };

void bench_frames_init(struct bench_frames *f, enum bench_mix mix, uint32_t n_flows)
{
    struct bench_batch *b = dune_mem_alloc(1, sizeof(*b));
    struct bench_load load;

    bench_load_init(&load, mix, n_flows, 1);
    f->n = (uint32_t)DUNE_MIN(load.n, (uint64_t)MOST_FRAMES);
    f->bytes = dune_mem_zalloc(f->n, 64);
    f->pkt = dune_mem_alloc(f->n, sizeof(*f->pkt));
    for (uint32_t at = 0; at < f->n; at += LOAD_BATCH) {
        size_t n = bench_load_fill(&load, at, b);

        for (size_t i = 0; i < n && at + i < f->n; i++) {
            memcpy(f->bytes + (at + i) * 64, b->pkt[i].data, 60);
            f->pkt[at + i] = (struct dune_chain_packet){f->bytes + (at + i) * 64, 60, 60, 0};
        }
    }
    bench_load_fini(&load);
    dune_mem_free(b);
}

void bench_frames_fini(struct bench_frames *f)
{
    dune_mem_free(f->bytes);
    dune_mem_free(f->pkt);
}

/* --- plans ------------------------------------------------------------------------------------------ */

static const uint8_t feats[] = {DUNE_F_IP_LEN, DUNE_F_IP_TTL, DUNE_F_DSTPORT, DUNE_F_TCP_WINDOW,
                                DUNE_F_LEN_MIN, DUNE_F_LEN_MAX, DUNE_F_LEN_TOTAL, DUNE_F_LEN_1};
enum { N_FEATS = DUNE_ARRAY_LEN(feats), TRAIN_FLOWS = 12000, OWN = 4 };

/* Rows of flows that the traffic does not have; sub-model s knows OWN classes, the others are Other. */
static void make_rows(struct dune_table *t, uint32_t s)
{
    uint32_t x[DUNE_N_FEATURES];
    uint8_t f[128];
    size_t row = 0;

    for (uint64_t flow = 0; flow < TRAIN_FLOWS; flow++) {
        struct dune_flow_regs regs = {0};
        uint64_t number = flow + (UINT64_C(1) << 40);
        uint32_t cls = (uint32_t)(dune_mix64(number, 0xf10) % LOAD_CLASSES);
        uint32_t own = (cls + LOAD_CLASSES - s * 3 % LOAD_CLASSES) % LOAD_CLASSES;

        for (uint32_t k = 0; k < LOAD_POINT; k++, row++) {
            struct dune_packet p;

            make_frame(f, number, k);
            dune_packet_parse(&p, f, 60, &dune_parser_limits_default, DUNE_ETHERTYPE_SHIM_DEFAULT);
            dune_flow_update(&regs, &p, k);
            dune_feature_vector(&p, &regs, x);
            for (uint32_t j = 0; j < N_FEATS; j++)
                t->col[j][row] = x[feats[j]];
            t->cls[row] = (uint16_t)DUNE_MIN(own, OWN);
            if (dune_mix64(number, k) % 16 == 0) /* nobody's labels are clean */
                t->cls[row] = (uint16_t)(dune_mix64(number, 77) % (OWN + 1));
            t->w[row] = DUNE_WEIGHT_ONE;
        }
    }
}

static int train(struct dune_submodel *sm, uint32_t s, uint32_t leaves, uint32_t depth, struct dune_diag *d)
{
    uint32_t *col[N_FEATS];
    uint8_t feat[N_FEATS], to_plan[OWN + 1];
    struct dune_table t = {.n_rows = (size_t)TRAIN_FLOWS * LOAD_POINT, .n_cols = N_FEATS, .n_classes = OWN + 1,
                           .feat = feat, .col = col};
    const struct dune_train_cfg cfg = {.n_trees = 3, .max_leaves = leaves, .max_depth = depth,
                                       .bootstrap = true, .seed = 1 + s, .threads = 1};
    struct dune_forest *f = NULL;
    int rc;

    memcpy(feat, feats, sizeof(feat));
    for (uint32_t j = 0; j < N_FEATS; j++)
        col[j] = dune_mem_alloc(t.n_rows, sizeof(uint32_t));
    t.cls = dune_mem_alloc(t.n_rows, sizeof(*t.cls));
    t.w = dune_mem_alloc(t.n_rows, sizeof(*t.w));
    make_rows(&t, s);
    for (uint32_t c = 0; c < OWN; c++)
        to_plan[c] = (uint8_t)(1 + (c + s * 3) % LOAD_CLASSES);
    to_plan[OWN] = DUNE_PLAN_OTHER;
    rc = dune_forest_train(&f, &t, &cfg, d);
    if (rc == 0)
        rc = dune_submodel_from_forest(sm, f, 3, 0, to_plan, d);
    dune_forest_free(f);
    for (uint32_t j = 0; j < N_FEATS; j++)
        dune_mem_free(col[j]);
    dune_mem_free(t.cls);
    dune_mem_free(t.w);
    return rc;
}

static int by_value(const void *a, const void *b)
{
    return *(const uint8_t *)a - *(const uint8_t *)b;
}

static int add_submodel(struct dune_plan *p, uint32_t s, uint32_t leaves, uint32_t depth, struct dune_diag *d)
{
    struct dune_submodel *sm = &p->sub[s];

    sm->id = (uint8_t)(s + 1);
    sm->n = LOAD_POINT;
    sm->mode = DUNE_MODE_RUNNING;
    sm->device = (uint16_t)s;
    sm->n_classes = OWN;
    sm->cls = DUNE_NEW_N(uint8_t, OWN);
    for (uint32_t c = 0; c < OWN; c++)
        sm->cls[c] = (uint8_t)(1 + (c + s * 3) % LOAD_CLASSES);
    qsort(sm->cls, OWN, 1, by_value);
    return train(sm, s, leaves, depth, d);
}

int bench_load_plan(struct dune_plan **out, uint32_t n_sub, uint32_t n_devices, uint32_t leaves,
                    enum dune_hash_kind hash, struct dune_diag *d)
{
    return bench_load_plan_deep(out, n_sub, n_devices, leaves, 0, hash, d);
}

int bench_load_plan_deep(struct dune_plan **out, uint32_t n_sub, uint32_t n_devices, uint32_t leaves, uint32_t depth,
                         enum dune_hash_kind hash, struct dune_diag *d)
{
    struct dune_plan *p = dune_plan_new();
    int rc = 0;

    p->hash = hash;
    dune_plan_set_seed(p, 1);
    p->n_classes = LOAD_CLASSES;
    p->cls = DUNE_NEW_N(struct dune_plan_class, LOAD_CLASSES);
    for (uint32_t c = 0; c < LOAD_CLASSES; c++)
        p->cls[c].name = dune_mem_printf("class%02u", c + 1);
    p->n_devices = DUNE_MAX(n_sub, n_devices);
    p->device = DUNE_NEW_N(struct dune_plan_device, p->n_devices);
    for (uint32_t i = 0; i < p->n_devices; i++) {
        p->device[i].name = dune_mem_printf("s%u", i + 1);
        p->device[i].profile = dune_mem_strdup("engine");
    }
    p->ways = 8;
    p->n_submodels = n_sub;
    p->sub = DUNE_NEW_N(struct dune_submodel, n_sub + 1);
    for (uint32_t s = 0; s < n_sub && rc == 0; s++)
        rc = add_submodel(p, s, leaves, depth, d);
    if (rc == 0 && n_sub)
        rc = dune_plan_verify(p, d);
    if (rc)
        dune_plan_free(p);
    else
        *out = p;
    return rc;
}
