/* SPDX-License-Identifier: Apache-2.0 */
/* A replay's result as JSON: the fixed names of design section 10, and the counters behind them. */
#include "experiment/replay_int.h"

static void put_share(struct dune_jsonw *w, const char *key, double v)
{
    dune_jsonw_key(w, key);
    dune_jsonw_fixed(w, v, 6);
}

static void put_level(struct dune_jsonw *w, const char *key, const struct dune_replay *r,
                      const struct dune_replay_level *l)
{
    dune_jsonw_key(w, key);
    dune_jsonw_obj(w);
    put_share(w, "macro", l->f1.macro);
    put_share(w, "weighted", l->f1.weighted);
    put_share(w, "micro", l->f1.micro);
    put_share(w, "coverage", l->f1.coverage);
    dune_jsonw_key(w, "macro_interval");
    dune_jsonw_obj_inline(w);
    put_share(w, "lo", l->macro.lo);
    put_share(w, "hi", l->macro.hi);
    put_share(w, "se", l->macro.se);
    dune_jsonw_key(w, "over");
    dune_jsonw_str(w, r->bootstrap_over);
    dune_jsonw_put_uint(w, "groups", r->bootstrap_groups);
    dune_jsonw_end(w);
    put_share(w, "pl_share", l->pl);
    put_share(w, "fl_share", l->fl);
    put_share(w, "no_answer_share", l->none);
    put_share(w, "collision_share", l->collision);
    dune_jsonw_end(w);
}

static void put_classes(struct dune_jsonw *w, const struct dune_replay *r)
{
    dune_jsonw_key(w, "per_class");
    dune_jsonw_obj(w);
    for (uint32_t c = 0; c < r->n_classes; c++) {
        const struct dune_class_score *s = &r->flow.cls[c];

        dune_jsonw_key(w, r->class_name[c]);
        dune_jsonw_obj_inline(w);
        put_share(w, "precision", s->precision);
        put_share(w, "recall", s->recall);
        put_share(w, "f1", s->f1);
        put_share(w, "support", s->support);
        put_share(w, "packet_f1", r->packet.cls[c].f1);
        dune_jsonw_put_uint(w, "packets", (uint64_t)(r->packet.cls[c].support + 0.5));
        dune_jsonw_end(w);
    }
    dune_jsonw_end(w);
}

enum { DENSE_CLASSES = 512 };

static void put_flows(struct dune_jsonw *w, uint64_t weight)
{
    dune_jsonw_fixed(w, (double)weight / DUNE_WEIGHT_ONE, 3);
}

/* [true class, class said, flows] of every cell that is not zero; for many classes. */
static void put_sparse(struct dune_jsonw *w, const struct dune_confusion *c)
{
    dune_jsonw_key(w, "confusion_cells");
    dune_jsonw_arr(w);
    for (size_t i = 0; i < (size_t)c->n_classes * (c->n_classes + 1); i++) {
        if (!c->cell[i])
            continue;
        dune_jsonw_arr_inline(w);
        dune_jsonw_uint(w, i / (c->n_classes + 1));
        dune_jsonw_uint(w, i % (c->n_classes + 1));
        put_flows(w, c->cell[i]);
        dune_jsonw_end(w);
    }
    dune_jsonw_end(w);
}

/* Whose answers decided how many flows. */
static void put_decided(struct dune_jsonw *w, const struct dune_replay *r, const struct dune_plan *p)
{
    dune_jsonw_key(w, "decided");
    dune_jsonw_arr(w);
    for (uint32_t i = 0; i < p->n_submodels; i++) {
        dune_jsonw_obj_inline(w);
        dune_jsonw_put_uint(w, "submodel", p->sub[i].id);
        dune_jsonw_key(w, "device");
        dune_jsonw_str(w, p->device[p->sub[i].device].name);
        dune_jsonw_key(w, "right");
        put_flows(w, r->decided[p->sub[i].id].right);
        dune_jsonw_key(w, "wrong");
        put_flows(w, r->decided[p->sub[i].id].wrong);
        dune_jsonw_end(w);
    }
    dune_jsonw_end(w);
}

