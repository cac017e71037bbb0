/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Scores of a replay. A packet weighs 1 at packet level and 1/len of its flow at flow level; the
 * integer shares of a flow's packets add up to DUNE_WEIGHT_ONE exactly. Sums are integers.
 */
#include "experiment/replay_int.h"

#include <stdlib.h>
#include <string.h>

#define DRAW_WORK 50000000u /* votes x draws of the bootstrap at most */

static int by_name(const void *a, const void *b)
{
    return strcmp(*(char *const *)a, *(char *const *)b);
}

static uint32_t class_index(const struct rp_score *s, const char *name)
{
    char **at = bsearch(&name, s->class_name, s->n_classes, sizeof(*s->class_name), by_name);

    return (uint32_t)(at - s->class_name);
}

/* The union of the names, so that a class only one side knows still has its row or column. */
char **dune_rp_class_list(const struct dune_labels *l, const struct dune_plan *p, const char *unlabelled, uint32_t *n)
{
    uint32_t n_labels = dune_labels_n_classes(l), total = 0, kept = 0;
    char **name = dune_mem_alloc((size_t)n_labels + p->n_classes + 1, sizeof(*name));

    for (uint32_t i = 0; i < n_labels; i++)
        name[total++] = dune_mem_strdup(dune_labels_class(l, i));
    for (uint32_t i = 0; i < p->n_classes; i++)
        name[total++] = dune_mem_strdup(p->cls[i].name);
    if (unlabelled)
        name[total++] = dune_mem_strdup(unlabelled);
    qsort(name, total, sizeof(*name), by_name);
    for (uint32_t i = 0; i < total; i++) {
        if (kept && strcmp(name[kept - 1], name[i]) == 0)
            dune_mem_free(name[i]);
        else
            name[kept++] = name[i];
    }
    *n = kept;
    return name;
}

static bool counts(const struct dune_replay_opts *o, const char *name)
{
    bool found = !o->classes;

    for (uint32_t i = 0; i < o->n_classes && !found; i++)
        found = strcmp(o->classes[i], name) == 0;
    return found;
}

void dune_rp_score_init(struct rp_score *s, const struct dune_plan *p, const struct dune_replay_opts *o)
{
    memset(s, 0, sizeof(*s));
    s->class_name = dune_rp_class_list(o->labels, p, o->unlabelled, &s->n_classes);
    s->n_labels = dune_labels_n_classes(o->labels);
    s->of_label = dune_mem_alloc((size_t)s->n_labels + 1, sizeof(*s->of_label));
    s->of_label[s->n_labels] = o->unlabelled ? class_index(s, o->unlabelled) : UINT32_MAX;
    for (uint32_t i = 0; i < s->n_labels; i++) {
        const char *name = dune_labels_class(o->labels, i);

        s->of_label[i] = counts(o, name) ? class_index(s, name) : s->of_label[s->n_labels];
    }
    for (uint32_t c = 0; c < 256; c++)
        s->of_plan[c] = UINT32_MAX;
    for (uint32_t i = 0; i < p->n_classes; i++)
        s->of_plan[i + 1] = class_index(s, p->cls[i].name);
}

void dune_rp_score_fini(struct rp_score *s)
{
    for (uint32_t i = 0; s->class_name && i < s->n_classes; i++)
        dune_mem_free(s->class_name[i]);
    dune_mem_free(s->class_name);
    dune_mem_free(s->of_label);
    DUNE_VEC_FREE(&s->now);
    for (int level = 0; level < 2; level++) {
        DUNE_VEC_FREE(&s->by_flow[level]);
        DUNE_VEC_FREE(&s->by_capture[level]);
    }
    memset(s, 0, sizeof(*s));
}

static void add_share(struct rp_share *s, const struct dune_verdict *v, uint64_t w)
{
    bool answered = v->inferable && (v->answered || v->conf || v->flags & DUNE_SHIM_FL);

    s->total += w;
    if (!answered)
        s->none += w;
    else if (v->flags & DUNE_SHIM_FL)
        s->fl += w;
    else
        s->pl += w;
    s->collision += v->flags & DUNE_SHIM_COLLISION ? w : 0;
}

void dune_rp_score_add(struct rp_score *s, uint64_t flow, uint64_t pos, uint64_t len, uint32_t truth,
                       const struct dune_verdict *v)
{
    uint64_t w = DUNE_WEIGHT_ONE * pos / len - DUNE_WEIGHT_ONE * (pos - 1) / len;
    struct rp_vote vote = {flow, truth, s->of_plan[v->cls], w, 1};

    add_share(&s->flow, v, w);
    add_share(&s->packet, v, 1);
    if (v->inferable && v->cls) {
        s->decided[v->submodel].right += vote.pred == truth ? w : 0;
        s->decided[v->submodel].wrong += vote.pred == truth ? 0 : w;
    }
    DUNE_VEC_PUSH(&s->now, vote);
}

