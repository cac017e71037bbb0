/* SPDX-License-Identifier: Apache-2.0 */
#include "base/yaml_tree.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len)
{
    struct dune_arena arena = {0};
    struct dune_diag d = {0};
    struct dune_yaml *root;

    if (dune_yaml_parse(&root, "fuzz.yaml", (const char *)data, len, &arena, &d) == 0 &&
        root->kind == DUNE_YAML_MAP)
        (void)dune_yaml_find(root, "data");
    dune_arena_fini(&arena);
    return 0;
}
