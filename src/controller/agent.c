/* SPDX-License-Identifier: Apache-2.0 */
/* The agent of one device: commands to the device, digests and reports to the controller. */
#include "controller/ctl_int.h"
#include "dune/drift.h"

#include <string.h>
#include <sys/random.h>

enum {
    PENDING_MAX = 8192,
    COUNT_S = 60,           /* a device counts so long after it was asked to */
    DIGESTS_NS = 100000000, /* between messages with digests that are not full: a thousand agents send to one controller */
};

struct held {
    struct dune_plan *plan; /* NULL: free */
    uint32_t crc;
    struct dune_drift_counts seen; /* since it was loaded */
};

struct assembly { /* a plan that arrives in parts */
    uint64_t epoch;
    uint16_t generation;
    uint32_t next; /* part expected */
    struct dune_buf text;
};

struct dune_agent {
    char device[DUNE_CTL_NAME];
    char subject[DUNE_CTL_NAME + 16], digest_subject[DUNE_CTL_NAME + 16];
    struct dune_live *live;
    struct dune_bus *bus;
    uint64_t report_ns, boot;
    uint64_t epoch, seq; /* of the last command taken */
    uint64_t now_ns, last_report_ns, last_digests_ns, drift_ns, last_drift_ns;
    uint64_t count_until_ns; /* 0: sub-models do not count */
    bool report_due;
    struct held held[2];
    struct assembly load, shadowing;
    struct ctl_shadow *shadow;
    DUNE_VEC(struct dune_digest) pending;
    struct dune_agent_stats stats;
    void (*digest)(void *ctx, const struct dune_digest *dg, const char *cls);
    void *digest_ctx;
};

/* --- to the controller --------------------------------------------------------------------------------- */

static bool send(struct dune_agent *a, struct dune_ctl_msg *m)
{
    struct dune_buf text = {0};
    struct dune_diag ignored = {0};
    int rc;

    memcpy(m->device, a->device, sizeof(m->device));
    m->epoch = a->epoch;
    m->seq = a->seq;
    dune_ctl_format(m, &text);
    rc = a->bus->ops->publish(a->bus, m->kind == DUNE_CTL_DIGESTS ? a->digest_subject : a->subject, text.data, text.len,
                              &ignored);
    dune_buf_fini(&text);
    a->stats.bus_errors += rc != 0;
    return rc == 0;
}

static void send_refused(struct dune_agent *a, const struct dune_ctl_msg *cmd, const struct dune_diag *d)
{
    struct dune_ctl_msg *m = DUNE_NEW(struct dune_ctl_msg);
    char text[1400];

    dune_diag_format(d, text, sizeof(text));
    m->kind = DUNE_CTL_REFUSED;
    m->generation = cmd->generation;
    m->code = d->code < -99 || d->code > -1 ? DUNE_E_INTERNAL : d->code;
    m->text = text;
    m->text_len = strlen(text);
    send(a, m);
    a->stats.refused++;
    dune_mem_free(m);
}

static void fill_report(struct dune_agent *a, struct dune_ctl_report *r)
{
    struct dune_live_status s;

    a->live->ops->status(a->live, &s);
    *r = (struct dune_ctl_report){
        .boot = a->boot, .tick = dune_tick(a->now_ns), .n_held = s.n_held, .position = s.position, .stamped = s.stamped,
        .share = s.share, .drain_until = s.drain_until, .stale = a->stats.stale,
        .hop_p50_ns = s.hop_p50_ns, .hop_p90_ns = s.hop_p90_ns, .hop_p99_ns = s.hop_p99_ns, .lost = s.lost,
    };
    for (uint32_t i = 0; i < s.n_held; i++) {
        r->held[i].generation = s.held[i];
        for (int k = 0; k < 2; k++)
            if (a->held[k].plan && a->held[k].plan->generation == s.held[i])
                r->held[i].crc = a->held[k].crc;
    }
    dune_ctl_shadow_report(a->shadow, &r->shadow);
    a->live->ops->counters(a->live, &r->counters);
}

