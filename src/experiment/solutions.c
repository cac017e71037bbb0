/* SPDX-License-Identifier: Apache-2.0 */
/* The list of solutions. To add one: fill a struct dune_solution_ops and name it here. */
#include <string.h>

#include "base/base.h"
#include "dune/solution.h"

static const struct dune_solution_ops *const solutions[] = {
    &dune_solution_none,     &dune_solution_mousika,    &dune_solution_jewel, &dune_solution_flowrest,
    &dune_solution_votes,    &dune_solution_dune_paper, &dune_solution_dune,
};

const struct dune_solution_ops *dune_solution_find(const char *name)
{
    for (size_t i = 0; i < DUNE_ARRAY_LEN(solutions); i++)
        if (strcmp(solutions[i]->name, name) == 0)
            return solutions[i];
    return NULL;
}

int dune_solution_get(const struct dune_solution_ops **out, const char *name, struct dune_diag *d)
{
    struct dune_buf known = {0};
    int rc;

    *out = dune_solution_find(name);
    if (*out)
        return 0;
    for (size_t i = 0; i < DUNE_ARRAY_LEN(solutions); i++)
        dune_buf_printf(&known, "%s%s", i ? ", " : "", solutions[i]->name);
    rc = dune_diag_set(d, DUNE_E_USAGE, NULL, "unknown solution \"%.64s\"; there are %s", name, known.data);
    dune_buf_fini(&known);
    return rc;
}
