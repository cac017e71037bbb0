/* SPDX-License-Identifier: Apache-2.0 */
/* A plan for people: what runs where, and what it costs. */
#include "cli/cli.h"

#include <string.h>

#include "cli/profile_cli.h"
#include "dune/plan_policy.h"

struct config {
    const char *profile;
    bool tables, one_generation;
};

static const struct cli_option options[] = {
    {"tables", 't', CLI_FLAG, offsetof(struct config, tables), NULL, NULL,
     "print every tree beside its table entries"},
    {"profile", 'p', CLI_STR, offsetof(struct config, profile), "NAME", NULL,
     "resources under this device profile only (default: all)"},
    {"one-generation", 0, CLI_FLAG, offsetof(struct config, one_generation), NULL, NULL,
     "count state and tables once, not twice as updates under traffic need"},
};

static const char *const claim_name[] = {"first", "best", "votes"};
static const char *const action_name[] = {"forward", "mark", "steer", "drop", "mirror"};

static const char *class_name(const struct dune_plan *p, uint8_t cls)
{
    return cls == DUNE_PLAN_OTHER ? "Other" : p->cls[cls - 1].name;
}

static void add_class_names(struct dune_buf *b, const struct dune_plan *p,
                            const struct dune_submodel *sm)
{
    for (uint32_t i = 0; i < sm->n_classes; i++)
        dune_buf_printf(b, "%s%s", i ? ", " : "", class_name(p, sm->cls[i]));
}

static void add_feature_names(struct dune_buf *b, const struct dune_submodel *sm)
{
    for (uint32_t j = 0; j < sm->n_feats; j++)
        dune_buf_printf(b, "%s%s", j ? ", " : "", dune_catalog[sm->feat[j].feat].name);
    if (sm->n_feats == 0)
        dune_buf_puts(b, "-");
}

static uint32_t count_leaves(const struct dune_submodel *sm)
{
    uint32_t n = 0;

    for (uint32_t t = 0; t < sm->n_trees; t++)
        n += sm->tree[t].n_leaves;
    return n;
}

/* --- text ----------------------------------------------------------------------------------------
 */

static void print_head(struct cli_ctx *ctx, const struct dune_plan *p)
{
    cli_out(ctx, "%s, generation %u, claim rule %s", p->name, p->generation, claim_name[p->claim]);
    if (p->early_exit < 256)
        cli_out(ctx, ", early exit at %u", p->early_exit);
    if (p->fallback == DUNE_FALLBACK_BEST)
        cli_out(ctx, ", tentative answers as a last resort");
    cli_out(ctx, "\nflow state: %u slots x %u ways, %s, time-out ", p->slots, p->ways,
            p->hash == DUNE_HASH_CRC ? "crc" : "siphash");
    if (p->timeout == DUNE_TIMEOUT_NONE)
        cli_out(ctx, "none\n\n");
    else
        cli_out(ctx, "%.3f s\n\n", (double)p->timeout * 1024e-9);
}

static void print_submodels(struct cli_ctx *ctx, const struct dune_plan *p)
{
    static const char *const heads[] = {"device", ">id",     ">n",      "phase",
                                        ">trees", ">leaves", "classes", "features"};
    struct cli_table t;

    cli_table_init(&t, DUNE_ARRAY_LEN(heads), heads);
    for (uint32_t s = 0; s < p->n_submodels; s++) {
        const struct dune_submodel *sm = &p->sub[s];
        struct dune_buf classes = {0}, features = {0};

        add_class_names(&classes, p, sm);
        add_feature_names(&features, sm);
        cli_table_cell(&t, "%s", p->device[sm->device].name);
        cli_table_cell(&t, "%u", sm->id);
        cli_table_cell(&t, "%u", sm->n);
        cli_table_cell(&t, "%s", dune_mode_name(sm->mode));
        cli_table_cell(&t, "%u", sm->n_trees);
        cli_table_cell(&t, "%u", count_leaves(sm));
        cli_table_cell(&t, "%s", classes.data);
        cli_table_cell(&t, "%s", features.data);
        dune_buf_fini(&classes);
        dune_buf_fini(&features);
    }
    cli_print_table(ctx, &t);
}

