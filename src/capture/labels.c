/* SPDX-License-Identifier: Apache-2.0 */
#include "capture/labels_int.h"

#include <string.h>

static const char *const kind_name[LABEL_N_KINDS] = {
    [LABEL_MAC] = "mac",   [LABEL_FIVE_TUPLE] = "five_tuple", [LABEL_PREFIX] = "prefix",
    [LABEL_FILE] = "file", [LABEL_CAPTURE] = "capture",       [LABEL_UNSW] = "unsw",
    [LABEL_TON_IOT] = "ton_iot", [LABEL_ZEEK] = "zeek",       [LABEL_SURICATA] = "suricata",
    [LABEL_NDPI] = "ndpi"};

/* The class of a key. Entries with times that disagree at this one add to *conflict. */
static uint32_t find(const struct dune_labels *l, const void *key, size_t len, uint64_t ts_ns, bool *conflict)
{
    bool disagree = false;
    struct keytab_value v;
    uint32_t cls;

    if (l->timed) {
        cls = spans_lookup_key(l, key, len, ts_ns, &disagree);
        *conflict |= disagree;
        return cls;
    }
    v = keytab_find(&l->keys, key, len);
    return v.value ? *v.value : DUNE_LABEL_NONE;
}

/* --- MAC addresses --------------------------------------------------------------------------------- */
static inline uint64_t mac_number(const uint8_t *mac)
{
    uint32_t lo;
    uint16_t hi;

    memcpy(&lo, mac, sizeof(lo));
    memcpy(&hi, mac + 4, sizeof(hi));
    return ((uint64_t)hi << 32 | lo) + 1;
}

static inline uint64_t mac_home(const struct dune_labels *l, uint64_t key)
{
    return key * l->mac_factor >> l->mac_shift & l->mac_mask; /* all bits reach the highest */
}

static inline struct label_mac *mac_slot(const struct dune_labels *l, uint64_t key)
{
    uint64_t at = mac_home(l, key);

    while (l->mac[at & l->mac_mask].key && l->mac[at & l->mac_mask].key != key)
        at++;
    return &l->mac[at & l->mac_mask];
}

/* Fills the empty table; false: some address is not at its home. */
static bool place_macs(struct dune_labels *l)
{
    struct keytab_value v;
    bool alone = true;

    for (size_t pos = 0; keytab_walk(&l->keys, &pos, &v);) {
        uint64_t key = mac_number(keytab_key(v));
        struct label_mac *m = mac_slot(l, key);

        alone &= m == &l->mac[mac_home(l, key)];
        *m = (struct label_mac){key, *v.value};
    }
    return alone;
}

static void index_macs(struct dune_labels *l)
{
    size_t sparse = l->keys.n_keys <= 256 ? 16 : 3;

    l->mac_shift = 60;
    for (l->mac_mask = 15; l->mac_mask < sparse * l->keys.n_keys; l->mac_mask = 2 * l->mac_mask + 1)
        l->mac_shift--;
    l->mac = DUNE_NEW_N(struct label_mac, l->mac_mask + 1);
    l->mac_factor = UINT64_C(0x9e3779b97f4a7c15);
    for (int tries = 0; !l->mac_alone && tries < 32; tries++) {
        if (tries) {
            memset(l->mac, 0, (l->mac_mask + 1) * sizeof(*l->mac));
            l->mac_factor = l->mac_factor * UINT64_C(0xd1342543de82ef95) + 2; /* odd */
        }
        l->mac_alone = place_macs(l);
        if (sparse == 3)
            break;
    }
}

static inline uint32_t find_mac(const struct dune_labels *l, const uint8_t *mac, uint64_t ts_ns, bool *conflict)
{
    const struct label_mac *m;

    if (l->timed)
        return find(l, mac, 6, ts_ns, conflict);
    m = mac_slot(l, mac_number(mac));
    return m->key ? m->cls : DUNE_LABEL_NONE;
}

