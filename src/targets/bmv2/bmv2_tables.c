/* SPDX-License-Identifier: Apache-2.0 */
/* Entries, registers, counters and sessions of a switch, over its calls. */
#include "targets/bmv2/bmv2_int.h"

#include <string.h>

enum { TYPE_EXACT = 0, TYPE_TERNARY = 2, TYPE_RANGE = 4 };

/* Codes of the switch's table operations, as far as a name helps. */
static const char *table_error(uint64_t code)
{
    static const char *const text[] = {
        [1] = "the table is full", [2] = "no such entry", [7] = "no such table", [8] = "no such action",
        [17] = "the entry is there already", [18] = "the key does not fit", [26] = "the values do not fit",
    };

    return code < DUNE_ARRAY_LEN(text) && text[code] ? text[code] : "refused";
}

static int refused(const struct bmv2_rpc *r, const char *name, const struct bmv2_answer *a, struct dune_diag *d)
{
    bool table = strncmp(r->method, "bm_mt_", 6) == 0;

    return dune_diag_set(d, DUNE_E_INTERNAL, NULL, "simple_switch: %s of %s: %s (code %llu)", r->method, name,
                         table ? table_error(a->field[1]) : "refused", (unsigned long long)a->field[1]);
}

static int done(struct bmv2_rpc *r, const char *name, struct dune_diag *d)
{
    struct bmv2_answer a;
    int rc = bmv2_call(r, &a, d);

    return rc == 0 && a.refused ? refused(r, name, &a, d) : rc;
}

/* --- entries -------------------------------------------------------------------------------------------- */

static size_t n_bytes(uint32_t bits)
{
    return (bits + 7) / 8;
}

static void put_match(struct bmv2_rpc *r, const struct p4_match *m)
{
    size_t n = n_bytes(m->bits);

    bmv2_put_i32(r, 1, m->kind == P4_EXACT ? TYPE_EXACT : m->kind == P4_RANGE ? TYPE_RANGE : TYPE_TERNARY);
    bmv2_put_struct(r, m->kind == P4_EXACT ? 2 : m->kind == P4_RANGE ? 6 : 4);
    bmv2_put_bytes(r, 1, m->value, n);
    if (m->kind != P4_EXACT)
        bmv2_put_bytes(r, 2, m->mask, n);
    bmv2_put_end(r);
    bmv2_put_end(r);
}

static void put_action(struct bmv2_rpc *r, unsigned id, const struct p4_entries *e, const struct p4_entry *x)
{
    const char *dot = strrchr(x->table, '.');
    char name[512];

    snprintf(name, sizeof(name), "%s%.*s%s", e->prefix, dot ? (int)(dot - x->table) + 1 : 0, x->table, x->action);
    bmv2_put_text(r, id, name);
    bmv2_put_list(r, id + 1, false, x->n_param);
    for (uint32_t i = 0; i < x->n_param; i++)
        bmv2_put_item(r, x->param[i].value, n_bytes(x->param[i].bits));
}

static void put_table(struct bmv2_rpc *r, const struct p4_entries *e, const struct p4_entry *x)
{
    char name[512];

    snprintf(name, sizeof(name), "%s%s", e->prefix, x->table);
    bmv2_put_i32(r, 1, 0);
    bmv2_put_text(r, 2, name);
}

int bmv2_entry_add(struct bmv2_rpc *r, const struct p4_entries *e, const struct p4_entry *x, int64_t *handle,
                   bool *full, struct dune_diag *d)
{
    struct bmv2_answer a;
    int rc;

    bmv2_begin(r, "standard", "bm_mt_add_entry");
    put_table(r, e, x);
    bmv2_put_list(r, 3, true, x->n_match);
    for (uint32_t i = 0; i < x->n_match; i++)
        put_match(r, &x->match[i]);
    put_action(r, 4, e, x);
    bmv2_put_struct(r, 6);
    if (x->priority)
        bmv2_put_i32(r, 1, (int32_t)x->priority);
    bmv2_put_end(r);
    rc = bmv2_call(r, &a, d);
    *handle = (int64_t)a.number;
    if (full)
        *full = rc == 0 && a.refused && a.field[1] == 1;
    if (rc || !a.refused || (full && *full))
        return rc;
    return refused(r, x->table, &a, d);
}

int bmv2_entry_default(struct bmv2_rpc *r, const struct p4_entries *e, const struct p4_entry *x,
                       struct dune_diag *d)
{
    bmv2_begin(r, "standard", "bm_mt_set_default_action");
    put_table(r, e, x);
    put_action(r, 3, e, x);
    return done(r, x->table, d);
}

