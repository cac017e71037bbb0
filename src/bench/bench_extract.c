/* SPDX-License-Identifier: Apache-2.0 */
/* Extraction: packets per second from bytes to feature rows, beside tshark and pandas; labels; curves. */
#include "bench/bench_data.h"

#include <math.h>
#include <string.h>
#include <sys/resource.h>

#include "dune/synth.h"

/* --- captures ---------------------------------------------------------------------------------------- */
struct synth_job {
    const char *dir;
    uint64_t flows;
    uint32_t concurrency;
};
enum { SYNTH_PACKETS };

static int synthesize(void *arg, double *value, struct dune_diag *d)
{
    const struct synth_job *j = arg;
    struct dune_synth_cfg cfg = {.n_flows = j->flows, .train_captures = 1, .test_captures = 1, .concurrency = j->concurrency,
                                 .snap = 96, .seed = 1, .n_threads = 2};
    struct dune_synth_stats st;
    struct dune_synth *s;
    const char *text = dune_synth_default();
    int rc = dune_synth_parse(&s, "built-in", text, strlen(text), d);

    if (rc)
        return rc;
    rc = dune_synth_write(s, &cfg, j->dir, &st, d);
    value[SYNTH_PACKETS] = (double)st.n_packets;
    dune_synth_free(s);
    return rc;
}

/* flows x packets, round robin, in one capture of UDP packets; a label file by MAC beside it. */
struct plain_job {
    const char *path, *labels;
    uint32_t flows, packets;
};

static void fill_frame(uint8_t *f, uint32_t flow)
{
    static const uint8_t head[42] = {2, 0, 0, 0, 0, 9, 2, 0, 0, 0, 0, 1, 8, 0, 0x45, 0, 0, 46, 0, 0, 0, 0, 64, 17, 0, 0,
                                     10, 0, 0, 0, 192, 168, 0, 1, 0, 0, 0, 53, 0, 26, 0, 0};

    memcpy(f, head, sizeof(head));
    f[11] = (uint8_t)(1 + flow % 4); /* four classes */
    f[27] = (uint8_t)(flow >> 24);
    f[28] = (uint8_t)(flow >> 16);
    f[29] = (uint8_t)(flow >> 8);
    f[35] = (uint8_t)flow;
}

static int write_plain(void *arg, double *value, struct dune_diag *d)
{
    static const char labels[] = "mac,label\n02:00:00:00:00:01,a\n02:00:00:00:00:02,b\n02:00:00:00:00:03,c\n02:00:00:00:00:04,d\n";
    const struct plain_job *j = arg;
    struct dune_writer *w = NULL;
    uint8_t frame[60] = {0};
    uint64_t ns = UINT64_C(1700000000000000000);
    int rc = dune_file_write(j->labels, labels, sizeof(labels) - 1, d);

    (void)value;
    if (rc == 0)
        rc = dune_writer_open(&w, j->path, d);
    for (uint32_t p = 0; p < j->packets && rc == 0; p++)
        for (uint32_t f = 0; f < j->flows && rc == 0; f++, ns += 2000) {
            fill_frame(frame, f);
            rc = dune_writer_put(w, ns, frame, sizeof(frame), sizeof(frame), d);
        }
    if (rc == 0)
        return dune_writer_commit(w, d);
    dune_writer_abort(w);
    return rc;
}

/* --- one extraction, in a process of its own ---------------------------------------------------------- */
struct extract_job {
    const char *capture, *labels;
    unsigned threads;
};
enum { X_WALL, X_CPU, X_PACKETS, X_ROWS, X_RSS };

static int extract_once(void *arg, double *value, struct dune_diag *d)
{
    const struct extract_job *j = arg;
    struct dune_extract_input in = {j->capture, DUNE_SPLIT_TRAIN};
    struct dune_extract_opts opts = {.threads = j->threads};
    struct dune_extract_report rep;
    struct dune_labels *labels = NULL;
    struct dune_dataset *ds = NULL;
    int rc = dune_labels_read(&labels, j->labels, NULL, d);
    uint64_t start = dune_now_ns();

    value[X_CPU] = bench_cpu_seconds();
    if (rc == 0)
        rc = dune_extract(&ds, &in, 1, labels, NULL, &opts, &rep, d);
    value[X_WALL] = (double)(dune_now_ns() - start) / 1e9;
    value[X_CPU] = bench_cpu_seconds() - value[X_CPU];
    if (rc == 0) {
        struct rusage u;

        getrusage(RUSAGE_SELF, &u);
        value[X_RSS] = (double)u.ru_maxrss / 1024;
        value[X_PACKETS] = (double)rep.packets;
        value[X_ROWS] = (double)ds->n_rows;
    }
    dune_dataset_free(ds);
    dune_labels_free(labels);
    return rc;
}

