/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The shim (design section 6):
 *
 *   destination | source | VLAN tags | 88B5 | shim: 8 bytes | payload
 *
 *    0        3         8          16         24         32               48                   63
 *   +----------+---------+----------+----------+----------+----------------+--------------------+
 *   | version  | flags   | submodel | class    | conf     | generation     | original EtherType |
 *   +----------+---------+----------+----------+----------+----------------+--------------------+
 *
 * The original EtherType ends where the payload starts, so adding a shim moves the addresses and
 * tags 8 bytes to the front and leaves every other byte where it was.
 */
#include "dune/engine.h"

static uint16_t be16(const uint8_t *p)
{
    return (uint16_t)(p[0] << 8 | p[1]);
}

void dune_shim_put(uint8_t out[DUNE_SHIM_BYTES], const struct dune_shim *s)
{
    out[0] = (uint8_t)((s->version & 7) << 5 | (s->flags & 0x1f));
    out[1] = s->submodel;
    out[2] = s->cls;
    out[3] = s->conf;
    out[4] = (uint8_t)(s->generation >> 8);
    out[5] = (uint8_t)s->generation;
    out[6] = (uint8_t)(s->ethertype >> 8);
    out[7] = (uint8_t)s->ethertype;
}

void dune_shim_get(struct dune_shim *s, const uint8_t in[DUNE_SHIM_BYTES])
{
    s->version = in[0] >> 5;
    s->flags = in[0] & 0x1f;
    s->submodel = in[1];
    s->cls = in[2];
    s->conf = in[3];
    s->generation = be16(in + 4);
    s->ethertype = be16(in + 6);
}

bool dune_shim_find(const uint8_t *frame, size_t cap_len, uint8_t max_vlan, uint16_t ethertype,
                    uint32_t *at)
{
    uint32_t off = 14;

    for (unsigned tags = 0; cap_len >= off; tags++, off += 4) {
        uint16_t type = be16(frame + off - 2);

        if (type == ethertype) {
            *at = off;
            return true;
        }
        if ((type != 0x8100 && type != 0x88A8) || tags >= max_vlan)
            return false;
    }
    return false;
}
