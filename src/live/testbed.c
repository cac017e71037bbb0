/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A testbed: namespaces NAME.src, NAME.s1 ..., NAME.snk and the veth pairs between them. Everything that is
 * made is found again by its name, so that it can be removed after a crash.
 */
#include "live/live_int.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/yaml_tree.h"

/* --- topology ------------------------------------------------------------------------------------------- */

#define BAD(at, ...) dune_diag_set_line(d, DUNE_E_INPUT, file, (at)->line, __VA_ARGS__)

void dune_testbed_row(struct dune_testbed_cfg *cfg, uint32_t n_devices)
{
    *cfg = (struct dune_testbed_cfg){.name = "dune", .n_levels = n_devices, .mtu = 1500};
    for (uint32_t i = 0; i < n_devices && i < DUNE_TESTBED_LEVELS; i++)
        cfg->level[i] = 1;
}

static bool number(const struct dune_yaml *v, uint64_t max, uint64_t *n)
{
    return v->kind == DUNE_YAML_SCALAR && dune_parse_u64(v->text, n) && *n >= 1 && *n <= max;
}

static int read_levels(struct dune_testbed_cfg *cfg, const char *file, const struct dune_yaml *v, struct dune_diag *d)
{
    uint64_t n, sum = 0;

    if (v->kind != DUNE_YAML_SEQ || v->n < 1 || v->n > DUNE_TESTBED_LEVELS)
        return BAD(v, "levels must be a list of 1 to %d numbers of devices, source side first", DUNE_TESTBED_LEVELS);
    cfg->n_levels = (uint32_t)v->n;
    for (size_t i = 0; i < v->n; i++) {
        if (!number(v->item[i], DUNE_TESTBED_DEVICES, &n))
            return BAD(v->item[i], "a level has 1 to %d devices", DUNE_TESTBED_DEVICES);
        if (i && n > cfg->level[i - 1])
            return BAD(v->item[i], "a tree gets narrower towards the sink: %llu devices follow %u",
                       (unsigned long long)n, cfg->level[i - 1]);
        cfg->level[i] = (uint32_t)n;
        sum += n;
    }
    if (sum > DUNE_TESTBED_DEVICES)
        return BAD(v, "%llu devices; a testbed has up to %d", (unsigned long long)sum, DUNE_TESTBED_DEVICES);
    for (size_t i = 1; i < v->n; i++)
        if (cfg->level[i - 1] > cfg->level[i] * DUNE_SWITCH_PORTS)
            return BAD(v, "more than %d devices would send to one", DUNE_SWITCH_PORTS);
    return 0;
}

struct number {
    const char *key;
    uint32_t *out;
};

