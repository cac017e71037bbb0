/* SPDX-License-Identifier: Apache-2.0 */
/* The canonical writer of plan.json: one layout for one plan. docs/formats/plan.md */
#include "plan/plan_int.h"

#include <jansson.h>
#include <string.h>

#include "dune/plan_policy.h"

const char *const dune_plan_claim_words[] = {"first", "best", "votes", NULL};
const char *const dune_plan_hash_words[] = {"crc", "siphash", NULL};
const char *const dune_plan_fallback_words[] = {"none", "best", NULL};
const char *const dune_plan_action_words[] = {"forward", "mark", "steer", "drop", "mirror", NULL};

static void put_parser(struct dune_jsonw *w, const struct dune_parser_limits *l)
{
    dune_jsonw_key(w, "parser");
    dune_jsonw_obj(w);
    dune_jsonw_put_uint(w, "max_vlan", l->max_vlan);
    dune_jsonw_put_uint(w, "max_ipv4_options", l->max_ipv4_options);
    dune_jsonw_put_uint(w, "max_ipv6_ext", l->max_ipv6_ext);
    dune_jsonw_put_uint(w, "max_ipv6_ext_len", l->max_ipv6_ext_len);
    dune_jsonw_put_bool(w, "ipv6", l->ipv6);
    dune_jsonw_end(w);
}

static void put_flow_state(struct dune_jsonw *w, const struct dune_plan *p)
{
    char key[33];

    for (int i = 0; i < 16; i++)
        snprintf(key + 2 * i, 3, "%02x", p->hash_key[i]);
    dune_jsonw_key(w, "flow_state");
    dune_jsonw_obj(w);
    dune_jsonw_put_uint(w, "slots", p->slots);
    dune_jsonw_put_uint(w, "ways", p->ways);
    dune_jsonw_key(w, "timeout");
    if (p->timeout == DUNE_TIMEOUT_NONE)
        dune_jsonw_null(w);
    else
        dune_jsonw_uint(w, p->timeout);
    if (p->syn_timeout)
        dune_jsonw_put_uint(w, "syn_timeout", p->syn_timeout);
    dune_jsonw_put_str(w, "hash", dune_plan_hash_words[p->hash]);
    dune_jsonw_put_str(w, "hash_key", p->hash == DUNE_HASH_SIPHASH ? key : NULL);
    dune_jsonw_end(w);
}

static void put_filter(struct dune_jsonw *w, const struct dune_filter *f)
{
    dune_jsonw_key(w, "filter");
    dune_jsonw_obj(w);
    dune_jsonw_key(w, "prefixes");
    dune_jsonw_arr(w);
    for (uint32_t i = 0; i < f->n_prefixes; i++) {
        char text[DUNE_PREFIX_TEXT];

        dune_prefix_format(text, &f->prefix[i]);
        dune_jsonw_str(w, text);
    }
    dune_jsonw_end(w);
    dune_jsonw_key(w, "ports");
    dune_jsonw_arr(w);
    for (uint32_t i = 0; i < f->n_ports; i++) {
        dune_jsonw_arr_inline(w);
        dune_jsonw_uint(w, f->port[i].lo);
        dune_jsonw_uint(w, f->port[i].hi);
        dune_jsonw_end(w);
    }
    dune_jsonw_end(w);
    dune_jsonw_key(w, "protocols");
    dune_jsonw_arr_inline(w);
    for (uint32_t i = 0; i < f->n_protos; i++)
        dune_jsonw_uint(w, f->proto[i]);
    dune_jsonw_end(w);
    dune_jsonw_end(w);
}

static void put_classes(struct dune_jsonw *w, const struct dune_plan *p)
{
    dune_jsonw_key(w, "classes");
    dune_jsonw_arr(w);
    for (uint32_t i = 0; i < p->n_classes; i++) {
        const struct dune_plan_class *c = &p->cls[i];

        dune_jsonw_obj_inline(w);
        dune_jsonw_put_uint(w, "id", i + 1);
        dune_jsonw_put_str(w, "name", c->name);
        dune_jsonw_put_uint(w, "min_confidence", c->min_confidence);
        dune_jsonw_put_str(w, "action", dune_plan_action_words[c->action]);
        dune_jsonw_put_uint(w, "action_arg", c->action_arg);
        dune_jsonw_put_bool(w, "action_any", c->action_any);
        dune_jsonw_end(w);
    }
    dune_jsonw_end(w);
}

static void put_devices(struct dune_jsonw *w, const struct dune_plan *p)
{
    dune_jsonw_key(w, "devices");
    dune_jsonw_arr(w);
    for (uint32_t i = 0; i < p->n_devices; i++) {
        const struct dune_plan_device *v = &p->device[i];

        dune_jsonw_obj_inline(w);
        dune_jsonw_put_str(w, "name", v->name);
        dune_jsonw_put_str(w, "profile", v->profile);
        dune_jsonw_put_uint(w, "leaves_sum", v->budget.leaves_sum);
        dune_jsonw_put_uint(w, "features_distinct", v->budget.features_distinct);
        dune_jsonw_end(w);
    }
    dune_jsonw_end(w);
}

