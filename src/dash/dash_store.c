/* SPDX-License-Identifier: Apache-2.0 */
/* The history: one SQLite file, written by the ticker, read by requests over connections of their own. */
#include "dash/dash_int.h"

#include <sqlite3.h>
#include <string.h>
#include <time.h>

enum { SCHEMA = 1, SERIES_MAX = 100000 };

struct dash_store {
    char *path;
    sqlite3 *db;
    sqlite3_stmt *point, *flow;
    uint32_t max_runs, max_digests;
    uint64_t flows_since_trim;
    char error[256]; /* the first; nothing is written after it */
};

static const char schema[] =
    "BEGIN IMMEDIATE;" /* whole, or not there: the power may fail */
    "CREATE TABLE runs(id INTEGER PRIMARY KEY AUTOINCREMENT, started_ms INTEGER NOT NULL, ended_ms INTEGER,"
    " title TEXT, source TEXT, use_case TEXT, solution TEXT, plan TEXT, devices INTEGER, classes INTEGER,"
    " state TEXT NOT NULL, packets INTEGER, flows INTEGER, macro REAL, weighted REAL, micro REAL, coverage REAL, text TEXT);"
    "CREATE TABLE series(run INTEGER NOT NULL REFERENCES runs(id) ON DELETE CASCADE, t REAL NOT NULL, packets INTEGER,"
    " bytes INTEGER, flows INTEGER, claimed INTEGER, pps REAL, latency_ns INTEGER, coverage REAL, weighted_overall REAL,"
    " micro_overall REAL, macro_overall REAL, weighted_inst REAL, micro_inst REAL, macro_inst REAL);"
    "CREATE INDEX series_run ON series(run, t);"
    "CREATE TABLE digests(run INTEGER NOT NULL REFERENCES runs(id) ON DELETE CASCADE, seq INTEGER NOT NULL, flow TEXT,"
    " class TEXT, confidence INTEGER, device TEXT, submodel INTEGER, phase TEXT, settled INTEGER, truth TEXT, tick INTEGER,"
    " capture TEXT);"
    "CREATE INDEX digests_run ON digests(run, seq);"
    "PRAGMA user_version = 1;"
    "COMMIT;";

const char *dune_dash_history_library(void)
{
    return sqlite3_libversion();
}

const char *dash_store_error(const struct dash_store *s)
{
    return s->error[0] ? s->error : NULL;
}

static bool failed(struct dash_store *s, int rc)
{
    if (rc == SQLITE_OK || rc == SQLITE_DONE || rc == SQLITE_ROW)
        return s->error[0] != '\0';
    if (!s->error[0])
        snprintf(s->error, sizeof(s->error), "the history %.120s cannot be written (%.80s): it ends here", s->path,
                 sqlite3_errmsg(s->db));
    return true;
}

static int64_t one_number(sqlite3 *db, const char *sql)
{
    sqlite3_stmt *st = NULL;
    int64_t v = -1;

    if (sqlite3_prepare_v2(db, sql, -1, &st, NULL) == SQLITE_OK && sqlite3_step(st) == SQLITE_ROW)
        v = sqlite3_column_int64(st, 0);
    sqlite3_finalize(st);
    return v;
}

/* --- opening ------------------------------------------------------------------------------------------------------- */

static int check_schema(struct dash_store *s, struct dune_diag *d)
{
    int64_t version = one_number(s->db, "PRAGMA user_version");

    if (version == 0 && one_number(s->db, "SELECT count(*) FROM sqlite_master") == 0)
        return sqlite3_exec(s->db, schema, NULL, NULL, NULL) == SQLITE_OK
                   ? 0
                   : dune_diag_set(d, DUNE_E_IO, s->path, "%s", sqlite3_errmsg(s->db));
    if (version < 0)
        return dune_diag_set(d, DUNE_E_INPUT, s->path, "no history of a dashboard: %s", sqlite3_errmsg(s->db));
    if (version != SCHEMA)
        return dune_diag_set(d, DUNE_E_VERSION, s->path, "a history of version %lld, this program writes version %d; "
                             "give another file", (long long)version, SCHEMA);
    return 0;
}

