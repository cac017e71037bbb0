/* SPDX-License-Identifier: Apache-2.0 */
#include "cli/labels_cli.h"

#include <string.h>

#include "dune/dataset.h"

struct config {
    const char *labels, *captures, *split, *max_n, *timeout, *unlabelled, *gateway, *label_field;
    const char *csv, *features, *out;
    struct cli_list test;
    uint32_t n, min_flows;
    unsigned phase; /* enum dune_mode */
    bool mark;
};

#define PHASES "running|published|packet|flow"

static const struct cli_option options[] = {
    {"labels", 'l', CLI_STR, offsetof(struct config, labels), "FILE|ndpi", NULL,
     "labels by MAC, 5-tuple, prefix, file, of a published data set, a log of Zeek or Suricata, or what nDPI "
     "says: ndpi, ndpi-protocol, ndpi-category", true},
    CLI_MIN_FLOWS(offsetof(struct config, min_flows)),
    {"captures", 0, CLI_STR, offsetof(struct config, captures), "FILE", NULL,
     "list of the captures that lie one after another in the files"},
    {"test", 0, CLI_LIST, offsetof(struct config, test), "PCAP", NULL,
     "a file, directory or glob of the test split"},
    {"split", 0, CLI_STR, offsetof(struct config, split), "captures|time:SHARE", NULL,
     "cut the test split from the files: the latest quarter of the captures of each class, or the "
     "latest flows beyond a share (time:0.7)"},
    {"max-n", 0, CLI_STR, offsetof(struct config, max_n), "N|all", "4", "packets kept per flow"},
    {"timeout", 0, CLI_STR, offsetof(struct config, timeout), "SECONDS|none", "60",
     "idle time that ends a flow"},
    {"unlabelled", 0, CLI_STR, offsetof(struct config, unlabelled), "drop|CLASS", "drop",
     "what becomes of flows without a label"},
    {"label-field", 0, CLI_STR, offsetof(struct config, label_field), "NAME", NULL,
     "log of Zeek or Suricata: the field that is the class (service; app_proto, alert.category ...)"},
    {"gateway", 0, CLI_STR, offsetof(struct config, gateway), "MAC", NULL,
     "UNSW device list: the gateway whose packets to a device count"},
    {"csv", 0, CLI_STR, offsetof(struct config, csv), "FILE", NULL, "also write the rows of a view as CSV"},
    {"mark-validation", 0, CLI_FLAG, offsetof(struct config, mark), NULL, NULL,
     "--csv: rows of the part of train that models are judged on get the split validation"},
    {"n", 0, CLI_U32, offsetof(struct config, n), "N", "3", "inference point of the view", false, 1, 0},
    {"phase", 0, CLI_CHOICE, offsetof(struct config, phase), PHASES, "running",
     "how packets before packet n see flow features"},
    {"features", 0, CLI_STR, offsetof(struct config, features), "LIST", "all",
     "sets and names of the view's features, -NAME removes"},
    {"output", 'o', CLI_STR, offsetof(struct config, out), "FILE", NULL, "the data set"},
};

/* What the command holds while it runs. */
struct work {
    struct dune_inputs in;
    struct dune_labels *labels;
    struct dune_captures *captures;
    struct dune_extract_opts opts;
    struct dune_extract_report report;
    struct dune_dataset *ds;
    struct dune_view view;
    struct dune_ndpi_report ndpi;
};

/* --- options ------------------------------------------------------------------------------------- */

static int parse_max_n(const char *text, uint32_t *out, struct dune_diag *d)
{
    uint64_t v;

    if (strcmp(text, "all") == 0) {
        *out = UINT32_MAX;
        return 0;
    }
    if (!dune_parse_u64(text, &v) || v < 1 || v >= UINT32_MAX)
        return dune_diag_set(d, DUNE_E_USAGE, NULL, "--max-n wants a number from 1 on or all, not \"%s\"",
                             text);
    *out = (uint32_t)v;
    return 0;
}

static int parse_options(struct cli_ctx *ctx, const struct config *cfg, struct work *w,
                         struct dune_diag *d)
{
    int rc;

