/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What a device's share of a plan costs, in three currencies (docs/resources.md): the published
 * accounting, rows and blocks and stages of a switch pipeline, bytes of a software engine.
 *
 * The stages of a switch pipeline are pipeline.c.
 */
#include "plan/plan_int.h"

#include <string.h>

#define SLOT_BYTES 24          /* software: id, last seen, count */
#define LEAF_BYTES 4

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

static uint32_t div_up(uint64_t a, uint64_t b)
{
    return (uint32_t)((a + b - 1) / b);
}

void dune_resources_refuse(struct dune_resources *out, const char *fmt, ...)
{
    va_list ap;

    if (!out->fits)
        return;
    out->fits = false;
    va_start(ap, fmt);
    vsnprintf(out->why, sizeof(out->why), fmt, ap);
    va_end(ap);
}

/* --- what needs no pipeline ----------------------------------------------------------------------
 */

static void check_settings(const struct dune_plan *p, const struct dune_profile *prof,
                           struct dune_resources *out)
{
    const struct dune_parser_limits *have = &prof->parser, *want = &p->parser;

    if (p->claim == DUNE_CLAIM_VOTES && !(prof->targets & DUNE_ON_REF))
        dune_resources_refuse(out, "claim rule 'votes' runs in the reference engine only");
    if (prof->hash == DUNE_HASH_CRC && p->hash != DUNE_HASH_CRC)
        dune_resources_refuse(out, "hash siphash; this profile computes crc only");
    if (prof->max_ways && p->ways > prof->max_ways)
        dune_resources_refuse(out, "%u ways, at most %u", p->ways, prof->max_ways);
    if (prof->slots && p->slots > prof->slots)
        dune_resources_refuse(out, "%u slots, at most %u", p->slots, prof->slots);
    if (prof->max_timeout && (p->timeout > prof->max_timeout))
        dune_resources_refuse(out, "time-out above %llu ticks", (unsigned long long)prof->max_timeout);
    if (want->max_vlan > have->max_vlan || want->max_ipv4_options > have->max_ipv4_options ||
        want->max_ipv6_ext > have->max_ipv6_ext ||
        (want->max_ipv6_ext && want->max_ipv6_ext_len > have->max_ipv6_ext_len) ||
        (want->ipv6 && !have->ipv6))
        dune_resources_refuse(out, "parser limits wider than the profile's");
}

static void check_submodel(const struct dune_submodel *sm, const struct dune_profile *prof,
                           struct dune_resources *out)
{
    for (uint32_t j = 0; j < sm->n_feats; j++)
        if ((dune_catalog[sm->feat[j].feat].targets & prof->targets) != prof->targets)
            dune_resources_refuse(out, "sub-model %u: feature %s cannot be computed here", sm->id,
                   dune_catalog[sm->feat[j].feat].name);
    if (prof->max_trees && sm->n_trees > prof->max_trees)
        dune_resources_refuse(out, "sub-model %u: %u trees, at most %u", sm->id, sm->n_trees, prof->max_trees);
    for (uint32_t t = 0; t < sm->n_trees; t++)
        if (prof->max_code_bits && sm->tree[t].key_bits > prof->max_code_bits)
            dune_resources_refuse(out, "sub-model %u: code key of %u bits, at most %u", sm->id,
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
        dune_resources_refuse(out, "unknown profile");
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
        slots = DUNE_MIN(slots, 1u << 30);
        dune_pipeline_estimate(p, device, prof, generations, (uint32_t)slots, out);
    }
}
