/* SPDX-License-Identifier: Apache-2.0 */
/* Operators: the status as JSON, and requests that come over the bus. */
#include "controller/controller_int.h"

#include <stdlib.h>
#include <string.h>
#include <unistd.h>

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

static void put_device(struct dune_jsonw *w, const struct dune_controller *c, const struct ctl_device *dev)
{
    const struct dune_ctl_report *r = &dev->report;

    dune_jsonw_obj(w);
    dune_jsonw_key(w, "name"), dune_jsonw_str(w, dev->name);
    put(w, "position", dev->position + 1u);
    dune_jsonw_key(w, "state");
    dune_jsonw_str(w, dune_controller_device_state(c, dev->name));
    dune_jsonw_key(w, "held");
    dune_jsonw_arr_inline(w);
    for (uint32_t i = 0; i < r->n_held; i++)
        dune_jsonw_uint(w, r->held[i].generation);
    dune_jsonw_end(w);
    put(w, "stamped", r->stamped);
    put(w, "share", r->share);
    put(w, "stale_commands", r->stale);
    put(w, "hop_p50_ns", r->hop_p50_ns);
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

void dune_controller_status(const struct dune_controller *c, struct dune_buf *out)
{
    struct dune_jsonw w;

    dune_jsonw_init(&w, out);
    dune_jsonw_obj(&w);
    dune_jsonw_key(&w, "phase"), dune_jsonw_str(&w, dune_ctl_phase_name(c->phase));
    dune_jsonw_key(&w, "leader"), dune_jsonw_bool(&w, c->leader && c->state_read);
    put(&w, "epoch", c->epoch);
    dune_jsonw_key(&w, "pending"), dune_jsonw_bool(&w, c->pending != NULL);
    put(&w, "share", c->share);
    put_plan(&w, "base", &c->base);
    put_plan(&w, "next", &c->next);
    put(&w, "digests", c->stats.digests);
    put(&w, "duplicates", c->stats.duplicates);
    put(&w, "rules_sent", c->stats.rules_sent);
    put(&w, "rules_limited", c->stats.rules_limited);
    put(&w, "updates", c->stats.updates);
    put(&w, "rollbacks", c->stats.rollbacks);
    put(&w, "alarms", c->stats.alarms);
    put(&w, "refused", c->stats.refused);
    put(&w, "bad_messages", c->stats.bad_messages);
    put(&w, "bus_errors", c->stats.bus_errors);
    dune_jsonw_key(&w, "pins");
    dune_jsonw_arr(&w);
    for (uint32_t i = 0; i < c->n_pins; i++) {
        dune_jsonw_obj_inline(&w);
        dune_jsonw_key(&w, "what"), dune_jsonw_str(&w, c->pin[i].what);
        dune_jsonw_key(&w, "class"), dune_jsonw_str(&w, c->pin[i].cls);
        dune_jsonw_end(&w);
    }
    dune_jsonw_end(&w);
    dune_jsonw_key(&w, "devices");
    dune_jsonw_arr(&w);
    for (uint32_t i = 0; i < c->n_devices; i++)
        put_device(&w, c, &c->device[i]);
    dune_jsonw_end(&w);
    dune_jsonw_end(&w);
}

/* --- serving ----------------------------------------------------------------------------------------------- */

struct request {
    const char *op, *answer_to, *plan, *what, *cls, *device;
    uint64_t share, position;
};

static void read_request(struct dune_json_reader *r, const json_t *root, struct request *q)
{
    static const char *const known[] = {"op", "answer_to", "plan", "what", "class", "device", "share", "position"};
    const char *key;
    json_t *v;

    if (!json_is_object(root)) {
        dune_json_fail(r, "a request is an object");
        return;
    }
    json_object_foreach((json_t *)(uintptr_t)root, key, v)
    {
        bool ok = false;

        for (size_t i = 0; i < DUNE_ARRAY_LEN(known); i++)
            ok |= strcmp(key, known[i]) == 0;
        if (!ok)
            dune_json_fail(r, "unknown key %.64s", key);
    }
    q->op = dune_json_text(r, root, "op", false);
    q->answer_to = dune_json_text(r, root, "answer_to", false);
#define OPTIONAL(field, key) \
    q->field = json_object_get(root, key) ? dune_json_text(r, root, key, true) : NULL
    OPTIONAL(plan, "plan");
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

static int run_request(struct dune_controller *c, const struct request *q, struct dune_diag *d)
{
    size_t len = q->plan ? strlen(q->plan) : 0;

    if (strcmp(q->op, "status") == 0)
        return 0;
    if (strcmp(q->op, "apply") == 0)
        return q->plan ? dune_controller_apply(c, "plan", q->plan, len, (uint32_t)q->share, d)
                       : missing("a plan", q, d);
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

static void answer(struct dune_controller *c, const char *subject, int rc, const struct dune_diag *d)
{
    struct dune_buf text = {0}, status = {0};
    struct dune_diag ignored = {0};
    struct dune_jsonw w;

    if (rc == 0) {
        dune_controller_status(c, &status);
    } else {
        dune_jsonw_init(&w, &status);
        dune_jsonw_obj_inline(&w);
        dune_jsonw_key(&w, "error"), dune_jsonw_str(&w, d->msg);
        dune_jsonw_key(&w, "code"), dune_jsonw_int(&w, rc);
        dune_jsonw_end(&w);
    }
    dune_buf_append(&text, status.data, status.len);
    if (strncmp(subject, "dune.answer.", 12) == 0)
        c->stats.bus_errors += c->bus->ops->publish(c->bus, subject, text.data, text.len, &ignored) != 0;
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
        answer(c, q.answer_to, rc, &d);
    else
        c->stats.bad_messages++;
    json_decref(root);
}

int dune_controller_serve(struct dune_controller *c, struct dune_diag *d)
{
    return c->bus->ops->subscribe(c->bus, "dune.op", on_request, c, d);
}

/* --- asking ------------------------------------------------------------------------------------------------ */

static void on_answer(void *ctx, const char *subject, const void *data, size_t len)
{
    char **out = ctx;

    (void)subject;
    if (!*out)
        *out = dune_mem_strndup(data, len);
}

static int read_error(const char *text, struct dune_diag *d)
{
    json_t *root = json_loads(text, JSON_REJECT_DUPLICATES, NULL);
    const char *why = json_string_value(json_object_get(root, "error"));
    json_int_t code = json_integer_value(json_object_get(root, "code"));
    int rc = 0;

    if (!root)
        rc = dune_diag_set(d, DUNE_E_FORMAT, NULL, "the controller's answer is not JSON");
    else if (why)
        rc = dune_diag_set(d, code < 0 && code > -100 ? (int)code : DUNE_E_INTERNAL, NULL, "controller: %s", why);
    json_decref(root);
    return rc;
}

static int with_answer_to(const char *request, size_t len, const char *subject, struct dune_buf *out, struct dune_diag *d)
{
    json_t *root = json_loadb(request, len, JSON_REJECT_DUPLICATES, NULL);
    char *text = NULL;

    if (json_is_object(root) && json_object_set_new(root, "answer_to", json_string(subject)) == 0)
        text = json_dumps(root, JSON_COMPACT);
    json_decref(root);
    if (!text)
        return dune_diag_set(d, DUNE_E_USAGE, NULL, "a request is a JSON object");
    dune_buf_puts(out, text);
    free(text);
    return 0;
}

int dune_controller_ask(struct dune_bus *bus, const char *request, size_t len, unsigned timeout_ms, char **answer_out,
                        struct dune_diag *d)
{
    struct dune_buf text = {0};
    char subject[64];
    uint64_t end = dune_now_ns() + (uint64_t)timeout_ms * 1000000u;
    int rc;

    *answer_out = NULL;
    snprintf(subject, sizeof(subject), "dune.answer.%ld-%llx", (long)getpid(), (unsigned long long)dune_now_ns());
    rc = with_answer_to(request, len, subject, &text, d);
    if (rc == 0)
        rc = bus->ops->subscribe(bus, subject, on_answer, answer_out, d);
    if (rc == 0)
        rc = bus->ops->publish(bus, "dune.op", text.data, text.len, d);
    dune_buf_fini(&text);
    while (rc == 0 && !*answer_out && dune_now_ns() < end)
        rc = bus->ops->poll(bus, 20, d);
    if (rc == 0 && !*answer_out)
        rc = dune_diag_set(d, DUNE_E_ENV, NULL, "no controller answered within %u ms", timeout_ms);
    if (rc == 0)
        rc = read_error(*answer_out, d);
    return rc;
}