/* Rows are true classes, columns predictions in the same order, the last column is unclaimed. */
static void put_confusion(struct dune_jsonw *w, const struct dune_replay *r)
{
    const struct dune_confusion *c = &r->flow.confusion;

    dune_jsonw_key(w, "classes");
    dune_jsonw_arr_inline(w);
    for (uint32_t k = 0; k < r->n_classes; k++)
        dune_jsonw_str(w, r->class_name[k]);
    dune_jsonw_end(w);
    if (r->n_classes > DENSE_CLASSES) {
        put_sparse(w, c);
        return;
    }
    dune_jsonw_key(w, "confusion");
    dune_jsonw_arr(w);
    for (uint32_t i = 0; i < c->n_classes; i++) {
        dune_jsonw_arr_inline(w);
        for (uint32_t j = 0; j <= c->n_classes; j++)
            put_flows(w, c->cell[i * (c->n_classes + 1) + j]);
        dune_jsonw_end(w);
    }
    dune_jsonw_end(w);
}

static void put_truth(struct dune_jsonw *w, const struct dune_replay *r, const struct dune_plan *p)
{
    put_level(w, "flow", r, &r->flow);
    put_level(w, "packet", r, &r->packet);
    put_share(w, "coverage", r->flow.f1.coverage);
    put_classes(w, r);
    put_confusion(w, r);
    put_decided(w, r, p);
    dune_jsonw_put_uint(w, "flows", r->flows);
    dune_jsonw_put_uint(w, "unlabelled_flows", r->unlabelled_flows);
    dune_jsonw_put_uint(w, "unlabelled_packets", r->unlabelled_packets);
    dune_jsonw_put_uint(w, "label_conflicts", r->label_conflicts);
}

static void put_packets(struct dune_jsonw *w, const struct dune_replay *r)
{
    dune_jsonw_key(w, "packets");
    dune_jsonw_obj(w);
    dune_jsonw_put_uint(w, "in", r->packets);
    dune_jsonw_put_uint(w, "inferable", r->inferable);
    dune_jsonw_put_uint(w, "filtered", r->filtered);
    dune_jsonw_put_uint(w, "too_big", r->too_big);
    dune_jsonw_key(w, "not_inferable");
    dune_jsonw_obj_inline(w);
    for (int i = DUNE_REASON_OK + 1; i < DUNE_N_REASONS; i++)
        if (r->by_reason[i])
            dune_jsonw_put_uint(w, dune_reason_name((enum dune_reason)i), r->by_reason[i]);
    dune_jsonw_end(w);
    dune_jsonw_put_uint(w, "claimed", r->claimed);
    dune_jsonw_put_uint(w, "tentative", r->tentative);
    dune_jsonw_put_uint(w, "unclaimed", r->unclaimed);
    dune_jsonw_put_uint(w, "settled", r->settled);
    dune_jsonw_put_uint(w, "rule_hits", r->rule_hits);
    dune_jsonw_put_uint(w, "collided", r->collided);
    dune_jsonw_put_uint(w, "dropped", r->dropped);
    dune_jsonw_put_uint(w, "mirrored", r->mirrored);
    dune_jsonw_put_uint(w, "captures", r->captures);
    dune_jsonw_end(w);
}

