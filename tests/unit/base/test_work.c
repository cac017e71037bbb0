/* SPDX-License-Identifier: Apache-2.0 */
/* Work memory: blocks do not overlap, are zero where that was asked for, come again, and go back to the system. */
#include "testing.h"

#include "base/base.h"

#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

static size_t resident(void)
{
    unsigned long pages = 0, ignored;
    FILE *f = fopen("/proc/self/statm", "r");

    assert_non_null(f);
    assert_int_equal(fscanf(f, "%lu %lu", &ignored, &pages), 2);
    fclose(f);
    return pages * (size_t)sysconf(_SC_PAGESIZE);
}

static size_t some_size(struct dune_rng *r)
{
    size_t top = (size_t)1 << (4 + dune_rng_below(r, 21)); /* from bytes to blocks with a mapping of their own */

    return 1 + dune_rng_below(r, top);
}

struct held {
    uint8_t *p;
    size_t n;
    uint8_t mark;
};

static void check_bytes(const uint8_t *p, size_t n, uint8_t want)
{
    for (size_t i = 0; i < n; i++)
        if (p[i] != want)
            fail_msg("byte %zu of %zu is %u instead of %u", i, n, p[i], want);
}

static void check(const struct held *h)
{
    check_bytes(h->p, h->n, h->mark);
}

/* Against blocks that write into each other, sizes that are too small, and zeros that are not. */
static void play(uint64_t seed, unsigned steps)
{
    struct held held[24] = {{0}};
    struct dune_rng r;

    dune_rng_init(&r, seed, 0, 0, 0);
    for (unsigned k = 0; k < steps; k++) {
        struct held *h = &held[dune_rng_below(&r, DUNE_ARRAY_LEN(held))];

        if (h->p) {
            check(h);
            dune_work_free(h->p);
            h->p = NULL;
            continue;
        }
        h->n = some_size(&r);
        h->mark = (uint8_t)dune_rng_below(&r, 256);
        if (dune_rng_below(&r, 2)) {
            h->p = dune_work_zalloc(h->n, 1);
            check_bytes(h->p, h->n, 0);
        } else {
            h->p = dune_work_alloc(h->n, 1);
        }
        assert_int_equal((uintptr_t)h->p % 16, 0);
        memset(h->p, h->mark, h->n);
    }
    for (size_t i = 0; i < DUNE_ARRAY_LEN(held); i++) {
        if (held[i].p)
            check(&held[i]);
        dune_work_free(held[i].p);
    }
}

static void test_random(void **state)
{
    (void)state;
    play(1, 800);
}

static void play_one(void *ctx, size_t i)
{
    (void)ctx;
    play(100 + i, 100);
}

static void test_threads(void **state)
{
    (void)state;
    dune_parallel_for(4, 16, play_one, NULL);
}

static void test_every_size_of_a_class(void **state)
{
    (void)state;
    for (size_t n = 32000; n < 300000; n += 997) {
        uint8_t *a = dune_work_alloc(n, 1), *b = dune_work_alloc(n, 1);

        memset(a, 1, n);
        memset(b, 2, n);
        check_bytes(a, n, 1);
        dune_work_free(a);
        dune_work_free(b);
    }
}

/* What idles is bounded, whatever was in use. */
static void test_goes_back(void **state)
{
    enum { BLOCKS = 160 };
    const size_t n = (size_t)2 << 20, before = resident();
    uint8_t *p[BLOCKS];

    (void)state;
    for (int i = 0; i < BLOCKS; i++) {
        p[i] = dune_work_alloc(n + (size_t)(i % 40) * 200000, 1);
        memset(p[i], 7, n);
    }
    assert_true(resident() > before + BLOCKS * n / 2);
    for (int i = 0; i < BLOCKS; i++)
        dune_work_free(p[i]);
#if !defined(__SANITIZE_ADDRESS__) && !defined(__SANITIZE_THREAD__) /* these keep pages of their own */
    assert_true(resident() < before + ((size_t)128 << 20));
#endif
    play(2, 200); /* emptied blocks are as good as others */
}

static void test_after_fork(void **state)
{
    int status = 0;
    pid_t pid;

    (void)state;
    pid = fork();
    if (pid == 0) {
        play(3, 200);
        _exit(0);
    }
    assert_true(pid > 0);
    play(4, 200);
    assert_int_equal(waitpid(pid, &status, 0), pid);
    assert_int_equal(status, 0);
}

static void test_nothing(void **state)
{
    (void)state;
    dune_work_free(NULL);
    dune_work_free(dune_work_alloc(0, 8));
    dune_work_free(dune_work_zalloc(8, 0));
}

static const struct CMUnitTest tests[] = {
    cmocka_unit_test(test_random),
    cmocka_unit_test(test_threads),
    cmocka_unit_test(test_every_size_of_a_class),
    cmocka_unit_test(test_goes_back),
    cmocka_unit_test(test_after_fork),
    cmocka_unit_test(test_nothing),
};
RUN_TESTS(tests)
