/* SPDX-License-Identifier: Apache-2.0 */
#include "testing.h"

#include <unistd.h>

#include "random_dataset.h"

static struct dune_dataset *make(uint64_t seed)
{
    struct random_shape s = {.classes = 5, .captures = 4, .max_n = seed & 1 ? 0 : 4, .flows = 40,
                             .max_len = 9, .seed = seed, .test_percent = 30};

    return random_dataset(s);
}

/* Writes ds and reads the bytes back. */
static char *bytes_of(const struct dune_dataset *ds, size_t *len, char path[32])
{
    struct dune_diag d = {0};
    char *bytes;
    int fd;

    strcpy(path, "/tmp/dune-dset-XXXXXX");
    fd = mkstemp(path);
    assert_true(fd >= 0);
    close(fd);
    assert_ok(dune_dataset_write(ds, path, &d), d);
    assert_ok(dune_file_read(path, &bytes, len, &d), d);
    return bytes;
}

static void assert_same(const struct dune_dataset *a, const struct dune_dataset *b)
{
    assert_string_equal(a->hash, b->hash);
    assert_int_equal(a->n_flows, b->n_flows);
    assert_int_equal(a->n_rows, b->n_rows);
    assert_int_equal(a->n_classes, b->n_classes);
    assert_int_equal(a->n_captures, b->n_captures);
    assert_int_equal(a->max_n, b->max_n);
    assert_true(a->timeout == b->timeout);
    for (uint32_t i = 0; i < a->n_classes; i++)
        assert_string_equal(a->class_name[i], b->class_name[i]);
    for (uint32_t i = 0; i < a->n_captures; i++)
        assert_string_equal(a->capture_name[i], b->capture_name[i]);
    assert_memory_equal(a->capture_split, b->capture_split, a->n_captures);
    assert_memory_equal(a->flow_class, b->flow_class, a->n_flows * 2);
    assert_memory_equal(a->flow_split, b->flow_split, a->n_flows);
    assert_memory_equal(a->flow_capture, b->flow_capture, a->n_flows * 4);
    assert_memory_equal(a->flow_start, b->flow_start, a->n_flows * 8);
    assert_memory_equal(a->flow_len, b->flow_len, a->n_flows * 8);
    assert_memory_equal(a->flow_row, b->flow_row, (a->n_flows + 1) * 8);
    for (int f = 0; f < DUNE_N_FEATURES; f++) {
        assert_memory_equal(a->col[f], b->col[f], a->n_rows * 4);
        assert_int_equal((uintptr_t)b->col[f] % 64, 0);
    }
}

static void test_round_trip(void **state)
{
    (void)state;
    for (uint64_t seed = 0; seed < 4; seed++) {
        struct dune_dataset *ds = make(seed), *mapped, *parsed;
        struct dune_diag d = {0};
        char path[32], *bytes;
        size_t len;

        bytes = bytes_of(ds, &len, path);
        assert_ok(dune_dataset_read(&mapped, path, &d), d);
        assert_same(ds, mapped);
        assert_ok(dune_dataset_parse(&parsed, "x", bytes, len, &d), d);
        assert_same(ds, parsed);
        assert_int_equal(dune_dataset_find_class(parsed, "C c"), 2);
        assert_int_equal(dune_dataset_find_class(parsed, "Z"), -1);
        dune_dataset_free(parsed);
        dune_dataset_free(mapped);
        dune_dataset_free(ds);
        dune_mem_free(bytes);
        unlink(path);
    }
}

static void test_hash_is_of_the_content(void **state)
{
    struct dune_dataset *a = make(2), *b = make(2), *c = make(4);

    (void)state;
    assert_string_equal(a->hash, b->hash);
    assert_string_not_equal(a->hash, c->hash);
    dune_dataset_free(a);
    dune_dataset_free(b);
    dune_dataset_free(c);
}

