/* SPDX-License-Identifier: Apache-2.0 */
/* Bends what a plan leaves open - layout of the flow state, parser limits - to a device profile. */
#include "plan/plan_int.h"

#include <string.h>

#define FEWEST_SLOTS 4096 /* fewer are not worth a device */

static bool all_fit(const struct dune_plan *p, const struct dune_profile *prof,
                    uint32_t generations)
{
    for (uint32_t i = 0; i < p->n_devices; i++) {
        struct dune_resources e;

        dune_resources_estimate(p, i, prof, generations, &e);
        if (!e.fits)
            return false;
    }
    return true;
}

/* Halves the slots until every device fits; leaves them as they are if that does not help. */
static bool fewer_slots(struct dune_plan *p, const struct dune_profile *prof, uint32_t generations)
{
    uint32_t slots = p->slots;

    while (!all_fit(p, prof, generations)) {
        if (p->slots <= FEWEST_SLOTS) {
            p->slots = slots;
            return false;
        }
        p->slots /= 2;
    }
    return true;
}

void dune_plan_retarget(struct dune_plan *p, const struct dune_profile *prof, uint32_t generations)
{
    struct dune_parser_limits *l = &p->parser;
    const struct dune_parser_limits *most = &prof->parser;
    bool ipv6;

    if (prof->hash == DUNE_HASH_CRC) {
        p->hash = DUNE_HASH_CRC;
        memset(p->hash_key, 0, sizeof(p->hash_key));
    }
    if (prof->max_ways)
        p->ways = DUNE_MIN(p->ways, prof->max_ways);
    if (prof->slots)
        p->slots = DUNE_MIN(p->slots, prof->slots);
    l->max_vlan = DUNE_MIN(l->max_vlan, most->max_vlan);
    l->max_ipv4_options = DUNE_MIN(l->max_ipv4_options, most->max_ipv4_options);
    l->max_ipv6_ext = DUNE_MIN(l->max_ipv6_ext, most->max_ipv6_ext);
    l->max_ipv6_ext_len = DUNE_MIN(l->max_ipv6_ext_len, most->max_ipv6_ext_len);
    l->ipv6 &= most->ipv6;
    ipv6 = l->ipv6;
    if (fewer_slots(p, prof, generations))
        return;
    l->ipv6 = false; /* its addresses cost stages */
    if (!ipv6 || !fewer_slots(p, prof, generations))
        l->ipv6 = ipv6;
}

void dune_plan_set_seed(struct dune_plan *p, uint64_t seed)
{
    struct dune_rng rng;

    p->provenance.seed = seed;
    if (p->hash != DUNE_HASH_SIPHASH)
        return;
    dune_rng_init(&rng, seed, UINT64_C(0x686173686b6579), 0, 0);
    for (size_t i = 0; i < sizeof(p->hash_key); i++)
        p->hash_key[i] = (uint8_t)dune_rng_u64(&rng);
}
