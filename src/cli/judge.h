/* SPDX-License-Identifier: Apache-2.0 */
/* The judgement of live traces in words and numbers, for `judge` and `testbed run --trace`. */
#ifndef DUNE_CLI_JUDGE_H
#define DUNE_CLI_JUDGE_H

#include "cli/cli.h"
#include "dune/trace.h"

/* As member "trace" of an open object. */
void judge_json(struct dune_jsonw *w, const struct dune_judgement *j);
void judge_text(struct cli_ctx *ctx, const struct dune_judgement *j);
/* 0, or an error that names the first difference. Records that were lost: DUNE_E_ENV, nobody can tell. */
int judge_verdict(const struct dune_judgement *j, struct dune_diag *d) DUNE_MUST_USE;

#endif