static void put_bits(struct dune_jsonw *w, const char *bits, uint32_t n)
{
    char *text = dune_mem_strndup(n ? bits : "", n);

    dune_jsonw_str(w, text);
    dune_mem_free(text);
}

static void put_feature(struct dune_jsonw *w, const struct dune_plan_feature *f, uint32_t n_trees)
{
    dune_jsonw_obj(w);
    dune_jsonw_put_str(w, "feature", dune_catalog[f->feat].name);
    dune_jsonw_key(w, "rows");
    dune_jsonw_arr(w);
    for (uint32_t r = 0; r < f->n_rows; r++) {
        dune_jsonw_obj_inline(w);
        dune_jsonw_put_uint(w, "lo", f->row[r].lo);
        dune_jsonw_put_uint(w, "hi", f->row[r].hi);
        dune_jsonw_key(w, "codes");
        dune_jsonw_arr_inline(w);
        for (uint32_t t = 0; t < n_trees; t++)
            put_bits(w, f->n_bits[t] ? f->code[t] + (size_t)r * f->n_bits[t] : NULL, f->n_bits[t]);
        dune_jsonw_end(w);
        dune_jsonw_end(w);
    }
    dune_jsonw_end(w);
    dune_jsonw_end(w);
}

static void put_tree(struct dune_jsonw *w, const struct dune_plan_tree *tr)
{
    dune_jsonw_obj(w);
    dune_jsonw_key(w, "leaves");
    dune_jsonw_arr(w);
    for (uint32_t i = 0; i < tr->n_leaves; i++) {
        const struct dune_plan_leaf *l = &tr->leaf[i];

        dune_jsonw_obj_inline(w);
        dune_jsonw_key(w, "match");
        put_bits(w, tr->key_bits ? tr->match + (size_t)i * tr->key_bits : NULL, tr->key_bits);
        dune_jsonw_put_uint(w, "class", l->cls);
        dune_jsonw_put_uint(w, "confidence", l->conf);
        dune_jsonw_put_uint(w, "own", l->own);
        dune_jsonw_put_uint(w, "own_confidence", l->own_conf);
        dune_jsonw_end(w);
    }
    dune_jsonw_end(w);
    dune_jsonw_end(w);
}

static void put_submodel(struct dune_jsonw *w, const struct dune_submodel *sm)
{
    dune_jsonw_obj(w);
    dune_jsonw_put_uint(w, "id", sm->id);
    dune_jsonw_put_uint(w, "n", sm->n);
    dune_jsonw_put_str(w, "phase", dune_mode_name(sm->mode));
    dune_jsonw_put_uint(w, "device", sm->device);
    dune_jsonw_key(w, "classes");
    dune_jsonw_arr_inline(w);
    for (uint32_t i = 0; i < sm->n_classes; i++)
        dune_jsonw_uint(w, sm->cls[i]);
    dune_jsonw_end(w);
    dune_jsonw_key(w, "features");
    dune_jsonw_arr(w);
    for (uint32_t j = 0; j < sm->n_feats; j++)
        put_feature(w, &sm->feat[j], sm->n_trees);
    dune_jsonw_end(w);
    dune_jsonw_key(w, "trees");
    dune_jsonw_arr(w);
    for (uint32_t t = 0; t < sm->n_trees; t++)
        put_tree(w, &sm->tree[t]);
    dune_jsonw_end(w);
    dune_jsonw_end(w);
}

static void put_json(struct dune_jsonw *w, const json_t *v)
{
    const char *key;
    const json_t *item;
    size_t i;

    switch (json_typeof(v)) {
    case JSON_OBJECT:
        dune_jsonw_obj(w);
        json_object_foreach((json_t *)(uintptr_t)v, key, item)
        {
            dune_jsonw_key(w, key);
            put_json(w, item);
        }
        dune_jsonw_end(w);
        break;
    case JSON_ARRAY:
        dune_jsonw_arr_inline(w);
        json_array_foreach(v, i, item)
        {
            put_json(w, item);
        }
        dune_jsonw_end(w);
        break;
    case JSON_STRING:
        dune_jsonw_str(w, json_string_value(v));
        break;
    case JSON_INTEGER:
        dune_jsonw_int(w, json_integer_value(v));
        break;
    case JSON_REAL:
        if (json_real_value(v) == 0) /* -0 would read back as the integer 0 */
            dune_jsonw_int(w, 0);
        else
            dune_jsonw_double(w, json_real_value(v));
        break;
    default:
        if (json_is_null(v))
            dune_jsonw_null(w);
        else
            dune_jsonw_bool(w, json_is_true(v));
    }
}

