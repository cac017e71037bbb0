/* SPDX-License-Identifier: Apache-2.0 */
/* The verifier: what must hold before any target may use a plan. */
#include "plan/plan_int.h"

#include <jansson.h>
#include <string.h>

struct check {
    const struct dune_plan *p;
    struct dune_plan *fill;
    struct dune_diag *d;
    char path[256];
};

static const struct dune_parser_limits widest = {2, 40, 2, 64, true};

#define BAD(c, place, ...) dune_diag_set_place((c)->d, DUNE_E_INPUT, NULL, place, __VA_ARGS__)

DUNE_PRINTF(2, 3) static const char *at(struct check *c, const char *fmt, ...)
{
    va_list ap;

    va_start(ap, fmt);
    vsnprintf(c->path, sizeof(c->path), fmt, ap);
    va_end(ap);
    return c->path;
}

static bool is_utf8(const char *s)
{
    json_t *v = json_string(s);

    json_decref(v);
    return v != NULL;
}

static int check_name(struct check *c, const char *s, const char *place)
{
    if (!s || !*s || strlen(s) > 255)
        return BAD(c, place, "must be a name of 1 to 255 bytes");
    if (!is_utf8(s))
        return BAD(c, place, "is not valid UTF-8");
    return 0;
}

static int check_text(struct check *c, const char *s, const char *place)
{
    if (s && !is_utf8(s))
        return BAD(c, place, "is not valid UTF-8");
    return 0;
}

static int check_parser(struct check *c)
{
    const struct dune_parser_limits *l = &c->p->parser;

    if (l->max_vlan > widest.max_vlan)
        return BAD(c, "parser.max_vlan", "must be 0 to %u", widest.max_vlan);
    if (l->max_ipv4_options > widest.max_ipv4_options || l->max_ipv4_options % 4)
        return BAD(c, "parser.max_ipv4_options", "must be a multiple of 4 up to 40");
    if (l->max_ipv6_ext > widest.max_ipv6_ext)
        return BAD(c, "parser.max_ipv6_ext", "must be 0 to %u", widest.max_ipv6_ext);
    if (l->max_ipv6_ext_len > widest.max_ipv6_ext_len)
        return BAD(c, "parser.max_ipv6_ext_len", "must be 0 to %u", widest.max_ipv6_ext_len);
    return 0;
}

static int check_flow_state(struct check *c)
{
    const struct dune_plan *p = c->p;
    static const uint8_t zero[16];

    if (p->slots == 0 || (p->slots & (p->slots - 1)) || p->slots > DUNE_PLAN_MAX_SLOTS)
        return BAD(c, "flow_state.slots", "%u is not a power of two up to %u", p->slots,
                   DUNE_PLAN_MAX_SLOTS);
    if (p->ways < 1 || p->ways > 8)
        return BAD(c, "flow_state.ways", "must be 1 to 8");
    if (p->timeout == 0 || (p->timeout > INT64_MAX && p->timeout != DUNE_TIMEOUT_NONE))
        return BAD(c, "flow_state.timeout", "must be at least 1 tick, or null for none");
    if (p->syn_timeout > INT64_MAX || p->syn_timeout > p->timeout)
        return BAD(c, "flow_state.syn_timeout", "must be at most the time-out");
    if (p->syn_timeout && p->claim == DUNE_CLAIM_VOTES)
        return BAD(c, "flow_state.syn_timeout", "claim rule votes has none");
    if (p->hash > DUNE_HASH_SIPHASH)
        return BAD(c, "flow_state.hash", "unknown hash");
    if (p->hash == DUNE_HASH_CRC && memcmp(p->hash_key, zero, 16) != 0)
        return BAD(c, "flow_state.hash_key", "crc takes no key");
    return 0;
}

