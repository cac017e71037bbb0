/* SPDX-License-Identifier: Apache-2.0 */
#include "base/base.h"
#include "dune/importance.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len)
{
    struct dune_scores *x;
    struct dune_diag d = {0};

    if (dune_scores_parse(&x, "fuzz", (const char *)data, len, &d) == 0)
        dune_scores_free(x);
    return 0;
}
