/* SPDX-License-Identifier: Apache-2.0 */
/* /metrics in the text format of Prometheus (version 0.0.4). */
#include "dash/dash_int.h"

#include <string.h>

static void head(struct dune_buf *b, const char *name, const char *type, const char *help)
{
    dune_buf_printf(b, "# HELP dune_%s %s\n# TYPE dune_%s %s\n", name, help, name, type);
}

static void put_uint(struct dune_buf *b, const char *name, const char *type, const char *help, uint64_t v)
{
    head(b, name, type, help);
    dune_buf_printf(b, "dune_%s %llu\n", name, (unsigned long long)v);
}

/* The value of a label: backslash, quote and line end are escaped; bytes that are no UTF-8 become '?'. */
static void put_label(struct dune_buf *b, const char *text)
{
    for (; *text; text++) {
        unsigned char c = (unsigned char)*text;
        unsigned more = c < 0x80 ? 0 : c >= 0xc2 && c < 0xe0 ? 1 : c >= 0xe0 && c < 0xf0 ? 2 : c >= 0xf0 && c < 0xf5 ? 3 : 9;
        bool good = more < 9;

        for (unsigned i = 1; good && i <= more; i++)
            good = ((unsigned char)text[i] & 0xc0) == 0x80;
        if (c == '\\' || c == '"')
            dune_buf_printf(b, "\\%c", c);
        else if (c == '\n')
            dune_buf_puts(b, "\\n");
        else if (c < 0x20 || c == 0x7f || !good)
            dune_buf_puts(b, "?");
        else
            dune_buf_append(b, text, 1 + more), text += more;
    }
}

static void put_totals(struct dune_buf *b, const struct dash_totals *t)
{
    put_uint(b, "packets_total", "counter", "Packets that entered the chain.", t->packets);
    put_uint(b, "bytes_total", "counter", "Bytes that entered the chain.", t->bytes);
    put_uint(b, "packets_inferable_total", "counter", "Packets that the chain judges.", t->inferable);
    put_uint(b, "packets_claimed_total", "counter", "Packets with a class.", t->claimed);
    put_uint(b, "packets_settled_total", "counter", "Packets whose verdict no later packet can change.", t->settled);
    put_uint(b, "packets_collided_total", "counter", "Packets without a slot on some device.", t->collided);
    put_uint(b, "packets_pl_total", "counter", "Packets judged at packet level.", t->pl);
    put_uint(b, "packets_fl_total", "counter", "Packets judged at flow level.", t->fl);
    put_uint(b, "flows_total", "counter", "Flows with a verdict.", t->flows);
    put_uint(b, "flows_claimed_total", "counter", "Flows with a class.", t->flows_claimed);
    put_uint(b, "digests_total", "counter", "Verdicts that devices reported.", t->digests);
    put_uint(b, "running", "gauge", "1 while packets are sent.", t->state == DUNE_DASH_RUNNING);
}

static void put_f1(struct dune_buf *b, const struct dash_scene *s)
{
    struct dune_f1 f[2] = {dash_board_f1(&s->shown, DASH_FLOW_LEVEL, NULL, NULL), dash_scene_window(s)};
    static const char *const span[] = {"overall", "window"};

    if (!s->labels)
        return;
    head(b, "f1", "gauge", "F1 at flow level.");
    for (int i = 0; i < 2; i++) {
        dune_buf_printf(b, "dune_f1{average=\"macro\",span=\"%s\"} %.6f\n", span[i], f[i].macro);
        dune_buf_printf(b, "dune_f1{average=\"weighted\",span=\"%s\"} %.6f\n", span[i], f[i].weighted);
        dune_buf_printf(b, "dune_f1{average=\"micro\",span=\"%s\"} %.6f\n", span[i], f[i].micro);
    }
    head(b, "coverage", "gauge", "Share of the labelled traffic with a class.");
    for (int i = 0; i < 2; i++)
        dune_buf_printf(b, "dune_coverage{span=\"%s\"} %.6f\n", span[i], f[i].coverage);
}

static void put_device_metric(struct dune_buf *b, const struct dash_scene *s, const char *name, const char *type,
                              const char *help, size_t offset)
{
    head(b, name, type, help);
    for (uint32_t i = 0; i < s->n_devices; i++) {
        const uint64_t *v = (const uint64_t *)((const char *)&s->shown.dev[i] + offset);

        dune_buf_printf(b, "dune_%s{device=\"", name);
        put_label(b, s->device[i].name);
        dune_buf_printf(b, "\"} %llu\n", (unsigned long long)*v);
    }
}

