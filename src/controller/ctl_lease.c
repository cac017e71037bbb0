/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The lease that admits one controller, and the desired state: both in the bus's store.
 *
 *   lease         {"owner", "epoch", "until"}: who may send commands; the epoch grows with every owner
 *   desired       phase, generations, pins, devices
 *   plan.base plan.next plan.previous plan.pending    the plans themselves
 *   profile-0 profile-1   what their sub-models saw in training (ctl_drift.c)
 */
#include "controller/controller_int.h"

#include <arpa/inet.h>
#include <string.h>

/* A lease that ends later than so many of ours was given before a clock was set back. Taking it is safe: its owner
 * notices when it renews, and devices obey the higher epoch. */
enum { LEASE_LONGEST = 10 };

/* A leader that cannot read the desired state for so many leases gives the lease up, and leaves it to others for as long. */
enum { UNREAD_LEASES = 3 };

/* --- lease --------------------------------------------------------------------------------------------- */

struct lease {
    char owner[128];
    uint64_t epoch, until;
};

static int read_lease(struct dune_controller *c, struct lease *l, struct dune_diag *d)
{
    struct dune_buf text = {0};
    struct dune_json_reader r = {.d = d};
    int rc = c->bus->ops->get(c->bus, "lease", &text, &c->lease_revision, d);
    json_t *root = NULL;
    const char *owner;

    memset(l, 0, sizeof(*l));
    if (rc == 0 && c->lease_revision) {
        root = json_loadb(text.data ? text.data : "", text.len, JSON_REJECT_DUPLICATES, NULL);
        if (root && dune_json_is_object(&r, root, "owner epoch until")) {
            owner = dune_json_text(&r, root, "owner", false);
            snprintf(l->owner, sizeof(l->owner), "%s", owner ? owner : "");
            l->epoch = dune_json_big(&r, root, "epoch");
            l->until = dune_json_big(&r, root, "until");
        } else if (r.rc == 0) {
            r.rc = dune_diag_set(d, DUNE_E_INPUT, NULL, "the lease in the store is not JSON");
        }
        rc = r.rc;
    }
    json_decref(root);
    dune_buf_fini(&text);
    return rc;
}

static int write_lease(struct dune_controller *c, uint64_t epoch, uint64_t until, struct dune_diag *d)
{
    struct dune_buf text = {0};
    struct dune_jsonw w;
    int rc;

    dune_jsonw_init(&w, &text);
    dune_jsonw_obj_inline(&w);
    dune_jsonw_key(&w, "owner"), dune_jsonw_str(&w, c->owner);
    dune_jsonw_key(&w, "epoch"), dune_jsonw_big(&w, epoch);
    dune_jsonw_key(&w, "until"), dune_jsonw_big(&w, until);
    dune_jsonw_end(&w);
    rc = c->bus->ops->put(c->bus, "lease", text.data, text.len, &c->lease_revision, d);
    dune_buf_fini(&text);
    return rc;
}

static void step_down(struct dune_controller *c, const char *why)
{
    c->leader = false;
    c->state_read = false;
    dune_ctl_note(c, "lease lost: %s; commands stop", why);
}

static void acquire(struct dune_controller *c)
{
    struct dune_diag d = {0};
    struct lease l;
    int rc = read_lease(c, &l, &d);

    if (rc) {
        if (c->stats.bus_errors++ % 64 == 0 && rc == DUNE_E_INPUT)
            dune_ctl_note(c, "the lease cannot be read: %s", d.msg);
        return;
    }
    if (c->lease_revision && l.until > c->now_ns && l.until - c->now_ns < LEASE_LONGEST * c->cfg.lease_ns &&
        strcmp(l.owner, c->owner) != 0)
        return; /* somebody else's */
    rc = write_lease(c, l.epoch + 1, c->now_ns + c->cfg.lease_ns, &d);
    if (rc) {
        c->stats.bus_errors += rc < 0;
        return;
    }
    c->leader = true;
    c->unread_since_ns = c->now_ns;
    c->epoch = l.epoch + 1;
    c->seq = 0;
    c->lease_until = c->now_ns + c->cfg.lease_ns;
    for (uint32_t i = 0; i < c->n_devices; i++) {
        c->device[i].sent_seq = c->device[i].sent_ns = 0;
        c->device[i].n_rules = c->device[i].tries = 0;
        c->device[i].loading = c->device[i].was_plan = false;
        c->device[i].shadow_refused = 0;
    }
    c->n_loading = 0;
    memset(c->known, 0, KNOWN_FLOWS * sizeof(*c->known)); /* what another controller sent is unknown */
    dune_ctl_note(c, "lease taken, epoch %llu", (unsigned long long)c->epoch);
}

