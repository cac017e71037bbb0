/* SPDX-License-Identifier: Apache-2.0 */
/* What the page gets, as JSON (docs/formats/dash.md). */
#include "dash/dash_int.h"

#include <stdlib.h>
#include <string.h>

const char *dash_state_name(uint64_t state)
{
    static const char *const names[] = {"idle", "running", "finished", "stopped", "failed"};

    return state < DUNE_ARRAY_LEN(names) ? names[state] : "?";
}

static const char *health_name(uint64_t state)
{
    static const char *const names[] = {"ok", "silent", "lost", "bare"};

    return state < DUNE_ARRAY_LEN(names) ? names[state] : "?";
}

/* The writer escapes line ends in texts: those that are there are its own, with the indent behind them. */
void dash_one_line(struct dune_buf *b)
{
    size_t n = 0;

    for (size_t i = 0; i < b->len; i++) {
        if (b->data[i] != '\n') {
            b->data[n++] = b->data[i];
            continue;
        }
        while (i + 1 < b->len && b->data[i + 1] == ' ')
            i++;
    }
    if (b->data)
        b->data[n] = '\0';
    b->len = n;
}

static void put_uint(struct dune_jsonw *w, const char *key, uint64_t v)
{
    dune_jsonw_key(w, key);
    dune_jsonw_big(w, v);
}

static void put_f1(struct dune_jsonw *w, const char *key, const struct dune_f1 *f)
{
    dune_jsonw_key(w, key);
    dune_jsonw_obj_inline(w);
    dune_jsonw_key(w, "macro"), dune_jsonw_fixed(w, f->macro, 6);
    dune_jsonw_key(w, "weighted"), dune_jsonw_fixed(w, f->weighted, 6);
    dune_jsonw_key(w, "micro"), dune_jsonw_fixed(w, f->micro, 6);
    dune_jsonw_key(w, "coverage"), dune_jsonw_fixed(w, f->coverage, 6);
    dune_jsonw_end(w);
}

/* --- the scene --------------------------------------------------------------------------------------------------- */

static void put_submodel(struct dune_jsonw *w, const struct dune_plan *p, const struct dune_submodel *sm)
{
    uint32_t leaves = 0;

    dune_jsonw_obj_inline(w);
    put_uint(w, "id", sm->id);
    put_uint(w, "n", sm->n);
    put_uint(w, "trees", sm->n_trees);
    for (uint32_t t = 0; t < sm->n_trees; t++)
        leaves += sm->tree[t].n_leaves;
    put_uint(w, "leaves", leaves);
    dune_jsonw_key(w, "classes");
    dune_jsonw_arr_inline(w);
    for (uint32_t i = 0; i < sm->n_classes; i++)
        dune_jsonw_str(w, p->cls[sm->cls[i] - 1].name);
    dune_jsonw_end(w);
    dune_jsonw_key(w, "features");
    dune_jsonw_arr_inline(w);
    for (uint32_t i = 0; i < sm->n_feats; i++)
        dune_jsonw_str(w, dune_catalog[sm->feat[i].feat].name);
    dune_jsonw_end(w);
    dune_jsonw_end(w);
}

static void put_resources(struct dune_jsonw *w, const struct dune_plan *p, uint16_t position)
{
    const struct dune_plan_device *dev = &p->device[position];
    const struct dune_profile *prof = dev->profile ? dune_profile_find(dev->profile) : NULL;
    struct dune_resources res;

    dune_resources_estimate(p, position, prof ? prof : dune_profile_find("engine"), 2, &res);
    dune_jsonw_put_str(w, "profile", dev->profile);
    put_uint(w, "budget_leaves", dev->budget.leaves_sum);
    put_uint(w, "budget_features", dev->budget.features_distinct);
    put_uint(w, "leaves", res.leaves);
    put_uint(w, "features", res.features_distinct);
    put_uint(w, "published_blocks", res.published_blocks);
    put_uint(w, "software_bytes", res.software_bytes);
}

