/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Updates: which generations a device should hold and stamp in every phase, and the command that brings
 * it one step nearer. Devices are compared, never trusted to have done what they were told.
 */
#include "controller/controller_int.h"

#include <string.h>

const char *dune_ctl_phase_name(enum dune_ctl_phase p)
{
    static const char *const names[] = {
#define X(id, name) name,
        DUNE_CTL_PHASES(X)
#undef X
    };

    return (unsigned)p < DUNE_N_PHASES ? names[p] : "?";
}

/* --- what a device should hold ----------------------------------------------------------------------------- */

struct want {
    const struct ctl_plan *plan[2];
    uint32_t n;
    uint16_t stamp;
    uint32_t share;
};

static struct want wanted(const struct dune_controller *c, const struct ctl_device *dev)
{
    struct want w = {.share = DUNE_CTL_SHARE};
    bool to_next = c->phase == DUNE_PHASE_CANARY || c->phase == DUNE_PHASE_SWITCHING ||
                   c->phase == DUNE_PHASE_DRAINING;

    if (dev->bare)
        return w;
    if (c->base.generation)
        w.plan[w.n++] = &c->base;
    if (c->next.generation)
        w.plan[w.n++] = &c->next;
    w.stamp = to_next || !c->base.generation ? c->next.generation : c->base.generation;
    if (c->phase == DUNE_PHASE_CANARY)
        w.share = c->share;
    return w;
}

static const struct dune_ctl_held *held(const struct ctl_device *dev, uint16_t generation)
{
    for (uint32_t i = 0; i < dev->report.n_held; i++)
        if (dev->report.held[i].generation == generation)
            return &dev->report.held[i];
    return NULL;
}

static const struct ctl_plan *in_want(const struct want *w, const struct dune_ctl_held *h)
{
    for (uint32_t i = 0; i < w->n; i++)
        if (w->plan[i]->generation == h->generation && w->plan[i]->crc == h->crc)
            return w->plan[i];
    return NULL;
}

/* --- commands -------------------------------------------------------------------------------------------------- */

static void send_plan(struct dune_controller *c, struct ctl_device *dev, const struct ctl_plan *p,
                      enum dune_ctl_kind kind)
{
    struct dune_ctl_msg *m = DUNE_NEW(struct dune_ctl_msg);
    bool ok = true;

    m->kind = kind;
    m->generation = p->generation;
    m->position = dev->position;
    m->parts = (uint32_t)((p->len + DUNE_CTL_PART - 1) / DUNE_CTL_PART);
    for (m->part = 0; ok && m->part < m->parts; m->part++) {
        size_t at = (size_t)m->part * DUNE_CTL_PART;

        m->text = p->text + at;
        m->text_len = DUNE_MIN(p->len - at, DUNE_CTL_PART);
        ok = dune_ctl_send(c, dev, m);
    }
    dune_mem_free(m);
}

static void send_plain(struct dune_controller *c, struct ctl_device *dev, enum dune_ctl_kind kind,
                       uint16_t generation, uint32_t share)
{
    struct dune_ctl_msg *m = DUNE_NEW(struct dune_ctl_msg);

    m->kind = kind;
    m->generation = generation;
    m->share = share;
    dune_ctl_send(c, dev, m);
    dune_mem_free(m);
}

/* Something held that should not be: it goes, unless it is stamped and something better can take over. */
static bool remove_surplus(struct dune_controller *c, struct ctl_device *dev, const struct want *w)
{
    const struct dune_ctl_report *r = &dev->report;

    for (uint32_t i = 0; i < r->n_held; i++) {
        const struct dune_ctl_held *h = &r->held[i], *other = r->n_held == 2 ? &r->held[!i] : NULL;

        if (in_want(w, h))
            continue;
        if (h->generation == r->stamped && other && in_want(w, other))
            send_plain(c, dev, DUNE_CTL_STAMP, other->generation, DUNE_CTL_SHARE);
        else if (h->generation == r->stamped && !other && w->n && !held(dev, w->plan[0]->generation))
            return false; /* the wanted one is loaded first: no moment without a plan */
        else if (h->generation == r->stamped && other)
            send_plain(c, dev, DUNE_CTL_CLEAR, 0, 0);
        else
            send_plain(c, dev, DUNE_CTL_UNLOAD, h->generation, 0);
        return true;
    }
    return false;
}

static bool add_missing(struct dune_controller *c, struct ctl_device *dev, const struct want *w)
{
    if (dev->report.n_held >= 2)
        return false;
    for (uint32_t i = 0; i < w->n; i++)
        if (!held(dev, w->plan[i]->generation)) {
            if (c->n_loading >= DUNE_MAX((uint32_t)CTL_LOADS, c->n_devices / 4))
                return true; /* others first */
            send_plan(c, dev, w->plan[i], DUNE_CTL_LOAD);
            dev->loading = true;
            c->n_loading++;
            return true;
        }
    return false;
}