static int by_flow(const void *a, const void *b)
{
    const struct rp_vote *x = a, *y = b;

    if (x->flow != y->flow)
        return x->flow < y->flow ? -1 : 1;
    return (x->pred > y->pred) - (x->pred < y->pred);
}

static int by_cell(const void *a, const void *b)
{
    const struct rp_vote *x = a, *y = b;

    if (x->truth != y->truth)
        return x->truth < y->truth ? -1 : 1;
    return (x->pred > y->pred) - (x->pred < y->pred);
}

/* Adds up neighbours of sorted votes that compare equal. */
static void merge(struct rp_score *s, int (*cmp)(const void *, const void *))
{
    struct rp_vote *v = s->now.data;
    size_t n = 0;

    qsort(v, s->now.len, sizeof(*v), cmp);
    for (size_t i = 0; i < s->now.len; i++) {
        if (n && cmp(&v[n - 1], &v[i]) == 0) {
            v[n - 1].w += v[i].w;
            v[n - 1].packets += v[i].packets;
        } else {
            v[n++] = v[i];
        }
    }
    s->now.len = n;
}

static void push(rp_dune_votes *to, const struct rp_vote *v, uint32_t group)
{
    struct dune_vote flow = {.group = group, .truth = v->truth, .pred = v->pred, .w = v->w};
    struct dune_vote packet = flow;

    packet.w = v->packets;
    if (flow.w)
        DUNE_VEC_PUSH(&to[0], flow);
    DUNE_VEC_PUSH(&to[1], packet);
}

void dune_rp_score_end_capture(struct rp_score *s)
{
    if (s->now.len == 0)
        return;
    merge(s, by_flow);
    for (size_t i = 0; i < s->now.len; i++) {
        if (i == 0 || s->now.data[i].flow != s->now.data[i - 1].flow)
            s->n_flows++;
        push(s->by_flow, &s->now.data[i], s->n_flows - 1);
    }
    merge(s, by_cell);
    for (size_t i = 0; i < s->now.len; i++)
        push(s->by_capture, &s->now.data[i], s->n_captures);
    s->n_captures++;
    s->now.len = 0;
}

static double share(uint64_t part, uint64_t total)
{
    return total ? (double)part / (double)total : 0;
}

static void finish_level(const struct rp_score *s, int level, struct dune_replay *r, unsigned draws,
                         uint64_t seed)
{
    struct dune_replay_level *out = level ? &r->packet : &r->flow;
    const struct rp_share *sh = level ? &s->packet : &s->flow;
    const rp_dune_votes *votes = s->n_captures < 4 ? &s->by_flow[level] : &s->by_capture[level];
    uint64_t most = DRAW_WORK / (votes->len + r->bootstrap_groups + 1);

    dune_confusion_init(&out->confusion, s->n_classes);
    for (size_t i = 0; i < votes->len; i++)
        dune_confusion_add(&out->confusion, votes->data[i].truth, votes->data[i].pred,
                           votes->data[i].w);
    out->cls = DUNE_NEW_N(struct dune_class_score, s->n_classes);
    out->f1 = dune_f1_score(&out->confusion, level ? 1 : DUNE_WEIGHT_ONE, out->cls);
    draws = DUNE_MIN(draws, (unsigned)DUNE_MAX(most, 100));
    out->macro = dune_f1_bootstrap_votes(votes->data, votes->len, NULL, 0, s->n_classes,
                                         r->bootstrap_groups, draws, seed);
    out->pl = share(sh->pl, sh->total);
    out->fl = share(sh->fl, sh->total);
    out->none = share(sh->none, sh->total);
    out->collision = share(sh->collision, sh->total);
}

void dune_rp_score_finish(struct rp_score *s, struct dune_replay *r, unsigned draws, uint64_t seed)
{
    r->scored = true;
    r->flows = s->n_flows;
    r->bootstrap_over = s->n_captures < 4 ? "flows" : "captures";
    r->bootstrap_groups = s->n_captures < 4 ? s->n_flows : s->n_captures;
    finish_level(s, 0, r, draws, seed);
    finish_level(s, 1, r, draws, seed);
    r->n_classes = s->n_classes;
    r->class_name = s->class_name;
    memcpy(r->decided, s->decided, sizeof(r->decided));
    s->class_name = NULL;
}
