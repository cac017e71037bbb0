/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The strict reader of plan.json. Every key must be there, no other may be; the first error wins
 * and carries its JSON path. Shapes and number ranges are checked here, meaning in plan_verify.c.
 */
#include "plan/plan_int.h"

#include <string.h>

#include "dune/plan_policy.h"
#include "plan/json_reader.h"

static void read_parser(struct dune_json_reader *r, const json_t *root,
                        struct dune_parser_limits *l)
{
    const json_t *o = json_object_get(root, "parser");
    size_t at = dune_json_enter_key(r, "parser");

    if (!dune_json_is_object(r, o, "max_vlan max_ipv4_options max_ipv6_ext max_ipv6_ext_len ipv6"))
        return;
    l->max_vlan = (uint8_t)dune_json_uint(r, o, "max_vlan", 2);
    l->max_ipv4_options = (uint8_t)dune_json_uint(r, o, "max_ipv4_options", 40);
    l->max_ipv6_ext = (uint8_t)dune_json_uint(r, o, "max_ipv6_ext", 2);
    l->max_ipv6_ext_len = (uint8_t)dune_json_uint(r, o, "max_ipv6_ext_len", 64);
    l->ipv6 = dune_json_bool(r, o, "ipv6");
    dune_json_leave(r, at);
}

static void read_hash_key(struct dune_json_reader *r, const json_t *o, struct dune_plan *p)
{
    const char *s = dune_json_text(r, o, "hash_key", true);
    size_t at = dune_json_enter_key(r, "hash_key");

    if (r->rc)
        return;
    if ((s != NULL) != (p->hash == DUNE_HASH_SIPHASH))
        dune_json_fail(r, "must be %s", s ? "null for crc" : "32 hex digits for siphash");
    else if (s && (strlen(s) != 32 || strspn(s, "0123456789abcdef") != 32))
        dune_json_fail(r, "must be 32 hex digits (0-9, a-f)");
    for (int i = 0; s && r->rc == 0 && i < 16; i++)
        p->hash_key[i] = (uint8_t)(dune_hex_digit(s[2 * i]) << 4 | dune_hex_digit(s[2 * i + 1]));
    dune_json_leave(r, at);
}

static void read_flow_state(struct dune_json_reader *r, const json_t *root, struct dune_plan *p)
{
    const json_t *o = json_object_get(root, "flow_state");
    size_t at = dune_json_enter_key(r, "flow_state");
    bool syn = json_object_get(o, "syn_timeout") != NULL;

    if (!dune_json_is_object(r, o, syn ? "slots ways timeout syn_timeout hash hash_key" : "slots ways timeout hash hash_key"))
        return;
    if (syn)
        p->syn_timeout = dune_json_uint(r, o, "syn_timeout", INT64_MAX);
    p->slots = (uint32_t)dune_json_uint(r, o, "slots", UINT32_MAX);
    p->ways = (uint32_t)dune_json_uint(r, o, "ways", UINT32_MAX);
    p->timeout = DUNE_TIMEOUT_NONE;
    if (!json_is_null(json_object_get(o, "timeout")))
        p->timeout = dune_json_uint(r, o, "timeout", INT64_MAX);
    p->hash = dune_json_word(r, o, "hash", dune_plan_hash_words);
    read_hash_key(r, o, p);
    dune_json_leave(r, at);
}

static void read_shim(struct dune_json_reader *r, const json_t *root, struct dune_plan *p)
{
    const json_t *o = json_object_get(root, "shim");
    size_t at = dune_json_enter_key(r, "shim");

    if (!dune_json_is_object(r, o, "ethertype chain_mtu"))
        return;
    p->shim_ethertype = (uint16_t)dune_json_uint(r, o, "ethertype", UINT16_MAX);
    p->chain_mtu = (uint32_t)dune_json_uint(r, o, "chain_mtu", UINT32_MAX);
    dune_json_leave(r, at);
}

