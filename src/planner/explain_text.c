/* SPDX-License-Identifier: Apache-2.0 */
/* The notes of a choice as text for people. */
#include <jansson.h>
#include <string.h>

#include "base/base.h"
#include "dune/planner.h"

static double number(const json_t *o, const char *key)
{
    return json_number_value(json_object_get(o, key));
}

static const char *text(const json_t *o, const char *key)
{
    const char *s = json_string_value(json_object_get(o, key));

    return s ? s : "-";
}

/* The strings of a list with commas between. */
static void put_names(struct dune_buf *out, const json_t *list)
{
    size_t i;
    const json_t *v;

    json_array_foreach(list, i, v)
        dune_buf_printf(out, "%s%s", i ? ", " : "", json_string_value(v) ? json_string_value(v) : "?");
    dune_buf_puts(out, "\n");
}

static void put_block(struct dune_buf *out, const json_t *b, bool alone)
{
    const json_t *set = json_object_get(b, "settings"), *r;
    size_t i;

    dune_buf_printf(out, "\nsub-model %.0f: ", number(b, "id"));
    put_names(out, json_object_get(b, "classes"));
    dune_buf_puts(out, "  features: ");
    put_names(out, json_object_get(b, "features"));
    dune_buf_printf(out, "  %.0f leaves, n = %.0f (%s), class weights ^-%.2f\n", number(b, "leaves"),
                    number(set, "n"), text(set, "phase"), number(set, "balance"));
    if (!alone)
        dune_buf_printf(out, "  worth %.1f points: without it the chain has %.4f\n", 100 * number(b, "worth"),
                        number(b, "macro_without"));
    json_array_foreach(json_object_get(b, "resolves"), i, r)
        dune_buf_printf(out, "  resolves %s taken for %s: %.1f flows on one device, %.1f now\n",
                        text(r, "class"), text(r, "taken_for"), number(r, "one_device_flows"),
                        number(r, "flows"));
}

static void put_features(struct dune_buf *out, const json_t *root)
{
    const json_t *f;
    size_t i;

    dune_buf_puts(out, "\nfeature use (share of the impurity decrease):\n");
    json_array_foreach(json_object_get(root, "features"), i, f)
        dune_buf_printf(out, "  %5.1f %%  %-16s in %zu sub-models\n", 100 * number(f, "share"),
                        text(f, "feature"), json_array_size(json_object_get(f, "blocks")));
}

static void put_classes(struct dune_buf *out, const json_t *root)
{
    const json_t *c;
    size_t i;

    dune_buf_printf(out, "\n%9s %9s %9s %9s %9s  class\n", "flows", "precision", "recall", "F1", "F1 of one");
    json_array_foreach(json_object_get(root, "classes"), i, c)
        dune_buf_printf(out, "%9.0f %9.3f %9.3f %9.3f %9.3f  %s\n", number(c, "flows"), number(c, "precision"),
                        number(c, "recall"), number(c, "f1"), number(c, "f1_one_device"), text(c, "class"));
}

static void put_learning(struct dune_buf *out, const json_t *root)
{
    const json_t *p;
    size_t i;

    dune_buf_puts(out, "\nmacro F1 by share of the training flows:");
    json_array_foreach(json_object_get(root, "learning_curve"), i, p)
        dune_buf_printf(out, "%s %.0f %%: %.4f", i ? "," : "", 100 * number(p, "share"), number(p, "macro"));
    dune_buf_puts(out, "\n");
}

static void put_candidates(struct dune_buf *out, const json_t *root)
{
    const json_t *c;
    size_t i;

    json_array_foreach(json_object_get(root, "candidates"), i, c) {
        dune_buf_printf(out, "  %s%s (%.0f sub-models): %.4f", json_is_true(json_object_get(c, "taken")) ? "* " : "  ",
                        text(c, "candidate"), number(c, "submodels"), number(c, "macro"));
        if (i)
            dune_buf_printf(out, ", %+.1f points over one device (standard error %.1f)", 100 * number(c, "gain"),
                            100 * number(c, "standard_error"));
        if (json_object_get(c, "barred"))
            dune_buf_printf(out, "; %s", text(c, "barred"));
        dune_buf_puts(out, "\n");
    }
}