static int prepare(struct dash_store *s, struct dune_diag *d)
{
    static const char point[] = "INSERT INTO series VALUES(?1,?2,?3,?4,?5,?6,?7,?8,?9,?10,?11,?12,?13,?14,?15)";
    static const char flow[] = "INSERT INTO digests VALUES(?1,?2,?3,?4,?5,?6,?7,?8,?9,?10,?11,?12)";

    if (sqlite3_prepare_v2(s->db, point, -1, &s->point, NULL) != SQLITE_OK ||
        sqlite3_prepare_v2(s->db, flow, -1, &s->flow, NULL) != SQLITE_OK)
        return dune_diag_set(d, DUNE_E_INPUT, s->path, "no history of a dashboard: %s", sqlite3_errmsg(s->db));
    return 0;
}

int dash_store_open(struct dash_store **out, const char *path, uint32_t runs, uint32_t digests, struct dune_diag *d)
{
    struct dash_store *s = DUNE_NEW(struct dash_store);
    int rc = 0;

    s->path = dune_mem_strdup(path);
    s->max_runs = runs;
    s->max_digests = digests;
    if (sqlite3_open_v2(path, &s->db, SQLITE_OPEN_READWRITE | SQLITE_OPEN_CREATE, NULL) != SQLITE_OK)
        rc = dune_diag_set(d, DUNE_E_IO, path, "%s", s->db ? sqlite3_errmsg(s->db) : "out of memory");
    if (rc == 0) {
        sqlite3_busy_timeout(s->db, 500);
        sqlite3_exec(s->db, "PRAGMA journal_mode=WAL; PRAGMA synchronous=NORMAL; PRAGMA foreign_keys=ON;", NULL, NULL, NULL);
        rc = check_schema(s, d);
    }
    if (rc == 0)
        rc = prepare(s, d);
    if (rc == 0) /* what a crash left */
        sqlite3_exec(s->db, "UPDATE runs SET state = 'cut off' WHERE state = 'running'", NULL, NULL, NULL);
    if (rc)
        dash_store_close(s);
    else
        *out = s;
    return rc;
}

void dash_store_close(struct dash_store *s)
{
    if (!s)
        return;
    sqlite3_finalize(s->point);
    sqlite3_finalize(s->flow);
    sqlite3_close(s->db);
    dune_mem_free(s->path);
    dune_mem_free(s);
}

/* --- writing --------------------------------------------------------------------------------------------------------- */

static void bind_text(sqlite3_stmt *st, int at, const char *text)
{
    if (text)
        sqlite3_bind_text(st, at, text, -1, SQLITE_TRANSIENT);
    else
        sqlite3_bind_null(st, at);
}

static void step(struct dash_store *s, sqlite3_stmt *st)
{
    failed(s, sqlite3_step(st));
    sqlite3_reset(st);
}

static int64_t now_ms(void)
{
    struct timespec t;

    clock_gettime(CLOCK_REALTIME, &t);
    return (int64_t)t.tv_sec * 1000 + t.tv_nsec / 1000000;
}

static void run_sql(struct dash_store *s, const char *sql, int64_t a, int64_t b)
{
    sqlite3_stmt *st = NULL;

    if (failed(s, sqlite3_prepare_v2(s->db, sql, -1, &st, NULL)))
        return;
    sqlite3_bind_int64(st, 1, a);
    if (sqlite3_bind_parameter_count(st) > 1)
        sqlite3_bind_int64(st, 2, b);
    failed(s, sqlite3_step(st));
    sqlite3_finalize(st);
}

int64_t dash_store_run(struct dash_store *s, const struct dash_scene *scene, const char *title)
{
    static const char sql[] = "INSERT INTO runs(started_ms, title, source, use_case, solution, plan, devices, classes, state)"
                              " VALUES(?1,?2,?3,?4,?5,?6,?7,?8,'running')";
    sqlite3_stmt *st = NULL;
    int64_t id;

    if (failed(s, sqlite3_prepare_v2(s->db, sql, -1, &st, NULL)))
        return 0;
    sqlite3_bind_int64(st, 1, (int64_t)(scene->started_ns / 1000000));
    bind_text(st, 2, title);
    bind_text(st, 3, scene->source);
    bind_text(st, 4, scene->use_case);
    bind_text(st, 5, scene->solution);
    bind_text(st, 6, scene->plan ? scene->plan->name : NULL);
    sqlite3_bind_int64(st, 7, scene->n_devices);
    sqlite3_bind_int64(st, 8, scene->n_classes);
    failed(s, sqlite3_step(st));
    sqlite3_finalize(st);
    id = sqlite3_last_insert_rowid(s->db);
    run_sql(s, "DELETE FROM runs WHERE id NOT IN (SELECT id FROM runs ORDER BY id DESC LIMIT ?1)", s->max_runs, 0);
    return s->error[0] ? 0 : id;
}