static void send_report(struct dune_agent *a)
{
    struct dune_ctl_msg *m = DUNE_NEW(struct dune_ctl_msg);

    m->kind = DUNE_CTL_REPORT;
    fill_report(a, &m->report);
    if (send(a, m))
        a->report_due = false;
    a->last_report_ns = a->now_ns;
    dune_mem_free(m);
}

/* A digest that is lost comes again: the device repeats it while no rule hits. */
static void send_digests(struct dune_agent *a)
{
    struct dune_ctl_msg *m;

    if (a->pending.len == 0 ||
        (a->pending.len < DUNE_CTL_BATCH && a->now_ns - a->last_digests_ns < DIGESTS_NS && a->now_ns >= a->last_digests_ns))
        return;
    a->last_digests_ns = a->now_ns;
    m = DUNE_NEW(struct dune_ctl_msg);
    m->kind = DUNE_CTL_DIGESTS;
    for (size_t at = 0; at < a->pending.len; at += m->n_digests) {
        m->n_digests = (uint32_t)DUNE_MIN(a->pending.len - at, DUNE_CTL_BATCH);
        memcpy(m->digest, a->pending.data + at, m->n_digests * sizeof(*m->digest));
        if (send(a, m))
            a->stats.digests += m->n_digests;
        else
            a->stats.digests_lost += m->n_digests;
    }
    a->pending.len = 0;
    dune_mem_free(m);
}

static struct held *find_held(struct dune_agent *a, uint16_t generation)
{
    for (int i = 0; i < 2; i++)
        if (a->held[i].plan && a->held[i].plan->generation == generation)
            return &a->held[i];
    return NULL;
}

static void tell_digest(struct dune_agent *a, const struct dune_digest *dg)
{
    const struct held *h = find_held(a, dg->generation);

    if (h && dg->cls <= h->plan->n_classes)
        a->digest(a->digest_ctx, dg, dg->cls ? h->plan->cls[dg->cls - 1].name : NULL);
}

/* What sub-models see, for drift. */
static void take_answer(void *ctx, const struct dune_plan *plan, uint32_t sub, const uint32_t *features,
                        const struct dune_sub_answer *answer)
{
    struct dune_agent *a = ctx;

    for (int i = 0; i < 2; i++)
        if (a->held[i].plan == plan)
            dune_drift_note(&a->held[i].seen, plan, sub, features, answer);
}

static void set_counting(struct dune_agent *a, bool on)
{
    if (a->live->ops->count)
        a->live->ops->count(a->live, on);
    else if (a->live->ops->on_answer)
        a->live->ops->on_answer(a->live, on ? take_answer : NULL, on ? a : NULL);
}

/* A device that cannot count says nothing: the controller sees how many do. */
static void count_on(struct dune_agent *a)
{
    if (!a->count_until_ns) {
        set_counting(a, true);
        a->last_drift_ns = 0; /* the first counts, of nothing, come soon */
    }
    a->count_until_ns = a->now_ns + COUNT_S * UINT64_C(1000000000);
}

/* What the device has counted since the plan was loaded; false: it does not count this plan. */
static bool count_drift(struct dune_agent *a, struct held *h)
{
    if (!a->live->ops->drift) /* take_answer did, if the device can tell */
        return a->live->ops->on_answer != NULL;
    dune_drift_counts_clear(&h->seen);
    return a->live->ops->drift(a->live, h->plan, &h->seen);
}

static void send_drift(struct dune_agent *a)
{
    for (int i = 0; i < 2; i++) {
        struct dune_buf text = {0};
        struct dune_ctl_msg *m;

        if (!a->held[i].plan || !count_drift(a, &a->held[i]))
            continue;
        dune_drift_counts_format(&a->held[i].seen, &text);
        m = DUNE_NEW(struct dune_ctl_msg);
        m->kind = DUNE_CTL_DRIFT;
        m->generation = a->held[i].plan->generation;
        m->text = text.data;
        m->text_len = text.len;
        send(a, m);
        dune_mem_free(m);
        dune_buf_fini(&text);
    }
    a->last_drift_ns = a->now_ns;
}

