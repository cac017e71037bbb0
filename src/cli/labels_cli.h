/* SPDX-License-Identifier: Apache-2.0 */
/* Options and output about labels that several commands share. */
#ifndef DUNE_CLI_LABELS_CLI_H
#define DUNE_CLI_LABELS_CLI_H

#include "cli/cli.h"
#include "dune/labels.h"

#define CLI_MIN_FLOWS(at)                                                                         \
    {"min-flows", 0, CLI_U32, at, "N", NULL,                                                      \
     "classes with fewer flows in train count as unlabelled (nDPI: 20, else 0)"}

/* What --min-flows is when it is not given. */
static inline uint32_t cli_default_min_flows(const char *labels)
{
    return labels && dune_labels_are_ndpi(labels) ? 20 : 0;
}

/* One line about what nDPI knew, or nothing. */
void cli_print_ndpi(struct cli_ctx *ctx, const struct dune_ndpi_report *r);
/* Key "ndpi" and its value, or nothing. */
void cli_ndpi_json(struct dune_jsonw *w, const struct dune_ndpi_report *r);

#endif