static void put_devices(struct dune_buf *b, const struct dash_scene *s)
{
#define DEV(name, type, help, field) put_device_metric(b, s, name, type, help, offsetof(struct dash_dev, field))
    DEV("device_packets_total", "counter", "Packets that came in.", in);
    DEV("device_inferred_total", "counter", "Packets that went through the sub-models.", inferred);
    DEV("device_rule_hits_total", "counter", "Packets whose verdict a known-flow rule wrote.", rule_hit);
    DEV("device_flows_total", "counter", "Flows whose verdict was made here.", flows);
    DEV("device_collisions_total", "counter", "Packets without a slot.", collisions);
    DEV("device_digests_total", "counter", "Verdicts reported.", digests);
    DEV("device_lost_total", "counter", "Packets that could not be taken or sent.", lost);
    DEV("device_slots_used", "gauge", "Slots of the flow table that are taken.", slots_used);
    DEV("device_slots", "gauge", "Slots of the flow table.", slots);
    DEV("device_hop_p50_nanoseconds", "gauge", "Median time inside the device; 0: not measured.", hop_p50_ns);
    DEV("device_hop_p90_nanoseconds", "gauge", "90th percentile of the time inside the device.", hop_p90_ns);
    DEV("device_hop_p99_nanoseconds", "gauge", "99th percentile of the time inside the device.", hop_p99_ns);
#undef DEV
    head(b, "device_up", "gauge", "1 while the device reports.");
    for (uint32_t i = 0; i < s->n_devices; i++) {
        dune_buf_puts(b, "dune_device_up{device=\"");
        put_label(b, s->device[i].name);
        dune_buf_printf(b, "\"} %d\n", s->shown.dev[i].state == DASH_OK || s->shown.dev[i].state == DASH_BARE);
    }
}

/* The classes with flows, up to a number that a scraper can bear. */
static void put_classes(struct dune_buf *b, const struct dash_scene *s)
{
    uint32_t n = 0;

    head(b, "class_flows_total", "counter", "Flows with this class.");
    for (uint32_t i = 0; i < s->n_classes && n < 300; i++) {
        if (!s->shown.by_class[i])
            continue;
        n++;
        dune_buf_puts(b, "dune_class_flows_total{class=\"");
        put_label(b, s->class_name[i]);
        dune_buf_printf(b, "\"} %llu\n", (unsigned long long)s->shown.by_class[i]);
    }
}

static void put_latency(struct dune_buf *b, const struct dash_totals *t)
{
    head(b, "chain_latency_nanoseconds", "gauge", "Time over the chain by quantile; 0: not measured.");
    dune_buf_printf(b, "dune_chain_latency_nanoseconds{quantile=\"0.5\"} %llu\n", (unsigned long long)t->chain_p50_ns);
    dune_buf_printf(b, "dune_chain_latency_nanoseconds{quantile=\"0.9\"} %llu\n", (unsigned long long)t->chain_p90_ns);
    dune_buf_printf(b, "dune_chain_latency_nanoseconds{quantile=\"0.99\"} %llu\n", (unsigned long long)t->chain_p99_ns);
}

void dash_metrics_text(struct dune_dash *dash, struct dune_buf *b)
{
    pthread_mutex_lock(&dash->lock);
    put_uint(b, "dashboard_uptime_seconds", "gauge", "Since the dashboard started.",
             (dune_now_ns() - dash->start_ns) / 1000000000u);
    put_uint(b, "dashboard_readers", "gauge", "Streams of events that are open.", dash->n_readers);
    put_uint(b, "dashboard_readers_dropped_total", "counter", "Streams ended because they took nothing.",
             dash->n_readers_dropped);
    put_uint(b, "dashboard_requests_total", "counter", "Requests.", dash->n_requests);
    put_uint(b, "dashboard_refused_total", "counter", "Requests that were refused.", dash->n_refused);
    put_uint(b, "dashboard_scenes_total", "counter", "Runs shown.", dash->n_scenes);
    if (dash->scene) {
        put_totals(b, &dash->scene->shown.t);
        put_f1(b, dash->scene);
        put_latency(b, &dash->scene->shown.t);
        put_devices(b, dash->scene);
        put_classes(b, dash->scene);
    }
    pthread_mutex_unlock(&dash->lock);
}