    if (!cfg->out && !cfg->csv)
        return dune_diag_set(d, DUNE_E_USAGE, NULL, "nothing to write: give -o FILE, --csv FILE or both");
    if (!cfg->csv && (cfg->mark || cli_given(ctx, "n") || cli_given(ctx, "phase") || cli_given(ctx, "features")))
        return dune_diag_set(d, DUNE_E_USAGE, NULL,
                             "--n, --phase, --features and --mark-validation are about the rows of --csv: give --csv FILE");
    w->opts.threads = ctx->threads;
    w->opts.min_flows = cli_given(ctx, "min-flows") ? cfg->min_flows : cli_default_min_flows(cfg->labels);
    w->opts.unlabelled = strcmp(cfg->unlabelled, "drop") ? cfg->unlabelled : NULL;
    w->view = (struct dune_view){.n = cfg->n, .mode = (enum dune_mode)cfg->phase};
    rc = parse_max_n(cfg->max_n, &w->opts.max_n, d);
    if (rc == 0 && cfg->csv && w->view.mode != DUNE_MODE_PACKET && cfg->n > w->opts.max_n)
        rc = dune_diag_set(d, DUNE_E_USAGE, NULL, "--n %u needs --max-n %u or more", cfg->n, cfg->n);
    if (rc == 0 && cfg->split)
        rc = dune_split_parse(cfg->split, &w->opts, d);
    if (rc == 0)
        rc = dune_timeout_parse(cfg->timeout, &w->opts.timeout, d);
    if (rc == 0)
        rc = dune_feature_set_parse(cfg->features,
                                    w->view.mode == DUNE_MODE_PACKET ? 0 : DUNE_MIN(cfg->n, DUNE_KTH_MAX),
                                    &w->view.features, d);
    return rc;
}

static int find_inputs(struct cli_ctx *ctx, const struct config *cfg, struct dune_inputs *in,
                       struct dune_diag *d)
{
    int rc = 0;

    for (int i = 0; i < ctx->n_args && rc == 0; i++)
        rc = dune_inputs_add_tree(in, ctx->args[i], d);
    for (size_t i = 0; i < cfg->test.len && rc == 0; i++)
        rc = dune_inputs_add(in, cfg->test.data[i], DUNE_SPLIT_TEST, d);
    return rc ? rc : dune_inputs_check(in, d);
}

/* --- report -------------------------------------------------------------------------------------- */

struct class_count {
    uint64_t flows[2], packets[2];
};

static struct class_count *count_classes(const struct dune_dataset *ds)
{
    struct class_count *n = DUNE_NEW_N(struct class_count, ds->n_classes);

    for (uint64_t f = 0; f < ds->n_flows; f++) {
        n[ds->flow_class[f]].flows[ds->flow_split[f]]++;
        n[ds->flow_class[f]].packets[ds->flow_split[f]] += ds->flow_len[f];
    }
    return n;
}

static void json_classes(struct dune_jsonw *w, const struct dune_dataset *ds)
{
    static const char *const split[] = {"train", "test"};
    struct class_count *n = count_classes(ds);

    dune_jsonw_key(w, "classes");
    dune_jsonw_arr(w);
    for (uint32_t c = 0; c < ds->n_classes; c++) {
        dune_jsonw_obj_inline(w);
        dune_jsonw_key(w, "class");
        dune_jsonw_str(w, ds->class_name[c]);
        for (int s = 0; s < 2; s++) {
            dune_jsonw_key(w, split[s]);
            dune_jsonw_obj(w);
            dune_jsonw_put_uint(w, "flows", n[c].flows[s]);
            dune_jsonw_put_uint(w, "packets", n[c].packets[s]);
            dune_jsonw_end(w);
        }
        dune_jsonw_end(w);
    }
    dune_jsonw_end(w);
    dune_mem_free(n);
}

static void print_json(struct cli_ctx *ctx, const struct config *cfg, const struct work *wk)
{
    const struct dune_extract_report *r = &wk->report;
    struct dune_buf b = {0};
    struct dune_jsonw w;

    dune_jsonw_init(&w, &b);
    dune_jsonw_obj(&w);
    dune_jsonw_put_uint(&w, "files", wk->in.len);
    dune_jsonw_put_uint(&w, "captures", wk->ds->n_captures);
    dune_jsonw_put_uint(&w, "packets", r->packets);
    dune_jsonw_put_uint(&w, "bytes", r->bytes);
    dune_jsonw_key(&w, "reasons");
    dune_jsonw_obj(&w);
    for (int i = 0; i < DUNE_N_REASONS; i++)
        dune_jsonw_put_uint(&w, dune_reason_name((enum dune_reason)i), r->by_reason[i]);
    dune_jsonw_end(&w);
    dune_jsonw_put_uint(&w, "labelled", r->labelled);
    dune_jsonw_put_uint(&w, "unlabelled", r->unlabelled);
    dune_jsonw_put_uint(&w, "conflicts", r->conflicts);
    dune_jsonw_put_uint(&w, "flow_label_changes", r->flow_label_changes);
    dune_jsonw_put_uint(&w, "snapped", r->snapped);
    dune_jsonw_put_uint(&w, "backwards", r->backwards);
    dune_jsonw_put_uint(&w, "flows", r->flows);
    dune_jsonw_put_uint(&w, "unlabelled_flows", r->unlabelled_flows);
    dune_jsonw_put_uint(&w, "rare_classes", r->rare_classes);
    dune_jsonw_put_uint(&w, "rare_flows", r->rare_flows);
    cli_ndpi_json(&w, &wk->ndpi);
    dune_jsonw_put_uint(&w, "kept_flows", wk->ds->n_flows);
    dune_jsonw_put_uint(&w, "rows", wk->ds->n_rows);
    json_classes(&w, wk->ds);
    dune_jsonw_key(&w, "hash");
    dune_jsonw_str(&w, wk->ds->hash);
    dune_jsonw_key(&w, "output");
    dune_jsonw_str(&w, cfg->out);
    dune_jsonw_key(&w, "csv");
    dune_jsonw_str(&w, cfg->csv);
    dune_jsonw_end(&w);
    cli_write_json(ctx, &b);
    dune_buf_fini(&b);
}

