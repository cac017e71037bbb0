/* SPDX-License-Identifier: Apache-2.0 */
/* Names of counters: one list for writing and reading. */
#include "controller/ctl_int.h"

#define FIELDS(X)                                                                                  \
    X(in) X(out) X(dropped_action) X(dropped_edge_shim) X(dropped_bad_shim) X(filtered) X(too_big) \
    X(shim_read) X(shim_added) X(shim_stripped) X(shim_kept) X(shim_missing) X(shim_bad)           \
    X(shim_at_edge) X(generation_missing) X(passed_settled) X(rule_hit) X(inferred) X(slot_new)    \
    X(slot_hit) X(slot_expired) X(collisions) X(stateless) X(answers_pl) X(answers_fl)             \
    X(answers_stored) X(claims) X(finals) X(settled) X(digests) X(digests_dropped) X(rules)        \
    X(rules_full) X(rules_expired) X(mirrored) X(steered) X(marked) X(false_matches)

const struct ctl_counter dune_ctl_counter[] = {
#define X(f) {#f, offsetof(struct dune_counters, f)},
    FIELDS(X)
#undef X
};
const size_t dune_ctl_n_counters = DUNE_ARRAY_LEN(dune_ctl_counter);

/* A counter that is added to the struct must be added above. */
_Static_assert(sizeof(struct dune_counters) ==
                   sizeof(uint64_t) * (DUNE_N_REASONS + DUNE_ARRAY_LEN(dune_ctl_counter)),
               "every counter has a name");

void dune_counters_json(const struct dune_counters *c, struct dune_jsonw *w)
{
    for (size_t i = 0; i < dune_ctl_n_counters; i++) {
        dune_jsonw_key(w, dune_ctl_counter[i].name);
        dune_jsonw_big(w, *(const uint64_t *)((const char *)c + dune_ctl_counter[i].offset));
    }
    dune_jsonw_key(w, "not_inferable");
    dune_jsonw_obj_inline(w);
    for (int r = DUNE_REASON_OK + 1; r < DUNE_N_REASONS; r++) {
        dune_jsonw_key(w, dune_reason_name((enum dune_reason)r));
        dune_jsonw_big(w, c->not_inferable[r]);
    }
    dune_jsonw_end(w);
}

void dune_ctl_read_counters(struct dune_json_reader *r, const json_t *obj, struct dune_counters *c)
{
    const json_t *by = json_object_get(obj, "not_inferable");
    size_t at;

    for (size_t i = 0; i < dune_ctl_n_counters; i++)
        *(uint64_t *)((char *)c + dune_ctl_counter[i].offset) =
            dune_json_big(r, obj, dune_ctl_counter[i].name);
    at = dune_json_enter_key(r, "not_inferable");
    for (int i = DUNE_REASON_OK + 1; i < DUNE_N_REASONS; i++)
        c->not_inferable[i] = dune_json_big(r, by, dune_reason_name((enum dune_reason)i));
    dune_json_leave(r, at);
}

void dune_ctl_counters_add(struct dune_counters *sum, const struct dune_counters *c)
{
    uint64_t *a = (uint64_t *)sum;
    const uint64_t *b = (const uint64_t *)c;

    for (size_t i = 0; i < sizeof(*sum) / sizeof(uint64_t); i++)
        a[i] += b[i];
}
