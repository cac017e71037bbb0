/* SPDX-License-Identifier: Apache-2.0 */
/* Combining answer columns into verdicts, and verdicts into confusion (design section 5, step 7). */
#include "dune/submodels.h"

#include "base/base.h"

static uint16_t threshold(const struct dune_chain_rule *rule, uint16_t cls)
{
    return rule->min_confidence ? rule->min_confidence[cls] : 0;
}

static uint16_t decide_first(const struct dune_item_answer *const *col, size_t item, unsigned n_sub)
{
    for (unsigned s = 0; s < n_sub; s++)
        if (col[s][item].claim)
            return col[s][item].cls;
    return DUNE_NO_CLASS;
}

/* Claims outrank tentative answers, then confidence, then the lower sub-model id. */
static bool outranks(const struct dune_item_answer *a, uint8_t a_id, const struct dune_item_answer *b,
                     uint8_t b_id)
{
    if (a->claim != b->claim)
        return a->claim > b->claim;
    if (a->conf != b->conf)
        return a->conf > b->conf;
    return a_id < b_id;
}

static uint16_t decide_best(const struct dune_item_answer *const *col, size_t item, const uint8_t *id,
                            unsigned n_sub, const struct dune_chain_rule *rule)
{
    const struct dune_item_answer *best = NULL;
    uint8_t best_id = 0;

    for (unsigned s = 0; s < n_sub; s++) {
        const struct dune_item_answer *a = &col[s][item];

        if (a->cls == DUNE_NO_CLASS)
            continue;
        if (!best || outranks(a, id[s], best, best_id)) {
            best = a;
            best_id = id[s];
        }
        if (best->claim && best->conf >= DUNE_MAX(rule->early_exit, threshold(rule, best->cls)))
            return best->cls;
    }
    if (!best || best->conf < threshold(rule, best->cls))
        return DUNE_NO_CLASS;
    return best->claim || rule->fallback == DUNE_FALLBACK_BEST ? best->cls : DUNE_NO_CLASS;
}

/* Counters of confidence per class travel with the packet; the largest wins, ties to the lower id. The
 * confidence of what they say is held in 8 bits. */
static uint16_t decide_votes(const struct dune_item_answer *const *col, size_t item, unsigned n_sub,
                             const struct dune_chain_rule *rule)
{
    uint32_t best_sum = 0;
    uint16_t best = DUNE_NO_CLASS;

    for (unsigned s = 0; s < n_sub; s++) {
        uint16_t c = col[s][item].cls;
        uint32_t sum = 0;

        if (c == DUNE_NO_CLASS)
            continue;
        for (unsigned r = 0; r < n_sub; r++)
            if (col[r][item].cls == c)
                sum += col[r][item].conf;
        if (best == DUNE_NO_CLASS || sum > best_sum || (sum == best_sum && c < best)) {
            best = c;
            best_sum = sum;
        }
    }
    if (best == DUNE_NO_CLASS || DUNE_MIN(best_sum, 255) < threshold(rule, best))
        return DUNE_NO_CLASS;
    return best;
}

uint16_t dune_chain_decide(const struct dune_item_answer *const *col, size_t item, const uint8_t *id,
                           unsigned n_sub, const struct dune_chain_rule *rule)
{
    switch (rule->claim) {
    case DUNE_CLAIM_FIRST:
        return decide_first(col, item, n_sub);
    case DUNE_CLAIM_VOTES:
        return decide_votes(col, item, n_sub, rule);
    case DUNE_CLAIM_BEST:
    default:
        return decide_best(col, item, id, n_sub, rule);
    }
}

void dune_chain_confusion(const struct dune_space *s, const struct dune_item_answer *const *col,
                          const uint8_t *id, unsigned n_sub, const struct dune_chain_rule *rule,
                          const uint8_t *mask, bool packet_level, struct dune_confusion *out)
{
    const uint64_t *w = packet_level ? s->item_pkts : s->item_w;

    for (size_t i = 0; i < s->n_items; i++) {
        if (mask && !mask[s->item_flow[i]])
            continue;
        dune_confusion_add(out, s->item_cls[i], dune_chain_decide(col, i, id, n_sub, rule), w[i]);
    }
}
