/* SPDX-License-Identifier: Apache-2.0 */
/* Entries as the interpreter holds them. */
#ifndef DUNE_P4_INTERP_INT_H
#define DUNE_P4_INTERP_INT_H

#include "targets/p4/p4_int.h"

struct p4_num { /* big-endian, any length */
    uint8_t *b;
    uint32_t n;
};
struct p4_cell {
    enum p4_match_kind kind;
    struct p4_num value, mask;
};
struct p4_row {
    uint32_t n_cells, n_params, priority;
    const char *action; /* without its scope; NULL for v1model */
    struct p4_cell *cell;
    struct p4_row_param {
        uint32_t tree; /* of a code word: whose it is */
        struct p4_num value;
    } *param;
};
struct p4_table {
    const char *name; /* "sub_0.f_ip_len" */
    DUNE_VEC(struct p4_row) rows;
};
struct dune_p4_tables {
    enum dune_p4_arch arch;
    struct dune_arena arena;
    struct p4_table *data;
    size_t len, cap;
    bool sets;        /* TNA: the first key of a model's tables is the set of the generation */
    bool first_claim; /* TNA: claim rule first */
    uint32_t n_sub;
    struct {
        uint32_t n_feats, n_trees;
        uint8_t feat[DUNE_N_FEATURES];
        uint32_t table[DUNE_N_FEATURES];
    } sub[DUNE_MAX_SUBMODELS];
};

bool p4_num_parse(struct dune_p4_tables *t, const char *s, size_t len, struct p4_num *out);
struct p4_table *p4_table_get(struct dune_p4_tables *t, const char *name);
void p4_row_add(struct dune_p4_tables *t, struct p4_table *x, const struct p4_row *r);
struct p4_table *p4_find_table(const struct dune_p4_tables *t, const char *name);
/* The hit of the lowest priority number; *hits counts all. NULL: none. */
const struct p4_row *p4_look_up(const struct p4_table *x, const struct p4_num *key, uint32_t n, uint32_t *hits);
uint64_t p4_row_value(const struct p4_row *r, uint32_t i); /* parameter i; 0 of no row */
/* tna_interp.c: the same for TNA */
void p4_tna_point(const struct dune_p4_tables *t, uint32_t g, uint32_t k, uint32_t *id, uint32_t *n);
int p4_tna_answer(const struct dune_p4_tables *t, uint32_t g, uint32_t k, const uint32_t *features,
                  struct dune_sub_answer *a, struct dune_diag *d) DUNE_MUST_USE;
int p4_tna_combine(const struct dune_p4_tables *t, uint32_t g, uint32_t k, const struct dune_sub_answer *a, bool fl,
                   uint64_t count, struct dune_shim *s, struct dune_diag *d) DUNE_MUST_USE;
/* p4_bfrt.c */
int p4_parse_bfrt(struct dune_p4_tables *t, const char *name, const char *text, size_t len,
                  struct dune_diag *d) DUNE_MUST_USE;

#endif
