/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What a device costs: the model's estimate, and beside it what the compiler of the switch reports:
 *
 *   metrics.json         {"mau": {"srams", "tcams", "map_rams", "latency": [{"gress", "cycles"}]}}
 *   mau.resources.log    a table, one row per stage: | Stage Number | ... | SRAM | Map RAM | TCAM | ... |
 */
#include <jansson.h>
#include <string.h>

#include "targets/p4/p4_int.h"

/* --- reading ----------------------------------------------------------------------------------------- */

static bool get_count(const json_t *mau, const char *key, uint32_t *out)
{
    const json_t *v = json_object_get(mau, key);

    if (!json_is_integer(v) || json_integer_value(v) < 0 || json_integer_value(v) > 1000000)
        return false;
    *out = (uint32_t)json_integer_value(v);
    return true;
}

int dune_p4_compiled_metrics(struct dune_p4_compiled *c, const char *name, const char *text, size_t len,
                             struct dune_diag *d)
{
    json_error_t err;
    json_t *root = json_loadb(text, len, 0, &err), *mau = json_object_get(root, "mau"), *way;
    uint32_t cycles = 0;
    size_t i;
    bool ok;

    if (!root)
        return dune_diag_set_line(d, DUNE_E_FORMAT, name, (uint64_t)DUNE_MAX(err.line, 0), "%s", err.text);
    ok = get_count(mau, "srams", &c->sram_blocks) && get_count(mau, "tcams", &c->tcam_blocks) &&
         get_count(mau, "map_rams", &c->map_rams);
    json_array_foreach(json_object_get(mau, "latency"), i, way) {
        const char *gress = json_string_value(json_object_get(way, "gress"));

        if (gress && strcmp(gress, "ingress") == 0 && get_count(way, "cycles", &cycles))
            c->latency_cycles = cycles;
    }
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

static int read_one(struct dune_p4_compiled *c, const char *dir, const char *file, bool metrics, struct dune_diag *d)
{
    char *path = dune_mem_printf("%s/%s", dir, file), *text = NULL;
    struct dune_diag ignored = {0};
    size_t len = 0;
    int rc = 0;

    if (dune_file_read(path, &text, &len, &ignored) == 0)
        rc = metrics ? dune_p4_compiled_metrics(c, path, text, len, d)
                     : dune_p4_compiled_stages(c, path, text, len, d);
    dune_mem_free(text);
    dune_mem_free(path);
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

            if (!c->has_metrics)
                rc = read_one(c, at, "metrics.json", true, d);
            if (rc == 0 && !c->has_stages)
                rc = read_one(c, at, "mau.resources.log", false, d);
            dune_mem_free(at);
        }
    if (rc == 0 && !c->has_metrics && !c->has_stages)
        rc = dune_diag_set(d, DUNE_E_INPUT, dir, "no metrics.json or mau.resources.log of device %s", device);
    return rc;
}

/* --- writing ----------------------------------------------------------------------------------------- */

static void row(struct dune_buf *b, const char *what, uint32_t model, uint32_t of, bool known, uint32_t compiler)
{
    char text[32];

    if (of)
        snprintf(text, sizeof(text), "%u of %u", model, of);
    else
        snprintf(text, sizeof(text), "%u", model);
    dune_buf_printf(b, "%-20s %-12s", what, text);
    if (known)
        dune_buf_printf(b, " %u", compiler);
    else /* no blanks at the end */
        while (b->len && b->data[b->len - 1] == ' ')
            b->data[--b->len] = '\0';
    dune_buf_puts(b, "\n");
}

static void pipe_rows(struct dune_buf *b, const struct dune_resources *r, const struct dune_profile *prof,
                      const struct dune_p4_compiled *c)
{
    static const struct dune_p4_compiled none = {0};

    if (c)
        dune_buf_printf(b, "\n%-20s %-12s %s\n", "", "model", "compiler");
    c = c ? c : &none;
    row(b, "stages", r->stages, prof->stages, c->has_stages, c->stages);
    row(b, "TCAM blocks", r->tcam_blocks, prof->tcam_blocks, c->has_metrics, c->tcam_blocks);
    row(b, "SRAM blocks", r->sram_blocks, prof->sram_blocks, c->has_metrics, c->sram_blocks);
    row(b, "map RAMs", r->map_rams, prof->map_rams_per_stage * prof->stages, c->has_metrics, c->map_rams);
    row(b, "stateful ALUs", r->stateful_alus, prof->stateful_alus_per_stage * prof->stages, false, 0);
    row(b, "hash bits", r->hash_bits, 0, false, 0);
    row(b, "latency, cycles", r->latency_cycles, 0, c->has_metrics, c->latency_cycles);
    dune_buf_puts(b, "(all estimates: stages, blocks and cycles of the model; the compiler's cycles are its own)\n");
}

void dune_p4_report(struct dune_buf *b, const struct dune_plan *p, uint32_t device, uint32_t generations,
                    const struct dune_p4_compiled *c)
{
    const struct dune_profile *prof = dune_profile_find(p->device[device].profile);
    struct dune_resources r;

    dune_resources_estimate(p, device, prof, generations, &r);
    dune_buf_printf(b, "device %s, profile %s, %s (docs/resources.md)\n\n", p->device[device].name,
                    p->device[device].profile, generations > 1 ? "two generations" : "one generation");
    row(b, "sub-models", r.submodels, 0, false, 0);
    row(b, "leaves", r.leaves, 0, false, 0);
    row(b, "distinct features", r.features_distinct, 0, false, 0);
    row(b, "trees, at most", r.trees, 0, false, 0);
    row(b, "range rows", r.range_rows, 0, false, 0);
    row(b, "the same as ternary", r.range_as_ternary_rows, 0, false, 0);
    row(b, "code rows", r.ternary_rows, 0, false, 0);
    row(b, "code key, bits", r.code_bits, 0, false, 0);
    dune_buf_printf(b, "register bits        %llu\n", (unsigned long long)r.register_bits);
    dune_buf_printf(b, "published accounting %u of %d blocks (%.2f %%)\n", r.published_blocks,
                    DUNE_PUBLISHED_BLOCKS, 100 * r.published_share);
    if (prof && prof->stages)
        pipe_rows(b, &r, prof, c);
}
