/* SPDX-License-Identifier: Apache-2.0 */
#include "base/base.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len)
{
    struct dune_csv c;
    struct dune_diag d = {0};
    volatile size_t total = 0;
    size_t i;

    dune_csv_init(&c, "fuzz.csv", data, len);
    while (dune_csv_next(&c, &d) > 0)
        for (i = 0; i < c.n_fields; i++)
            for (const char *s = c.field[i]; *s; s++)
                total++;
    dune_csv_fini(&c);
    return 0;
}