/* The next command that brings the device nearer, if there is one. */
static void bring_nearer(struct dune_controller *c, struct ctl_device *dev)
{
    const struct dune_ctl_report *r = &dev->report;
    struct want w = wanted(c, dev);

    if (r->n_held && r->position != dev->position) {
        send_plain(c, dev, DUNE_CTL_CLEAR, 0, 0);
        return;
    }
    if (remove_surplus(c, dev, &w) || add_missing(c, dev, &w))
        return;
    if (w.stamp && held(dev, w.stamp) && (r->stamped != w.stamp || r->share != w.share)) {
        send_plain(c, dev, DUNE_CTL_STAMP, w.stamp, w.share);
        return;
    }
    if (c->shadow.generation && ctl_is_first(dev) && r->shadow.generation != c->shadow.generation &&
        dev->shadow_refused != c->shadow.generation)
        send_plan(c, dev, &c->shadow, DUNE_CTL_SHADOW);
    else if (!c->shadow.generation && r->shadow.generation)
        send_plain(c, dev, DUNE_CTL_SHADOW, 0, 0);
}

static void stop_loading(struct dune_controller *c, struct ctl_device *dev)
{
    c->n_loading -= dev->loading;
    dev->loading = false;
}

/* How long the last command is waited for: longer with every try, or a busy network only gets busier, and so does
 * one where a device refuses a plan again and again. A plan among many has to wait for the others on its way. */
static uint64_t patience(const struct dune_controller *c, const struct ctl_device *dev, bool shown)
{
    uint64_t pause = shown ? c->cfg.resend_ns / 16 : c->cfg.resend_ns;

    if (dev->loading)
        pause *= 1 + c->n_loading / 32;
    return pause << DUNE_MIN(dev->tries, shown ? 8u : 5u);
}

/* One step. The report in hand must show the effect of the last command, or that one is repeated. */
static void reconcile(struct dune_controller *c, struct ctl_device *dev)
{
    bool shown = dev->report_epoch == c->epoch && dev->report_seq >= dev->sent_seq;
    uint64_t before = dev->sent_seq;
    bool was_plan = dev->was_plan;

    if (!dev->reported || dev->lost) {
        stop_loading(c, dev);
        dev->tries = 0;
        return;
    }
    if (shown)
        stop_loading(c, dev);
    if (dev->sent_ns && c->now_ns - dev->sent_ns < patience(c, dev, shown))
        return;
    stop_loading(c, dev);
    bring_nearer(c, dev);
    if (dev->sent_seq == before)
        return;
    dev->was_plan = dev->loading;
    dev->tries = !shown || (was_plan && dev->was_plan) ? dev->tries + 1 : 0;
}

/* --- phases ------------------------------------------------------------------------------------------------------ */

static bool all_hold(const struct dune_controller *c, const struct ctl_plan *p)
{
    for (uint32_t i = 0; i < c->n_devices; i++) {
        const struct ctl_device *dev = &c->device[i];
        const struct dune_ctl_held *h = held(dev, p->generation);

        if (!dev->bare && (!dev->reported || dev->lost || !h || h->crc != p->crc))
            return false;
    }
    return true;
}

/* Do all first devices stamp this generation for all new flows? With passed: and is the other drained? */
static bool all_stamp(const struct dune_controller *c, uint16_t generation, bool passed)
{
    uint64_t grace = dune_tick(c->cfg.grace_ns);

    for (uint32_t i = 0; i < c->n_devices; i++) {
        const struct ctl_device *dev = &c->device[i];
        const struct dune_ctl_report *r = &dev->report;

        if (!ctl_is_first(dev) || dev->bare)
            continue;
        if (!dev->reported || dev->lost || r->stamped != generation || r->share != DUNE_CTL_SHARE)
            return false;
        if (passed && r->n_held == 2 && (r->tick < grace || r->tick - grace <= r->drain_until))
            return false;
    }
    return true;
}

static void set_phase(struct dune_controller *c, enum dune_ctl_phase p)
{
    struct dune_diag d = {0};

    c->phase = p;
    c->dirty = true;
    if (dune_ctl_state_save(c, &d))
        dune_ctl_note(c, "the desired state is not saved yet: %s", d.msg);
}

static void finish_update(struct dune_controller *c)
{
    dune_ctl_plan_fini(&c->previous);
    c->previous = c->base;
    c->base = c->next;
    memset(&c->next, 0, sizeof(c->next));
    c->stats.updates++;
    set_phase(c, DUNE_PHASE_STEADY);
    dune_ctl_note(c, "generation %u is everywhere", c->base.generation);
}

static void finish_back(struct dune_controller *c)
{
    dune_ctl_note(c, "back at generation %u", c->base.generation);
    dune_ctl_plan_fini(&c->next);
    set_phase(c, DUNE_PHASE_STEADY);
}