static void take_digest(void *ctx, const struct dune_digest *dg)
{
    struct dune_agent *a = ctx;

    if (a->digest)
        tell_digest(a, dg);
    if (a->pending.len < PENDING_MAX)
        DUNE_VEC_PUSH(&a->pending, *dg);
    else
        a->stats.digests_lost++;
}

/* --- commands ------------------------------------------------------------------------------------------ */

/* 1: complete, 0: wait for more. Parts out of order are thrown away: the controller starts again. */
static int collect(struct assembly *as, const struct dune_ctl_msg *m)
{
    if (m->part == 0) {
        as->text.len = 0;
        as->next = 0;
        as->epoch = m->epoch;
        as->generation = m->generation;
    }
    if (m->part != as->next || m->epoch != as->epoch || m->generation != as->generation ||
        as->text.len + m->text_len > DUNE_CTL_PLAN_MAX) {
        as->next = UINT32_MAX;
        return 0;
    }
    dune_buf_append(&as->text, m->text, m->text_len);
    as->next++;
    return as->next == m->parts;
}

static int read_plan(struct assembly *as, struct dune_plan **p, uint32_t *crc, struct dune_diag *d)
{
    int rc = dune_plan_parse(p, "plan from the controller", as->text.data, as->text.len, d);

    *crc = dune_crc32(as->text.data, as->text.len);
    dune_buf_fini(&as->text);
    as->next = UINT32_MAX;
    if (rc == 0 && (*p)->generation != as->generation) {
        rc = dune_diag_set(d, DUNE_E_INPUT, NULL, "the plan says generation %u, the command %u",
                           (*p)->generation, as->generation);
        dune_plan_free(*p);
    }
    return rc;
}

static int hold_plan(struct dune_agent *a, struct dune_plan *p, uint32_t crc, uint16_t position, struct dune_diag *d)
{
    struct held *h = find_held(a, p->generation);
    int rc;

    if (h) { /* said twice */
        rc = h->crc == crc ? 0
                           : dune_diag_set(d, DUNE_E_USAGE, NULL, "generation %u is held with another plan",
                                           p->generation);
        dune_plan_free(p);
        return rc;
    }
    h = !a->held[0].plan ? &a->held[0] : !a->held[1].plan ? &a->held[1] : NULL;
    rc = h ? a->live->ops->load(a->live, p, position, d)
           : dune_diag_set(d, DUNE_E_USAGE, NULL, "two generations are held: generation %u waits until one of "
                           "them is drained", p->generation);
    if (rc) {
        dune_plan_free(p);
        return rc;
    }
    *h = (struct held){.plan = p, .crc = crc};
    dune_drift_counts_init(&h->seen, p);
    a->last_drift_ns = 0; /* the first counts, of nothing, come soon */
    return 0;
}

static int do_load(struct dune_agent *a, const struct dune_ctl_msg *m, struct dune_diag *d)
{
    const struct held *h;
    struct dune_plan *p = NULL;
    uint32_t crc;
    int rc;

    if (!collect(&a->load, m))
        return 0;
    h = find_held(a, m->generation);
    if (h && h->crc == dune_crc32(a->load.text.data, a->load.text.len)) { /* said twice: not worth reading again */
        dune_buf_fini(&a->load.text);
        a->load.next = UINT32_MAX;
        return 0;
    }
    rc = read_plan(&a->load, &p, &crc, d);
    return rc ? rc : hold_plan(a, p, crc, m->position, d);
}

static int do_unload(struct dune_agent *a, uint16_t generation, struct dune_diag *d)
{
    struct held *h = find_held(a, generation);
    int rc;

    if (!h)
        return 0;
    rc = a->live->ops->unload(a->live, generation, d);
    if (rc)
        return rc;
    dune_drift_counts_fini(&h->seen);
    dune_plan_free(h->plan);
    h->plan = NULL;
    return 0;
}

