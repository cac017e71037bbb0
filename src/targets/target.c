/* SPDX-License-Identifier: Apache-2.0 */
/* The registry of engines, and what all of them share: the filter, names, counter identities. */
#include "targets/target_int.h"

#include <string.h>

#include "base/base.h"

/* Engines of this build; one without operations is known but not in it. */
static const struct {
    const char *name;
    const struct dune_engine_ops *ops;
} engines[] = {
    {"reference", &dune_engine_reference},
    {"fast", &dune_engine_fast},
    {"xdp", &dune_engine_xdp},
};

const struct dune_engine_ops *dune_engine_find(const char *name)
{
    for (size_t i = 0; i < DUNE_ARRAY_LEN(engines); i++)
        if (strcmp(engines[i].name, name) == 0)
            return engines[i].ops;
    return NULL;
}

static void list_engines(char *out, size_t out_bytes)
{
    size_t len = 0;

    out[0] = '\0';
    for (size_t i = 0; i < DUNE_ARRAY_LEN(engines); i++)
        if (engines[i].ops && len < out_bytes)
            len += (size_t)snprintf(out + len, out_bytes - len, "%s%s", len ? ", " : "",
                                    engines[i].name);
}

int dune_engine_get(const struct dune_engine_ops **out, const char *name, struct dune_diag *d)
{
    const char *why;
    char list[128];

    list_engines(list, sizeof(list));
    *out = NULL;
    for (size_t i = 0; i < DUNE_ARRAY_LEN(engines); i++) {
        if (strcmp(engines[i].name, name) != 0)
            continue;
        if (!engines[i].ops)
            return dune_diag_set(d, DUNE_E_ENV, NULL,
                                 "engine \"%s\" is not part of this build, there is: %s", name, list);
        why = engines[i].ops->available();
        if (why)
            return dune_diag_set(d, DUNE_E_ENV, NULL, "engine \"%s\" cannot run here: %s", name, why);
        *out = engines[i].ops;
        return 0;
    }
    return dune_diag_set(d, DUNE_E_USAGE, NULL, "unknown engine \"%s\", there is: %s", name, list);
}

const char *dune_fate_name(enum dune_fate f)
{
    static const char *const names[] = {
#define X(id, name) name,
        DUNE_FATES(X)
#undef X
    };

    return (unsigned)f < DUNE_N_FATES ? names[f] : "?";
}

/* --- tables ------------------------------------------------------------------------------------------ */

int dune_state_check(const struct dune_plan *p, uint32_t slots, uint32_t ways, struct dune_diag *d)
{
    if (slots == 0 || (slots & (slots - 1)))
        return dune_diag_set(d, DUNE_E_USAGE, NULL, "%u slots: want a power of two", slots);
    if (ways < 1 || ways > 8)
        return dune_diag_set(d, DUNE_E_USAGE, NULL, "%u ways: want 1 to 8", ways);
    if (p->n_submodels > DUNE_MAX_SUBMODELS)
        return dune_diag_set(d, DUNE_E_USAGE, NULL, "the plan has %u sub-models, at most %d", p->n_submodels,
                             DUNE_MAX_SUBMODELS);
    return 0;
}

void dune_crc_slices(uint32_t poly, uint32_t table[DUNE_CRC_SLICES][256])
{
    for (uint32_t i = 0; i < 256; i++) {
        uint32_t c = i;

        for (int bit = 0; bit < 8; bit++)
            c = (c >> 1) ^ (c & 1 ? poly : 0);
        table[0][i] = c;
    }
    for (int s = 1; s < DUNE_CRC_SLICES; s++)
        for (int i = 0; i < 256; i++)
            table[s][i] = (table[s - 1][i] >> 8) ^ table[0][table[s - 1][i] & 0xff];
}

/* --- generations ------------------------------------------------------------------------------------- */

uint64_t dune_drain_deadline(uint64_t now, uint64_t timeout)
{
    return timeout > (UINT64_MAX - now) / 2 ? UINT64_MAX : now + 2 * timeout;
}

/* --- target traffic --------------------------------------------------------------------------------- */

static bool in_prefix(const struct dune_prefix *f, const uint8_t *addr)
{
    unsigned whole = f->len / 8, rest = f->len % 8;

    if (memcmp(f->addr, addr, whole) != 0)
        return false;
    return rest == 0 || ((f->addr[whole] ^ addr[whole]) & (0xff00 >> rest) & 0xff) == 0;
}

static bool match_prefix(const struct dune_filter *f, const struct dune_packet *p)
{
    unsigned bytes = p->is_ipv6 ? 16 : 4;

    for (uint32_t i = 0; i < f->n_prefixes; i++)
        if (f->prefix[i].ipv6 == p->is_ipv6 && f->prefix[i].len <= bytes * 8 &&
            (in_prefix(&f->prefix[i], p->key.bytes) || in_prefix(&f->prefix[i], p->key.bytes + bytes)))
            return true;
    return f->n_prefixes == 0;
}

