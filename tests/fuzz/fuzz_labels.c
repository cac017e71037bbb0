/* SPDX-License-Identifier: Apache-2.0 */
/* Label files of every kind; what is accepted is asked for some packets. */
#include "base/base.h"
#include "dune/labels.h"

#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len);

static void ask(const struct dune_labels *l, struct dune_packet *p, uint8_t fill)
{
    uint8_t frame[14];
    bool conflict;

    memset(frame, fill, sizeof(frame));
    memset(p->key.bytes, fill, sizeof(p->key.bytes));
    for (int i = 0; i < 2; i++) {
        struct dune_label_ctx ctx = {"dir/fuzz.pcap.gz", i ? "a" : NULL, fill * 1000000000ull};
        uint32_t cls = dune_labels_lookup(l, &ctx, frame, p, &conflict);

        if (cls != DUNE_LABEL_NONE && !dune_labels_class(l, cls))
            abort();
    }
}

static void read_as(const uint8_t *data, size_t len, const char *field)
{
    struct dune_packet v4 = {.key.len = 13}, v6 = {.key.len = 37, .is_ipv6 = true};
    struct dune_diag d = {0};
    struct dune_labels *l;
    struct dune_labels_opts o = {.field = field};
    int rc = dune_labels_parse(&l, "fuzz.csv", data, len, &o, &d);

    if (rc != d.code || (rc && !d.msg[0]) || (rc == 0) != (l != NULL))
        abort();
    if (rc)
        return;
    for (unsigned fill = 0; fill < 4; fill++) {
        ask(l, &v4, (uint8_t)fill);
        ask(l, &v6, (uint8_t)fill);
    }
    dune_labels_free(l);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len)
{
    read_as(data, len, NULL);
    read_as(data, len, "alert.category");
    return 0;
}