static int add_extraction(struct bench *b, const char *title, const char *who, struct extract_job *j, struct dune_diag *d)
{
    struct bench_child c;
    int rc = bench_in_child(&c, extract_once, j, d);

    if (rc)
        return rc;
    bench_add(b, title, who, "M packets/s", BENCH_HIGHER, c.value[X_PACKETS] / c.value[X_WALL] / 1e6);
    bench_add(b, title, who, "M packets per CPU s", BENCH_HIGHER, c.value[X_PACKETS] / c.value[X_CPU] / 1e6);
    bench_add(b, title, who, "MiB", BENCH_LOWER, c.value[X_RSS]);
    return 0;
}

/* --- rates -------------------------------------------------------------------------------------------- */
static bool pack(const char *program, const char *level, const char *path)
{
    const char *argv[] = {program, "-kfq", level, path, NULL};
    struct bench_peer p;

    bench_peer_run(&p, argv, 600);
    return p.skip[0] == '\0';
}

static int measure_rates(struct bench *b, const char *title, const char *capture, const char *labels, struct dune_diag *d)
{
    char *gz = dune_mem_printf("%s.gz", capture), *zst = dune_mem_printf("%s.zst", capture);
    bool has_gz = pack("gzip", "-1", capture), has_zst = pack("zstd", "-1", capture);
    struct extract_job one = {capture, labels, 1}, two = {capture, labels, 2}, g = {gz, labels, 1}, z = {zst, labels, 1};
    int rc = 0;

    for (unsigned r = 0, n = bench_rounds(b, 7); r < n && rc == 0; r++) {
        rc = add_extraction(b, title, "1 thread", &one, d);
        if (rc == 0)
            rc = add_extraction(b, title, "2 threads", &two, d);
        if (rc == 0 && has_gz)
            rc = add_extraction(b, title, "1 thread, gzip", &g, d);
        if (rc == 0 && has_zst)
            rc = add_extraction(b, title, "1 thread, zstd", &z, d);
    }
    if (!has_zst)
        bench_skip(b, title, "1 thread, zstd", "there is no program zstd to pack the capture");
    dune_mem_free(gz);
    dune_mem_free(zst);
    return rc;
}

static int run_rate(struct bench *b, struct dune_diag *d)
{
    static const char mix[] = "synthetic mix, 6 packets per flow", dense[] = "20 packets per flow";
    bool quick = bench_cfg(b)->quick;
    char *dir = bench_tmp(b, "mix"), *capture = bench_tmp(b, "mix/train/synth-01.pcap"), *labels = bench_tmp(b, "mix/labels.csv");
    char *plain = bench_tmp(b, "dense.pcap"), *plain_labels = bench_tmp(b, "dense.csv");
    struct synth_job synth = {dir, quick ? 100000 : 400000, 5000};
    struct plain_job pj = {plain, plain_labels, quick ? 20000 : 100000, 20};
    struct bench_child c;
    int rc = bench_in_child(&c, synthesize, &synth, d);

    if (rc == 0)
        rc = bench_in_child(&c, write_plain, &pj, d);
    if (rc == 0)
        rc = measure_rates(b, mix, capture, labels, d);
    if (rc == 0)
        rc = measure_rates(b, dense, plain, plain_labels, d);
    if (rc == 0) {
        bench_goal_min(b, "M packets/s on one core, synthetic mix", bench_median(b, mix, "1 thread", "M packets/s"), 0, 5);
        bench_goal_min(b, "M packets per second of CPU time, synthetic mix",
                       bench_median(b, mix, "1 thread", "M packets per CPU s"), 0, 5);
        bench_goal_min(b, "M packets/s on one core, 20 packets per flow", bench_median(b, dense, "1 thread", "M packets/s"), 0, 5);
        bench_goal_min(b, "M packets per second of CPU time, 20 packets per flow",
                       bench_median(b, dense, "1 thread", "M packets per CPU s"), 0, 5);
    }
    bench_note(b, "from dune_extract() to the sealed data set in memory: map, parse, label by MAC, flows, 4 rows of %d features "
                  "per flow, content hash", DUNE_N_FEATURES);
    dune_mem_free(dir), dune_mem_free(capture), dune_mem_free(labels), dune_mem_free(plain), dune_mem_free(plain_labels);
    return rc;
}