static void read_prefix(struct dune_json_reader *r, const json_t *v, struct dune_prefix *out)
{
    const char *s = json_string_value(v), *slash = s ? strrchr(s, '/') : NULL;
    char again[DUNE_PREFIX_TEXT];
    uint64_t len;

    if (!slash || (size_t)(slash - s) >= DUNE_PREFIX_TEXT || !dune_parse_u64(slash + 1, &len)) {
        dune_json_fail(r, "must be a prefix such as \"10.0.0.0/8\" or \"2001:db8::/32\"");
        return;
    }
    if (!dune_prefix_parse(out, s)) {
        dune_json_fail(r, "'%.64s' is not a prefix", s);
        return;
    }
    dune_prefix_format(again, out);
    if (strcmp(again, s) != 0)
        dune_json_fail(r, "'%.64s' is to be written %s", s, again);
}

static void read_port(struct dune_json_reader *r, const json_t *v, struct dune_port_range *out)
{
    if (!json_is_array(v) || json_array_size(v) != 2) {
        dune_json_fail(r, "must be a pair [low, high]");
        return;
    }
    out->lo = (uint16_t)dune_json_to_uint(r, json_array_get(v, 0), 65535);
    out->hi = (uint16_t)dune_json_to_uint(r, json_array_get(v, 1), 65535);
}

static void read_filter(struct dune_json_reader *r, const json_t *root, struct dune_filter *f)
{
    const json_t *o = json_object_get(root, "filter"), *v;
    size_t at = dune_json_enter_key(r, "filter"), in, item;

    if (!dune_json_is_object(r, o, "prefixes ports protocols"))
        return;
    v = dune_json_array(r, o, "prefixes", DUNE_PLAN_MAX_FILTER, &f->n_prefixes, &in);
    f->prefix = f->n_prefixes ? DUNE_NEW_N(struct dune_prefix, f->n_prefixes) : NULL;
    for (uint32_t i = 0; r->rc == 0 && i < f->n_prefixes; i++) {
        item = dune_json_enter_index(r, i);
        read_prefix(r, json_array_get(v, i), &f->prefix[i]);
        dune_json_leave(r, item);
    }
    dune_json_leave(r, in);
    v = dune_json_array(r, o, "ports", DUNE_PLAN_MAX_FILTER, &f->n_ports, &in);
    f->port = f->n_ports ? DUNE_NEW_N(struct dune_port_range, f->n_ports) : NULL;
    for (uint32_t i = 0; r->rc == 0 && i < f->n_ports; i++) {
        item = dune_json_enter_index(r, i);
        read_port(r, json_array_get(v, i), &f->port[i]);
        dune_json_leave(r, item);
    }
    dune_json_leave(r, in);
    f->proto = dune_json_bytes(r, o, "protocols", 256, &f->n_protos);
    dune_json_leave(r, at);
}

static void read_class(struct dune_json_reader *r, const json_t *o, struct dune_plan_class *c,
                       uint32_t id)
{
    if (!dune_json_is_object(r, o, "id name min_confidence action action_arg action_any"))
        return;
    if (dune_json_uint(r, o, "id", 255) != id && r->rc == 0) {
        dune_json_enter_key(r, "id");
        dune_json_fail(r, "must be %u: class ids count from 1", id);
    }
    c->name = dune_json_dup(r, o, "name", false);
    c->min_confidence = (uint16_t)dune_json_uint(r, o, "min_confidence", 255);
    c->action = dune_json_word(r, o, "action", dune_plan_action_words);
    c->action_arg = (uint32_t)dune_json_uint(r, o, "action_arg", UINT32_MAX);
    c->action_any = dune_json_bool(r, o, "action_any");
}

static void read_device(struct dune_json_reader *r, const json_t *o, struct dune_plan_device *v)
{
    if (!dune_json_is_object(r, o, "name profile leaves_sum features_distinct"))
        return;
    v->name = dune_json_dup(r, o, "name", false);
    v->profile = dune_json_dup(r, o, "profile", false);
    v->budget.leaves_sum = (uint32_t)dune_json_uint(r, o, "leaves_sum", UINT32_MAX);
    v->budget.features_distinct = (uint32_t)dune_json_uint(r, o, "features_distinct", UINT32_MAX);
}

