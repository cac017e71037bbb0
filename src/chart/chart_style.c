/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The look of all pictures. Plain classes without variables, so that programs that turn SVG into PDF
 * understand it too.
 *
 *   c0..c7, cx   fills of the series, grey      s0..s7   the same as strokes
 *   h0..h10      heat, from nothing to most     on       text on dark cells
 *   g a m b      grid, axis, muted text, bold   k o      what was chosen; text over shapes
 */
#include "chart/chart_int.h"

#include <string.h>

static const char css[] =
    ".ch{font-family:system-ui,-apple-system,'Segoe UI',Roboto,'DejaVu Sans',sans-serif;font-size:12px}\n"
    ".ch text{fill:#1f2933}.ch .m{fill:#52606d}.ch .b{font-size:13px;font-weight:600}\n"
    ".ch .g{stroke:#e4e8ed;fill:none}.ch .a{stroke:#7b8794;fill:none}.ch .k{stroke:#1f2933;fill:none;stroke-width:1.6}\n"
    ".ch .o{paint-order:stroke;stroke:#fff;stroke-width:3px;stroke-linejoin:round}\n"
    ".ch .bg{fill:#fff}.ch .r{fill-opacity:.38}.ch .d{stroke-dasharray:4 3}\n"
    ".ch .c0{fill:#0072b2}.ch .c1{fill:#d55e00}.ch .c2{fill:#00875f}.ch .c3{fill:#b8478f}\n"
    ".ch .c4{fill:#b07800}.ch .c5{fill:#2b8cc4}.ch .c6{fill:#6b5b00}.ch .c7{fill:#5f4bb6}.ch .cx{fill:#8d99a6}\n"
    ".ch .s0{stroke:#0072b2}.ch .s1{stroke:#d55e00}.ch .s2{stroke:#00875f}.ch .s3{stroke:#b8478f}\n"
    ".ch .s4{stroke:#b07800}.ch .s5{stroke:#2b8cc4}.ch .s6{stroke:#6b5b00}.ch .s7{stroke:#5f4bb6}.ch .sx{stroke:#8d99a6}\n"
    ".ch .s0,.ch .s1,.ch .s2,.ch .s3,.ch .s4,.ch .s5,.ch .s6,.ch .s7,.ch .sx{fill:none;stroke-width:2}\n"
    ".ch .h0{fill:#f3f6f9}.ch .h1{fill:#e2edf6}.ch .h2{fill:#cfe1f1}.ch .h3{fill:#b7d3ea}.ch .h4{fill:#99c1e1}\n"
    ".ch .h5{fill:#77abd5}.ch .h6{fill:#5593c6}.ch .h7{fill:#377ab4}.ch .h8{fill:#21609c}.ch .h9{fill:#12477e}\n"
    ".ch .h10{fill:#08305c}.ch .on{fill:#fff}\n"
    "@media (prefers-color-scheme:dark){\n"
    ".ch text{fill:#e4e9ef}.ch .m{fill:#a9b4c0}.ch .g{stroke:#2c3641}.ch .a{stroke:#8391a0}.ch .k{stroke:#f5f7fa}\n"
    ".ch .o{stroke:#12181f}.ch .bg{fill:#12181f}.ch .r{fill-opacity:.45}\n"
    ".ch .c0{fill:#56b4e9}.ch .c1{fill:#ff9350}.ch .c2{fill:#3ecb9a}.ch .c3{fill:#ef9fd0}\n"
    ".ch .c4{fill:#f0b93a}.ch .c5{fill:#9fd3f5}.ch .c6{fill:#d8cf70}.ch .c7{fill:#b3a4f5}.ch .cx{fill:#7d8a98}\n"
    ".ch .s0{stroke:#56b4e9}.ch .s1{stroke:#ff9350}.ch .s2{stroke:#3ecb9a}.ch .s3{stroke:#ef9fd0}\n"
    ".ch .s4{stroke:#f0b93a}.ch .s5{stroke:#9fd3f5}.ch .s6{stroke:#d8cf70}.ch .s7{stroke:#b3a4f5}.ch .sx{stroke:#7d8a98}\n"
    ".ch .h0{fill:#1a222b}.ch .h1{fill:#1d2d3d}.ch .h2{fill:#1f3a52}.ch .h3{fill:#224869}.ch .h4{fill:#265981}\n"
    ".ch .h5{fill:#2f6c9c}.ch .h6{fill:#4282b5}.ch .h7{fill:#5e9aca}.ch .h8{fill:#82b4dc}.ch .h9{fill:#abd0ec}\n"
    ".ch .h10{fill:#d8ebfa}.ch .on{fill:#0c1116}\n"
    "}\n"
    "@media print{.ch text{fill:#000}.ch .m{fill:#333}.ch .on{fill:#fff}}\n";

const char *chart_css(void)
{
    return css;
}

void chart_file(struct dune_buf *out, const struct dune_buf *svg)
{
    const char *end = svg->len ? memchr(svg->data, '>', svg->len) : NULL;
    size_t head = end ? (size_t)(end - svg->data) + 1 : 0;

    if (!end)
        return;
    dune_buf_append(out, svg->data, head);
    dune_buf_puts(out, "\n<style>\n");
    dune_buf_puts(out, css);
    dune_buf_puts(out, "</style>\n<rect class=\"bg\" width=\"100%\" height=\"100%\"/>");
    dune_buf_append(out, svg->data + head, svg->len - head);
}