/* The stamped generation goes last. */
static int do_clear(struct dune_agent *a, struct dune_diag *d)
{
    struct dune_live_status s;
    int rc = 0;

    a->live->ops->status(a->live, &s);
    for (uint32_t i = 0; rc == 0 && i < s.n_held; i++)
        if (s.held[i] != s.stamped)
            rc = do_unload(a, s.held[i], d);
    if (rc == 0 && s.stamped)
        rc = do_unload(a, s.stamped, d);
    return rc;
}

static int do_shadow(struct dune_agent *a, const struct dune_ctl_msg *m, struct dune_diag *d)
{
    struct dune_plan *p = NULL;
    uint32_t crc;
    int rc;

    if (m->parts == 0) {
        dune_ctl_shadow_free(a->shadow);
        a->shadow = NULL;
        return 0;
    }
    if (!a->live->ops->sees_packets)
        return dune_diag_set(d, DUNE_E_USAGE, NULL, "packets of engine %s do not pass its agent, so no plan can run beside "
                             "them: shadow plans take first devices on AF_PACKET ports", a->live->ops->name);
    if (!collect(&a->shadowing, m))
        return 0;
    rc = read_plan(&a->shadowing, &p, &crc, d);
    if (rc)
        return rc;
    dune_ctl_shadow_free(a->shadow);
    a->shadow = NULL;
    return dune_ctl_shadow_new(&a->shadow, p, d);
}

static void put_rules(struct dune_agent *a, const struct dune_ctl_msg *m)
{
    for (uint32_t i = 0; i < m->n_digests; i++) {
        const struct dune_digest *dg = &m->digest[i];
        const struct held *h = find_held(a, dg->generation);

        if (!h) /* its generation is gone, and the flow with it */
            continue;
        a->live->ops->put_rule(a->live, dg, dg->tick);
        if (a->shadow && dg->cls <= h->plan->n_classes)
            dune_ctl_shadow_compare(a->shadow, &dg->key, dg->cls ? h->plan->cls[dg->cls - 1].name : NULL);
    }
}

static int execute(struct dune_agent *a, const struct dune_ctl_msg *m, struct dune_diag *d)
{
    switch (m->kind) {
    case DUNE_CTL_LOAD:
        return do_load(a, m, d);
    case DUNE_CTL_STAMP:
        return a->live->ops->stamp(a->live, m->generation, m->share, dune_tick(a->now_ns), d);
    case DUNE_CTL_UNLOAD:
        return do_unload(a, m->generation, d);
    case DUNE_CTL_CLEAR:
        return do_clear(a, d);
    case DUNE_CTL_SHADOW:
        return do_shadow(a, m, d);
    case DUNE_CTL_RULES:
        put_rules(a, m);
        return 0;
    case DUNE_CTL_DRIFT:
        count_on(a);
        return 0;
    default:
        return dune_diag_set(d, DUNE_E_USAGE, NULL, "%s is not a command", dune_ctl_kind_name(m->kind));
    }
}

static bool is_newer(const struct dune_agent *a, const struct dune_ctl_msg *m)
{
    return m->epoch != a->epoch ? m->epoch > a->epoch : m->seq > a->seq;
}

static void on_command(void *ctx, const char *subject, const void *data, size_t len)
{
    struct dune_agent *a = ctx;
    struct dune_ctl_msg *m = DUNE_NEW(struct dune_ctl_msg);
    struct dune_diag d = {0};

    (void)subject;
    if (dune_ctl_parse(m, data, len, &d) || strcmp(m->device, a->device) != 0) {
        a->stats.bad_messages++;
    } else if (!is_newer(a, m)) {
        a->stats.stale++;
    } else {
        a->epoch = m->epoch;
        a->seq = m->seq;
        a->stats.commands++;
        if (execute(a, m, &d))
            send_refused(a, m, &d);
        a->report_due |= m->kind != DUNE_CTL_RULES && m->kind != DUNE_CTL_DRIFT;
    }
    dune_ctl_msg_fini(m);
    dune_mem_free(m);
}