static void put_device(struct dune_jsonw *w, const struct dash_scene *s, uint32_t i)
{
    const struct dash_place *at = &s->device[i];
    const struct dune_plan *p = s->plan;

    dune_jsonw_obj_inline(w);
    dune_jsonw_put_str(w, "name", at->name);
    put_uint(w, "position", at->position);
    dune_jsonw_key(w, "next");
    dune_jsonw_int(w, at->next < s->n_devices ? at->next : -1);
    if (p && at->position < p->n_devices)
        put_resources(w, p, at->position);
    dune_jsonw_key(w, "submodels");
    dune_jsonw_arr_inline(w);
    for (uint32_t k = 0; p && k < p->n_submodels; k++)
        if (p->sub[k].device == at->position)
            put_submodel(w, p, &p->sub[k]);
    dune_jsonw_end(w);
    dune_jsonw_end(w);
}

static void put_cases(struct dune_jsonw *w, const struct dune_dash *dash)
{
    dune_jsonw_key(w, "cases");
    dune_jsonw_arr(w);
    for (size_t i = 0; i < dash->n_cases; i++) {
        dune_jsonw_obj_inline(w);
        dune_jsonw_put_str(w, "name", dash->cases[i].name);
        dune_jsonw_key(w, "report");
        dune_jsonw_bool(w, dash->cases[i].dir != NULL);
        dune_jsonw_key(w, "solutions");
        dune_jsonw_arr_inline(w);
        for (size_t k = 0; k < dash->cases[i].n_solutions; k++)
            dune_jsonw_str(w, dash->cases[i].solution[k]);
        dune_jsonw_end(w);
        dune_jsonw_end(w);
    }
    dune_jsonw_end(w);
}

static void put_scene(struct dune_jsonw *w, const struct dash_scene *s)
{
    put_uint(w, "scene", s->id);
    dune_jsonw_put_str(w, "use_case", s->use_case);
    dune_jsonw_put_str(w, "solution", s->solution);
    dune_jsonw_put_str(w, "source", s->source);
    dune_jsonw_put_str(w, "pace", s->pace);
    put_uint(w, "started_ms", s->started_ns / 1000000);
    dune_jsonw_put_str(w, "plan", s->plan ? s->plan->name : NULL);
    dune_jsonw_key(w, "claim_rule");
    dune_jsonw_str(w, !s->plan ? NULL : s->plan->claim == DUNE_CLAIM_FIRST ? "first"
                                    : s->plan->claim == DUNE_CLAIM_BEST ? "best" : "votes");
    dune_jsonw_key(w, "labels"), dune_jsonw_bool(w, s->labels != NULL);
    dune_jsonw_key(w, "packets_known"), dune_jsonw_bool(w, s->n_pcaps > 0);
    put_uint(w, "n_classes", s->n_classes);
    dune_jsonw_key(w, "classes"); /* the first ones; /api/classes has all */
    dune_jsonw_arr_inline(w);
    for (uint32_t i = 0; i < DUNE_MIN(s->n_classes, 512); i++)
        dune_jsonw_str(w, s->class_name[i]);
    dune_jsonw_end(w);
    dune_jsonw_key(w, "devices");
    dune_jsonw_arr(w);
    for (uint32_t i = 0; i < s->n_devices; i++)
        put_device(w, s, i);
    dune_jsonw_end(w);
}

void dash_scene_json(const struct dune_dash *dash, const struct dash_scene *s, struct dune_buf *out)
{
    struct dune_jsonw w;

    dune_jsonw_init(&w, out);
    dune_jsonw_obj(&w);
    dune_jsonw_put_str(&w, "boot", dash->boot);
    dune_jsonw_put_str(&w, "title", dash->title);
    dune_jsonw_key(&w, "control"), dune_jsonw_bool(&w, dash->has_control);
    dune_jsonw_key(&w, "history"), dune_jsonw_bool(&w, dash->store != NULL);
    put_uint(&w, "window_s", DASH_WINDOW_S);
    put_cases(&w, dash);
    if (s)
        put_scene(&w, s);
    dune_jsonw_end(&w);
}

