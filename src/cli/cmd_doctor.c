/* SPDX-License-Identifier: Apache-2.0 */
/* Looks at the machine and says what the lack of something disables. Changes nothing. */
#include "cli/cli.h"
#include "cli/ranks_join.h"
#include "targets/xdp/dune_xdp.h"

#include "dune/dash.h"
#include "dune/io.h"
#include "dune/labels.h"
#include "dune/model.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <sched.h>
#include <stdlib.h>
#include <string.h>
#include <sys/utsname.h>
#include <sys/wait.h>
#include <unistd.h>

enum state { HAS, LACKS, UNKNOWN };

struct check {
    const char *name;
    enum state state;
    char found[160];
    const char *needed_for; /* what its lack disables */
};

struct checkup {
    struct check list[40];
    size_t n;
};

static struct check *add(struct checkup *c, const char *name, const char *needed_for)
{
    struct check *k = &c->list[c->n++];

    k->name = name;
    k->needed_for = needed_for;
    return k;
}

/* The first line of a file of /proc or /sys, or false. */
static bool first_line(const char *path, char *out, size_t out_bytes)
{
    FILE *f = fopen(path, "re");
    bool ok = f && fgets(out, (int)out_bytes, f);

    if (f)
        fclose(f);
    if (ok)
        out[strcspn(out, "\n")] = '\0';
    return ok;
}

/* The value in kB (or as a plain number) of "key:" in /proc/meminfo or /proc/self/status. */
static bool proc_value(const char *path, const char *key, int base, unsigned long long *v)
{
    FILE *f = fopen(path, "re");
    char line[256];
    bool ok = false;

    while (f && !ok && fgets(line, sizeof(line), f)) {
        if (strncmp(line, key, strlen(key)) == 0 && line[strlen(key)] == ':') {
            *v = strtoull(line + strlen(key) + 1, NULL, base);
            ok = true;
        }
    }
    if (f)
        fclose(f);
    return ok;
}

static bool in_path(const char *tool, char *out, size_t out_bytes)
{
    const char *path = getenv("PATH");
    size_t len;

    for (path = path ? path : "/usr/bin:/bin"; *path; path += len + (path[len] == ':')) {
        len = strcspn(path, ":");
        snprintf(out, out_bytes, "%.*s/%s", (int)len, path, tool);
        if (len && access(out, X_OK) == 0)
            return true;
    }
    return false;
}

static void check_machine(struct checkup *c)
{
    unsigned long long kb = 0, pages = 0;
    struct utsname u;
    struct check *k;

    k = add(c, "kernel", "");
    if (uname(&u) == 0)
        snprintf(k->found, sizeof(k->found), "%.40s %.60s %.40s", u.sysname, u.release, u.machine);
    k = add(c, "cores", "");
    snprintf(k->found, sizeof(k->found), "%u", dune_n_cpus());
    k = add(c, "memory", "the largest searches may not fit below 4 GiB");
    if (proc_value("/proc/meminfo", "MemAvailable", 10, &kb))
        snprintf(k->found, sizeof(k->found), "%.1f GiB available", (double)kb / 1048576);
    else
        k->state = UNKNOWN;
    if (k->state == HAS && kb < 4u * 1048576u)
        k->state = LACKS;
    k = add(c, "hugepages", "DPDK ports with huge pages");
    if (proc_value("/proc/meminfo", "HugePages_Total", 10, &pages) && pages > 0)
        snprintf(k->found, sizeof(k->found), "%llu reserved", pages);
    else
        k->state = LACKS;
}

static void check_kernel(struct checkup *c)
{
    unsigned long long caps = 0;
    const char *why;
    char line[160];
    struct check *k;

    k = add(c, "bpf", "running plans as XDP programs");
    if (access("/sys/fs/bpf", F_OK) == 0)
        snprintf(k->found, sizeof(k->found), "/sys/fs/bpf");
    else
        k->state = LACKS;
    k = add(c, "btf", "XDP programs that relocate to this kernel");
    if (access("/sys/kernel/btf/vmlinux", R_OK) == 0)
        snprintf(k->found, sizeof(k->found), "/sys/kernel/btf/vmlinux");
    else
        k->state = LACKS;
    k = add(c, "bpf jit", "XDP at full speed");
    if (!first_line("/proc/sys/net/core/bpf_jit_enable", line, sizeof(line)))
        k->state = UNKNOWN;
    else if (strcmp(line, "0") == 0)
        k->state = LACKS;
    else
        snprintf(k->found, sizeof(k->found), "bpf_jit_enable = %.20s", line);
    why = dune_xdp_available();
    k = add(c, "xdp", "engine xdp, running plans on interfaces");
    k->state = why ? LACKS : HAS;
    snprintf(k->found, sizeof(k->found), "%s", why ? why : "programs can be loaded");
    k = add(c, "root", "./run setup without sudo, interfaces, tests of suite priv");
    if (geteuid() == 0)
        snprintf(k->found, sizeof(k->found), "uid 0");
    else
        k->state = LACKS;
    k = add(c, "CAP_NET_ADMIN", "interfaces and network namespaces");
    if (!proc_value("/proc/self/status", "CapEff", 16, &caps))
        k->state = UNKNOWN;
    else
        k->state = caps >> 12 & 1 ? HAS : LACKS;
    k = add(c, "CAP_BPF", "loading XDP programs");
    if (k[-1].state == UNKNOWN)
        k->state = UNKNOWN;
    else
        k->state = (caps >> 39 & 1) || (caps >> 21 & 1) ? HAS : LACKS;
}

