/* SPDX-License-Identifier: Apache-2.0 */
/* What the files of the P4 targets share. */
#ifndef DUNE_P4_INT_H
#define DUNE_P4_INT_H

#include "base/base.h"
#include "dune/p4.h"

/* --- p4_text.c: templates -------------------------------------------------------------------------- */
/*
 * A template is P4 text with three constructs:
 *     @NAME@        the value of a variable; alone on a line, the line becomes the value's lines,
 *                   and vanishes when the value is empty
 *     %if NAME ... %else ... %end    by line; true when the value is neither empty nor "0"
 */
struct p4_vars {
    struct p4_var {
        const char *name; /* borrowed */
        char *value;
    } *data;
    size_t len, cap;
};
void p4_set(struct p4_vars *v, const char *name, const char *fmt, ...) DUNE_PRINTF(3, 4);
void p4_set_flag(struct p4_vars *v, const char *name, bool on);
/* Takes the text of b, which is empty afterwards. The trailing newline goes. */
void p4_set_buf(struct p4_vars *v, const char *name, struct dune_buf *b);
void p4_vars_fini(struct p4_vars *v);
/* A constant of 8 bits, its name in capitals behind the prefix. */
void p4_put_constant(struct dune_buf *b, const char *prefix, const char *name, unsigned value);
/* Compilers warn about constants that nothing uses: takes them out. */
void p4_drop_unused(struct dune_buf *b);
void p4_expand(struct dune_buf *out, const char *text, const struct p4_vars *v);

/* Templates, embedded by the build. */
extern const char p4_v1_head[], p4_v1_parser[], p4_v1_ext[], p4_v1_arrive[], p4_v1_state[],
    p4_v1_submodel[], p4_v1_leave[], p4_v1_compile[], p4_v1_start[], p4_shim_lua[];
extern const char p4_tna_head[], p4_tna_parser[], p4_tna_arrive[], p4_tna_flow[], p4_tna_submodel[],
    p4_tna_leave[], p4_tna_compile[];

/* --- p4_shape.c: what a program depends on ---------------------------------------------------------- */
struct p4_feature {
    uint8_t feat;
    int32_t from;                     /* index into the sub-model's features; -1: it does not read it */
    uint32_t bits[DUNE_P4_MAX_TREES]; /* code-word width per tree */
    uint32_t rows;                    /* of the feature table, of one generation */
    uint32_t room;                    /* rows the table was made for */
};
struct p4_sub {
    const struct dune_submodel *sm;
    bool last; /* of the chain */
    bool stores;
    uint32_t n_trees;
    enum dune_mode mode;
    uint32_t leaves[DUNE_P4_MAX_TREES]; /* the code tables have room for */
    uint32_t n_feats;
    struct p4_feature feat[DUNE_N_FEATURES];
};
struct p4_shape {
    const struct dune_plan *plan;
    uint32_t device;
    enum dune_p4_arch arch;
    bool state; /* keeps flow state */
    dune_feature_mask used; /* features of all sub-models here */
    uint32_t gens;          /* TNA: generations the program holds, 1 or 2 */
    uint32_t chip;          /* TNA: Tofino 1 or 2 */
    uint32_t all_slots, at_bits; /* TNA: of all generations; width of their index */
    char at_text[16], half_text[16]; /* TNA: the index, and without its highest bit */
    bool rules;             /* TNA: has tables of known flows */
    uint32_t n_sub;
    struct p4_sub sub[DUNE_MAX_SUBMODELS];
};
int p4_shape_make(struct p4_shape *s, const struct dune_plan *p, uint32_t device,
                  enum dune_p4_arch arch, uint32_t generations, struct dune_diag *d) DUNE_MUST_USE;
/* Widens the shape of a retrained model to that of the program it shall run in, which holds fewer features,
 * code words, rows or leaves nowhere. DUNE_E_INFEASIBLE says where it does. v1model only. */
int p4_shape_widen(struct p4_shape *s, const struct p4_shape *program, struct dune_diag *d) DUNE_MUST_USE;
/* p4_shape_widen, and the program's text is the same then. */
int p4_shape_in(struct p4_shape *s, const struct p4_shape *program, const char *text, struct dune_diag *d) DUNE_MUST_USE;
/* "len.max" -> "len_max". */
void p4_ident(char out[32], uint8_t feat);
bool p4_uses(const struct p4_shape *s, uint8_t feat);
bool p4_is_register(uint8_t feat); /* the count is kept whatever the models read */
uint32_t p4_round_up(uint32_t n, uint32_t least); /* to a power of two */

/* --- p4_entry.c: entries, before they become text ---------------------------------------------------- */
enum p4_match_kind { P4_EXACT, P4_TERNARY, P4_RANGE };
struct p4_match {
    enum p4_match_kind kind;
    const char *name;
    uint32_t bits;
    uint8_t *value, *mask; /* (bits + 7) / 8 bytes, big-endian; mask: the upper end of a range */
};
struct p4_param {
    const char *name;
    uint32_t bits;
    uint8_t *value;
};
struct p4_entry {
    const char *comment; /* starts a section, or NULL */
    const char *table, *action; /* table NULL: a comment alone */
    uint32_t n_match, n_param, priority; /* priority 0: none; the lower number wins */
    struct p4_match *match;
    struct p4_param *param;
};
struct p4_entries {
    struct p4_entry *data;
    size_t len, cap;
    const char *prefix; /* "DuneIngress." */
    struct dune_arena arena;
};
void p4_entries_fini(struct p4_entries *e);
void p4_comment(struct p4_entries *e, const char *fmt, ...) DUNE_PRINTF(2, 3);
void p4_begin(struct p4_entries *e, const char *action, const char *table_fmt, ...) DUNE_PRINTF(3, 4);
void p4_exact(struct p4_entries *e, const char *name, uint32_t bits, uint64_t value);
void p4_range(struct p4_entries *e, const char *name, uint32_t bits, uint64_t lo, uint64_t hi);
void p4_ternary(struct p4_entries *e, const char *name, uint32_t bits, uint64_t value, uint64_t mask);
void p4_ternary_bytes(struct p4_entries *e, const char *name, uint32_t bits, const uint8_t *value,
                      const uint8_t *mask);