/* --- life cycle ------------------------------------------------------------------------------------- */
static int set_gateway(struct dune_labels *l, const struct dune_labels_opts *opts,
                       struct dune_diag *d)
{
    static const char unsw[] = "14:cc:20:51:33:ea";
    const char *mac = opts && opts->gateway_mac ? opts->gateway_mac : unsw;

    if (label_parse_mac(mac, l->gateway))
        return 0;
    return dune_diag_set(d, DUNE_E_USAGE, NULL, "the gateway \"%s\" is not a MAC address", mac);
}

int dune_labels_parse(struct dune_labels **out, const char *name, const void *data, size_t len,
                      const struct dune_labels_opts *opts, struct dune_diag *d)
{
    struct dune_labels *l = DUNE_NEW(struct dune_labels);
    int rc = set_gateway(l, opts, d);

    if (rc == 0 && labels_is_log(data, len))
        rc = labels_read_log(l, name, data, len, opts ? opts->field : NULL, d);
    else if (rc == 0 && opts && opts->field)
        rc = dune_diag_set(d, DUNE_E_USAGE, name, "a label field was named, but it is no log of Zeek or Suricata");
    else if (rc == 0)
        rc = labels_read_rows(l, name, data, len, d);
    if (rc == 0 && (l->kind == LABEL_MAC || l->kind == LABEL_UNSW) && !l->timed)
        index_macs(l);
    if (rc) {
        dune_labels_free(l);
        l = NULL;
    }
    *out = l;
    return rc;
}

int dune_labels_read(struct dune_labels **out, const char *path, const struct dune_labels_opts *opts,
                     struct dune_diag *d)
{
    struct dune_map m;
    int rc = dune_map_open(&m, path, d);

    *out = NULL;
    if (rc)
        return rc;
    rc = dune_labels_parse(out, path, m.data, m.len, opts, d);
    dune_map_close(&m);
    return rc;
}

void dune_labels_free(struct dune_labels *l)
{
    if (!l)
        return;
    keytab_fini(&l->keys);
    keytab_fini(&l->captures);
    DUNE_VEC_FREE(&l->spans);
    dune_mem_free(l->mac);
    dune_arena_fini(&l->arena);
    dune_mem_free(l);
}

uint32_t dune_labels_n_classes(const struct dune_labels *l)
{
    return l->n_classes;
}

const char *dune_labels_class(const struct dune_labels *l, uint32_t id)
{
    return id < l->n_classes ? l->class_name[id] : NULL;
}

const char *dune_labels_kind(const struct dune_labels *l)
{
    return kind_name[l->kind];
}

/* The first of two answers that is one; both that differ are a conflict. */
static uint32_t first_of(uint32_t a, uint32_t b, bool *conflict)
{
    *conflict |= a != DUNE_LABEL_NONE && b != DUNE_LABEL_NONE && a != b;
    return a != DUNE_LABEL_NONE ? a : b;
}

/* Both addresses without a branch that depends on them: it could not be foreseen. */
static inline void look_alone(const struct dune_labels *l, struct dune_label_query *q)
{
    uint64_t from = mac_number(q->frame + 6), to = mac_number(q->frame);
    const struct label_mac *f = &l->mac[mac_home(l, from)], *t = &l->mac[mac_home(l, to)];
    uint32_t a = f->key == from ? f->cls : DUNE_LABEL_NONE, b = t->key == to ? t->cls : DUNE_LABEL_NONE;

    q->conflict = (a != DUNE_LABEL_NONE) & (b != DUNE_LABEL_NONE) & (a != b);
    q->cls = a != DUNE_LABEL_NONE ? a : b;
}

static uint32_t lookup_mac(const struct dune_labels *l, const uint8_t *frame, uint64_t ts_ns, bool *conflict)
{
    uint32_t from = find_mac(l, frame + 6, ts_ns, conflict);

    return first_of(from, find_mac(l, frame, ts_ns, conflict), conflict);
}

/* The gateway's packets belong to the device they go to; the gateway itself has no entry. */
static uint32_t lookup_unsw(const struct dune_labels *l, const uint8_t *frame)
{
    bool from_gateway = memcmp(frame + 6, l->gateway, 6) == 0;

    return find_mac(l, from_gateway ? frame : frame + 6, 0, &(bool){false});
}

