/* SPDX-License-Identifier: Apache-2.0 */
/* Work dealt out to several processes: three of them, joined by pipes. */
#include <sys/wait.h>
#include <unistd.h>

#include "base/ranks.h"
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

static void nothing(void)
{
}

static void ignore(int status)
{
    (void)status;
}

static const struct dune_ranks_ops ops = {gather, nothing, ignore, nothing};

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
    dune_ranks_abort(0);
    assert_true(dune_ranks_cpus() >= 1);
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