static void start_pending(struct dune_controller *c)
{
    struct dune_diag d = {0};
    char *text = c->pending;

    c->pending = NULL;
    if (dune_ctl_start(c, "plan that waited", text, strlen(text), c->pending_share, &d))
        dune_ctl_note(c, "the plan that waited cannot be used: %s", d.msg);
    dune_mem_free(text);
}

static void advance(struct dune_controller *c)
{
    switch (c->phase) {
    case DUNE_PHASE_LOADING:
        if (!all_hold(c, &c->next))
            break;
        dune_ctl_note(c, "generation %u is held by all devices", c->next.generation);
        if (!c->base.generation)
            finish_update(c);
        else
            set_phase(c, c->share < DUNE_CTL_SHARE ? DUNE_PHASE_CANARY : DUNE_PHASE_SWITCHING);
        break;
    case DUNE_PHASE_SWITCHING:
        if (all_stamp(c, c->next.generation, false)) {
            dune_ctl_note(c, "new flows get generation %u, flows of %u end", c->next.generation,
                          c->base.generation);
            set_phase(c, DUNE_PHASE_DRAINING);
        }
        break;
    case DUNE_PHASE_DRAINING:
        if (all_stamp(c, c->next.generation, true))
            finish_update(c);
        break;
    case DUNE_PHASE_BACK:
        if (all_stamp(c, c->base.generation, true))
            finish_back(c);
        break;
    case DUNE_PHASE_EMPTY:
    case DUNE_PHASE_STEADY:
        if (c->pending)
            start_pending(c);
        break;
    default:
        break;
    }
}

void dune_ctl_update_step(struct dune_controller *c)
{
    struct dune_diag ignored = {0};

    if (c->dirty && dune_ctl_state_save(c, &ignored))
        return; /* no command before what it does is written down */
    advance(c);
    if (c->dirty)
        return;
    for (uint32_t i = 0; i < c->n_devices; i++)
        reconcile(c, &c->device[i]);
}

/* --- operators --------------------------------------------------------------------------------------------------- */

static uint16_t new_generation(struct dune_controller *c)
{
    do
        c->last_generation++;
    while (c->last_generation == 0 || c->last_generation == c->base.generation ||
           c->last_generation == c->next.generation || c->last_generation == c->shadow.generation);
    return c->last_generation;
}

static uint32_t chain_length(const struct dune_controller *c)
{
    uint32_t n = 0;

    for (uint32_t i = 0; i < c->n_devices; i++)
        n = DUNE_MAX(n, c->device[i].position + 1u);
    return n;
}

static int check_fits(struct dune_controller *c, const struct ctl_plan *p, struct dune_diag *d)
{
    for (uint32_t s = 0; s < p->plan->n_submodels; s++) {
        bool found = false;

        for (uint32_t i = 0; i < c->n_devices; i++)
            found |= c->device[i].position == p->plan->sub[s].device;
        if (!found)
            return dune_diag_set(d, DUNE_E_USAGE, NULL, "the plan has a sub-model on device %u, this controller has no "
                                 "device there", p->plan->sub[s].device + 1u);
    }
    if (c->base.plan && c->base.plan->shim_ethertype != p->plan->shim_ethertype)
        return dune_diag_set(d, DUNE_E_USAGE, NULL, "the plan has shim EtherType %04x, the devices run with %04x",
                             p->plan->shim_ethertype, c->base.plan->shim_ethertype);
    if (p->plan->claim == DUNE_CLAIM_VOTES)
        return dune_diag_set(d, DUNE_E_USAGE, NULL, "claim rule votes needs counters beside the packet, which only the "
                             "planner and replay have");
    return 0;
}

static void begin_update(struct dune_controller *c)
{
    for (uint32_t i = 0; i < c->n_devices; i++) {
        c->device[i].at_update = c->device[i].report.counters;
        c->device[i].at_update_boot = c->device[i].report.boot;
    }
}

int dune_ctl_start(struct dune_controller *c, const char *name, const char *text, size_t len, uint32_t share,
                   struct dune_diag *d)
{
    struct ctl_plan p;
    int rc = dune_ctl_plan_init(&p, name, text, len, new_generation(c), chain_length(c), d);

    if (rc == 0)
        rc = check_fits(c, &p, d);
    if (rc == 0 && share < DUNE_CTL_SHARE && !c->base.generation)
        rc = dune_diag_set(d, DUNE_E_USAGE, NULL, "a canary needs a plan that runs already");
    if (rc) {
        dune_ctl_plan_fini(&p);
        return rc;
    }
    c->next = p;
    c->share = share;
    begin_update(c);
    c->phase = DUNE_PHASE_LOADING;
    dune_ctl_note(c, "update to generation %u", p.generation);
    rc = dune_ctl_state_save(c, d);
    if (rc) { /* nothing has been sent yet */
        dune_ctl_plan_fini(&c->next);
        c->phase = c->base.generation ? DUNE_PHASE_STEADY : DUNE_PHASE_EMPTY;
    }
    return rc;
}

