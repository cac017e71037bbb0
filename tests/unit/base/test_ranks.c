/* SPDX-License-Identifier: Apache-2.0 */
/* Work dealt out to several processes: three of them, joined by pipes. */
#include <sys/wait.h>
#include <unistd.h>

#include "base/ranks.h"
#include "dune/forest.h"
#include "testing.h"

enum { N_RANKS = 3, N_ITEMS = 17 };

static int in[N_RANKS][N_RANKS][2]; /* from, to */
static unsigned self;

static void put_all(int fd, const void *data, size_t len)
{
    for (const uint8_t *p = data; len;) {
        ssize_t n = write(fd, p, len);

        assert_true(n > 0);
        p += n;
        len -= (size_t)n;
    }
}

static void get_all(int fd, void *data, size_t len)
{
    for (uint8_t *p = data; len;) {
        ssize_t n = read(fd, p, len);

        assert_true(n > 0);
        p += n;
        len -= (size_t)n;
    }
}

/* In turn: number r sends to all others. Pipes hold what is sent here. */
static void gather(const void *mine, size_t len, uint8_t **all, size_t *offset)
{
    struct dune_buf out = {0};

    offset[0] = 0;
    for (unsigned r = 0; r < N_RANKS; r++) {
        uint64_t n = len;

        for (unsigned to = 0; r == self && to < N_RANKS; to++) {
            put_all(in[r][to][1], &n, sizeof(n));
            put_all(in[r][to][1], mine, len);
        }
        get_all(in[r][self][0], &n, sizeof(n));
        offset[r + 1] = offset[r] + (size_t)n;
        for (uint8_t byte; n; n--) {
            get_all(in[r][self][0], &byte, 1);
            dune_buf_append(&out, &byte, 1);
        }
    }
    *all = dune_mem_alloc(out.len + 1, 1);
    if (out.len)
        memcpy(*all, out.data, out.len);
    dune_buf_fini(&out);
}

static void sum(uint64_t *v, size_t n)
{
    size_t offset[N_RANKS + 1];
    uint8_t *all;

    gather(v, n * sizeof(*v), &all, offset);
    for (size_t i = 0; i < n; i++) {
        v[i] = 0;
        for (unsigned r = 0; r < N_RANKS; r++) {
            uint64_t one;

            memcpy(&one, all + offset[r] + i * sizeof(one), sizeof(one));
            v[i] += one;
        }
    }
    dune_mem_free(all);
}

static void nothing(void)
{
}

static void ignore(int status)
{
    (void)status;
}

static const struct dune_ranks_ops ops = {gather, sum, nothing, ignore, nothing};

struct squares {
    uint64_t value[N_ITEMS];
    unsigned done_here;
    bool bad;
};

static void square(void *ctx, size_t i)
{
    struct squares *s = ctx;

    s->value[i] = (uint64_t)i * i + 1;
    __atomic_fetch_add(&s->done_here, 1, __ATOMIC_RELAXED);
}

static void put(void *ctx, size_t i, struct dune_buf *out)
{
    struct squares *s = ctx;

    dune_buf_append(out, &s->value[i], i % 2 ? 8 : 4); /* results of different lengths */
}

static bool take(void *ctx, size_t i, const uint8_t *data, size_t len)
{
    struct squares *s = ctx;

    if (s->bad || len != (i % 2 ? 8 : 4))
        return false;
    memcpy(&s->value[i], data, len);
    return true;
}

static const struct dune_ranks_work work = {square, put, take};

static void assert_all(const struct squares *s)
{
    for (size_t i = 0; i < N_ITEMS; i++)
        assert_int_equal(s->value[i], i * i + 1);
}

static void test_alone(void **state)
{
    (void)state;
    struct squares s = {0};
    struct dune_diag d = {0};

    assert_int_equal(dune_ranks_n(), 1);
    assert_ok(dune_ranks_for(2, N_ITEMS, &work, &s, &d), d);
    assert_all(&s);
    assert_int_equal(s.done_here, N_ITEMS);
    dune_ranks_barrier();
    dune_ranks_sum(s.value, N_ITEMS);
    assert_all(&s);
    dune_ranks_abort(0);
    assert_true(dune_ranks_cpus() >= 1);
}

static bool sums_are_right(unsigned me)
{
    uint64_t v[4] = {me, 1, UINT64_C(1) << 60, 0};

    dune_ranks_sum(v, 4);
    return v[0] == 3 && v[1] == 3 && v[2] == UINT64_C(3) << 60 && v[3] == 0;
}