static int check_settings(struct check *c)
{
    const struct dune_plan *p = c->p;
    int rc;

    if (p->version != DUNE_PLAN_VERSION)
        return dune_diag_set_place(c->d, DUNE_E_VERSION, NULL, "version",
                                   "plan version %u; this build knows version %d", p->version,
                                   DUNE_PLAN_VERSION);
    if ((rc = check_name(c, p->name, "name")) != 0)
        return rc;
    if (p->claim > DUNE_CLAIM_VOTES)
        return BAD(c, "claim", "unknown claim rule");
    if (p->early_exit > 256)
        return BAD(c, "early_exit", "must be 0 to 256 (256: never)");
    if (p->fallback > DUNE_FALLBACK_BEST)
        return BAD(c, "fallback", "unknown fallback");
    if (p->fallback == DUNE_FALLBACK_BEST && p->claim != DUNE_CLAIM_BEST)
        return BAD(c, "fallback", "tentative answers exist under claim rule 'best' only");
    if ((rc = check_parser(c)) != 0 || (rc = check_flow_state(c)) != 0)
        return rc;
    if (p->shim_ethertype < 0x0600 || p->shim_ethertype == 0x0800 || p->shim_ethertype == 0x86DD ||
        p->shim_ethertype == 0x8100 || p->shim_ethertype == 0x88A8)
        return BAD(c, "shim.ethertype", "0x%04x means something else on the wire",
                   p->shim_ethertype);
    if (p->chain_mtu && (p->chain_mtu < 128 || p->chain_mtu > 65535))
        return BAD(c, "shim.chain_mtu", "must be 0 (no limit) or 128 to 65535 bytes");
    return 0;
}

static int check_filter(struct check *c)
{
    const struct dune_filter *f = &c->p->filter;

    if (f->n_prefixes > DUNE_PLAN_MAX_FILTER || f->n_ports > DUNE_PLAN_MAX_FILTER ||
        f->n_protos > 256)
        return BAD(c, "filter", "a list of the filter is too long");
    for (uint32_t i = 0; i < f->n_prefixes; i++) {
        const struct dune_prefix *x = &f->prefix[i];

        if (x->len > (x->ipv6 ? 128 : 32) || dune_prefix_has_host_bits(x))
            return BAD(c, at(c, "filter.prefixes[%u]", i),
                       "bits beyond the prefix length must be 0");
    }
    for (uint32_t i = 0; i < f->n_ports; i++)
        if (f->port[i].lo > f->port[i].hi)
            return BAD(c, at(c, "filter.ports[%u]", i), "the low port is above the high one");
    return 0;
}

static int check_action(struct check *c, uint32_t i)
{
    const struct dune_plan_class *k = &c->p->cls[i];
    bool at_final = k->action == DUNE_ACTION_DROP || k->action == DUNE_ACTION_MIRROR;
    uint32_t max = 0;

    if (k->action > DUNE_ACTION_MIRROR)
        return BAD(c, at(c, "classes[%u].action", i), "unknown action");
    if (k->action == DUNE_ACTION_MARK)
        max = 63;
    else if (k->action == DUNE_ACTION_STEER || k->action == DUNE_ACTION_MIRROR)
        max = 65535;
    if (k->action_arg > max)
        return BAD(c, at(c, "classes[%u].action_arg", i), "must be 0 to %u for action '%s'", max,
                   dune_plan_action_words[k->action]);
    if (k->action_any && !at_final)
        return BAD(c, at(c, "classes[%u].action_any", i), "is for the actions drop and mirror");
    return 0;
}