int bmv2_entry_modify(struct bmv2_rpc *r, const struct p4_entries *e, const struct p4_entry *x, int64_t handle,
                      struct dune_diag *d)
{
    bmv2_begin(r, "standard", "bm_mt_modify_entry");
    put_table(r, e, x);
    bmv2_put_i32(r, 3, (int32_t)handle);
    put_action(r, 4, e, x);
    return done(r, x->table, d);
}

int bmv2_entry_delete(struct bmv2_rpc *r, const char *prefix, const char *table, int64_t handle,
                      struct dune_diag *d)
{
    char name[512];

    snprintf(name, sizeof(name), "%s%s", prefix, table);
    bmv2_begin(r, "standard", "bm_mt_delete_entry");
    bmv2_put_i32(r, 1, 0);
    bmv2_put_text(r, 2, name);
    bmv2_put_i32(r, 3, (int32_t)handle);
    return done(r, table, d);
}

/* --- registers and counters -------------------------------------------------------------------------------- */

int bmv2_register_write(struct bmv2_rpc *r, const char *name, uint32_t from, uint32_t to, int64_t value,
                        struct dune_diag *d)
{
    bmv2_begin(r, "standard", to == from + 1 ? "bm_register_write" : "bm_register_write_range");
    bmv2_put_i32(r, 1, 0);
    bmv2_put_text(r, 2, name);
    bmv2_put_i32(r, 3, (int32_t)from);
    if (to == from + 1) {
        bmv2_put_i64(r, 4, value);
    } else {
        bmv2_put_i32(r, 4, (int32_t)to);
        bmv2_put_i64(r, 5, value);
    }
    return done(r, name, d);
}

int bmv2_register_read(struct bmv2_rpc *r, const char *name, uint32_t index, uint64_t *value, struct dune_diag *d)
{
    struct bmv2_answer a;
    int rc;

    bmv2_begin(r, "standard", "bm_register_read");
    bmv2_put_i32(r, 1, 0);
    bmv2_put_text(r, 2, name);
    bmv2_put_i32(r, 3, (int32_t)index);
    rc = bmv2_call(r, &a, d);
    *value = a.number;
    return rc == 0 && a.refused ? refused(r, name, &a, d) : rc;
}

int bmv2_counter_read(struct bmv2_rpc *r, const char *name, uint32_t index, uint64_t *packets,
                      struct dune_diag *d)
{
    struct bmv2_answer a;
    int rc;

    bmv2_begin(r, "standard", "bm_counter_read");
    bmv2_put_i32(r, 1, 0);
    bmv2_put_text(r, 2, name);
    bmv2_put_i32(r, 3, (int32_t)index);
    rc = bmv2_call(r, &a, d);
    *packets = a.field[2];
    return rc == 0 && a.refused ? refused(r, name, &a, d) : rc;
}

/* --- settings of the switch ---------------------------------------------------------------------------------- */

int bmv2_mirror(struct bmv2_rpc *r, uint32_t session, uint32_t port, struct dune_diag *d)
{
    bmv2_begin(r, "simple_switch", "mirroring_session_add");
    bmv2_put_i32(r, 1, (int32_t)session);
    bmv2_put_struct(r, 2);
    bmv2_put_i32(r, 1, (int32_t)port);
    bmv2_put_end(r);
    return done(r, "clone session", d);
}

/* The default of 64 packets loses bursts. */
int bmv2_queue_depth(struct bmv2_rpc *r, uint32_t packets, struct dune_diag *d)
{
    bmv2_begin(r, "simple_switch", "set_all_egress_queue_depths");
    bmv2_put_i32(r, 1, (int32_t)packets);
    return done(r, "queues", d);
}

int bmv2_elapsed_us(struct bmv2_rpc *r, uint64_t *us, struct dune_diag *d)
{
    struct bmv2_answer a;
    int rc;

    bmv2_begin(r, "simple_switch", "get_time_elapsed_us");
    rc = bmv2_call(r, &a, d);
    *us = a.number;
    return rc;
}

int bmv2_crc32c(struct bmv2_rpc *r, const char *calculation, struct dune_diag *d)
{
    bmv2_begin(r, "standard", "bm_set_crc32_custom_parameters");
    bmv2_put_i32(r, 1, 0);
    bmv2_put_text(r, 2, calculation);
    bmv2_put_struct(r, 3);
    bmv2_put_i32(r, 1, 0x1EDC6F41);
    bmv2_put_i32(r, 2, -1);
    bmv2_put_i32(r, 3, -1);
    bmv2_put_bool(r, 4, true);
    bmv2_put_bool(r, 5, true);
    bmv2_put_end(r);
    return done(r, calculation, d);
}

int bmv2_config(struct bmv2_rpc *r, struct dune_diag *d)
{
    bmv2_begin(r, "standard", "bm_get_config");
    return done(r, "configuration", d);
}