/* Clears what follows the first bits of an address. */
static void cut_address(uint8_t *ip, size_t ip_len, unsigned bits)
{
    size_t i = bits / 8;

    if (bits % 8) {
        ip[i] &= (uint8_t)(0xff00 >> bits % 8);
        i++;
    }
    memset(ip + i, 0, ip_len - i);
}

static uint32_t longest_prefix(const struct dune_labels *l, const uint8_t *ip, bool v6, uint64_t ts_ns,
                               bool *conflict)
{
    size_t ip_len = v6 ? 16 : 4;
    uint8_t key[18] = {v6};

    memcpy(key + 2, ip, ip_len);
    for (unsigned i = 0; i < l->n_prefix_len[v6]; i++) {
        uint32_t cls;

        key[1] = l->prefix_len[v6][i];
        cut_address(key + 2, ip_len, key[1]);
        cls = find(l, key, 2 + ip_len, ts_ns, conflict);
        if (cls != DUNE_LABEL_NONE)
            return cls;
    }
    return DUNE_LABEL_NONE;
}

static uint32_t lookup_prefix(const struct dune_labels *l, const struct dune_packet *p, uint64_t ts_ns,
                              bool *conflict)
{
    size_t ip_len = p->is_ipv6 ? 16 : 4;
    uint32_t from = longest_prefix(l, p->key.bytes, p->is_ipv6, ts_ns, conflict);

    return first_of(from, longest_prefix(l, p->key.bytes + ip_len, p->is_ipv6, ts_ns, conflict), conflict);
}

/* An entry names the file by the last components of its path; the longest entry wins. */
static struct keytab_value find_tail(const struct keytab *t, const char *path, size_t len)
{
    const char *p = path;

    for (;;) {
        struct keytab_value v = keytab_find(t, p, len - (size_t)(p - path));
        const char *slash = memchr(p, '/', len - (size_t)(p - path));

        if (v.value || !slash)
            return v;
        p = slash + 1;
    }
}

/* The class of an entry that the table has. */
static uint32_t class_of_entry(const struct dune_labels *l, struct keytab_value v, uint64_t ts_ns, bool *conflict)
{
    const uint8_t *key = v.value ? keytab_key(v) : NULL;

    if (!v.value)
        return DUNE_LABEL_NONE;
    return l->timed ? find(l, key, keytab_key_len(v), ts_ns, conflict) : *v.value;
}

/* Length of a path without a suffix of packing; its whole length if it has none. */
static size_t unpacked_len(const char *path)
{
    size_t len = strlen(path);

    if (len > 3 && memcmp(path + len - 3, ".gz", 3) == 0)
        return len - 3;
    return len > 4 && memcmp(path + len - 4, ".zst", 4) == 0 ? len - 4 : len;
}

static uint32_t lookup_file(const struct dune_labels *l, const char *path, uint64_t ts_ns, bool *conflict)
{
    size_t len = path ? strlen(path) : 0;
    struct keytab_value v = {0};

    if (len)
        v = find_tail(&l->keys, path, len);
    if (len && !v.value)
        v = find_tail(&l->keys, path, unpacked_len(path));
    return class_of_entry(l, v, ts_ns, conflict);
}

/* FILE#NAME, as data sets and verdict files write it: the same name may stand in several files. */
static struct keytab_value find_in_file(const struct keytab *t, const struct dune_label_ctx *ctx)
{
    const char *base = dune_path_base(ctx->file), *name = ctx->capture;
    size_t n = strlen(base);
    struct keytab_value v = {0};

    if (strncmp(name, base, n) == 0 && name[n] == '#')
        name += n + 1; /* a capture without a name is FILE#NUMBER already */
    for (size_t len = strlen(ctx->file); !v.value; len = unpacked_len(ctx->file)) {
        char *text = dune_mem_printf("%.*s#%s", (int)len, ctx->file, name);

        v = find_tail(t, text, strlen(text));
        dune_mem_free(text);
        if (len == unpacked_len(ctx->file))
            break;
    }
    return v;
}

