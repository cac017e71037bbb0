/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Runs a fuzz target over its corpus without libFuzzer, then over seeded mutations of it: the same
 * inputs on every machine, so that a failure can be repeated (its input is left in a file).
 *
 *     replay_NAME CORPUS_DIR [MUTATIONS [SEED]]
 */
#include "base/base.h"

#include <fcntl.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len);

#define MAX_INPUT 65536

static uint8_t input[MAX_INPUT];
static size_t input_len;

/* The input that crashed goes to a file in the working directory; async-signal-safe calls only. */
static void keep_input(int sig)
{
    static const char note[] = "# the input that failed is in replay-crash.bin\n";
    int fd = open("replay-crash.bin", O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0644);

    if (fd >= 0 && (write(fd, input, input_len) < 0 || write(STDOUT_FILENO, note, sizeof(note) - 1) < 0))
        _exit(1);
    signal(sig, SIG_DFL);
    raise(sig);
}

/* An exact heap copy lets the address sanitizer see the first byte read too far. */
static void run_one(const uint8_t *data, size_t len)
{
    uint8_t *copy = malloc(len ? len : 1);

    if (!copy)
        abort();
    memcpy(copy, data, len);
    LLVMFuzzerTestOneInput(copy, len);
    free(copy);
}

static void mutate(struct dune_rng *r)
{
    static const uint8_t edge[] = {0, 1, 0x7f, 0x80, 0xff, '"', ',', '\n', '{', ']', '-', '9'};
    uint64_t n = 1 + dune_rng_below(r, 8), at, len, room;

    while (n-- > 0 && input_len > 0) {
        at = dune_rng_below(r, input_len);
        len = 1 + dune_rng_below(r, 16);
        room = DUNE_MIN(input_len - at, MAX_INPUT - input_len);
        switch (dune_rng_below(r, 6)) {
        case 0:
            input[at] ^= (uint8_t)(1u << dune_rng_below(r, 8));
            break;
        case 1:
            input[at] = edge[dune_rng_below(r, sizeof(edge))];
            break;
        case 2: /* cut the end */
            input_len = at;
            break;
        case 3: /* remove a piece */
            len = DUNE_MIN(len, input_len - at);
            memmove(input + at, input + at + len, input_len - at - len);
            input_len -= len;
            break;
        case 4: /* repeat a piece */
            len = DUNE_MIN(len, room);
            memmove(input + at + len, input + at, input_len - at);
            input_len += len;
            break;
        default:
            input[at] = (uint8_t)dune_rng_u64(r);
        }
    }
}

static void load(const char *path)
{
    struct dune_diag d = {0};
    char *data = NULL;
    size_t len = 0;

    if (dune_file_read(path, &data, &len, &d) != 0)
        exit(1);
    input_len = DUNE_MIN(len, (size_t)MAX_INPUT);
    memcpy(input, data, input_len);
    if (len > MAX_INPUT) /* too long to mutate: run whole */
        run_one((const uint8_t *)data, len);
    dune_mem_free(data);
}

int main(int argc, char **argv)
{
    struct dune_paths corpus = {0};
    struct dune_diag d = {0};
    struct dune_rng r;
    uint64_t n = 2000, seed = 1, i;

    if (argc < 2 || (argc > 2 && !dune_parse_u64(argv[2], &n)) ||
        (argc > 3 && !dune_parse_u64(argv[3], &seed)))
        return 2;
    signal(SIGABRT, keep_input);
    signal(SIGSEGV, keep_input);
    printf("1..2\n");
    if (dune_path_is_dir(argv[1]) && dune_paths_add(&corpus, argv[1], &d) != 0) {
        printf("Bail out! %s\n", d.msg);
        return 1;
    }
    run_one(input, 0);
    for (i = 0; i < corpus.len; i++) {
        load(corpus.data[i]);
        run_one(input, input_len);
    }
    printf("ok 1 - %zu inputs and the empty one\n", corpus.len);
    fflush(stdout);
    for (i = 0; i < n; i++) {
        dune_rng_init(&r, seed, i, 0, 0);
        if (corpus.len)
            load(corpus.data[dune_rng_below(&r, corpus.len)]);
        else
            for (input_len = 0; input_len < 64; input_len++)
                input[input_len] = (uint8_t)dune_rng_u64(&r);
        mutate(&r);
        run_one(input, input_len);
    }
    printf("ok 2 - %llu mutations\n", (unsigned long long)n);
    dune_paths_fini(&corpus);
    return 0;
}
