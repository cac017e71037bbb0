/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Simulated traffic: packets of flows on their ways through the devices, each a queue with one server. Devices are
 * visited in the order of the links, so that all arrivals of one are known before it is simulated.
 */
#include "place/place_int.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

enum { FLOWS = 20000, LONGEST = 500 };

struct sim {
    const struct dune_topology *t;
    const struct dune_placement *x;
    struct dune_rng rng;
    uint32_t n_flows, n_packets;
    uint32_t *way_at, *way;    /* devices of flow f: way[way_at[f]] ... */
    size_t way_cap;
    uint32_t *packets_of;      /* [flows] */
    uint32_t *flow;            /* [packets] */
    double *born, *at;         /* [packets]: ns */
    uint32_t *list_at, *list;  /* packets that pass device v */
    double length;             /* of the simulation, ns */
};

static uint32_t service(const struct sim *s, uint32_t v)
{
    const struct dune_topology_device *dev = &s->t->dev[v];

    return dev->hop_ns + (uint32_t)(s->x->answer.out[v] - s->x->answer.in[v]) * dev->submodel_ns;
}

/* Sources by their hosts. */
static uint32_t draw_source(struct sim *s, const uint32_t *source, uint32_t n, uint64_t hosts)
{
    uint64_t pick;

    if (hosts == 0)
        return source[dune_rng_below(&s->rng, n)];
    pick = dune_rng_below(&s->rng, hosts);
    for (uint32_t i = 0; i < n; i++) {
        if (pick < s->t->dev[source[i]].hosts)
            return source[i];
        pick -= s->t->dev[source[i]].hosts;
    }
    return source[n - 1];
}

static void push_way(struct sim *s, uint32_t f, uint32_t v)
{
    if (s->way_at[f + 1] == s->way_cap) {
        s->way_cap = s->way_cap ? s->way_cap * 2 : 4096;
        s->way = dune_mem_realloc(s->way, s->way_cap, sizeof(*s->way));
    }
    s->way[s->way_at[f + 1]++] = v;
}

/* Most flows are short, most packets are in long ones. */
static uint32_t draw_packets(struct sim *s)
{
    double u = 1 - dune_rng_unit(&s->rng);

    return (uint32_t)DUNE_MIN((double)LONGEST, 1 + 3 / u);
}

static void draw_flows(struct sim *s)
{
    const struct dune_topology *t = s->t;
    uint32_t *source = DUNE_NEW_N(uint32_t, t->n), n = 0;
    uint64_t hosts = 0;

    for (uint32_t v = 0; v < t->n; v++)
        if (t->prev_at[v] == t->prev_at[v + 1]) {
            source[n++] = v;
            hosts += t->dev[v].hosts;
        }
    s->way_at = DUNE_NEW_N(uint32_t, (size_t)s->n_flows + 1);
    s->packets_of = DUNE_NEW_N(uint32_t, s->n_flows);
    for (uint32_t f = 0; f < s->n_flows; f++) {
        uint32_t v = draw_source(s, source, n, hosts), k;

        s->way_at[f + 1] = s->way_at[f];
        push_way(s, f, v);
        while ((k = t->next_at[v + 1] - t->next_at[v]) > 0) {
            v = t->next[t->next_at[v] + dune_rng_below(&s->rng, k)];
            push_way(s, f, v);
        }
        s->packets_of[f] = draw_packets(s);
        s->n_packets += s->packets_of[f];
    }
    dune_mem_free(source);
}

/* Work per packet of the network on the busiest device decides how long all packets take at half load. */
static double work_of_busiest(const struct sim *s)
{
    double *work = DUNE_NEW_N(double, s->t->n), most = 0;

    for (uint32_t f = 0; f < s->n_flows; f++)
        for (uint32_t i = s->way_at[f]; i < s->way_at[f + 1]; i++) {
            uint32_t v = s->way[i];

            work[v] += (double)s->packets_of[f] * service(s, v);
            most = DUNE_MAX(most, work[v]);
        }
    dune_mem_free(work);
    return most;
}

/* A flow lasts about a fifth of the time. */
static void draw_packet_times(struct sim *s)
{
    uint32_t p = 0;

    s->flow = DUNE_NEW_N(uint32_t, s->n_packets);
    s->born = DUNE_NEW_N(double, s->n_packets);
    s->at = DUNE_NEW_N(double, s->n_packets);
    for (uint32_t f = 0; f < s->n_flows; f++) {
        double now = dune_rng_unit(&s->rng) * s->length * 0.9, gap = s->length / 5 / s->packets_of[f];

        for (uint32_t i = 0; i < s->packets_of[f]; i++, p++) {
            s->flow[p] = f;
            s->born[p] = s->at[p] = fmod(now, s->length);
            now -= gap * log(1 - dune_rng_unit(&s->rng));
        }
    }
}

