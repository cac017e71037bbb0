/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Drift while traffic flows (docs/drift.md). Counting costs a device time, so it is asked to, again and again while there
 * is a profile. Devices that can count report what their sub-models have seen since they began; the differences are added
 * up over all devices, until a window is over and holds enough to compare it with the profile of the plan. Profiles belong
 * to plans by hash: two are kept, in the store too.
 */
#include "controller/controller_int.h"

#include <string.h>

enum { ASK_S = 15 };
static const char *const keys[CTL_PROFILES] = {"profile-0", "profile-1"};

/* --- profiles --------------------------------------------------------------------------------------------- */

/* Its hash names the plan; NULL when there is none of this plan. */
static struct ctl_profile *find_profile(struct dune_controller *c, const struct dune_plan *p)
{
    char hash[33];

    if (!p)
        return NULL;
    dune_drift_plan_hash(p, hash);
    for (int i = 0; i < CTL_PROFILES; i++)
        if (c->profile[i].text && strcmp(c->profile[i].hash, hash) == 0)
            return &c->profile[i];
    return NULL;
}

/* The plan an operator speaks of: one that is here, or given beside its profile. */
static int parse_for(struct dune_drift_profile **f, const struct dune_plan *const *plan, size_t n, const char *text,
                     size_t len, struct dune_diag *d)
{
    struct dune_diag why = {0};
    int rc = dune_diag_set(d, DUNE_E_USAGE, NULL, "there is no plan yet that this profile could belong to");

    for (size_t i = 0; i < n; i++) {
        if (!plan[i])
            continue;
        memset(&why, 0, sizeof(why));
        rc = dune_drift_profile_parse(f, plan[i], "profile", text, len, &why);
        if (rc == 0) {
            memset(d, 0, sizeof(*d));
            return 0;
        }
        *d = why;
    }
    return rc;
}

static struct ctl_profile *slot_for(struct dune_controller *c, const char *hash)
{
    struct ctl_profile *base = find_profile(c, c->base.plan);

    for (int i = 0; i < CTL_PROFILES; i++)
        if (!c->profile[i].text || strcmp(c->profile[i].hash, hash) == 0)
            return &c->profile[i];
    return base == &c->profile[0] ? &c->profile[1] : &c->profile[0]; /* that of the plan that serves stays */
}

static int save(struct dune_controller *c, int i, struct dune_diag *d)
{
    struct dune_buf old = {0};
    uint64_t revision;
    int rc = c->bus->ops->get(c->bus, keys[i], &old, &revision, d);

    dune_buf_fini(&old);
    if (rc == 0)
        rc = c->bus->ops->put(c->bus, keys[i], c->profile[i].text, c->profile[i].len, &revision, d);
    return rc > 0 ? dune_diag_set(d, DUNE_E_ENV, NULL, "another controller wrote %s", keys[i]) : rc;
}

static void keep(struct ctl_profile *slot, const struct dune_drift_profile *f, const char *text, size_t len)
{
    dune_mem_free(slot->text);
    slot->text = dune_mem_strndup(text, len);
    slot->len = len;
    memcpy(slot->hash, f->plan_hash, sizeof(slot->hash));
}

int dune_controller_profile(struct dune_controller *c, const char *text, size_t len, const char *plan, size_t plan_len,
                            struct dune_diag *d)
{
    struct dune_plan *own = NULL;
    struct dune_drift_profile *f = NULL;
    struct ctl_profile *slot;
    int rc = dune_ctl_need_lease(c, d);

    if (rc)
        return rc;
    if (plan)
        rc = dune_plan_parse(&own, "plan", plan, plan_len, d);
    if (rc == 0) {
        const struct dune_plan *all[] = {own, plan ? NULL : c->base.plan, plan ? NULL : c->next.plan};

        rc = parse_for(&f, all, DUNE_ARRAY_LEN(all), text, len, d);
    }
    if (rc == 0) {
        slot = slot_for(c, f->plan_hash);
        keep(slot, f, text, len);
        rc = save(c, (int)(slot - c->profile), d);
        c->drift.generation = 0; /* begins anew */
    }
    dune_drift_profile_free(f);
    dune_plan_free(own);
    return rc;
}

