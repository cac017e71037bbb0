/* SPDX-License-Identifier: Apache-2.0 */
#include "cli/cli.h"
#include "cli/ranks_join.h"
#include "cli/build_info.h"
#include "dune/control.h"
#include "dune/dash.h"
#include "dune/labels.h"
#include "dune/model.h"
#include "targets/xdp/dune_xdp.h"

#include <jansson.h>
#include <string.h>
#include <sys/utsname.h>
#include <yaml.h>
#include <zlib.h>
#include <zstd.h>

struct library {
    const char *name, *built, *loaded;
};

static const struct library *libraries(size_t *n)
{
    static char yaml_version[32];
    static struct library list[12];
    int a, b, c;

    yaml_get_version(&a, &b, &c);
    snprintf(yaml_version, sizeof(yaml_version), "%d.%d.%d", a, b, c);
    list[0] = (struct library){"jansson", JANSSON_VERSION, jansson_version_str()};
    list[1] = (struct library){"libyaml", DUNE_BUILD_YAML, yaml_version};
    list[2] = (struct library){"zlib", ZLIB_VERSION, zlibVersion()};
    list[3] = (struct library){"zstd", ZSTD_VERSION_STRING, ZSTD_versionString()};
    list[4].name = "libbpf";
    *n = dune_xdp_library(&list[4].built, &list[4].loaded) ? 5 : 4;
    if (dune_bus_nats_version()) /* no version in the header that differs from the loaded one's */
        list[(*n)++] = (struct library){"libnats", dune_bus_nats_version(), dune_bus_nats_version()};
    if (dune_dash_http_library())
        list[(*n)++] = (struct library){"libmicrohttpd", dune_dash_http_library(), dune_dash_http_library()};
    if (dune_dash_history_library())
        list[(*n)++] = (struct library){"sqlite", dune_dash_history_library(), dune_dash_history_library()};
    if (cli_ranks_version())
        list[(*n)++] = (struct library){"mpi", cli_ranks_version(), cli_ranks_version()};
    if (dune_ndpi_version())
        list[(*n)++] = (struct library){"ndpi", dune_ndpi_version(), dune_ndpi_version()};
    if (dune_xgb_version())
        list[(*n)++] = (struct library){"xgboost", dune_xgb_version(), dune_xgb_version()};
    return list;
}

static void print_json(struct cli_ctx *ctx, const struct library *libs, size_t n)
{
    struct dune_buf b = {0};
    struct dune_jsonw w;
    const char *const *t;
    size_t i;

    dune_jsonw_init(&w, &b);
    dune_jsonw_obj(&w);
    dune_jsonw_key(&w, "version"), dune_jsonw_str(&w, DUNE_BUILD_VERSION);
    dune_jsonw_key(&w, "compiler"), dune_jsonw_str(&w, DUNE_BUILD_COMPILER);
    dune_jsonw_key(&w, "flags"), dune_jsonw_str(&w, DUNE_BUILD_FLAGS);
    dune_jsonw_key(&w, "build_type"), dune_jsonw_str(&w, DUNE_BUILD_TYPE);
    dune_jsonw_key(&w, "sanitizers"), dune_jsonw_str(&w, DUNE_BUILD_SANITIZE);
    dune_jsonw_key(&w, "machine"), dune_jsonw_str(&w, DUNE_BUILD_MACHINE);
    dune_jsonw_key(&w, "libraries");
    dune_jsonw_obj(&w);
    for (i = 0; i < n; i++) {
        dune_jsonw_key(&w, libs[i].name);
        dune_jsonw_obj_inline(&w);
        dune_jsonw_key(&w, "built"), dune_jsonw_str(&w, libs[i].built);
        dune_jsonw_key(&w, "loaded"), dune_jsonw_str(&w, libs[i].loaded);
        dune_jsonw_end(&w);
    }
    dune_jsonw_end(&w);
    dune_jsonw_key(&w, "targets");
    dune_jsonw_arr_inline(&w);
    for (t = (const char *const[]){DUNE_BUILD_TARGETS NULL}; *t; t++)
        dune_jsonw_str(&w, *t);
    dune_jsonw_end(&w);
    dune_jsonw_end(&w);
    cli_write_json(ctx, &b);
    dune_buf_fini(&b);
}

static int run(struct cli_ctx *ctx, void *config, struct dune_diag *d)
{
    const struct library *libs;
    const char *const *t;
    size_t n, i;

    (void)config;
    (void)d;
    libs = libraries(&n);
    if (ctx->json) {
        print_json(ctx, libs, n);
        return 0;
    }
    cli_out(ctx, "dunectl %s\n", DUNE_BUILD_VERSION);
    cli_out(ctx, "compiler    %s for %s\n", DUNE_BUILD_COMPILER, DUNE_BUILD_MACHINE);
    cli_out(ctx, "flags       %s\n", DUNE_BUILD_FLAGS);
    cli_out(ctx, "build       %s, sanitizers: %s\n", DUNE_BUILD_TYPE, DUNE_BUILD_SANITIZE);
    cli_out(ctx, "libraries  ");
    for (i = 0; i < n; i++)
        cli_out(ctx, " %s %s%s%s%s", libs[i].name, libs[i].loaded,
                strcmp(libs[i].built, libs[i].loaded) ? " (built with " : "",
                strcmp(libs[i].built, libs[i].loaded) ? libs[i].built : "",
                strcmp(libs[i].built, libs[i].loaded) ? ")" : "");
    cli_out(ctx, "\ntargets    ");
    for (t = (const char *const[]){DUNE_BUILD_TARGETS NULL}; *t; t++)
        cli_out(ctx, " %s", *t);
    cli_out(ctx, "%s\n", (const char *const[]){DUNE_BUILD_TARGETS NULL}[0] ? "" : " none");
    return 0;
}

const struct cli_command cmd_version = {
    .name = "version",
    .summary = "version, compiler, libraries and targets of this build",
    .examples = "dunectl version\ndunectl version --json\n",
    .run = run,
};
