/* SPDX-License-Identifier: Apache-2.0 */
#include "base/base.h"
#include "dune/capture.h"

#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len)
{
    static const char *const paths[] = {"train/a.pcap", "/x/test/a.pcap.gz", "a.pcap", "/", ""};
    struct dune_diag d = {0};
    struct dune_captures *c;
    const struct dune_piece *p;
    volatile size_t total = 0;
    size_t n;
    int rc = dune_captures_parse(&c, "fuzz.csv", data, len, &d);

    if (rc != d.code || (rc && !d.msg[0]) || (rc == 0) != (c != NULL))
        abort();
    for (size_t i = 0; rc == 0 && i < DUNE_ARRAY_LEN(paths); i++)
        if (dune_captures_pieces(c, paths[i], &p, &n) == 0)
            while (n--)
                total += strlen(p[n].name) + strlen(p[n].split);
    dune_captures_free(c);
    return 0;
}
