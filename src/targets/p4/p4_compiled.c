/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Reports of a switch compiler about one program:
 *
 *   metrics.json         {"mau": {"srams", "tcams", "map_rams", "latency": [{"gress", "cycles"}]}}
 *   mau.resources.log    a table, one row per stage: | Stage Number | ... | SRAM | Map RAM | TCAM | ... |
 *
 * These two are summaries that not every installation writes. Where they are missing, the files that they are
 * made of do, which the compiler itself writes with -g:
 *
 *   resources.json       {"resources": {"mau": {"mau_stages": [{"stage_number", "rams": {"srams": [...]},
 *                        "map_rams": {"maprams": [...]}, "tcams": {"tcams": [...]}, "logical_tables": {"ids": [...]}}]}}}
 *   power.json           {"total_latency": [{"gress", "latency"}]}
 */
#include <jansson.h>
#include <string.h>

#include "targets/p4/p4_int.h"

/* --- summaries --------------------------------------------------------------------------------------- */

static bool get_count(const json_t *mau, const char *key, uint32_t *out)
{
    const json_t *v = json_object_get(mau, key);

    if (!json_is_integer(v) || json_integer_value(v) < 0 || json_integer_value(v) > 1000000)
        return false;
    *out = (uint32_t)json_integer_value(v);
    return true;
}

/* Of an array of {"gress", key}. 0: none. */
static uint32_t ingress_cycles(const json_t *ways, const char *key)
{
    uint32_t cycles = 0, one;
    const json_t *way;
    size_t i;

    json_array_foreach(ways, i, way) {
        const char *gress = json_string_value(json_object_get(way, "gress"));

        if (gress && strcmp(gress, "ingress") == 0 && get_count(way, key, &one))
            cycles = one;
    }
    return cycles;
}

int dune_p4_compiled_metrics(struct dune_p4_compiled *c, const char *name, const char *text, size_t len,
                             struct dune_diag *d)
{
    json_error_t err;
    json_t *root = json_loadb(text, len, 0, &err), *mau = json_object_get(root, "mau");
    bool ok;

    if (!root)
        return dune_diag_set_line(d, DUNE_E_FORMAT, name, (uint64_t)DUNE_MAX(err.line, 0), "%s", err.text);
    ok = get_count(mau, "srams", &c->sram_blocks) && get_count(mau, "tcams", &c->tcam_blocks) &&
         get_count(mau, "map_rams", &c->map_rams);
    c->latency_cycles = ingress_cycles(json_object_get(mau, "latency"), "cycles");
    json_decref(root);
    if (!ok)
        return dune_diag_set(d, DUNE_E_FORMAT, name, "want mau.srams, mau.tcams and mau.map_rams");
    c->has_metrics = true;
    return 0;
}

enum { MAX_CELLS = 64 };

struct cell {
    const char *p;
    size_t len;
};

/* The cells of a row, blanks cut off. */
static size_t split(const char *p, const char *end, struct cell *cell)
{
    size_t n = 0;

    while (p < end && *p == ' ')
        p++;
    if (p == end || *p != '|')
        return 0;
    for (p++; p < end && n < MAX_CELLS;) {
        const char *bar = memchr(p, '|', (size_t)(end - p)), *stop = bar;

        if (!bar)
            break;
        while (p < stop && *p == ' ')
            p++;
        while (stop > p && stop[-1] == ' ')
            stop--;
        cell[n++] = (struct cell){p, (size_t)(stop - p)};
        p = bar + 1;
    }
    return n;
}

static bool is_word(const struct cell *c, const char *word)
{
    return c->len == strlen(word) && memcmp(c->p, word, c->len) == 0;
}

static bool is_number(const struct cell *c, uint32_t *out)
{
    uint32_t v = 0;

    if (c->len == 0 || c->len > 6)
        return false;
    for (size_t i = 0; i < c->len; i++) {
        if (c->p[i] < '0' || c->p[i] > '9')
            return false;
        v = v * 10 + (uint32_t)(c->p[i] - '0');
    }
    *out = v;
    return true;
}

/* The first table has counts; later ones, shares and names, are not read. */
int dune_p4_compiled_stages(struct dune_p4_compiled *c, const char *name, const char *text, size_t len,
                            struct dune_diag *d)
{
    const char *p = text, *end = text + len;
    struct cell cell[MAX_CELLS];
    size_t ids = 0, rows = 0;
    uint32_t stage, used;

    while (p < end) {
        const char *stop = memchr(p, '\n', (size_t)(end - p));
        size_t n;

        stop = stop ? stop : end;
        n = split(p, stop, cell);
        p = stop + 1;
        if (n && is_word(&cell[0], "Stage Number")) {
            if (rows)
                break;
            for (ids = n - 1; ids > 0 && !is_word(&cell[ids], "Logical TableID"); ids--)
                ;
        } else if (ids && n > ids && is_number(&cell[0], &stage) && is_number(&cell[ids], &used)) {
            rows++;
            if (used && stage < 1000)
                c->stages = DUNE_MAX(c->stages, stage + 1);
        }
    }
    if (!rows)
        return dune_diag_set(d, DUNE_E_FORMAT, name, "want a table with Stage Number and Logical TableID");
    c->has_stages = true;
    return 0;
}

