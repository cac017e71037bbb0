/* SPDX-License-Identifier: Apache-2.0 */
/* A plan compiled into what the XDP program's maps hold. */
#include "dune/drift.h"
#include "targets/xdp/xdp_int.h"

#include <string.h>

#include "targets/target_int.h"

_Static_assert((int)XDP_MAX_SUBS == (int)DUNE_MAX_SUBMODELS && (int)XDP_N_REASONS == (int)DUNE_N_REASONS &&
               (int)XDP_BAD_DATA_OFFSET == (int)DUNE_REASON_BAD_DATA_OFFSET &&
               (int)XDP_FATE_DROPPED_BAD_SHIM == (int)DUNE_FATE_DROPPED_BAD_SHIM &&
               (int)XDP_KIND_STORED == (int)DUNE_ANSWER_STORED && (int)XDP_MIRROR == (int)DUNE_ACTION_MIRROR &&
               (int)XDP_SLOT_COLLISION == (int)DUNE_SLOT_COLLISION && (int)XDP_MODE_FLOW == (int)DUNE_MODE_FLOW &&
               (int)XDP_HASH_SIPHASH == (int)DUNE_HASH_SIPHASH && (int)XDP_CHAIN == (int)DUNE_PORT_CHAIN &&
               (int)XDP_DIGEST_REPEAT == (int)DUNE_DIGEST_REPEAT,
               "both sides number these alike");
_Static_assert(offsetof(struct xdp_counts, lock_timeouts) == sizeof(struct dune_counters),
               "the counters of a device, in order");

/* --- hashes ----------------------------------------------------------------------------------------------- */

void dune_xdp_crc_tables(uint32_t table[2][16][256])
{
    static const uint32_t poly[2] = {0x82f63b78u, 0xedb88320u};

    for (int k = 0; k < 2; k++)
        dune_crc_slices(poly[k], table[k]);
}

static uint64_t le64(const uint8_t *p)
{
    uint64_t v = 0;

    for (int i = 7; i >= 0; i--)
        v = v << 8 | p[i];
    return v;
}

static void put_hash(struct xdp_plan *o, const struct dune_plan *p)
{
    uint64_t k0 = le64(p->hash_key), k1 = le64(p->hash_key + 8);

    o->hash = (uint8_t)p->hash;
    o->sip[0] = 0x736f6d6570736575ull ^ k0;
    o->sip[1] = 0x646f72616e646f6dull ^ k1;
    o->sip[2] = 0x6c7967656e657261ull ^ k0;
    o->sip[3] = 0x7465646279746573ull ^ k1;
}

/* --- filter, parser, actions ------------------------------------------------------------------------------- */

static int too_many(struct dune_diag *d, const char *what, uint32_t n, uint32_t most)
{
    return dune_diag_set(d, DUNE_E_INFEASIBLE, NULL, "the filter has %u %s, the XDP program has room for %u", n, what,
                         most);
}

static void put_prefix(struct xdp_prefix *o, const struct dune_prefix *f)
{
    uint8_t mask[16] = {0};

    for (unsigned i = 0; i < f->len && i < 128; i++)
        mask[i / 8] |= (uint8_t)(0x80 >> i % 8);
    memcpy(o->addr, f->addr, 16);
    memcpy(o->mask, mask, 16);
}

static int put_filter(struct xdp_plan *o, const struct dune_filter *f, struct dune_diag *d)
{
    struct xdp_filter *x = &o->filter;

    for (uint32_t i = 0; i < f->n_prefixes; i++) {
        struct xdp_prefix *list = f->prefix[i].ipv6 ? x->v6 : x->v4;
        uint32_t *n = f->prefix[i].ipv6 ? &x->n_v6 : &x->n_v4;

        if (*n == XDP_MAX_FILTER)
            return too_many(d, "prefixes", f->n_prefixes, XDP_MAX_FILTER);
        put_prefix(&list[(*n)++], &f->prefix[i]);
    }
    if (f->n_ports > XDP_MAX_FILTER)
        return too_many(d, "port ranges", f->n_ports, XDP_MAX_FILTER);
    for (x->n_ports = 0; x->n_ports < f->n_ports; x->n_ports++) {
        x->lo[x->n_ports] = f->port[x->n_ports].lo;
        x->hi[x->n_ports] = f->port[x->n_ports].hi;
    }
    x->n_protos = f->n_protos;
    for (uint32_t i = 0; i < f->n_protos; i++)
        x->proto[f->proto[i] >> 5] |= 1u << (f->proto[i] & 31);
    o->filters = f->n_prefixes || f->n_ports || f->n_protos;
    return 0;
}

