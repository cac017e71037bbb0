/* SPDX-License-Identifier: Apache-2.0 */
/* The data directory: captures (in parallel), labels, the list of captures, and what it all is. */
#include "capture/synth_int.h"

#include <errno.h>
#include <string.h>
#include <unistd.h>

struct job {
    const struct dune_synth *s;
    const struct dune_synth_cfg *cfg;
    const char *dir;
    struct synth_result *res;
    struct dune_diag *diag;
    int *rc;
    struct dune_progress progress;
};

static const char *split_of(const struct dune_synth_cfg *cfg, uint64_t i)
{
    return i < cfg->train_captures ? "train" : "test";
}

static char *file_name(const struct dune_synth_cfg *cfg, uint64_t i)
{
    return dune_mem_printf("synth-%02llu.pcap",
                           (unsigned long long)(i < cfg->train_captures ? i : i - cfg->train_captures) + 1);
}

static uint64_t n_captures(const struct dune_synth_cfg *cfg)
{
    return (uint64_t)cfg->train_captures + cfg->test_captures;
}

static void write_capture(void *ctx, size_t i)
{
    static const uint64_t epoch_ns = UINT64_C(1704096000) * 1000000000; /* 1 January 2024, 8:00 */
    static const uint64_t week_ns = UINT64_C(7 * 86400) * 1000000000;
    struct job *j = ctx;
    uint64_t n = j->cfg->n_flows * (i + 1) / n_captures(j->cfg) - j->cfg->n_flows * i / n_captures(j->cfg);
    char *file = file_name(j->cfg, i);
    char *path = dune_mem_printf("%s/%s/%s", j->dir, split_of(j->cfg, i), file);

    if (!dune_interrupted())
        j->rc[i] = synth_capture_write(j->s, j->cfg, path, i, epoch_ns + i * week_ns, n, &j->res[i],
                                       &j->progress, &j->diag[i]);
    else
        j->rc[i] = DUNE_E_INTERRUPTED;
    dune_mem_free(path);
    dune_mem_free(file);
}

static int save(const char *dir, const char *name, struct dune_buf *b, struct dune_diag *d)
{
    char *path = dune_mem_printf("%s/%s", dir, name);
    int rc = dune_file_write(path, b->data, b->len, d);

    dune_mem_free(path);
    dune_buf_fini(b);
    return rc;
}

static int save_labels(const struct job *j, struct dune_diag *d)
{
    struct dune_buf b = {0};
    uint32_t c, k;
    uint8_t m[6];

    dune_buf_puts(&b, "mac,label\n");
    for (c = 0; c < j->s->n_classes; c++) {
        for (k = 0; k < j->s->cls[c].n_devices; k++) {
            synth_device_mac(c, k, m);
            dune_buf_printf(&b, "%02x:%02x:%02x:%02x:%02x:%02x,%s\n", m[0], m[1], m[2], m[3], m[4], m[5],
                            j->s->cls[c].name);
        }
    }
    return save(j->dir, "labels.csv", &b, d);
}

static int save_captures(const struct job *j, struct dune_diag *d)
{
    struct dune_buf b = {0};
    uint64_t i;

    dune_buf_puts(&b, "split,file,source_capture,packets,flows,flows_ge3pkts,first_ts,last_ts\n");
    for (i = 0; i < n_captures(j->cfg); i++) {
        const struct synth_result *r = &j->res[i];
        char *file = file_name(j->cfg, i);
        dune_buf_printf(&b, "%s,%s,%s-%llu,%llu,%llu,%llu,%llu.%09llu,%llu.%09llu\n", split_of(j->cfg, i),
                        file, split_of(j->cfg, i), (unsigned long long)i + 1,
                        (unsigned long long)r->n_packets, (unsigned long long)r->n_flows,
                        (unsigned long long)r->n_flows_ge3, (unsigned long long)(r->first_ns / 1000000000),
                        (unsigned long long)(r->first_ns % 1000000000),
                        (unsigned long long)(r->last_ns / 1000000000),
                        (unsigned long long)(r->last_ns % 1000000000));
        dune_mem_free(file);
    }
    return save(j->dir, "captures.csv", &b, d);
}