static int check_classes(struct check *c)
{
    const struct dune_plan *p = c->p;
    int rc;

    if (p->n_classes == 0 || p->n_classes > DUNE_MAX_CLASSES)
        return BAD(c, "classes", "a plan has 1 to %d classes", DUNE_MAX_CLASSES);
    for (uint32_t i = 0; i < p->n_classes; i++) {
        if ((rc = check_name(c, p->cls[i].name, at(c, "classes[%u].name", i))) != 0)
            return rc;
        if (i && strcmp(p->cls[i - 1].name, p->cls[i].name) >= 0)
            return BAD(c, at(c, "classes[%u].name", i),
                       "class names must differ and be in bytewise order");
        if (p->cls[i].min_confidence > 255)
            return BAD(c, at(c, "classes[%u].min_confidence", i), "must be 0 to 255");
        if ((rc = check_action(c, i)) != 0)
            return rc;
    }
    return 0;
}

static int check_devices(struct check *c)
{
    const struct dune_plan *p = c->p;
    int rc;

    if (p->n_devices == 0 || p->n_devices > DUNE_MAX_DEVICES)
        return BAD(c, "devices", "a plan has 1 to %d devices", DUNE_MAX_DEVICES);
    for (uint32_t i = 0; i < p->n_devices; i++) {
        const struct dune_plan_device *v = &p->device[i];

        if ((rc = check_name(c, v->name, at(c, "devices[%u].name", i))) != 0)
            return rc;
        if (!v->profile || !dune_profile_find(v->profile))
            return BAD(c, at(c, "devices[%u].profile", i), "'%.64s' is no known profile",
                       v->profile ? v->profile : "");
        for (uint32_t k = 0; k < i; k++)
            if (strcmp(p->device[k].name, v->name) == 0)
                return BAD(c, at(c, "devices[%u].name", i), "is also the name of device %u", k);
    }
    return 0;
}

/* --- one sub-model -------------------------------------------------------------------------------
 */

static int check_own(struct check *c, uint32_t s)
{
    const struct dune_submodel *sm = &c->p->sub[s];

    if (sm->n_classes == 0 || sm->n_classes > c->p->n_classes)
        return BAD(c, at(c, "submodels[%u].classes", s), "must name 1 to %u classes",
                   c->p->n_classes);
    for (uint32_t i = 0; i < sm->n_classes; i++) {
        if (sm->cls[i] == 0 || sm->cls[i] > c->p->n_classes)
            return BAD(c, at(c, "submodels[%u].classes[%u]", s, i), "%u is no class id (1 to %u)",
                       sm->cls[i], c->p->n_classes);
        if (i && sm->cls[i] <= sm->cls[i - 1])
            return BAD(c, at(c, "submodels[%u].classes[%u]", s, i), "class ids must ascend");
    }
    return 0;
}

static bool is_binary(const char *s, size_t len)
{
    for (size_t i = 0; i < len; i++)
        if (s[i] != '0' && s[i] != '1')
            return false;
    return true;
}

/* Rows ascend, meet and span the domain. */
static int check_ranges(struct check *c, uint32_t s, uint32_t j)
{
    const struct dune_plan_feature *f = &c->p->sub[s].feat[j];
    uint32_t max = dune_feature_max(f->feat);

    for (uint32_t r = 0; r < f->n_rows; r++) {
        uint32_t want = r ? f->row[r - 1].hi + 1 : 0;

        if (f->row[r].lo != want)
            return BAD(c, at(c, "submodels[%u].features[%u].rows[%u].lo", s, j, r), "%s %u..%u",
                       f->row[r].lo > want ? "gap: no row matches" : "overlap: two rows match",
                       DUNE_MIN(f->row[r].lo, want), DUNE_MAX(f->row[r].lo, want) - 1);
        if (f->row[r].hi < f->row[r].lo || f->row[r].hi > max ||
            (f->row[r].hi == max && r + 1 < f->n_rows))
            return BAD(c, at(c, "submodels[%u].features[%u].rows[%u].hi", s, j, r),
                       "%u: rows must be non-empty and end with the domain's %u", f->row[r].hi,
                       max);
    }
    if (f->row[f->n_rows - 1].hi != max)
        return BAD(c, at(c, "submodels[%u].features[%u].rows[%u].hi", s, j, f->n_rows - 1),
                   "gap: no row matches %u..%u", f->row[f->n_rows - 1].hi + 1, max);
    return 0;
}

