/* SPDX-License-Identifier: Apache-2.0 */
/* Labelled traffic of real programs: record.py, which is part of this program, does it. */
#include "live/live_int.h"

#include <signal.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

extern const char dune_live_record_py[];
#define RECORDING "dunerec" /* its testbed */

static int check_result(int status, const char *log, struct dune_diag *d)
{
    struct dune_diag ignored = {0};
    char *text = NULL, *line;
    size_t len = 0;
    int rc;

    if (WIFEXITED(status) && WEXITSTATUS(status) == 0)
        return 0;
    if (dune_interrupted())
        return dune_diag_set(d, DUNE_E_INTERRUPTED, NULL, "interrupted");
    if (dune_file_read(log, &text, &len, &ignored))
        text = dune_mem_strdup("");
    while (len && text[len - 1] == '\n')
        text[--len] = '\0';
    line = strrchr(text, '\n');
    rc = dune_diag_set(d, DUNE_E_ENV, NULL, "recording failed: %.400s", line ? line + 1 : text);
    dune_mem_free(text);
    return rc;
}

static int wait_for(pid_t pid, const char *log, struct dune_diag *d)
{
    int status = 0;
    bool asked = false;

    while (waitpid(pid, &status, WNOHANG) == 0) {
        if (dune_interrupted() && !asked) {
            asked = true;
            kill(pid, SIGTERM); /* it removes its namespaces, which takes a moment */
        }
        usleep(50000);
    }
    return check_result(status, log, d);
}

int dune_testbed_record(const struct dune_testbed_record_cfg *cfg, struct dune_diag *d)
{
    char dir[128], script[160], log[160], seconds[32], train[16], test[16], seed[32];
    const char *argv[] = {"python3", script, cfg->out, "--seconds", seconds, "--train", train, "--test", test, "--seed",
                          seed, "--name", RECORDING, NULL};
    struct dune_diag ignored = {0};
    pid_t pid = 0;
    int rc;

    if (geteuid() != 0)
        return dune_diag_set(d, DUNE_E_ENV, NULL, "recording makes network namespaces: run it as root");
    dune_testbed_dir(RECORDING, dir); /* whoever cleans up after a crash finds it */
    rc = dune_mkdirs(dir, d);
    if (rc)
        return rc;
    snprintf(script, sizeof(script), "%s/record.py", dir);
    snprintf(log, sizeof(log), "%s/log", dir);
    snprintf(seconds, sizeof(seconds), "%.1f", cfg->seconds > 0 ? cfg->seconds : 20.0);
    snprintf(train, sizeof(train), "%u", cfg->train);
    snprintf(test, sizeof(test), "%u", cfg->test);
    snprintf(seed, sizeof(seed), "%llu", (unsigned long long)cfg->seed);
    rc = dune_file_write(script, dune_live_record_py, strlen(dune_live_record_py), d);
    if (rc == 0)
        rc = dune_mkdirs(cfg->out, d);
    if (rc == 0)
        rc = dune_netns_spawn(&pid, NULL, log, argv, d);
    if (rc == 0)
        rc = wait_for(pid, log, d);
    if (dune_testbed_down(RECORDING, rc ? &ignored : d) && rc == 0)
        rc = d->code;
    return rc;
}
