/* SPDX-License-Identifier: Apache-2.0 */
#include "cli/labels_cli.h"

void cli_print_ndpi(struct cli_ctx *ctx, const struct dune_ndpi_report *r)
{
    double all = r->flows ? (double)r->flows : 1;

    if (!r->used)
        return;
    cli_out(ctx, "nDPI %s knows %llu of %llu connections (%.1f %%), guesses %llu (%.1f %%)\n", dune_ndpi_version(),
            (unsigned long long)r->known, (unsigned long long)r->flows, 100 * (double)r->known / all,
            (unsigned long long)r->guessed, 100 * (double)r->guessed / all);
}

void cli_ndpi_json(struct dune_jsonw *w, const struct dune_ndpi_report *r)
{
    if (!r->used)
        return;
    dune_jsonw_key(w, "ndpi");
    dune_jsonw_obj_inline(w);
    dune_jsonw_key(w, "version");
    dune_jsonw_str(w, dune_ndpi_version());
    dune_jsonw_key(w, "connections");
    dune_jsonw_uint(w, r->flows);
    dune_jsonw_key(w, "known");
    dune_jsonw_uint(w, r->known);
    dune_jsonw_key(w, "guessed");
    dune_jsonw_uint(w, r->guessed);
    dune_jsonw_key(w, "unknown");
    dune_jsonw_uint(w, r->unknown);
    dune_jsonw_end(w);
}