/* Row r of tree t must be ones, then zeros; as many ones as row r - 1 or one more. */
static int check_code(struct check *c, uint32_t s, uint32_t j, uint32_t r, uint32_t t, bool *steps)
{
    const struct dune_plan_feature *f = &c->p->sub[s].feat[j];
    uint32_t n = f->n_bits[t], ones = dune_code_ones(f, t, r);
    uint32_t before = r ? dune_code_ones(f, t, r - 1) : 0;
    const char *word = f->code[t] + (size_t)r * n;

    if (!is_binary(word, n) || memchr(word + ones, '1', n - ones))
        return BAD(c, at(c, "submodels[%u].features[%u].rows[%u].codes[%u]", s, j, r, t),
                   "not a thermometer code (ones, then zeros)");
    if (ones != before && (r == 0 || ones != before + 1))
        return BAD(c, at(c, "submodels[%u].features[%u].rows[%u].codes[%u]", s, j, r, t),
                   "%u ones after %u in the row before; a code word grows by one per threshold",
                   ones, before);
    if (r + 1 == f->n_rows && ones != n)
        return BAD(c, at(c, "submodels[%u].features[%u].rows[%u].codes[%u]", s, j, r, t),
                   "the last row must be all ones; %u of %u bits are never set", n - ones, n);
    *steps |= r && ones != before;
    return 0;
}

static int check_codes(struct check *c, uint32_t s, uint32_t j)
{
    const struct dune_submodel *sm = &c->p->sub[s];
    const struct dune_plan_feature *f = &sm->feat[j];

    for (uint32_t r = 0; r < f->n_rows; r++) {
        bool steps = r == 0;
        int rc;

        for (uint32_t t = 0; t < sm->n_trees; t++)
            if (f->n_bits[t] && (rc = check_code(c, s, j, r, t, &steps)) != 0)
                return rc;
        if (!steps)
            return BAD(c, at(c, "submodels[%u].features[%u].rows[%u]", s, j, r),
                       "has the same codes as the row before; equal rows must be merged");
    }
    return 0;
}

static int check_feature(struct check *c, uint32_t s, uint32_t j)
{
    const struct dune_submodel *sm = &c->p->sub[s];
    const struct dune_plan_feature *f = &sm->feat[j];
    int rc;

    if (f->feat >= DUNE_N_FEATURES)
        return BAD(c, at(c, "submodels[%u].features[%u].feature", s, j), "unknown feature %u",
                   f->feat);
    if (j && f->feat <= sm->feat[j - 1].feat)
        return BAD(c, at(c, "submodels[%u].features[%u].feature", s, j),
                   "features must differ and be in catalog order");
    if (dune_catalog[f->feat].kth > sm->n)
        return BAD(c, at(c, "submodels[%u].features[%u].feature", s, j),
                   "%s needs packet %u, the inference point is %u", dune_catalog[f->feat].name,
                   dune_catalog[f->feat].kth, sm->n);
    if (f->n_rows < 2 || !f->row || !f->n_bits || !f->code)
        return BAD(c, at(c, "submodels[%u].features[%u].rows", s, j),
                   "a feature that no tree splits on is not part of a sub-model");
    if ((rc = check_ranges(c, s, j)) != 0)
        return rc;
    return check_codes(c, s, j);
}

static bool owns(const struct dune_submodel *sm, uint8_t cls)
{
    return cls && memchr(sm->cls, cls, sm->n_classes);
}

