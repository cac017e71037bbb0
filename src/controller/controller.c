/* SPDX-License-Identifier: Apache-2.0 */
/* The controller's life, what it hears, and what it watches. */
#include "controller/controller_int.h"

#include <stdlib.h>
#include <string.h>

void dune_ctl_note(struct dune_controller *c, const char *fmt, ...)
{
    char text[1024];
    va_list ap;

    if (!c->cfg.note)
        return;
    va_start(ap, fmt);
    vsnprintf(text, sizeof(text), fmt, ap);
    va_end(ap);
    c->cfg.note(c->cfg.note_ctx, text);
}

struct ctl_device *dune_ctl_find_device(const struct dune_controller *c, const char *name)
{
    uint32_t lo = 0, hi = c->n_devices;

    while (lo < hi) {
        uint32_t mid = (lo + hi) / 2;
        int order = strcmp(name, c->device[c->by_name[mid]].name);

        if (order == 0)
            return &c->device[c->by_name[mid]];
        if (order < 0)
            hi = mid;
        else
            lo = mid + 1;
    }
    return NULL;
}

bool dune_ctl_send(struct dune_controller *c, struct ctl_device *dev, struct dune_ctl_msg *m)
{
    struct dune_buf text = {0};
    struct dune_diag ignored = {0};
    char subject[DUNE_CTL_NAME + 16];
    int rc;

    if (!c->leader || c->now_ns >= c->lease_until)
        return false;
    memcpy(m->device, dev->name, sizeof(m->device));
    m->epoch = c->epoch;
    m->seq = ++c->seq;
    snprintf(subject, sizeof(subject), "dune.cmd.%s", dev->name);
    dune_ctl_format(m, &text);
    rc = c->bus->ops->publish(c->bus, subject, text.data, text.len, &ignored);
    dune_buf_fini(&text);
    dev->sent_ns = c->now_ns;
    dev->sent_seq = m->seq;
    c->stats.bus_errors += rc != 0;
    return rc == 0;
}

/* --- what devices say ---------------------------------------------------------------------------------------- */

static void take_report(struct dune_controller *c, struct ctl_device *dev, const struct dune_ctl_msg *m)
{
    if (dev->reported && dev->report.boot != m->report.boot) {
        dune_ctl_note(c, "device %s has started again", dev->name);
        memset(&dev->at_update, 0, sizeof(dev->at_update));
        dev->at_update_boot = m->report.boot;
        dev->second = m->report;
        dev->second_ns = c->now_ns;
    } else if (dev->reported && m->report.tick < dev->report.tick &&
               dev->report.tick - m->report.tick < dune_tick(c->cfg.lost_ns)) {
        return; /* overtaken by a later one; much older means that a clock was set back */
    }
    if (!dev->reported || dev->lost)
        dune_ctl_note(c, "device %s is there", dev->name);
    if (!dev->reported) {
        dev->second = m->report;
        dev->second_ns = c->now_ns;
    }
    dev->reported = true;
    dev->lost = false;
    dev->heard_ns = c->now_ns;
    dev->report_epoch = m->epoch;
    dev->report_seq = m->seq;
    dev->report = m->report;
    if (m->epoch > c->epoch && c->leader)
        dune_ctl_note(c, "device %s obeys epoch %llu, ours is %llu", dev->name, (unsigned long long)m->epoch,
                      (unsigned long long)c->epoch);
}

static void on_device(void *ctx, const char *subject, const void *data, size_t len)
{
    struct dune_controller *c = ctx;
    struct dune_ctl_msg *m = DUNE_NEW(struct dune_ctl_msg);
    struct dune_diag d = {0};
    struct ctl_device *dev = NULL;

    (void)subject;
    c->n_heard++;
    if (dune_ctl_parse(m, data, len, &d) == 0)
        dev = dune_ctl_find_device(c, m->device);
    if (!dev) {
        c->stats.bad_messages++;
    } else if (m->kind == DUNE_CTL_REPORT) {
        take_report(c, dev, m);
    } else if (m->kind == DUNE_CTL_DIGESTS) {
        if (c->leader && c->state_read)
            dune_ctl_take_digests(c, dev, m);
    } else if (m->kind == DUNE_CTL_DRIFT) {
        if (c->leader && c->state_read)
            dune_ctl_take_drift(c, dev, m);
    } else if (m->kind == DUNE_CTL_REFUSED) {
        c->stats.refused++;
        if (m->generation && m->generation == c->shadow.generation) /* not asked again for this one */
            dev->shadow_refused = m->generation;
        dune_ctl_note(c, "device %s refuses: %s", dev->name, m->text);
    } else {
        c->stats.bad_messages++;
    }
    dune_ctl_msg_fini(m);
    dune_mem_free(m);
}

