/* SPDX-License-Identifier: Apache-2.0 */
/* A build without SQLite: no history. */
#include "dash/dash_int.h"

const char *dune_dash_history_library(void)
{
    return NULL;
}

int dash_store_open(struct dash_store **out, const char *path, uint32_t runs, uint32_t digests, struct dune_diag *d)
{
    (void)runs;
    (void)digests;
    *out = NULL;
    return dune_diag_set(d, DUNE_E_ENV, path, "this build keeps no history: install libsqlite3-dev and build again");
}

void dash_store_close(struct dash_store *s)
{
    (void)s;
}

int64_t dash_store_run(struct dash_store *s, const struct dash_scene *scene, const char *title)
{
    (void)s;
    (void)scene;
    (void)title;
    return 0;
}

void dash_store_end(struct dash_store *s, const struct dash_scene *scene, const struct dune_f1 *f1)
{
    (void)s;
    (void)scene;
    (void)f1;
}

void dash_store_point(struct dash_store *s, int64_t run, const struct dash_point *p)
{
    (void)s;
    (void)run;
    (void)p;
}

void dash_store_flows(struct dash_store *s, const struct dash_scene *scene, const struct dash_flow *f, size_t n)
{
    (void)s;
    (void)scene;
    (void)f;
    (void)n;
}

const char *dash_store_error(const struct dash_store *s)
{
    (void)s;
    return NULL;
}

int dash_store_read(struct dash_store *s, const char *what, int64_t run, uint32_t limit, const char *query,
                    struct dune_buf *out, struct dune_diag *d)
{
    (void)s;
    (void)what;
    (void)run;
    (void)limit;
    (void)query;
    (void)out;
    return dune_diag_set(d, DUNE_E_ENV, NULL, "this build keeps no history");
}
