/* SPDX-License-Identifier: Apache-2.0 */
/* Operators: the status as JSON, and requests that come over the bus. */
#include "controller/controller_int.h"

#include <stdlib.h>
#include <string.h>
#include <unistd.h>

/* Above so many devices a status has the sums, and by name at most so many of those in trouble: it is one message. */
enum { ALL_DEVICES = 64, LOOK_AT = 1000 };

/* --- status ------------------------------------------------------------------------------------------------ */

static void put(struct dune_jsonw *w, const char *key, uint64_t v)
{
    dune_jsonw_key(w, key);
    dune_jsonw_big(w, v);
}

static void put_plan(struct dune_jsonw *w, const char *key, const struct ctl_plan *p)
{
    dune_jsonw_key(w, key);
    if (!p->generation) {
        dune_jsonw_null(w);
        return;
    }
    dune_jsonw_obj(w);
    put(w, "generation", p->generation);
    dune_jsonw_key(w, "name"), dune_jsonw_str(w, p->plan->name);
    dune_jsonw_key(w, "solution"), dune_jsonw_str(w, p->plan->provenance.solution);
    put(w, "flows", p->flows);
    put(w, "claimed", p->claimed);
    dune_jsonw_key(w, "by_class");
    dune_jsonw_obj_inline(w);
    for (uint32_t i = 0; i < p->plan->n_classes; i++)
        put(w, p->plan->cls[i].name, p->by_class[i + 1]);
    dune_jsonw_end(w);
    dune_jsonw_end(w);
}

static void put_device(struct dune_jsonw *w, const struct ctl_device *dev)
{
    const struct dune_ctl_report *r = &dev->report;

    dune_jsonw_obj(w);
    dune_jsonw_key(w, "name"), dune_jsonw_str(w, dev->name);
    put(w, "position", dev->position + 1u);
    dune_jsonw_key(w, "state");
    dune_jsonw_str(w, dune_ctl_device_state(dev));
    dune_jsonw_key(w, "held");
    dune_jsonw_arr_inline(w);
    for (uint32_t i = 0; i < r->n_held; i++)
        dune_jsonw_uint(w, r->held[i].generation);
    dune_jsonw_end(w);
    put(w, "chain", dev->chain);
    put(w, "stamped", r->stamped);
    put(w, "share", r->share);
    put(w, "stale_commands", r->stale);
    put(w, "hop_p50_ns", r->hop_p50_ns);
    put(w, "hop_p90_ns", r->hop_p90_ns);
    put(w, "hop_p99_ns", r->hop_p99_ns);
    put(w, "lost_packets", r->lost);
    if (r->shadow.generation) {
        dune_jsonw_key(w, "shadow");
        dune_jsonw_obj_inline(w);
        put(w, "packets", r->shadow.packets);
        put(w, "claimed", r->shadow.claimed);
        put(w, "settled", r->shadow.settled);
        put(w, "compared_flows", r->shadow.compared);
        put(w, "same_class", r->shadow.same);
        dune_jsonw_end(w);
    }
    dune_jsonw_key(w, "counters");
    dune_jsonw_obj(w);
    dune_counters_json(&r->counters, w);
    dune_jsonw_end(w);
    dune_jsonw_end(w);
}

static bool needs_a_look(const struct ctl_device *dev)
{
    return !dev->reported || dev->lost || dev->bare || dev->colliding || dev->full;
}

static void put_head(struct dune_jsonw *w, const struct dune_controller *c)
{
    uint64_t ok = 0;

    for (uint32_t i = 0; i < c->n_devices; i++)
        ok += !needs_a_look(&c->device[i]);
    dune_jsonw_key(w, "phase"), dune_jsonw_str(w, dune_ctl_phase_name(c->phase));
    dune_jsonw_key(w, "leader"), dune_jsonw_bool(w, c->leader && c->state_read);
    put(w, "epoch", c->epoch);
    dune_jsonw_key(w, "pending"), dune_jsonw_bool(w, c->pending != NULL);
    put(w, "share", c->share);
    put(w, "n_devices", c->n_devices);
    put(w, "n_ok", ok);
    put_plan(w, "base", &c->base);
    put_plan(w, "next", &c->next);
    put(w, "digests", c->stats.digests);
    put(w, "duplicates", c->stats.duplicates);
    put(w, "rules_sent", c->stats.rules_sent);
    put(w, "rules_limited", c->stats.rules_limited);
    put(w, "digest_messages_dropped", c->stats.digest_messages_dropped);
    put(w, "updates", c->stats.updates);
    put(w, "rollbacks", c->stats.rollbacks);
    put(w, "alarms", c->stats.alarms);
    put(w, "refused", c->stats.refused);
    put(w, "bad_messages", c->stats.bad_messages);
    put(w, "bus_errors", c->stats.bus_errors);
    dune_ctl_drift_status(c, w);
    dune_jsonw_key(w, "pins");
    dune_jsonw_arr(w);
    for (uint32_t i = 0; i < c->n_pins; i++) {
        dune_jsonw_obj_inline(w);
        dune_jsonw_key(w, "what"), dune_jsonw_str(w, c->pin[i].what);
        dune_jsonw_key(w, "class"), dune_jsonw_str(w, c->pin[i].cls);
        dune_jsonw_end(w);
    }
    dune_jsonw_end(w);
}