/* --- the state ---------------------------------------------------------------------------------------------------- */

struct ranked {
    uint32_t id;
    uint64_t n;
};

static int by_count(const void *a, const void *b)
{
    const struct ranked *x = a, *y = b;

    if (x->n != y->n)
        return x->n < y->n ? 1 : -1;
    return x->id < y->id ? -1 : 1;
}

static void put_totals(struct dune_jsonw *w, const struct dash_totals *t, const struct dash_scene *s)
{
    dune_jsonw_put_str(w, "state", dash_state_name(t->state));
    dune_jsonw_key(w, "seconds"), dune_jsonw_fixed(w, t->seconds, 2);
    dune_jsonw_put_str(w, "capture", t->capture < s->n_pieces ? s->piece[t->capture].name : NULL);
    put_uint(w, "captures", s->n_pieces);
    put_uint(w, "packets", t->packets);
    put_uint(w, "packets_expected", t->packets_expected);
    put_uint(w, "bytes", t->bytes);
    put_uint(w, "inferable", t->inferable);
    put_uint(w, "claimed", t->claimed);
    put_uint(w, "tentative", t->tentative);
    put_uint(w, "unclaimed", t->unclaimed);
    put_uint(w, "settled", t->settled);
    put_uint(w, "rule_hits", t->rule_hits);
    put_uint(w, "collided", t->collided);
    put_uint(w, "dropped", t->dropped);
    put_uint(w, "lost", t->lost);
    put_uint(w, "pl", t->pl);
    put_uint(w, "fl", t->fl);
    put_uint(w, "flows", t->flows);
    put_uint(w, "flows_claimed", t->flows_claimed);
    put_uint(w, "flows_not_shown", t->flows_dropped);
    put_uint(w, "digests", t->digests);
    dune_jsonw_key(w, "latency_ns");
    dune_jsonw_obj_inline(w);
    put_uint(w, "p50", t->chain_p50_ns);
    put_uint(w, "p90", t->chain_p90_ns);
    put_uint(w, "p99", t->chain_p99_ns);
    dune_jsonw_end(w);
}

/* [[class of the scene, flows], ...], largest first; the rest under class -1, unclaimed under -2. */
static void put_claims(struct dune_jsonw *w, const struct dash_scene *s, uint32_t dev)
{
    const uint64_t *c = s->shown.claims + (size_t)dev * 256;
    struct ranked r[256];
    uint32_t n = 0;
    uint64_t rest = 0;

    for (uint32_t i = 1; i < 256; i++)
        if (c[i] && s->of_plan[i] != DASH_NONE)
            r[n++] = (struct ranked){s->of_plan[i], c[i]};
    qsort(r, n, sizeof(*r), by_count);
    dune_jsonw_key(w, "claims");
    dune_jsonw_arr_inline(w);
    for (uint32_t i = 0; i < n + 2; i++) {
        int64_t id = i < n ? (int64_t)r[i].id : i == n ? -1 : -2;
        uint64_t v = i < n ? r[i].n : i == n ? rest : c[0];

        if (i < n && i >= DASH_TOP_CLAIMS)
            rest += v;
        if (v == 0 || (i < n && i >= DASH_TOP_CLAIMS))
            continue;
        dune_jsonw_arr_inline(w);
        dune_jsonw_int(w, id);
        dune_jsonw_big(w, v);
        dune_jsonw_end(w);
    }
    dune_jsonw_end(w);
}

static void put_dev(struct dune_jsonw *w, const struct dash_scene *s, uint32_t i)
{
    const struct dash_dev *d = &s->shown.dev[i];

    dune_jsonw_obj_inline(w);
    dune_jsonw_put_str(w, "state", health_name(d->state));
    put_uint(w, "in", d->in);
    put_uint(w, "inferred", d->inferred);
    put_uint(w, "passed", d->passed);
    put_uint(w, "rule_hit", d->rule_hit);
    put_uint(w, "flows", d->flows);
    put_uint(w, "collisions", d->collisions);
    put_uint(w, "digests", d->digests);
    put_uint(w, "lost", d->lost);
    put_uint(w, "slots_used", d->slots_used);
    put_uint(w, "slots", d->slots);
    put_uint(w, "p50_ns", d->hop_p50_ns);
    put_uint(w, "p90_ns", d->hop_p90_ns);
    put_uint(w, "p99_ns", d->hop_p99_ns);
    put_claims(w, s, i);
    dune_jsonw_end(w);
}