/* The hash is in the text; whether the rest fits a plan is asked when it is used. */
static void read_hash(struct ctl_profile *p)
{
    json_t *root = json_loadb(p->text, p->len, JSON_REJECT_DUPLICATES, NULL);
    const char *hash = json_string_value(json_object_get(root, "plan"));

    snprintf(p->hash, sizeof(p->hash), "%s", hash ? hash : "");
    json_decref(root);
}

int dune_ctl_drift_read(struct dune_controller *c, struct dune_diag *d)
{
    int rc = 0;

    for (int i = 0; rc == 0 && i < CTL_PROFILES; i++) {
        struct ctl_profile *p = &c->profile[i];
        struct dune_buf text = {0};
        uint64_t revision;

        dune_mem_free(p->text);
        memset(p, 0, sizeof(*p));
        rc = c->bus->ops->get(c->bus, keys[i], &text, &revision, d);
        if (rc == 0 && text.len) {
            p->text = dune_mem_strndup(text.data, text.len);
            p->len = text.len;
            read_hash(p);
        }
        dune_buf_fini(&text);
    }
    c->drift.generation = 0;
    return rc;
}

/* --- counting ---------------------------------------------------------------------------------------------- */

static void forget(struct ctl_drift *x)
{
    dune_drift_profile_free(x->profile);
    dune_drift_counts_fini(&x->seen);
    dune_drift_counts_fini(&x->scratch);
    for (uint32_t i = 0; i < x->n_devices; i++)
        dune_drift_counts_fini(&x->device[i].last);
    dune_mem_free(x->device);
    memset(x, 0, sizeof(*x));
}

void dune_ctl_drift_fini(struct dune_controller *c)
{
    forget(&c->drift);
    for (int i = 0; i < CTL_PROFILES; i++)
        dune_mem_free(c->profile[i].text);
}

/* Another plan serves, or its profile came: all begins anew. */
static void begin(struct dune_controller *c)
{
    struct ctl_drift *x = &c->drift;
    struct ctl_profile *p = find_profile(c, c->base.plan);
    struct dune_diag d = {0};

    forget(x);
    x->generation = c->base.generation;
    x->begin_ns = c->now_ns;
    if (!p || !x->generation)
        return;
    if (dune_drift_profile_parse(&x->profile, c->base.plan, "profile", p->text, p->len, &d)) {
        x->profile = NULL;
        dune_ctl_note(c, "the drift profile cannot be used: %s", d.msg);
        return;
    }
    dune_drift_counts_init(&x->seen, c->base.plan);
    dune_drift_counts_init(&x->scratch, c->base.plan);
    x->device = DUNE_NEW_N(struct ctl_drift_device, c->n_devices);
    x->n_devices = c->n_devices;
}

/* Counts only grow while an agent lives. */
static bool has_fallen(const struct dune_drift_counts *now, const struct dune_drift_counts *last)
{
    for (uint32_t k = 0; k < now->n; k++)
        if (now->sub[k].answers < last->sub[k].answers)
            return true;
    return false;
}

void dune_ctl_take_drift(struct dune_controller *c, const struct ctl_device *from, const struct dune_ctl_msg *m)
{
    struct ctl_drift *x = &c->drift;
    struct ctl_drift_device *dev;
    struct dune_diag d = {0};

    if (!x->profile || m->generation != x->generation)
        return;
    if (dune_drift_counts_parse(&x->scratch, m->text, m->text_len, &d)) {
        c->stats.bad_messages++;
        return;
    }
    dev = &x->device[from - c->device];
    if (!dev->known) { /* what came before the first report is of another time */
        dune_drift_counts_init(&dev->last, c->base.plan);
        dev->known = true;
    } else {
        if (has_fallen(&x->scratch, &dev->last)) /* its agent has started again */
            dune_drift_counts_clear(&dev->last);
        dune_drift_counts_add(&x->seen, &x->scratch, 1);
        dune_drift_counts_add(&x->seen, &dev->last, -1);
    }
    dune_drift_counts_clear(&dev->last);
    dune_drift_counts_add(&dev->last, &x->scratch, 1);
}

/* --- comparing --------------------------------------------------------------------------------------------- */

