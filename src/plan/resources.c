/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What a device's share of a plan costs, in three currencies (docs/resources.md): the published
 * accounting, rows and blocks and stages of a switch pipeline, bytes of a software engine.
 *
 * The pipeline part places registers and tables stage by stage as the data dependencies allow:
 *
 *   tick . rules . slot . last/gap . registers ... feature tables . code tables . vote ... stored
 *   answers . best claim, one stage per sub-model . write back . strip
 *
 * Its constants reproduce the programs that were compiled (tests/unit/plan/test_resources.c).
 */
#include "plan/plan_int.h"

#include <string.h>

#define MAX_STAGES 96
#define STAGE_RULES 1
#define STAGE_SLOT 2
#define BASE_TCAM 8      /* parser outcome, slot cases, class actions ... */
#define SPARE_MAP_RAMS 6 /* of a stage; compilers do not fill the last ones */
#define RULE_BYTES 20    /* SRAM per IPv4 rule: key, action, overhead */
#define RULE_BYTES_IPV6 56
#define RULES_PER_MAP_RAM 1820 /* idle time-out bits */
#define SLOT_BYTES 24          /* software: id, last seen, count */
#define LEAF_BYTES 4

struct pipeline {
    const struct dune_profile *prof;
    struct dune_resources *out;
    uint32_t slots, generations;
    uint32_t map[MAX_STAGES], alu[MAX_STAGES], tcam[MAX_STAGES];
    uint32_t ready[DUNE_N_FEATURES]; /* first stage that can read the feature */
    uint32_t shift;                  /* stages the IPv6 rules add */
};

const struct dune_profile *dune_profile_at(size_t i)
{
    return i < dune_n_profiles ? &dune_profiles[i] : NULL;
}

const struct dune_profile *dune_profile_find(const char *name)
{
    for (size_t i = 0; i < dune_n_profiles; i++)
        if (strcmp(dune_profiles[i].name, name) == 0)
            return &dune_profiles[i];
    return NULL;
}

uint32_t dune_published_blocks(const uint8_t *feats, uint32_t n_feats, uint32_t max_leaves,
                               uint32_t trees)
{
    uint32_t blocks = (max_leaves / 44 + 1) * trees;

    for (uint32_t j = 0; j < n_feats; j++)
        blocks += 2u * dune_catalog[feats[j]].pub_bits / 44 + 1;
    return blocks;
}

/*
 * [0, hi] is cut into aligned blocks of falling size from 0 upward, one per set bit of hi + 1.
 * Those below lo are already taken by earlier rows.
 */
static uint32_t prefixes(uint32_t lo, uint32_t hi)
{
    uint64_t end = (uint64_t)hi + 1, start = 0;
    uint32_t n = 0;

    for (int bit = 32; bit >= 0; bit--) {
        uint64_t size = UINT64_C(1) << bit;

        if (!(end & size))
            continue;
        start += size;
        n += start > lo;
    }
    return n;
}

uint32_t dune_range_rows_ternary(const struct dune_range_row *row, uint32_t n_rows)
{
    uint32_t n = 0;

    for (uint32_t r = 0; r < n_rows; r++)
        n += prefixes(row[r].lo, row[r].hi);
    return n;
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

static uint32_t div_up(uint64_t a, uint64_t b)
{
    return (uint32_t)((a + b - 1) / b);
}

DUNE_PRINTF(2, 3) static void refuse(struct dune_resources *out, const char *fmt, ...)
{
    va_list ap;

    if (!out->fits)
        return;
    out->fits = false;
    va_start(ap, fmt);
    vsnprintf(out->why, sizeof(out->why), fmt, ap);
    va_end(ap);
}

/* --- the pipeline -------------------------------------------------------------------------------
 */

static uint32_t place_part(struct pipeline *x, uint32_t rams, uint32_t room, uint32_t earliest)
{
    uint32_t s = earliest;

    while (s + 1 < MAX_STAGES &&
           (x->map[s] + rams > room || x->alu[s] >= x->prof->stateful_alus_per_stage))
        s++;
    x->map[s] += rams;
    x->alu[s]++;
    x->out->map_rams += rams;
    x->out->sram_blocks += rams;
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
            refuse(x->out, "a register of %u x %u bits is too large", x->slots, bits);
            return earliest;
        }
    }
    for (uint32_t i = 0; i < parts; i++) {
        uint32_t at = place_part(x, rams, room, earliest);

        last = DUNE_MAX(last, at);
    }
    return last;
}

