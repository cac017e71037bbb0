/* SPDX-License-Identifier: Apache-2.0 */
/* Versions of file formats: docs/compatibility.md. */
#ifndef DUNE_BASE_FORMAT_H
#define DUNE_BASE_FORMAT_H

#include <jansson.h>

#include "base/base.h"

/* What a reader knows. A document of another major is refused. One of a newer minor is refused, too, unless the format is one
 * whose readers pass over what they do not know. */
struct dune_format {
    const char *what; /* "a plan" */
    uint32_t major, minor;
    bool passes_over;
};

int dune_format_check(const struct dune_format *f, uint64_t major, uint64_t minor, const char *file, const char *place,
                      struct dune_diag *d) DUNE_MUST_USE;
/* The same for a JSON object: its major is the number KEY, its minor the number "minor", 0 if there is none. Takes the minor out
 * of ROOT, so that strict readers need not know it; *newer, if wanted: passes_over and a newer minor. */
int dune_format_check_json(const struct dune_format *f, json_t *root, const char *key, bool *newer, const char *file,
                           struct dune_diag *d) DUNE_MUST_USE;

#endif
