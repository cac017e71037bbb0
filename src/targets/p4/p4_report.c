/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What a device costs: the model's estimate, and beside it what the compiler of the switch reports
 * (p4_compiled.c reads that).
 */
#include <string.h>

#include "targets/p4/p4_int.h"

/* --- writing ----------------------------------------------------------------------------------------- */

static void row(struct dune_buf *b, const char *what, uint32_t model, uint32_t of, bool known, uint32_t compiler)
{
    char text[32];

    if (of)
        snprintf(text, sizeof(text), "%u of %u", model, of);
    else
        snprintf(text, sizeof(text), "%u", model);
    dune_buf_printf(b, "%-20s %-12s", what, text);
    if (known)
        dune_buf_printf(b, " %u", compiler);
    else /* no blanks at the end */
        while (b->len && b->data[b->len - 1] == ' ')
            b->data[--b->len] = '\0';
    dune_buf_puts(b, "\n");
}

static void pipe_rows(struct dune_buf *b, const struct dune_resources *r, const struct dune_profile *prof,
                      const struct dune_p4_compiled *c)
{
    static const struct dune_p4_compiled none = {0};

    if (c)
        dune_buf_printf(b, "\n%-20s %-12s %s\n", "", "model", "compiler");
    c = c ? c : &none;
    row(b, "stages", r->stages, prof->stages, c->has_stages, c->stages);
    row(b, "TCAM blocks", r->tcam_blocks, prof->tcam_blocks, c->has_metrics, c->tcam_blocks);
    row(b, "SRAM blocks", r->sram_blocks, prof->sram_blocks, c->has_metrics, c->sram_blocks);
    row(b, "map RAMs", r->map_rams, prof->map_rams_per_stage * prof->stages, c->has_metrics, c->map_rams);
    row(b, "stateful ALUs", r->stateful_alus, prof->stateful_alus_per_stage * prof->stages, false, 0);
    row(b, "hash bits", r->hash_bits, 0, false, 0);
    row(b, "latency, cycles", r->latency_cycles, 0, c->latency_cycles != 0, c->latency_cycles);
    dune_buf_puts(b, "(all estimates: stages, blocks and cycles of the model; the compiler's cycles are its own)\n");
}

void dune_p4_report(struct dune_buf *b, const struct dune_plan *p, uint32_t device, uint32_t generations,
                    const struct dune_p4_compiled *c)
{
    const struct dune_profile *prof = dune_profile_find(p->device[device].profile);
    struct dune_resources r;

    dune_resources_estimate(p, device, prof, generations, &r);
    dune_buf_printf(b, "device %s, profile %s, %s (docs/resources.md)\n\n", p->device[device].name,
                    p->device[device].profile, generations > 1 ? "two generations" : "one generation");
    row(b, "sub-models", r.submodels, 0, false, 0);
    row(b, "leaves", r.leaves, 0, false, 0);
    row(b, "distinct features", r.features_distinct, 0, false, 0);
    row(b, "trees, at most", r.trees, 0, false, 0);
    row(b, "range rows", r.range_rows, 0, false, 0);
    row(b, "the same as ternary", r.range_as_ternary_rows, 0, false, 0);
    row(b, "code rows", r.ternary_rows, 0, false, 0);
    row(b, "code key, bits", r.code_bits, 0, false, 0);
    dune_buf_printf(b, "register bits        %llu\n", (unsigned long long)r.register_bits);
    dune_buf_printf(b, "published accounting %u of %d blocks (%.2f %%)\n", r.published_blocks,
                    DUNE_PUBLISHED_BLOCKS, 100 * r.published_share);
    if (prof && prof->stages)
        pipe_rows(b, &r, prof, c);
}