/* Only where some class differs from the default. */
static void print_actions(struct cli_ctx *ctx, const struct dune_plan *p)
{
    static const char *const heads[] = {"class", ">min confidence", "action", ">argument"};
    struct cli_table t;
    bool any = false;

    for (uint32_t c = 0; c < p->n_classes; c++)
        any |= p->cls[c].min_confidence || p->cls[c].action != DUNE_ACTION_FORWARD;
    if (!any)
        return;
    cli_table_init(&t, DUNE_ARRAY_LEN(heads), heads);
    for (uint32_t c = 0; c < p->n_classes; c++) {
        const struct dune_plan_class *k = &p->cls[c];

        cli_table_cell(&t, "%s", k->name);
        cli_table_cell(&t, "%u", k->min_confidence);
        cli_table_cell(&t, "%s%s", action_name[k->action], k->action_any ? " (any)" : "");
        cli_table_cell(&t, "%u", k->action_arg);
    }
    cli_out(ctx, "\n");
    cli_print_table(ctx, &t);
}

static const char *entry_gap(uint32_t i)
{
    return i ? ", " : " ";
}

/* Only where there is a filter, or a limit. */
static void print_traffic(struct cli_ctx *ctx, const struct dune_plan *p)
{
    const struct dune_filter *f = &p->filter;
    struct dune_buf b = {0};

    if (f->n_prefixes)
        dune_buf_printf(&b, "looks only at packets from or to");
    for (uint32_t i = 0; i < f->n_prefixes; i++) {
        char text[DUNE_PREFIX_TEXT];

        dune_prefix_format(text, &f->prefix[i]);
        dune_buf_printf(&b, "%s%s", entry_gap(i), text);
    }
    if (f->n_ports)
        dune_buf_printf(&b, "%slooks only at packets from or to port", b.len ? "\n" : "");
    for (uint32_t i = 0; i < f->n_ports; i++) {
        dune_buf_printf(&b, "%s%u", entry_gap(i), f->port[i].lo);
        if (f->port[i].hi != f->port[i].lo)
            dune_buf_printf(&b, "-%u", f->port[i].hi);
    }
    if (f->n_protos)
        dune_buf_printf(&b, "%slooks only at packets of protocol", b.len ? "\n" : "");
    for (uint32_t i = 0; i < f->n_protos; i++)
        dune_buf_printf(&b, "%s%u", entry_gap(i), f->proto[i]);
    if (p->chain_mtu)
        dune_buf_printf(&b, "%spackets that are longer than %u bytes with a shim travel without", b.len ? "\n" : "", p->chain_mtu);
    if (b.len)
        cli_out(ctx, "\n%s\n", b.data);
    dune_buf_fini(&b);
}

static bool is_wanted(const struct config *cfg, const struct dune_profile *prof)
{
    return !cfg->profile || strcmp(cfg->profile, prof->name) == 0;
}

static void add_limit(struct cli_table *t, uint32_t have, uint32_t limit)
{
    if (limit)
        cli_table_cell(t, "%u/%u", have, limit);
    else
        cli_table_cell(t, "%u", have);
}

static void print_devices(struct cli_ctx *ctx, const struct config *cfg, const struct dune_plan *p)
{
    static const char *const heads[] = {"device",      "profile",     ">leaves",    ">features",
                                        ">range rows", ">as ternary", ">code bits", ">published %"};
    struct dune_resources e;
    struct cli_table t;

    cli_table_init(&t, DUNE_ARRAY_LEN(heads), heads);
    for (uint32_t i = 0; i < p->n_devices; i++) {
        dune_resources_estimate(p, i, NULL, cfg->one_generation ? 1 : 2, &e);
        cli_table_cell(&t, "%s", p->device[i].name);
        cli_table_cell(&t, "%s", p->device[i].profile);
        add_limit(&t, e.leaves, p->device[i].budget.leaves_sum);
        add_limit(&t, e.features_distinct, p->device[i].budget.features_distinct);
        cli_table_cell(&t, "%u", e.range_rows);
        cli_table_cell(&t, "%u", e.range_as_ternary_rows);
        cli_table_cell(&t, "%u", e.code_bits);
        cli_table_cell(&t, "%.2f", 100 * e.published_share);
    }
    cli_out(ctx, "\n");
    cli_print_table(ctx, &t);
}