void dash_store_end(struct dash_store *s, const struct dash_scene *scene, const struct dune_f1 *f1)
{
    static const char sql[] = "UPDATE runs SET ended_ms=?2, state=?3, packets=?4, flows=?5, macro=?6, weighted=?7, micro=?8,"
                              " coverage=?9, text=?10 WHERE id=?1";
    const struct dash_totals *t = &scene->shown.t;
    sqlite3_stmt *st = NULL;

    if (failed(s, sqlite3_prepare_v2(s->db, sql, -1, &st, NULL)))
        return;
    sqlite3_bind_int64(st, 1, scene->run);
    sqlite3_bind_int64(st, 2, now_ms());
    bind_text(st, 3, dash_state_name(t->state));
    sqlite3_bind_int64(st, 4, (int64_t)t->packets);
    sqlite3_bind_int64(st, 5, (int64_t)t->flows);
    if (scene->labels) {
        sqlite3_bind_double(st, 6, f1->macro);
        sqlite3_bind_double(st, 7, f1->weighted);
        sqlite3_bind_double(st, 8, f1->micro);
        sqlite3_bind_double(st, 9, f1->coverage);
    }
    bind_text(st, 10, scene->end_text[0] ? scene->end_text : NULL);
    failed(s, sqlite3_step(st));
    sqlite3_finalize(st);
    run_sql(s, "DELETE FROM series WHERE run = ?1 AND rowid NOT IN (SELECT rowid FROM series WHERE run = ?1 ORDER BY t DESC "
               "LIMIT ?2)", scene->run, SERIES_MAX);
}

void dash_store_point(struct dash_store *s, int64_t run, const struct dash_point *p)
{
    static const int order[3] = {0, 1, 2}; /* weighted, micro, macro */
    sqlite3_stmt *st = s->point;

    if (s->error[0] || !run)
        return;
    sqlite3_bind_int64(st, 1, run);
    sqlite3_bind_double(st, 2, p->t);
    sqlite3_bind_int64(st, 3, (int64_t)p->packets);
    sqlite3_bind_int64(st, 4, (int64_t)p->bytes);
    sqlite3_bind_int64(st, 5, (int64_t)p->flows);
    sqlite3_bind_int64(st, 6, (int64_t)p->claimed);
    sqlite3_bind_double(st, 7, p->pps);
    sqlite3_bind_int64(st, 8, (int64_t)p->latency_ns);
    sqlite3_bind_double(st, 9, p->coverage);
    for (int span = 0; span < 2; span++)
        for (int k = 0; k < 3; k++) {
            int at = 10 + span * 3 + k;

            if (p->scored)
                sqlite3_bind_double(st, at, p->f1[span][order[k]]);
            else
                sqlite3_bind_null(st, at);
        }
    step(s, st);
}

static void put_flow(struct dash_store *s, const struct dash_scene *scene, const struct dash_flow *f)
{
    char key[DASH_KEY_TEXT];
    sqlite3_stmt *st = s->flow;

    dash_key_text(&f->key, key);
    sqlite3_bind_int64(st, 1, scene->run);
    sqlite3_bind_int64(st, 2, (int64_t)f->seq);
    bind_text(st, 3, key);
    bind_text(st, 4, f->cls < scene->n_classes ? scene->class_name[f->cls] : NULL);
    sqlite3_bind_int64(st, 5, f->conf);
    bind_text(st, 6, f->device < scene->n_devices ? scene->device[f->device].name : NULL);
    sqlite3_bind_int64(st, 7, f->submodel);
    bind_text(st, 8, f->flags & DUNE_SHIM_FL ? "FL" : "PL");
    sqlite3_bind_int64(st, 9, f->settled);
    bind_text(st, 10, f->truth < scene->n_classes ? scene->class_name[f->truth] : NULL);
    sqlite3_bind_int64(st, 11, (int64_t)f->tick);
    bind_text(st, 12, f->capture < scene->n_pieces ? scene->piece[f->capture].name : NULL);
    step(s, st);
}

