/* SPDX-License-Identifier: Apache-2.0 */
/* Capture files of all formats, plain and packed: every byte that a record lends is read. */
#include "base/base.h"
#include "dune/capture.h"

#include <stdlib.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len)
{
    struct dune_diag d = {0};
    struct dune_reader *r;
    struct dune_record rec;
    volatile uint64_t total = 0;
    int rc = dune_reader_open_bytes(&r, "fuzz.pcap", data, len, &d);

    if (rc == 0) {
        while ((rc = dune_reader_next(r, &rec, &d)) == 1)
            for (uint32_t i = 0; i < rec.cap_len; i++)
                total += rec.data[i];
        dune_reader_close(r);
    }
    if (rc != d.code || (rc && (!d.file[0] || !d.msg[0])))
        abort(); /* an error without its sentence, or a sentence without its error */
    return 0;
}