static void on_digests(void *ctx, const char *subject, const void *data, size_t len)
{
    struct dune_controller *c = ctx;

    (void)subject;
    c->n_heard++;
    if (c->leader && c->state_read)
        dune_ctl_digests_wait(c, data, len);
}

/* --- health ---------------------------------------------------------------------------------------------------- */

static void alarm_on(struct dune_controller *c, struct ctl_device *dev, bool *raised, bool now, const char *what)
{
    if (now && !*raised) {
        c->stats.alarms++;
        dune_ctl_note(c, "alarm: device %s: %s", dev->name, what);
    } else if (!now && *raised) {
        dune_ctl_note(c, "device %s: over: %s", dev->name, what);
    }
    *raised = now;
}

static void check_rates(struct dune_controller *c, struct ctl_device *dev)
{
    const struct dune_counters *a = &dev->second.counters, *b = &dev->report.counters;
    uint64_t inferred = b->inferred - a->inferred, without = b->collisions - a->collisions;

    if (c->now_ns - dev->second_ns < 1000000000u)
        return;
    if (inferred >= 100)
        alarm_on(c, dev, &dev->colliding, without * 1000 > inferred * c->cfg.collision_alarm,
                 "many packets find no slot (a flood, or a flow table that is too small)");
    alarm_on(c, dev, &dev->full, b->rules_full > a->rules_full, "its rule table is full");
    dev->second = dev->report;
    dev->second_ns = c->now_ns;
}

/* With the classes that only sub-models of this position claim. */
static void tell_lost(struct dune_controller *c, const struct ctl_device *dev)
{
    const struct dune_plan *p = c->base.plan;
    struct dune_buf names = {0};

    for (uint32_t s = 0; p && s < p->n_submodels; s++)
        for (uint32_t k = 0; p->sub[s].device == dev->position && k < p->sub[s].n_classes; k++)
            dune_buf_printf(&names, "%s%.40s", names.len ? ", " : "", p->cls[p->sub[s].cls[k] - 1].name);
    dune_ctl_note(c, "alarm: device %s is lost: the classes of its sub-models stay unclaimed: %.300s", dev->name,
                  names.len ? names.data : "none, it held no sub-model");
    dune_buf_fini(&names);
}

static void check_devices(struct dune_controller *c)
{
    for (uint32_t i = 0; i < c->n_devices; i++) {
        struct ctl_device *dev = &c->device[i];

        dev->heard_ns = DUNE_MIN(dev->heard_ns, c->now_ns); /* the clock may be set back */
        if (dev->reported && !dev->lost && c->now_ns > dev->heard_ns + c->cfg.lost_ns) {
            dev->lost = true;
            c->stats.alarms++;
            tell_lost(c, dev);
        }
        if (dev->reported && !dev->lost)
            check_rates(c, dev);
    }
}

static bool coverage_fell(const struct dune_controller *c)
{
    const struct ctl_plan *a = &c->base, *b = &c->next;

    if (a->flows < c->cfg.min_flows || b->flows < c->cfg.min_flows)
        return false;
    /* shares as cross products: claimed / flows + drop / 1000 < the other */
    return (double)b->claimed / (double)b->flows + c->cfg.coverage_drop / 1000.0 <
           (double)a->claimed / (double)a->flows;
}

static bool errors_rose(const struct dune_controller *c)
{
    uint64_t bad = 0, in = 0;

    for (uint32_t i = 0; i < c->n_devices; i++) {
        const struct ctl_device *dev = &c->device[i];
        const struct dune_counters *a = &dev->at_update, *b = &dev->report.counters;

        if (!dev->reported || dev->lost || dev->bare || dev->at_update_boot != dev->report.boot)
            continue;
        bad += b->generation_missing - a->generation_missing + b->shim_bad - a->shim_bad;
        in += b->in - a->in;
    }
    return in >= 1000 && bad * 1000 > in * c->cfg.error_share;
}

