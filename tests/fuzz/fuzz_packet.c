/* SPDX-License-Identifier: Apache-2.0 */
/* Five bytes of parser limits, then a frame. */
#include "base/base.h"
#include "dune/packet.h"

#include <stdlib.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len)
{
    struct dune_parser_limits lim;
    struct dune_packet p;

    if (len < 5)
        return 0;
    lim = (struct dune_parser_limits){data[0], data[1], data[2], data[3], data[4] & 1};
    dune_packet_parse(&p, data + 5, len - 5, &lim, DUNE_ETHERTYPE_SHIM_DEFAULT);
    if (p.reason == DUNE_REASON_OK && p.l4_off + (p.is_tcp ? 16u : 8u) > len - 5)
        abort();
    if ((unsigned)p.reason >= DUNE_N_REASONS || p.key.len > sizeof(p.key.bytes))
        abort();
    return 0;
}