/* A counter that is not 0, below its heading (printed once, by the first of them). */
static void print_counter(struct cli_ctx *ctx, const char **heading, const char *name, uint64_t v,
                          const char *text)
{
    if (!v)
        return;
    if (*heading)
        cli_out(ctx, "%s\n", *heading);
    *heading = NULL;
    cli_out(ctx, "  %-18s %12llu%s%s\n", name, (unsigned long long)v, *text ? "  " : "", text);
}

static void print_counters(struct cli_ctx *ctx, const struct work *wk)
{
    const struct dune_extract_report *r = &wk->report;
    const char *packets = "packets", *labels = "labels of inferable packets", *odd = "oddities",
               *flows = "flows";

    cli_out(ctx, "%llu packets, %llu bytes on the wire, %zu files, %u captures\n",
            (unsigned long long)r->packets, (unsigned long long)r->bytes, wk->in.len,
            wk->ds->n_captures);
    for (int i = 0; i < DUNE_N_REASONS; i++)
        print_counter(ctx, &packets, dune_reason_name((enum dune_reason)i), r->by_reason[i],
                      dune_reason_text((enum dune_reason)i));
    print_counter(ctx, &labels, "labelled", r->labelled, "");
    print_counter(ctx, &labels, "unlabelled", r->unlabelled, "");
    print_counter(ctx, &labels, "conflicts", r->conflicts, "entries disagree; the first rule decides");
    print_counter(ctx, &labels, "changes", r->flow_label_changes,
                  "labelled differently from their flow's first packet, which decides");
    print_counter(ctx, &odd, "snapped", r->snapped, "captured shorter than on the wire");
    print_counter(ctx, &odd, "backwards", r->backwards, "time stamp before that of the packet before");
    print_counter(ctx, &flows, "kept", wk->ds->n_flows, "");
    print_counter(ctx, &flows, wk->opts.unlabelled ? "unlabelled" : "dropped", r->unlabelled_flows,
                  "their first packet has no label");
    print_counter(ctx, &flows, "rare", r->rare_flows, "their class has too few of them (--min-flows)");
    cli_print_ndpi(ctx, &wk->ndpi);
    if (r->rare_classes)
        cli_out(ctx, "%u classes with too few flows count as unlabelled: %s\n", r->rare_classes, r->rare);
}

static void print_classes(struct cli_ctx *ctx, const struct dune_dataset *ds)
{
    struct class_count *n = count_classes(ds), sum = {0};
    struct cli_table t;

    cli_table_init(&t, 5, (const char *[]){"class", ">train flows", ">train packets", ">test flows",
                                           ">test packets"});
    for (uint32_t c = 0; c <= ds->n_classes; c++) {
        const struct class_count *k = c < ds->n_classes ? &n[c] : &sum;

        cli_table_cell(&t, "%s", c < ds->n_classes ? ds->class_name[c] : "all");
        for (int s = 0; s < 2; s++) {
            cli_table_cell(&t, "%llu", (unsigned long long)k->flows[s]);
            cli_table_cell(&t, "%llu", (unsigned long long)k->packets[s]);
            sum.flows[s] += c < ds->n_classes ? k->flows[s] : 0;
            sum.packets[s] += c < ds->n_classes ? k->packets[s] : 0;
        }
    }
    cli_print_table(ctx, &t);
    dune_mem_free(n);
}

/* What will matter later and is easily overlooked now. */
static void warn_about(struct cli_ctx *ctx, const struct dune_dataset *ds)
{
    struct class_count *n = count_classes(ds);
    uint64_t test = 0;

    for (uint32_t c = 0; c < ds->n_classes; c++)
        test += n[c].flows[DUNE_SPLIT_TEST];
    for (uint32_t c = 0; c < ds->n_classes; c++) {
        if (n[c].flows[DUNE_SPLIT_TRAIN] == 0)
            cli_warn(ctx, "class %s is only in test: it cannot be learnt and counts as wrong",
                     ds->class_name[c]);
        else if (n[c].flows[DUNE_SPLIT_TRAIN] < 4)
            cli_warn(ctx, "class %s has %llu train flows: validation and folds leave it in train",
                     ds->class_name[c], (unsigned long long)n[c].flows[DUNE_SPLIT_TRAIN]);
        if (test && n[c].flows[DUNE_SPLIT_TEST] == 0)
            cli_warn(ctx, "class %s is not in test: no score will say how well it is recognised",
                     ds->class_name[c]);
    }
    if (test == 0)
        cli_note(ctx, "there is no test split; --test or --split make one");
    dune_mem_free(n);
}