/* --- what the summaries are made of -------------------------------------------------------------------- */

static uint32_t units(const json_t *stage, const char *kind, const char *list)
{
    return (uint32_t)DUNE_MIN(json_array_size(json_object_get(json_object_get(stage, kind), list)), 10000u);
}

int dune_p4_compiled_resources(struct dune_p4_compiled *c, const char *name, const char *text, size_t len,
                               struct dune_diag *d)
{
    json_error_t err;
    json_t *root = json_loadb(text, len, 0, &err), *stage;
    const json_t *stages = json_object_get(json_object_get(json_object_get(root, "resources"), "mau"), "mau_stages");
    uint32_t srams = 0, tcams = 0, maps = 0, last = 0, number = 0;
    bool ok = json_array_size(stages) > 0;
    size_t i;

    if (!root)
        return dune_diag_set_line(d, DUNE_E_FORMAT, name, (uint64_t)DUNE_MAX(err.line, 0), "%s", err.text);
    json_array_foreach(stages, i, stage) {
        ok = ok && get_count(stage, "stage_number", &number) && number < 1000;
        srams += units(stage, "rams", "srams");
        tcams += units(stage, "tcams", "tcams");
        maps += units(stage, "map_rams", "maprams");
        if (units(stage, "logical_tables", "ids"))
            last = DUNE_MAX(last, number + 1);
    }
    json_decref(root);
    if (!ok)
        return dune_diag_set(d, DUNE_E_FORMAT, name, "want resources.mau.mau_stages, each with stage_number");
    if (!c->has_stages)
        c->stages = last;
    if (!c->has_metrics) {
        c->sram_blocks = srams;
        c->tcam_blocks = tcams;
        c->map_rams = maps;
    }
    c->has_stages = c->has_metrics = true;
    return 0;
}

int dune_p4_compiled_power(struct dune_p4_compiled *c, const char *name, const char *text, size_t len,
                           struct dune_diag *d)
{
    json_error_t err;
    json_t *root = json_loadb(text, len, 0, &err);
    uint32_t cycles = ingress_cycles(json_object_get(root, "total_latency"), "latency");

    if (!root)
        return dune_diag_set_line(d, DUNE_E_FORMAT, name, (uint64_t)DUNE_MAX(err.line, 0), "%s", err.text);
    json_decref(root);
    if (!cycles)
        return dune_diag_set(d, DUNE_E_FORMAT, name, "want total_latency with a latency of the ingress");
    if (!c->latency_cycles)
        c->latency_cycles = cycles;
    return 0;
}

/* --- files ----------------------------------------------------------------------------------------------- */

typedef int (*read_fn)(struct dune_p4_compiled *c, const char *name, const char *text, size_t len, struct dune_diag *d);

/* Summaries first: what they say is not looked for again. */
static const struct {
    const char *name;
    read_fn read;
} files[] = {
    {"metrics.json", dune_p4_compiled_metrics},
    {"mau.resources.log", dune_p4_compiled_stages},
    {"resources.json", dune_p4_compiled_resources},
    {"power.json", dune_p4_compiled_power},
};

static bool has_enough(const struct dune_p4_compiled *c, size_t file)
{
    return file == 0 ? c->has_metrics : file == 1 ? c->has_stages : file == 2 ? c->has_metrics && c->has_stages
                                                                              : c->latency_cycles != 0;
}

static int read_below(struct dune_p4_compiled *c, const char *dir, struct dune_diag *d)
{
    int rc = 0;

    for (size_t i = 0; i < DUNE_ARRAY_LEN(files) && rc == 0; i++) {
        char *path = dune_mem_printf("%s/%s", dir, files[i].name), *text = NULL;
        struct dune_diag ignored = {0};
        size_t len = 0;

        if (!has_enough(c, i) && dune_file_read(path, &text, &len, &ignored) == 0)
            rc = files[i].read(c, path, text, len, d);
        dune_mem_free(text);
        dune_mem_free(path);
    }
    return rc;
}

int dune_p4_compiled_read(struct dune_p4_compiled *c, const char *dir, const char *device, struct dune_diag *d)
{
    static const char *const below[] = {"", "/logs", "/pipe/logs", "/pipe"};
    int rc = 0;

    memset(c, 0, sizeof(*c));
    for (int level = 0; level < 3 && rc == 0 && !c->has_metrics && !c->has_stages; level++)
        for (size_t i = 0; i < DUNE_ARRAY_LEN(below) && rc == 0; i++) {
            char *at = level == 0   ? dune_mem_printf("%s/%s/%s.out%s", dir, device, device, below[i])
                       : level == 1 ? dune_mem_printf("%s/%s%s", dir, device, below[i])
                                    : dune_mem_printf("%s%s", dir, below[i]);

            rc = read_below(c, at, d);
            dune_mem_free(at);
        }
    if (rc == 0 && !c->has_metrics && !c->has_stages)
        rc = dune_diag_set(d, DUNE_E_INPUT, dir, "no metrics.json, mau.resources.log or resources.json of device %s",
                           device);
    return rc;
}