static int save_readme(const struct job *j, const struct dune_synth_stats *st, struct dune_diag *d)
{
    const struct dune_synth_cfg *cfg = j->cfg;
    struct dune_buf b = {0};
    size_t i;

    dune_buf_printf(&b,
                    "# Synthetic traffic\n\n"
                    "Nothing in this directory was captured anywhere. `dunectl synth` made it from the profile\n"
                    "`%s` (profile.yaml) with seed %llu. Scores on it say how the tool works, and\n"
                    "nothing about any real network.\n\n"
                    "* %u captures in train/, %u in test/; each is a separate capture (captures.csv).\n"
                    "* %llu packets, %llu directed flows, %llu of them with at least 3 packets.\n"
                    "* labels.csv names the class of each MAC address. %llu packets have no label or no IP.\n"
                    "* About %u conversations are alive at a time. Payloads are zero bytes.\n\n"
                    "| class | devices | flows | talks like another class |\n|---|---|---|---|\n",
                    j->s->name, (unsigned long long)cfg->seed, cfg->train_captures, cfg->test_captures,
                    (unsigned long long)st->n_packets, (unsigned long long)st->n_flows,
                    (unsigned long long)st->n_flows_ge3, (unsigned long long)st->n_noise, cfg->concurrency);
    for (i = 0; i < j->s->n_classes; i++)
        dune_buf_printf(&b, "| %s | %u | %llu | %llu.%llu %% |\n", j->s->cls[i].name,
                        j->s->cls[i].n_devices, (unsigned long long)st->flows_by_class[i],
                        (unsigned long long)(j->s->cls[i].overlap * 100 / SYNTH_UNIT),
                        (unsigned long long)(j->s->cls[i].overlap * 1000 / SYNTH_UNIT % 10));
    return save(j->dir, "README.md", &b, d);
}

/* Our own captures of an earlier run must not be mistaken for part of this one. */
static int remove_old(const char *dir, struct dune_diag *d)
{
    struct dune_paths p = {0};
    int rc = dune_paths_add(&p, dir, d);
    size_t i, len;

    for (i = 0; i < p.len && rc == 0; i++) {
        const char *base = dune_path_base(p.data[i]);
        len = strlen(base);
        if (len < 11 || strncmp(base, "synth-", 6) != 0 || strcmp(base + len - 5, ".pcap") != 0)
            continue;
        if (unlink(p.data[i]) != 0 && errno != ENOENT)
            rc = dune_diag_set(d, DUNE_E_IO, p.data[i], "cannot remove it: %s", strerror(errno));
    }
    dune_paths_fini(&p);
    return rc;
}

static int make_dirs(const char *dir, struct dune_diag *d)
{
    char *train = dune_mem_printf("%s/train", dir), *test = dune_mem_printf("%s/test", dir);
    int rc = dune_mkdirs(train, d);

    if (rc == 0)
        rc = dune_mkdirs(test, d);
    if (rc == 0)
        rc = remove_old(train, d);
    if (rc == 0)
        rc = remove_old(test, d);
    dune_mem_free(train);
    dune_mem_free(test);
    return rc;
}

/* A run that fails leaves no captures, and no directories of its own; names: files it may have written. */
static void take_back(const char *dir, const char *const *names, size_t n)
{
    static const char *const sub[] = {"/train", "/test", ""};
    struct dune_diag ignored = {0};

    for (size_t i = 0; i < n; i++) {
        char *path = dune_mem_printf("%s/%s", dir, names[i]);

        unlink(path);
        dune_mem_free(path);
    }
    for (size_t i = 0; i < DUNE_ARRAY_LEN(sub); i++) {
        char *path = dune_mem_printf("%s%s", dir, sub[i]);

        if (!*sub[i] || remove_old(path, &ignored) == 0)
            rmdir(path); /* stays when somebody else's files are in it */
        dune_mem_free(path);
    }
}

