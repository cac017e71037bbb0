/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Benchmarks of `dunectl bench`. To add one:
 *
 *   1. a file bench_<thing>.c here (and in meson.build) with a function
 *          static int run_walk(struct bench *b, struct dune_diag *d)
 *          {
 *              for (unsigned r = 0; r < bench_rounds(b, 5); r++) {        interleaved: one of each per round
 *                  bench_add(b, "100k flows", "fast", "ns/packet", BENCH_LOWER, time_ours());
 *                  bench_add(b, "100k flows", "touch limit", "ns/packet", BENCH_LOWER, time_limit());
 *              }
 *              bench_goal_min(b, "steady, Mpps", 1e3 / bench_median(b, "100k flows", "fast", "ns/packet"), 0, 12);
 *              return 0;
 *          }
 *   2. a table in that file, and one line in benches.def:
 *          const struct bench_entry bench_engine[] = {
 *              {"engine.walk", "forest walks of the fast engine", run_walk}, {NULL}};
 *          BENCHES(bench_engine)
 *
 * Names are GROUP.WHAT: people select by name, by group or by pattern. What is added goes to
 * results/<name>.json (<name>.quick.json of a quick run), is printed as tables with the ratios of every row to the first one, and becomes a
 * section of docs/performance.md (bench_report). A peer that is not there is a bench_skip with the reason,
 * never silence. All functions copy what they are given. Nothing here is thread-safe.
 */
#ifndef DUNE_BENCH_BENCH_H
#define DUNE_BENCH_BENCH_H

#include "base/base.h"

struct bench;
struct bench_entry {
    const char *name;
    const char *what; /* a sentence without full stop: what is measured */
    int (*run)(struct bench *b, struct dune_diag *d);
};

enum bench_better { BENCH_LOWER, BENCH_HIGHER, BENCH_NEITHER }; /* which way is better; ratios follow it */

/* --- what a benchmark may ask ------------------------------------------------------------------- */
struct bench_cfg {
    bool quick;        /* small inputs, few rounds: all benchmarks together in 5 minutes */
    bool whole;        /* also cases and data sets that say no more about the goals, slow peers to their end: hours */
    unsigned rounds;   /* 0: what each benchmark wants */
    unsigned threads;
    uint64_t seed;
    const char *data;  /* shared captures, or NULL */
    const char *peers; /* directory of the peers' programs, or NULL */
    const char *tmp;   /* directory for inputs; made and removed by the runner */
    const char *program; /* dunectl itself */
    void (*say)(void *ctx, const char *text); /* what goes on, one line; NULL: nobody listens */
    void *say_ctx;
};
const struct bench_cfg *bench_cfg(const struct bench *b);
/* Rounds to run: what the user asked for, else wanted, at most 2 of them when quick. */
unsigned bench_rounds(const struct bench *b, unsigned wanted);
/* DIR/name of the temporary directory; yours to free. */
char *bench_tmp(const struct bench *b, const char *name);
/* What is going on, to whoever listens. */
void bench_say(const struct bench *b, const char *fmt, ...) DUNE_PRINTF(2, 3);

/* --- what it tells ------------------------------------------------------------------------------ */
void bench_add(struct bench *b, const char *title, const char *who, const char *quantity,
               enum bench_better better, double value);
void bench_skip(struct bench *b, const char *title, const char *who, const char *fmt, ...) DUNE_PRINTF(4, 5);
void bench_note(struct bench *b, const char *fmt, ...) DUNE_PRINTF(2, 3);
/* A figure of the issue and how it was met: bar is a must, goal a wish; NAN or 0: there is none. */
void bench_goal_min(struct bench *b, const char *text, double value, double bar, double goal);
void bench_goal_max(struct bench *b, const char *text, double value, double bar, double goal);
/* A point of a curve; curve is its title, plotted as results/<name>-<number>.svg. */
void bench_point(struct bench *b, const char *curve, const char *x_label, const char *y_label,
                 const char *series, double x, double y);

