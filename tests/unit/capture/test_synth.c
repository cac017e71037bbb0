/* SPDX-License-Identifier: Apache-2.0 */
/* The traffic generator: what it writes is what it says, the same on any number of threads. */
#include "testing.h"

#include <unistd.h>

#include "dune/capture.h"
#include "dune/labels.h"
#include "dune/packet.h"
#include "dune/synth.h"

static const char small_profile[] =
    "name: small\nnoise: 0.05\nclasses:\n"
    "  - name: a\n    share: 3\n    devices: 2\n    talks:\n"
    "      - {port: 443, vlan: 7, packets: {min: 1, max: 9}, up: [100, {mean: 300, min: 0, max: 900}]}\n"
    "      - {ip: 6, proto: udp, port: {of: [53, 54]}, packets: 3, pattern: uud, end: open}\n"
    "  - name: b\n    overlap: 0.5\n    like: [a]\n    talks:\n"
    "      - {end: rst, tcp_options: 12, ttl: {mean: 60, sd: 5, min: 40, max: 80}}\n";

static struct dune_synth *profile(const char *text)
{
    struct dune_synth *s = NULL;
    struct dune_diag d = {0};

    assert_ok(dune_synth_parse(&s, "test.yaml", text, strlen(text), &d), d);
    return s;
}

static char *temp_dir(void)
{
    char *dir = dune_mem_strdup("/tmp/dune-synth-XXXXXX");

    assert_non_null(mkdtemp(dir));
    return dir;
}

static void remove_dir(char *dir)
{
    char *command = dune_mem_printf("rm -rf '%s'", dir);

    assert_int_equal(system(command), 0);
    dune_mem_free(command);
    dune_mem_free(dir);
}

static struct dune_synth_stats generate(const char *text, const char *dir, uint64_t seed,
                                        uint32_t threads)
{
    struct dune_synth *s = profile(text);
    struct dune_synth_cfg cfg = {.n_flows = 400, .train_captures = 3, .test_captures = 2,
                                 .concurrency = 10, .seed = seed, .n_threads = threads};
    struct dune_synth_stats st;
    struct dune_diag d = {0};

    assert_ok(dune_synth_write(s, &cfg, dir, &st, &d), d);
    dune_synth_free(s);
    return st;
}

/* One string for all files of a directory: names and content hashes. */
static void digest(const char *dir, struct dune_buf *out)
{
    struct dune_paths p = {0};
    struct dune_diag d = {0};
    char hash[33], *data;
    size_t i, len;

    assert_ok(dune_paths_add(&p, dir, &d), d);
    for (i = 0; i < p.len; i++) {
        assert_ok(dune_file_read(p.data[i], &data, &len, &d), d);
        dune_content_hash(data, len, hash);
        dune_buf_printf(out, "%s %s\n", p.data[i] + strlen(dir), hash);
        dune_mem_free(data);
    }
    assert_int_equal(p.len, 5 + 4);
    dune_paths_fini(&p);
}

static void same_bytes_on_any_number_of_threads(void **state)
{
    char *dir[3] = {temp_dir(), temp_dir(), temp_dir()};
    struct dune_buf text[3] = {{0}};
    int i;

    (void)state;
    generate(small_profile, dir[0], 7, 1);
    generate(small_profile, dir[1], 7, 3);
    generate(small_profile, dir[2], 8, 2);
    for (i = 0; i < 3; i++)
        digest(dir[i], &text[i]);
    assert_string_equal(text[0].data, text[1].data);
    assert_string_not_equal(text[0].data, text[2].data);
    for (i = 0; i < 3; i++) {
        dune_buf_fini(&text[i]);
        remove_dir(dir[i]);
    }
}

struct tally {
    uint64_t packets, labelled, noise, vlan;
};

/* Reads a capture back: time never goes back, every frame but noise is inferable and labelled. */
static void tally_file(const char *path, const struct dune_labels *labels, struct tally *t)
{
    struct dune_label_ctx ctx = {.file = path};
    struct dune_reader *r;
    struct dune_record rec;
    struct dune_packet pkt;
    struct dune_diag d = {0};
    uint64_t last = 0;
    bool conflict = false;
    int rc;

    assert_ok(dune_reader_open(&r, path, &d), d);
    while ((rc = dune_reader_next(r, &rec, &d)) == 1) {
        bool ok = dune_packet_parse(&pkt, rec.data, rec.cap_len, &dune_parser_limits_default,
                                    DUNE_ETHERTYPE_SHIM_DEFAULT) == 0;
        ctx.ts_ns = rec.ts_ns;
        assert_true(rec.ts_ns >= last);
        last = rec.ts_ns;
        t->packets++;
        if (!ok || dune_labels_lookup(labels, &ctx, rec.data, &pkt, &conflict) == DUNE_LABEL_NONE)
            t->noise++;
        else
            t->labelled++;
        t->vlan += ok && rec.data[12] == 0x81;
    }
    assert_ok(rc, d);
    assert_false(conflict);
    dune_reader_close(r);
}

