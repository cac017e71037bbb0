/* SPDX-License-Identifier: Apache-2.0 */
/* The shape of a device's program, and what a target refuses. */
#include "targets/p4/p4_int.h"

#include <string.h>

const char *dune_p4_arch_name(enum dune_p4_arch a)
{
    return a == DUNE_P4_TNA ? "p4-tna" : "p4-v1model";
}

void p4_ident(char out[32], uint8_t feat)
{
    snprintf(out, 32, "%s", dune_catalog[feat].name);
    for (char *p = out; *p; p++)
        if (*p == '.')
            *p = '_';
}

bool p4_uses(const struct p4_shape *s, uint8_t feat)
{
    return s->used >> feat & 1;
}

bool p4_is_register(uint8_t feat)
{
    return dune_catalog[feat].phase == DUNE_PHASE_FL && feat != DUNE_F_COUNT;
}

uint32_t p4_round_up(uint32_t n, uint32_t least)
{
    while (least < n)
        least *= 2;
    return least;
}

/* On v1model words are rounded up, so that a retrained model has room; TCAM keys are as narrow as the
 * model allows. Never more bits than the feature has thresholds. */
static void set_widths(struct p4_feature *f, const struct dune_submodel *sm,
                       const struct dune_plan_feature *pf, enum dune_p4_arch arch)
{
    uint32_t most = 0, max = dune_feature_max(pf->feat);

    f->feat = pf->feat;
    f->rows = f->room = pf->n_rows;
    for (uint32_t t = 0; t < sm->n_trees; t++)
        most = DUNE_MAX(most, pf->n_bits[t]);
    most = (most + 7) / 8 * 8;
    for (uint32_t t = 0; t < sm->n_trees; t++)
        f->bits[t] = arch == DUNE_P4_V1MODEL ? DUNE_MIN(most, max) : pf->n_bits[t];
}

static void add_submodel(struct p4_shape *s, const struct dune_submodel *sm, bool last)
{
    struct p4_sub *out = &s->sub[s->n_sub++];

    out->sm = sm;
    out->last = last;
    out->n_trees = sm->n_trees;
    out->mode = sm->mode;
    out->stores = sm->mode != DUNE_MODE_PACKET;
    for (uint32_t t = 0; t < sm->n_trees; t++)
        out->leaves[t] = sm->tree[t].n_leaves;
    s->state |= out->stores;
    out->n_feats = sm->n_feats;
    for (uint32_t j = 0; j < sm->n_feats; j++) {
        set_widths(&out->feat[j], sm, &sm->feat[j], s->arch);
        out->feat[j].from = (int32_t)j;
        if (s->arch != DUNE_P4_TNA || !dune_submodel_is_zero(sm, j))
            s->used |= (dune_feature_mask)1 << sm->feat[j].feat;
    }
}

static int check_plan(const struct dune_plan *p, const char *dev, struct dune_diag *d)
{
    if (p->claim == DUNE_CLAIM_VOTES)
        return dune_diag_set(d, DUNE_E_INFEASIBLE, NULL,
                             "device %s: claim rule votes runs in the reference engine only", dev);
    if (p->hash != DUNE_HASH_CRC)
        return dune_diag_set(d, DUNE_E_INFEASIBLE, NULL,
                             "device %s: flow_state.hash is siphash, this target computes crc only", dev);
    if (p->syn_timeout)
        return dune_diag_set(d, DUNE_E_INFEASIBLE, NULL, "device %s: flow_state.syn_timeout, this target has one time-out "
                             "for all flows", dev);
    if (p->ways != 1)
        return dune_diag_set(d, DUNE_E_INFEASIBLE, NULL,
                             "device %s: %u ways, a register holds 1", dev, p->ways);
    return 0;
}

static int check_submodel(const struct dune_submodel *sm, const char *dev, enum dune_p4_arch arch,
                          struct dune_diag *d)
{
    uint8_t bit = arch == DUNE_P4_TNA ? DUNE_ON_TNA : DUNE_ON_V1MODEL;

    if (sm->n_trees > DUNE_P4_MAX_TREES)
        return dune_diag_set(d, DUNE_E_INFEASIBLE, NULL,
                             "device %s: sub-model %u has %u trees, the vote table holds at most %d",
                             dev, sm->id, sm->n_trees, DUNE_P4_MAX_TREES);
    for (uint32_t j = 0; j < sm->n_feats; j++)
        if (!(dune_catalog[sm->feat[j].feat].targets & bit))
            return dune_diag_set(d, DUNE_E_INFEASIBLE, NULL,
                                 "device %s: sub-model %u: %s cannot compute feature %s", dev, sm->id,
                                 dune_p4_arch_name(arch), dune_catalog[sm->feat[j].feat].name);
    return 0;
}

/* The profile's own limits: hash, ways, slots, parser, and for a pipeline stages, TCAM and SRAM. */
static int check_profile(const struct p4_shape *s, const char *dev, struct dune_diag *d)
{
    const struct dune_profile *prof = dune_profile_find(s->plan->device[s->device].profile);
    uint8_t bit = s->arch == DUNE_P4_TNA ? DUNE_ON_TNA : DUNE_ON_V1MODEL;
    struct dune_resources r;

    if (!prof || !(prof->targets & bit))
        return dune_diag_set(d, DUNE_E_INFEASIBLE, NULL,
                             "device %s: profile %s is not one of %s; compile the plan for %s", dev,
                             s->plan->device[s->device].profile, dune_p4_arch_name(s->arch),
                             s->arch == DUNE_P4_TNA ? "tofino1 or tofino2" : "bmv2");
    dune_resources_estimate(s->plan, s->device, prof, s->gens, &r);
    if (!r.fits)
        return dune_diag_set(d, DUNE_E_INFEASIBLE, NULL, "device %s: profile %s: %s", dev, prof->name,
                             r.why);
    return 0;
}

