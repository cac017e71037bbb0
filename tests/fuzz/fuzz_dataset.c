/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Data set files. Checksums would turn every mutation away, so each input is also tried with its
 * checksums put right (offsets as in docs/formats/dataset.md): that reaches the checks of the content.
 */
#include <stdlib.h>
#include <string.h>

#include "base/base.h"
#include "dune/dataset.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len);

enum { HEADER = 128, ENTRY = 32, HASHED_FROM = 24, HASH_AT = 64 };

static void use(const uint8_t *data, size_t len)
{
    struct dune_view v = {.n = 2, .mode = DUNE_MODE_RUNNING, .features = ~UINT64_C(0)};
    struct dune_dataset *ds;
    struct dune_diag d = {0};
    struct dune_table t;
    uint8_t *part;

    if (dune_dataset_parse(&ds, "fuzz.dset", data, len, &d) != 0)
        return;
    if (dune_table_build(&t, ds, &v, &d) == 0)
        dune_table_fini(&t);
    part = dune_mem_alloc(ds->n_flows, 1);
    dune_folds_make(ds, 3, 1, part);
    dune_validation_make(ds, part);
    dune_mem_free(part);
    dune_dataset_free(ds);
}

/* Puts the digests of all sections inside the input and the content hash right. */
static void repair(uint8_t *p, size_t len)
{
    static const uint8_t key[16] = "DUNEDSET section";
    uint64_t n = DUNE_N_FEATURES + 10, at, bytes, digest, size = len;
    struct dune_buf b = {0};
    char hash[33];

    if (len < HEADER + n * ENTRY)
        return;
    memcpy(p + 16, &size, 8);
    for (uint64_t i = 0; i < n; i++) {
        uint8_t *e = p + HEADER + i * ENTRY;

        memcpy(&at, e + 8, 8);
        memcpy(&bytes, e + 16, 8);
        if (at > len || bytes > len - at)
            return;
        digest = dune_siphash(key, p + at, bytes);
        memcpy(e + 24, &digest, 8);
    }
    dune_buf_append(&b, p + HASHED_FROM, HASH_AT - HASHED_FROM);
    dune_buf_append(&b, p + HEADER, n * ENTRY);
    dune_content_hash(b.data, b.len, hash);
    memcpy(p + HASH_AT, hash, 32);
    dune_buf_fini(&b);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len)
{
    uint8_t *copy = dune_mem_alloc(len, 1);

    use(data, len);
    if (len)
        memcpy(copy, data, len);
    repair(copy, len);
    use(copy, len);
    dune_mem_free(copy);
    return 0;
}