void dune_controller_status(const struct dune_controller *c, struct dune_buf *out)
{
    struct dune_jsonw w;

    dune_jsonw_init(&w, out);
    dune_jsonw_obj(&w);
    put_head(&w, c);
    dune_jsonw_key(&w, "devices");
    dune_jsonw_arr(&w);
    for (uint32_t i = 0; i < c->n_devices; i++)
        put_device(&w, &c->device[i]);
    dune_jsonw_end(&w);
    dune_jsonw_end(&w);
}

/* Sums of all devices: of counters what counts, of names those in trouble. */
static void put_sums(struct dune_jsonw *w, const struct dune_controller *c)
{
    struct dune_counters sum = {0};
    uint64_t lost = 0, named = 0, compared = 0, same = 0;

    for (uint32_t i = 0; i < c->n_devices; i++) {
        dune_ctl_counters_add(&sum, &c->device[i].report.counters);
        lost += c->device[i].report.lost;
        compared += c->device[i].report.shadow.compared;
        same += c->device[i].report.shadow.same;
    }
    put(w, "lost_packets", lost);
    dune_jsonw_key(w, "shadow");
    dune_jsonw_obj_inline(w);
    put(w, "compared_flows", compared);
    put(w, "same_class", same);
    dune_jsonw_end(w);
    dune_jsonw_key(w, "counters");
    dune_jsonw_obj(w);
    dune_counters_json(&sum, w);
    dune_jsonw_end(w);
    dune_jsonw_key(w, "look_at");
    dune_jsonw_arr(w);
    for (uint32_t i = 0; i < c->n_devices && named < LOOK_AT; i++)
        if (needs_a_look(&c->device[i])) {
            dune_jsonw_obj_inline(w);
            dune_jsonw_key(w, "name"), dune_jsonw_str(w, c->device[i].name);
            dune_jsonw_key(w, "state"), dune_jsonw_str(w, dune_ctl_device_state(&c->device[i]));
            dune_jsonw_end(w);
            named++;
        }
    dune_jsonw_end(w);
}

void dune_controller_status_of(const struct dune_controller *c, const char *device, struct dune_buf *out)
{
    const struct ctl_device *dev = device ? dune_ctl_find_device(c, device) : NULL;
    struct dune_jsonw w;

    dune_jsonw_init(&w, out);
    dune_jsonw_obj(&w);
    put_head(&w, c);
    if (dev) {
        dune_jsonw_key(&w, "devices");
        dune_jsonw_arr(&w);
        put_device(&w, dev);
        dune_jsonw_end(&w);
    } else {
        put_sums(&w, c);
    }
    dune_jsonw_end(&w);
}

/* --- serving ----------------------------------------------------------------------------------------------- */

struct request {
    const char *op, *answer_to, *plan, *profile, *what, *cls, *device;
    uint64_t share, position;
};

static void read_request(struct dune_json_reader *r, const json_t *root, struct request *q)
{
    static const char *const known[] = {"op", "answer_to", "plan", "profile", "what", "class", "device", "share", "position"};
    const char *key;
    json_t *v;

    if (!json_is_object(root)) {
        dune_json_fail(r, "a request is an object");
        return;
    }
    q->answer_to = dune_json_text(r, root, "answer_to", false); /* first: what is wrong with the rest is answered */
    json_object_foreach((json_t *)(uintptr_t)root, key, v)
    {
        bool ok = false;

        for (size_t i = 0; i < DUNE_ARRAY_LEN(known); i++)
            ok |= strcmp(key, known[i]) == 0;
        if (!ok)
            dune_json_fail(r, "unknown key %.64s", key);
    }
    q->op = dune_json_text(r, root, "op", false);
#define OPTIONAL(field, key) \
    q->field = json_object_get(root, key) ? dune_json_text(r, root, key, true) : NULL
    OPTIONAL(plan, "plan");
    OPTIONAL(profile, "profile");
    OPTIONAL(what, "what");
    OPTIONAL(cls, "class");
    OPTIONAL(device, "device");
#undef OPTIONAL
    q->share = json_object_get(root, "share") ? dune_json_uint(r, root, "share", DUNE_CTL_SHARE) : DUNE_CTL_SHARE;
    q->position = json_object_get(root, "position") ? dune_json_uint(r, root, "position", DUNE_MAX_DEVICES) : 0;
}

static int missing(const char *what, const struct request *q, struct dune_diag *d)
{
    return dune_diag_set(d, DUNE_E_USAGE, NULL, "request %.32s needs %s", q->op, what);
}

