/* SPDX-License-Identifier: Apache-2.0 */
/* Steps 6 to 9 of a device: the sub-models' answers, their combination, settling, class actions. */
#include "targets/ref/ref_int.h"

#include <string.h>

const uint32_t *dune_ref_vector(struct ref_pass *p, bool with_registers)
{
    uint32_t *v = p->vec[with_registers];

    if (!p->vec_made[with_registers]) {
        dune_feature_vector(&p->pkt, with_registers ? &p->slot->regs : NULL, v);
        p->vec_made[with_registers] = true;
    }
    return v;
}

static bool is_final(const struct ref_pass *p)
{
    return p->shim.flags & DUNE_SHIM_FINAL;
}

static const struct dune_submodel *submodel(const struct ref_pass *p, uint32_t k)
{
    return &p->gen->plan->sub[p->gen->sub[k]];
}

/* Without state the count is 0. */
static uint64_t count(const struct ref_pass *p)
{
    return p->slot ? p->slot->regs.count : 0;
}

/* --- step 6: the answer of sub-model k ------------------------------------------------------------- */

static enum dune_answer_kind kind_of(const struct ref_pass *p, const struct dune_submodel *sm)
{
    uint64_t n = count(p);

    if (sm->mode == DUNE_MODE_PACKET)
        return DUNE_ANSWER_PL;
    if (n > sm->n)
        return DUNE_ANSWER_STORED;
    if (n == sm->n)
        return DUNE_ANSWER_FL;
    return sm->mode == DUNE_MODE_FLOW ? DUNE_ANSWER_NONE : DUNE_ANSWER_PL;
}

/* Do packets of this kind see the registers? PL packets only in mode running, and never without state. */
static bool sees_registers(const struct ref_pass *p, const struct dune_submodel *sm,
                           enum dune_answer_kind kind)
{
    return kind == DUNE_ANSWER_FL || (p->slot && sm->mode == DUNE_MODE_RUNNING);
}

static struct dune_sub_answer ask(struct ref_pass *p, uint32_t k, enum dune_answer_kind kind)
{
    const struct dune_submodel *sm = submodel(p, k);
    struct dune_sub_answer *stored = p->slot ? &ref_stored(&p->gen->tab, p->slot)[k] : NULL;
    struct dune_sub_answer a;
    const uint32_t *x;

    if (kind == DUNE_ANSWER_STORED)
        return *stored;
    x = dune_ref_vector(p, sees_registers(p, sm, kind));
    a = dune_ref_match_answer(&p->gen->match[k], x);
    if (p->dev->answer_fn && !p->collision)
        p->dev->answer_fn(p->dev->answer_ctx, p->gen->plan, p->gen->sub[k], x, &a);
    if (kind == DUNE_ANSWER_FL)
        *stored = a;
    return a;
}

/* A final claim spares inference, except for the answer that later packets need as the stored one. */
static struct dune_sub_answer step6_answer(struct ref_pass *p, uint32_t k, enum dune_answer_kind *kind)
{
    struct dune_counters *c = &p->dev->count;
    struct dune_sub_answer a = {0};

    *kind = kind_of(p, submodel(p, k));
    if (is_final(p) && *kind != DUNE_ANSWER_FL)
        *kind = DUNE_ANSWER_NONE;
    if (*kind == DUNE_ANSWER_NONE)
        return a;
    if (p->gen->plan->claim == DUNE_CLAIM_VOTES)
        dune_ref_votes_add(p, k, *kind);
    else
        a = ask(p, k, *kind);
    c->answers_pl += *kind == DUNE_ANSWER_PL;
    c->answers_fl += *kind == DUNE_ANSWER_FL;
    c->answers_stored += *kind == DUNE_ANSWER_STORED;
    c->claims += a.claim;
    return a;
}

/* --- step 7: combining ------------------------------------------------------------------------------- */

static uint16_t min_confidence(const struct dune_plan *plan, uint8_t cls)
{
    return cls >= 1 && cls <= plan->n_classes ? plan->cls[cls - 1].min_confidence : 0;
}