/* --- beside tshark and pandas --------------------------------------------------------------------------- */
static void peer_round(struct bench *b, const char *title, const char *capture, const char *labels, double packets)
{
    char script[512], *out = bench_tmp(b, "peer-out"), *dset = bench_tmp(b, "peer-out/rows.dset");
    const char *ours[] = {bench_cfg(b)->program, "extract", capture, "--labels", labels, "-o", dset, "-q", "--threads", "1", NULL};
    const char *theirs[] = {"/usr/bin/python3", script, capture, labels, out, NULL};
    struct bench_peer p = {.skip = "no directory for its output"};
    struct dune_diag ignored = {0};

    if (dune_mkdirs(out, &ignored) == 0)
        bench_peer_run(&p, ours, 60);
    if (p.skip[0])
        bench_skip(b, title, "dune", "%s", p.skip);
    else {
        bench_add(b, title, "dune", "k packets/s", BENCH_HIGHER, packets / p.wall / 1e3);
        bench_add(b, title, "dune", "CPU s", BENCH_LOWER, p.cpu);
    }
    snprintf(script, sizeof(script), "%s/pandas_extract.py", bench_cfg(b)->peers ? bench_cfg(b)->peers : "");
    if (!bench_cfg(b)->peers)
        bench_skip(b, title, "tshark and pandas", "the directory of the peers' programs is not here");
    else
        bench_peer_run(&p, theirs, 900);
    if (bench_cfg(b)->peers && p.skip[0])
        bench_skip(b, title, "tshark and pandas", "%s", p.skip);
    else if (bench_cfg(b)->peers) {
        bench_add(b, title, "tshark and pandas", "k packets/s", BENCH_HIGHER, packets / bench_peer_number(&p, "wall") / 1e3);
        bench_add(b, title, "tshark and pandas", "CPU s", BENCH_LOWER, p.cpu);
    }
    dune_mem_free(out);
    dune_mem_free(dset);
}

/* All captures of a directory one after the other in one file. */
static int join_captures(const char *dir, const char *path, double *packets, struct dune_diag *d)
{
    struct dune_paths paths = {0};
    struct dune_writer *w = NULL;
    struct dune_record rec;
    int rc = dune_paths_add(&paths, dir, d);

    *packets = 0;
    if (rc == 0)
        rc = dune_writer_open(&w, path, d);
    for (size_t i = 0; i < paths.len && rc == 0; i++) {
        struct dune_reader *r = NULL;
        int more = 0;

        rc = dune_reader_open(&r, paths.data[i], d);
        while (rc == 0 && (dune_reader_recycle(r), more = dune_reader_next(r, &rec, d)) == 1) {
            rc = dune_writer_put(w, rec.ts_ns, rec.data, rec.cap_len, rec.wire_len, d);
            ++*packets;
        }
        rc = rc ? rc : more;
        dune_reader_close(r);
    }
    dune_paths_fini(&paths);
    if (rc == 0)
        return dune_writer_commit(w, d);
    dune_writer_abort(w);
    return rc;
}

static void peer_goals(struct bench *b, const char *title, const char *what)
{
    char *wall = dune_mem_printf("%s: packets/s, times those of tshark and pandas", what);
    char *cpu = dune_mem_printf("%s: CPU time of tshark and pandas / ours", what);

    if (isfinite(bench_median(b, title, "tshark and pandas", "k packets/s"))) {
        bench_goal_min(b, wall, bench_ratio(b, title, "dune", "tshark and pandas", "k packets/s").median, 0, 200);
        bench_goal_min(b, cpu, bench_ratio(b, title, "dune", "tshark and pandas", "CPU s").median, 0, 200);
    }
    dune_mem_free(wall);
    dune_mem_free(cpu);
}