static void renew(struct dune_controller *c)
{
    struct dune_diag d = {0};
    int rc = write_lease(c, c->epoch, c->now_ns + c->cfg.lease_ns, &d);

    if (rc == 0)
        c->lease_until = c->now_ns + c->cfg.lease_ns;
    else if (rc > 0)
        step_down(c, "another controller took it");
    else
        c->stats.bus_errors++;
}

/* Another controller may be able to read what this one cannot: a lease that is only held helps nobody. */
static void unread(struct dune_controller *c, const struct dune_diag *why)
{
    const uint64_t wait = UNREAD_LEASES * c->cfg.lease_ns;
    struct dune_diag ignored = {0};

    if (c->now_ns - c->unread_since_ns < wait) {
        dune_ctl_note(c, "the desired state cannot be read yet: %s", why->msg);
        return;
    }
    if (write_lease(c, c->epoch, 0, &ignored))
        c->stats.bus_errors++;
    c->stand_back_ns = c->now_ns + wait;
    dune_ctl_note(c, "alarm: the desired state cannot be read: %s; the lease is given up", why->msg);
    step_down(c, "it was given up");
}

int dune_ctl_need_lease(const struct dune_controller *c, struct dune_diag *d)
{
    if (c->leader && c->state_read)
        return 0;
    return dune_diag_set(d, DUNE_E_ENV, NULL, "this controller does not have the lease");
}

void dune_ctl_lease_step(struct dune_controller *c)
{
    uint64_t pause = c->cfg.lease_ns / (c->leader ? 3 : 8);
    struct dune_diag d = {0};

    if (c->leader && c->lease_until > c->now_ns + c->cfg.lease_ns) /* the clock was set back */
        c->lease_until = c->now_ns + c->cfg.lease_ns;
    if (c->leader && c->now_ns >= c->lease_until)
        step_down(c, "it could not be renewed in time");
    if (c->lease_tried_ns == 0 || c->now_ns - c->lease_tried_ns >= pause) {
        c->lease_tried_ns = c->now_ns;
        if (c->leader)
            renew(c);
        else if (c->now_ns >= c->stand_back_ns || c->stand_back_ns - c->now_ns > UNREAD_LEASES * c->cfg.lease_ns)
            acquire(c);
    }
    if (c->leader && !c->state_read && c->lease_tried_ns == c->now_ns) {
        if (dune_ctl_state_read(c, &d) == 0)
            c->state_read = true;
        else
            unread(c, &d);
    }
}

void dune_controller_release(struct dune_controller *c)
{
    struct dune_diag ignored = {0};

    if (c->leader && write_lease(c, c->epoch, 0, &ignored) == 0)
        c->leader = false;
}

/* --- plans --------------------------------------------------------------------------------------------- */

void dune_ctl_plan_fini(struct ctl_plan *p)
{
    dune_plan_free(p->plan);
    dune_mem_free(p->text);
    memset(p, 0, sizeof(*p));
}

void dune_plan_stretch(struct dune_plan *p, uint32_t n)
{
    const char *profile = p->n_devices ? p->device[p->n_devices - 1].profile : "engine";

    if (p->n_devices >= n)
        return;
    profile = dune_profile_find(profile)->name;
    p->device = dune_mem_realloc(p->device, n, sizeof(*p->device));
    for (uint32_t i = p->n_devices; i < n; i++)
        p->device[i] = (struct dune_plan_device){.name = dune_mem_printf("device-%u", i + 1),
                                                 .profile = dune_mem_strdup(profile)};
    p->n_devices = n;
}