static uint32_t place_tcam(struct pipeline *x, uint32_t blocks, uint32_t earliest)
{
    uint32_t room = x->prof->tcam_blocks / x->prof->stages, s = earliest;

    x->out->tcam_blocks += blocks;
    if (blocks > room) {
        refuse(x->out, "a table needs %u TCAM blocks, a stage has %u", blocks, room);
        return earliest;
    }
    while (s + 1 < MAX_STAGES && x->tcam[s] + blocks > room)
        s++;
    x->tcam[s] += blocks;
    return s;
}

static bool reads_gap(uint32_t id)
{
    return id == DUNE_F_GAP_MIN || id == DUNE_F_GAP_MAX ||
           (id >= DUNE_F_GAP_2 && id <= DUNE_F_GAP_8);
}

static void place_registers(struct pipeline *x, dune_feature_mask used)
{
    uint32_t slot = place_register(x, 64, STAGE_SLOT + x->shift), gap = slot; /* id and last seen */
    bool gaps = false;

    for (uint32_t id = 0; id < DUNE_N_FEATURES; id++)
        gaps |= (used >> id & 1) && reads_gap(id);
    if (gaps)
        gap = place_register(x, 64, slot + 1); /* last and gap */
    x->ready[DUNE_F_COUNT] = place_register(x, used >> DUNE_F_COUNT & 1 ? 16 : 8, slot + 1) + 1;
    for (int pass = 0; pass < 2; pass++) /* what depends on the gap comes last */
        for (uint32_t id = 0; id < DUNE_N_FEATURES; id++) {
            if (!(used >> id & 1) || dune_catalog[id].phase != DUNE_PHASE_FL ||
                id == DUNE_F_COUNT || reads_gap(id) != (pass == 1))
                continue;
            x->ready[id] = place_register(x, dune_catalog[id].bits, (pass ? gap : slot) + 1) + 1;
        }
}

static uint32_t feature_blocks(const struct dune_profile *prof, const struct dune_plan_feature *f)
{
    uint32_t bits = dune_catalog[f->feat].bits, rows = 0;

    if (prof->max_range_bits && bits > prof->max_range_bits)
        rows = dune_range_rows_ternary(f->row, f->n_rows);
    else
        for (uint32_t r = 0; r < f->n_rows; r++)
            rows += digit_ranges(f->row[r].lo, f->row[r].hi);
    if (!prof->max_range_bits || bits <= prof->max_range_bits)
        bits *= 2; /* a four-bit digit takes eight ternary bits */
    return div_up(bits, prof->tcam_block_bits) * div_up(rows, prof->tcam_block_rows);
}

/* Returns the stage after which the sub-model's answer is known. */
static uint32_t place_submodel(struct pipeline *x, const struct dune_submodel *sm)
{
    const struct dune_profile *prof = x->prof;
    uint32_t features = STAGE_RULES, code = 0;

    for (uint32_t g = 0; g < x->generations; g++) {
        for (uint32_t j = 0; j < sm->n_feats; j++) {
            const struct dune_plan_feature *f = &sm->feat[j];
            uint32_t at = place_tcam(x, feature_blocks(prof, f), x->ready[f->feat]);

            features = DUNE_MAX(features, at);
        }
    }
    /* Written so that tables of both generations read the same features: code follows all of them.
     */
    for (uint32_t g = 0; g < x->generations; g++)
        for (uint32_t t = 0; t < sm->n_trees; t++) {
            const struct dune_plan_tree *tr = &sm->tree[t];
            uint32_t blocks = div_up(tr->key_bits, prof->tcam_block_bits) *
                              div_up(tr->n_leaves, prof->tcam_block_rows);
            uint32_t at = place_tcam(x, blocks, features + 1);

            code = DUNE_MAX(code, at);
        }
    if (sm->n_trees > 1) {
        x->out->tcam_blocks += 2 * (sm->n_trees - 1);
        code += 2 * sm->n_trees - 1;
    }
    return code;
}