static void read_lists(struct dune_json_reader *r, const json_t *root, struct dune_plan *p)
{
    size_t at, item;
    const json_t *v = dune_json_array(r, root, "classes", DUNE_MAX_CLASSES, &p->n_classes, &at);

    p->cls = p->n_classes ? DUNE_NEW_N(struct dune_plan_class, p->n_classes) : NULL;
    for (uint32_t i = 0; r->rc == 0 && i < p->n_classes; i++) {
        item = dune_json_enter_index(r, i);
        read_class(r, json_array_get(v, i), &p->cls[i], i + 1);
        dune_json_leave(r, item);
    }
    dune_json_leave(r, at);
    v = dune_json_array(r, root, "devices", DUNE_MAX_DEVICES, &p->n_devices, &at);
    p->device = p->n_devices ? DUNE_NEW_N(struct dune_plan_device, p->n_devices) : NULL;
    for (uint32_t i = 0; r->rc == 0 && i < p->n_devices; i++) {
        item = dune_json_enter_index(r, i);
        read_device(r, json_array_get(v, i), &p->device[i]);
        dune_json_leave(r, item);
    }
    dune_json_leave(r, at);
}

/* --- sub-models ---------------------------------------------------------------------------------
 */

/* One code word of range row i for tree t; the first row sets its width. */
static void read_code(struct dune_json_reader *r, const json_t *v, struct dune_plan_feature *f,
                      uint32_t i, uint32_t t)
{
    const char *s = json_string_value(v);
    size_t len = s ? strlen(s) : 0;

    if (!s || strspn(s, "01") != len || len > DUNE_MAX_LEAVES) {
        dune_json_fail(r, "must be a string of at most %u characters 0 or 1", DUNE_MAX_LEAVES);
        return;
    }
    if (i == 0) {
        f->n_bits[t] = (uint32_t)len;
        f->code[t] = len ? dune_mem_zalloc(f->n_rows, len) : NULL;
    }
    if (f->n_bits[t] != len) {
        dune_json_fail(r, "has %zu bits, row 0 has %u", len, f->n_bits[t]);
        return;
    }
    if (len)
        memcpy(f->code[t] + (size_t)i * len, s, len);
}

static void read_row(struct dune_json_reader *r, const json_t *o, struct dune_plan_feature *f,
                     uint32_t i, uint32_t n_trees)
{
    const json_t *v;
    uint32_t n;
    size_t at, item;

    if (!dune_json_is_object(r, o, "lo hi codes"))
        return;
    f->row[i].lo = (uint32_t)dune_json_uint(r, o, "lo", UINT32_MAX);
    f->row[i].hi = (uint32_t)dune_json_uint(r, o, "hi", UINT32_MAX);
    v = dune_json_array(r, o, "codes", DUNE_MAX_TREES, &n, &at);
    if (r->rc == 0 && n != n_trees)
        dune_json_fail(r, "has %u code words for %u trees", n, n_trees);
    for (uint32_t t = 0; r->rc == 0 && t < n; t++) {
        item = dune_json_enter_index(r, t);
        read_code(r, json_array_get(v, t), f, i, t);
        dune_json_leave(r, item);
    }
    dune_json_leave(r, at);
}

/* All code words together are at most as long as the file: later rows must be as wide as the first,
 * so a row count that the widths make absurd is caught before memory is taken for it. */
static bool is_plausible(const json_t *rows)
{
    const json_t *codes = json_object_get(json_array_get(rows, 0), "codes");
    const json_t *last = json_object_get(json_array_get(rows, json_array_size(rows) - 1), "codes");
    size_t i, first_bits = 0, last_bits = 0;
    const json_t *v;

    json_array_foreach(codes, i, v)
    {
        first_bits += json_string_length(v);
    }
    json_array_foreach(last, i, v)
    {
        last_bits += json_string_length(v);
    }
    return first_bits == last_bits && first_bits * json_array_size(rows) <= DUNE_PLAN_MAX_BYTES;
}