static int peer_synthetic(struct bench *b, struct dune_diag *d)
{
    char *dir = bench_tmp(b, "peer"), *capture = bench_tmp(b, "peer/train/synth-01.pcap"), *labels = bench_tmp(b, "peer/labels.csv");
    struct synth_job synth = {dir, bench_cfg(b)->quick ? 10000 : 80000, 500};
    struct extract_job j = {capture, labels, 1};
    struct bench_child c;
    char title[80];
    double packets = 0;
    int rc = bench_in_child(&c, synthesize, &synth, d);

    if (rc == 0)
        rc = bench_in_child(&c, extract_once, &j, d);
    if (rc == 0)
        packets = c.value[X_PACKETS];
    snprintf(title, sizeof(title), "one capture of %.0f packets", packets);
    for (unsigned r = 0, n = bench_rounds(b, 3); r < n && rc == 0; r++)
        peer_round(b, title, capture, labels, packets);
    if (rc == 0)
        peer_goals(b, title, "synthetic mix");
    dune_mem_free(dir), dune_mem_free(capture), dune_mem_free(labels);
    return rc;
}

static int peer_shared(struct bench *b, struct dune_diag *d)
{
    const char *data = bench_cfg(b)->data;
    char *dir = dune_mem_printf("%s/aalto-iot-setup/train", data ? data : ""), *capture = bench_tmp(b, "shared.pcap");
    char *labels = dune_mem_printf("%s/aalto-iot-setup/labels.csv", data ? data : ""), title[80];
    double packets = 0;
    int rc = 0;

    if (!data || !dune_path_exists(dir))
        bench_skip(b, "shared captures", "dune", "there are no shared captures");
    else
        rc = join_captures(dir, capture, &packets, d);
    snprintf(title, sizeof(title), "captures of aalto in one file, %.0f packets", packets);
    for (unsigned r = 0, n = bench_rounds(b, 3); r < n && rc == 0 && packets > 0; r++)
        peer_round(b, title, capture, labels, packets);
    if (rc == 0 && packets > 0)
        peer_goals(b, title, "shared captures");
    dune_mem_free(dir), dune_mem_free(capture), dune_mem_free(labels);
    return rc;
}

static int run_peer(struct bench *b, struct dune_diag *d)
{
    int rc = peer_synthetic(b, d);

    if (rc == 0)
        rc = peer_shared(b, d);
    bench_note(b, "dune: the whole command `dunectl extract --threads 1`, process start included, until its file is on the disk; for "
                  "files of the peers nobody waits (with --tmp on a file system in memory nobody waits for either)");
    bench_note(b, "tshark and pandas: without starting Python; group operations of pandas only, so faster than the published programs");
    return rc;
}

/* --- labels ---------------------------------------------------------------------------------------------- */
struct label_job {
    uint32_t keys;
};
enum { L_SINGLE, L_MANY, L_MIB, L_SUM };