static void files_hold_what_the_lists_say(void **state)
{
    char *dir = temp_dir();
    struct dune_synth_stats st = generate(small_profile, dir, 1, 2);
    char *captures = dune_mem_printf("%s/captures.csv", dir), *path;
    char *labels_path = dune_mem_printf("%s/labels.csv", dir);
    struct dune_captures *caps;
    struct dune_labels *labels;
    const struct dune_piece *piece;
    struct dune_diag d = {0};
    struct tally t = {0};
    uint64_t listed = 0;
    size_t i, n;

    (void)state;
    assert_ok(dune_captures_read(&caps, captures, &d), d);
    assert_ok(dune_labels_read(&labels, labels_path, NULL, &d), d);
    assert_int_equal(dune_labels_n_classes(labels), 2);
    for (i = 0; i < 5; i++) {
        path = dune_mem_printf("%s/%s/synth-0%zu.pcap", dir, i < 3 ? "train" : "test", i < 3 ? i + 1 : i - 2);
        assert_int_equal(dune_captures_pieces(caps, path, &piece, &n), 0);
        assert_int_equal(n, 1);
        listed += piece[0].n_packets;
        tally_file(path, labels, &t);
        dune_mem_free(path);
    }
    assert_int_equal(t.packets, st.n_packets);
    assert_int_equal(listed, st.n_packets);
    assert_int_equal(t.noise, st.n_noise);
    assert_true(st.n_noise > 0 && t.vlan > 0);
    assert_true(st.n_flows >= 400 && st.n_flows < 420);
    assert_int_equal(st.flows_by_class[0] + st.flows_by_class[1], st.n_flows);
    assert_true(st.flows_by_class[0] > 2 * st.flows_by_class[1]);
    dune_captures_free(caps);
    dune_labels_free(labels);
    dune_mem_free(captures);
    dune_mem_free(labels_path);
    remove_dir(dir);
}

static void a_second_run_leaves_nothing_of_the_first(void **state)
{
    struct dune_synth *s = profile(small_profile);
    struct dune_synth_cfg cfg = {.n_flows = 50, .train_captures = 1, .test_captures = 1};
    struct dune_synth_stats st;
    struct dune_paths p = {0};
    struct dune_diag d = {0};
    char *dir = temp_dir();

    (void)state;
    generate(small_profile, dir, 1, 1);
    assert_ok(dune_synth_write(s, &cfg, dir, &st, &d), d);
    assert_ok(dune_paths_add(&p, dir, &d), d);
    assert_int_equal(p.len, 2 + 4);
    dune_paths_fini(&p);
    dune_synth_free(s);
    remove_dir(dir);
}

static void the_built_in_profile_is_valid(void **state)
{
    struct dune_synth *s = profile(dune_synth_default());

    (void)state;
    assert_int_equal(dune_synth_n_classes(s), 8);
    assert_string_equal(dune_synth_class(s, 0), "camera");
    dune_synth_free(s);
}

static void bad_profiles_are_refused_with_their_line(void **state)
{
    static const struct {
        const char *text, *says;
        uint64_t line;
    } bad[] = {
        {"", "empty", 1},
        {"[1, 2]", "must be a mapping", 1},
        {"name: x\n", "list of 1 to", 1},
        {"classes:\n  - name: a\n    colour: red\n", "unknown key \"colour\"", 3},
        {"classes:\n  - name: a\n    talks: []\n", "no list \"talks\"", 2},
        {"classes:\n  - name: a\n    talks:\n      - {port: 70000}\n", "outside of 0 to 65535", 4},
        {"classes:\n  - name: a\n    talks:\n      - {port: many}\n", "whole number", 4},
        {"classes:\n  - name: a\n    talks:\n      - {up: {min: 5, max: 2}}\n", "min is above max", 4},
        {"classes:\n  - name: a\n    talks:\n      - {up: {sd: 5}}\n", "needs min and max, or mean", 4},
        {"classes:\n  - name: a\n    talks:\n      - {up: {of: []}}\n", "at least one", 4},
        {"classes:\n  - name: a\n    talks:\n      - {up: []}\n", "up is empty", 4},
        {"classes:\n  - name: a\n    talks:\n      - {proto: sctp}\n", "cannot be \"sctp\"", 4},
        {"classes:\n  - name: a\n    talks:\n      - {pattern: uxd}\n", "made of u and d", 4},
        {"classes:\n  - name: a\n    talks:\n      - {tcp_options: 6}\n", "multiple of 4", 4},
        {"classes:\n  - name: a\n    talks:\n      - {share: 0}\n", "all 0", 4},
        {"classes:\n  - name: a\n    talks: [{}]\n  - name: a\n    talks: [{}]\n", "appears twice", 4},
        {"classes:\n  - name: a\n    overlap: 0.5\n    talks: [{}]\n", "second class", 2},
        {"classes:\n  - name: a\n    like: [b]\n    talks: [{}]\n", "no class \"b\"", 3},
        {"classes:\n  - name: a\n    overlap: 2\n    talks: [{}]\n", "from 0 to 1", 3},
        {"classes:\n  - name: 'a,b'\n    talks: [{}]\n", "without commas", 2},
    };
    size_t i;

    (void)state;
    for (i = 0; i < DUNE_ARRAY_LEN(bad); i++) {
        struct dune_synth *s = NULL;
        struct dune_diag d = {0};
        int rc = dune_synth_parse(&s, "bad.yaml", bad[i].text, strlen(bad[i].text), &d);
        assert_int_equal(dune_err_exit_code(rc), 3);
        assert_null(s);
        if (!strstr(d.msg, bad[i].says) || d.line != bad[i].line)
            fail_msg("case %zu says \"%s\" in line %llu", i, d.msg, (unsigned long long)d.line);
    }
}

static const struct CMUnitTest tests[] = {
    cmocka_unit_test(same_bytes_on_any_number_of_threads),
    cmocka_unit_test(files_hold_what_the_lists_say),
    cmocka_unit_test(a_second_run_leaves_nothing_of_the_first),
    cmocka_unit_test(the_built_in_profile_is_valid),
    cmocka_unit_test(bad_profiles_are_refused_with_their_line),
};

RUN_TESTS(tests)
