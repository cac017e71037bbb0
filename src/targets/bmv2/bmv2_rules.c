/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Known-flow rules of a switch. The program keeps the last hit of a rule in a register at the rule's index
 * and marks a rule that it finds expired with all ones: such a rule is dead until its index is written 0.
 * A rule of a flow that has one takes its place; when there is no room, dead rules are looked for.
 */
#include "targets/bmv2/bmv2_int.h"

#include <string.h>

#define NIL UINT32_MAX
#define LAST_HIT BMV2_PREFIX "known.last_hit"

void bmv2_rules_init(struct bmv2_rules *t, uint32_t max)
{
    memset(t, 0, sizeof(*t));
    t->n_heads = t->n_free = max;
    t->rule = DUNE_NEW_N(struct bmv2_rule, max);
    t->head = DUNE_NEW_N(uint32_t, max);
    t->free_list = DUNE_NEW_N(uint32_t, max);
    for (uint32_t i = 0; i < max; i++) {
        t->head[i] = NIL;
        t->free_list[i] = max - 1 - i;
    }
}

void bmv2_rules_fini(struct bmv2_rules *t)
{
    dune_mem_free(t->rule);
    dune_mem_free(t->head);
    dune_mem_free(t->free_list);
    memset(t, 0, sizeof(*t));
}

static uint32_t *chain_of(const struct bmv2_rules *t, const struct dune_flow_key *key)
{
    return &t->head[dune_crc32c(key->bytes, key->len) % t->n_heads];
}

static uint32_t find(const struct bmv2_rules *t, uint8_t g, const struct dune_flow_key *key)
{
    uint32_t i = *chain_of(t, key);

    while (i != NIL && (t->rule[i].g != g || !dune_flow_key_equal(&t->rule[i].key, key)))
        i = t->rule[i].next;
    return i;
}

static void unlink_rule(struct bmv2_rules *t, uint32_t i)
{
    uint32_t *at = chain_of(t, &t->rule[i].key);

    while (*at != i)
        at = &t->rule[*at].next;
    *at = t->rule[i].next;
    t->rule[i].used = false;
    t->free_list[t->n_free++] = i;
}

static const char *table_of(const struct dune_flow_key *key)
{
    return key->len == 13 ? "known.rules_v4" : "known.rules_v6";
}

static void exact_bytes(struct p4_entries *e, const char *name, const uint8_t *b, uint32_t bits)
{

    p4_exact(e, name, bits, 0);
    for (uint32_t i = 0; i < bits / 8; i++)
        e->data[e->len - 1].match[e->data[e->len - 1].n_match - 1].value[i] = b[i];
}

static void make_entry(struct p4_entries *e, uint8_t g, uint32_t index, const struct dune_digest *dg)
{
    const struct dune_flow_key *k = &dg->key;
    uint32_t n = k->len == 13 ? 4 : 16;

    p4_begin(e, "known", "%s", table_of(k));
    p4_exact(e, "meta.g", 1, g);
    exact_bytes(e, "src", k->bytes, n * 8);
    exact_bytes(e, "dst", k->bytes + n, n * 8);
    exact_bytes(e, "sport", k->bytes + 2 * n, 16);
    exact_bytes(e, "dport", k->bytes + 2 * n + 2, 16);
    exact_bytes(e, "proto", k->bytes + 2 * n + 4, 8);
    p4_value(e, "rule", 32, index);
    p4_value(e, "since", 64, dg->tick);
    p4_value(e, "cls", 8, dg->cls);
    p4_value(e, "tentative", 1, (dg->flags & DUNE_SHIM_TENTATIVE) != 0);
    p4_value(e, "fl", 1, (dg->flags & DUNE_SHIM_FL) != 0);
    p4_value(e, "submodel", 8, dg->submodel);
    p4_value(e, "conf", 8, dg->conf);
}

static int delete_rule(struct bmv2_rules *t, struct bmv2_rpc *r, uint32_t i, struct dune_diag *d)
{
    int rc = bmv2_entry_delete(r, BMV2_PREFIX, table_of(&t->rule[i].key), t->rule[i].handle, d);

    if (rc == 0)
        unlink_rule(t, i);
    return rc;
}

/* Looks at some more each time, so that a full table of live rules costs little per digest. */
static int remove_dead(struct bmv2_rules *t, struct bmv2_rpc *r, struct dune_diag *d)
{
    int rc = 0;

    for (uint32_t k = 0; k < DUNE_MIN(t->n_heads, 256u) && rc == 0; k++) {
        uint32_t i = t->cursor++ % t->n_heads;
        uint64_t last = 0;

        if (!t->rule[i].used)
            continue;
        rc = bmv2_register_read(r, LAST_HIT, i, &last, d);
        if (rc == 0 && last == UINT64_MAX) {
            rc = delete_rule(t, r, i, d);
            t->expired++;
        }
    }
    return rc;
}

static int replace(struct bmv2_rules *t, struct bmv2_rpc *r, uint32_t i, const struct dune_digest *dg,
                   struct dune_diag *d)
{
    struct p4_entries e = {.prefix = BMV2_PREFIX};
    int rc;

    make_entry(&e, t->rule[i].g, i, dg);
    rc = bmv2_entry_modify(r, &e, &e.data[0], t->rule[i].handle, d);
    if (rc == 0)
        rc = bmv2_register_write(r, LAST_HIT, i, i + 1, 0, d);
    p4_entries_fini(&e);
    return rc;
}

static int add(struct bmv2_rules *t, struct bmv2_rpc *r, uint8_t g, const struct dune_digest *dg, bool *added,
               struct dune_diag *d)
{
    struct p4_entries e = {.prefix = BMV2_PREFIX};
    uint32_t i = t->free_list[t->n_free - 1], *at;
    int64_t handle = 0;
    bool full = false;
    int rc = bmv2_register_write(r, LAST_HIT, i, i + 1, 0, d);

    make_entry(&e, g, i, dg);
    if (rc == 0)
        rc = bmv2_entry_add(r, &e, &e.data[0], &handle, &full, d);
    p4_entries_fini(&e);
    if (rc || full)
        return rc;
    t->n_free--;
    at = chain_of(t, &dg->key);
    t->rule[i] = (struct bmv2_rule){.key = dg->key, .used = true, .g = g, .handle = handle, .next = *at};
    *at = i;
    *added = true;
    return 0;
}

int bmv2_rules_put(struct bmv2_rules *t, struct bmv2_rpc *r, uint8_t g, const struct dune_digest *dg,
                   bool *added, struct dune_diag *d)
{
    uint32_t i = find(t, g, &dg->key);
    int rc = 0;

    *added = i != NIL;
    if (i != NIL)
        rc = replace(t, r, i, dg, d);
    else if (t->n_free == 0)
        rc = remove_dead(t, r, d);
    if (rc == 0 && i == NIL && t->n_free)
        rc = add(t, r, g, dg, added, d);
    t->added += rc == 0 && *added;
    t->full += rc == 0 && !*added;
    return rc;
}

int bmv2_rules_clear(struct bmv2_rules *t, struct bmv2_rpc *r, uint8_t g, struct dune_diag *d)
{
    int rc = 0;

    for (uint32_t i = 0; i < t->n_heads && rc == 0; i++)
        if (t->rule[i].used && (g == 2 || t->rule[i].g == g))
            rc = delete_rule(t, r, i, d);
    return rc;
}
