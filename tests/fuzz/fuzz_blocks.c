/* SPDX-License-Identifier: Apache-2.0 */
#include "base/base.h"
#include "dune/partition.h"

#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len)
{
    struct dune_blocks *x;
    struct dune_diag d = {0};

    if (dune_blocks_parse(&x, "fuzz", (const char *)data, len, &d) == 0) {
        struct dune_blocks *back;
        char *text, *again;
        size_t n, k;

        dune_blocks_format(x, &text, &n); /* what was read can be written and read again */
        if (dune_blocks_parse(&back, "again", text, n, &d) != 0)
            abort();
        dune_blocks_format(back, &again, &k);
        if (n != k || memcmp(text, again, n) != 0)
            abort();
        dune_mem_free(text);
        dune_mem_free(again);
        dune_blocks_free(back);
        dune_blocks_free(x);
    }
    return 0;
}
