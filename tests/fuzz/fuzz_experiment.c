/* SPDX-License-Identifier: Apache-2.0 */
/* EXPERIMENT.yaml: what is read has sane values, what is refused says where and why. */
#include "dune/experiment.h"

#include <stdlib.h>

#include "base/base.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len)
{
    struct dune_experiment *e = NULL;
    struct dune_diag d = {0};

    if (dune_experiment_parse(&e, "fuzz.yaml", (const char *)data, len, &d) != 0) {
        if (!d.code || !d.msg[0])
            abort();
        return 0;
    }
    if (!e)
        abort();
    if (dune_experiment_check(e, &d) == 0) {
        if (e->devices < 1 || e->devices > DUNE_MAX_DEVICES || e->max_n < 2 || e->train.len == 0 || !e->labels)
            abort();
    } else if (!d.code || !d.msg[0]) {
        abort();
    }
    dune_experiment_free(e);
    return 0;
}
