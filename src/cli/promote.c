/* SPDX-License-Identifier: Apache-2.0 */
#include "cli/promote.h"

#include <jansson.h>
#include <string.h>
#include <unistd.h>

#include "cli/bus_open.h"
#include "dune/controller.h"

/* What the controller says about itself, as far as promotion needs it. */
struct state {
    char phase[24];
    uint64_t base, next, next_flows, rollbacks;
    uint64_t shadowed, same;
};

static uint64_t number(const json_t *v)
{
    /* Numbers beyond 63 bits come as strings; none of those asked for here gets there. */
    return json_is_integer(v) && json_integer_value(v) > 0 ? (uint64_t)json_integer_value(v) : 0;
}

static void read_state(const json_t *root, struct state *s)
{
    const char *phase = json_string_value(json_object_get(root, "phase"));
    const json_t *devices = json_object_get(root, "devices"), *next = json_object_get(root, "next");

    memset(s, 0, sizeof(*s));
    snprintf(s->phase, sizeof(s->phase), "%s", phase ? phase : "");
    s->base = number(json_object_get(json_object_get(root, "base"), "generation"));
    s->next = number(json_object_get(next, "generation"));
    s->next_flows = number(json_object_get(next, "flows"));
    s->rollbacks = number(json_object_get(root, "rollbacks"));
    for (size_t i = 0; i < json_array_size(devices); i++) {
        const json_t *shadow = json_object_get(json_array_get(devices, i), "shadow");

        s->shadowed += number(json_object_get(shadow, "compared_flows"));
        s->same += number(json_object_get(shadow, "same_class"));
    }
    if (!devices) { /* of many devices there are only the sums */
        s->shadowed = number(json_object_get(json_object_get(root, "shadow"), "compared_flows"));
        s->same = number(json_object_get(json_object_get(root, "shadow"), "same_class"));
    }
}

struct session {
    struct cli_ctx *ctx;
    const struct cli_promotion *how;
    struct dune_bus *bus;
    struct dune_asker *asker;
    struct state now;
};

/* op alone, or with a plan; share 0: none. */
static int ask(struct session *s, const char *op, const char *plan, uint32_t share, struct dune_diag *d)
{
    struct dune_buf b = {0};
    struct dune_jsonw w;
    char *answer = NULL;
    char *profile = NULL;
    size_t len;
    json_t *root;
    int rc = strcmp(op, "apply") == 0 && s->how->profile ? dune_file_read(s->how->profile, &profile, &len, d) : 0;

    if (rc)
        return rc;
    dune_jsonw_init(&w, &b);
    dune_jsonw_obj(&w);
    dune_jsonw_key(&w, "op"), dune_jsonw_str(&w, op);
    if (plan)
        dune_jsonw_key(&w, "plan"), dune_jsonw_str(&w, plan);
    if (profile)
        dune_jsonw_key(&w, "profile"), dune_jsonw_str(&w, profile);
    dune_mem_free(profile);
    if (share)
        dune_jsonw_key(&w, "share"), dune_jsonw_uint(&w, share);
    dune_jsonw_end(&w);
    rc = dune_asker_ask(s->asker, b.data, b.len, 5000, &answer, d);
    dune_buf_fini(&b);
    if (rc)
        return rc;
    root = json_loads(answer, 0, NULL);
    dune_mem_free(answer);
    if (!root)
        return dune_diag_set(d, DUNE_E_ENV, NULL, "the controller's answer cannot be read");
    read_state(root, &s->now);
    json_decref(root);
    return 0;
}

typedef bool (*done_fn)(const struct session *s);