/* A forest that is trained by all, on enough rows that the last trees are grown by all together, is that of one process. */
static bool trees_are_the_same(void)
{
    enum { ROWS = 70000, COLS = 3 };
    uint8_t feat[COLS] = {0, 1, 2};
    uint32_t *col[COLS];
    struct dune_table t = {.n_rows = ROWS, .n_cols = COLS, .n_classes = 5, .feat = feat, .col = col};
    struct dune_train_cfg cfg = {.n_trees = 4, .max_leaves = 30, .bootstrap = true, .seed = 1, .threads = 2};
    struct dune_forest *f[2] = {0};
    struct dune_rng r;
    struct dune_diag d = {0};
    bool same;

    dune_rng_init(&r, 5, 0, 0, 0);
    t.cls = dune_mem_alloc(ROWS, sizeof(*t.cls));
    t.w = dune_mem_alloc(ROWS, sizeof(*t.w));
    for (int c = 0; c < COLS; c++)
        col[c] = dune_mem_alloc(ROWS, sizeof(**col));
    for (size_t i = 0; i < ROWS; i++) {
        for (int c = 0; c < COLS; c++)
            col[c][i] = (uint32_t)dune_rng_below(&r, c ? 3000 : 20000000);
        t.cls[i] = (uint16_t)((col[0][i] / 4000000 + col[1][i] / 900 + dune_rng_below(&r, 2)) % 5);
        t.w[i] = 1 + i % 3;
    }
    same = dune_forest_train(&f[0], &t, &cfg, &d) == 0;
    dune_ranks_set(0, 1, NULL);
    same = same && dune_forest_train(&f[1], &t, &cfg, &d) == 0;
    dune_ranks_set(self, N_RANKS, &ops);
    for (uint32_t i = 0; same && i < cfg.n_trees; i++) {
        const struct dune_tree *a = &f[0]->tree[i], *b = &f[1]->tree[i];

        same = a->n_nodes == b->n_nodes && a->n_nodes == 59 && memcmp(a->node, b->node, a->n_nodes * sizeof(*a->node)) == 0 &&
               memcmp(a->hist, b->hist, (size_t)a->n_nodes * 5 * sizeof(*a->hist)) == 0;
    }
    dune_forest_free(f[0]);
    dune_forest_free(f[1]);
    for (int c = 0; c < COLS; c++)
        dune_mem_free(col[c]);
    dune_mem_free(t.cls);
    dune_mem_free(t.w);
    return same;
}

/* What every process does: all results, a third of the work; then a result that nobody can read. */
static int one_rank(unsigned me)
{
    struct squares s = {0};
    struct dune_diag d = {0};
    bool ok;

    self = me;
    dune_ranks_set(me, N_RANKS, &ops);
    ok = dune_ranks_for(2, N_ITEMS, &work, &s, &d) == 0 && s.done_here == (me < N_ITEMS % N_RANKS ? 6 : 5);
    for (size_t i = 0; i < N_ITEMS; i++)
        ok = ok && s.value[i] == i * i + 1;
    ok = ok && dune_ranks_for(1, 0, &work, &s, &d) == 0;
    ok = ok && sums_are_right(me) && trees_are_the_same();
    s.bad = true;
    ok = ok && dune_ranks_for(1, N_ITEMS, &work, &s, &d) == DUNE_E_INTERNAL && d.msg[0];
    dune_ranks_finish();
    return ok && dune_ranks_n() == 1 ? 0 : 1;
}

static void test_three_processes(void **state)
{
    (void)state;
    pid_t pid[N_RANKS];

    for (int i = 0; i < N_RANKS * N_RANKS; i++)
        assert_int_equal(pipe(in[i / N_RANKS][i % N_RANKS]), 0);
    for (unsigned r = 0; r < N_RANKS; r++) {
        pid[r] = fork();
        if (pid[r] == 0)
            _exit(one_rank(r));
    }
    for (unsigned r = 0; r < N_RANKS; r++) {
        int status = -1;

        assert_int_equal(waitpid(pid[r], &status, 0), pid[r]);
        assert_int_equal(status, 0);
    }
}

/* Only the first process writes files. */
static void test_files(void **state)
{
    (void)state;
    char path[] = "/tmp/dune-ranks-XXXXXX";
    struct dune_diag d = {0};
    int fd = mkstemp(path);
    char *text;
    size_t len;

    assert_true(fd >= 0);
    close(fd);
    dune_ranks_set(0, 2, &ops);
    assert_ok(dune_file_write(path, "first", 5, &d), d);
    dune_ranks_set(1, 2, &ops);
    assert_ok(dune_file_write(path, "second", 6, &d), d);
    dune_ranks_set(0, 1, NULL);
    assert_ok(dune_file_read(path, &text, &len, &d), d);
    assert_string_equal(text, "first");
    dune_mem_free(text);
    unlink(path);
}

static const struct CMUnitTest tests[] = {
    cmocka_unit_test(test_alone),
    cmocka_unit_test(test_three_processes),
    cmocka_unit_test(test_files),
};
RUN_TESTS(tests)