static void print_report(struct cli_ctx *ctx, const struct config *cfg, const struct work *wk)
{
    const struct dune_dataset *ds = wk->ds;

    print_counters(ctx, wk);
    cli_out(ctx, "\n");
    print_classes(ctx, ds);
    cli_out(ctx, "\n%llu rows, content %s\n", (unsigned long long)ds->n_rows, ds->hash);
    if (cfg->out)
        cli_out(ctx, "wrote %s\n", cfg->out);
    if (cfg->csv)
        cli_out(ctx, "wrote %s\n", cfg->csv);
}

/* --- the command --------------------------------------------------------------------------------- */

static int write_csv(const struct config *cfg, const struct work *w, struct dune_diag *d)
{
    uint8_t *part = cfg->mark ? DUNE_NEW_N(uint8_t, w->ds->n_flows) : NULL;
    int rc;

    if (part)
        dune_validation_make(w->ds, part);
    rc = dune_dataset_csv_write_parts(w->ds, &w->view, part, cfg->csv, d);
    dune_mem_free(part);
    return rc;
}

static int open_labels(const struct config *cfg, const struct dune_labels_opts *lo, struct work *w, struct dune_diag *d)
{
    const char **path = dune_mem_alloc(w->in.len, sizeof(*path));
    int rc;

    for (size_t i = 0; i < w->in.len; i++)
        path[i] = w->in.data[i].path;
    rc = dune_labels_open(&w->labels, cfg->labels, lo, path, w->in.len, w->captures, &w->ndpi, d);
    dune_mem_free(path);
    return rc;
}

static int extract(struct cli_ctx *ctx, const struct config *cfg, struct work *w, struct dune_diag *d)
{
    struct dune_labels_opts lo = {.gateway_mac = cfg->gateway, .field = cfg->label_field};
    int rc = parse_options(ctx, cfg, w, d);

    if (rc == 0)
        rc = find_inputs(ctx, cfg, &w->in, d);
    if (rc == 0 && cfg->captures)
        rc = dune_captures_read(&w->captures, cfg->captures, d);
    if (rc == 0)
        rc = open_labels(cfg, &lo, w, d);
    if (rc == 0)
        rc = dune_extract(&w->ds, w->in.data, w->in.len, w->labels, w->captures, &w->opts, &w->report, d);
    if (rc == 0 && cfg->out)
        rc = dune_dataset_write(w->ds, cfg->out, d);
    return rc == 0 && cfg->csv ? write_csv(cfg, w, d) : rc;
}

static int run(struct cli_ctx *ctx, void *config, struct dune_diag *d)
{
    const struct config *cfg = config;
    struct work w = {0};
    int rc = extract(ctx, cfg, &w, d);

    if (rc == 0) {
        if (ctx->json)
            print_json(ctx, cfg, &w);
        else if (!ctx->quiet)
            print_report(ctx, cfg, &w);
        warn_about(ctx, w.ds);
    }
    dune_dataset_free(w.ds);
    dune_captures_free(w.captures);
    dune_labels_free(w.labels);
    dune_inputs_fini(&w.in);
    return rc;
}

const struct cli_command cmd_extract = {
    .name = "extract",
    .summary = "captures and labels to a data set",
    .args = "PCAP...",
    .min_args = 1,
    .max_args = -1,
    CLI_CONFIG(struct config),
    CLI_OPTIONS(options),
    .description =
        "Reads captures (pcap or pcapng, plain, gzip or zstd) into a data set: the first packets of every\n"
        "flow as integer features, with the flow's class, length, capture and split. PCAP is a file, a\n"
        "glob or a directory; a directory with train/ and test/ in it gives both splits.\n"
        "\n"
        "A flow is a directed 5-tuple within one capture, ended by an idle time above --timeout. Its class\n"
        "is the label of its first packet.\n",
    .examples = "dunectl extract a.pcap b.pcap --test c.pcap --labels labels.csv -o rows.dset\n"
                "dunectl extract data/ --labels labels.csv --captures captures.csv -o rows.dset\n"
                "dunectl extract a.pcap --labels ndpi --split time:0.7 -o rows.dset\n"
                "dunectl extract day*.pcap.gz --labels macs.csv --split time:0.7 -o rows.dset\n"
                "dunectl extract data/ --labels labels.csv --csv rows.csv --n 3 --phase published "
                "--features paper\n",
    .run = run,
};
