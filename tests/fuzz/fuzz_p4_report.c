/* SPDX-License-Identifier: Apache-2.0 */
/* Reports of a switch compiler: any text is read or refused. */
#include "base/base.h"
#include "dune/p4.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len)
{
    struct dune_p4_compiled c = {0};
    struct dune_diag d = {0};

    if (dune_p4_compiled_metrics(&c, "fuzz", (const char *)data, len, &d) == 0 && !c.has_metrics)
        __builtin_trap();
    if (dune_p4_compiled_stages(&c, "fuzz", (const char *)data, len, &d) == 0 && (!c.has_stages || c.stages > 1000))
        __builtin_trap();
    c = (struct dune_p4_compiled){0};
    if (dune_p4_compiled_resources(&c, "fuzz", (const char *)data, len, &d) == 0 && (!c.has_stages || c.stages > 1000))
        __builtin_trap();
    if (dune_p4_compiled_power(&c, "fuzz", (const char *)data, len, &d) == 0 && !c.latency_cycles)
        __builtin_trap();
    return 0;
}
