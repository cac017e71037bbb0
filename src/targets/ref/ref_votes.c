/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Claim rule votes: one large forest spread over the devices. Every tree of every sub-model adds the
 * confidence of its leaf to the counter of the leaf's class (a leaf Other adds nothing). The last
 * device answers the class with the largest sum, on a tie the lower class id.
 */
#include "targets/ref/ref_int.h"

#include <string.h>

static void add_leaf(struct dune_ballot *b, const struct dune_plan_leaf *leaf)
{
    if (leaf->cls == 0 || leaf->cls == DUNE_PLAN_OTHER)
        return;
    b->votes[leaf->cls]++;
    b->conf[leaf->cls] += leaf->conf;
}

/* What the sub-model alone would have answered, for those who watch answers. */
static void tell(struct ref_pass *p, uint32_t k, const struct dune_plan_leaf *const *leaf, bool regs)
{
    struct dune_sub_answer a;

    if (!p->dev->answer_fn || p->collision)
        return;
    a = dune_plan_vote(leaf, p->gen->plan->sub[p->gen->sub[k]].n_trees);
    p->dev->answer_fn(p->dev->answer_ctx, p->gen->plan, p->gen->sub[k], dune_ref_vector(p, regs), &a);
}

void dune_ref_votes_add(struct ref_pass *p, uint32_t k, enum dune_answer_kind kind)
{
    const struct dune_submodel *sm = &p->gen->plan->sub[p->gen->sub[k]];
    const struct dune_plan_leaf *fresh[DUNE_MAX_TREES], **leaf = fresh;
    struct dune_ballot *b = p->in->ballot;

    if (kind != DUNE_ANSWER_PL)
        leaf = ref_leaves(&p->gen->tab, p->slot) + p->gen->tree0[k];
    if (kind != DUNE_ANSWER_STORED) {
        bool regs = kind == DUNE_ANSWER_FL || (p->slot && sm->mode == DUNE_MODE_RUNNING);

        dune_ref_match_leaves(&p->gen->match[k], dune_ref_vector(p, regs), leaf);
        tell(p, k, leaf, regs);
    }
    if (!b || p->shim.flags & DUNE_SHIM_FINAL)
        return;
    for (uint32_t t = 0; t < sm->n_trees; t++)
        add_leaf(b, leaf[t]);
    b->answers++;
    b->fl += kind != DUNE_ANSWER_PL;
    p->shim.submodel = sm->id;
}

void dune_ref_votes_decide(struct ref_pass *p)
{
    const struct dune_ballot *b = p->in->ballot;
    uint32_t best = 0;

    if (!b)
        return;
    for (uint32_t c = 1; c <= p->gen->plan->n_classes; c++)
        if (b->votes[c] && (!best || b->conf[c] > b->conf[best]))
            best = c;
    p->shim.cls = (uint8_t)best;
    p->shim.conf = best ? (uint8_t)DUNE_MIN(b->conf[best], 255) : 0;
    if (b->answers && b->fl == b->answers)
        p->shim.flags |= DUNE_SHIM_FL;
}
