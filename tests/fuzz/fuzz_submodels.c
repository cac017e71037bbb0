/* SPDX-License-Identifier: Apache-2.0 */
/* submodels.json and sequence.json: what is accepted is written and read back the same, and compiles or
 * says why not. */
#include "base/base.h"
#include "dune/submodel_set.h"

#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len);

static void try_one(const uint8_t *data, size_t len, bool sequence)
{
    struct dune_submodel_sequence q, r, *seq = sequence ? &q : NULL, *back = sequence ? &r : NULL;
    struct dune_submodel_set *s, *again;
    struct dune_diag d = {0};
    char *a, *b;
    size_t n, m;

    if (dune_submodels_parse(&s, seq, !sequence, "fuzz", (const char *)data, len, &d) != 0)
        return;
    dune_submodels_format(s, seq, &a, &n);
    if (dune_submodels_parse(&again, back, !sequence, "again", a, n, &d) != 0)
        abort();
    dune_submodels_format(again, back, &b, &m);
    if (n != m || memcmp(a, b, n) != 0)
        abort();
    if (sequence) {
        const struct dune_chain_rule rule = {.claim = q.claim, .early_exit = q.early_exit, .fallback = q.fallback};
        struct dune_plan *p;

        if (dune_submodels_compile(&p, s, &q, &rule, &s->options.budget, "engine", &d) == 0) {
            struct dune_diag ignored = {0};

            dune_plan_set_name(p, "fuzz");
            if (dune_plan_verify(p, &ignored) != 0 && !ignored.msg[0])
                abort();
            dune_plan_free(p);
        }
    }
    dune_mem_free(a);
    dune_mem_free(b);
    dune_submodel_set_free(again);
    dune_submodel_set_free(s);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len)
{
    try_one(data, len, false);
    try_one(data, len, true);
    return 0;
}
