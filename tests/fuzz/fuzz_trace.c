/* SPDX-License-Identifier: Apache-2.0 */
#include "base/base.h"
#include "dune/trace.h"

#include <stdlib.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len)
{
    struct dune_trace t;
    struct dune_diag d = {0};

    if (dune_trace_parse(&t, "fuzz", data, len, &d) == 0) {
        for (size_t i = 0; i < t.n; i++)
            if (t.rec[i].cap_len > DUNE_TRACE_FRAME || (i && t.rec[i].serial < t.rec[i - 1].serial))
                abort();
        dune_trace_fini(&t);
    }
    return 0;
}