/* Every truncation and every flipped byte outside the padding is refused, with a sentence. */
static void test_damage_is_refused(void **state)
{
    struct dune_dataset *ds = make(6), *got;
    char path[32], *bytes;
    size_t len, accepted = 0;

    (void)state;
    bytes = bytes_of(ds, &len, path);
    for (size_t n = 0; n < len; n += n < 300 ? 1 : 97) {
        struct dune_diag d = {0};

        assert_true(dune_dataset_parse(&got, "x", bytes, n, &d) < 0);
        assert_null(got);
        assert_true(d.msg[0]);
    }
    for (size_t i = 0; i < len; i += i < 2200 ? 1 : 11) {
        struct dune_diag d = {0};

        bytes[i] ^= 0x10;
        if (dune_dataset_parse(&got, "x", bytes, len, &d) == 0) {
            accepted++;
            assert_same(ds, got);
            dune_dataset_free(got);
        }
        bytes[i] ^= 0x10;
    }
    assert_true(accepted < 64 * (DSET_N_SECTIONS + 1)); /* padding only */
    dune_dataset_free(ds);
    dune_mem_free(bytes);
    unlink(path);
}

static void expect(const char *bytes, size_t len, int code, const char *words)
{
    struct dune_dataset *ds;
    struct dune_diag d = {0};

    assert_int_equal(dune_dataset_parse(&ds, "x.dset", bytes, len, &d), code);
    if (!strstr(d.msg, words))
        fail_msg("\"%s\" does not say \"%s\"", d.msg, words);
}

static void test_messages(void **state)
{
    struct dune_dataset *ds = make(8), *got;
    struct dune_diag d = {0};
    char path[32], *bytes;
    size_t len;

    (void)state;
    bytes = bytes_of(ds, &len, path);
    expect("", 0, DUNE_E_FORMAT, "not a data set");
    expect("PK\3\4aaaaaaaaaaaaaaaaaaaaaaa", 27, DUNE_E_FORMAT, "not a data set");
    expect(bytes, len - 1, DUNE_E_FORMAT, "truncated");
    expect(bytes, 100, DUNE_E_FORMAT, "truncated");
    bytes[8] = 2;
    expect(bytes, len, DUNE_E_VERSION, "version 2");
    assert_int_equal(dune_dataset_read(&got, "/nonexistent/x.dset", &d), DUNE_E_INPUT);
    dune_dataset_free(ds);
    dune_mem_free(bytes);
    unlink(path);
}

/* Well-formed and correctly summed files whose content contradicts itself. */
static void test_inconsistent_content(void **state)
{
    (void)state;
    for (int what = 0; what < 9; what++) {
        struct dune_dataset *ds = make(10), *got;
        struct dune_diag d = {0};
        char path[32], *bytes;
        size_t len;

        switch (what) {
        case 0: ((uint16_t *)ds->flow_class)[3] = 5; break;
        case 1: ((uint8_t *)ds->flow_split)[3] = 2; break;
        case 2: ((uint32_t *)ds->flow_capture)[3] = 4; break;
        case 3: ((uint64_t *)ds->flow_row)[3] = ds->flow_row[4]; break;
        case 4: ((uint64_t *)ds->flow_row)[0] = 1; break;
        case 5: ((uint64_t *)ds->flow_len)[3] = 0; break;
        case 6: ((uint32_t *)ds->col[DUNE_F_COUNT])[3] += 1; break;
        case 7: ((uint32_t *)ds->col[DUNE_F_IP_TTL])[3] = 256; break;
        case 8: ((char *)ds->class_name[0])[0] = 'X'; break;
        }
        dune_dset_seal(ds, 1);
        bytes = bytes_of(ds, &len, path);
        assert_int_equal(dune_dataset_parse(&got, "x", bytes, len, &d), DUNE_E_FORMAT);
        assert_true(d.place[0]);
        dune_dataset_free(ds);
        dune_mem_free(bytes);
        unlink(path);
    }
}

static const struct CMUnitTest tests[] = {
    cmocka_unit_test(test_round_trip),        cmocka_unit_test(test_hash_is_of_the_content),
    cmocka_unit_test(test_damage_is_refused), cmocka_unit_test(test_messages),
    cmocka_unit_test(test_inconsistent_content),
};
RUN_TESTS(tests)