static int ask_labels(void *arg, double *value, struct dune_diag *d)
{
    const struct label_job *j = arg;
    enum { ASK = 1 << 20, MANY = 64 };
    struct dune_packet *p = DUNE_NEW_N(struct dune_packet, MANY);
    struct dune_label_query q[MANY];
    struct dune_label_ctx ctx = {0};
    struct dune_labels *l = NULL;
    struct dune_buf text = {0};
    struct rusage u;
    uint64_t start, sum = 0;
    int rc;

    dune_buf_puts(&text, "src_ip,dst_ip,src_port,dst_port,proto,label\n");
    for (uint32_t k = 0; k < j->keys; k++)
        dune_buf_printf(&text, "10.%u.%u.%u,192.168.0.1,%u,443,6,c%u\n", k >> 16 & 255, k >> 8 & 255, k & 255,
                        1024 + (k >> 24), k % 10);
    rc = dune_labels_parse(&l, "labels", text.data, text.len, NULL, d);
    dune_buf_fini(&text);
    for (int many = 0; many < 2 && rc == 0; many++) {
        struct dune_rng r;
        uint64_t spent = 0;

        dune_rng_init(&r, 1, 2, 3, 4);
        for (uint32_t i = 0; i < ASK; i += MANY) {
            for (uint32_t k = 0; k < MANY; k++) {
                uint32_t key = (uint32_t)dune_rng_below(&r, j->keys);
                const uint8_t bytes[13] = {10, (uint8_t)(key >> 16), (uint8_t)(key >> 8), (uint8_t)key, 192, 168, 0, 1,
                                           (uint8_t)((1024 + (key >> 24)) >> 8), (uint8_t)(key >> 24), 443 >> 8, 443 & 255, 6};

                memcpy(p[k].key.bytes, bytes, 13);
                p[k].key.len = 13;
                q[k] = (struct dune_label_query){.p = &p[k]};
            }
            start = dune_now_ns();
            if (many)
                dune_labels_lookup_many(l, &ctx, q, MANY);
            for (uint32_t k = 0; k < MANY && !many; k++)
                q[k].cls = dune_labels_lookup(l, &ctx, NULL, &p[k], &q[k].conflict);
            spent += dune_now_ns() - start;
            for (uint32_t k = 0; k < MANY; k++)
                sum += q[k].cls;
        }
        value[many ? L_MANY : L_SINGLE] = (double)spent / ASK;
    }
    getrusage(RUSAGE_SELF, &u);
    value[L_MIB] = (double)u.ru_maxrss / 1024;
    value[L_SUM] = (double)sum; /* so that nothing is optimised away */
    dune_labels_free(l);
    dune_mem_free(p);
    return rc;
}

static int run_labels(struct bench *b, struct dune_diag *d)
{
    static const uint32_t keys[] = {10000, 100000, 1000000, 4000000};
    size_t n = DUNE_ARRAY_LEN(keys) - bench_cfg(b)->quick;
    char title[80];
    int rc = 0;

    for (size_t i = 0; i < n && rc == 0; i++) {
        struct label_job j = {keys[i]};
        struct bench_child c;

        snprintf(title, sizeof(title), "%u 5-tuples, random order", keys[i]);
        for (unsigned r = 0, rounds = bench_rounds(b, 5); r < rounds && rc == 0; r++) {
            rc = bench_in_child(&c, ask_labels, &j, d);
            if (rc == 0) {
                bench_add(b, title, "64 at a time", "ns", BENCH_LOWER, c.value[L_MANY]);
                bench_add(b, title, "one by one", "ns", BENCH_LOWER, c.value[L_SINGLE]);
            }
        }
        bench_point(b, "label look-up: ns against 5-tuples", "5-tuples", "ns", "64 at a time", keys[i],
                    bench_median(b, title, "64 at a time", "ns"));
        bench_point(b, "label look-up: ns against 5-tuples", "5-tuples", "ns", "one by one", keys[i],
                    bench_median(b, title, "one by one", "ns"));
    }
    return rc;
}

/* --- curves ------------------------------------------------------------------------------------------------ */
static int curve_point(struct bench *b, const char *label, double x, uint32_t flows, uint32_t packets, unsigned threads,
                       struct dune_diag *d)
{
    char *path = bench_tmp(b, "curve.pcap"), *labels = bench_tmp(b, "curve.csv"), title[80], time_curve[96], memory_curve[96];
    struct plain_job pj = {path, labels, flows, packets};
    struct extract_job j = {path, labels, threads};
    struct bench_child c;
    int rc = bench_in_child(&c, write_plain, &pj, d);

