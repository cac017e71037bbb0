/* SPDX-License-Identifier: Apache-2.0 */
/* The page's files, compiled in (src/dash/assets). */
#include "dash/dash_int.h"

#include <string.h>

extern const char dune_dash_index_html[], dune_dash_style_css[], dune_dash_app_js[], dune_dash_draw_js[], dune_dash_icon_svg[];

bool dash_asset_find(const char *path, struct dash_asset *out)
{
    static const struct dash_asset assets[] = {
        {"/", "text/html; charset=utf-8", dune_dash_index_html, 0},
        {"/style.css", "text/css; charset=utf-8", dune_dash_style_css, 0},
        {"/app.js", "text/javascript; charset=utf-8", dune_dash_app_js, 0},
        {"/draw.js", "text/javascript; charset=utf-8", dune_dash_draw_js, 0},
        {"/icon.svg", "image/svg+xml", dune_dash_icon_svg, 0},
    };

    for (size_t i = 0; i < DUNE_ARRAY_LEN(assets); i++)
        if (strcmp(assets[i].path, path) == 0) {
            *out = assets[i];
            out->len = strlen(out->data);
            return true;
        }
    return false;
}
