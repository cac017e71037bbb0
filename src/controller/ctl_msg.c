/* SPDX-License-Identifier: Apache-2.0 */
/* Control messages as JSON: written by us, read from anybody. */
#include "controller/ctl_int.h"

#include <string.h>

static const char *const kind_names[] = {
#define X(id, name) name,
    DUNE_CTL_KINDS(X)
#undef X
    NULL,
};

const char *dune_ctl_kind_name(enum dune_ctl_kind k)
{
    return (unsigned)k < DUNE_CTL_N_KINDS ? kind_names[k] : "?";
}

bool dune_ctl_name_ok(const char *name)
{
    static const char ok[] = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-_";
    size_t len = strlen(name);

    return len > 0 && len < DUNE_CTL_NAME && strspn(name, ok) == len;
}

void dune_ctl_msg_fini(struct dune_ctl_msg *m)
{
    dune_mem_free(m->text);
    m->text = NULL;
    m->text_len = 0;
}

/* --- writing ------------------------------------------------------------------------------------------- */

static void put(struct dune_jsonw *w, const char *key, uint64_t v)
{
    dune_jsonw_key(w, key);
    dune_jsonw_big(w, v);
}

/* ["KEY IN HEX", tick, generation, class, flags, submodel, conf, device] */
static void put_digest(struct dune_jsonw *w, const struct dune_digest *dg)
{
    static const char digit[] = "0123456789abcdef";
    char hex[2 * sizeof(dg->key.bytes) + 1];

    for (unsigned i = 0; i < dg->key.len; i++) {
        hex[2 * i] = digit[dg->key.bytes[i] >> 4];
        hex[2 * i + 1] = digit[dg->key.bytes[i] & 15];
    }
    hex[2 * dg->key.len] = '\0';
    dune_jsonw_arr_inline(w);
    dune_jsonw_str(w, hex);
    dune_jsonw_big(w, dg->tick);
    dune_jsonw_uint(w, dg->generation);
    dune_jsonw_uint(w, dg->cls);
    dune_jsonw_uint(w, dg->flags);
    dune_jsonw_uint(w, dg->submodel);
    dune_jsonw_uint(w, dg->conf);
    dune_jsonw_uint(w, dg->device);
    dune_jsonw_end(w);
}

static void put_report(struct dune_jsonw *w, const struct dune_ctl_report *r)
{
    put(w, "boot", r->boot);
    put(w, "tick", r->tick);
    dune_jsonw_key(w, "held");
    dune_jsonw_arr_inline(w);
    for (uint32_t i = 0; i < r->n_held && i < 2; i++) {
        dune_jsonw_arr_inline(w);
        dune_jsonw_uint(w, r->held[i].generation);
        dune_jsonw_uint(w, r->held[i].crc);
        dune_jsonw_end(w);
    }
    dune_jsonw_end(w);
    put(w, "position", r->position);
    put(w, "stamped", r->stamped);
    put(w, "share", r->share);
    put(w, "drain_until", r->drain_until);
    put(w, "stale", r->stale);
    put(w, "hop_p50_ns", r->hop_p50_ns);
    put(w, "hop_p90_ns", r->hop_p90_ns);
    put(w, "hop_p99_ns", r->hop_p99_ns);
    put(w, "lost", r->lost);
    dune_jsonw_key(w, "shadow");
    dune_jsonw_obj_inline(w);
    put(w, "generation", r->shadow.generation);
    put(w, "packets", r->shadow.packets);
    put(w, "claimed", r->shadow.claimed);
    put(w, "settled", r->shadow.settled);
    put(w, "same", r->shadow.same);
    put(w, "compared", r->shadow.compared);
    dune_jsonw_end(w);
    dune_jsonw_key(w, "counters");
    dune_jsonw_obj(w);
    dune_counters_json(&r->counters, w);
    dune_jsonw_end(w);
}

static void put_text(struct dune_jsonw *w, const char *key, const struct dune_ctl_msg *m)
{
    char *copy = dune_mem_strndup(m->text ? m->text : "", m->text_len);

    dune_jsonw_key(w, key);
    dune_jsonw_str(w, copy);
    dune_mem_free(copy);
}