/* Levels of the tree: leafs of all pods, their spines, super spines, egress spines, egress leafs. */
static int read_tree(struct dune_testbed_cfg *cfg, const char *file, const struct dune_yaml *v, struct dune_diag *d)
{
    struct dune_fat_tree *f = &cfg->tree;
    const struct number want[] = {{"pods", &f->pods}, {"leafs", &f->leafs}, {"spines", &f->spines},
                                  {"super_spines", &f->super_spines}, {"egress_leafs", &f->egress_leafs},
                                  {"egress_spines", &f->egress_spines}};
    uint64_t n;

    *f = (struct dune_fat_tree){1, 1, 1, 1, 1, 1, 1};
    if (v->kind != DUNE_YAML_MAP)
        return BAD(v, "fat_tree is a mapping with pods, leafs, spines, super_spines, egress_leafs and egress_spines");
    for (size_t i = 0; i < v->n; i++) {
        size_t k = 0;

        while (k < DUNE_ARRAY_LEN(want) && strcmp(want[k].key, v->item[i]->key) != 0)
            k++;
        if (k == DUNE_ARRAY_LEN(want) || !number(v->item[i], DUNE_SWITCH_PORTS, &n))
            return BAD(v->item[i], "fat_tree has pods, leafs, spines, super_spines, egress_leafs and egress_spines, each of 1 "
                       "to %d", DUNE_SWITCH_PORTS); /* each is the number of ports of some switch */
        *want[k].out = (uint32_t)n;
    }
    cfg->n_levels = DUNE_TREE_LAYERS;
    cfg->level[0] = f->pods * f->leafs;
    cfg->level[1] = f->pods * f->spines;
    cfg->level[2] = f->super_spines;
    cfg->level[3] = f->egress_spines;
    cfg->level[4] = f->egress_leafs;
    n = (uint64_t)f->pods * (f->leafs + f->spines) + f->super_spines + f->egress_spines + f->egress_leafs;
    if (n > DUNE_TESTBED_DEVICES)
        return BAD(v, "%llu devices; a testbed has up to %d", (unsigned long long)n, DUNE_TESTBED_DEVICES);
    if (cfg->level[1] > DUNE_SWITCH_PORTS || cfg->level[0] * f->spines > DUNE_TESTBED_SOURCES)
        return BAD(v, "more than %d devices would send to one, or more than %d links leave the source", DUNE_SWITCH_PORTS,
                   DUNE_TESTBED_SOURCES);
    return 0;
}

static int read_item(struct dune_testbed_cfg *cfg, const char *file, const struct dune_yaml *v, struct dune_diag *d)
{
    uint64_t n;

    if (strcmp(v->key, "levels") == 0)
        return read_levels(cfg, file, v, d);
    if (strcmp(v->key, "fat_tree") == 0)
        return read_tree(cfg, file, v, d);
    if (strcmp(v->key, "name") == 0) {
        if (v->kind != DUNE_YAML_SCALAR || strlen(v->text) >= 12 || !dune_ctl_name_ok(v->text))
            return BAD(v, "a name has 1 to 11 letters, digits, - and _");
        snprintf(cfg->name, sizeof(cfg->name), "%s", v->text);
        return 0;
    }
    if (strcmp(v->key, "mtu") == 0) {
        if (!number(v, 9000, &n) || n < 576)
            return BAD(v, "mtu must be 576 to 9000");
        cfg->mtu = (uint32_t)n;
        return 0;
    }
    return BAD(v, "unknown key %.64s; a testbed has name, levels or fat_tree, and mtu", v->key);
}

int dune_testbed_parse(struct dune_testbed_cfg *cfg, const char *file, const char *text, size_t len, struct dune_diag *d)
{
    struct dune_arena arena = {0};
    struct dune_yaml *root;
    int rc = dune_yaml_parse(&root, file, text, len, &arena, d);

    dune_testbed_row(cfg, 3);
    if (rc == 0 && root->kind != DUNE_YAML_MAP)
        rc = BAD(root, "a testbed is a mapping with name, levels and mtu");
    for (size_t i = 0; rc == 0 && i < root->n; i++)
        rc = read_item(cfg, file, root->item[i], d);
    if (rc == 0 && dune_yaml_find(root, "levels") && dune_yaml_find(root, "fat_tree"))
        rc = BAD(root, "a testbed has levels or fat_tree, not both");
    dune_arena_fini(&arena);
    return rc;
}

int dune_testbed_read(struct dune_testbed_cfg *cfg, const char *path, struct dune_diag *d)
{
    char *text;
    size_t len;
    int rc = dune_file_read(path, &text, &len, d);

    if (rc)
        return rc;
    rc = dune_testbed_parse(cfg, path, text, len, d);
    dune_mem_free(text);
    return rc;
}

uint32_t dune_testbed_n_devices(const struct dune_testbed_cfg *cfg)
{
    uint32_t n = 0;

    for (uint32_t i = 0; i < cfg->n_levels; i++)
        n += cfg->level[i];
    return n;
}

