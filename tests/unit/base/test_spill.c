/* SPDX-License-Identifier: Apache-2.0 */
/* Arrays in files: the contents of ordinary ones, also while their pages are given back. */
#include <stdlib.h>
#include <unistd.h>

#include "base/spill.h"
#include "testing.h"

enum { BIG = 3 << 20 };

static void test_bytes(void **state)
{
    (void)state;
    struct dune_diag d = {0};
    uint64_t v;

    assert_ok(dune_bytes_parse("65536", &v, &d), d);
    assert_int_equal(v, 65536);
    assert_ok(dune_bytes_parse("2G", &v, &d), d);
    assert_int_equal(v, UINT64_C(2) << 30);
    assert_ok(dune_bytes_parse("512M", &v, &d), d);
    assert_int_equal(v, 512u << 20);
    assert_int_equal(dune_bytes_parse("", &v, &d), DUNE_E_USAGE);
    assert_int_equal(dune_bytes_parse("G", &v, &d), DUNE_E_USAGE);
    assert_int_equal(dune_bytes_parse("12X", &v, &d), DUNE_E_USAGE);
    assert_int_equal(dune_bytes_parse("99999999999999T", &v, &d), DUNE_E_USAGE);
}

static void test_off(void **state)
{
    (void)state;
    struct dune_diag d = {0};
    void *p = dune_mem_alloc(BIG, 1);

    assert_false(dune_spill_on());
    assert_null(dune_spill_alloc(BIG, true));
    assert_int_equal(dune_spill_size(p), 0);
    dune_mem_free(p);
    assert_int_equal(dune_spill_start(1000, NULL, &d), DUNE_E_USAGE);
    memset(&d, 0, sizeof(d));
    assert_int_equal(dune_spill_start(64u << 20, "/nonexistent", &d), DUNE_E_ENV);
}

static void fill(uint32_t *p, size_t n, uint32_t key)
{
    for (size_t i = 0; i < n; i++)
        p[i] = (uint32_t)i * 2654435761u + key;
}

static void assert_filled(const uint32_t *p, size_t n, uint32_t key)
{
    for (size_t i = 0; i < n; i++)
        if (p[i] != (uint32_t)i * 2654435761u + key)
            fail_msg("word %zu", i);
}

struct readers {
    uint32_t *a[8];
    uint64_t sum[4];
};

static void add_up(void *ctx, size_t i)
{
    struct readers *r = ctx;

    for (size_t w = i; w < BIG / 4; w += 64) /* all arrays in turn: chunks close under the other threads */
        for (int k = 0; k < 8; k++) {
            r->sum[i] += r->a[k][w];
            if (w % 4096 == i)
                r->a[k][w] = 0;
        }
}

static void check_threads(void)
{
    struct readers r = {0};
    uint64_t want[4] = {0}, opened = dune_spill_opened();

    assert_true(dune_spill_on());
    for (uint32_t k = 0; k < 8; k++) {
        r.a[k] = dune_mem_alloc(BIG / 4, 4);
        fill(r.a[k], BIG / 4, k);
        for (size_t i = 0; i < 4; i++)
            for (size_t w = i; w < BIG / 4; w += 64)
                want[i] += (uint32_t)w * 2654435761u + k;
    }
    dune_parallel_for(4, 4, add_up, &r);
    assert_memory_equal(r.sum, want, sizeof(want));
    for (uint32_t k = 0; k < 8; k++) {
        for (size_t i = 0; i < 4; i++)
            assert_int_equal(r.a[k][4096 + i], 0);
        dune_mem_free(r.a[k]);
    }
    assert_true(dune_spill_opened() > opened);
}

