/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Where registers and tables of the generated TNA program go, stage by stage, as its data depend on
 * each other (docs/resources.md):
 *
 *   rules, hashes, filter . slot . {last, gap} . registers ... feature tables . code tables . vote ...
 *   stored answers . claim . verdict ... per sub-model . shim, actions, digest register . digest
 */
#include "plan/plan_int.h"

#include <stdarg.h>
#include <string.h>

#define MAX_STAGES 96
#define SPARE_MAP_RAMS 6 /* of a stage; compilers do not fill the last ones */
#define SRAM_PER_STAGE 80
#define MAX_SLOTS 65536 /* of all generations: the program's index has 16 bits */
#define RULE_BYTES 20 /* SRAM per IPv4 rule: key, action, overhead */
#define RULE_BYTES_IPV6 56
#define RULES_PER_MAP_RAM 1820 /* idle time-out bits */
#define MAX_RANGE_ENTRIES 8
#define TERNARY_TABLES 8 /* of a stage */
#define LOGICAL_TABLES 14 /* of the 16 of a stage; comparisons of the program take some */
#define KEY_BLOCKS 12 /* of a stage: its crossbar's width */
#define HASH_UNIT_BITS 16
#define HASH_UNITS 6 /* of a stage */
#define CYCLES 22 /* of a stage that waits for the one before, as the compiler counts them */
#define CYCLES_STATEFUL 4 /* more, with a register */
#define CYCLES_COMPUTE 2 /* of a stage that only computes, or has nothing to do */

struct pipeline {
    const struct dune_profile *prof;
    struct dune_resources *out;
    uint32_t slots, generations;
    uint32_t map[MAX_STAGES], alu[MAX_STAGES], tcam[MAX_STAGES], sram[MAX_STAGES];
    uint32_t ternary[MAX_STAGES], tables[MAX_STAGES], width[MAX_STAGES]; /* tables; blocks side by side */
    uint32_t ready[DUNE_N_FEATURES]; /* first stage that can read the feature */
    uint32_t slot;                   /* stage of the slot */
    uint32_t gate;                   /* stage of the first table that knows whether to infer */
    uint32_t vote_stages;
};

static uint32_t div_up(uint64_t a, uint64_t b)
{
    return (uint32_t)((a + b - 1) / b);
}

/* Entries of a range key matched four bits at a time, as the TCAM does: one digit range each. */
static uint32_t digit_ranges(uint64_t lo, uint64_t hi)
{
    uint32_t n = 0;

    while (lo >> 4 != hi >> 4) {
        if (lo & 15) {
            n++;
            lo += 16;
        }
        if ((hi & 15) != 15) {
            n++;
            hi = hi < 16 ? 0 : hi - 16;
        }
        lo >>= 4;
        hi >>= 4;
        if (lo > hi)
            return n;
    }
    return n + 1;
}

/* --- placing ----------------------------------------------------------------------------------- */

static uint32_t place_part(struct pipeline *x, uint32_t rams, uint32_t room, uint32_t earliest)
{
    uint32_t s = earliest;

    while (s + 1 < MAX_STAGES && (x->map[s] + rams > room || x->sram[s] + rams > SRAM_PER_STAGE ||
                                  x->alu[s] >= x->prof->stateful_alus_per_stage || x->tables[s] >= LOGICAL_TABLES))
        s++;
    x->tables[s]++;
    x->map[s] += rams;
    x->sram[s] += rams;
    x->alu[s]++;
    x->out->map_rams += rams;
    x->out->sram_blocks += rams;
    x->out->stateful_alus++;
    return s;
}

/*
 * Puts a register (the generation is a bit of its index) at the first stages >= earliest with room,
 * in halves as long as it is too large for one stage. Returns the last stage.
 */
static uint32_t place_register(struct pipeline *x, uint32_t bits, uint32_t earliest)
{
    uint32_t room = x->prof->map_rams_per_stage - SPARE_MAP_RAMS, parts = 1, last = earliest, rams;

    for (;; parts *= 2) {
        rams = div_up((uint64_t)x->slots * bits, 8ull * x->prof->sram_block_bytes * parts) + 1;
        if (rams <= room)
            break;
        if (parts == 4) {
            dune_resources_refuse(x->out, "a register of %u x %u bits is too large", x->slots, bits);
            return earliest;
        }
    }
    for (uint32_t i = 0; i < parts; i++) {
        uint32_t at = place_part(x, rams, room, earliest);

        last = DUNE_MAX(last, at);
    }
    return last;
}