void dune_testbed_place(const struct dune_testbed_cfg *cfg, uint32_t i, uint32_t *level, uint32_t *next)
{
    uint32_t first = 0;

    for (*level = 0; i >= first + cfg->level[*level]; ++*level)
        first += cfg->level[*level];
    *next = UINT32_MAX;
    if (*level + 1 < cfg->n_levels)
        *next = first + cfg->level[*level] + (i - first) * cfg->level[*level + 1] / cfg->level[*level];
}

/* --- links ------------------------------------------------------------------------------------------------ */

static uint32_t add_all(uint32_t *list, uint32_t first, uint32_t n)
{
    for (uint32_t k = 0; k < n; k++)
        list[k] = first + k;
    return n;
}

uint32_t dune_testbed_next(const struct dune_testbed_cfg *cfg, uint32_t i, uint32_t list[DUNE_TESTBED_DEVICES])
{
    const struct dune_fat_tree *f = &cfg->tree;
    uint32_t level, next, first = 0;

    dune_testbed_place(cfg, i, &level, &next);
    if (!f->pods) {
        list[0] = next;
        return next != UINT32_MAX;
    }
    for (uint32_t k = 0; k <= level; k++)
        first += cfg->level[k];
    if (level == 0)
        return add_all(list, first + i / f->leafs * f->spines, f->spines);
    return level + 1 < cfg->n_levels ? add_all(list, first, cfg->level[level + 1]) : 0;
}

uint32_t dune_testbed_n_out(const struct dune_testbed_cfg *cfg, uint32_t i)
{
    uint32_t list[DUNE_TESTBED_DEVICES], n = dune_testbed_next(cfg, i, list);

    return n ? n : 1;
}

/* The devices that device i hears, in order. None: it is linked to the source once per device it sends to. */
static uint32_t previous(const struct dune_testbed_cfg *cfg, uint32_t i, uint32_t list[DUNE_TESTBED_DEVICES])
{
    uint32_t n = 0, next[DUNE_TESTBED_DEVICES];

    for (uint32_t u = 0; u < i; u++)
        for (uint32_t k = dune_testbed_next(cfg, u, next); k-- > 0;)
            if (next[k] == i)
                list[n++] = u;
    return n;
}

uint32_t dune_testbed_n_in(const struct dune_testbed_cfg *cfg, uint32_t i)
{
    uint32_t list[DUNE_TESTBED_DEVICES], n = previous(cfg, i, list);

    return n ? n : dune_testbed_n_out(cfg, i);
}

uint32_t dune_testbed_n_sources(const struct dune_testbed_cfg *cfg)
{
    uint32_t n = 0;

    for (uint32_t i = 0; i < cfg->level[0]; i++)
        n += dune_testbed_n_in(cfg, i);
    return n;
}

void dune_testbed_out_name(uint32_t k, char out[16])
{
    if (k)
        snprintf(out, 16, "out%u", k);
    else
        snprintf(out, 16, "out");
}

/* --- names ------------------------------------------------------------------------------------------------ */

void dune_testbed_netns(const struct dune_testbed_cfg *cfg, const char *what, char out[64])
{
    snprintf(out, 64, "%.31s.%.20s", cfg->name, what);
}

void dune_testbed_device_name(uint32_t i, char out[16])
{
    snprintf(out, 16, "s%u", i + 1);
}

void dune_testbed_dir(const char *name, char out[128])
{
    snprintf(out, 128, "%s/dune-testbed.%.31s", access("/run", W_OK) == 0 ? "/run" : "/tmp", name);
}

/* --- processes -------------------------------------------------------------------------------------------- */

/* When a process started, in the kernel's count: a pid alone may belong to somebody else by now. */
static uint64_t start_time(pid_t pid)
{
    char path[64], text[1024] = "";
    const char *p;
    unsigned long long v = 0;
    FILE *f;

    snprintf(path, sizeof(path), "/proc/%ld/stat", (long)pid);
    f = fopen(path, "re");
    if (!f)
        return 0;
    p = fgets(text, sizeof(text), f) ? strrchr(text, ')') : NULL;
    fclose(f);
    for (int field = 2; p && field < 22; field++)
        p = strchr(p + 1, ' ');
    return p && sscanf(p, " %llu", &v) == 1 ? v : 0;
}

