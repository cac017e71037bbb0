/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The toolbox every stage may use: memory, arenas, strings, random numbers, hashes, files, threads.
 *
 * Ownership: whoever calls _new/_init/_open calls the matching _free/_fini/_close; free functions
 * accept NULL. dune_mem_* never return NULL: out of memory stops the tool with a clear message.
 */
#ifndef DUNE_BASE_BASE_H
#define DUNE_BASE_BASE_H

#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#include "dune/error.h"

#define DUNE_ARRAY_LEN(a) (sizeof(a) / sizeof((a)[0]))
#define DUNE_MIN(a, b) ((a) < (b) ? (a) : (b))
#define DUNE_MAX(a, b) ((a) > (b) ? (a) : (b))

/* --- mem.c: allocation with overflow checks -------------------------------------------------- */
void *dune_mem_alloc(size_t n, size_t elem_bytes);  /* uninitialised */
void *dune_mem_alloc_big(size_t n, size_t elem_bytes); /* uninitialised, on huge pages if possible; for what stays */
void *dune_mem_zalloc(size_t n, size_t elem_bytes); /* zeroed */
void *dune_mem_realloc(void *p, size_t n, size_t elem_bytes);
void dune_mem_free(void *p);
/* work.c: the same for what a piece of work needs again and again: large blocks are kept for the next. Freed by
 * dune_work_free only. */
void *dune_work_alloc(size_t n, size_t elem_bytes); /* uninitialised, 64 bytes aligned if large */
void *dune_work_zalloc(size_t n, size_t elem_bytes);
void dune_work_free(void *p);
char *dune_mem_strdup(const char *s);
char *dune_mem_strndup(const char *s, size_t len);
char *dune_mem_printf(const char *fmt, ...) DUNE_PRINTF(1, 2);
char *dune_mem_vprintf(const char *fmt, va_list ap) DUNE_PRINTF(1, 0) __attribute__((nonnull(1)));

#define DUNE_NEW(type) ((type *)dune_mem_zalloc(1, sizeof(type)))
#define DUNE_NEW_N(type, n) ((type *)dune_mem_zalloc((n), sizeof(type)))

/*
 * Growable arrays: struct { T *data; size_t len, cap; } v = {0}; DUNE_VEC_PUSH(&v, x);
 * DUNE_VEC_FREE(&v). The element expression is evaluated once.
 */
#define DUNE_VEC(T)                                                                                \
    struct {                                                                                       \
        T *data;                                                                                   \
        size_t len, cap;                                                                           \
    }
#define DUNE_VEC_RESERVE(v, n)                                                                     \
    do {                                                                                           \
        if ((n) > (v)->cap) {                                                                      \
            size_t dune_cap_ = (v)->cap ? (v)->cap * 2 : 16;                                       \
            while (dune_cap_ < (n))                                                                \
                dune_cap_ *= 2;                                                                    \
            (v)->data = dune_mem_realloc((v)->data, dune_cap_, sizeof(*(v)->data));                \
            (v)->cap = dune_cap_;                                                                  \
        }                                                                                          \
    } while (0)
#define DUNE_VEC_PUSH(v, x)                                                                        \
    do {                                                                                           \
        DUNE_VEC_RESERVE((v), (v)->len + 1);                                                       \
        (v)->data[(v)->len++] = (x);                                                               \
    } while (0)
#define DUNE_VEC_FREE(v)                                                                           \
    do {                                                                                           \
        dune_mem_free((v)->data);                                                                  \
        (v)->data = NULL;                                                                          \
        (v)->len = (v)->cap = 0;                                                                   \
    } while (0)

/* --- arena.c: many small objects, one free --------------------------------------------------- */
struct dune_arena {
    struct dune_arena_chunk *head;
};
void *dune_arena_alloc(struct dune_arena *a, size_t n, size_t elem_bytes); /* zeroed, 16-aligned */
char *dune_arena_strdup(struct dune_arena *a, const char *s);
void dune_arena_fini(struct dune_arena *a);

/* --- buf.c: growable text; data is always NUL-terminated once something was appended ---------- */
struct dune_buf {
    char *data;
    size_t len, cap;
};
void dune_buf_append(struct dune_buf *b, const void *data, size_t len);
void dune_buf_puts(struct dune_buf *b, const char *s);
void dune_buf_printf(struct dune_buf *b, const char *fmt, ...) DUNE_PRINTF(2, 3);
void dune_buf_fini(struct dune_buf *b);