static void put_body(struct dune_jsonw *w, const struct dune_ctl_msg *m)
{
    switch (m->kind) {
    case DUNE_CTL_LOAD:
        put(w, "position", m->position);
        /* fall through */
    case DUNE_CTL_SHADOW:
        put(w, "part", m->part);
        put(w, "parts", m->parts);
        put_text(w, "plan", m);
        break;
    case DUNE_CTL_STAMP:
        put(w, "share", m->share);
        break;
    case DUNE_CTL_RULES:
    case DUNE_CTL_DIGESTS:
        dune_jsonw_key(w, dune_ctl_kind_name(m->kind));
        dune_jsonw_arr(w);
        for (uint32_t i = 0; i < m->n_digests; i++)
            put_digest(w, &m->digest[i]);
        dune_jsonw_end(w);
        break;
    case DUNE_CTL_REPORT:
        put_report(w, &m->report);
        break;
    case DUNE_CTL_DRIFT:
        put_text(w, "counts", m);
        break;
    case DUNE_CTL_REFUSED:
        dune_jsonw_key(w, "code");
        dune_jsonw_int(w, m->code);
        put_text(w, "why", m);
        break;
    default:
        break;
    }
}

void dune_ctl_format(const struct dune_ctl_msg *m, struct dune_buf *out)
{
    struct dune_jsonw w;

    dune_jsonw_init(&w, out);
    dune_jsonw_obj(&w);
    put(&w, "v", 1);
    dune_jsonw_key(&w, "type"), dune_jsonw_str(&w, dune_ctl_kind_name(m->kind));
    dune_jsonw_key(&w, "device"), dune_jsonw_str(&w, m->device);
    put(&w, "epoch", m->epoch);
    put(&w, "seq", m->seq);
    put(&w, "generation", m->generation);
    put_body(&w, m);
    dune_jsonw_end(&w);
}

/* --- reading ------------------------------------------------------------------------------------------- */

#define HEAD "v type device epoch seq generation "

static void read_key(struct dune_json_reader *r, const char *hex, struct dune_flow_key *key)
{
    size_t len = hex ? strlen(hex) : 0;

    if (len != 26 && len != 74) {
        dune_json_fail(r, "a flow key has 26 or 74 hex digits");
        return;
    }
    for (size_t i = 0; i < len / 2; i++) {
        int hi = dune_hex_digit(hex[2 * i]), lo = dune_hex_digit(hex[2 * i + 1]);

        if (hi < 0 || lo < 0) {
            dune_json_fail(r, "a flow key is written in hex digits 0-9 and a-f");
            return;
        }
        key->bytes[i] = (uint8_t)(hi << 4 | lo);
    }
    key->len = (uint8_t)(len / 2);
}

static uint64_t at_index(struct dune_json_reader *r, const json_t *v, size_t i, uint64_t max)
{
    size_t in = dune_json_enter_index(r, i);
    uint64_t n = dune_json_to_uint(r, json_array_get(v, i), max);

    dune_json_leave(r, in);
    return n;
}

static void read_digest(struct dune_json_reader *r, const json_t *v, struct dune_digest *dg)
{
    if (!json_is_array(v) || json_array_size(v) != 8) {
        dune_json_fail(r, "a digest is [key, tick, generation, class, flags, submodel, conf, device]");
        return;
    }
    read_key(r, json_string_value(json_array_get(v, 0)), &dg->key);
    dg->tick = at_index(r, v, 1, INT64_MAX);
    dg->generation = (uint16_t)at_index(r, v, 2, UINT16_MAX);
    dg->cls = (uint8_t)at_index(r, v, 3, DUNE_MAX_CLASSES);
    dg->flags = (uint8_t)at_index(r, v, 4, DUNE_SHIM_TENTATIVE | DUNE_SHIM_FL);
    dg->submodel = (uint8_t)at_index(r, v, 5, 255);
    dg->conf = (uint8_t)at_index(r, v, 6, 255);
    dg->device = (uint16_t)at_index(r, v, 7, UINT16_MAX);
    if (dg->flags & ~(DUNE_SHIM_TENTATIVE | DUNE_SHIM_FL))
        dune_json_fail(r, "flags are those of a tentative or a flow-level answer");
}