static void make_final(struct ref_pass *p)
{
    p->shim.flags |= DUNE_SHIM_FINAL;
    p->trace->became_final = true;
    p->dev->count.finals++;
    p->dev->count.settled += (p->shim.flags & DUNE_SHIM_SETTLED) != 0;
}

static void carry(struct ref_pass *p, uint8_t id, const struct dune_sub_answer *a,
                  enum dune_answer_kind kind)
{
    p->shim.cls = a->cls;
    p->shim.conf = a->conf;
    p->shim.submodel = id;
    p->shim.flags &= (uint8_t)~(DUNE_SHIM_TENTATIVE | DUNE_SHIM_FL);
    p->shim.flags |= a->claim ? 0 : DUNE_SHIM_TENTATIVE;
    p->shim.flags |= kind == DUNE_ANSWER_PL ? 0 : DUNE_SHIM_FL;
}

/* Claims outrank tentative answers, then higher confidence, then the lower sub-model id. */
static bool outranks(const struct dune_sub_answer *a, uint8_t id, const struct dune_shim *carried)
{
    bool carried_claim = !(carried->flags & DUNE_SHIM_TENTATIVE);

    if (carried->cls == 0)
        return true;
    if (a->claim != carried_claim)
        return a->claim;
    if (a->conf != carried->conf)
        return a->conf > carried->conf;
    return id < carried->submodel;
}

static void combine_first(struct ref_pass *p, uint8_t id, const struct dune_sub_answer *a,
                          enum dune_answer_kind kind)
{
    if (!a->claim)
        return;
    carry(p, id, a, kind);
    make_final(p);
}

static void combine_best(struct ref_pass *p, uint8_t id, const struct dune_sub_answer *a,
                         enum dune_answer_kind kind)
{
    const struct dune_plan *plan = p->gen->plan;
    uint16_t bar;

    if (a->cls && outranks(a, id, &p->shim))
        carry(p, id, a, kind);
    if (p->shim.cls == 0 || p->shim.flags & DUNE_SHIM_TENTATIVE)
        return;
    bar = DUNE_MAX(plan->early_exit, min_confidence(plan, p->shim.cls));
    if (p->shim.conf >= bar)
        make_final(p);
}

static void step7_combine(struct ref_pass *p, uint32_t k, const struct dune_sub_answer *a,
                          enum dune_answer_kind kind)
{
    uint8_t id = submodel(p, k)->id;

    if (p->gen->plan->claim == DUNE_CLAIM_FIRST)
        combine_first(p, id, a, kind);
    else if (p->gen->plan->claim == DUNE_CLAIM_BEST)
        combine_best(p, id, a, kind);
}

/* After the last sub-model of the chain the carried answer becomes final. What falls short becomes
 * class 0; sub-model, confidence and phase go on telling whose answer it was. */
static void step7_finish(struct ref_pass *p)
{
    const struct dune_plan *plan = p->gen->plan;
    bool tentative = p->shim.flags & DUNE_SHIM_TENTATIVE;

    if (plan->claim == DUNE_CLAIM_VOTES)
        dune_ref_votes_decide(p);
    if (p->shim.conf < min_confidence(plan, p->shim.cls) ||
        (tentative && (plan->fallback != DUNE_FALLBACK_BEST || plan->claim != DUNE_CLAIM_BEST))) {
        p->shim.cls = 0;
        p->shim.flags &= (uint8_t)~DUNE_SHIM_TENTATIVE;
    }
    make_final(p);
}

/* --- step 8: settled ----------------------------------------------------------------------------------- */

/* Could a later packet of the flow get another answer from this sub-model? Then the flag goes. */
static void step8_settle(struct ref_pass *p, const struct dune_submodel *sm)
{
    if (sm->mode == DUNE_MODE_PACKET || p->collision || count(p) < sm->n)
        p->shim.flags &= (uint8_t)~DUNE_SHIM_SETTLED;
}

static void note_answer(struct ref_pass *p, uint32_t k, const struct dune_sub_answer *a,
                        enum dune_answer_kind kind, bool combined)
{
    p->trace->answer[p->trace->n_answers++] = (struct dune_trace_answer){
        .submodel = submodel(p, k)->id, .kind = (uint8_t)kind, .claim = a->claim,
        .combined = combined, .cls = a->cls, .conf = a->conf,
    };
}