static bool match_port(const struct dune_filter *f, const struct dune_packet *p)
{
    for (uint32_t i = 0; i < f->n_ports; i++)
        if ((p->srcport >= f->port[i].lo && p->srcport <= f->port[i].hi) ||
            (p->dstport >= f->port[i].lo && p->dstport <= f->port[i].hi))
            return true;
    return f->n_ports == 0;
}

bool dune_filter_match(const struct dune_filter *f, const struct dune_packet *p)
{
    bool proto = f->n_protos == 0;

    for (uint32_t i = 0; i < f->n_protos; i++)
        proto |= f->proto[i] == p->proto;
    return proto && match_port(f, p) && match_prefix(f, p);
}

/* --- verdicts ------------------------------------------------------------------------------------------- */

static void start_verdict(struct dune_verdict *v, const struct dune_device_trace *t)
{
    memset(v, 0, sizeof(*v));
    v->reason = t->reason;
    v->fate = t->fate;
    v->device = UINT16_MAX;
    v->steer_port = DUNE_NO_PORT;
    v->inferable = t->has_shim && t->reason == DUNE_REASON_OK;
}

/* A shim of a packet that is not inferable says nothing. */
void dune_verdict_add(struct dune_verdict *v, const struct dune_device_trace *t, bool first)
{
    if (first)
        start_verdict(v, t);
    v->dropped = t->dropped;
    if (!t->has_shim || t->reason != DUNE_REASON_OK)
        return;
    v->inferable = true;
    v->conf = t->shim.conf;
    v->submodel = t->shim.submodel;
    v->flags = t->shim.flags;
    v->cls = t->shim.flags & DUNE_SHIM_FINAL ? t->shim.cls : 0;
    v->answered = v->cls != 0;
    v->generation = t->shim.generation;
    v->rule_hit |= t->fate == DUNE_FATE_RULE_HIT;
    if (t->became_final)
        v->device = t->device;
    if (t->steer_port != DUNE_NO_PORT)
        v->steer_port = t->steer_port;
}

/* --- counters that add up ----------------------------------------------------------------------------- */

static uint64_t not_inferable(const struct dune_counters *c)
{
    uint64_t sum = 0;

    for (int r = DUNE_REASON_OK + 1; r < DUNE_N_REASONS; r++)
        sum += c->not_inferable[r];
    return sum;
}

static int same(uint64_t a, uint64_t b, uint32_t device, const char *what, struct dune_diag *d)
{
    if (a == b)
        return 0;
    return dune_diag_set(d, DUNE_E_INTERNAL, NULL, "counters of device %u: %s: %llu is not %llu",
                         device, what, (unsigned long long)a, (unsigned long long)b);
}

static int check_device(const struct dune_counters *c, uint32_t i, struct dune_diag *d)
{
    uint64_t drops = c->dropped_edge_shim + c->dropped_bad_shim;
    int rc = same(c->in, c->out + c->dropped_action + drops, i, "in = out + dropped", d);

    if (rc == 0)
        rc = same(c->in,
                  not_inferable(c) + c->filtered + c->too_big + c->generation_missing +
                      c->passed_settled + c->rule_hit + c->inferred + drops,
                  i, "in = sum of fates", d);
    if (rc == 0)
        rc = same(c->inferred,
                  c->slot_new + c->slot_hit + c->slot_expired + c->collisions + c->stateless, i,
                  "inferred = slot outcomes", d);
    if (rc == 0)
        rc = same(c->shim_read + c->shim_added, c->shim_stripped + c->shim_kept + c->dropped_action,
                  i, "shims in = shims out", d);
    if (rc == 0 && (c->settled > c->finals || c->finals > c->inferred))
        rc = dune_diag_set(d, DUNE_E_INTERNAL, NULL,
                           "counters of device %u: settled <= finals <= inferred does not hold", i);
    return rc;
}

int dune_counters_check(const struct dune_counters *c, uint32_t n, bool chained, struct dune_diag *d)
{
    int rc = 0;

    for (uint32_t i = 0; rc == 0 && i < n; i++) {
        rc = check_device(&c[i], i, d);
        if (rc == 0 && chained && i > 0)
            rc = same(c[i].in, c[i - 1].out, i, "in = out of the device before", d);
        if (rc == 0 && chained && i > 0)
            rc = same(c[i].shim_read + c[i].shim_bad, c[i - 1].shim_kept, i,
                      "shims in = shims kept by the device before", d);
    }
    return rc;
}
