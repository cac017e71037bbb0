/* SPDX-License-Identifier: Apache-2.0 */
#ifndef DUNE_BENCH_BENCH_INT_H
#define DUNE_BENCH_BENCH_INT_H

#include "bench/bench.h"

struct bench {
    struct bench_cfg cfg;
    struct bench_result *result;
};

/* NULL when absent. */
struct bench_samples *bench_find_samples(const struct bench_row *row, const char *quantity);
struct bench_spread bench_spread_of(const double *v, size_t n);
struct bench_spread bench_ratio_rows(const struct bench_samples *ours, const struct bench_samples *peer);
/* The parts of a result, made when they are not there yet. */
struct bench_samples *bench_make_samples(struct bench_result *r, const char *title, const char *who,
                                         const char *quantity, enum bench_better better);
struct bench_row *bench_make_row(struct bench_result *r, const char *title, const char *who);
struct bench_series *bench_make_series(struct bench_result *r, const char *curve, const char *x_label,
                                       const char *y_label, const char *series);
/* Three to four digits, for tables. */
void bench_digits(char *out, size_t out_bytes, double v);
/* "met", "missed", "bar met, goal missed"; NULL: nothing to meet. */
const char *bench_goal_state(const struct bench_goal *g);

#endif