static void read_digests(struct dune_json_reader *r, const json_t *root, struct dune_ctl_msg *m)
{
    size_t at, in;
    const json_t *list = dune_json_array(r, root, dune_ctl_kind_name(m->kind), DUNE_CTL_BATCH,
                                         &m->n_digests, &at);

    for (uint32_t i = 0; r->rc == 0 && i < m->n_digests; i++) {
        in = dune_json_enter_index(r, i);
        read_digest(r, json_array_get(list, i), &m->digest[i]);
        dune_json_leave(r, in);
    }
    dune_json_leave(r, at);
}

static void read_held(struct dune_json_reader *r, const json_t *root, struct dune_ctl_report *rep)
{
    size_t at, in;
    const json_t *list = dune_json_array(r, root, "held", 2, &rep->n_held, &at);

    for (uint32_t i = 0; r->rc == 0 && i < rep->n_held; i++) {
        const json_t *v = json_array_get(list, i);

        in = dune_json_enter_index(r, i);
        if (!json_is_array(v) || json_array_size(v) != 2)
            dune_json_fail(r, "must be [generation, checksum]");
        rep->held[i].generation = (uint16_t)at_index(r, v, 0, UINT16_MAX);
        rep->held[i].crc = (uint32_t)at_index(r, v, 1, UINT32_MAX);
        dune_json_leave(r, in);
    }
    dune_json_leave(r, at);
}

static void read_shadow(struct dune_json_reader *r, const json_t *root, struct dune_ctl_shadow *s)
{
    const json_t *v = json_object_get(root, "shadow");
    size_t at = dune_json_enter_key(r, "shadow");

    if (dune_json_is_object(r, v, "generation packets claimed settled same compared")) {
        s->generation = (uint16_t)dune_json_uint(r, v, "generation", UINT16_MAX);
        s->packets = dune_json_big(r, v, "packets");
        s->claimed = dune_json_big(r, v, "claimed");
        s->settled = dune_json_big(r, v, "settled");
        s->same = dune_json_big(r, v, "same");
        s->compared = dune_json_big(r, v, "compared");
    }
    dune_json_leave(r, at);
}

static void read_report(struct dune_json_reader *r, const json_t *root, struct dune_ctl_report *rep)
{
    const json_t *counters = json_object_get(root, "counters");
    size_t at;

    rep->boot = dune_json_big(r, root, "boot");
    rep->tick = dune_json_big(r, root, "tick");
    read_held(r, root, rep);
    rep->position = (uint16_t)dune_json_uint(r, root, "position", UINT16_MAX);
    rep->stamped = (uint16_t)dune_json_uint(r, root, "stamped", UINT16_MAX);
    rep->share = (uint32_t)dune_json_uint(r, root, "share", DUNE_CTL_SHARE);
    rep->drain_until = dune_json_big(r, root, "drain_until");
    rep->stale = dune_json_big(r, root, "stale");
    rep->hop_p50_ns = dune_json_big(r, root, "hop_p50_ns");
    rep->hop_p90_ns = dune_json_big(r, root, "hop_p90_ns");
    rep->hop_p99_ns = dune_json_big(r, root, "hop_p99_ns");
    rep->lost = dune_json_big(r, root, "lost");
    read_shadow(r, root, &rep->shadow);
    at = dune_json_enter_key(r, "counters");
    if (!json_is_object(counters))
        dune_json_fail(r, "must be an object");
    dune_ctl_read_counters(r, counters, &rep->counters);
    dune_json_leave(r, at);
}

static void read_text(struct dune_json_reader *r, const json_t *root, const char *key,
                      struct dune_ctl_msg *m)
{
    m->text = dune_json_dup(r, root, key, false);
    m->text_len = m->text ? strlen(m->text) : 0;
}

static void read_plan_part(struct dune_json_reader *r, const json_t *root, struct dune_ctl_msg *m)
{
    bool load = m->kind == DUNE_CTL_LOAD;

    if (!dune_json_is_object(r, root, load ? HEAD "position part parts plan" : HEAD "part parts plan"))
        return;
    if (load)
        m->position = (uint16_t)dune_json_uint(r, root, "position", DUNE_MAX_DEVICES - 1);
    m->part = (uint32_t)dune_json_uint(r, root, "part", DUNE_CTL_PLAN_MAX / DUNE_CTL_PART);
    m->parts = (uint32_t)dune_json_uint(r, root, "parts", DUNE_CTL_PLAN_MAX / DUNE_CTL_PART);
    read_text(r, root, "plan", m);
    if (r->rc == 0 && (m->parts ? m->part >= m->parts : load || m->part))
        dune_json_fail(r, "part %u of %u", m->part, m->parts);
}