int dune_ctl_plan_init(struct ctl_plan *p, const char *name, const char *text, size_t len, uint16_t generation,
                       uint32_t n_devices, struct dune_diag *d)
{
    struct dune_plan *plan = NULL;
    int rc = dune_plan_parse(&plan, name, text, len, d);

    memset(p, 0, sizeof(*p));
    if (rc)
        return rc;
    if (generation)
        plan->generation = generation;
    dune_plan_stretch(plan, n_devices);
    rc = dune_plan_format(plan, &p->text, &p->len, d);
    if (rc == 0 && p->len > DUNE_CTL_PLAN_MAX)
        rc = dune_diag_set(d, DUNE_E_INFEASIBLE, name, "a plan of %zu bytes, devices take up to %u", p->len,
                           DUNE_CTL_PLAN_MAX);
    p->plan = plan;
    p->generation = plan->generation;
    if (rc)
        dune_ctl_plan_fini(p);
    else
        p->crc = dune_crc32(p->text, p->len);
    return rc;
}

/* --- pins ---------------------------------------------------------------------------------------------- */

static bool parse_addr(const char *text, size_t len, uint8_t out[16], bool *ipv6)
{
    char copy[64];

    if (len == 0 || len >= sizeof(copy))
        return false;
    memcpy(copy, text, len);
    copy[len] = '\0';
    *ipv6 = strchr(copy, ':') != NULL;
    return inet_pton(*ipv6 ? AF_INET6 : AF_INET, copy, out) == 1;
}

/* 10.0.0.1:80 or [fd00::1]:80 */
static bool parse_side(const char *text, uint8_t addr[16], bool *ipv6, uint16_t *port)
{
    const char *colon = strrchr(text, ':');
    size_t len = colon ? (size_t)(colon - text) : 0;
    uint64_t n;

    if (!colon || !dune_parse_u64(colon + 1, &n) || n > UINT16_MAX)
        return false;
    *port = (uint16_t)n;
    if (len > 2 && text[0] == '[' && text[len - 1] == ']')
        return parse_addr(text + 1, len - 2, addr, ipv6) && *ipv6;
    return parse_addr(text, len, addr, ipv6) && !*ipv6;
}

static bool parse_flow(struct ctl_pin *p, const char *what)
{
    char proto[8], src[64], dst[64];
    uint8_t a[16], b[16];
    bool a6, b6;
    uint16_t sport, dport;
    unsigned n;

    if (sscanf(what, "%7s %63s %63s", proto, src, dst) != 3 || !parse_side(src, a, &a6, &sport) ||
        !parse_side(dst, b, &b6, &dport) || a6 != b6 ||
        (strcmp(proto, "tcp") != 0 && strcmp(proto, "udp") != 0))
        return false;
    n = a6 ? 16 : 4;
    memcpy(p->key.bytes, a, n);
    memcpy(p->key.bytes + n, b, n);
    p->key.bytes[2 * n] = (uint8_t)(sport >> 8);
    p->key.bytes[2 * n + 1] = (uint8_t)sport;
    p->key.bytes[2 * n + 2] = (uint8_t)(dport >> 8);
    p->key.bytes[2 * n + 3] = (uint8_t)dport;
    p->key.bytes[2 * n + 4] = proto[0] == 't' ? 6 : 17;
    p->key.len = (uint8_t)(2 * n + 5);
    p->is_flow = true;
    return true;
}

static bool parse_prefix(struct ctl_pin *p, const char *what)
{
    const char *slash = strchr(what, '/');
    size_t len = slash ? (size_t)(slash - what) : strlen(what);
    uint64_t bits;

    if (!parse_addr(what, len, p->prefix.addr, &p->prefix.ipv6))
        return false;
    bits = p->prefix.ipv6 ? 128 : 32;
    if (slash && (!dune_parse_u64(slash + 1, &bits) || bits > (p->prefix.ipv6 ? 128u : 32u)))
        return false;
    p->prefix.len = (uint8_t)bits;
    return true;
}