/* What the text of a TNA program needs to know beside the tables. */
static void shape_pipe(struct p4_shape *s)
{
    const struct dune_profile *prof = dune_profile_find(s->plan->device[s->device].profile);

    s->chip = prof && prof->stages > 12 ? 2 : 1;
    s->all_slots = s->plan->slots * s->gens;
    for (s->at_bits = 1; 1u << s->at_bits < s->all_slots && s->at_bits < 16; s->at_bits++)
        ;
    if (s->at_bits == 16)
        snprintf(s->at_text, sizeof(s->at_text), "meta.at");
    else
        snprintf(s->at_text, sizeof(s->at_text), "meta.at[%u:0]", s->at_bits - 1);
    snprintf(s->half_text, sizeof(s->half_text), "meta.at[%u:0]", s->at_bits - 2);
    s->rules = s->n_sub > 0 && prof && prof->rules > 0;
}

int p4_shape_make(struct p4_shape *s, const struct dune_plan *p, uint32_t device,
                  enum dune_p4_arch arch, uint32_t generations, struct dune_diag *d)
{
    const char *dev = p->device[device].name;
    int rc = check_plan(p, dev, d);

    memset(s, 0, sizeof(*s));
    s->plan = p;
    s->device = device;
    s->arch = arch;
    s->gens = generations;
    for (uint32_t i = 0; i < p->n_submodels && rc == 0; i++) {
        if (p->sub[i].device != device)
            continue;
        rc = check_submodel(&p->sub[i], dev, arch, d);
        if (rc == 0)
            add_submodel(s, &p->sub[i], i + 1 == p->n_submodels);
    }
    if (rc == 0 && arch == DUNE_P4_TNA)
        shape_pipe(s);
    return rc ? rc : check_profile(s, dev, d);
}

/* --- a retrained model in the program of another one --------------------------------------------------------- */

static int too_much(const struct p4_shape *s, const struct p4_sub *sub, struct dune_diag *d, const char *what,
                    uint32_t has, uint32_t room)
{
    return dune_diag_set(d, DUNE_E_INFEASIBLE, NULL,
                         "device %s: sub-model %u has %u %s, the program has room for %u",
                         s->plan->device[s->device].name, sub->sm->id, has, what, room);
}

static const struct p4_feature *find_feature(const struct p4_sub *sub, uint8_t feat)
{
    for (uint32_t j = 0; j < sub->n_feats; j++)
        if (sub->feat[j].feat == feat)
            return &sub->feat[j];
    return NULL;
}

static int widen_feature(const struct p4_shape *s, const struct p4_sub *sub, const struct p4_feature *f,
                         const struct p4_feature *room, struct dune_diag *d)
{
    const char *name = dune_catalog[f->feat].name;
    uint32_t rows = p4_round_up(2 * room->room, 64) / 2; /* of one generation */
    char text[64];

    snprintf(text, sizeof(text), "range rows of %s", name);
    if (f->rows > rows)
        return too_much(s, sub, d, text, f->rows, rows);
    snprintf(text, sizeof(text), "code-word bits of %s", name);
    for (uint32_t t = 0; t < sub->n_trees; t++)
        if (sub->sm->feat[f->from].n_bits[t] > room->bits[t])
            return too_much(s, sub, d, text,
                            sub->sm->feat[f->from].n_bits[t], room->bits[t]);
    return 0;
}

static int widen_submodel(const struct p4_shape *s, struct p4_sub *sub, const struct p4_sub *room,
                          struct dune_diag *d)
{
    struct p4_sub old = *sub;

    if (sub->n_trees != room->n_trees)
        return too_much(s, sub, d, "trees", sub->n_trees, room->n_trees);
    for (uint32_t t = 0; t < sub->n_trees; t++) {
        uint32_t leaves = p4_round_up(2 * room->leaves[t], 64) / 2;

        if (sub->leaves[t] > leaves)
            return too_much(s, sub, d, "leaves in a tree", sub->leaves[t], leaves);
        sub->leaves[t] = room->leaves[t];
    }
    for (uint32_t j = 0; j < old.n_feats; j++) {
        const struct p4_feature *r = find_feature(room, old.feat[j].feat);
        int rc;

        if (!r)
            return dune_diag_set(d, DUNE_E_INFEASIBLE, NULL,
                                 "device %s: sub-model %u reads %s, the program has no table for it there",
                                 s->plan->device[s->device].name, sub->sm->id,
                                 dune_catalog[old.feat[j].feat].name);
        rc = widen_feature(s, sub, &old.feat[j], r, d);
        if (rc)
            return rc;
    }
    sub->n_feats = room->n_feats;
    for (uint32_t j = 0; j < room->n_feats; j++) {
        const struct p4_feature *own = find_feature(&old, room->feat[j].feat);

        sub->feat[j] = room->feat[j];
        sub->feat[j].from = own ? own->from : -1;
        sub->feat[j].rows = own ? own->rows : 1;
    }
    return 0;
}

int p4_shape_widen(struct p4_shape *s, const struct p4_shape *program, struct dune_diag *d)
{
    int rc = 0;

    if (s->n_sub != program->n_sub)
        return dune_diag_set(d, DUNE_E_INFEASIBLE, NULL, "device %s: %u sub-models, the program has %u",
                             s->plan->device[s->device].name, s->n_sub, program->n_sub);
    for (uint32_t k = 0; k < s->n_sub && rc == 0; k++)
        rc = widen_submodel(s, &s->sub[k], &program->sub[k], d);
    s->used = program->used;
    return rc;
}