/* Blocks of a ternary table, so many of them side by side. */
static uint32_t place_wide(struct pipeline *x, uint32_t blocks, uint32_t width, uint32_t earliest)
{
    uint32_t room = x->prof->tcam_blocks / x->prof->stages, s = earliest;

    x->out->tcam_blocks += blocks;
    if (blocks > room) {
        dune_resources_refuse(x->out, "a table needs %u TCAM blocks, a stage has %u", blocks, room);
        return earliest;
    }
    while (s + 1 < MAX_STAGES && (x->tcam[s] + blocks > room || x->ternary[s] >= TERNARY_TABLES ||
                                  x->tables[s] >= LOGICAL_TABLES || x->width[s] + width > KEY_BLOCKS))
        s++;
    x->tcam[s] += blocks;
    x->ternary[s]++;
    x->tables[s]++;
    x->width[s] += width;
    return s;
}

static uint32_t place_tcam(struct pipeline *x, uint32_t blocks, uint32_t earliest)
{
    return place_wide(x, blocks, 1, earliest);
}

/* A small exact table. */
static uint32_t place_exact(struct pipeline *x, uint32_t earliest)
{
    uint32_t s = earliest;

    while (s + 1 < MAX_STAGES && x->tables[s] >= LOGICAL_TABLES)
        s++;
    x->tables[s]++;
    return s;
}

/* Exact entries spread over stages from earliest on; returns the last. */
static uint32_t place_rules(struct pipeline *x, uint32_t rules, uint32_t bytes, uint32_t earliest)
{
    uint32_t blocks = div_up((uint64_t)rules * bytes, x->prof->sram_block_bytes), s = earliest;
    uint32_t rams = div_up(rules, RULES_PER_MAP_RAM), room;

    x->out->sram_blocks += blocks;
    x->out->map_rams += rams;
    for (; blocks && s + 1 < MAX_STAGES; s++) {
        room = SRAM_PER_STAGE - DUNE_MIN(x->sram[s], SRAM_PER_STAGE);
        if (room > blocks)
            room = blocks;
        x->sram[s] += room;
        x->map[s] += div_up((uint64_t)rams * room, blocks);
        rams -= DUNE_MIN(rams, div_up((uint64_t)rams * room, blocks));
        blocks -= room;
    }
    return s ? s - 1 : 0;
}

/* What a table of the program's own takes beside its TCAM: action data or a few exact entries. */
static void add_tables(struct pipeline *x, uint32_t tables, uint32_t counters)
{
    x->out->sram_blocks += tables + 2 * counters;
    x->out->map_rams += 2 * counters;
}

/* --- the parts of the program --------------------------------------------------------------------- */

static bool reads_gap(uint32_t id)
{
    return id == DUNE_F_GAP_MIN || id == DUNE_F_GAP_MAX || id == DUNE_F_DURATION ||
           (id >= DUNE_F_GAP_2 && id <= DUNE_F_GAP_8);
}

/* What is known before the slot: generation, fields, filter, hashes, rules. */
static void place_front(struct pipeline *x, const struct dune_plan *p, bool rules)
{
    const struct dune_profile *prof = x->prof;
    bool ipv6 = p->parser.ipv6 && prof->parser.ipv6, two = x->generations > 1;
    uint32_t first = two ? 1 : 0, end = 0; /* with two generations their set is a key */
    /* id 32 and index 16 bits per IP version, the tick; the answer of the shim comes after it */
    uint32_t units = (ipv6 ? 2 : 1) * 3 + 2;

    x->out->hash_bits = units * HASH_UNIT_BITS + 3 * 32; /* and three gathered words */
    place_tcam(x, 2, 0);                                 /* generations */
    place_tcam(x, 2 + (ipv6 ? 6 : 0), first);            /* prefixes */
    place_tcam(x, 2 + 1, first);                         /* ports, protocols */
    place_tcam(x, 2, first + 1);                         /* gate */
    add_tables(x, 4 + ipv6, 2);                          /* all but protocols; kinds of shims, fates */
    x->gate = first + 1;
    x->slot = DUNE_MAX(1u + (units > HASH_UNITS), x->gate);
    if (rules)
        end = place_rules(x, prof->rules, RULE_BYTES, first);
    if (rules && ipv6) {
        uint32_t at = place_rules(x, prof->rules_ipv6, RULE_BYTES_IPV6, first);

        end = DUNE_MAX(end, at);
    }
    if (rules)
        x->slot = DUNE_MAX(x->slot, end + 1);
    x->slot += prof->stages > 12; /* with room to spare the compiler spreads the front over one more */
}

