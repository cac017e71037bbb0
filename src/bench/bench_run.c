/* SPDX-License-Identifier: Apache-2.0 */
#include "bench/bench_int.h"

#include <fnmatch.h>
#include <string.h>
#include <sys/utsname.h>
#include <time.h>
#include <unistd.h>

const struct bench_entry *bench_entry_at(size_t i)
{
    static const struct bench_entry *const tables[] = {
#define BENCHES(table) table,
#include "bench/benches.def"
#undef BENCHES
    };

    for (size_t t = 0; t < DUNE_ARRAY_LEN(tables); t++)
        for (const struct bench_entry *e = tables[t]; e->name; e++)
            if (i-- == 0)
                return e;
    return NULL;
}

bool bench_chosen(const struct bench_entry *e, const char *const *names, size_t n_names)
{
    for (size_t i = 0; i < n_names; i++) {
        size_t len = strlen(names[i]);

        if (fnmatch(names[i], e->name, 0) == 0)
            return true;
        if (strncmp(names[i], e->name, len) == 0 && e->name[len] == '.')
            return true;
    }
    return n_names == 0;
}

const struct bench_cfg *bench_cfg(const struct bench *b)
{
    return &b->cfg;
}

unsigned bench_rounds(const struct bench *b, unsigned wanted)
{
    if (b->cfg.rounds)
        return b->cfg.rounds;
    return b->cfg.quick ? DUNE_MIN(wanted, 2u) : wanted;
}

char *bench_tmp(const struct bench *b, const char *name)
{
    return dune_mem_printf("%s/%s", b->cfg.tmp, name);
}

void bench_say(const struct bench *b, const char *fmt, ...)
{
    char text[512];
    va_list ap;

    if (!b->cfg.say)
        return;
    va_start(ap, fmt);
    vsnprintf(text, sizeof(text), fmt, ap);
    va_end(ap);
    b->cfg.say(b->cfg.say_ctx, text);
}

/* "AMD EPYC, 2 cores, 7.8 GiB, Linux 6.1" */
static char *machine_text(void)
{
    char line[256], cpu[128] = "unknown processor";
    unsigned long long kb = 0;
    struct utsname u = {0};
    FILE *f = fopen("/proc/cpuinfo", "re");

    while (f && fgets(line, sizeof(line), f))
        if (sscanf(line, "model name%*[ \t]: %127[^\n]", cpu) == 1)
            break;
    if (f)
        fclose(f);
    f = fopen("/proc/meminfo", "re");
    while (f && fgets(line, sizeof(line), f))
        if (sscanf(line, "MemTotal: %llu", &kb) == 1)
            break;
    if (f)
        fclose(f);
    uname(&u);
    for (size_t i = 0, dots = 0; u.release[i]; i++) /* what follows says who built it */
        if (u.release[i] == '.' && ++dots == 2) {
            u.release[i] = '\0';
            break;
        }
    return dune_mem_printf("%s, %u cores, %.1f GiB, %s %.40s", cpu, dune_n_cpus(), (double)kb / 1048576, u.sysname, u.release);
}

static char *build_text(void)
{
#if defined(__clang__)
    const char *compiler = "clang " __clang_version__;
#else
    const char *compiler = "gcc " __VERSION__;
#endif
    return dune_mem_printf("%s%s", compiler,
#ifdef __OPTIMIZE__
                           ""
#else
                           " without optimisation"
#endif
    );
}

static char *now_text(void)
{
    char text[32];
    time_t t = time(NULL);
    struct tm tm;

    gmtime_r(&t, &tm);
    strftime(text, sizeof(text), "%Y-%m-%d", &tm);
    return dune_mem_strdup(text);
}

static double load_average(void)
{
    double load = 0;
    FILE *f = fopen("/proc/loadavg", "re");

    if (f && fscanf(f, "%lf", &load) != 1)
        load = 0;
    if (f)
        fclose(f);
    return load;
}

int bench_run(struct bench_result **out, const struct bench_entry *e, const struct bench_cfg *cfg,
              struct dune_diag *d)
{
    struct bench_result *r = DUNE_NEW(struct bench_result);
    struct bench b = {.cfg = *cfg, .result = r};
    uint64_t start = dune_now_ns();
    struct dune_diag inside = {0};
    char text[1400];
    int rc;

    r->name = dune_mem_strdup(e->name);
    r->what = dune_mem_strdup(e->what);
    r->command = dune_mem_printf("./run bench %s%s%s", e->name, cfg->quick ? " --quick" : "", cfg->whole ? " --whole" : "");
    r->machine = machine_text();
    r->build = build_text();
    r->when = now_text();
    r->quick = cfg->quick;
    bench_note(&b, "load average of the machine when it began: %.1f", load_average());
    rc = e->run(&b, &inside);
    r->seconds = (double)(dune_now_ns() - start) / 1e9;
    *out = r;
    if (dune_interrupted())
        return dune_diag_set(d, DUNE_E_INTERRUPTED, NULL, "interrupted");
    if (rc == 0)
        return 0;
    dune_diag_format(&inside, text, sizeof(text));
    bench_note(&b, "ended early: %s", text);
    return 0;
}
