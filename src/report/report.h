/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A run directory as pictures, tables and sentences: HTML with inline SVG, text for terminals, SVG files.
 *
 *     struct report *r;
 *     rc = report_open(&r, "out/demo", &d);
 *     for (size_t i = 0; report_section_at(i); i++)
 *         report_section_html(r, i, &buf);      a <section class="dr" id="report-NAME"> each
 *     report_free(r);
 *
 * The HTML has classes only, no style, script or event attributes, and no requests: any page with the rules of
 * report_css() (which include those of the charts) can take it, also under a strict content security
 * policy. Names from files are escaped. What a run directory does not have is left out with a sentence that
 * says why. Same files, same bytes; a section stays below about 400 kB, however many classes there are.
 *
 * A report owns everything it read and never changes: sections may be made by several threads at a time.
 */
#ifndef DUNE_REPORT_REPORT_H
#define DUNE_REPORT_REPORT_H

#include "base/base.h"

struct report;
/*
 * dir: a run directory, or one that has it as run/ (of demo). Errors: DUNE_E_INPUT where nothing is there or
 * the run did not finish, DUNE_E_FORMAT for broken files, DUNE_E_VERSION for those of another version.
 */
int report_open(struct report **out, const char *dir, struct dune_diag *d) DUNE_MUST_USE;
void report_free(struct report *r);

struct report_section {
    const char *id;    /* "summary", "comparison" ...; also the prefix of the names of its figures */
    const char *title; /* its heading */
};
const struct report_section *report_section_at(size_t i); /* NULL past the end */
/* The section of that id, or -1. */
int report_section_find(const char *id);

void report_section_html(const struct report *r, size_t i, struct dune_buf *out);
void report_section_text(const struct report *r, size_t i, struct dune_buf *out);
/* Every figure of a section: name without extension, caption, SVG for inlining (chart_file makes a file of it). */
typedef void (*report_figure_fn)(void *ctx, const char *name, const char *caption, const struct dune_buf *svg);
void report_section_figures(const struct report *r, size_t i, report_figure_fn fn, void *ctx);
/* Every sentence about what was left out. */
typedef void (*report_lack_fn)(void *ctx, const char *section, const char *why);
void report_lacks(const struct report *r, report_lack_fn fn, void *ctx);

/* All of it: one self-contained page; one text; figures as dir/NAME.svg. */
void report_html(const struct report *r, struct dune_buf *out);
void report_text(const struct report *r, struct dune_buf *out);
int report_write_figures(const struct report *r, const char *dir, struct dune_diag *d) DUNE_MUST_USE;
/* Style sheet of sections and charts; the page's own body is not touched. */
void report_css(struct dune_buf *out);

#endif
