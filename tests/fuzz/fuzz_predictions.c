/* SPDX-License-Identifier: Apache-2.0 */
#include "base/base.h"
#include "dune/model.h"

#include <stdlib.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len)
{
    struct dune_model_predictions *x;
    struct dune_diag d = {0};
    int rc = dune_predictions_parse(&x, "fuzz.csv", data, len, &d);

    if (rc != d.code || (rc && !d.msg[0]) || (rc == 0) != (x != NULL))
        abort();
    dune_predictions_free(x);
    return 0;
}