int dune_testbed_note_pid(const char *name, pid_t pid, struct dune_diag *d)
{
    char dir[128], path[160];
    FILE *f;

    dune_testbed_dir(name, dir);
    snprintf(path, sizeof(path), "%s/pids", dir);
    f = fopen(path, "ae");
    if (!f)
        return dune_diag_set(d, DUNE_E_IO, path, "%s", strerror(errno));
    fprintf(f, "%ld %llu\n", (long)pid, (unsigned long long)start_time(pid));
    fclose(f);
    return 0;
}

static void end_processes(const char *dir)
{
    char path[160], line[64];
    long pid;
    unsigned long long started;
    FILE *f;

    snprintf(path, sizeof(path), "%s/pids", dir);
    f = fopen(path, "re");
    while (f && fgets(line, sizeof(line), f)) {
        if (sscanf(line, "%ld %llu", &pid, &started) != 2 || pid < 2 || !started || start_time((pid_t)pid) != started)
            continue;
        kill((pid_t)pid, SIGTERM);
        for (int i = 0; i < 50 && start_time((pid_t)pid) == started; i++)
            usleep(10000);
        if (start_time((pid_t)pid) == started)
            kill((pid_t)pid, SIGKILL);
    }
    if (f)
        fclose(f);
}

/* --- down --------------------------------------------------------------------------------------------------- */

/* Programs that still live in a namespace keep it alive: they end with it. */
static void end_inhabitants(const char *netns)
{
    char path[300];
    struct stat ns, st;
    DIR *proc = opendir("/proc");
    struct dirent *e;

    snprintf(path, sizeof(path), "/run/netns/%.200s", netns);
    if (stat(path, &ns) != 0) {
        if (proc)
            closedir(proc);
        return;
    }
    while (proc && (e = readdir(proc))) {
        uint64_t pid;

        if (!dune_parse_u64(e->d_name, &pid) || pid < 2 || pid == (uint64_t)getpid())
            continue;
        snprintf(path, sizeof(path), "/proc/%llu/ns/net", (unsigned long long)pid);
        if (stat(path, &st) == 0 && st.st_ino == ns.st_ino && st.st_dev == ns.st_dev)
            kill((pid_t)pid, SIGKILL);
    }
    if (proc)
        closedir(proc);
}

static int remove_namespaces(const char *name, struct dune_diag *d)
{
    char prefix[40];
    DIR *dir = opendir("/run/netns");
    struct dirent *e;
    int rc = 0;

    snprintf(prefix, sizeof(prefix), "%.31s.", name);
    while (dir && rc == 0 && (e = readdir(dir)))
        if (strncmp(e->d_name, prefix, strlen(prefix)) == 0) {
            end_inhabitants(e->d_name);
            rc = NETNS_RUN(d, "ip", "netns", "delete", e->d_name);
        }
    if (dir)
        closedir(dir);
    return rc;
}

static void remove_dir(const char *path)
{
    DIR *dir = opendir(path);
    struct dirent *e;

    while (dir && (e = readdir(dir))) {
        char file[512];

        snprintf(file, sizeof(file), "%s/%s", path, e->d_name);
        if (e->d_name[0] == '.')
            continue;
        if (dune_path_is_dir(file))
            remove_dir(file);
        else
            unlink(file);
    }
    if (dir)
        closedir(dir);
    rmdir(path);
}

int dune_testbed_down(const char *name, struct dune_diag *d)
{
    char dir[128];

    if (!dune_ctl_name_ok(name))
        return dune_diag_set(d, DUNE_E_USAGE, NULL, "\"%.64s\" is no name of a testbed", name);
    dune_testbed_dir(name, dir);
    end_processes(dir);
    remove_dir(dir);
    return remove_namespaces(name, d);
}