/* Arrays that come and go take their chunks along: one that fits stays open while they do. */
static void check_short_lived(void)
{
    enum { WORDS = 1 << 20, SHORT = 40000 };
    uint32_t *stays = dune_mem_alloc(WORDS, 4), *p;
    uint64_t opened, sum = 0;

    fill(stays, WORDS, 1);
    opened = dune_spill_opened();
    for (uint32_t k = 0; k < 5000; k++) {
        p = dune_mem_alloc(SHORT, 4);
        p[0] = p[SHORT - 1] = k;
        sum += p[0] + stays[k * 200];
        dune_mem_free(p);
    }
    assert_true(sum > 0);
    opened = dune_spill_opened() - opened;
    if (opened > 2 * 5000 + 200)
        fail_msg("%llu chunks were opened", (unsigned long long)opened);
    dune_mem_free(stays);
    p = dune_mem_zalloc(SHORT, 4); /* not what an array before has left */
    for (size_t i = 0; i < SHORT; i++)
        assert_int_equal(p[i], 0);
    dune_mem_free(p);
}

/* The kernel sees no closed part: what is written goes in pieces. */
static void check_write(void)
{
    struct dune_diag d = {0};
    char path[] = "/tmp/dune-spill-XXXXXX";
    uint32_t *a = dune_mem_alloc(BIG, 4);
    struct dune_map m;
    int fd = mkstemp(path);

    assert_true(fd >= 0);
    close(fd);
    fill(a, BIG, 3);
    assert_ok(dune_file_write(path, a, (size_t)BIG * 4, &d), d);
    assert_ok(dune_map_open(&m, path, &d), d);
    assert_int_equal(m.len, (size_t)BIG * 4);
    assert_memory_equal(m.data, a, m.len);
    dune_map_close(&m);
    unlink(path);
    dune_mem_free(a);
}

/* After all of that, 120 MB and more: the bound was never passed. Sanitizers need much memory themselves. */
static void check_bound(void)
{
#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
    print_message("# the size of this process is not its own under a sanitizer\n");
#else
    assert_int_equal(dune_spill_passed(), 0);
#endif
}

/* One test: cmocka puts its own handler of faults in place before every test. */
static void test_on(void **state)
{
    (void)state;
    enum { N = 40, WORDS = BIG / 4 };
    struct dune_diag d = {0};
    uint32_t *a[N], *grown = dune_mem_alloc(1000, 4); /* from before */
    const uint32_t *z;

    fill(grown, 1000, 7);
    assert_ok(dune_spill_start(33u << 20, NULL, &d), d);
    for (uint32_t k = 0; k < N; k++) { /* 120 MB in all, with a bound of 33 */
        a[k] = dune_mem_alloc(WORDS, 4);
        assert_int_equal(dune_spill_size(a[k]), BIG);
        fill(a[k], WORDS, k);
    }
    assert_true(dune_spill_bytes() >= (uint64_t)N * BIG);
    for (uint32_t k = 0; k < N; k++)
        assert_filled(a[k], WORDS, k);
    grown = dune_mem_realloc(grown, WORDS, 4);
    assert_filled(grown, 1000, 7);
    fill(grown, WORDS, 9);
    grown = dune_mem_realloc(grown, 2 * WORDS, 4);
    assert_filled(grown, WORDS, 9);
    grown = dune_mem_realloc(grown, 50, 4);
    assert_int_equal(dune_spill_size(grown), 0);
    assert_filled(grown, 50, 9);
    z = dune_mem_zalloc(WORDS, 4);
    for (size_t i = 0; i < WORDS; i++)
        assert_int_equal(z[i], 0);
    dune_mem_free((void *)(uintptr_t)z);
    dune_mem_free(grown);
    for (uint32_t k = 0; k < N; k++)
        dune_mem_free(a[k]);
    check_threads();
    check_write();
    check_short_lived();
    check_bound();
    assert_int_equal(dune_spill_bytes(), 0);
}

static const struct CMUnitTest tests[] = {
    cmocka_unit_test(test_bytes),
    cmocka_unit_test(test_off),
    cmocka_unit_test(test_on),
};
RUN_TESTS(tests)