/* --- jsonw.c: streaming JSON writer into a dune_buf; two-space indent, stable order ------------ */
struct dune_jsonw {
    struct dune_buf *out;
    int depth;
    bool compact[32]; /* container printed on one line */
    bool is_obj[32];
    bool first[32];
    bool after_key;
};
void dune_jsonw_init(struct dune_jsonw *w, struct dune_buf *out);
void dune_jsonw_obj(struct dune_jsonw *w);         /* { */
void dune_jsonw_arr(struct dune_jsonw *w);         /* [ */
void dune_jsonw_arr_inline(struct dune_jsonw *w);  /* [ on one line */
void dune_jsonw_obj_inline(struct dune_jsonw *w);  /* { on one line */
void dune_jsonw_end(struct dune_jsonw *w);         /* closes the innermost container */
void dune_jsonw_key(struct dune_jsonw *w, const char *key);
void dune_jsonw_str(struct dune_jsonw *w, const char *s); /* NULL prints null */
void dune_jsonw_int(struct dune_jsonw *w, int64_t v);
void dune_jsonw_uint(struct dune_jsonw *w, uint64_t v);
void dune_jsonw_big(struct dune_jsonw *w, uint64_t v); /* as a string above INT64_MAX */
void dune_jsonw_bool(struct dune_jsonw *w, bool v);
void dune_jsonw_null(struct dune_jsonw *w);
void dune_jsonw_double(struct dune_jsonw *w, double v); /* shortest text that reads back equal */
/* A key with its value. */
void dune_jsonw_put_str(struct dune_jsonw *w, const char *key, const char *v);
void dune_jsonw_put_uint(struct dune_jsonw *w, const char *key, uint64_t v);
void dune_jsonw_put_bool(struct dune_jsonw *w, const char *key, bool v);
void dune_jsonw_put_double(struct dune_jsonw *w, const char *key, double v);
void dune_jsonw_fixed(struct dune_jsonw *w, double v, int decimals);

/* --- rng.c: keyed, splittable random numbers (xoshiro256** seeded by splitmix64) --------------- */
struct dune_rng {
    uint64_t s[4];
};
/* A stream that depends on the keys only, never on the order of other draws. */
void dune_rng_init(struct dune_rng *r, uint64_t seed, uint64_t key1, uint64_t key2, uint64_t key3);
uint64_t dune_rng_u64(struct dune_rng *r);
uint64_t dune_rng_below(struct dune_rng *r, uint64_t n); /* uniform in [0, n), n > 0, unbiased */
double dune_rng_unit(struct dune_rng *r);                /* [0, 1) with 53 bits */
uint64_t dune_mix64(uint64_t a, uint64_t b);             /* mixes two words into one key */

/* --- hash.c ----------------------------------------------------------------------------------- */
uint32_t dune_crc32(const void *data, size_t len);  /* IEEE 802.3, "123456789" -> cbf43926 */
uint32_t dune_crc32c(const void *data, size_t len); /* Castagnoli,  "123456789" -> e3069283 */
uint64_t dune_siphash(const uint8_t key[16], const void *data, size_t len); /* SipHash-2-4 */
/* The same of eight messages of one length at a time. */
void dune_siphash_eight(const uint8_t key[16], const void *const data[8], size_t len, uint64_t out[8]);
/* Content identity of files (not a security boundary): two 64-bit SipHash halves as 32 hex digits. */
void dune_content_hash(const void *data, size_t len, char out[33]);

/* --- fsutil.c --------------------------------------------------------------------------------- */
struct dune_map { /* a file's bytes, mapped read-only */
    const uint8_t *data;
    size_t len;
    void *base; /* for unmapping; NULL for an empty file */
};
int dune_map_open(struct dune_map *m, const char *path, struct dune_diag *d) DUNE_MUST_USE;
void dune_map_close(struct dune_map *m);
/* Reads a whole (small) file; *out is NUL-terminated and yours. */
int dune_file_read(const char *path, char **out, size_t *len, struct dune_diag *d) DUNE_MUST_USE;
/* Writes path.tmp-PID, flushes it and renames it: readers see the old file or the whole new one. Devices
 * and pipes are written as they are, a symbolic link's target is replaced and not the link. */