int dune_controller_apply(struct dune_controller *c, const char *name, const char *text, size_t len,
                          uint32_t share, struct dune_diag *d)
{
    struct ctl_plan p;
    int rc = dune_ctl_need_lease(c, d);

    if (rc == 0 && share > DUNE_CTL_SHARE)
        rc = dune_diag_set(d, DUNE_E_USAGE, NULL, "a share of %u, at most %u", share, DUNE_CTL_SHARE);
    if (rc)
        return rc;
    if (c->phase == DUNE_PHASE_STEADY || c->phase == DUNE_PHASE_EMPTY)
        return dune_ctl_start(c, name, text, len, share, d);
    rc = dune_ctl_plan_init(&p, name, text, len, 0, chain_length(c), d);
    if (rc == 0)
        rc = check_fits(c, &p, d);
    if (rc == 0) {
        dune_mem_free(c->pending);
        c->pending = dune_mem_strndup(p.text, p.len);
        c->pending_share = share;
        dune_ctl_note(c, "the plan waits: an update is %s", dune_ctl_phase_name(c->phase));
        rc = dune_ctl_state_save(c, d);
    }
    dune_ctl_plan_fini(&p);
    return rc;
}

int dune_controller_promote(struct dune_controller *c, struct dune_diag *d)
{
    int rc = dune_ctl_need_lease(c, d);

    if (rc == 0 && c->phase != DUNE_PHASE_CANARY)
        rc = dune_diag_set(d, DUNE_E_USAGE, NULL, "there is no canary: the phase is %s", dune_ctl_phase_name(c->phase));
    if (rc == 0) {
        c->phase = DUNE_PHASE_SWITCHING;
        rc = dune_ctl_state_save(c, d);
    }
    return rc;
}

void dune_ctl_go_back(struct dune_controller *c)
{
    c->stats.rollbacks++;
    set_phase(c, DUNE_PHASE_BACK);
}

int dune_controller_rollback(struct dune_controller *c, struct dune_diag *d)
{
    int rc = dune_ctl_need_lease(c, d);

    if (rc)
        return rc;
    if (c->phase == DUNE_PHASE_BACK)
        return dune_diag_set(d, DUNE_E_USAGE, NULL, "a rollback is under way");
    if (c->next.generation && c->base.generation) {
        dune_ctl_note(c, "rollback to generation %u", c->base.generation);
        dune_ctl_go_back(c);
        return 0;
    }
    if (c->phase != DUNE_PHASE_STEADY || !c->previous.generation)
        return dune_diag_set(d, DUNE_E_USAGE, NULL, "there is no plan before this one");
    dune_ctl_note(c, "rollback to the plan of generation %u under a new number", c->previous.generation);
    c->stats.rollbacks++;
    return dune_ctl_start(c, "previous plan", c->previous.text, c->previous.len, DUNE_CTL_SHARE, d);
}

int dune_controller_shadow(struct dune_controller *c, const char *name, const char *text, size_t len,
                           struct dune_diag *d)
{
    struct ctl_plan p = {0};
    int rc = dune_ctl_need_lease(c, d);

    if (rc == 0 && text)
        rc = dune_ctl_plan_init(&p, name, text, len, new_generation(c), chain_length(c), d);
    if (rc)
        return rc;
    dune_ctl_plan_fini(&c->shadow);
    c->shadow = p;
    return 0;
}

int dune_controller_set_bare(struct dune_controller *c, const char *device, bool bare, struct dune_diag *d)
{
    struct ctl_device *dev = dune_ctl_find_device(c, device);
    int rc = dune_ctl_need_lease(c, d);

    if (rc)
        return rc;
    if (!dev)
        return dune_diag_set(d, DUNE_E_USAGE, NULL, "there is no device %.64s", device);
    dev->bare = bare;
    return dune_ctl_state_save(c, d);
}

int dune_controller_set_position(struct dune_controller *c, const char *device, uint16_t position, struct dune_diag *d)
{
    struct ctl_device *dev = dune_ctl_find_device(c, device);
    int rc = dune_ctl_need_lease(c, d);

    if (rc)
        return rc;
    if (!dev)
        return dune_diag_set(d, DUNE_E_USAGE, NULL, "there is no device %.64s", device);
    if (position >= DUNE_MAX_DEVICES)
        return dune_diag_set(d, DUNE_E_USAGE, NULL, "positions are 1 to %d", DUNE_MAX_DEVICES);
    dev->position = position;
    return dune_ctl_state_save(c, d);
}