static int check_leaf(struct check *c, uint32_t s, uint32_t t, uint32_t i)
{
    const struct dune_submodel *sm = &c->p->sub[s];
    const struct dune_plan_leaf *l = &sm->tree[t].leaf[i];
    uint32_t most = 255 / sm->n_trees;
    const char *what = NULL, *why = "";

    if (l->cls != DUNE_PLAN_OTHER && !owns(sm, l->cls)) {
        what = "class";
        why = "must be a class of the sub-model or 255 (Other)";
    } else if (l->own && !owns(sm, l->own)) {
        what = "own";
        why = "must be a class of the sub-model or 0 (none)";
    } else if (l->cls != DUNE_PLAN_OTHER && l->own != l->cls) {
        what = "own";
        why = "must equal class where that is not Other";
    } else if (l->conf > most) {
        what = "confidence";
        why = "is above floor(255 / trees): the sum over the trees would not fit";
    } else if (l->own_conf > most || (!l->own && l->own_conf)) {
        what = "own_confidence";
        why = "is above floor(255 / trees), or not 0 without an own class";
    }
    if (!what)
        return 0;
    return BAD(c, at(c, "submodels[%u].trees[%u].leaves[%u].%s", s, t, i, what), "%s", why);
}

static int check_nodes(struct check *c, uint32_t s, uint32_t t)
{
    const struct dune_plan_tree *tr = &c->p->sub[s].tree[t];
    struct dune_node *node = NULL;
    uint32_t n_nodes = 0;
    char path[64];
    int rc;

    snprintf(path, sizeof(path), "submodels[%u].trees[%u]", s, t);
    rc = dune_plan_tree_derive(&c->p->sub[s], t, path, &node, &n_nodes, c->d);
    if (rc == 0 && c->fill) {
        c->fill->sub[s].tree[t].node = node;
        c->fill->sub[s].tree[t].n_nodes = n_nodes;
        return 0;
    }
    if (rc == 0 && (n_nodes != tr->n_nodes || !tr->node ||
                    memcmp(node, tr->node, n_nodes * sizeof(*node)) != 0))
        rc = BAD(c, path, "the nodes in memory are not those of the code rows");
    dune_mem_free(node);
    return rc;
}

static int check_tree(struct check *c, uint32_t s, uint32_t t)
{
    const struct dune_submodel *sm = &c->p->sub[s];
    const struct dune_plan_tree *tr = &sm->tree[t];
    uint64_t bits = 0;
    int rc;

    for (uint32_t j = 0; j < sm->n_feats; j++)
        bits += sm->feat[j].n_bits[t];
    if (tr->n_leaves == 0 || tr->n_leaves > DUNE_MAX_LEAVES || !tr->leaf)
        return BAD(c, at(c, "submodels[%u].trees[%u].leaves", s, t), "a tree has 1 to %d leaves",
                   DUNE_MAX_LEAVES);
    if (bits != tr->key_bits || bits >= DUNE_MAX_LEAVES || (bits && !tr->match))
        return BAD(c, at(c, "submodels[%u].trees[%u].leaves", s, t),
                   "the code key has %llu bits, the rows have %u", (unsigned long long)bits,
                   tr->key_bits);
    for (size_t i = 0; i < (size_t)tr->n_leaves * tr->key_bits; i++)
        if (!tr->match[i] || !strchr("01*", tr->match[i]))
            return BAD(c,
                       at(c, "submodels[%u].trees[%u].leaves[%zu].match", s, t, i / tr->key_bits),
                       "must consist of 0, 1 and *");
    for (uint32_t i = 0; i < tr->n_leaves; i++)
        if ((rc = check_leaf(c, s, t, i)) != 0)
            return rc;
    return check_nodes(c, s, t);
}

