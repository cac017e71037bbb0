/* SPDX-License-Identifier: Apache-2.0 */
/* What programs write; what is accepted are probabilities. */
#include "base/base.h"
#include "dune/model.h"

#include <stdlib.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len)
{
    char *const names[] = {(char *)"a", (char *)"b", (char *)"c"};
    struct dune_diag d = {0};
    float p[9];
    int rc = dune_exec_output_parse("fuzz", data, len, 3, names, 3, p, &d);

    if (rc != d.code || (rc && !d.msg[0]))
        abort();
    for (int r = 0; rc == 0 && r < 3; r++) {
        float sum = p[3 * r] + p[3 * r + 1] + p[3 * r + 2];

        if (!(sum > 0.999f && sum < 1.001f))
            abort();
    }
    return 0;
}