int dune_ctl_pin_parse(struct ctl_pin *p, const char *what, const char *cls, struct dune_diag *d)
{
    memset(p, 0, sizeof(*p));
    if (strlen(what) > 200 || (!parse_flow(p, what) && !parse_prefix(p, what)))
        return dune_diag_set(d, DUNE_E_USAGE, NULL,
                             "\"%.200s\" is neither a prefix like 10.0.0.0/8 nor a flow like "
                             "\"tcp 10.0.0.1:80 10.0.0.2:4000\"", what);
    p->what = dune_mem_strdup(what);
    p->cls = cls ? dune_mem_strdup(cls) : NULL;
    return 0;
}

/* --- desired state: writing ------------------------------------------------------------------------------ */

static void state_text(const struct dune_controller *c, struct dune_buf *out)
{
    struct dune_jsonw w;

    dune_jsonw_init(&w, out);
    dune_jsonw_obj(&w);
    dune_jsonw_key(&w, "v"), dune_jsonw_uint(&w, 1);
    dune_jsonw_key(&w, "phase"), dune_jsonw_str(&w, dune_ctl_phase_name(c->phase));
    dune_jsonw_key(&w, "share"), dune_jsonw_uint(&w, c->share);
    dune_jsonw_key(&w, "last_generation"), dune_jsonw_uint(&w, c->last_generation);
    dune_jsonw_key(&w, "base"), dune_jsonw_uint(&w, c->base.generation);
    dune_jsonw_key(&w, "next"), dune_jsonw_uint(&w, c->next.generation);
    dune_jsonw_key(&w, "previous"), dune_jsonw_uint(&w, c->previous.generation);
    dune_jsonw_key(&w, "pending"), dune_jsonw_bool(&w, c->pending != NULL);
    dune_jsonw_key(&w, "pending_share"), dune_jsonw_uint(&w, c->pending_share);
    dune_jsonw_key(&w, "devices");
    dune_jsonw_arr(&w);
    for (uint32_t i = 0; i < c->n_devices; i++) {
        dune_jsonw_obj_inline(&w);
        dune_jsonw_key(&w, "name"), dune_jsonw_str(&w, c->device[i].name);
        dune_jsonw_key(&w, "position"), dune_jsonw_uint(&w, c->device[i].position);
        dune_jsonw_key(&w, "bare"), dune_jsonw_bool(&w, c->device[i].bare);
        dune_jsonw_end(&w);
    }
    dune_jsonw_end(&w);
    dune_jsonw_key(&w, "pins");
    dune_jsonw_arr(&w);
    for (uint32_t i = 0; i < c->n_pins; i++) {
        dune_jsonw_obj_inline(&w);
        dune_jsonw_key(&w, "what"), dune_jsonw_str(&w, c->pin[i].what);
        dune_jsonw_key(&w, "class"), dune_jsonw_str(&w, c->pin[i].cls);
        dune_jsonw_end(&w);
    }
    dune_jsonw_end(&w);
    dune_jsonw_end(&w);
}

static int put_plan(struct dune_controller *c, const char *key, const char *text, size_t len, struct dune_diag *d)
{
    struct dune_buf old = {0};
    uint64_t revision;
    int rc = c->bus->ops->get(c->bus, key, &old, &revision, d);
    bool same = rc == 0 && revision && old.len == len && (len == 0 || memcmp(old.data, text, len) == 0);

    dune_buf_fini(&old);
    if (rc || same || (len == 0 && revision == 0))
        return rc;
    rc = c->bus->ops->put(c->bus, key, text ? text : "", len, &revision, d);
    return rc > 0 ? dune_diag_set(d, DUNE_E_ENV, NULL, "another controller wrote %s", key) : rc;
}

/* Plans that are (filled) or plans that are gone. previous first: base moves there. */
static int put_plans(struct dune_controller *c, bool filled, struct dune_diag *d)
{
    const struct {
        const char *key, *text;
        size_t len;
    } all[] = {
        {"plan.previous", c->previous.text, c->previous.len},
        {"plan.base", c->base.text, c->base.len},
        {"plan.next", c->next.text, c->next.len},
        {"plan.pending", c->pending, c->pending ? strlen(c->pending) : 0},
    };
    int rc = 0;

    for (size_t i = 0; rc == 0 && i < DUNE_ARRAY_LEN(all); i++)
        if ((all[i].len != 0) == filled)
            rc = put_plan(c, all[i].key, all[i].text, all[i].len, d);
    return rc;
}