static int read_code(struct dune_json_reader *r, const json_t *root)
{
    const json_t *v = json_object_get(root, "code");

    if (!json_is_integer(v) || json_integer_value(v) > -1 || json_integer_value(v) < -99)
        dune_json_fail(r, "code must be an error code");
    return r->rc ? 0 : (int)json_integer_value(v);
}

static void read_body(struct dune_json_reader *r, const json_t *root, struct dune_ctl_msg *m)
{
    static const char report_keys[] =
        HEAD "boot tick held position stamped share drain_until stale hop_p50_ns hop_p90_ns hop_p99_ns lost shadow counters";

    switch (m->kind) {
    case DUNE_CTL_LOAD:
    case DUNE_CTL_SHADOW:
        read_plan_part(r, root, m);
        break;
    case DUNE_CTL_STAMP:
        if (dune_json_is_object(r, root, HEAD "share"))
            m->share = (uint32_t)dune_json_uint(r, root, "share", DUNE_CTL_SHARE);
        break;
    case DUNE_CTL_RULES:
    case DUNE_CTL_DIGESTS:
        if (dune_json_is_object(r, root, m->kind == DUNE_CTL_RULES ? HEAD "rules" : HEAD "digests"))
            read_digests(r, root, m);
        break;
    case DUNE_CTL_REPORT:
        if (dune_json_is_object(r, root, report_keys))
            read_report(r, root, &m->report);
        break;
    case DUNE_CTL_DRIFT:
        if (dune_json_is_object(r, root, HEAD "counts"))
            read_text(r, root, "counts", m);
        break;
    case DUNE_CTL_REFUSED:
        if (dune_json_is_object(r, root, HEAD "code why")) {
            m->code = read_code(r, root);
            read_text(r, root, "why", m);
        }
        break;
    default:
        dune_json_is_object(r, root, HEAD);
        break;
    }
}

/* While devices and controller are of different versions, each passes over what it does not know. */
static void read_head(struct dune_json_reader *r, json_t *root, struct dune_ctl_msg *m)
{
    static const struct dune_format message_format = {"a control message", 1, 0, true};
    const char *device;

    if (!json_is_object(root)) {
        dune_json_fail(r, "a control message is an object");
        return;
    }
    r->rc = dune_format_check_json(&message_format, root, "v", &r->passes_over, NULL, r->d);
    m->kind = (enum dune_ctl_kind)dune_json_word(r, root, "type", kind_names);
    device = dune_json_text(r, root, "device", false);
    if (device && !dune_ctl_name_ok(device))
        dune_json_fail(r, "a device name has 1 to %d letters, digits, - and _", DUNE_CTL_NAME - 1);
    if (device && r->rc == 0)
        memcpy(m->device, device, strlen(device) + 1);
    m->epoch = dune_json_big(r, root, "epoch");
    m->seq = dune_json_big(r, root, "seq");
    m->generation = (uint16_t)dune_json_uint(r, root, "generation", UINT16_MAX);
}

int dune_ctl_parse(struct dune_ctl_msg *m, const char *text, size_t len, struct dune_diag *d)
{
    struct dune_json_reader r = {.d = d};
    json_error_t e;
    json_t *root;

    memset(m, 0, sizeof(*m));
    if (len > DUNE_CTL_MESSAGE_MAX)
        return dune_diag_set(d, DUNE_E_INPUT, NULL, "a control message of %zu bytes, at most %u are read",
                             len, DUNE_CTL_MESSAGE_MAX);
    if (dune_ctl_fast_read(m, text, len))
        return 0;
    memset(m, 0, sizeof(*m));
    root = json_loadb(text, len, JSON_REJECT_DUPLICATES, &e);
    if (!root)
        return dune_diag_set_offset(d, DUNE_E_FORMAT, NULL, (uint64_t)DUNE_MAX(e.position, 0),
                                    "control message: %s", e.text);
    read_head(&r, root, m);
    if (r.rc == 0)
        read_body(&r, root, m);
    json_decref(root);
    if (r.rc)
        dune_ctl_msg_fini(m);
    return r.rc;
}
