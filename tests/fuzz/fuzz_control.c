/* SPDX-License-Identifier: Apache-2.0 */
#include "base/base.h"
#include "dune/control.h"

#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len);

/* What is read and written again reads as the same message. */
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len)
{
    struct dune_ctl_msg *m = DUNE_NEW(struct dune_ctl_msg), *again = DUNE_NEW(struct dune_ctl_msg);
    struct dune_buf text = {0}, text2 = {0};
    struct dune_diag d = {0};

    if (dune_ctl_parse(m, (const char *)data, len, &d) == 0) {
        if (!dune_ctl_name_ok(m->device) || m->n_digests > DUNE_CTL_BATCH || m->report.n_held > 2)
            abort();
        dune_ctl_format(m, &text);
        if (text.len <= DUNE_CTL_MESSAGE_MAX) {
            if (dune_ctl_parse(again, text.data, text.len, &d))
                abort();
            dune_ctl_format(again, &text2);
            if (text.len != text2.len || memcmp(text.data, text2.data, text.len) != 0)
                abort();
            dune_ctl_msg_fini(again);
        }
        dune_ctl_msg_fini(m);
    } else if (d.code == 0 || d.msg[0] == '\0') {
        abort();
    }
    dune_buf_fini(&text);
    dune_buf_fini(&text2);
    dune_mem_free(m);
    dune_mem_free(again);
    return 0;
}