static int wait_for(struct session *s, const char *what, done_fn done, struct dune_diag *d)
{
    uint64_t until = dune_now_ns() + (uint64_t)(s->how->wait_s * 1e9), rollbacks = s->now.rollbacks;

    for (;;) {
        int rc = ask(s, "status", NULL, 0, d);

        if (rc)
            return rc;
        if (s->now.rollbacks > rollbacks)
            return dune_diag_set(d, DUNE_E_ENV, NULL, "the controller took the plan back: its log says why");
        if (done(s))
            return 0;
        if (dune_interrupted())
            return dune_diag_set(d, DUNE_E_INTERRUPTED, NULL, "interrupted while waiting for %s", what);
        if (dune_now_ns() > until)
            return dune_diag_set(d, DUNE_E_ENV, NULL, "no %s within %.0f s (phase %s): is there traffic, and are all "
                                 "devices there? --wait gives more time", what, s->how->wait_s, s->now.phase);
        usleep(200000);
    }
}

static bool shadowed_enough(const struct session *s)
{
    return s->now.shadowed >= s->how->shadow_flows;
}

static bool shared_enough(const struct session *s)
{
    return s->now.next_flows >= s->how->share_flows;
}

static bool is_steady(const struct session *s)
{
    return strcmp(s->now.phase, "steady") == 0;
}

static int run_shadow(struct session *s, const char *text, struct dune_diag *d)
{
    struct dune_diag ignored = {0};
    double agree;
    int rc = ask(s, "shadow", text, 0, d);

    if (rc == 0)
        rc = wait_for(s, "comparison in shadow", shadowed_enough, d);
    agree = s->now.shadowed ? 100.0 * (double)s->now.same / (double)s->now.shadowed : 0;
    if (rc == 0)
        cli_note(s->ctx, "shadow: %llu flows compared, %.1f %% get the class they get now",
                 (unsigned long long)s->now.shadowed, agree);
    if (rc == 0 && agree < s->how->agree)
        rc = dune_diag_set(d, DUNE_E_INFEASIBLE, NULL, "only %.1f %% of the shadowed flows get the class they get now, "
                           "--agree asks for %.1f", agree, s->how->agree);
    return rc ? (ask(s, "shadow", NULL, 0, &ignored), rc) : ask(s, "shadow", NULL, 0, d);
}

static int run_update(struct session *s, const char *text, struct dune_diag *d)
{
    uint32_t share = (uint32_t)(s->how->share * DUNE_CTL_SHARE / 100);
    struct dune_diag ignored = {0};
    int rc = ask(s, "apply", text, share ? share : 1, d);

    if (rc)
        return rc;
    if (share < DUNE_CTL_SHARE) {
        rc = wait_for(s, "flows with the new plan", shared_enough, d);
        if (rc) {
            cli_note(s->ctx, "taking it back");
            return ask(s, "rollback", NULL, 0, &ignored), rc;
        }
        cli_note(s->ctx, "share: %llu flows got generation %llu", (unsigned long long)s->now.next_flows,
                 (unsigned long long)s->now.next);
        rc = ask(s, "promote", NULL, 0, d);
    }
    if (rc == 0)
        rc = wait_for(s, "end of the update", is_steady, d);
    if (rc == 0)
        cli_note(s->ctx, "all new flows get generation %llu, the old one is gone", (unsigned long long)s->now.base);
    return rc;
}

int cli_promote(struct cli_ctx *ctx, const struct cli_promotion *how, const char *text, struct dune_diag *d)
{
    struct session s = {.ctx = ctx, .how = how};
    int rc = cli_bus_open(&s.bus, how->bus, how->creds, how->ca, false, d);

    if (rc)
        return rc;
    rc = dune_asker_new(&s.asker, s.bus, d);
    if (rc == 0)
        rc = ask(&s, "status", NULL, 0, d);
    if (rc == 0 && !is_steady(&s))
        rc = dune_diag_set(d, DUNE_E_USAGE, NULL, "the controller is in phase %s: a new plan is promoted from phase steady",
                           s.now.phase);
    if (rc == 0 && how->shadow_flows)
        rc = run_shadow(&s, text, d);
    if (rc == 0)
        rc = run_update(&s, text, d);
    s.bus->ops->close(s.bus);
    dune_asker_free(s.asker);
    return rc;
}