static void put_work(struct dune_buf *out, const json_t *w)
{
    if (number(w, "submodels") > 1)
        dune_buf_printf(out, "a packet asks %.2f of %.0f sub-models (early_exit %.0f)\n", number(w, "submodels_asked"),
                        number(w, "submodels"), number(w, "early_exit"));
}

static void put_shortcuts(struct dune_buf *out, const json_t *root)
{
    const json_t *r;
    size_t i;

    dune_buf_puts(out, "\nwithout features that may be shortcuts (same blocks, fitted again):\n");
    json_array_foreach(json_object_get(root, "shortcuts"), i, r)
        dune_buf_printf(out, "  %-16s %.4f (%+.1f)\n", text(r, "features"), number(r, "macro"),
                        100 * number(r, "change"));
}

static void put_open_world(struct dune_buf *out, const json_t *open)
{
    const json_t *reached = json_object_get(open, "reached"), *c;
    size_t i;

    if (reached)
        dune_buf_printf(out, "\nwanted precision %.3f: %.3f on folds it was not chosen on, at coverage %.3f\n",
                        number(open, "wanted_precision"), number(reached, "precision"),
                        number(reached, "coverage"));
    if (json_array_size(json_object_get(open, "left_out")))
        dune_buf_puts(out, "\nclaimed although nobody learnt it:\n");
    json_array_foreach(json_object_get(open, "left_out"), i, c)
        dune_buf_printf(out, "  %5.1f %% of %s, mostly as %s\n", 100 * number(c, "false_claims"),
                        text(c, "class"), text(c, "mostly_as"));
}

int dune_explain_text(const char *notes, struct dune_buf *out, struct dune_diag *d)
{
    json_error_t err;
    json_t *root = json_loads(notes, 0, &err);
    const json_t *dist = json_object_get(root, "distribution"), *score = json_object_get(root, "score"), *b;
    const json_t *blocks = json_object_get(root, "blocks");
    const json_t *flows = json_object_get(root, "flows");
    size_t i;

    if (!root || !dist || !json_is_array(blocks)) {
        json_decref(root);
        return dune_diag_set(d, DUNE_E_INPUT, NULL, "these are not the notes of the planner's own choice");
    }
    dune_buf_printf(out, "%s\n", text(dist, "verdict"));
    dune_buf_printf(out, "out of fold: macro F1 %.4f, weighted %.4f, micro %.4f, coverage %.4f\n",
                    number(score, "macro"), number(score, "weighted"), number(score, "micro"),
                    number(score, "coverage"));
    if (number(flows, "searched") < number(flows, "train"))
        dune_buf_printf(out, "chosen on %.0f of %.0f training flows, fitted to all\n", number(flows, "searched"),
                        number(flows, "train"));
    put_candidates(out, root);
    put_work(out, json_object_get(root, "work"));
    json_array_foreach(blocks, i, b)
        put_block(out, b, json_array_size(blocks) == 1);
    put_features(out, root);
    put_classes(out, root);
    put_shortcuts(out, root);
    put_learning(out, root);
    put_open_world(out, json_object_get(root, "open_world"));
    json_decref(root);
    return 0;
}

int dune_explain_curve_csv(const char *notes, struct dune_buf *out, struct dune_diag *d)
{
    json_t *root = json_loads(notes, 0, NULL);
    const json_t *curve = json_object_get(json_object_get(root, "open_world"), "curve"), *p;
    size_t i;

    if (!json_is_array(curve)) {
        json_decref(root);
        return dune_diag_set(d, DUNE_E_INPUT, NULL, "these notes have no curve of coverage against precision");
    }
    dune_buf_puts(out, "min_confidence,coverage,precision,macro,false_claims\n");
    json_array_foreach(curve, i, p) {
        dune_buf_printf(out, "%.0f,%.4f,%.4f,%.4f,", number(p, "min_confidence"), number(p, "coverage"),
                        number(p, "precision"), number(p, "macro"));
        if (json_object_get(p, "false_claims"))
            dune_buf_printf(out, "%.4f", number(p, "false_claims"));
        dune_buf_puts(out, "\n");
    }
    json_decref(root);
    return 0;
}