    snprintf(title, sizeof(title), "%s %.0f", label, x);
    snprintf(time_curve, sizeof(time_curve), "extraction: seconds against %s", label);
    snprintf(memory_curve, sizeof(memory_curve), "extraction: MiB against %s", label);
    for (unsigned r = 0, n = bench_rounds(b, 3); r < n && rc == 0; r++) {
        rc = bench_in_child(&c, extract_once, &j, d);
        if (rc == 0) {
            bench_add(b, title, "dune", "wall s", BENCH_LOWER, c.value[X_WALL]);
            bench_add(b, title, "dune", "CPU s", BENCH_LOWER, c.value[X_CPU]);
            bench_add(b, title, "dune", "MiB", BENCH_LOWER, c.value[X_RSS]);
        }
    }
    bench_point(b, time_curve, label, "seconds", "wall", x, bench_median(b, title, "dune", "wall s"));
    bench_point(b, time_curve, label, "seconds", "CPU", x, bench_median(b, title, "dune", "CPU s"));
    bench_point(b, memory_curve, label, "MiB", "peak", x, bench_median(b, title, "dune", "MiB"));
    dune_mem_free(path);
    dune_mem_free(labels);
    return rc;
}

/* What one step of a curve costs, from the points that were measured. */
static double slope(const struct bench *b, const char *label, double from, double to, const char *quantity)
{
    char *x = dune_mem_printf("%s %.0f", label, from), *y = dune_mem_printf("%s %.0f", label, to);
    double v = (bench_median(b, y, "dune", quantity) - bench_median(b, x, "dune", quantity)) / (to - from);

    dune_mem_free(x);
    dune_mem_free(y);
    return v;
}

static void explain_curves(struct bench *b, double unit)
{
    const char *packets = "packets of the same flows", *flows = "flows of 4 packets";
    double one = bench_median(b, "threads 1", "dune", "wall s"), two = bench_median(b, "threads 2", "dune", "wall s");

    bench_note(b, "packets: a straight line, %.0f ns of CPU for each further packet of a known flow (5 to 20 a flow: %.0f, 20 to 80: "
                  "%.0f); only the first 4 of a flow become rows, so memory grows by %.1f bytes a packet",
               1e9 * slope(b, packets, 5 * unit, 80 * unit, "CPU s"), 1e9 * slope(b, packets, 5 * unit, 20 * unit, "CPU s"),
               1e9 * slope(b, packets, 20 * unit, 80 * unit, "CPU s"),
               1048576 * slope(b, packets, 5 * unit, 80 * unit, "MiB"));
    bench_note(b, "flows: a flow of 4 packets costs %.0f ns between %.0f and %.0f of them and %.0f between %.0f and %.0f, and %.0f "
                  "bytes, of which %d are its four rows. What bends the line is memory: pages that are touched for the first time, and a "
                  "table of flows that no longer fits the caches",
               1e9 * slope(b, flows, unit, 4 * unit, "CPU s"), unit, 4 * unit, 1e9 * slope(b, flows, 4 * unit, 16 * unit, "CPU s"),
               4 * unit, 16 * unit, 1048576 * slope(b, flows, unit, 16 * unit, "MiB"), 4 * 4 * DUNE_N_FEATURES);
    bench_note(b, "threads: two take %.2f of the wall time of one. Records are read one after the other, and one thread waits for "
                  "the other at the end of each round; on a machine that others use the second core is theirs, too", two / one);
}

static int run_curves(struct bench *b, struct dune_diag *d)
{
    static const uint32_t per_flow[] = {5, 10, 20, 40, 80};
    uint32_t unit = bench_cfg(b)->quick ? 5000 : 50000;
    int rc = 0;

    for (size_t i = 0; i < DUNE_ARRAY_LEN(per_flow) && rc == 0; i++)
        rc = curve_point(b, "packets of the same flows", (double)unit * per_flow[i], unit, per_flow[i], 1, d);
    for (uint32_t k = 1; k <= 16 && rc == 0; k *= 2)
        rc = curve_point(b, "flows of 4 packets", (double)unit * k, unit * k, 4, 1, d);
    for (unsigned t = 1; t <= 2 && rc == 0; t++)
        rc = curve_point(b, "threads", t, unit * 2, 20, t, d);
    explain_curves(b, unit);
    return rc;
}

const struct bench_entry bench_extract[] = {
    {"extract.rate", "captures in the page cache to feature rows, plain and packed", run_rate},
    {"extract.peer", "the same capture by dunectl extract, and by tshark and pandas doing the published steps", run_peer},
    {"extract.labels", "label look-ups in large lists of 5-tuples", run_labels},
    {"extract.curves", "extraction of captures that grow in packets, in flows, with threads", run_curves},
    {NULL, NULL, NULL},
};