/* [[class, flows with this verdict, F1 or null], ...] of the largest classes. */
static void put_classes(struct dune_jsonw *w, const struct dash_scene *s, const double *f1, uint32_t offset, uint32_t limit)
{
    struct ranked *r = DUNE_NEW_N(struct ranked, s->n_classes + 1);
    uint32_t n = 0;

    for (uint32_t i = 0; i < s->n_classes; i++)
        if (s->shown.by_class[i] || f1[i] >= 0)
            r[n++] = (struct ranked){i, s->shown.by_class[i]};
    qsort(r, n, sizeof(*r), by_count);
    put_uint(w, "n_classes_seen", n);
    dune_jsonw_key(w, "classes");
    dune_jsonw_arr_inline(w);
    for (uint32_t i = offset; i < n && i - offset < limit; i++) {
        dune_jsonw_arr_inline(w);
        dune_jsonw_uint(w, r[i].id);
        dune_jsonw_big(w, r[i].n);
        if (f1[r[i].id] < 0)
            dune_jsonw_null(w);
        else
            dune_jsonw_fixed(w, f1[r[i].id], 6);
        if (limit > DASH_TOP)
            dune_jsonw_str(w, s->class_name[r[i].id]);
        dune_jsonw_end(w);
    }
    dune_jsonw_end(w);
    dune_mem_free(r);
}

void dash_state_json(const struct dune_dash *dash, const struct dash_scene *s, struct dune_buf *out)
{
    double *per_class = dune_mem_alloc(s->n_classes + 1, sizeof(*per_class));
    struct dune_f1 f = dash_board_f1(&s->shown, DASH_FLOW_LEVEL, NULL, per_class);
    struct dune_f1 p = dash_board_f1(&s->shown, DASH_PACKET_LEVEL, NULL, NULL), win = dash_scene_window(s);
    struct dune_jsonw w;

    dune_jsonw_init(&w, out);
    dune_jsonw_obj(&w);
    dune_jsonw_put_str(&w, "boot", dash->boot);
    put_uint(&w, "scene", s->id);
    put_totals(&w, &s->shown.t, s);
    dune_jsonw_put_str(&w, "text", s->end_text[0] ? s->end_text : NULL);
    dune_jsonw_key(&w, "f1");
    if (s->labels) {
        dune_jsonw_obj(&w);
        put_f1(&w, "overall", &f);
        put_f1(&w, "window", &win);
        put_f1(&w, "packet", &p);
        dune_jsonw_end(&w);
    } else {
        dune_jsonw_null(&w);
    }
    put_classes(&w, s, per_class, 0, DASH_TOP);
    dune_jsonw_key(&w, "devices");
    dune_jsonw_arr(&w);
    for (uint32_t i = 0; i < s->n_devices; i++)
        put_dev(&w, s, i);
    dune_jsonw_end(&w);
    dune_jsonw_end(&w);
    dune_mem_free(per_class);
}

void dash_classes_json(const struct dash_scene *s, uint32_t offset, uint32_t limit, struct dune_buf *out)
{
    double *per_class = dune_mem_alloc(s->n_classes + 1, sizeof(*per_class));
    struct dune_jsonw w;

    dash_board_f1(&s->shown, DASH_FLOW_LEVEL, NULL, per_class);
    dune_jsonw_init(&w, out);
    dune_jsonw_obj(&w);
    put_uint(&w, "n_classes", s->n_classes);
    put_classes(&w, s, per_class, offset, DUNE_MAX(limit, DASH_TOP + 1));
    dune_jsonw_end(&w);
    dune_mem_free(per_class);
}

/* --- the series ----------------------------------------------------------------------------------------------------- */