/* Every counter of a device that is not zero, and the four that must be there. */
static void put_device(struct dune_jsonw *w, const struct dune_replay *r, uint32_t i)
{
    const struct dune_counters *c = &r->device[i];
    const struct {
        const char *name;
        uint64_t v;
    } list[] = {
#define C(field) {#field, c->field}
        C(dropped_action), C(dropped_edge_shim), C(dropped_bad_shim), C(filtered), C(too_big),
        C(generation_missing), C(passed_settled), C(rule_hit), C(inferred), C(shim_read),
        C(shim_added), C(shim_stripped), C(shim_kept), C(shim_missing), C(shim_bad),
        C(shim_at_edge), C(slot_new), C(slot_hit), C(slot_expired), C(collisions), C(stateless),
        C(answers_pl), C(answers_fl), C(answers_stored), C(claims), C(finals), C(settled),
        C(digests), C(digests_dropped), C(rules), C(rules_full), C(rules_expired), C(mirrored),
        C(steered), C(marked), C(false_matches),
#undef C
    };

    dune_jsonw_obj_inline(w);
    dune_jsonw_key(w, "name");
    dune_jsonw_str(w, r->device_name[i]);
    dune_jsonw_put_uint(w, "in", c->in);
    dune_jsonw_put_uint(w, "out", c->out);
    for (size_t k = 0; k < DUNE_ARRAY_LEN(list); k++)
        if (list[k].v)
            dune_jsonw_put_uint(w, list[k].name, list[k].v);
    dune_jsonw_key(w, "not_inferable");
    dune_jsonw_obj_inline(w);
    for (int k = DUNE_REASON_OK + 1; k < DUNE_N_REASONS; k++)
        if (c->not_inferable[k])
            dune_jsonw_put_uint(w, dune_reason_name((enum dune_reason)k), c->not_inferable[k]);
    dune_jsonw_end(w);
    dune_jsonw_end(w);
}

static void put_resources(struct dune_jsonw *w, const struct dune_plan *p, uint32_t i)
{
    const char *profile = p->device[i].profile;
    const struct dune_profile *prof = profile ? dune_profile_find(profile) : NULL;
    struct dune_resources res;

    if (!prof)
        prof = dune_profile_find("engine");
    dune_resources_estimate(p, i, prof, 2, &res);
    dune_jsonw_obj_inline(w);
    dune_jsonw_key(w, "name");
    dune_jsonw_str(w, p->device[i].name);
    dune_jsonw_key(w, "profile");
    dune_jsonw_str(w, prof->name);
    dune_jsonw_put_uint(w, "leaves", res.leaves);
    dune_jsonw_put_uint(w, "features", res.features_distinct);
    dune_jsonw_put_uint(w, "trees", res.trees);
    dune_jsonw_put_uint(w, "published_blocks", res.published_blocks);
    put_share(w, "published_share", res.published_share);
    dune_jsonw_put_uint(w, "range_rows", res.range_rows);
    dune_jsonw_put_uint(w, "ternary_rows", res.ternary_rows);
    dune_jsonw_put_uint(w, "code_bits", res.code_bits);
    dune_jsonw_put_uint(w, "register_bits", res.register_bits);
    dune_jsonw_put_uint(w, "tcam_blocks", res.tcam_blocks);
    dune_jsonw_put_uint(w, "sram_blocks", res.sram_blocks);
    dune_jsonw_put_uint(w, "stages", res.stages);
    dune_jsonw_put_uint(w, "software_bytes", res.software_bytes);
    dune_jsonw_key(w, "fits");
    dune_jsonw_bool(w, res.fits);
    dune_jsonw_end(w);
}

void dune_plan_resources_json(const struct dune_plan *p, struct dune_jsonw *w)
{
    dune_jsonw_key(w, "resources");
    dune_jsonw_arr(w);
    for (uint32_t i = 0; i < p->n_devices; i++)
        put_resources(w, p, i);
    dune_jsonw_end(w);
}

void dune_replay_json(const struct dune_replay *r, const struct dune_plan *p, struct dune_jsonw *w)
{
    dune_jsonw_obj(w);
    if (r->scored)
        put_truth(w, r, p);
    put_packets(w, r);
    dune_jsonw_key(w, "ns_per_packet");
    dune_jsonw_obj_inline(w);
    dune_jsonw_key(w, "p50");
    dune_jsonw_fixed(w, r->ns_p50, 1);
    dune_jsonw_key(w, "p99");
    dune_jsonw_fixed(w, r->ns_p99, 1);
    dune_jsonw_key(w, "mean");
    dune_jsonw_fixed(w, r->ns_mean, 1);
    dune_jsonw_key(w, "engine");
    dune_jsonw_str(w, r->engine);
    dune_jsonw_end(w);
    dune_jsonw_key(w, "devices");
    dune_jsonw_arr(w);
    for (uint32_t i = 0; i < r->n_devices; i++)
        put_device(w, r, i);
    dune_jsonw_end(w);
    dune_plan_resources_json(p, w);
    dune_jsonw_end(w);
}