/* Automatic rollback, alarms. */
static void watch(struct dune_controller *c)
{
    bool coverage, errors;

    check_devices(c);
    if (c->cfg.no_auto_rollback || !c->base.generation || !c->next.generation ||
        (c->phase != DUNE_PHASE_CANARY && c->phase != DUNE_PHASE_SWITCHING && c->phase != DUNE_PHASE_DRAINING))
        return;
    coverage = coverage_fell(c);
    errors = errors_rose(c);
    if (!coverage && !errors)
        return;
    c->stats.alarms++;
    dune_ctl_note(c, "alarm: generation %u: %s; rollback to %u", c->next.generation,
                  coverage ? "fewer flows are claimed than before" : "devices count shim errors",
                  c->base.generation);
    dune_ctl_go_back(c);
}

/* --- life -------------------------------------------------------------------------------------------------------- */

static void set_defaults(struct dune_controller_cfg *cfg)
{
#define DEFAULT(field, value)                                                                      \
    if (cfg->field == 0)                                                                           \
        cfg->field = (value)
    DEFAULT(lease_ns, 5000000000u);
    DEFAULT(lost_ns, 3000000000u);
    DEFAULT(resend_ns, 300000000u);
    DEFAULT(grace_ns, 100000000u);
    DEFAULT(rule_rate, 20000);
    DEFAULT(rule_burst, DUNE_MAX(4096u, cfg->rule_rate / 2)); /* what came while one step was busy */
    DEFAULT(coverage_drop, 100);
    DEFAULT(min_flows, 200);
    DEFAULT(error_share, 10);
    DEFAULT(collision_alarm, 50);
    DEFAULT(drift_window_ns, 300000000000u);
#undef DEFAULT
}

static int name_order(const void *a, const void *b, void *devices)
{
    const struct ctl_device *dev = devices;

    return strcmp(dev[*(const uint32_t *)a].name, dev[*(const uint32_t *)b].name);
}

static int chain_order(const void *a, const void *b, void *devices)
{
    const struct ctl_device *x = (const struct ctl_device *)devices + *(const uint32_t *)a;
    const struct ctl_device *y = (const struct ctl_device *)devices + *(const uint32_t *)b;

    return x->chain != y->chain ? (x->chain < y->chain ? -1 : 1) : (x > y) - (x < y);
}

/* A thousand devices say thousands of things a second: they are found by name, and by chain. */
static int index_devices(struct dune_controller *c, struct dune_diag *d)
{
    c->by_name = dune_mem_alloc(c->n_devices, sizeof(*c->by_name));
    c->by_chain = dune_mem_alloc(c->n_devices, sizeof(*c->by_chain));
    for (uint32_t i = 0; i < c->n_devices; i++)
        c->by_name[i] = c->by_chain[i] = i;
    qsort_r(c->by_name, c->n_devices, sizeof(*c->by_name), name_order, c->device);
    qsort_r(c->by_chain, c->n_devices, sizeof(*c->by_chain), chain_order, c->device);
    for (uint32_t i = 1; i < c->n_devices; i++)
        if (strcmp(c->device[c->by_name[i - 1]].name, c->device[c->by_name[i]].name) == 0)
            return dune_diag_set(d, DUNE_E_USAGE, NULL, "two devices are called %s", c->device[c->by_name[i]].name);
    return 0;
}

static int copy_devices(struct dune_controller *c, const struct dune_controller_cfg *cfg, struct dune_diag *d)
{
    if (cfg->n_devices == 0)
        return dune_diag_set(d, DUNE_E_USAGE, NULL, "a controller needs at least one device");
    c->device = DUNE_NEW_N(struct ctl_device, cfg->n_devices);
    for (uint32_t i = 0; i < cfg->n_devices; i++) {
        const struct dune_controller_device *in = &cfg->device[i];

        if (!dune_ctl_name_ok(in->name))
            return dune_diag_set(d, DUNE_E_USAGE, NULL, "\"%.64s\" cannot be the name of a device: 1 to %d letters, "
                                 "digits, - and _", in->name, DUNE_CTL_NAME - 1);
        if (in->position >= DUNE_MAX_DEVICES)
            return dune_diag_set(d, DUNE_E_USAGE, NULL, "positions are 1 to %d", DUNE_MAX_DEVICES);
        snprintf(c->device[i].name, sizeof(c->device[i].name), "%s", in->name);
        c->device[i].position = in->position;
        c->device[i].chain = in->chain;
        c->n_devices++;
    }
    return index_devices(c, d);
}

int dune_controller_new(struct dune_controller **out, const struct dune_controller_cfg *cfg,
                        struct dune_bus *bus, struct dune_diag *d)
{
    struct dune_controller *c;
    int rc;

