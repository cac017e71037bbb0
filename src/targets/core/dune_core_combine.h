/* SPDX-License-Identifier: (Apache-2.0 OR BSD-2-Clause OR GPL-2.0-only) */
/* Steps 7 and 8 of design section 5: combining answers with the shim, settling, the final verdict. */
#ifndef DUNE_TARGETS_CORE_COMBINE_H
#define DUNE_TARGETS_CORE_COMBINE_H

#include "dune_core_types.h"

DUNE_CORE_INLINE void dune_core_carry(struct dune_core_shim *s, uint8_t id, uint32_t a, int flow_level)
{
    s->cls = DUNE_CORE_ANSWER_CLS(a);
    s->conf = DUNE_CORE_ANSWER_CONF(a);
    s->submodel = id;
    s->flags &= (uint8_t)~(DUNE_CORE_TENTATIVE | DUNE_CORE_FL);
    s->flags |= (uint8_t)((DUNE_CORE_ANSWER_CLAIM(a) ? 0 : DUNE_CORE_TENTATIVE) |
                          (flow_level ? DUNE_CORE_FL : 0));
}

/* Claims outrank tentative answers, then higher confidence, then the lower sub-model id. */
DUNE_CORE_INLINE int dune_core_outranks(const struct dune_core_shim *s, uint8_t id, uint32_t a)
{
    uint32_t claim = DUNE_CORE_ANSWER_CLAIM(a), carried = !(s->flags & DUNE_CORE_TENTATIVE);

    if (s->cls == 0)
        return 1;
    if (claim != carried)
        return claim != 0;
    if (DUNE_CORE_ANSWER_CONF(a) != s->conf)
        return DUNE_CORE_ANSWER_CONF(a) > s->conf;
    return id < s->submodel;
}

/* Combines the answer of sub-model id. Nonzero: the carried claim is final now. */
DUNE_CORE_INLINE int dune_core_combine(struct dune_core_shim *s, const struct dune_core_rule *r, uint8_t id,
                                       uint32_t a, int flow_level)
{
    if (r->claim == DUNE_CORE_RULE_FIRST) {
        if (!DUNE_CORE_ANSWER_CLAIM(a))
            return 0;
        dune_core_carry(s, id, a, flow_level);
    } else {
        if (DUNE_CORE_ANSWER_CLS(a) && dune_core_outranks(s, id, a))
            dune_core_carry(s, id, a, flow_level);
        if (s->cls == 0 || s->flags & DUNE_CORE_TENTATIVE || s->conf < r->bar[s->cls])
            return 0;
    }
    s->flags |= DUNE_CORE_FINAL;
    return 1;
}

/* After the last sub-model of the chain: what falls short becomes class 0. */
DUNE_CORE_INLINE void dune_core_finish(struct dune_core_shim *s, const struct dune_core_rule *r)
{
    if (s->conf < r->min_conf[s->cls] || (s->flags & DUNE_CORE_TENTATIVE && !r->tentative_ends)) {
        s->cls = 0;
        s->flags &= (uint8_t)~DUNE_CORE_TENTATIVE;
    }
    s->flags |= DUNE_CORE_FINAL;
}

#endif
