/* SPDX-License-Identifier: Apache-2.0 */
/*
 * P4 targets: programs, entries and reports generated from a plan, and an interpreter of the entries.
 *
 * A program depends on shape limits only (features, trees, code-word bits, parser limits, slots); all
 * values of a model are entries. Everything is text in memory first: struct dune_p4_files owns it.
 */
#ifndef DUNE_P4_H
#define DUNE_P4_H

#include "dune/engine.h"

struct dune_buf; /* base/base.h */

enum dune_p4_arch { DUNE_P4_V1MODEL, DUNE_P4_TNA };
/* "p4-v1model" or "p4-tna". */
const char *dune_p4_arch_name(enum dune_p4_arch a);

struct dune_p4_file {
    char *name; /* relative, "s1/s1.p4" */
    char *text;
    size_t len;
};
struct dune_p4_files {
    struct dune_p4_file *data;
    size_t len, cap;
};

/*
 * Generates all files for all devices of a plan. Errors: DUNE_E_INFEASIBLE names the device, the limit
 * and the number: hash siphash, several ways, more trees than a vote table holds, a feature the target
 * cannot compute, resources of the profile exceeded, a profile of another architecture.
 */
int dune_p4_generate(const struct dune_plan *p, enum dune_p4_arch arch, struct dune_p4_files *out,
                     struct dune_diag *d) DUNE_MUST_USE;
/* The same for TNA programs that hold so many generations: 1, 2, or 0 for two where they fit, else one.
 * v1model programs always hold 2. */
int dune_p4_generate_for(const struct dune_plan *p, enum dune_p4_arch arch, uint32_t generations,
                         struct dune_p4_files *out, struct dune_diag *d) DUNE_MUST_USE;
/*
 * The entries of a retrained plan for the v1model programs of another one. DUNE_E_INFEASIBLE says what the
 * programs have no room for: more thresholds, leaves or trees, other features, other parser limits ...
 */
int dune_p4_generate_entries(const struct dune_plan *p, const struct dune_plan *program,
                             struct dune_p4_files *out, struct dune_diag *d) DUNE_MUST_USE;
/* As dune_p4_generate for one device, without the dissector. */
int dune_p4_generate_device(const struct dune_plan *p, uint32_t device, enum dune_p4_arch arch,
                            struct dune_p4_files *out, struct dune_diag *d) DUNE_MUST_USE;
/* 2 where the programs of all devices hold two generations, else 1. */
uint32_t dune_p4_generations(const struct dune_plan *p, enum dune_p4_arch arch);
/* The name of a device as a name of files and directories. */
void dune_p4_device_name(char out[80], const struct dune_plan *p, uint32_t device);
/* Adds dune_shim.lua, a Wireshark dissector of the plan's shim. */
void dune_p4_dissector(const struct dune_plan *p, struct dune_p4_files *out);
/* The file of that name, or NULL. */
const struct dune_p4_file *dune_p4_file_find(const struct dune_p4_files *f, const char *name);
/* Writes them below dir; scripts (.sh) become executable. */
int dune_p4_files_write(const struct dune_p4_files *f, const char *dir, struct dune_diag *d) DUNE_MUST_USE;
void dune_p4_files_fini(struct dune_p4_files *f);

#define DUNE_P4_MAX_TREES 7 /* 4140 rows in the vote table of the tentative class */

/* --- the compiler's own reports -------------------------------------------------------------------- */
struct dune_p4_compiled { /* what the compiler of the switch says about a program */
    bool has_metrics, has_stages; /* the blocks are known; the stages are */
    uint32_t stages, sram_blocks, tcam_blocks, map_rams, latency_cycles; /* cycles of the ingress; 0: not known */
};
/* Text of metrics.json; of mau.resources.log; of resources.json and power.json, which those two are made of: they
 * fill in what is not known yet. DUNE_E_FORMAT says what is missing. */
int dune_p4_compiled_metrics(struct dune_p4_compiled *c, const char *name, const char *text, size_t len,
                             struct dune_diag *d) DUNE_MUST_USE;
int dune_p4_compiled_stages(struct dune_p4_compiled *c, const char *name, const char *text, size_t len,
                            struct dune_diag *d) DUNE_MUST_USE;
int dune_p4_compiled_resources(struct dune_p4_compiled *c, const char *name, const char *text, size_t len,
                               struct dune_diag *d) DUNE_MUST_USE;
int dune_p4_compiled_power(struct dune_p4_compiled *c, const char *name, const char *text, size_t len,
                           struct dune_diag *d) DUNE_MUST_USE;
/* As far as they are there, from dir/DEVICE/DEVICE.out (where compile.sh puts them), dir/DEVICE or
 * dir, or logs/, pipe/, pipe/logs/ in it. DUNE_E_INPUT: none. */
int dune_p4_compiled_read(struct dune_p4_compiled *c, const char *dir, const char *device,
                          struct dune_diag *d) DUNE_MUST_USE;
/* Appends the report of a device: the model of src/plan, and beside it the compiler's numbers (NULL: none). */
void dune_p4_report(struct dune_buf *b, const struct dune_plan *p, uint32_t device, uint32_t generations,
                    const struct dune_p4_compiled *c);

/* --- the interpreter ----------------------------------------------------------------------------- */
/*
 * Reads the text of an entries file back and answers as the tables would. It knows the program's
 * conventions (which table feeds which), no plan.
 */
struct dune_p4_tables; /* opaque */
/* Runtime-CLI text (v1model) or bfrt JSON (TNA) of one device. DUNE_E_FORMAT with the line. */
int dune_p4_tables_parse(struct dune_p4_tables **out, enum dune_p4_arch arch, const char *name,
                         const char *text, size_t len, struct dune_diag *d) DUNE_MUST_USE;
void dune_p4_tables_free(struct dune_p4_tables *t);
uint32_t dune_p4_tables_submodels(const struct dune_p4_tables *t);
/* Id and inference point of sub-model k of the device in generation slot g. TNA entries name the id in
 * the leaves only: UINT32_MAX when none of them answers; n is 0 where no packet is counted. */
void dune_p4_tables_point(const struct dune_p4_tables *t, uint32_t g, uint32_t k, uint32_t *id, uint32_t *n);
/* Rows hit per feature and tree must be exactly one: DUNE_E_INTERNAL names the table else. */
int dune_p4_tables_answer(const struct dune_p4_tables *t, uint32_t g, uint32_t k, const uint32_t *features,
                          struct dune_sub_answer *a, struct dune_diag *d) DUNE_MUST_USE;
/* The claim rule is part of a TNA program, not of its entries; best unless set. */
void dune_p4_tables_claim(struct dune_p4_tables *t, enum dune_claim_rule rule);
/* Steps 7 and 8 of sub-model k: combines a (NULL: none) with the shim, of a flow whose count is given.
 * fl: a flow-level or stored answer. Does nothing to a final shim. */
int dune_p4_tables_combine(const struct dune_p4_tables *t, uint32_t g, uint32_t k,
                           const struct dune_sub_answer *a, bool fl, uint64_t count,
                           struct dune_shim *s, struct dune_diag *d) DUNE_MUST_USE;

#endif
