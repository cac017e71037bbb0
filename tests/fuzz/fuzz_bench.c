/* SPDX-License-Identifier: Apache-2.0 */
#include "base/base.h"
#include "bench/bench.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len)
{
    struct bench_result *r;
    struct dune_buf out = {0};
    struct dune_diag d = {0};

    if (bench_result_parse(&r, "fuzz", (const char *)data, len, &d) != 0)
        return 0;
    bench_result_text(&out, r);
    bench_result_markdown(&out, r, ".");
    for (size_t i = 0; i < r->curves.len; i++)
        bench_result_plot(&out, r, i);
    dune_buf_fini(&out);
    bench_result_free(r);
    return 0;
}
