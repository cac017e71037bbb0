/* SPDX-License-Identifier: Apache-2.0 */
/* Options that name a profile. */
#include "cli/profile_cli.h"

#include "base/base.h"

int cli_profile(const struct dune_profile **out, const char *name, struct dune_diag *d)
{
    struct dune_buf known = {0};
    int rc;

    *out = dune_profile_find(name);
    if (*out)
        return 0;
    for (size_t i = 0; dune_profile_at(i); i++)
        dune_buf_printf(&known, "%s%s", i ? ", " : "", dune_profile_at(i)->name);
    rc = dune_diag_set(d, DUNE_E_USAGE, NULL, "unknown profile \"%.64s\"; there are %s", name, known.data);
    dune_buf_fini(&known);
    return rc;
}
