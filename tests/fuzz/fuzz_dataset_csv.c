/* SPDX-License-Identifier: Apache-2.0 */
#include "dune/dataset.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len)
{
    struct dune_table t;
    struct dune_diag d = {0};
    char **names;

    if (dune_table_csv_parse(&t, "fuzz.csv", data, len, &names, &d) == 0) {
        dune_table_balance(&t, 0.5);
        dune_class_names_free(names, t.n_classes);
    }
    dune_table_fini(&t);
    return 0;
}
