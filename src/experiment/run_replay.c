/* SPDX-License-Identifier: Apache-2.0 */
/* Test captures through a plan, with one confusion per capture for intervals of differences. */
#include <stdlib.h>
#include <string.h>

#include "experiment/experiment_int.h"
#include "experiment/replay_int.h"

enum { MAX_GROUPS = 512, FLOW_GROUPS = 200 };

/* Accumulates flow-level confusion by capture and, in case there are too few captures, by flow. */
struct grouping {
    uint32_t n_classes;
    uint16_t to_list[DUNE_MAX_CLASSES + 1]; /* plan class id -> index in the class list */
    const char *last_file, *last_capture;
    uint64_t n_captures;
    struct dune_confusion by_capture[MAX_GROUPS];
    struct dune_confusion by_flow[FLOW_GROUPS];
};

static struct grouping *grouping_new(const struct dune_labels *l, const struct dune_plan *p, const char *unlabelled)
{
    struct grouping *g = DUNE_NEW(struct grouping);
    char **name = dune_rp_class_list(l, p, unlabelled, &g->n_classes);

    for (uint32_t c = 0; c < p->n_classes; c++)
        for (uint32_t i = 0; i < g->n_classes; i++)
            if (strcmp(name[i], p->cls[c].name) == 0)
                g->to_list[c + 1] = (uint16_t)i;
    for (uint32_t i = 0; i < g->n_classes; i++)
        dune_mem_free(name[i]);
    dune_mem_free(name);
    for (int i = 0; i < MAX_GROUPS; i++)
        dune_confusion_init(&g->by_capture[i], g->n_classes);
    for (int i = 0; i < FLOW_GROUPS; i++)
        dune_confusion_init(&g->by_flow[i], g->n_classes);
    return g;
}

static void grouping_free(struct grouping *g)
{
    for (int i = 0; i < MAX_GROUPS; i++)
        dune_confusion_fini(&g->by_capture[i]);
    for (int i = 0; i < FLOW_GROUPS; i++)
        dune_confusion_fini(&g->by_flow[i]);
    dune_mem_free(g);
}

static void on_packet(void *ctx, const struct dune_replay_packet *p)
{
    struct grouping *g = ctx;
    bool claimed = p->verdict->inferable && p->verdict->cls != 0;
    uint32_t pred = claimed ? g->to_list[p->verdict->cls] : g->n_classes;
    uint64_t w;

    if (p->file != g->last_file || p->capture != g->last_capture) {
        g->last_file = p->file;
        g->last_capture = p->capture;
        g->n_captures++;
    }
    if (p->flow == DUNE_NO_FLOW || p->truth >= g->n_classes)
        return;
    w = DUNE_WEIGHT_ONE / p->flow_len;
    dune_confusion_add(&g->by_capture[(g->n_captures - 1) % MAX_GROUPS], p->truth, pred, w ? w : 1);
    dune_confusion_add(&g->by_flow[dune_mix64(p->flow, 11) % FLOW_GROUPS], p->truth, pred, w ? w : 1);
}

static void take_groups(struct dune_run *r, struct dune_run_solution *s, struct grouping *g)
{
    struct dune_confusion *from = g->n_captures >= 4 ? g->by_capture : g->by_flow;

    r->groups_are_captures = g->n_captures >= 4;
    r->n_groups = r->groups_are_captures ? (uint32_t)DUNE_MIN(g->n_captures, MAX_GROUPS) : FLOW_GROUPS;
    s->group = DUNE_NEW_N(struct dune_confusion, r->n_groups);
    for (uint32_t i = 0; i < r->n_groups; i++) {
        s->group[i] = from[i];
        memset(&from[i], 0, sizeof(from[i]));
    }
}

/* Without test captures, the flows of the data set's test split, in the captures of train. */
static uint8_t *test_flows(const struct dune_dataset *ds)
{
    uint8_t *use = dune_mem_alloc(ds->n_flows, 1);

    for (uint64_t f = 0; f < ds->n_flows; f++)
        use[f] = ds->flow_split[f] == DUNE_SPLIT_TEST;
    return use;
}

int dune_run_replay(struct dune_run *r, struct dune_run_solution *s, const char *dir, const struct dune_run_inputs *in,
                    const struct dune_run_opts *o, struct dune_diag *d)
{
    const char *unlabelled = r->e->unlabelled;
    struct grouping *g = grouping_new(in->labels, s->plan, unlabelled);
    const struct dune_paths *paths = in->test.len ? &in->test : &in->train;
    uint8_t *use = in->test.len ? NULL : test_flows(r->ds);
    char *verdicts = o->verdicts ? dune_mem_printf("%s/verdicts/%s.csv", dir, s->label) : NULL;
    struct dune_replay_opts ro = {.engine = o->engine, .labels = in->labels, .captures = in->captures,
                                  .unlabelled = unlabelled, .classes = r->ds->class_name,
                                  .n_classes = r->ds->n_classes, .flow_use = use, .n_flow_use = r->ds->n_flows,
                                  .verdicts_path = verdicts, .seed = r->e->seed,
                                  .on_packet = on_packet, .on_packet_ctx = g};
    int rc;

    if (o->before_replay)
        o->before_replay(o->before_replay_ctx, s->plan, s->label, (const char *const *)paths->data, paths->len, &ro);
    rc = dune_replay_run(&s->replay, s->plan, (const char *const *)paths->data, paths->len, &ro, d);

    if (rc == 0)
        take_groups(r, s, g);
    grouping_free(g);
    dune_mem_free(verdicts);
    dune_mem_free(use);
    return rc;
}

struct dune_interval dune_run_difference(const struct dune_run *r, size_t a, size_t b)
{
    return dune_f1_bootstrap(r->sol[a].group, r->sol[b].group, r->n_groups, 1000, r->e->seed);
}