/* --- life ---------------------------------------------------------------------------------------------- */

int dune_agent_new(struct dune_agent **out, const struct dune_agent_cfg *cfg, struct dune_live *live,
                   struct dune_bus *bus, struct dune_diag *d)
{
    struct dune_agent *a;
    char subject[DUNE_CTL_NAME + 16];
    int rc;

    if (!cfg->device || !dune_ctl_name_ok(cfg->device))
        return dune_diag_set(d, DUNE_E_USAGE, NULL, "a device name has 1 to %d letters, digits, - and _",
                             DUNE_CTL_NAME - 1);
    a = DUNE_NEW(struct dune_agent);
    snprintf(a->device, sizeof(a->device), "%s", cfg->device);
    snprintf(a->subject, sizeof(a->subject), "dune.rep.%s", cfg->device);
    snprintf(a->digest_subject, sizeof(a->digest_subject), "dune.dig.%s", cfg->device);
    snprintf(subject, sizeof(subject), "dune.cmd.%s", cfg->device);
    a->live = live;
    a->bus = bus;
    a->report_ns = cfg->report_ns ? cfg->report_ns : 500000000;
    a->drift_ns = cfg->drift_ns ? cfg->drift_ns : 2000000000;
    a->boot = cfg->boot;
    a->digest = cfg->digest;
    a->digest_ctx = cfg->digest_ctx;
    while (a->boot == 0)
        if (getrandom(&a->boot, sizeof(a->boot), 0) != sizeof(a->boot))
            a->boot = dune_now_ns();
    a->load.next = a->shadowing.next = UINT32_MAX;
    a->report_due = true;
    live->ops->on_digest(live, take_digest, a);
    rc = bus->ops->subscribe(bus, subject, on_command, a, d);
    if (rc) {
        dune_agent_free(a);
        return rc;
    }
    *out = a;
    return 0;
}

void dune_agent_free(struct dune_agent *a)
{
    struct dune_diag ignored = {0};

    if (!a)
        return;
    a->live->ops->on_digest(a->live, NULL, NULL);
    set_counting(a, false);
    if (do_clear(a, &ignored)) /* a device that cannot let go keeps its plans: they are leaked on purpose */
        a->held[0].plan = a->held[1].plan = NULL;
    dune_ctl_shadow_free(a->shadow);
    dune_buf_fini(&a->load.text);
    dune_buf_fini(&a->shadowing.text);
    DUNE_VEC_FREE(&a->pending);
    dune_mem_free(a);
}

void dune_agent_step(struct dune_agent *a, uint64_t now_ns)
{
    struct dune_diag ignored = {0};

    a->now_ns = now_ns;
    a->stats.bus_errors += a->bus->ops->poll(a->bus, 0, &ignored) != 0;
    if (a->live->ops->poll)
        a->live->ops->poll(a->live, dune_tick(now_ns));
    send_digests(a);
    if (now_ns - a->last_report_ns >= a->report_ns ||
        (a->report_due && now_ns - a->last_report_ns >= a->report_ns / 16))
        send_report(a);
    if (a->count_until_ns && now_ns >= a->count_until_ns) {
        set_counting(a, false);
        a->count_until_ns = 0;
    }
    if (a->count_until_ns && now_ns - a->last_drift_ns >= a->drift_ns)
        send_drift(a);
}

void dune_agent_stats(const struct dune_agent *a, struct dune_agent_stats *out)
{
    *out = a->stats;
}

void dune_agent_shadow(struct dune_agent *a, const struct dune_chain_packet *pkt)
{
    if (a->shadow)
        dune_ctl_shadow_packet(a->shadow, pkt);
}