    if (!cfg->owner || !*cfg->owner || strlen(cfg->owner) > 100)
        return dune_diag_set(d, DUNE_E_USAGE, NULL, "a controller needs a name of 1 to 100 bytes for its lease");
    c = DUNE_NEW(struct dune_controller);
    c->cfg = *cfg;
    set_defaults(&c->cfg);
    c->owner = dune_mem_strdup(cfg->owner);
    c->bus = bus;
    c->known = DUNE_NEW_N(struct ctl_known, KNOWN_FLOWS);
    c->waiting = DUNE_NEW_N(struct ctl_waiting, CTL_WAITING);
    rc = copy_devices(c, cfg, d);
    if (rc == 0)
        rc = bus->ops->subscribe(bus, "dune.rep.*", on_device, c, d);
    if (rc == 0) /* after the other one: what a bus has for both is delivered in this order */
        rc = bus->ops->subscribe(bus, "dune.dig.*", on_digests, c, d);
    if (rc) {
        dune_controller_free(c);
        return rc;
    }
    *out = c;
    return 0;
}

void dune_controller_free(struct dune_controller *c)
{
    if (!c)
        return;
    dune_ctl_drift_fini(c);
    dune_ctl_plan_fini(&c->base);
    dune_ctl_plan_fini(&c->next);
    dune_ctl_plan_fini(&c->previous);
    dune_ctl_plan_fini(&c->shadow);
    for (uint32_t i = 0; i < c->n_pins; i++) {
        dune_mem_free(c->pin[i].what);
        dune_mem_free(c->pin[i].cls);
    }
    dune_mem_free(c->pending);
    dune_mem_free(c->device);
    dune_mem_free(c->by_name);
    dune_mem_free(c->by_chain);
    dune_ctl_digests_forget(c);
    dune_mem_free(c->waiting);
    dune_mem_free(c->known);
    dune_mem_free(c->owner);
    dune_mem_free(c);
}

/* A bus gives a part of what it has at a time: all of it is taken, or it would wait there where nobody drops it. */
static void hear(struct dune_controller *c)
{
    struct dune_diag ignored = {0};
    uint64_t before;

    for (int i = 0; i < 32; i++) {
        before = c->n_heard;
        c->stats.bus_errors += c->bus->ops->poll(c->bus, 0, &ignored) != 0;
        if (c->n_heard - before < 512)
            return;
    }
}

void dune_controller_step(struct dune_controller *c, uint64_t now_ns)
{
    c->now_ns = now_ns;
    hear(c);
    dune_ctl_lease_step(c);
    if (!c->leader || !c->state_read) {
        dune_ctl_digests_forget(c); /* the next leader hears them again */
        return;
    }
    watch(c);
    dune_ctl_update_step(c);
    dune_ctl_digests_step(c);
    dune_ctl_rules_step(c);
    dune_ctl_drift_step(c);
}

void dune_controller_on_digest(struct dune_controller *c, dune_controller_digest_fn fn, void *ctx)
{
    c->digest_fn = fn;
    c->digest_ctx = ctx;
}

bool dune_controller_report(const struct dune_controller *c, const char *device, struct dune_ctl_report *out)
{
    const struct ctl_device *dev = dune_ctl_find_device(c, device);

    if (dev && dev->reported)
        *out = dev->report;
    return dev && dev->reported;
}

const char *dune_ctl_device_state(const struct ctl_device *dev)
{
    return !dev->reported ? "never seen" : dev->lost ? "lost" : dev->bare ? "bare" : "ok";
}

const char *dune_controller_device_state(const struct dune_controller *c, const char *device)
{
    const struct ctl_device *dev = dune_ctl_find_device(c, device);

    return dev ? dune_ctl_device_state(dev) : "never seen";
}

const struct dune_plan *dune_controller_plan(const struct dune_controller *c)
{
    return c->base.generation ? c->base.plan : NULL;
}

void dune_controller_stats(const struct dune_controller *c, struct dune_controller_stats *out)
{
    *out = c->stats;
    out->phase = c->phase;
    out->leader = c->leader && c->state_read;
    out->pending = c->pending != NULL;
    out->epoch = c->epoch;
    out->base = c->base.generation;
    out->next = c->next.generation;
    out->share = c->share;
    out->n_devices = c->n_devices;
    for (uint32_t i = 0; i < c->n_devices; i++)
        out->n_lost += !c->device[i].reported || c->device[i].lost;
    out->flows[0] = c->base.flows;
    out->claimed[0] = c->base.claimed;
    out->flows[1] = c->next.flows;
    out->claimed[1] = c->next.claimed;
}
