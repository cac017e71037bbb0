/* SPDX-License-Identifier: Apache-2.0 */
/* The steps of the published method as notes: importance, scores, blocks, grids, confusion, order. */
#include "baselines/baselines_int.h"

#include <string.h>

#include "base/base.h"
#include "dune/sequence.h"

static void put_names(struct dune_jsonw *w, const char *key, char *const *name, const uint32_t *which, uint32_t n)
{
    dune_jsonw_key(w, key);
    dune_jsonw_arr_inline(w);
    for (uint32_t i = 0; i < n; i++)
        dune_jsonw_str(w, name[which ? which[i] : i]);
    dune_jsonw_end(w);
}

/* The keys of blocks.json. */
static void put_blocks(struct dune_jsonw *w, const struct dune_blocks *b)
{
    dune_jsonw_key(w, "method");
    dune_jsonw_str(w, b->method);
    dune_jsonw_put_double(w, "objective", b->objective);
    dune_jsonw_key(w, "blocks");
    dune_jsonw_arr(w);
    for (uint32_t i = 0; i < b->n_blocks; i++) {
        dune_jsonw_obj(w);
        put_names(w, "classes", b->class_name, b->block[i].cls, b->block[i].n_classes);
        put_names(w, "features", b->feat_name, b->block[i].feat, b->block[i].n_feats);
        dune_jsonw_put_double(w, "gain", b->block[i].gain);
        dune_jsonw_end(w);
    }
    dune_jsonw_end(w);
    dune_jsonw_key(w, "optimal");
    dune_jsonw_bool(w, b->optimal);
    dune_jsonw_put_double(w, "gap", b->gap);
    dune_jsonw_key(w, "levels");
    dune_jsonw_arr_inline(w);
    for (uint32_t i = 0; i < b->n_levels; i++)
        dune_jsonw_double(w, b->level[i]);
    dune_jsonw_end(w);
    put_names(w, "classes", b->class_name, NULL, b->n_classes);
    put_names(w, "features", b->feat_name, NULL, b->n_feats);
}

static void put_row(struct dune_jsonw *w, const double *v, uint32_t n, int decimals)
{
    dune_jsonw_arr_inline(w);
    for (uint32_t i = 0; i < n; i++)
        dune_jsonw_fixed(w, v[i], decimals);
    dune_jsonw_end(w);
}

static void put_importance(struct dune_jsonw *w, const struct dune_importance *im)
{
    dune_jsonw_key(w, "importance");
    dune_jsonw_obj(w);
    put_names(w, "classes", im->class_name, NULL, im->n_classes);
    put_names(w, "features", im->feat_name, NULL, im->n_feats);
    dune_jsonw_key(w, "w");
    dune_jsonw_arr(w);
    for (uint32_t i = 0; i < im->n_classes; i++)
        put_row(w, im->w + (size_t)i * im->n_feats, im->n_feats, 6);
    dune_jsonw_end(w);
    dune_jsonw_end(w);
}

static void put_scores(struct dune_jsonw *w, const struct dune_scores *f)
{
    dune_jsonw_key(w, "scores");
    dune_jsonw_obj(w);
    put_names(w, "classes", f->class_name, NULL, f->n_classes);
    dune_jsonw_key(w, "f1");
    put_row(w, f->f1, f->n_classes, 4);
    dune_jsonw_end(w);
}

static void put_point(struct dune_jsonw *w, const struct dune_grid_point *p, bool chosen)
{
    dune_jsonw_obj_inline(w);
    dune_jsonw_put_uint(w, "trees", p->trees);
    dune_jsonw_put_uint(w, "leaves", p->leaves);
    dune_jsonw_put_uint(w, "n", p->n);
    dune_jsonw_put_uint(w, "features", p->n_feats);
    dune_jsonw_key(w, "macro_f1");
    dune_jsonw_fixed(w, p->macro_f1, 6);
    dune_jsonw_put_uint(w, "published_blocks", p->blocks);
    dune_jsonw_key(w, "score");
    dune_jsonw_fixed(w, p->score, 6);
    dune_jsonw_key(w, "chosen");
    dune_jsonw_bool(w, chosen);
    dune_jsonw_end(w);
}

/* The points no other one beats, and the chosen one. */
static void put_grid(struct dune_jsonw *w, unsigned id, const struct dune_grid *g)
{
    dune_jsonw_obj(w);
    dune_jsonw_put_uint(w, "id", id);
    dune_jsonw_put_uint(w, "points", g->n_points);
    dune_jsonw_put_uint(w, "skipped", g->skipped);
    dune_jsonw_key(w, "pareto");
    dune_jsonw_arr(w);
    for (size_t i = 0; i < g->n_points; i++)
        if (g->point[i].pareto || i == g->best)
            put_point(w, &g->point[i], i == g->best);
    dune_jsonw_end(w);
    dune_jsonw_end(w);
}

static void put_order(struct dune_jsonw *w, const struct dune_paper_steps *s)
{
    dune_jsonw_key(w, "confusion");
    dune_jsonw_arr(w);
    for (unsigned i = 0; i < s->n; i++)
        put_row(w, s->confusion + (size_t)i * s->n, s->n, 3);
    dune_jsonw_end(w);
    dune_jsonw_key(w, "block_f1");
    put_row(w, s->f1, s->n, 4);
    dune_jsonw_key(w, "order");
    dune_jsonw_arr_inline(w);
    for (unsigned i = 0; i < s->n; i++)
        dune_jsonw_uint(w, s->order->order[i]);
    dune_jsonw_end(w);
    dune_jsonw_put_double(w, "order_cost", s->order->objective);
    dune_jsonw_key(w, "order_ties");
    dune_jsonw_big(w, s->order->ties);
}

char *dune_paper_notes(const struct dune_paper_steps *s)
{
    struct dune_buf b = {0};
    struct dune_jsonw w;

    dune_jsonw_init(&w, &b);
    dune_jsonw_obj(&w);
    put_blocks(&w, s->blocks);
    put_importance(&w, s->w);
    put_scores(&w, s->f);
    dune_jsonw_key(&w, "submodels");
    dune_jsonw_arr(&w);
    for (unsigned i = 0; i < s->n; i++)
        put_grid(&w, i, &s->sub[i].grid);
    dune_jsonw_end(&w);
    put_order(&w, s);
    dune_jsonw_end(&w);
    return b.data;
}