static const char *const series_names[2][3] = {{"weighted_overall", "micro_overall", "macro_overall"},
                                               {"weighted_inst", "micro_inst", "macro_inst"}};

static void put_value(struct dune_jsonw *w, const struct dash_point *p, int span, int which)
{
    if (p->scored)
        dune_jsonw_fixed(w, p->f1[span][which], 6);
    else
        dune_jsonw_null(w);
}

void dash_point_json(const struct dash_point *p, uint64_t index, struct dune_buf *out)
{
    struct dune_jsonw w;

    dune_jsonw_init(&w, out);
    dune_jsonw_obj_inline(&w);
    put_uint(&w, "i", index);
    dune_jsonw_key(&w, "t"), dune_jsonw_fixed(&w, p->t, 2);
    for (int span = 0; span < 2; span++)
        for (int k = 0; k < 3; k++)
            dune_jsonw_key(&w, series_names[span][k]), put_value(&w, p, span, k);
    dune_jsonw_key(&w, "latency"), dune_jsonw_fixed(&w, (double)p->latency_ns / 1e3, 3);
    dune_jsonw_key(&w, "coverage"), dune_jsonw_fixed(&w, p->coverage, 6);
    dune_jsonw_key(&w, "pps"), dune_jsonw_fixed(&w, p->pps, 1);
    put_uint(&w, "packets", p->packets);
    put_uint(&w, "flows", p->flows);
    dune_jsonw_end(&w);
}

static void put_column(struct dune_jsonw *w, const struct dash_point *p, size_t n, const char *name, int span, int which)
{
    dune_jsonw_key(w, name);
    dune_jsonw_arr_inline(w);
    for (size_t i = 0; i < n; i++) {
        if (which < 3)
            put_value(w, &p[i], span, which);
        else
            dune_jsonw_fixed(w, which == 3   ? p[i].t
                                : which == 4 ? (double)p[i].latency_ns / 1e3
                                : which == 5 ? p[i].coverage
                                             : p[i].pps, 6);
    }
    dune_jsonw_end(w);
}

void dash_series_json(const struct dash_point *p, size_t n, struct dune_buf *out)
{
    struct dune_jsonw w;

    dune_jsonw_init(&w, out);
    dune_jsonw_obj(&w);
    put_column(&w, p, n, "t", 0, 3);
    for (int span = 0; span < 2; span++)
        for (int k = 0; k < 3; k++)
            put_column(&w, p, n, series_names[span][k], span, k);
    put_column(&w, p, n, "latency", 0, 4);
    put_column(&w, p, n, "coverage", 0, 5);
    put_column(&w, p, n, "pps", 0, 6);
    dune_jsonw_key(&w, "packets");
    dune_jsonw_arr_inline(&w);
    for (size_t i = 0; i < n; i++)
        dune_jsonw_big(&w, p[i].packets);
    dune_jsonw_end(&w);
    dune_jsonw_key(&w, "flows");
    dune_jsonw_arr_inline(&w);
    for (size_t i = 0; i < n; i++)
        dune_jsonw_big(&w, p[i].flows);
    dune_jsonw_end(&w);
    dune_jsonw_end(&w);
}

void dash_note_json(const struct dune_dash *dash, struct dune_buf *out)
{
    uint64_t first = dash->n_notes > DASH_NOTES ? dash->n_notes - DASH_NOTES : 0;
    struct dune_jsonw w;

    dune_jsonw_init(&w, out);
    dune_jsonw_obj(&w);
    dune_jsonw_key(&w, "notes");
    dune_jsonw_arr(&w);
    for (uint64_t i = first; i < dash->n_notes; i++) {
        dune_jsonw_obj_inline(&w);
        put_uint(&w, "at_ms", dash->note[i % DASH_NOTES].at_ns / 1000000);
        dune_jsonw_put_str(&w, "text", dash->note[i % DASH_NOTES].text);
        dune_jsonw_end(&w);
    }
    dune_jsonw_end(&w);
    dune_jsonw_end(&w);
}