static void put_limits(struct xdp_plan *o, const struct dune_plan *p, uint16_t device)
{
    o->max_vlan = p->parser.max_vlan;
    o->max_ipv4_options = p->parser.max_ipv4_options;
    o->max_ipv6_ext = p->parser.max_ipv6_ext;
    o->max_ipv6_ext_len = p->parser.max_ipv6_ext_len;
    o->ipv6 = p->parser.ipv6;
    o->chain_mtu = p->chain_mtu;
    o->timeout = p->timeout;
    o->syn_timeout = p->syn_timeout;
    o->last_device = device + 1u == p->n_devices;
    for (uint32_t i = 0; i < p->n_classes; i++) {
        o->action[i + 1] = (uint8_t)p->cls[i].action;
        o->action_any[i + 1] = p->cls[i].action_any;
        o->action_arg[i + 1] = p->cls[i].action_arg;
        o->acts |= p->cls[i].action != DUNE_ACTION_FORWARD;
    }
}

/* --- trees ---------------------------------------------------------------------------------------------------- */

/* Node indices count from the start of the device's nodes, so that a step needs no base. */
static int put_tree(struct xdp_compiled *c, struct xdp_sub *o, const struct dune_plan_tree *tr, uint32_t *at,
                    struct dune_diag *d)
{
    uint32_t depth, n;

    if (!tr->node || tr->n_nodes == 0)
        return dune_diag_set(d, DUNE_E_USAGE, NULL, "the plan's trees have no nodes: it was not read or verified");
    if (tr->n_nodes > XDP_MAX_NODES - *at)
        return dune_diag_set(d, DUNE_E_INFEASIBLE, NULL, "more than %d tree nodes on one device", XDP_MAX_NODES);
    n = dune_core_tree_make(c->node + *at, tr, &depth);
    for (uint32_t i = 0; i < n; i++) {
        c->node[*at + i].left = (uint16_t)(c->node[*at + i].left + *at);
        c->node[*at + i].feat = (uint16_t)(c->node[*at + i].feat * XDP_X_BYTES);
    }
    if (depth > XDP_MAX_DEPTH)
        return dune_diag_set(d, DUNE_E_INFEASIBLE, NULL, "a tree is %u steps deep, the XDP program goes %d", depth,
                             XDP_MAX_DEPTH);
    o->root[o->n_trees++] = *at;
    o->depth = DUNE_MAX(o->depth, depth);
    *at += n;
    return 0;
}

/* Node 0 is a leaf that abstains: where trees that are not there end. */
static int put_sub(struct xdp_compiled *c, const struct dune_submodel *sm, bool last, uint32_t *at,
                   struct dune_diag *d)
{
    struct xdp_sub *o = &c->plan->sub[c->plan->n_sub++];
    struct dune_core_fields fields;
    int rc = 0;

    o->id = sm->id;
    o->n = sm->n;
    o->mode = (uint8_t)sm->mode;
    o->last = last;
    dune_core_fields_make(&fields, sm, c->where);
    dune_core_takes_make(&o->takes, &fields);
    for (uint32_t t = 0; rc == 0 && t < sm->n_trees; t++)
        rc = put_tree(c, o, &sm->tree[t], at, d);
    return rc;
}

static int put_subs(struct xdp_compiled *c, const struct dune_plan *p, uint16_t device, struct dune_diag *d)
{
    uint32_t at = 1;

    c->node[0] = (struct dune_core_node){0};
    for (uint32_t s = 0; s < p->n_submodels; s++) {
        const struct dune_submodel *sm = &p->sub[s];
        int rc;

        if (sm->device != device)
            continue;
        if (sm->n_trees < 1 || sm->n_trees > DUNE_MAX_TREES || sm->n_feats > DUNE_N_FEATURES)
            return dune_diag_set(d, DUNE_E_USAGE, NULL, "sub-model %u: the plan was not verified", sm->id);
        rc = put_sub(c, sm, s + 1 == p->n_submodels, &at, d);
        if (rc)
            return rc;
        c->plan->keeps_state |= sm->mode != DUNE_MODE_PACKET;
    }
    return 0;
}

/* --- drift ----------------------------------------------------------------------------------------------------- */

/* Every sub-model's claims and range rows, one behind the other. False: there is not room for all. */
static bool place_counters(struct xdp_sub *o, const struct dune_submodel *sm, uint32_t n_classes, uint32_t *at)
{
    o->claims_at = *at;
    *at += 2 * (n_classes + 1);
    o->n_feats = sm->n_feats;
    for (uint32_t j = 0; j < sm->n_feats && *at <= XDP_DRIFT; j++) {
        o->row_at[j] = *at;
        o->n_rows[j] = sm->feat[j].n_rows;
        *at += sm->feat[j].n_rows;
    }
    return *at <= XDP_DRIFT;
}

/* Nodes of the device: 0, and those of its trees. */
static uint32_t count_nodes(const struct dune_plan *p, uint16_t device)
{
    uint32_t n = 1;

    for (uint32_t s = 0; s < p->n_submodels; s++)
        for (uint32_t t = 0; p->sub[s].device == device && t < p->sub[s].n_trees; t++)
            n += p->sub[s].tree[t].n_nodes;
    return n;
}