static void place_rules(struct pipeline *x, bool ipv6)
{
    const struct dune_profile *prof = x->prof;
    uint32_t rams = div_up(prof->rules, RULES_PER_MAP_RAM);

    x->out->sram_blocks += div_up((uint64_t)prof->rules * RULE_BYTES, prof->sram_block_bytes);
    x->out->map_rams += rams;
    x->map[STAGE_RULES] += rams;
    if (!ipv6)
        return;
    x->shift = 1;
    x->out->sram_blocks +=
        div_up((uint64_t)prof->rules_ipv6 * RULE_BYTES_IPV6, prof->sram_block_bytes);
}

static void estimate_pipeline(const struct dune_plan *p, uint32_t device, dune_feature_mask used,
                              struct pipeline *x)
{
    struct dune_resources *out = x->out;
    uint32_t last = STAGE_SLOT;
    bool stateful = false;

    for (uint32_t s = 0; s < p->n_submodels; s++)
        stateful |= p->sub[s].device == device && p->sub[s].mode != DUNE_MODE_PACKET;
    place_rules(x, p->parser.ipv6 && x->prof->parser.ipv6);
    for (uint32_t id = 0; id < DUNE_N_FEATURES; id++)
        x->ready[id] = STAGE_RULES;
    if (stateful)
        place_registers(x, used);
    out->tcam_blocks += BASE_TCAM;
    for (uint32_t s = 0; s < p->n_submodels; s++) {
        uint32_t at;

        if (p->sub[s].device != device)
            continue;
        at = place_submodel(x, &p->sub[s]) + 1;
        if (stateful)
            at = place_register(x, 32, at); /* stored answer */
        last = DUNE_MAX(last, at);
    }
    last += out->submodels + 1; /* best claim, then write back with the digest register */
    if (stateful)
        last = place_register(x, 32, last);
    out->stages =
        last + 2 + (x->generations > 1); /* strip, choice of tables; stages count from 0 */
}

static void check_pipeline(const struct dune_profile *prof, struct dune_resources *out)
{
    if (out->tcam_blocks > prof->tcam_blocks)
        refuse(out, "%u TCAM blocks, there are %u", out->tcam_blocks, prof->tcam_blocks);
    if (out->sram_blocks > prof->sram_blocks)
        refuse(out, "%u SRAM blocks, there are %u", out->sram_blocks, prof->sram_blocks);
    if (out->stages > prof->stages)
        refuse(out, "%u stages, there are %u", out->stages, prof->stages);
}

/* --- what needs no pipeline ----------------------------------------------------------------------
 */

static void check_settings(const struct dune_plan *p, const struct dune_profile *prof,
                           struct dune_resources *out)
{
    const struct dune_parser_limits *have = &prof->parser, *want = &p->parser;

    if (p->claim == DUNE_CLAIM_VOTES && !(prof->targets & DUNE_ON_REF))
        refuse(out, "claim rule 'votes' runs in the reference engine only");
    if (prof->hash == DUNE_HASH_CRC && p->hash != DUNE_HASH_CRC)
        refuse(out, "hash siphash; this profile computes crc only");
    if (prof->max_ways && p->ways > prof->max_ways)
        refuse(out, "%u ways, at most %u", p->ways, prof->max_ways);
    if (prof->slots && p->slots > prof->slots)
        refuse(out, "%u slots, at most %u", p->slots, prof->slots);
    if (prof->max_timeout && (p->timeout > prof->max_timeout))
        refuse(out, "time-out above %llu ticks", (unsigned long long)prof->max_timeout);
    if (want->max_vlan > have->max_vlan || want->max_ipv4_options > have->max_ipv4_options ||
        want->max_ipv6_ext > have->max_ipv6_ext ||
        (want->max_ipv6_ext && want->max_ipv6_ext_len > have->max_ipv6_ext_len) ||
        (want->ipv6 && !have->ipv6))
        refuse(out, "parser limits wider than the profile's");
}

