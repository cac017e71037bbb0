/* SPDX-License-Identifier: Apache-2.0 */
#include "base/base.h"
#include "dune/synth.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len)
{
    struct dune_diag d = {0};
    struct dune_synth *s;

    if (dune_synth_parse(&s, "fuzz.yaml", data, len, &d) == 0)
        dune_synth_free(s);
    return 0;
}
