/* SPDX-License-Identifier: Apache-2.0 */
/* Trees of scikit-learn; what is accepted is a forest that can be written and read again. */
#include "base/base.h"
#include "dune/model.h"

#include <stdlib.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len)
{
    struct dune_diag d = {0};
    struct dune_forest *f, *again = NULL;
    struct dune_buf text = {0};
    struct dune_jsonw w;
    int rc = dune_sklearn_parse(&f, "fuzz.json", (const char *)data, len, &d);

    if (rc != d.code || (rc && !d.msg[0]) || (rc == 0) != (f != NULL))
        abort();
    if (rc)
        return 0;
    dune_jsonw_init(&w, &text);
    dune_forest_put(f, &w);
    if (dune_forest_parse(&again, "again.json", text.data, text.len, &d) != 0)
        abort();
    dune_forest_free(again);
    dune_forest_free(f);
    dune_buf_fini(&text);
    return 0;
}