static int check_submodel(struct check *c, uint32_t s)
{
    const struct dune_plan *p = c->p;
    const struct dune_submodel *sm = &p->sub[s];
    int rc;

    for (uint32_t i = 0; i < s; i++)
        if (p->sub[i].id == sm->id)
            return BAD(c, at(c, "submodels[%u].id", s),
                       "%u is also the id of sub-model %u of the "
                       "chain",
                       sm->id, i);
    if (sm->n < 1)
        return BAD(c, at(c, "submodels[%u].n", s), "the inference point is at least 1");
    if (sm->mode >= DUNE_N_MODES)
        return BAD(c, at(c, "submodels[%u].phase", s), "unknown phase mode");
    if (sm->device >= p->n_devices)
        return BAD(c, at(c, "submodels[%u].device", s), "there are %u devices", p->n_devices);
    if (s && sm->device < p->sub[s - 1].device)
        return BAD(c, at(c, "submodels[%u].device", s),
                   "sits before the device of the sub-model before it in the chain");
    if ((rc = check_own(c, s)) != 0)
        return rc;
    if (sm->n_feats > DUNE_N_FEATURES || (sm->n_feats && !sm->feat))
        return BAD(c, at(c, "submodels[%u].features", s), "at most %d features", DUNE_N_FEATURES);
    if (sm->n_trees == 0 || sm->n_trees > DUNE_MAX_TREES || !sm->tree)
        return BAD(c, at(c, "submodels[%u].trees", s), "a sub-model has 1 to %d trees",
                   DUNE_MAX_TREES);
    for (uint32_t j = 0; j < sm->n_feats; j++)
        if ((rc = check_feature(c, s, j)) != 0)
            return rc;
    for (uint32_t t = 0; t < sm->n_trees; t++)
        if ((rc = check_tree(c, s, t)) != 0)
            return rc;
    return 0;
}

static int check_budget(struct check *c, uint32_t device)
{
    const struct dune_budget *b = &c->p->device[device].budget;
    struct dune_use use = {0};

    for (uint32_t s = 0; s < c->p->n_submodels; s++)
        if (c->p->sub[s].device == device)
            dune_use_add(&use, &c->p->sub[s]);
    if (b->leaves_sum && use.leaves > b->leaves_sum)
        return dune_diag_set_place(c->d, DUNE_E_INFEASIBLE, NULL,
                                   at(c, "devices[%u].leaves_sum", device),
                                   "its sub-models have %llu leaves, the budget is %u",
                                   (unsigned long long)use.leaves, b->leaves_sum);
    if (b->features_distinct && dune_use_features(&use) > b->features_distinct)
        return dune_diag_set_place(c->d, DUNE_E_INFEASIBLE, NULL,
                                   at(c, "devices[%u].features_distinct", device),
                                   "its sub-models use %u features, the budget is %u",
                                   dune_use_features(&use), b->features_distinct);
    return 0;
}

static int check_provenance(struct check *c)
{
    const struct dune_provenance *v = &c->p->provenance;
    int rc = check_text(c, v->data_hash, "provenance.data_hash");

    if (rc == 0)
        rc = check_text(c, v->solution, "provenance.solution");
    if (rc == 0)
        rc = check_text(c, v->options, "provenance.options");
    return rc ? rc : check_text(c, v->scores, "provenance.scores");
}

int dune_plan_check(const struct dune_plan *p, struct dune_plan *fill, struct dune_diag *d)
{
    struct check c = {.p = p, .fill = fill, .d = d};
    int rc;

    if ((rc = check_settings(&c)) != 0 || (rc = check_filter(&c)) != 0 ||
        (rc = check_classes(&c)) != 0 || (rc = check_devices(&c)) != 0)
        return rc;
    if (p->n_submodels > DUNE_MAX_SUBMODELS)
        return BAD(&c, "submodels", "a plan has at most %d sub-models", DUNE_MAX_SUBMODELS);
    for (uint32_t s = 0; s < p->n_submodels; s++)
        if ((rc = check_submodel(&c, s)) != 0)
            return rc;
    for (uint32_t i = 0; i < p->n_devices; i++)
        if ((rc = check_budget(&c, i)) != 0)
            return rc;
    return check_provenance(&c);
}

int dune_plan_verify(const struct dune_plan *p, struct dune_diag *d)
{
    return dune_plan_check(p, NULL, d);
}