static void add_estimate(struct cli_table *t, const struct dune_plan *p, uint32_t device,
                         const struct dune_profile *prof, uint32_t generations)
{
    struct dune_resources e;

    dune_resources_estimate(p, device, prof, generations, &e);
    cli_table_cell(t, "%s", p->device[device].name);
    cli_table_cell(t, "%s", prof->name);
    cli_table_cell(t, "%u x %u", p->slots, p->ways);
    if (prof->stages) {
        add_limit(t, e.stages, prof->stages);
        add_limit(t, e.tcam_blocks, prof->tcam_blocks);
        add_limit(t, e.sram_blocks, prof->sram_blocks);
        cli_table_cell(t, "-");
    } else {
        for (int c = 0; c < 3; c++)
            cli_table_cell(t, "-");
        cli_table_cell(t, "%.1f", (double)e.software_bytes / 1e6);
    }
    cli_table_cell(t, "%s%s", e.fits ? "yes" : "no: ", e.why);
}

/* What the same sub-models would take on other devices, with state and parser bent to these. */
static void print_profiles(struct cli_ctx *ctx, const struct config *cfg, const struct dune_plan *p)
{
    static const char *const heads[] = {"device", "under profile", ">slots", ">stages",
                                        ">TCAM",  ">SRAM",         ">MB",    "fits"};
    uint32_t generations = cfg->one_generation ? 1 : 2;
    const struct dune_profile *prof;
    struct cli_table t;

    cli_table_init(&t, DUNE_ARRAY_LEN(heads), heads);
    for (size_t k = 0; (prof = dune_profile_at(k)) != NULL; k++) {
        struct dune_plan *bent;

        if (!is_wanted(cfg, prof))
            continue;
        bent = dune_plan_clone(p);
        dune_plan_retarget(bent, prof, generations);
        for (uint32_t i = 0; i < p->n_devices; i++)
            add_estimate(&t, bent, i, prof, generations);
        dune_plan_free(bent);
    }
    cli_out(ctx, "\n");
    cli_print_table(ctx, &t);
}

/* --- tables
 * --------------------------------------------------------------------------------------- */

static void print_leaf(struct cli_ctx *ctx, const struct dune_plan *p,
                       const struct dune_submodel *sm, uint32_t t, uint32_t i)
{
    const struct dune_plan_tree *tr = &sm->tree[t];
    const struct dune_plan_leaf *l = &tr->leaf[i];
    const char *bits = tr->key_bits ? tr->match + (size_t)i * tr->key_bits : NULL;

    cli_out(ctx, "row %u: ", i);
    for (uint32_t j = 0; j < sm->n_feats; j++) {
        uint32_t n = sm->feat[j].n_bits[t];

        if (n == 0)
            continue;
        cli_out(ctx, "%.*s ", (int)n, bits);
        bits += n;
    }
    cli_out(ctx, "-> %s %u", class_name(p, l->cls), l->conf);
    if (l->cls == DUNE_PLAN_OTHER && l->own)
        cli_out(ctx, " (%s %u)", class_name(p, l->own), l->own_conf);
    cli_out(ctx, "\n");
}

static void print_nodes(struct cli_ctx *ctx, const struct dune_plan *p,
                        const struct dune_submodel *sm, uint32_t t)
{
    const struct dune_plan_tree *tr = &sm->tree[t];
    uint32_t *depth = DUNE_NEW_N(uint32_t, tr->n_nodes);

    for (uint32_t i = 0; i < tr->n_nodes; i++) { /* preorder: parents come first */
        const struct dune_node *v = &tr->node[i];

        depth[i] = i ? depth[v->parent] + 1 : 0;
        cli_out(ctx, "%*s", (int)(4 + 2 * DUNE_MIN(depth[i], 40)), "");
        if (v->feat < 0)
            print_leaf(ctx, p, sm, t, v->left);
        else
            cli_out(ctx, "%s <= %u\n", dune_catalog[sm->feat[v->feat].feat].name, v->threshold);
    }
    dune_mem_free(depth);
}