/* n characters 0, 1, *; what is missing up to bits is * on the right. */
void p4_ternary_text(struct p4_entries *e, const char *name, uint32_t bits, const char *text, uint32_t n);
void p4_value(struct p4_entries *e, const char *name, uint32_t bits, uint64_t value);
void p4_value_text(struct p4_entries *e, const char *name, uint32_t bits, const char *text, uint32_t n);
void p4_priority(struct p4_entries *e, uint32_t priority);
void p4_write_cli(struct dune_buf *out, const struct p4_entries *e);
void p4_write_runtime(struct dune_buf *out, const struct p4_entries *e);
void p4_write_bfrt(struct dune_buf *out, const struct p4_entries *e);
/* P4Runtime id of a table (prefix 2) or action (prefix 1), made from its name. */
uint32_t p4_id(uint32_t prefix, const char *name);

#define P4_TNA_RANGE_BITS 20 /* five 4-bit digits; wider features become ternary prefixes */

/* --- p4_rows.c: the entries of a plan on a device ---------------------------------------------------- */
void p4_rows_model(struct p4_entries *e, const struct p4_shape *s, uint32_t g);
void p4_rows_votes(struct p4_entries *e, const struct p4_shape *s);
void p4_row_port_in(struct p4_entries *e, uint32_t port, bool chain); /* leaves by port 1 */
void p4_row_port_back(struct p4_entries *e, uint32_t port, uint32_t to);
enum { P4_CPU_PORT = 64 };
void p4_row_port_release(struct p4_entries *e, uint32_t port);
void p4_row_port_out(struct p4_entries *e, uint32_t port, bool chain);
/* Ports, what is stamped, and the generation in set g of the tables. */
void p4_rows_device(struct p4_entries *e, const struct p4_shape *s, uint32_t g);
void p4_rows_generation(struct p4_entries *e, const struct p4_shape *s, uint32_t g);
void p4_row_stamp(struct p4_entries *e, uint16_t generation, bool drop_forged, bool draining,
                  uint16_t older, uint64_t drain_until);
/* rate 0: no limit; burst 0: the rate. */
void p4_row_digest_rate(struct p4_entries *e, uint32_t rate, uint32_t burst);
/* All sets of trees that can agree: fn gets the group of every tree (0: takes no part). */
typedef void (*p4_pattern_fn)(void *ctx, const uint8_t *group);
void p4_patterns(uint32_t n_trees, bool partial, p4_pattern_fn fn, void *ctx);
/* Trees of the largest group, ties to the earliest tree, as a mask (bit t: tree t); 0: none takes part. */
uint32_t p4_winners(uint32_t n_trees, const uint8_t *group);

/* --- v1_*.c ------------------------------------------------------------------------------------------ */
void p4_v1_program(struct dune_buf *out, const struct p4_shape *s);
void p4_v1_registers(struct p4_vars *v, const struct p4_shape *s);
void p4_v1_submodels(struct dune_buf *out, const struct p4_shape *s);

void p4_shape_comment(struct p4_vars *v, const struct p4_shape *s);

/* --- tna_*.c ------------------------------------------------------------------------------------------ */
/* The word of an answer, so that the larger word is the better answer: claim 1, confidence 8,
 * 255 - sub-model id 8, class 8, 6 unused, flow level 1. */
#define P4_TNA_CLAIM 0x80000000u
#define P4_TNA_CONF_SHIFT 23
#define P4_TNA_ID_SHIFT 15
#define P4_TNA_CLASS_SHIFT 7
void p4_tna_program(struct dune_buf *out, const struct p4_shape *s);
void p4_tna_common_vars(struct p4_vars *v, const struct p4_shape *s);
void p4_tna_registers(struct p4_vars *v, const struct p4_shape *s);
void p4_tna_submodels(struct dune_buf *out, const struct p4_shape *s);
uint32_t p4_tna_count_bits(const struct p4_shape *s);
/* How a feature is matched: bits exact, short fields and those above 20 bits ternary, else range. */
enum p4_match_kind p4_tna_feature_kind(uint8_t feat);
/* Can the claim of sub-model k of the device become final before the next one is asked? */
bool p4_tna_has_verdict(const struct p4_shape *s, uint32_t k);
/* Rows of a vote table as P4 text, the most specific first. */
void p4_tna_vote_rows(struct dune_buf *b, uint32_t n_trees, bool own);
/* All entries of a device in one generation, in set g of the tables. */
void p4_tna_rows(struct p4_entries *e, const struct p4_shape *s, uint32_t g);

/* --- p4_emit.c ---------------------------------------------------------------------------------------- */
void p4_file_add(struct dune_p4_files *f, struct dune_buf *text, const char *name_fmt, ...)
    DUNE_PRINTF(3, 4);

#endif