static void put_drift(struct xdp_compiled *c, const struct dune_plan *p, uint16_t device)
{
    uint32_t at = count_nodes(p, device), k = 0;

    c->plan->counted = at <= XDP_DRIFT;
    for (uint32_t s = 0; s < p->n_submodels && c->plan->counted; s++) {
        const struct dune_submodel *sm = &p->sub[s];
        struct xdp_sub *o = &c->plan->sub[k];

        if (sm->device != device)
            continue;
        k++;
        c->plan->counted = place_counters(o, sm, p->n_classes, &at);
        for (uint32_t j = 0; c->plan->counted && j < sm->n_feats; j++)
            for (uint32_t r = 0; r < sm->feat[j].n_rows; r++)
                c->cuts->hi[o->row_at[j] + r] = sm->feat[j].row[r].hi;
    }
}

static void add_leaves(struct dune_drift_submodel *to, const struct dune_submodel *sm, const uint64_t *from, uint32_t *root)
{
    for (uint32_t t = 0; t < sm->n_trees; t++) {
        dune_core_tree_add_leaves(to->leaves[t], &sm->tree[t], from + *root);
        *root += sm->tree[t].n_nodes;
    }
}

static void add_more(struct dune_drift_submodel *to, const struct xdp_sub *o, const uint64_t *from)
{
    for (uint32_t c = 0; c <= to->n_classes; c++) {
        to->answers += from[o->claims_at + 2 * c];
        to->claims[c] += from[o->claims_at + 2 * c];
        to->confidence[c] += from[o->claims_at + 2 * c + 1];
    }
    for (uint32_t j = 0; j < o->n_feats; j++)
        for (uint32_t r = 0; r < o->n_rows[j]; r++)
            to->hits[j][r] += from[o->row_at[j] + r];
}

void dune_xdp_add_drift(struct dune_drift_counts *out, const struct dune_plan *p, uint16_t device, const struct xdp_drift *from)
{
    struct xdp_sub *o = DUNE_NEW(struct xdp_sub);
    uint32_t at = count_nodes(p, device), root = 1;

    for (uint32_t s = 0; s < p->n_submodels; s++) {
        if (p->sub[s].device != device || !place_counters(o, &p->sub[s], p->n_classes, &at))
            continue;
        add_more(&out->sub[s], o, from->n);
        add_leaves(&out->sub[s], &p->sub[s], from->n, &root);
    }
    dune_mem_free(o);
}

/* --- the whole -------------------------------------------------------------------------------------------------- */

static int check(const struct dune_plan *p, uint16_t device, uint32_t slots, uint32_t ways, struct dune_diag *d)
{
    int rc;

    if (p->n_devices == 0)
        return dune_diag_set(d, DUNE_E_INPUT, NULL, "the plan has no devices");
    if (device >= p->n_devices)
        return dune_diag_set(d, DUNE_E_USAGE, NULL, "the plan has %u devices, there is no device %u", p->n_devices,
                             device);
    if (p->claim == DUNE_CLAIM_VOTES)
        return dune_diag_set(d, DUNE_E_INPUT, NULL,
                             "claim rule votes needs the reference engine: its votes travel beside the packet");
    rc = dune_state_check(p, slots, ways, d);
    if (rc)
        return rc;
    if (p->parser.max_vlan > 2 || p->parser.max_ipv6_ext > 2 || p->parser.max_ipv6_ext_len > 64)
        return dune_diag_set(d, DUNE_E_INFEASIBLE, NULL,
                             "the XDP program parses 2 VLAN tags and 2 IPv6 extension headers of 64 bytes at most");
    return 0;
}

int dune_xdp_compile(struct xdp_compiled *c, const struct dune_plan *p, uint16_t device, uint32_t slots, uint32_t ways,
                     struct dune_diag *d)
{
    struct xdp_plan *o;
    int rc;

    memset(c, 0, sizeof(*c));
    slots = slots ? slots : p->slots;
    ways = ways ? ways : p->ways;
    rc = check(p, device, slots, ways, d);
    if (rc)
        return rc;
    o = c->plan = DUNE_NEW(struct xdp_plan);
    c->node = DUNE_NEW_N(struct dune_core_node, XDP_MAX_NODES + 1);
    c->cuts = DUNE_NEW(struct xdp_cuts);
    dune_core_layout_make(&o->layout, c->where, p, device);
    dune_core_rule_make(&o->rule, p);
    put_hash(o, p);
    put_limits(o, p, device);
    rc = put_filter(o, &p->filter, d);
    if (rc == 0)
        rc = put_subs(c, p, device, d);
    if (rc) {
        dune_xdp_compiled_fini(c);
        return rc;
    }
    put_drift(c, p, device);
    o->digests = (o->layout.use & DUNE_CORE_DIGEST) != 0;
    o->slot_mask = slots - 1;
    o->ways = ways;
    o->slot_bytes = o->layout.bytes;
    o->bucket_bytes = ways * o->layout.bytes;
    c->state_bytes = o->keeps_state ? (uint64_t)slots * o->bucket_bytes : 0;
    return 0;
}

void dune_xdp_compiled_fini(struct xdp_compiled *c)
{
    dune_mem_free(c->plan);
    dune_mem_free(c->node);
    dune_mem_free(c->cuts);
    memset(c, 0, sizeof(*c));
}