static void read_feature(struct dune_json_reader *r, const json_t *o, struct dune_plan_feature *f,
                         uint32_t n_trees)
{
    const json_t *v;
    const char *name;
    size_t at, item;
    int id;

    if (!dune_json_is_object(r, o, "feature rows"))
        return;
    name = dune_json_text(r, o, "feature", false);
    id = name ? dune_feature_find(name) : -1;
    if (r->rc == 0 && (id < 0 || strcmp(dune_catalog[id].name, name) != 0)) {
        dune_json_enter_key(r, "feature");
        dune_json_fail(r, "'%.64s' is no feature of the catalog%s%s", name,
                       id < 0 ? "" : "; its name is ", id < 0 ? "" : dune_catalog[id].name);
        return;
    }
    f->feat = (uint8_t)id;
    v = dune_json_array(r, o, "rows", UINT32_MAX, &f->n_rows, &at);
    if (r->rc == 0 && (f->n_rows == 0 || !is_plausible(v)))
        dune_json_fail(r,
                       f->n_rows ? "code words differ in width between rows" : "must not be empty");
    if (r->rc)
        return;
    f->row = DUNE_NEW_N(struct dune_range_row, f->n_rows);
    f->n_bits = DUNE_NEW_N(uint32_t, n_trees);
    f->code = DUNE_NEW_N(char *, n_trees);
    for (uint32_t i = 0; r->rc == 0 && i < f->n_rows; i++) {
        item = dune_json_enter_index(r, i);
        read_row(r, json_array_get(v, i), f, i, n_trees);
        dune_json_leave(r, item);
    }
    dune_json_leave(r, at);
}

static void read_leaf(struct dune_json_reader *r, const json_t *o, struct dune_plan_tree *tr,
                      uint32_t i)
{
    struct dune_plan_leaf *l = &tr->leaf[i];
    const char *s;

    if (!dune_json_is_object(r, o, "match class confidence own own_confidence"))
        return;
    s = dune_json_text(r, o, "match", false);
    if (r->rc == 0 && (strlen(s) != tr->key_bits || strspn(s, "01*") != tr->key_bits)) {
        dune_json_enter_key(r, "match");
        dune_json_fail(r, "must be %u characters 0, 1 or *: one per bit of the tree's code words",
                       tr->key_bits);
        return;
    }
    if (r->rc == 0 && tr->key_bits)
        memcpy(tr->match + (size_t)i * tr->key_bits, s, tr->key_bits);
    l->cls = (uint8_t)dune_json_uint(r, o, "class", 255);
    l->conf = (uint8_t)dune_json_uint(r, o, "confidence", 255);
    l->own = (uint8_t)dune_json_uint(r, o, "own", 255);
    l->own_conf = (uint8_t)dune_json_uint(r, o, "own_confidence", 255);
}

static void read_tree(struct dune_json_reader *r, const json_t *o, struct dune_submodel *sm,
                      uint32_t t)
{
    struct dune_plan_tree *tr = &sm->tree[t];
    const json_t *v;
    uint64_t bits = 0;
    size_t at, item;

    if (!dune_json_is_object(r, o, "leaves"))
        return;
    for (uint32_t j = 0; j < sm->n_feats; j++)
        bits += sm->feat[j].n_bits[t];
    v = dune_json_array(r, o, "leaves", DUNE_MAX_LEAVES, &tr->n_leaves, &at);
    if (r->rc == 0 && tr->n_leaves == 0)
        dune_json_fail(r, "must not be empty");
    if (r->rc == 0 && bits >= DUNE_MAX_LEAVES)
        dune_json_fail(r, "the code key has %llu bits; a tree has at most %u splits",
                       (unsigned long long)bits, DUNE_MAX_LEAVES - 1);
    if (r->rc)
        return;
    tr->key_bits = (uint32_t)bits;
    tr->leaf = DUNE_NEW_N(struct dune_plan_leaf, tr->n_leaves);
    tr->match = bits ? dune_mem_zalloc(tr->n_leaves, tr->key_bits) : NULL;
    for (uint32_t i = 0; r->rc == 0 && i < tr->n_leaves; i++) {
        item = dune_json_enter_index(r, i);
        read_leaf(r, json_array_get(v, i), tr, i);
        dune_json_leave(r, item);
    }
    dune_json_leave(r, at);
}