static void print_ranges(struct cli_ctx *ctx, const struct dune_submodel *sm, uint32_t j)
{
    const struct dune_plan_feature *f = &sm->feat[j];

    for (uint32_t r = 0; r < f->n_rows; r++) {
        cli_out(ctx, "  %-14s %10u..%-10u ->", r ? "" : dune_catalog[f->feat].name, f->row[r].lo,
                f->row[r].hi);
        for (uint32_t t = 0; t < sm->n_trees; t++) {
            uint32_t n = f->n_bits[t];

            cli_out(ctx, " %.*s", n ? (int)n : 1, n ? f->code[t] + (size_t)r * n : "-");
        }
        cli_out(ctx, "\n");
    }
}

static void print_tables(struct cli_ctx *ctx, const struct dune_plan *p)
{
    for (uint32_t s = 0; s < p->n_submodels; s++) {
        const struct dune_submodel *sm = &p->sub[s];
        struct dune_buf classes = {0};

        add_class_names(&classes, p, sm);
        cli_out(ctx, "%ssub-model %u on %s: %s; n = %u, %s\n", s ? "\n" : "", sm->id,
                p->device[sm->device].name, classes.data, sm->n, dune_mode_name(sm->mode));
        dune_buf_fini(&classes);
        for (uint32_t j = 0; j < sm->n_feats; j++)
            print_ranges(ctx, sm, j);
        for (uint32_t t = 0; t < sm->n_trees; t++) {
            cli_out(ctx, "  tree %u: %u nodes, %u rows of %u bits\n", t, sm->tree[t].n_nodes,
                    sm->tree[t].n_leaves, sm->tree[t].key_bits);
            print_nodes(ctx, p, sm, t);
        }
    }
}

/* --- JSON
 * ----------------------------------------------------------------------------------------- */

static void put_estimate(struct dune_jsonw *w, const struct dune_plan *p,
                         const struct dune_profile *prof, const struct dune_resources *e)
{
    dune_jsonw_obj_inline(w);
    dune_jsonw_put_str(w, "profile", prof->name);
    dune_jsonw_key(w, "fits");
    dune_jsonw_bool(w, e->fits);
    dune_jsonw_put_str(w, "why", e->fits ? NULL : e->why);
    dune_jsonw_put_uint(w, "slots", p->slots);
    dune_jsonw_put_uint(w, "ways", p->ways);
    dune_jsonw_put_uint(w, "stages", e->stages);
    dune_jsonw_put_uint(w, "tcam_blocks", e->tcam_blocks);
    dune_jsonw_put_uint(w, "sram_blocks", e->sram_blocks);
    dune_jsonw_put_uint(w, "map_rams", e->map_rams);
    dune_jsonw_put_uint(w, "register_bits", e->register_bits);
    dune_jsonw_put_uint(w, "software_bytes", e->software_bytes);
    dune_jsonw_end(w);
}

static void put_device(struct dune_jsonw *w, const struct config *cfg, const struct dune_plan *p,
                       uint32_t i)
{
    const struct dune_profile *prof;
    struct dune_resources e;

    dune_resources_estimate(p, i, NULL, cfg->one_generation ? 1 : 2, &e);
    dune_jsonw_obj(w);
    dune_jsonw_put_str(w, "name", p->device[i].name);
    dune_jsonw_put_str(w, "profile", p->device[i].profile);
    dune_jsonw_put_uint(w, "submodels", e.submodels);
    dune_jsonw_put_uint(w, "leaves", e.leaves);
    dune_jsonw_put_uint(w, "features_distinct", e.features_distinct);
    dune_jsonw_put_uint(w, "published_blocks", e.published_blocks);
    dune_jsonw_key(w, "published_share");
    dune_jsonw_fixed(w, e.published_share, 6);
    dune_jsonw_put_uint(w, "range_rows", e.range_rows);
    dune_jsonw_put_uint(w, "range_as_ternary_rows", e.range_as_ternary_rows);
    dune_jsonw_put_uint(w, "ternary_rows", e.ternary_rows);
    dune_jsonw_put_uint(w, "code_bits", e.code_bits);
    dune_jsonw_put_uint(w, "vote_rows", e.vote_rows);
    dune_jsonw_key(w, "resources");
    dune_jsonw_arr(w);
    for (size_t k = 0; (prof = dune_profile_at(k)) != NULL; k++) {
        struct dune_plan *bent;

        if (!is_wanted(cfg, prof))
            continue;
        bent = dune_plan_clone(p);
        dune_plan_retarget(bent, prof, cfg->one_generation ? 1 : 2);
        dune_resources_estimate(bent, i, prof, cfg->one_generation ? 1 : 2, &e);
        put_estimate(w, bent, prof, &e);
        dune_plan_free(bent);
    }
    dune_jsonw_end(w);
    dune_jsonw_end(w);
}