static void list_packets(struct sim *s)
{
    s->list_at = DUNE_NEW_N(uint32_t, (size_t)s->t->n + 2);
    for (uint32_t f = 0; f < s->n_flows; f++)
        for (uint32_t i = s->way_at[f]; i < s->way_at[f + 1]; i++)
            s->list_at[s->way[i] + 2] += s->packets_of[f];
    for (uint32_t v = 0; v < s->t->n; v++)
        s->list_at[v + 2] += s->list_at[v + 1];
    s->list = DUNE_NEW_N(uint32_t, (size_t)s->list_at[s->t->n + 1] + 1);
    for (uint32_t p = 0; p < s->n_packets; p++)
        for (uint32_t i = s->way_at[s->flow[p]]; i < s->way_at[s->flow[p] + 1]; i++)
            s->list[s->list_at[s->way[i] + 1]++] = p;
}

struct arrival {
    double at;
    uint32_t packet;
};

static int by_time(const void *x, const void *y)
{
    const struct arrival *a = x, *b = y;

    if (a->at != b->at)
        return a->at < b->at ? -1 : 1;
    return a->packet < b->packet ? -1 : a->packet > b->packet;
}

static int by_value(const void *x, const void *y)
{
    double a = *(const double *)x, b = *(const double *)y;

    return a < b ? -1 : a > b;
}

static double quantile(double *v, size_t n, double q)
{
    if (n == 0)
        return 0;
    qsort(v, n, sizeof(*v), by_value);
    return v[DUNE_MIN(n - 1, (size_t)(q * (double)n))];
}

static void run_device(struct sim *s, uint32_t v, struct dune_place_load *load)
{
    uint32_t n = s->list_at[v + 1] - s->list_at[v], ns = service(s, v);
    struct arrival *a = DUNE_NEW_N(struct arrival, n + 1);
    double *stay = DUNE_NEW_N(double, n + 1), free_at = 0, sum = 0;

    for (uint32_t i = 0; i < n; i++) {
        uint32_t p = s->list[s->list_at[v] + i];

        a[i] = (struct arrival){s->at[p], p};
    }
    qsort(a, n, sizeof(*a), by_time);
    for (uint32_t i = 0; i < n; i++) {
        double begin = DUNE_MAX(a[i].at, free_at);

        free_at = begin + ns;
        stay[i] = free_at - a[i].at;
        s->at[a[i].packet] = free_at;
        sum += stay[i];
    }
    load->packets = n;
    load->busy = (double)n * ns / s->length;
    load->mean_ns = n ? sum / n : 0;
    load->p99_ns = quantile(stay, n, 0.99);
    dune_mem_free(a);
    dune_mem_free(stay);
}

static void sim_fini(struct sim *s)
{
    dune_mem_free(s->way_at);
    dune_mem_free(s->way);
    dune_mem_free(s->packets_of);
    dune_mem_free(s->flow);
    dune_mem_free(s->born);
    dune_mem_free(s->at);
    dune_mem_free(s->list_at);
    dune_mem_free(s->list);
}

void dune_place_traffic(const struct dune_topology *t, const struct dune_placement *x,
                        const struct dune_place_traffic_cfg *cfg, struct dune_place_traffic *out)
{
    struct sim s = {.t = t, .x = x, .n_flows = cfg->flows ? cfg->flows : FLOWS};
    double sum = 0;

    *out = (struct dune_place_traffic){.dev = DUNE_NEW_N(struct dune_place_load, t->n)};
    dune_rng_init(&s.rng, cfg->seed, UINT64_C(0x74726166666963), 0, 0);
    draw_flows(&s);
    s.length = cfg->load > 0 ? s.n_packets * 1e9 / cfg->load : DUNE_MAX(work_of_busiest(&s) * 2, 1.0);
    draw_packet_times(&s);
    list_packets(&s);
    for (uint32_t i = 0; i < t->n; i++)
        run_device(&s, t->order[i], &out->dev[t->order[i]]);
    for (uint32_t f = 0; f < s.n_flows; f++)
        for (uint32_t i = s.way_at[f]; i < s.way_at[f + 1]; i++)
            out->dev[s.way[i]].flows++;
    for (uint32_t p = 0; p < s.n_packets; p++) {
        s.at[p] -= s.born[p];
        sum += s.at[p];
    }
    out->packets = s.n_packets;
    out->flows = s.n_flows;
    out->seconds = s.length / 1e9;
    out->pps = s.n_packets / out->seconds;
    out->mean_ns = s.n_packets ? sum / s.n_packets : 0;
    out->p50_ns = quantile(s.at, s.n_packets, 0.5);
    out->p99_ns = quantile(s.at, s.n_packets, 0.99);
    sim_fini(&s);
}

void dune_place_traffic_fini(struct dune_place_traffic *x)
{
    dune_mem_free(x->dev);
    x->dev = NULL;
}