void dash_store_flows(struct dash_store *s, const struct dash_scene *scene, const struct dash_flow *f, size_t n)
{
    if (s->error[0] || !scene->run || !n)
        return;
    failed(s, sqlite3_exec(s->db, "BEGIN", NULL, NULL, NULL));
    for (size_t i = 0; i < n; i++)
        put_flow(s, scene, &f[i]);
    s->flows_since_trim += n;
    if (s->flows_since_trim > s->max_digests / 10) {
        s->flows_since_trim = 0;
        run_sql(s, "DELETE FROM digests WHERE run = ?1 AND seq <= ?2", scene->run,
                (int64_t)f[n - 1].seq - (int64_t)s->max_digests);
    }
    failed(s, sqlite3_exec(s->db, "COMMIT", NULL, NULL, NULL));
}

/* --- reading ------------------------------------------------------------------------------------------------------------ */

static void put_cell(struct dune_jsonw *w, sqlite3_stmt *st, int i)
{
    dune_jsonw_key(w, sqlite3_column_name(st, i));
    switch (sqlite3_column_type(st, i)) {
    case SQLITE_INTEGER:
        dune_jsonw_int(w, sqlite3_column_int64(st, i));
        break;
    case SQLITE_FLOAT:
        dune_jsonw_fixed(w, sqlite3_column_double(st, i), 6);
        break;
    case SQLITE_NULL:
        dune_jsonw_null(w);
        break;
    default:
        dune_jsonw_str(w, (const char *)sqlite3_column_text(st, i));
    }
}

static int put_rows(sqlite3_stmt *st, const char *what, struct dune_buf *out)
{
    struct dune_jsonw w;
    int rc;

    dune_jsonw_init(&w, out);
    dune_jsonw_obj(&w);
    dune_jsonw_key(&w, what);
    dune_jsonw_arr(&w);
    while ((rc = sqlite3_step(st)) == SQLITE_ROW) {
        dune_jsonw_obj_inline(&w);
        for (int i = 0; i < sqlite3_column_count(st); i++)
            put_cell(&w, st, i);
        dune_jsonw_end(&w);
    }
    dune_jsonw_end(&w);
    dune_jsonw_end(&w);
    return rc;
}

int dash_store_read(struct dash_store *s, const char *what, int64_t run, uint32_t limit, const char *query,
                    struct dune_buf *out, struct dune_diag *d)
{
    static const char *const reads[][2] = {
        {"runs", "SELECT * FROM runs WHERE ?1 = 0 OR id = ?1 ORDER BY id DESC LIMIT ?2"},
        {"series", "SELECT * FROM series WHERE run = ?1 ORDER BY t LIMIT ?2"},
        {"digests", "SELECT * FROM digests WHERE run = ?1 AND (?3 = '' OR instr(flow, ?3) > 0) ORDER BY seq DESC LIMIT ?2"}};
    const char *sql = NULL;
    sqlite3 *db = NULL;
    sqlite3_stmt *st = NULL;
    int rc = SQLITE_OK;

    for (size_t i = 0; i < DUNE_ARRAY_LEN(reads); i++)
        if (strcmp(reads[i][0], what) == 0)
            sql = reads[i][1];
    if (!sql)
        return dune_diag_set(d, DUNE_E_USAGE, NULL, "the history has runs, series and digests, not \"%.40s\"", what);
    if (s->error[0])
        return dune_diag_set(d, DUNE_E_IO, NULL, "%s", s->error);
    rc = sqlite3_open_v2(s->path, &db, SQLITE_OPEN_READONLY, NULL);
    sqlite3_busy_timeout(db, 500);
    if (rc == SQLITE_OK)
        rc = sqlite3_prepare_v2(db, sql, -1, &st, NULL);
    if (rc == SQLITE_OK) {
        sqlite3_bind_int64(st, 1, run);
        sqlite3_bind_int64(st, 2, limit);
        if (sqlite3_bind_parameter_count(st) > 2)
            bind_text(st, 3, query);
        rc = put_rows(st, what, out);
    }
    if (rc != SQLITE_DONE)
        dune_diag_set(d, DUNE_E_IO, s->path, "%s", db ? sqlite3_errmsg(db) : "out of memory");
    sqlite3_finalize(st);
    sqlite3_close(db);
    return rc == SQLITE_DONE ? 0 : DUNE_E_IO;
}