void dune_ref_step_answers(struct ref_pass *p)
{
    uint32_t last = p->gen->plan->n_submodels - 1;

    for (uint32_t k = 0; k < p->gen->n_sub; k++) {
        bool open = !is_final(p);
        enum dune_answer_kind kind;
        struct dune_sub_answer a = step6_answer(p, k, &kind);

        note_answer(p, k, &a, kind, open && kind != DUNE_ANSWER_NONE);
        if (!open)
            continue;
        step8_settle(p, submodel(p, k));
        if (kind != DUNE_ANSWER_NONE)
            step7_combine(p, k, &a, kind);
        if (!is_final(p) && p->gen->sub[k] == last)
            step7_finish(p);
    }
}

/* --- step 9: class actions ------------------------------------------------------------------------------ */

/* The final claim in a shim, or NULL: tentative and unclaimed packets get no action. */
static const struct dune_plan_class *claim_of(const struct dune_plan *plan, const struct dune_shim *s)
{
    if (!(s->flags & DUNE_SHIM_FINAL) || s->flags & DUNE_SHIM_TENTATIVE || s->cls == 0 ||
        s->cls > plan->n_classes)
        return NULL;
    return &plan->cls[s->cls - 1];
}

/* Is this a verdict that drop and mirror act on? They do so on the device where it becomes one. */
static bool acts(const struct dune_plan *plan, const struct dune_shim *s)
{
    const struct dune_plan_class *c = claim_of(plan, s);

    return c && (c->action == DUNE_ACTION_DROP || c->action == DUNE_ACTION_MIRROR) &&
           (c->action_any || s->flags & DUNE_SHIM_SETTLED);
}

static void mark_ipv4(uint8_t *ip, uint8_t tos)
{
    /* RFC 1624: HC' = ~(~HC + ~m + m'), m being the 16-bit word that holds the TOS byte. */
    uint32_t old = (uint32_t)(ip[0] << 8 | ip[1]), new = (uint32_t)(ip[0] << 8 | tos);
    uint32_t sum = (~(uint32_t)(ip[10] << 8 | ip[11]) & 0xffff) + (~old & 0xffff) + new;

    sum = (sum & 0xffff) + (sum >> 16);
    sum = ~((sum & 0xffff) + (sum >> 16)) & 0xffff;
    ip[1] = tos;
    ip[10] = (uint8_t)(sum >> 8);
    ip[11] = (uint8_t)sum;
}

/* The ECN bits stay. */
static void mark(struct ref_pass *p, uint32_t dscp)
{
    uint8_t *ip = p->frame + p->pkt.l3_off;
    uint8_t tos = (uint8_t)((dscp & 0x3f) << 2 | (p->pkt.tos & 3));

    if (p->pkt.is_ipv6) {
        ip[0] = (uint8_t)((ip[0] & 0xf0) | tos >> 4);
        ip[1] = (uint8_t)(tos << 4 | (ip[1] & 0x0f));
    } else if (tos != p->pkt.tos) {
        mark_ipv4(ip, tos);
    }
    p->dev->count.marked++;
}

static void act_at_last_device(struct ref_pass *p, const struct dune_plan_class *c)
{
    if (c->action == DUNE_ACTION_MARK) {
        mark(p, c->action_arg);
    } else if (c->action == DUNE_ACTION_STEER) {
        p->trace->steer_port = c->action_arg;
        p->dev->count.steered++;
    }
}

bool dune_ref_step_act(struct ref_pass *p)
{
    const struct dune_plan *plan = p->gen ? p->gen->plan : NULL;
    const struct dune_plan_class *c;

    if (!p->has_shim || !plan || p->pkt.reason != DUNE_REASON_OK)
        return true;
    c = claim_of(plan, &p->shim);
    if (c && p->dev->index + 1u == plan->n_devices)
        act_at_last_device(p, c);
    if (!acts(plan, &p->shim) || acts(plan, &p->arrived))
        return true;
    if (c->action == DUNE_ACTION_DROP)
        return false;
    p->trace->mirrored = true;
    p->trace->mirror_port = c->action_arg;
    p->dev->count.mirrored++;
    return true;
}
