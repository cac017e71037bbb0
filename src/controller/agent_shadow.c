/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A shadow plan: its whole chain in memory, fed with copies of what enters at an edge. It sends nothing,
 * installs nothing and acts on nothing; what it would have said is counted and compared.
 */
#include "controller/ctl_int.h"

#include <string.h>

enum { SEEN = 1 << 15 }; /* flows remembered for the comparison; a newer one takes the place */

struct seen {
    struct dune_flow_key key; /* len 0: empty */
    uint8_t cls;
};

struct ctl_shadow {
    struct dune_plan *plan;
    struct dune_chain *chain;
    struct dune_ctl_shadow count;
    struct seen seen[SEEN];
};

int dune_ctl_shadow_new(struct ctl_shadow **out, struct dune_plan *plan_take, struct dune_diag *d)
{
    struct ctl_shadow *s = DUNE_NEW(struct ctl_shadow);
    int rc = dune_engine_fast.open(&s->chain, plan_take, NULL, d);

    s->plan = plan_take;
    s->count.generation = plan_take->generation;
    if (rc) {
        dune_ctl_shadow_free(s);
        return rc;
    }
    *out = s;
    return 0;
}

void dune_ctl_shadow_free(struct ctl_shadow *s)
{
    if (!s)
        return;
    if (s->chain)
        s->chain->ops->close(s->chain);
    dune_plan_free(s->plan);
    dune_mem_free(s);
}

static struct seen *place_of(struct ctl_shadow *s, const struct dune_flow_key *key)
{
    return &s->seen[dune_crc32c(key->bytes, key->len) % SEEN];
}

void dune_ctl_shadow_packet(struct ctl_shadow *s, const struct dune_chain_packet *pkt)
{
    const uint8_t done = DUNE_SHIM_FINAL | DUNE_SHIM_SETTLED;
    struct dune_packet p;
    struct dune_verdict v;
    struct dune_diag ignored = {0};

    if (s->chain->ops->burst(s->chain, pkt, 1, &v, NULL, &ignored) || !v.inferable)
        return;
    s->count.packets++;
    s->count.claimed += v.cls && !(v.flags & DUNE_SHIM_TENTATIVE);
    if ((v.flags & done) != done)
        return;
    s->count.settled++;
    if (dune_packet_parse(&p, pkt->data, pkt->cap_len, &s->plan->parser, s->plan->shim_ethertype))
        return;
    *place_of(s, &p.key) = (struct seen){p.key, v.cls};
}

void dune_ctl_shadow_compare(struct ctl_shadow *s, const struct dune_flow_key *key, const char *cls)
{
    const struct seen *e = place_of(s, key);
    const char *ours;

    if (!dune_flow_key_equal(&e->key, key))
        return;
    ours = e->cls ? s->plan->cls[e->cls - 1].name : NULL;
    s->count.compared++;
    s->count.same += ours && cls ? strcmp(ours, cls) == 0 : ours == cls;
}

void dune_ctl_shadow_report(const struct ctl_shadow *s, struct dune_ctl_shadow *out)
{
    if (s)
        *out = s->count;
    else
        memset(out, 0, sizeof(*out));
}