static void other_names(const struct dune_drift_check *k, struct dune_buf *out)
{
    unsigned n = 0;

    for (size_t i = 0; i < k->n && n < CTL_DRIFT_NAMES; i++) {
        const struct dune_drift_signal *s = &k->signal[i];

        if (!s->moved || s->kind == DUNE_DRIFT_FEATURE || s->kind == DUNE_DRIFT_LEAVES)
            continue;
        dune_buf_printf(out, "%s%s of %s (%.3f, was %.3f)", n++ ? ", " : "", dune_drift_kind_name(s->kind), s->name, s->seen,
                        s->expected);
    }
}

static void tell(struct dune_controller *c, const struct dune_drift_check *k)
{
    struct ctl_drift *x = &c->drift;
    struct dune_buf moved = {0}, other = {0};
    bool now = k->alarm;

    dune_drift_moved(k, c->base.plan, CTL_DRIFT_NAMES, &moved);
    other_names(k, &other);
    snprintf(x->moved, sizeof(x->moved), "%s", moved.data ? moved.data : "");
    snprintf(x->other, sizeof(x->other), "%s", other.data ? other.data : "");
    if (now && !x->alarm) {
        x->alarms++;
        c->stats.alarms++;
        dune_ctl_note(c, "alarm: drift of generation %u: moved: %s%s%s", x->generation, x->moved, x->other[0] ? "; " : "",
                      x->other);
    } else if (!now && x->alarm) {
        dune_ctl_note(c, "over: drift of generation %u: nothing moved in the last window", x->generation);
    }
    x->alarm = now;
    dune_buf_fini(&moved);
    dune_buf_fini(&other);
}

/* A device counts for a minute. */
static void ask(struct dune_controller *c)
{
    for (uint32_t i = 0; i < c->drift.n_devices; i++) {
        struct ctl_drift_device *x = &c->drift.device[i];
        struct ctl_device *dev = &c->device[i];
        struct dune_ctl_msg *m;

        if (!dev->reported || dev->lost || (x->asked_ns && x->asked_boot == dev->report.boot && c->now_ns >= x->asked_ns &&
                                            c->now_ns - x->asked_ns < ASK_S * UINT64_C(1000000000)))
            continue;
        m = DUNE_NEW(struct dune_ctl_msg);
        m->kind = DUNE_CTL_DRIFT;
        m->generation = c->drift.generation;
        if (dune_ctl_send(c, dev, m)) {
            x->asked_ns = c->now_ns;
            x->asked_boot = dev->report.boot;
        }
        dune_mem_free(m);
    }
}

void dune_ctl_drift_step(struct dune_controller *c)
{
    struct ctl_drift *x = &c->drift;
    struct dune_drift_check k;

    if (x->generation != c->base.generation)
        begin(c);
    ask(c);
    x->begin_ns = DUNE_MIN(x->begin_ns, c->now_ns); /* the clock may be set back */
    if (!x->profile || c->now_ns < x->begin_ns + c->cfg.drift_window_ns)
        return;
    if (dune_drift_answers(&x->seen) * 4 < x->profile->fold_answers)
        return; /* the window grows until it can tell */
    dune_drift_compare(&k, x->profile, c->base.plan, &x->seen);
    x->windows++;
    tell(c, &k);
    dune_drift_check_fini(&k);
    dune_drift_counts_clear(&x->seen);
    x->begin_ns = c->now_ns;
}

void dune_ctl_drift_status(const struct dune_controller *c, struct dune_jsonw *w)
{
    const struct ctl_drift *x = &c->drift;
    uint32_t n = 0;

    for (uint32_t i = 0; i < x->n_devices; i++)
        n += x->device[i].known;
    dune_jsonw_key(w, "drift");
    dune_jsonw_obj(w);
    dune_jsonw_key(w, "profile"), dune_jsonw_bool(w, x->profile != NULL);
    dune_jsonw_key(w, "devices"), dune_jsonw_uint(w, n);
    dune_jsonw_key(w, "answers"), dune_jsonw_uint(w, x->profile ? dune_drift_answers(&x->seen) : 0);
    dune_jsonw_key(w, "windows"), dune_jsonw_uint(w, x->windows);
    dune_jsonw_key(w, "alarms"), dune_jsonw_uint(w, x->alarms);
    dune_jsonw_key(w, "alarm"), dune_jsonw_bool(w, x->alarm);
    dune_jsonw_key(w, "moved"), dune_jsonw_str(w, x->moved);
    dune_jsonw_key(w, "classes"), dune_jsonw_str(w, x->other);
    dune_jsonw_end(w);
}
