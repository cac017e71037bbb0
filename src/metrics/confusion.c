/* SPDX-License-Identifier: Apache-2.0 */
#include "dune/metrics.h"

#include <string.h>

#include "base/base.h"

static size_t n_cells(const struct dune_confusion *c)
{
    return (size_t)c->n_classes * (c->n_classes + 1);
}

void dune_confusion_init(struct dune_confusion *c, uint32_t n_classes)
{
    c->n_classes = n_classes;
    c->cell = DUNE_NEW_N(uint64_t, n_cells(c));
}

void dune_confusion_fini(struct dune_confusion *c)
{
    dune_mem_free(c->cell);
    memset(c, 0, sizeof(*c));
}

void dune_confusion_clear(struct dune_confusion *c)
{
    memset(c->cell, 0, n_cells(c) * sizeof(*c->cell));
}

void dune_confusion_add(struct dune_confusion *c, uint32_t truth, uint32_t pred, uint64_t w)
{
    c->cell[(size_t)truth * (c->n_classes + 1) + DUNE_MIN(pred, c->n_classes)] += w;
}

static double ratio(uint64_t a, uint64_t b)
{
    return b ? (double)a / (double)b : 0;
}

/* Score of class k; *truth gets its weight. */
static struct dune_class_score score_class(const struct dune_confusion *c, uint32_t k, uint64_t unit,
                                           uint64_t *truth)
{
    size_t stride = (size_t)c->n_classes + 1;
    uint64_t tp = c->cell[k * stride + k], predicted = 0;
    struct dune_class_score s;

    *truth = 0;
    for (uint32_t i = 0; i < c->n_classes; i++)
        predicted += c->cell[i * stride + k];
    for (size_t j = 0; j < stride; j++)
        *truth += c->cell[k * stride + j];
    s.precision = ratio(tp, predicted);
    s.recall = ratio(tp, *truth);
    s.f1 = ratio(2 * tp, predicted + *truth);
    s.support = ratio(*truth, unit);
    s.present = *truth > 0;
    return s;
}

struct dune_f1 dune_f1_score(const struct dune_confusion *c, uint64_t unit,
                             struct dune_class_score *per_class)
{
    uint64_t total = 0, tp = 0, unclaimed = 0, truth;
    struct dune_f1 f = {0};
    uint32_t present = 0;

    for (uint32_t k = 0; k < c->n_classes; k++) {
        struct dune_class_score s = score_class(c, k, unit, &truth);
        const uint64_t *row = c->cell + (size_t)k * (c->n_classes + 1);

        if (per_class)
            per_class[k] = s;
        if (!s.present)
            continue;
        present++;
        f.macro += s.f1;
        f.weighted += s.f1 * (double)truth;
        total += truth;
        tp += row[k];
        unclaimed += row[c->n_classes];
    }
    if (!total)
        return f;
    f.macro /= present;
    f.weighted /= (double)total;
    f.micro = ratio(tp, total);
    f.coverage = ratio(total - unclaimed, total);
    return f;
}