static void put_submodel(struct dune_jsonw *w, const struct dune_plan *p,
                         const struct dune_submodel *sm)
{
    dune_jsonw_obj(w);
    dune_jsonw_put_uint(w, "id", sm->id);
    dune_jsonw_put_str(w, "device", p->device[sm->device].name);
    dune_jsonw_put_uint(w, "n", sm->n);
    dune_jsonw_put_str(w, "phase", dune_mode_name(sm->mode));
    dune_jsonw_put_uint(w, "trees", sm->n_trees);
    dune_jsonw_put_uint(w, "leaves", count_leaves(sm));
    dune_jsonw_key(w, "classes");
    dune_jsonw_arr_inline(w);
    for (uint32_t i = 0; i < sm->n_classes; i++)
        dune_jsonw_str(w, class_name(p, sm->cls[i]));
    dune_jsonw_end(w);
    dune_jsonw_key(w, "features");
    dune_jsonw_arr_inline(w);
    for (uint32_t j = 0; j < sm->n_feats; j++)
        dune_jsonw_str(w, dune_catalog[sm->feat[j].feat].name);
    dune_jsonw_end(w);
    dune_jsonw_end(w);
}

static void print_json(struct cli_ctx *ctx, const struct config *cfg, const struct dune_plan *p)
{
    struct dune_buf b = {0};
    struct dune_jsonw w;

    dune_jsonw_init(&w, &b);
    dune_jsonw_obj(&w);
    dune_jsonw_put_str(&w, "name", p->name);
    dune_jsonw_put_uint(&w, "generation", p->generation);
    dune_jsonw_put_str(&w, "claim", claim_name[p->claim]);
    dune_jsonw_key(&w, "submodels");
    dune_jsonw_arr(&w);
    for (uint32_t s = 0; s < p->n_submodels; s++)
        put_submodel(&w, p, &p->sub[s]);
    dune_jsonw_end(&w);
    dune_jsonw_key(&w, "devices");
    dune_jsonw_arr(&w);
    for (uint32_t i = 0; i < p->n_devices; i++)
        put_device(&w, cfg, p, i);
    dune_jsonw_end(&w);
    dune_jsonw_end(&w);
    cli_write_json(ctx, &b);
    dune_buf_fini(&b);
}

static int run(struct cli_ctx *ctx, void *config, struct dune_diag *d)
{
    const struct config *cfg = config;
    const struct dune_profile *known;
    struct dune_plan *p = NULL;
    int rc = 0;

    if (cfg->profile)
        rc = cli_profile(&known, cfg->profile, d);
    if (rc == 0)
        rc = dune_plan_read(&p, ctx->args[0], d);
    if (rc)
        return rc;
    if (ctx->json) {
        print_json(ctx, cfg, p);
    } else if (cfg->tables) {
        print_tables(ctx, p);
    } else {
        print_head(ctx, p);
        print_submodels(ctx, p);
        print_actions(ctx, p);
        print_traffic(ctx, p);
        print_devices(ctx, cfg, p);
        print_profiles(ctx, cfg, p);
    }
    dune_plan_free(p);
    return 0;
}

const struct cli_command cmd_show = {
    .name = "show",
    .summary = "what a plan does and what it costs on every kind of device",
    .args = "PLAN.json",
    .min_args = 1,
    .max_args = 1,
    CLI_CONFIG(struct config),
    CLI_OPTIONS(options),
    .description =
        "Sub-models in chain order, what each device holds, and an estimate of stages, TCAM, SRAM "
        "and\n"
        "memory under every device profile (docs/resources.md says how), with slots, hash and\n"
        "parser limits bent to the profile. With --tables every tree is printed beside its range\n"
        "rows and code rows.\n",
    .examples = "dunectl show plan.json\n"
                "dunectl show plan.json --profile tofino1\n"
                "dunectl show plan.json --tables\n",
    .run = run,
};