static void check_submodel(const struct dune_submodel *sm, const struct dune_profile *prof,
                           struct dune_resources *out)
{
    for (uint32_t j = 0; j < sm->n_feats; j++)
        if ((dune_catalog[sm->feat[j].feat].targets & prof->targets) != prof->targets)
            refuse(out, "sub-model %u: feature %s cannot be computed here", sm->id,
                   dune_catalog[sm->feat[j].feat].name);
    if (prof->max_trees && sm->n_trees > prof->max_trees)
        refuse(out, "sub-model %u: %u trees, at most %u", sm->id, sm->n_trees, prof->max_trees);
    for (uint32_t t = 0; t < sm->n_trees; t++)
        if (prof->max_code_bits && sm->tree[t].key_bits > prof->max_code_bits)
            refuse(out, "sub-model %u: code key of %u bits, at most %u", sm->id,
                   sm->tree[t].key_bits, prof->max_code_bits);
}

static uint32_t count_vote_rows(const struct dune_submodel *sm)
{
    uint64_t rows = 1;

    for (uint32_t t = 0; t < sm->n_trees && rows < UINT32_MAX; t++)
        rows *= sm->n_classes + 1;
    return sm->n_trees > 1 ? (uint32_t)DUNE_MIN(rows, UINT32_MAX) : 0;
}

static void count_submodel(const struct dune_submodel *sm, struct dune_resources *out)
{
    uint8_t feats[DUNE_N_FEATURES];
    uint32_t most = 0, votes = count_vote_rows(sm);

    out->submodels++;
    out->trees = DUNE_MAX(out->trees, sm->n_trees);
    for (uint32_t j = 0; j < sm->n_feats; j++) {
        feats[j] = sm->feat[j].feat;
        out->range_rows += sm->feat[j].n_rows;
        out->range_as_ternary_rows += dune_range_rows_ternary(sm->feat[j].row, sm->feat[j].n_rows);
    }
    for (uint32_t t = 0; t < sm->n_trees; t++) {
        const struct dune_plan_tree *tr = &sm->tree[t];

        most = DUNE_MAX(most, tr->n_leaves);
        out->leaves += tr->n_leaves;
        out->ternary_rows += tr->n_leaves;
        out->code_bits = DUNE_MAX(out->code_bits, tr->key_bits);
        out->software_bytes +=
            (uint64_t)tr->n_nodes * sizeof(struct dune_node) + (uint64_t)tr->n_leaves * LEAF_BYTES;
    }
    out->vote_rows = votes > UINT32_MAX - out->vote_rows ? UINT32_MAX : out->vote_rows + votes;
    out->published_blocks += dune_published_blocks(feats, sm->n_feats, most, sm->n_trees);
}

/* Bits one slot needs for the features in use, the stored answers and its own keeping. */
static uint32_t slot_bits(dune_feature_mask used, uint32_t n_submodels)
{
    uint32_t bits = 8 * SLOT_BYTES + 32 * n_submodels;

    for (uint32_t id = 0; id < DUNE_N_FEATURES; id++)
        if ((used >> id & 1) && dune_catalog[id].phase == DUNE_PHASE_FL && id != DUNE_F_COUNT)
            bits += dune_catalog[id].bits;
    return bits;
}

void dune_resources_estimate(const struct dune_plan *p, uint32_t device,
                             const struct dune_profile *prof, uint32_t generations,
                             struct dune_resources *out)
{
    struct dune_use use = {0};
    uint64_t slots = (uint64_t)p->slots * p->ways * generations;

    memset(out, 0, sizeof(*out));
    out->fits = true;
    prof = prof ? prof : dune_profile_find(p->device[device].profile);
    if (!prof) {
        refuse(out, "unknown profile");
        return;
    }
    check_settings(p, prof, out);
    for (uint32_t s = 0; s < p->n_submodels; s++) {
        if (p->sub[s].device != device)
            continue;
        dune_use_add(&use, &p->sub[s]);
        count_submodel(&p->sub[s], out);
        check_submodel(&p->sub[s], prof, out);
    }
    out->features_distinct = dune_use_features(&use);
    out->published_share = (double)out->published_blocks / DUNE_PUBLISHED_BLOCKS;
    out->register_bits = slots * slot_bits(use.features, out->submodels);
    out->software_bytes += slots * div_up(slot_bits(use.features, out->submodels), 8);
    if (prof->stages) {
        struct pipeline x = {.prof = prof,
                             .out = out,
                             .generations = generations,
                             .slots = (uint32_t)DUNE_MIN(slots, 1u << 30)};

        estimate_pipeline(p, device, use.features, &x);
        check_pipeline(prof, out);
    }
}