/* A capture is known by its name or, without one, by its file's name, with or without extension. */
static struct keytab_value find_capture(const struct dune_labels *l, const struct keytab *t,
                                        const struct dune_label_ctx *ctx)
{
    const char *name = ctx->capture;
    struct keytab_value v = {0};
    size_t len;

    if (name && ctx->file && l->names_files)
        v = find_in_file(t, ctx);
    if (v.value)
        return v;
    if (name || !ctx->file)
        return keytab_find(t, name ? name : "", name ? strlen(name) : 0);
    name = dune_path_base(ctx->file);
    v = keytab_find(t, name, strlen(name));
    for (len = strlen(name); !v.value && len > 1; len--)
        if (name[len - 1] == '.')
            v = keytab_find(t, name, len - 1);
    return v;
}

static uint32_t lookup_capture(const struct dune_labels *l, const struct dune_label_ctx *ctx, bool *conflict)
{
    return class_of_entry(l, find_capture(l, &l->keys, ctx), ctx->ts_ns, conflict);
}

static uint32_t capture_number(const struct dune_labels *l, const struct dune_label_ctx *ctx)
{
    struct keytab_value v = {0};

    if (l->kind == LABEL_NDPI)
        return labels_ndpi_capture(l, ctx->file, ctx->capture);
    if (l->has_captures)
        v = find_capture(l, &l->captures, ctx);

    return v.value ? *v.value : 0;
}

static uint32_t lookup_tuple(const struct dune_labels *l, const struct dune_label_ctx *ctx,
                             const struct dune_packet *p, bool *conflict)
{
    return spans_lookup(l, &p->key, capture_number(l, ctx), ctx->ts_ns, conflict);
}

uint32_t dune_labels_lookup(const struct dune_labels *l, const struct dune_label_ctx *ctx,
                            const uint8_t *frame, const struct dune_packet *p, bool *conflict)
{
    *conflict = false;
    switch (l->kind) {
    case LABEL_MAC:
        return lookup_mac(l, frame, ctx->ts_ns, conflict);
    case LABEL_UNSW:
        return lookup_unsw(l, frame);
    case LABEL_PREFIX:
        return lookup_prefix(l, p, ctx->ts_ns, conflict);
    case LABEL_FILE:
        return lookup_file(l, ctx->file, ctx->ts_ns, conflict);
    case LABEL_CAPTURE:
        return lookup_capture(l, ctx, conflict);
    case LABEL_FIVE_TUPLE:
        return lookup_tuple(l, ctx, p, conflict);
    case LABEL_TON_IOT:
    case LABEL_ZEEK:
    case LABEL_SURICATA:
        return spans_lookup_both(l, &p->key, 0, ctx->ts_ns, conflict);
    case LABEL_NDPI:
        return spans_lookup_both(l, &p->key, capture_number(l, ctx), ctx->ts_ns, conflict);
    case LABEL_N_KINDS:
        break;
    }
    return DUNE_LABEL_NONE;
}

void dune_labels_lookup_many(const struct dune_labels *l, const struct dune_label_ctx *ctx,
                             struct dune_label_query *q, size_t n)
{
    struct dune_label_ctx one = *ctx;
    bool whole = (l->kind == LABEL_FILE || l->kind == LABEL_CAPTURE) && !l->timed; /* one answer for all */

    if (n && labels_by_flow(l)) {
        spans_lookup_many(l, capture_number(l, ctx), q, n);
        return;
    }
    if (l->kind == LABEL_MAC && l->mac_alone) {
        for (size_t i = 0; i < n; i++)
            look_alone(l, &q[i]);
        return;
    }
    for (size_t i = 0; i < n; i++) {
        one.ts_ns = q[i].ts_ns;
        if (whole && i) {
            q[i].cls = q[0].cls;
            q[i].conflict = q[0].conflict;
        } else {
            q[i].cls = dune_labels_lookup(l, &one, q[i].frame, q[i].p, &q[i].conflict);
        }
    }
}
