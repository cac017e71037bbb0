/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What a search has tried, line by line in a file: an interrupted search runs again from the start, but
 * takes the scores it has from here, so it is soon where it was and ends with the same bytes. Scores that
 * were lost are computed again.
 */
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/ranks.h"
#include "planner/planner_int.h"

enum { KEY = 32, N_BUCKETS = 4096 };

struct known {
    struct known *next;
    char key[KEY + 1];
    double macro;
};
struct dune_search_log {
    FILE *file; /* NULL after an error: the search goes on without */
    struct known *bucket[N_BUCKETS];
};

static size_t bucket_of(const char *key)
{
    size_t h = 0;

    for (int i = 0; i < KEY; i++)
        h = h * 31 + (unsigned char)key[i];
    return h % N_BUCKETS;
}

static void keep(struct dune_search_log *log, const char *key, double macro)
{
    struct known *k = DUNE_NEW(struct known);
    size_t b = bucket_of(key);

    memcpy(k->key, key, KEY);
    k->macro = macro;
    k->next = log->bucket[b];
    log->bucket[b] = k;
}

/* "<32 digits> <score>"; anything else, like a line cut short, is not taken. */
static void take_line(struct dune_search_log *log, const char *line, size_t len)
{
    char key[KEY + 1], *end;
    double macro;

    if (len < KEY + 2 || len > 80 || line[KEY] != ' ')
        return;
    memcpy(key, line, KEY);
    key[KEY] = '\0';
    macro = strtod(line + KEY + 1, &end);
    if (end != line + len || !(macro >= 0 && macro <= 1))
        return;
    keep(log, key, macro);
}

static bool read_lines(struct dune_search_log *log, char *text, const char *head)
{
    size_t n = strlen(head);

    if (strncmp(text, head, n) != 0 || text[n] != '\n')
        return false;
    for (char *line = text + n + 1, *end; (end = strchr(line, '\n')) != NULL; line = end + 1) {
        *end = '\0';
        take_line(log, line, (size_t)(end - line));
    }
    return true;
}

int dune_search_log_open(struct dune_search_log **out, const char *path, const char *identity, struct dune_diag *d)
{
    struct dune_search_log *log = DUNE_NEW(struct dune_search_log);
    char *head = dune_mem_printf("dune-search 1 %s", identity), *text = NULL;
    bool known = false;
    size_t len;
    int e;

    *out = NULL;
    if (dune_path_exists(path) && dune_file_read(path, &text, &len, NULL) == 0)
        known = read_lines(log, text, head);
    dune_mem_free(text);
    dune_ranks_barrier(); /* several processes have read the same before the first one writes */
    if (dune_ranks_me()) {
        dune_mem_free(head);
        *out = log;
        return 0;
    }
    log->file = fopen(path, known ? "a" : "w");
    e = errno;
    if (log->file) /* the empty line ends one that was cut short */
        fprintf(log->file, "%s\n", known ? "" : head);
    dune_mem_free(head);
    if (!log->file) {
        dune_search_log_close(log);
        return dune_diag_set(d, DUNE_E_IO, path, "cannot write it: %s", strerror(e));
    }
    *out = log;
    return 0;
}

void dune_search_log_close(struct dune_search_log *log)
{
    if (!log)
        return;
    if (log->file)
        fclose(log->file);
    for (size_t b = 0; b < N_BUCKETS; b++)
        for (struct known *k = log->bucket[b], *next; k; k = next) {
            next = k->next;
            dune_mem_free(k);
        }
    dune_mem_free(log);
}

bool dune_search_log_find(const struct dune_search_log *log, const char key[33], double *macro)
{
    for (const struct known *k = log->bucket[bucket_of(key)]; k; k = k->next)
        if (memcmp(k->key, key, KEY) == 0) {
            *macro = k->macro;
            return true;
        }
    return false;
}

void dune_search_log_add(struct dune_search_log *log, const char key[33], double macro)
{
    if (!log->file)
        return;
    if (fprintf(log->file, "%s %a\n", key, macro) < 0 || fflush(log->file) != 0) {
        fclose(log->file);
        log->file = NULL;
    }
}

/* Everything the score depends on besides the data and the seed. */
void dune_search_log_key(const struct dune_chain_spec *spec, unsigned layout, char key[33])
{
    struct dune_buf b = {0};

    dune_buf_printf(&b, "%u %u %d %d %u", layout, spec->n_blocks, (int)spec->rule.claim, (int)spec->rule.fallback,
                    spec->rule.early_exit);
    for (unsigned i = 0; i < spec->n_blocks; i++) {
        const struct dune_fit_cfg *c = &spec->cfg[i];

        for (int w = 0; w < DUNE_CLASS_WORDS; w++)
            dune_buf_printf(&b, " %" PRIx64, spec->block[i].word[w]);
        dune_buf_printf(&b, " %u %d %" PRIx64 " %u %d %u %u %u %a %a %a %a %a %a %a %a %d %d %" PRIu64, c->n, (int)c->mode,
                        (uint64_t)c->features, c->max_features, (int)c->select, c->n_trees, c->max_leaves,
                        c->max_depth, c->min_leaf, c->balance, c->other_weight, c->leaf_other, c->smooth, c->shrink, c->spare, c->distil,
                        c->sqrt_features, c->bootstrap, c->seed);
    }
    dune_content_hash(b.data, b.len, key);
    dune_buf_fini(&b);
}