/* Lives on when its parent is killed, and cleans up then. */
int dune_testbed_guard(const char *name, struct dune_diag *d)
{
    int fd[2];
    pid_t pid;

    if (pipe2(fd, O_CLOEXEC) != 0)
        return dune_diag_set(d, DUNE_E_ENV, NULL, "no pipe: %s", strerror(errno));
    pid = fork();
    if (pid == 0) {
        struct dune_diag ignored = {0};
        char byte;

        setsid();
        signal(SIGINT, SIG_IGN);
        signal(SIGTERM, SIG_IGN);
        signal(SIGHUP, SIG_IGN);
        close(fd[1]);
        for (int i = 0; i < 3; i++) /* whoever waits for our output must not wait for the guard */
            close(i);
        (void)!open("/dev/null", O_RDWR);
        (void)!open("/dev/null", O_RDWR);
        (void)!open("/dev/null", O_RDWR);
        while (read(fd[0], &byte, 1) < 0 && errno == EINTR)
            ;
        _exit(dune_testbed_down(name, &ignored) != 0);
    }
    close(fd[0]);
    return pid < 0 ? dune_diag_set(d, DUNE_E_ENV, NULL, "no process: %s", strerror(errno)) : 0;
}

/* --- up ------------------------------------------------------------------------------------------------------ */

/* Interfaces speak by themselves as soon as they have IPv6. */
static int quiet_namespace(const char *netns, struct dune_diag *d)
{
    static const char *const files[] = {"/proc/sys/net/ipv6/conf/all/disable_ipv6",
                                        "/proc/sys/net/ipv6/conf/default/disable_ipv6"};
    int old, rc = dune_netns_enter(netns, &old, d);

    for (size_t i = 0; rc == 0 && i < DUNE_ARRAY_LEN(files); i++) {
        int fd = open(files[i], O_WRONLY | O_CLOEXEC);

        if (fd < 0 && errno == ENOENT)
            continue; /* no IPv6 at all */
        if (fd < 0 || write(fd, "1", 1) != 1)
            rc = dune_diag_set(d, DUNE_E_ENV, files[i], "%s", strerror(errno));
        if (fd >= 0)
            close(fd);
    }
    if (old >= 0)
        dune_netns_leave(old);
    return rc;
}

static int make_namespace(const struct dune_testbed_cfg *cfg, const char *what, struct dune_diag *d)
{
    char ns[64];
    int rc;

    dune_testbed_netns(cfg, what, ns);
    rc = NETNS_RUN(d, "ip", "netns", "add", ns);
    return rc ? rc : quiet_namespace(ns, d);
}

static int plain_frames(const char *netns, const char *ifname, struct dune_diag *d)
{
    struct dune_iface ignored;
    int old, rc = dune_netns_enter(netns, &old, d);

    if (rc)
        return rc;
    rc = dune_iface_check(ifname, 0, true, &ignored, d);
    dune_netns_leave(old);
    return rc;
}

static int make_link(const struct dune_testbed_cfg *cfg, const char *a, const char *a_if, const char *b,
                     const char *b_if, uint32_t mtu, struct dune_diag *d)
{
    char ns_a[64], ns_b[64], size[16];
    int rc;

    dune_testbed_netns(cfg, a, ns_a);
    dune_testbed_netns(cfg, b, ns_b);
    snprintf(size, sizeof(size), "%u", mtu);
    rc = NETNS_RUN(d, "ip", "link", "add", a_if, "mtu", size, "netns", ns_a, "type", "veth", "peer", "name", b_if, "mtu",
                   size, "netns", ns_b);
    if (rc == 0)
        rc = NETNS_RUN(d, "ip", "-n", ns_a, "link", "set", a_if, "up");
    if (rc == 0)
        rc = NETNS_RUN(d, "ip", "-n", ns_b, "link", "set", b_if, "up");
    if (rc == 0)
        rc = plain_frames(ns_a, a_if, d);
    return rc ? rc : plain_frames(ns_b, b_if, d);
}