/* A state never names a plan that is not there: new plans before it, old ones go after it. */
int dune_ctl_state_save(struct dune_controller *c, struct dune_diag *d)
{
    struct dune_buf text = {0};
    int rc = put_plans(c, true, d);

    if (rc)
        return rc;
    state_text(c, &text);
    rc = c->bus->ops->put(c->bus, "desired", text.data, text.len, &c->state_revision, d);
    dune_buf_fini(&text);
    if (rc > 0) {
        step_down(c, "another controller changed the desired state");
        return dune_diag_set(d, DUNE_E_ENV, NULL, "another controller changed the desired state");
    }
    c->dirty = rc != 0;
    return rc ? rc : put_plans(c, false, d);
}

/* --- desired state: reading ------------------------------------------------------------------------------ */

static int get_text(struct dune_controller *c, const char *key, struct dune_buf *text, struct dune_diag *d)
{
    uint64_t revision;

    return c->bus->ops->get(c->bus, key, text, &revision, d);
}

/*
 * A controller that was killed between writing plans and writing the state left plans that are newer than
 * the state: only the plan whose generation the state names counts.
 */
static int read_plan(struct dune_controller *c, struct ctl_plan *p, uint16_t generation, struct dune_diag *d)
{
    static const char *const keys[] = {"plan.base", "plan.next", "plan.previous"};
    struct dune_buf text = {0};
    int rc = 0;

    dune_ctl_plan_fini(p);
    for (size_t i = 0; generation && rc == 0 && i < DUNE_ARRAY_LEN(keys) && !p->generation; i++) {
        text.len = 0;
        rc = get_text(c, keys[i], &text, d);
        if (rc == 0 && text.len)
            rc = dune_ctl_plan_init(p, keys[i], text.data, text.len, 0, 0, d);
        if (rc == 0 && p->generation != generation)
            dune_ctl_plan_fini(p);
    }
    dune_buf_fini(&text);
    if (rc == 0 && generation && !p->generation)
        rc = dune_diag_set(d, DUNE_E_INPUT, NULL, "the plan of generation %u is not in the store", generation);
    return rc;
}

static void read_devices(struct dune_controller *c, struct dune_json_reader *r, const json_t *root)
{
    uint32_t n;
    size_t at, in;
    const json_t *list = dune_json_array(r, root, "devices", 65536, &n, &at);

    for (uint32_t i = 0; r->rc == 0 && i < n; i++) {
        const json_t *v = json_array_get(list, i);
        const char *name;
        struct ctl_device *dev;

        in = dune_json_enter_index(r, i);
        if (dune_json_is_object(r, v, "name position bare")) {
            name = dune_json_text(r, v, "name", false);
            dev = name ? dune_ctl_find_device(c, name) : NULL;
            if (dev) {
                dev->position = (uint16_t)dune_json_uint(r, v, "position", DUNE_MAX_DEVICES - 1);
                dev->bare = dune_json_bool(r, v, "bare");
            }
        }
        dune_json_leave(r, in);
    }
    dune_json_leave(r, at);
}

static void read_pins(struct dune_controller *c, struct dune_json_reader *r, const json_t *root)
{
    uint32_t n;
    size_t at, in;
    const json_t *list = dune_json_array(r, root, "pins", MAX_PINS, &n, &at);

    for (uint32_t i = 0; i < c->n_pins; i++) {
        dune_mem_free(c->pin[i].what);
        dune_mem_free(c->pin[i].cls);
    }
    c->n_pins = 0;
    for (uint32_t i = 0; r->rc == 0 && i < n; i++) {
        const json_t *v = json_array_get(list, i);

        in = dune_json_enter_index(r, i);
        if (dune_json_is_object(r, v, "what class")) {
            const char *what = dune_json_text(r, v, "what", false);
            const char *cls = dune_json_text(r, v, "class", true);

            if (what && dune_ctl_pin_parse(&c->pin[c->n_pins], what, cls, r->d) == 0)
                c->n_pins++;
        }
        dune_json_leave(r, in);
    }
    dune_json_leave(r, at);
}