static void read_tables(struct dune_json_reader *r, const json_t *o, struct dune_submodel *sm)
{
    const json_t *trees = json_object_get(o, "trees"), *v;
    size_t at, item;

    if (json_array_size(trees) > 0 && json_array_size(trees) <= DUNE_MAX_TREES)
        sm->n_trees = (uint32_t)json_array_size(trees);
    v = dune_json_array(r, o, "features", DUNE_N_FEATURES, &sm->n_feats, &at);
    sm->feat = sm->n_feats ? DUNE_NEW_N(struct dune_plan_feature, sm->n_feats) : NULL;
    for (uint32_t j = 0; r->rc == 0 && sm->n_trees && j < sm->n_feats; j++) {
        item = dune_json_enter_index(r, j);
        read_feature(r, json_array_get(v, j), &sm->feat[j], sm->n_trees);
        dune_json_leave(r, item);
    }
    dune_json_leave(r, at);
    at = dune_json_enter_key(r, "trees");
    if (sm->n_trees == 0)
        dune_json_fail(r, "must be an array of 1 to %u trees", DUNE_MAX_TREES);
    sm->tree = sm->n_trees ? DUNE_NEW_N(struct dune_plan_tree, sm->n_trees) : NULL;
    for (uint32_t t = 0; r->rc == 0 && t < sm->n_trees; t++) {
        item = dune_json_enter_index(r, t);
        read_tree(r, json_array_get(trees, t), sm, t);
        dune_json_leave(r, item);
    }
    dune_json_leave(r, at);
}

static void read_submodel(struct dune_json_reader *r, const json_t *o, struct dune_submodel *sm)
{
    const char *phase;
    int mode;

    if (!dune_json_is_object(r, o, "id n phase device classes features trees"))
        return;
    sm->id = (uint8_t)dune_json_uint(r, o, "id", 255);
    sm->n = (uint8_t)dune_json_uint(r, o, "n", DUNE_MAX_INFERENCE_POINT);
    phase = dune_json_text(r, o, "phase", false);
    mode = phase ? dune_mode_find(phase) : -1;
    if (r->rc == 0 && mode < 0) {
        dune_json_enter_key(r, "phase");
        dune_json_fail(r, "'%.64s' is no phase mode", phase);
    }
    sm->mode = mode < 0 ? DUNE_MODE_RUNNING : (enum dune_mode)mode;
    sm->device = (uint16_t)dune_json_uint(r, o, "device", DUNE_MAX_DEVICES - 1);
    sm->cls = dune_json_bytes(r, o, "classes", DUNE_MAX_CLASSES, &sm->n_classes);
    read_tables(r, o, sm);
}

static void read_submodels(struct dune_json_reader *r, const json_t *root, struct dune_plan *p)
{
    size_t at, item;
    const json_t *v =
        dune_json_array(r, root, "submodels", DUNE_MAX_SUBMODELS, &p->n_submodels, &at);

    p->sub = p->n_submodels ? DUNE_NEW_N(struct dune_submodel, p->n_submodels) : NULL;
    for (uint32_t i = 0; r->rc == 0 && i < p->n_submodels; i++) {
        item = dune_json_enter_index(r, i);
        read_submodel(r, json_array_get(v, i), &p->sub[i]);
        dune_json_leave(r, item);
    }
    dune_json_leave(r, at);
}

static char *get_json(struct dune_json_reader *r, const json_t *o, const char *key)
{
    const json_t *v = json_object_get(o, key);
    size_t at = dune_json_enter_key(r, key);
    char *out = NULL;

    if (r->rc == 0 && !json_is_null(v))
        r->rc = dune_plan_json_text(v, r->path, &out, r->d);
    dune_json_leave(r, at);
    return out;
}

static void read_provenance(struct dune_json_reader *r, const json_t *root,
                            struct dune_provenance *v)
{
    const json_t *o = json_object_get(root, "provenance");
    size_t at = dune_json_enter_key(r, "provenance");