/* A network namespace is tried in a child, so that this process stays where it is. */
static void check_namespaces(struct checkup *c)
{
    struct check *k = add(c, "net namespaces", "the testbed of devices on one machine");
    pid_t pid = fork();
    int status = 0;

    if (pid == 0)
        _exit(unshare(CLONE_NEWNET) == 0 ? 0 : errno & 0x7f);
    while (pid > 0 && waitpid(pid, &status, 0) < 0 && errno == EINTR)
        ;
    if (pid < 0) {
        k->state = UNKNOWN;
        return;
    }
    k->state = status == 0 ? HAS : LACKS;
    snprintf(k->found, sizeof(k->found), "%s",
             status == 0 ? "can be made" : WIFEXITED(status) ? strerror(WEXITSTATUS(status)) : "");
}

static void check_tools(struct checkup *c)
{
    static const struct {
        const char *tool, *needed_for;
    } tools[] = {
        {"tshark", "the field-by-field check of the packet parser (test)"},
        {"ctags", "the test of function lengths"},
        {"clang", "XDP programs and fuzzing"},
        {"bpftool", "building XDP programs, looking at loaded ones"},
        {"ip", "the testbed and tests of suite priv"},
        {"nats-server", "message bus across machines"},
        {"tcpreplay", "testbed run --tcpreplay"},
        {"tcpdump", "testbed record"},
        {"ethtool", "testbed record"},
        {"simple_switch", "running P4 plans on the software switch"},
        {"p4c-bm2-ss", "compiling P4 plans for the software switch"},
        {"chromedriver", "the test of the dashboard in a browser"},
        {"python3", "the Python binding, the comparison with scikit-learn (test)"},
        {"nft", "marking packets by class (docs/feeds.md, test)"},
    };
    size_t i;

    for (i = 0; i < DUNE_ARRAY_LEN(tools); i++) {
        struct check *k = add(c, tools[i].tool, tools[i].needed_for);
        if (!in_path(tools[i].tool, k->found, sizeof(k->found))) {
            k->state = LACKS;
            k->found[0] = '\0';
        }
    }
}

/* Kinds of ports that are not in every build. */
static void check_ports(struct checkup *c)
{
    for (unsigned i = 0; dune_port_kind(i); i++) {
        const struct dune_port_ops *ops = dune_port_kind(i);
        const char *why = ops->available ? ops->available() : NULL;
        bool dpdk = strcmp(ops->kind, "dpdk") == 0;
        struct check *k;

        if (!dpdk && strcmp(ops->kind, "af_xdp") != 0)
            continue;
        k = add(c, dpdk ? "port dpdk" : "port af_xdp", dpdk ? "switches on DPDK ports" : "switches on AF_XDP ports");
        k->state = why ? LACKS : HAS;
        snprintf(k->found, sizeof(k->found), "%s", why ? why : "built in");
    }
}

static void check_dashboard(struct checkup *c)
{
    const struct {
        const char *name, *needed_for, *version, *package;
    } parts[] = {{"dashboard", "dash and --dash", dune_dash_http_library(), "libmicrohttpd-dev"},
                 {"history", "history of the dashboard", dune_dash_history_library(), "libsqlite3-dev"}};

    for (size_t i = 0; i < DUNE_ARRAY_LEN(parts); i++) {
        struct check *k = add(c, parts[i].name, parts[i].needed_for);

        k->state = parts[i].version ? HAS : LACKS;
        if (parts[i].version)
            snprintf(k->found, sizeof(k->found), "built in");
        else
            snprintf(k->found, sizeof(k->found), "not in this build, or its library is gone: install %s and build again", parts[i].package);
    }
}