struct named { /* generations the state speaks of */
    uint16_t base, next, previous;
    bool pending;
};

static void read_fields(struct dune_controller *c, struct dune_json_reader *r, json_t *root, struct named *n)
{
    static const struct dune_format state_format = {"the desired state", 1, 0, false};
    static const char *const phases[] = {
#define X(id, name) name,
        DUNE_CTL_PHASES(X)
#undef X
        NULL,
    };

    r->rc = dune_format_check_json(&state_format, root, "v", NULL, NULL, r->d);
    if (!dune_json_is_object(r, root, "v phase share last_generation base next previous pending pending_share "
                             "devices pins"))
        return;
    c->phase = (enum dune_ctl_phase)dune_json_word(r, root, "phase", phases);
    c->share = (uint32_t)dune_json_uint(r, root, "share", DUNE_CTL_SHARE);
    c->last_generation = (uint16_t)dune_json_uint(r, root, "last_generation", UINT16_MAX);
    n->base = (uint16_t)dune_json_uint(r, root, "base", UINT16_MAX);
    n->next = (uint16_t)dune_json_uint(r, root, "next", UINT16_MAX);
    n->previous = (uint16_t)dune_json_uint(r, root, "previous", UINT16_MAX);
    n->pending = dune_json_bool(r, root, "pending");
    c->pending_share = (uint32_t)dune_json_uint(r, root, "pending_share", DUNE_CTL_SHARE);
    read_devices(c, r, root);
    read_pins(c, r, root);
}

static int read_pending(struct dune_controller *c, bool pending, struct dune_diag *d)
{
    struct dune_buf text = {0};
    int rc = pending ? get_text(c, "plan.pending", &text, d) : 0;

    dune_mem_free(c->pending);
    c->pending = rc == 0 && text.len ? dune_mem_strndup(text.data, text.len) : NULL;
    dune_buf_fini(&text);
    return rc;
}

/* Phases that speak of plans the state does not name. */
static int check_phase(const struct dune_controller *c, const struct named *n, struct dune_diag *d)
{
    bool updating = c->phase >= DUNE_PHASE_LOADING;
    bool both = c->phase > DUNE_PHASE_LOADING;

    if ((updating && !n->next) || (both && !n->base) || (c->phase == DUNE_PHASE_STEADY && !n->base) ||
        (n->base && n->base == n->next))
        return dune_diag_set(d, DUNE_E_INPUT, NULL, "desired state: phase %s with generations %u and %u",
                             dune_ctl_phase_name(c->phase), n->base, n->next);
    return 0;
}

int dune_ctl_state_read(struct dune_controller *c, struct dune_diag *d)
{
    struct dune_buf text = {0};
    struct dune_json_reader r = {.d = d};
    struct named n = {0};
    json_error_t e;
    json_t *root = NULL;
    int rc = c->bus->ops->get(c->bus, "desired", &text, &c->state_revision, d);

    if (rc == 0 && c->state_revision) {
        root = json_loadb(text.data ? text.data : "", text.len, JSON_REJECT_DUPLICATES, &e);
        if (root)
            read_fields(c, &r, root, &n);
        rc = root ? r.rc : dune_diag_set(d, DUNE_E_FORMAT, NULL, "desired state: %s", e.text);
    }
    json_decref(root);
    dune_buf_fini(&text);
    if (rc == 0)
        rc = check_phase(c, &n, d);
    if (rc == 0)
        rc = read_plan(c, &c->base, n.base, d);
    if (rc == 0)
        rc = read_plan(c, &c->next, n.next, d);
    if (rc == 0)
        rc = read_plan(c, &c->previous, n.previous, d);
    if (rc == 0)
        rc = read_pending(c, n.pending, d);
    return rc ? rc : dune_ctl_drift_read(c, d);
}