static void place_registers(struct pipeline *x, dune_feature_mask used)
{
    uint32_t slot = place_register(x, 64, x->slot), gap = slot, count; /* id and last seen */
    bool gaps = false;

    for (uint32_t id = 0; id < DUNE_N_FEATURES; id++)
        gaps |= (used >> id & 1) && reads_gap(id);
    if (gaps)
        gap = place_register(x, 64, slot + 1); /* last and gap */
    if (gaps)
        place_tcam(x, 1, slot + 1);
    add_tables(x, 1 + 1, 0); /* slot, count */
    count = place_register(x, used >> DUNE_F_COUNT & 1 ? 16 : 8, slot + 1);
    x->ready[DUNE_F_COUNT] = count + 1;
    for (int pass = 0; pass < 2; pass++) /* what depends on the gap comes last */
        for (uint32_t id = 0; id < DUNE_N_FEATURES; id++) {
            uint32_t after = pass ? gap : slot;

            if (!(used >> id & 1) || dune_catalog[id].phase != DUNE_PHASE_FL ||
                id == DUNE_F_COUNT || reads_gap(id) != (pass == 1))
                continue;
            if (dune_catalog[id].kth > 1)
                after = DUNE_MAX(after, count);
            x->ready[id] = place_register(x, dune_catalog[id].bits, after + 1) + 1;
            add_tables(x, 1, 0);
            if ((id >= DUNE_F_SYN_COUNT && id <= DUNE_F_CWR_COUNT) || dune_catalog[id].kth > 1)
                place_tcam(x, 1, x->ready[id] - 1);
        }
}

/* Tables are made for so many rows; a range key takes several entries per row, whatever is in it. */
static uint32_t table_size(uint32_t rows)
{
    uint32_t size = 64;

    while (size < rows)
        size *= 2;
    return size;
}

/* Of all generations, of a feature of more than one bit. */
static uint32_t feature_blocks(const struct pipeline *x, const struct dune_plan_feature *f)
{
    const struct dune_profile *prof = x->prof;
    uint32_t bits = dune_catalog[f->feat].bits, rows = 0, entries;
    bool range = prof->max_range_bits && bits <= prof->max_range_bits && bits >= 8;

    if (!range) {
        rows = dune_range_rows_ternary(f->row, f->n_rows);
        entries = table_size(rows * x->generations);
    } else {
        for (uint32_t r = 0; r < f->n_rows; r++)
            rows += digit_ranges(f->row[r].lo, f->row[r].hi);
        entries = table_size(f->n_rows * x->generations) * DUNE_MIN(2 * div_up(bits, 4) - 1, MAX_RANGE_ENTRIES);
        entries = DUNE_MAX(entries, rows * x->generations);
        bits *= 2; /* a four-bit digit takes eight ternary bits */
    }
    return div_up(bits, prof->tcam_block_bits) * div_up(entries, prof->tcam_block_rows);
}

static dune_feature_mask features_read(const struct dune_plan *p, uint32_t device)
{
    dune_feature_mask used = 0;

    for (uint32_t s = 0; s < p->n_submodels; s++)
        for (uint32_t j = 0; p->sub[s].device == device && j < p->sub[s].n_feats; j++)
            if (!dune_submodel_is_zero(&p->sub[s], j))
                used |= (dune_feature_mask)1 << p->sub[s].feat[j].feat;
    return used;
}

/* Width of a code table's key; a tree of one leaf has another key. */
static uint32_t key_bits(const struct dune_submodel *sm, uint32_t t)
{
    uint32_t bits = 0;

    for (uint32_t j = 0; j < sm->n_feats; j++)
        if (!dune_submodel_is_zero(sm, j))
            bits += sm->feat[j].n_bits[t];
    return DUNE_MAX(bits, 1u);
}