static void check_mpi(struct checkup *c)
{
    const char *version = cli_ranks_version();
    struct check *k = add(c, "mpi", "offline stages as several processes (docs/cluster.md)");

    k->state = version ? HAS : LACKS;
    snprintf(k->found, sizeof(k->found), "%s", version ? version : "not in this build: ./run setup mpi, then build again");
}

/* Libraries that are not in every build. */
static void check_libraries(struct checkup *c)
{
    const struct {
        const char *name, *version, *package, *needed_for;
    } list[] = {
        {"nDPI", dune_ndpi_version(), "libndpi-dev", "--labels ndpi"},
        {"XGBoost", dune_xgb_version(), "libxgboost-dev", "train --model xgboost"},
    };

    for (size_t i = 0; i < DUNE_ARRAY_LEN(list); i++) {
        struct check *k = add(c, list[i].name, list[i].needed_for);

        k->state = list[i].version ? HAS : LACKS;
        if (list[i].version)
            snprintf(k->found, sizeof(k->found), "%s", list[i].version);
        else
            snprintf(k->found, sizeof(k->found), "not in this build, or its library is gone: install %s and build again", list[i].package);
    }
}

static const char *state_text(enum state s)
{
    return s == HAS ? "ok" : s == LACKS ? "missing" : "unknown";
}

static void print_json(struct cli_ctx *ctx, const struct checkup *c, size_t n_missing)
{
    struct dune_buf b = {0};
    struct dune_jsonw w;
    size_t i;

    dune_jsonw_init(&w, &b);
    dune_jsonw_obj(&w);
    dune_jsonw_key(&w, "missing"), dune_jsonw_uint(&w, n_missing);
    dune_jsonw_key(&w, "checks");
    dune_jsonw_arr(&w);
    for (i = 0; i < c->n; i++) {
        dune_jsonw_obj_inline(&w);
        dune_jsonw_key(&w, "name"), dune_jsonw_str(&w, c->list[i].name);
        dune_jsonw_key(&w, "state"), dune_jsonw_str(&w, state_text(c->list[i].state));
        dune_jsonw_key(&w, "found"), dune_jsonw_str(&w, c->list[i].found);
        dune_jsonw_key(&w, "needed_for"), dune_jsonw_str(&w, c->list[i].needed_for);
        dune_jsonw_end(&w);
    }
    dune_jsonw_end(&w);
    dune_jsonw_end(&w);
    cli_write_json(ctx, &b);
    dune_buf_fini(&b);
}

static void print_text(struct cli_ctx *ctx, const struct checkup *c)
{
    struct cli_table t;
    size_t i;

    cli_table_init(&t, 3, (const char *[]){"what", "state", "found, or what its lack disables"});
    for (i = 0; i < c->n; i++) {
        const struct check *k = &c->list[i];
        cli_table_cell(&t, "%s", k->name);
        cli_table_cell(&t, "%s", state_text(k->state));
        if (k->state == HAS)
            cli_table_cell(&t, "%s", k->found);
        else
            cli_table_cell(&t, "no %s%s%s%s", k->needed_for, k->found[0] ? " (" : "", k->found,
                           k->found[0] ? ")" : "");
    }
    cli_print_table(ctx, &t);
}

struct config {
    bool strict;
};

static const struct cli_option options[] = {
    {"strict", 0, CLI_FLAG, offsetof(struct config, strict), NULL, NULL,
     "exit status 5 when anything is missing"},
};

static int run(struct cli_ctx *ctx, void *config, struct dune_diag *d)
{
    struct config *cfg = config;
    struct checkup c = {0};
    size_t i, n_missing = 0;

    check_machine(&c);
    check_kernel(&c);
    check_namespaces(&c);
    check_tools(&c);
    check_ports(&c);
    check_dashboard(&c);
    check_mpi(&c);
    check_libraries(&c);
    for (i = 0; i < c.n; i++)
        n_missing += c.list[i].state != HAS;
    if (ctx->json)
        print_json(ctx, &c, n_missing);
    else
        print_text(ctx, &c);
    if (cfg->strict && n_missing)
        return dune_diag_set(d, DUNE_E_ENV, NULL, "%zu of %zu checks did not pass", n_missing, c.n);
    return 0;
}

const struct cli_command cmd_doctor = {
    .name = "doctor",
    .summary = "what this machine has, and what its lack disables",
    CLI_CONFIG(struct config),
    CLI_OPTIONS(options),
    .description = "Looks at the kernel, privileges, memory and optional tools. Nothing here is needed for\n"
                   "planning and replaying; the exit status is 0 unless --strict is given.\n",
    .examples = "dunectl doctor\ndunectl doctor --json\n",
    .run = run,
};