/* A profile that does not fit stops the plan too: the operator mixed up files. */
static int run_apply(struct dune_controller *c, const struct request *q, struct dune_diag *d)
{
    size_t len = strlen(q->plan);
    int rc = q->profile ? dune_controller_profile(c, q->profile, strlen(q->profile), q->plan, len, d) : 0;

    return rc ? rc : dune_controller_apply(c, "plan", q->plan, len, (uint32_t)q->share, d);
}

static int run_request(struct dune_controller *c, const struct request *q, struct dune_diag *d)
{
    size_t len = q->plan ? strlen(q->plan) : 0;

    if (strcmp(q->op, "status") == 0)
        return !q->device || dune_ctl_find_device(c, q->device)
                   ? 0
                   : dune_diag_set(d, DUNE_E_USAGE, NULL, "there is no device %.64s", q->device);
    if (strcmp(q->op, "apply") == 0)
        return q->plan ? run_apply(c, q, d) : missing("a plan", q, d);
    if (strcmp(q->op, "profile") == 0)
        return q->profile ? dune_controller_profile(c, q->profile, strlen(q->profile), q->plan, len, d)
                          : missing("a profile", q, d);
    if (strcmp(q->op, "promote") == 0)
        return dune_controller_promote(c, d);
    if (strcmp(q->op, "rollback") == 0)
        return dune_controller_rollback(c, d);
    if (strcmp(q->op, "shadow") == 0)
        return dune_controller_shadow(c, "plan", q->plan, len, d);
    if (strcmp(q->op, "pin") == 0 || strcmp(q->op, "exempt") == 0) {
        if (!q->what || (q->op[0] == 'p' && !q->cls))
            return missing("a flow or prefix, and pin a class", q, d);
        return dune_controller_pin(c, q->what, q->op[0] == 'p' ? q->cls : NULL, d);
    }
    if (strcmp(q->op, "unpin") == 0)
        return q->what ? dune_controller_unpin(c, q->what, d) : missing("a flow or prefix", q, d);
    if (strcmp(q->op, "bare") == 0 || strcmp(q->op, "unbare") == 0)
        return q->device ? dune_controller_set_bare(c, q->device, q->op[0] == 'b', d) : missing("a device", q, d);
    if (strcmp(q->op, "move") == 0)
        return q->device && q->position
                   ? dune_controller_set_position(c, q->device, (uint16_t)(q->position - 1), d)
                   : missing("a device and a position", q, d);
    return dune_diag_set(d, DUNE_E_USAGE, NULL, "unknown request %.32s", q->op);
}

static void answer(struct dune_controller *c, const struct request *q, int rc, const struct dune_diag *d)
{
    struct dune_buf text = {0}, status = {0};
    struct dune_diag ignored = {0};
    char why[sizeof(d->file) + sizeof(d->place) + sizeof(d->msg) + 96]; /* where the error is, too */
    struct dune_jsonw w;

    if (rc == 0 && (c->n_devices > ALL_DEVICES || (q->device && strcmp(q->op, "status") == 0))) {
        dune_controller_status_of(c, strcmp(q->op, "status") == 0 ? q->device : NULL, &status);
    } else if (rc == 0) {
        dune_controller_status(c, &status);
    } else {
        dune_diag_format(d, why, sizeof(why));
        dune_jsonw_init(&w, &status);
        dune_jsonw_obj_inline(&w);
        dune_jsonw_key(&w, "error"), dune_jsonw_str(&w, why);
        dune_jsonw_key(&w, "code"), dune_jsonw_int(&w, rc);
        dune_jsonw_end(&w);
    }
    dune_buf_append(&text, status.data, status.len);
    if (strncmp(q->answer_to, "dune.answer.", 12) == 0)
        c->stats.bus_errors += c->bus->ops->publish(c->bus, q->answer_to, text.data, text.len, &ignored) != 0;
    dune_buf_fini(&text);
    dune_buf_fini(&status);
}

static void on_request(void *ctx, const char *subject, const void *data, size_t len)
{
    struct dune_controller *c = ctx;
    struct dune_diag d = {0};
    struct dune_json_reader r = {.d = &d};
    struct request q = {0};
    json_t *root = json_loadb(data, len, JSON_REJECT_DUPLICATES, NULL);
    int rc;

    (void)subject;
    read_request(&r, root, &q);
    if (!c->leader && q.op && strcmp(q.op, "status") != 0) {
        json_decref(root); /* the leader answers */
        return;
    }
    rc = r.rc ? r.rc : run_request(c, &q, &d);
    if (q.answer_to)
        answer(c, &q, rc, &d);
    else
        c->stats.bad_messages++;
    json_decref(root);
}

int dune_controller_serve(struct dune_controller *c, struct dune_diag *d)
{
    return c->bus->ops->subscribe(c->bus, "dune.op", on_request, c, d);
}