    if (!dune_json_is_object(r, o, "data_hash solution seed options scores"))
        return;
    v->data_hash = dune_json_dup(r, o, "data_hash", true);
    v->solution = dune_json_dup(r, o, "solution", true);
    v->seed = dune_json_big(r, o, "seed");
    v->options = get_json(r, o, "options");
    v->scores = get_json(r, o, "scores");
    dune_json_leave(r, at);
}

static void read_header(struct dune_json_reader *r, json_t *root, struct dune_plan *p)
{
    static const struct dune_format plan_format = {"a plan", DUNE_PLAN_VERSION, 0, false};
    const char *format = json_string_value(json_object_get(root, "format"));

    if (!format || strcmp(format, DUNE_PLAN_FORMAT) != 0) {
        dune_json_enter_key(r, "format");
        dune_json_fail(r, "not a plan: \"format\" must be \"%s\"", DUNE_PLAN_FORMAT);
        return;
    }
    r->rc = dune_format_check_json(&plan_format, root, "version", NULL, NULL, r->d);
    if (!dune_json_is_object(r, root,
                             "format version name generation claim early_exit fallback parser "
                             "flow_state shim filter classes devices submodels provenance"))
        return;
    p->version = (uint32_t)dune_json_uint(r, root, "version", UINT32_MAX);
    p->name = dune_json_dup(r, root, "name", false);
    p->generation = (uint16_t)dune_json_uint(r, root, "generation", UINT16_MAX);
    p->claim = dune_json_word(r, root, "claim", dune_plan_claim_words);
    p->early_exit = (uint16_t)dune_json_uint(r, root, "early_exit", 256);
    p->fallback = dune_json_word(r, root, "fallback", dune_plan_fallback_words);
}

static int read_plan(struct dune_plan *p, json_t *root, struct dune_diag *d)
{
    struct dune_json_reader r = {.d = d};

    read_header(&r, root, p);
    if (r.rc == 0)
        read_parser(&r, root, &p->parser);
    if (r.rc == 0)
        read_flow_state(&r, root, p);
    if (r.rc == 0)
        read_shim(&r, root, p);
    if (r.rc == 0)
        read_filter(&r, root, &p->filter);
    if (r.rc == 0)
        read_lists(&r, root, p);
    if (r.rc == 0)
        read_submodels(&r, root, p);
    if (r.rc == 0)
        read_provenance(&r, root, &p->provenance);
    return r.rc;
}

int dune_plan_parse(struct dune_plan **out, const char *name, const char *text, size_t len,
                    struct dune_diag *d)
{
    struct dune_diag own = {0};
    struct dune_plan *p;
    json_error_t err;
    json_t *root;
    int rc;

    *out = NULL;
    d = d ? d : &own;
    if (len > DUNE_PLAN_MAX_BYTES)
        return dune_diag_set(d, DUNE_E_INPUT, name, "a plan has at most %llu bytes",
                             (unsigned long long)DUNE_PLAN_MAX_BYTES);
    root = json_loadb(text ? text : "", len, JSON_REJECT_DUPLICATES, &err);
    if (!root)
        return dune_diag_set_line(d, DUNE_E_FORMAT, name, (uint64_t)DUNE_MAX(err.line, 0), "%s",
                                  err.text);
    p = DUNE_NEW(struct dune_plan);
    rc = read_plan(p, root, d);
    json_decref(root);
    if (rc == 0)
        rc = dune_plan_check(p, p, d);
    if (rc) {
        if (!d->file[0])
            snprintf(d->file, sizeof(d->file), "%s", name ? name : "");
        dune_plan_free(p);
        return rc;
    }
    *out = p;
    return 0;
}

int dune_plan_read(struct dune_plan **out, const char *path, struct dune_diag *d)
{
    struct dune_map m;
    int rc;

    *out = NULL;
    rc = dune_map_open(&m, path, d);
    if (rc)
        return rc;
    rc = dune_plan_parse(out, path, (const char *)m.data, m.len, d);
    dune_map_close(&m);
    return rc;
}