static int check_cfg(struct dune_synth_cfg *c, struct dune_diag *d)
{
    c->n_flows = c->n_flows ? c->n_flows : 20000;
    c->train_captures = c->train_captures ? c->train_captures : 12;
    c->test_captures = c->test_captures ? c->test_captures : 4;
    c->concurrency = c->concurrency ? c->concurrency : 50;
    if (c->n_flows > 100000000)
        return dune_diag_set(d, DUNE_E_USAGE, NULL, "more than 100 million flows");
    if (c->train_captures > 10000 || c->test_captures > 10000)
        return dune_diag_set(d, DUNE_E_USAGE, NULL, "more than 10,000 captures");
    if (c->concurrency > 1000000)
        return dune_diag_set(d, DUNE_E_USAGE, NULL, "more than a million conversations at a time");
    if (c->snap && c->snap < 60)
        return dune_diag_set(d, DUNE_E_USAGE, NULL, "a snap length below 60 bytes cuts headers");
    return 0;
}

static void add_up(const struct job *j, struct dune_synth_stats *st)
{
    uint64_t i;
    size_t c;

    memset(st, 0, sizeof(*st));
    for (i = 0; i < n_captures(j->cfg); i++) {
        st->n_packets += j->res[i].n_packets;
        st->n_flows += j->res[i].n_flows;
        st->n_flows_ge3 += j->res[i].n_flows_ge3;
        st->n_bytes += j->res[i].n_bytes;
        st->n_noise += j->res[i].n_noise;
        for (c = 0; c < SYNTH_MAX_CLASSES; c++)
            st->flows_by_class[c] += j->res[i].flows_by_class[c];
    }
}

static int save_all(struct job *j, struct dune_synth_stats *st, struct dune_diag *d)
{
    struct dune_buf profile = {0};
    int rc;

    dune_buf_append(&profile, j->s->text, j->s->text_len);
    rc = save(j->dir, "profile.yaml", &profile, d);
    if (rc == 0)
        rc = save_labels(j, d);
    if (rc == 0)
        rc = save_readme(j, st, d);
    return rc ? rc : save_captures(j, d);
}

int dune_synth_write(const struct dune_synth *s, const struct dune_synth_cfg *user, const char *dir,
                     struct dune_synth_stats *stats, struct dune_diag *d)
{
    static const char *const written[] = {"profile.yaml", "labels.csv", "README.md", "captures.csv"};
    struct dune_synth_cfg cfg = *user;
    struct job j = {.s = s, .cfg = &cfg, .dir = dir};
    uint64_t i, n;
    int rc = check_cfg(&cfg, d);

    if (rc == 0)
        rc = make_dirs(dir, d);
    if (rc)
        return rc;
    n = n_captures(&cfg);
    j.res = DUNE_NEW_N(struct synth_result, n);
    j.diag = DUNE_NEW_N(struct dune_diag, n);
    j.rc = DUNE_NEW_N(int, n);
    dune_progress_start(&j.progress, "writing synthetic traffic", cfg.n_flows);
    dune_parallel_for(cfg.n_threads ? cfg.n_threads : 1, n, write_capture, &j);
    dune_progress_end(&j.progress);
    for (i = 0; i < n && rc == 0; i++) {
        rc = j.rc[i];
        if (rc && d)
            *d = j.diag[i];
    }
    add_up(&j, stats);
    if (rc) {
        take_back(dir, NULL, 0);
    } else {
        rc = save_all(&j, stats, d);
        if (rc)
            take_back(dir, written, DUNE_ARRAY_LEN(written));
    }
    dune_mem_free(j.res);
    dune_mem_free(j.diag);
    dune_mem_free(j.rc);
    return rc;
}