static int json_depth(const json_t *v)
{
    const char *key;
    const json_t *item;
    size_t i;
    int deepest = 0;

    if (json_is_object(v))
        json_object_foreach((json_t *)(uintptr_t)v, key, item)
        {
            deepest = DUNE_MAX(deepest, json_depth(item));
        }
    else if (json_is_array(v))
        json_array_foreach(v, i, item)
        {
            deepest = DUNE_MAX(deepest, json_depth(item));
        }
    else
        return 0;
    return deepest + 1;
}

int dune_plan_json_text(const json_t *v, const char *place, char **out, struct dune_diag *d)
{
    struct dune_buf b = {0};
    struct dune_jsonw w;

    if (json_depth(v) > DUNE_PLAN_MAX_JSON_DEPTH)
        return dune_diag_set_place(d, DUNE_E_INPUT, NULL, place, "nested deeper than %d levels",
                                   DUNE_PLAN_MAX_JSON_DEPTH);
    dune_jsonw_init(&w, &b);
    put_json(&w, v);
    *out = b.data;
    return 0;
}

/* Embeds a JSON text. */
static int put_text(struct dune_jsonw *w, const char *key, const char *text, struct dune_diag *d)
{
    char place[64];
    json_error_t err;
    json_t *v;
    int rc = 0;

    dune_jsonw_key(w, key);
    if (!text) {
        dune_jsonw_null(w);
        return 0;
    }
    snprintf(place, sizeof(place), "provenance.%s", key);
    v = json_loads(text, JSON_DECODE_ANY | JSON_REJECT_DUPLICATES, &err);
    if (!v)
        rc = dune_diag_set_place(d, DUNE_E_INPUT, NULL, place, "not a JSON text: %s", err.text);
    else if (json_depth(v) > DUNE_PLAN_MAX_JSON_DEPTH)
        rc = dune_diag_set_place(d, DUNE_E_INPUT, NULL, place, "nested deeper than %d levels",
                                 DUNE_PLAN_MAX_JSON_DEPTH);
    else
        put_json(w, v);
    json_decref(v);
    return rc;
}

static int put_provenance(struct dune_jsonw *w, const struct dune_provenance *v,
                          struct dune_diag *d)
{
    int rc;

    dune_jsonw_key(w, "provenance");
    dune_jsonw_obj(w);
    dune_jsonw_put_str(w, "data_hash", v->data_hash);
    dune_jsonw_put_str(w, "solution", v->solution);
    dune_jsonw_key(w, "seed");
    dune_jsonw_big(w, v->seed);
    rc = put_text(w, "options", v->options, d);
    if (rc == 0)
        rc = put_text(w, "scores", v->scores, d);
    if (rc == 0)
        dune_jsonw_end(w);
    return rc;
}

int dune_plan_format(const struct dune_plan *p, char **text, size_t *len, struct dune_diag *d)
{
    struct dune_buf b = {0};
    struct dune_jsonw w;
    int rc;

    dune_jsonw_init(&w, &b);
    dune_jsonw_obj(&w);
    dune_jsonw_put_str(&w, "format", DUNE_PLAN_FORMAT);
    dune_jsonw_put_uint(&w, "version", p->version);
    dune_jsonw_put_str(&w, "name", p->name);
    dune_jsonw_put_uint(&w, "generation", p->generation);
    dune_jsonw_put_str(&w, "claim", dune_plan_claim_words[p->claim]);
    dune_jsonw_put_uint(&w, "early_exit", p->early_exit);
    dune_jsonw_put_str(&w, "fallback", dune_plan_fallback_words[p->fallback]);
    put_parser(&w, &p->parser);
    put_flow_state(&w, p);
    dune_jsonw_key(&w, "shim");
    dune_jsonw_obj(&w);
    dune_jsonw_put_uint(&w, "ethertype", p->shim_ethertype);
    dune_jsonw_put_uint(&w, "chain_mtu", p->chain_mtu);
    dune_jsonw_end(&w);
    put_filter(&w, &p->filter);
    put_classes(&w, p);
    put_devices(&w, p);
    dune_jsonw_key(&w, "submodels");
    dune_jsonw_arr(&w);
    for (uint32_t i = 0; i < p->n_submodels; i++)
        put_submodel(&w, &p->sub[i]);
    dune_jsonw_end(&w);
    rc = put_provenance(&w, &p->provenance, d);
    if (rc) {
        dune_buf_fini(&b);
        return rc;
    }
    dune_jsonw_end(&w);
    *text = b.data;
    *len = b.len;
    return 0;
}

int dune_plan_write(const struct dune_plan *p, const char *path, struct dune_diag *d)
{
    char *text = NULL;
    size_t len = 0;
    int rc = dune_plan_format(p, &text, &len, d);

    if (rc == 0)
        rc = dune_file_write(path, text, len, d);
    dune_mem_free(text);
    return rc;
}