struct bench_spread {
    double min, median, max;
    size_t n;
};
/* Of the samples of one quantity; all NAN when there are none. */
struct bench_spread bench_spread(const struct bench *b, const char *title, const char *who, const char *quantity);
double bench_median(const struct bench *b, const char *title, const char *who, const char *quantity);
/* How many times better ours is than peer, round by round. */
struct bench_spread bench_ratio(const struct bench *b, const char *title, const char *ours, const char *peer,
                                const char *quantity);

/* --- work in other processes -------------------------------------------------------------------- */
double bench_cpu_seconds(void); /* of this process so far, user and system */
uint64_t bench_wall_ns(void);   /* since the epoch, as devices and controller count time */

enum { BENCH_VALUES = 16 };
struct bench_child {
    double value[BENCH_VALUES]; /* what fn wrote */
    double cpu;                 /* seconds, user and system */
    double rss_mb;              /* peak */
};
/* Runs fn(arg, value) in a process of its own, so that peak memory means something. fn returns 0 or a
 * negative code with *d filled. */
typedef int (*bench_child_fn)(void *arg, double *value, struct dune_diag *d);
int bench_in_child(struct bench_child *out, bench_child_fn fn, void *arg, struct dune_diag *d) DUNE_MUST_USE;

/* Runs a command, at most seconds long (0: no limit), and keeps the last line of its output. */
struct bench_peer {
    char line[2048];
    char skip[256]; /* why there is no result; "" if there is one */
    double wall, cpu, rss_mb;
};
void bench_peer_run(struct bench_peer *out, const char *const *argv, unsigned seconds);
/* A number of the JSON object in the last line, NAN if it has none. */
double bench_peer_number(const struct bench_peer *p, const char *key);
/* Full path of a program, or false. */
bool bench_find_program(const char *name, char *out, size_t out_bytes);

/* --- results ------------------------------------------------------------------------------------ */
struct bench_samples {
    char *quantity;
    enum bench_better better;
    DUNE_VEC(double) v;
};
struct bench_row {
    char *who, *skip; /* skip: NULL, or why it has no samples */
    DUNE_VEC(struct bench_samples) q;
};
struct bench_case {
    char *title;
    DUNE_VEC(struct bench_row) row;
};
struct bench_goal {
    char *text;
    bool at_least;
    double value, bar, goal; /* NAN: none */
};
struct bench_series {
    char *name;
    DUNE_VEC(double) x;
    DUNE_VEC(double) y;
};
struct bench_curve {
    char *title, *x_label, *y_label;
    DUNE_VEC(struct bench_series) series;
};
struct bench_result {
    char *name, *what, *command;
    char *machine, *build, *when; /* one line each */
    bool quick;
    double seconds; /* how long the benchmark took */
    DUNE_VEC(struct bench_case) cases;
    DUNE_VEC(struct bench_goal) goals;
    DUNE_VEC(struct bench_curve) curves;
    DUNE_VEC(char *) notes;
};
void bench_result_free(struct bench_result *r);
void bench_result_text(struct dune_buf *out, const struct bench_result *r); /* for a terminal */
void bench_result_markdown(struct dune_buf *out, const struct bench_result *r, const char *image_dir);
/* Plot number i as SVG. */
void bench_result_plot(struct dune_buf *out, const struct bench_result *r, size_t i);
int bench_result_write(const struct bench_result *r, const char *dir, struct dune_diag *d) DUNE_MUST_USE;
int bench_result_parse(struct bench_result **out, const char *name, const char *text, size_t len,
                       struct dune_diag *d) DUNE_MUST_USE;
/* docs/performance.md from every result in dir; images is the path from the document to dir. */
int bench_report(const char *dir, const char *images, const char *out, struct dune_diag *d) DUNE_MUST_USE;

/* --- the runner --------------------------------------------------------------------------------- */
const struct bench_entry *bench_entry_at(size_t i); /* NULL behind the last one */
/* Is an entry chosen by name, group or pattern? No names: all are. */
bool bench_chosen(const struct bench_entry *e, const char *const *names, size_t n_names);
/* Runs one benchmark. The result is yours, also after an error inside it (which is then a note). */
int bench_run(struct bench_result **out, const struct bench_entry *e, const struct bench_cfg *cfg,
              struct dune_diag *d) DUNE_MUST_USE;

#define BENCHES(table) extern const struct bench_entry table[];
#include "bench/benches.def"
#undef BENCHES

#endif