/* Links from the source to device i, of the first level. */
static int link_source(const struct dune_testbed_cfg *cfg, uint32_t i, const char *me, uint32_t *n_sources, struct dune_diag *d)
{
    int rc = 0;

    for (uint32_t k = 0, n = dune_testbed_n_in(cfg, i); rc == 0 && k < n; k++) {
        char port[16], in[16];

        snprintf(port, sizeof(port), "src%u", (*n_sources)++);
        snprintf(in, sizeof(in), "in%u", k);
        rc = make_link(cfg, "src", port, me, in, cfg->mtu, d);
    }
    return rc;
}

static int link_on(const struct dune_testbed_cfg *cfg, uint32_t i, const char *me, uint32_t *n_in, struct dune_diag *d)
{
    uint32_t next[DUNE_TESTBED_DEVICES], n = dune_testbed_next(cfg, i, next);
    int rc = 0;

    for (uint32_t k = 0; rc == 0 && k < n; k++) {
        char other[16], in[16], out[16];

        dune_testbed_device_name(next[k], other);
        dune_testbed_out_name(k, out);
        snprintf(in, sizeof(in), "in%u", n_in[next[k]]++);
        /* to a last device that strips, the sink's link is an edge 8 bytes wider than the source's */
        rc = make_link(cfg, me, out, other, in, cfg->mtu + 2 * DUNE_SHIM_BYTES, d);
    }
    return rc;
}

static int link_devices(const struct dune_testbed_cfg *cfg, struct dune_diag *d)
{
    uint32_t n = dune_testbed_n_devices(cfg), n_in[DUNE_TESTBED_DEVICES] = {0}, n_sources = 0, n_sinks = 0;
    int rc = 0;

    for (uint32_t i = 0; rc == 0 && i < n; i++) {
        char me[16], port[16];
        uint32_t level, next, list[DUNE_TESTBED_DEVICES];

        dune_testbed_place(cfg, i, &level, &next);
        dune_testbed_device_name(i, me);
        if (level == 0)
            rc = link_source(cfg, i, me, &n_sources, d);
        if (rc == 0 && dune_testbed_next(cfg, i, list) == 0) { /* with the shim where the sink reads it */
            snprintf(port, sizeof(port), "snk%u", n_sinks++);
            rc = make_link(cfg, me, "out", "snk", port, cfg->mtu + DUNE_SHIM_BYTES, d);
        } else if (rc == 0) {
            rc = link_on(cfg, i, me, n_in, d);
        }
    }
    return rc;
}

int dune_testbed_up(const struct dune_testbed_cfg *cfg, struct dune_diag *d)
{
    uint32_t n = dune_testbed_n_devices(cfg);
    char dir[128], me[16];
    int rc;

    if (geteuid() != 0)
        return dune_diag_set(d, DUNE_E_ENV, NULL, "a testbed makes network namespaces: run it as root");
    rc = dune_testbed_down(cfg->name, d);
    dune_testbed_dir(cfg->name, dir);
    if (rc == 0)
        rc = dune_mkdirs(dir, d);
    if (rc == 0)
        rc = make_namespace(cfg, "src", d);
    if (rc == 0)
        rc = make_namespace(cfg, "snk", d);
    for (uint32_t i = 0; rc == 0 && i < n; i++) {
        dune_testbed_device_name(i, me);
        rc = make_namespace(cfg, me, d);
    }
    if (rc == 0)
        rc = link_devices(cfg, d);
    if (rc) {
        struct dune_diag ignored = {0};

        (void)!dune_testbed_down(cfg->name, &ignored);
    }
    return rc;
}