/* Returns the stage after which the sub-model's answer is known. */
static uint32_t place_submodel(struct pipeline *x, const struct dune_submodel *sm)
{
    const struct dune_profile *prof = x->prof;
    uint32_t features = x->slot, code = 0, kind = 0;

    if (sm->mode != DUNE_MODE_PACKET)
        kind = place_tcam(x, 1, x->ready[DUNE_F_COUNT]);
    for (uint32_t j = 0; j < sm->n_feats; j++) {
        const struct dune_plan_feature *f = &sm->feat[j];
        bool hidden = dune_catalog[f->feat].phase == DUNE_PHASE_FL && sm->mode != DUNE_MODE_RUNNING;
        uint32_t first = hidden ? DUNE_MAX(x->ready[f->feat], kind + 1) : x->ready[f->feat], at;

        if (dune_submodel_is_zero(sm, j))
            continue;
        at = dune_catalog[f->feat].bits == 1 ? place_exact(x, first) : place_tcam(x, feature_blocks(x, f), first);
        features = DUNE_MAX(features, at);
    }
    for (uint32_t t = 0; t < sm->n_trees; t++) {
        uint32_t width = div_up(key_bits(sm, t), prof->tcam_block_bits);
        uint32_t rows = div_up(table_size(sm->tree[t].n_leaves * x->generations), prof->tcam_block_rows);
        uint32_t at = place_wide(x, width * rows, width, features + 1);

        code = DUNE_MAX(code, at);
    }
    add_tables(x, sm->n_feats + sm->n_trees + 2, 0); /* kind, stored */
    if (sm->n_trees == 1)
        return code;
    /* differences, winner tables with the first sum, the second sum, the word */
    x->vote_stages = sm->n_trees > 2 ? 4 : 3;
    place_tcam(x, 2 * div_up(8u * sm->n_trees * (sm->n_trees - 1), prof->tcam_block_bits), code + 2);
    place_tcam(x, 1, code + x->vote_stages);
    return code + x->vote_stages;
}

/* The claim of a sub-model only computes, and so do every second stage of a vote and what is left over. */
static uint32_t latency(const struct pipeline *x, uint32_t stages, uint32_t submodels)
{
    uint32_t compute = DUNE_MIN(stages, submodels + x->vote_stages / 2), all = DUNE_MAX(stages, x->prof->stages);
    uint32_t cycles = (stages - compute) * CYCLES + (compute + all - stages) * CYCLES_COMPUTE;

    for (uint32_t s = 0; s < stages && s < MAX_STAGES; s++)
        cycles += x->alu[s] ? CYCLES_STATEFUL : 0;
    return cycles;
}

void dune_pipeline_estimate(const struct dune_plan *p, uint32_t device, const struct dune_profile *prof,
                            uint32_t generations, uint32_t slots, struct dune_resources *out)
{
    struct pipeline x = {.prof = prof, .out = out, .generations = generations, .slots = slots};
    bool stateful = false, bars = p->claim == DUNE_CLAIM_FIRST || p->early_exit <= 255;
    uint32_t last, n = 0;

    for (uint32_t s = 0; s < p->n_submodels; s++)
        stateful |= p->sub[s].device == device && p->sub[s].mode != DUNE_MODE_PACKET;
    if (slots > MAX_SLOTS)
        dune_resources_refuse(out, "%u x %u slots, an index reaches %u", generations, p->slots, MAX_SLOTS);
    place_front(&x, p, out->submodels > 0 && prof->rules > 0);
    last = x.slot;
    for (uint32_t id = 0; id < DUNE_N_FEATURES; id++)
        x.ready[id] = 1;
    if (stateful)
        place_registers(&x, features_read(p, device));
    for (uint32_t s = 0; s < p->n_submodels; s++) {
        uint32_t at;

        if (p->sub[s].device != device)
            continue;
        at = place_submodel(&x, &p->sub[s]) + 1;
        if (p->sub[s].mode != DUNE_MODE_PACKET)
            at = place_register(&x, 32, at); /* stored answer */
        last = place_tcam(&x, 1, DUNE_MAX(last, at) + 1); /* claim */
        add_tables(&x, 1, 0);
        if (++n == out->submodels || bars) {
            last = place_tcam(&x, 2, last + 1); /* verdict */
            add_tables(&x, 1, 0);
        }
    }
    last += stateful ? 1 : 2; /* shim, actions, digest register; without registers the compiler spreads them over one more */
    if (stateful) {
        place_tcam(&x, 1, last); /* is it due? */
        add_tables(&x, 1, 0);
        last = place_register(&x, 32, last) + 1; /* then the kind of digest */
    }
    out->stages = last + 1;                      /* they count from 0 */
    out->latency_cycles = latency(&x, out->stages, n);
    if (out->tcam_blocks > prof->tcam_blocks)
        dune_resources_refuse(out, "%u TCAM blocks, there are %u", out->tcam_blocks, prof->tcam_blocks);
    if (out->sram_blocks > prof->sram_blocks)
        dune_resources_refuse(out, "%u SRAM blocks, there are %u", out->sram_blocks, prof->sram_blocks);
    if (out->stages > prof->stages)
        dune_resources_refuse(out, "%u stages, there are %u", out->stages, prof->stages);
}
