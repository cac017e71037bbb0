/* SPDX-License-Identifier: Apache-2.0 */
/* Plan files: what is accepted verifies, answers alike by tables and nodes, and round-trips. */
#include "dune/plan.h"

#include <string.h>

#include "base/base.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len);

static void look_up(const struct dune_plan *p, struct dune_rng *r)
{
    uint32_t x[DUNE_N_FEATURES];

    for (int j = 0; j < DUNE_N_FEATURES; j++)
        x[j] = dune_rng_below(r, 2) ? (uint32_t)dune_rng_u64(r) : (uint32_t)dune_rng_below(r, 300);
    for (uint32_t s = 0; s < p->n_submodels; s++) {
        struct dune_sub_answer a = dune_submodel_lookup(&p->sub[s], x);
        struct dune_sub_answer b = dune_submodel_walk(&p->sub[s], x);

        if (a.cls != b.cls || a.conf != b.conf || a.claim != b.claim || a.cls > p->n_classes)
            __builtin_trap();
    }
}

static void round_trip(const struct dune_plan *p)
{
    struct dune_plan *q = NULL;
    char *a = NULL, *b = NULL;
    size_t n = 0, m = 0;

    if (dune_plan_format(p, &a, &n, NULL) || dune_plan_parse(&q, "again", a, n, NULL) ||
        dune_plan_format(q, &b, &m, NULL) || n != m || memcmp(a, b, n) != 0)
        __builtin_trap();
    dune_mem_free(a);
    dune_mem_free(b);
    dune_plan_free(q);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len)
{
    struct dune_diag d = {0};
    struct dune_resources e;
    struct dune_plan *p;
    struct dune_rng r;

    if (dune_plan_parse(&p, "fuzz", (const char *)data, len, &d)) {
        if (!d.code || !d.msg[0])
            __builtin_trap();
        return 0;
    }
    if (dune_plan_verify(p, &d))
        __builtin_trap();
    dune_rng_init(&r, 1, len, 0, 0);
    for (int i = 0; i < 20; i++)
        look_up(p, &r);
    for (size_t i = 0; dune_profile_at(i); i++)
        dune_resources_estimate(p, 0, dune_profile_at(i), 2, &e);
    round_trip(p);
    dune_plan_free(p);
    return 0;
}