int dune_file_write(const char *path, const void *data, size_t len,
                    struct dune_diag *d) DUNE_MUST_USE;
/* The same for streamed output. commit returns the first error of any write; abort removes it. */
struct dune_outfile {
    FILE *f;
    char *path, *tmp;
};
int dune_outfile_open(struct dune_outfile *o, const char *path, struct dune_diag *d) DUNE_MUST_USE;
int dune_outfile_commit(struct dune_outfile *o, struct dune_diag *d) DUNE_MUST_USE;
void dune_outfile_abort(struct dune_outfile *o);
int dune_mkdirs(const char *path, struct dune_diag *d) DUNE_MUST_USE;
bool dune_path_is_dir(const char *path);
bool dune_path_exists(const char *path);
const char *dune_path_base(const char *path); /* after the last slash */
/* Regular files below a directory (recursively) or matching a glob, sorted by name. */
struct dune_paths {
    char **data;
    size_t len, cap;
};
int dune_paths_add(struct dune_paths *p, const char *spec, struct dune_diag *d) DUNE_MUST_USE;
void dune_paths_fini(struct dune_paths *p);

/* --- csv.c: RFC 4180 reader over bytes: quotes, CRLF, UTF-8 BOM, line numbers ------------------ */
struct dune_csv {
    const char *file; /* for messages, borrowed */
    const char *p, *end;
    uint64_t line; /* line on which the current record starts */
    uint64_t next_line;
    char **field;
    size_t n_fields, cap_fields;
    struct dune_buf text;
    char delim;
};
void dune_csv_init(struct dune_csv *c, const char *file, const void *data, size_t len);
/* 1: a record, 0: end of input, negative: an error. Blank lines are skipped. */
int dune_csv_next(struct dune_csv *c, struct dune_diag *d) DUNE_MUST_USE;
void dune_csv_fini(struct dune_csv *c);
/* Value of a digit 0-9 or a-f, else -1. */
static inline int dune_hex_digit(char c)
{
    return c >= '0' && c <= '9' ? c - '0' : c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}
/* Characters of a text in UTF-8. */
static inline size_t dune_text_width(const char *s)
{
    size_t n = 0;

    for (; *s; s++)
        n += ((unsigned char)*s & 0xc0) != 0x80;
    return n;
}
/* Strict numbers: the whole text must be consumed. */
bool dune_parse_u64(const char *s, uint64_t *out);
bool dune_parse_i64(const char *s, int64_t *out);
bool dune_parse_double(const char *s, double *out); /* finite only */
/* Appends a field, quoted where needed. */
void dune_csv_put(struct dune_buf *b, const char *s);

/* --- sort_long.c --------------------------------------------------------------------------------- */
/* qsort for long lists: with room of dune_mem_alloc, which --memory bounds. Give it an order without ties. */
void dune_sort(void *base, size_t n, size_t size, int (*cmp)(const void *, const void *));

/* --- pool.c: run fn(ctx, i) for i in [0, n) on up to n_threads threads ------------------------- */
typedef void (*dune_job_fn)(void *ctx, size_t i);
/* Results must go to places indexed by i, so that they do not depend on the thread count. */
void dune_parallel_for(unsigned n_threads, size_t n, dune_job_fn fn, void *ctx);
unsigned dune_n_cpus(void);

/* --- run.c: progress, interruption, logging ---------------------------------------------------- */
/* Set by the signal handler of the command line; long work asks and returns DUNE_E_INTERRUPTED. */
void dune_interrupt_request(void);
bool dune_interrupted(void);
/* One line with percentage and ETA on stderr, only when it is a terminal and not quiet. */
struct dune_progress {
    const char *what;
    uint64_t total;
    _Atomic uint64_t done;
    uint64_t start_ns, last_ns;
    bool on;
};
void dune_progress_set_quiet(bool quiet);
void dune_progress_start(struct dune_progress *p, const char *what, uint64_t total);
void dune_progress_add(struct dune_progress *p, uint64_t n); /* thread-safe */
void dune_progress_end(struct dune_progress *p);
uint64_t dune_now_ns(void); /* monotonic */

#endif
