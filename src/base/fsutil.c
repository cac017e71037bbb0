/* SPDX-License-Identifier: Apache-2.0 */
#include "base/base.h"
#include "base/ranks.h"
#include "base/spill.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <glob.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

/* Missing or unreadable input is the user's file; a full or read-only disk is the machine. */
static int input_error(struct dune_diag *d, const char *path)
{
    return dune_diag_set(d, DUNE_E_INPUT, path, "cannot read it: %s", strerror(errno));
}

static int output_error(struct dune_diag *d, const char *path)
{
    return dune_diag_set(d, DUNE_E_IO, path, "cannot write it: %s", strerror(errno));
}

int dune_map_open(struct dune_map *m, const char *path, struct dune_diag *d)
{
    struct stat st;
    int fd, rc = 0;

    memset(m, 0, sizeof(*m));
    fd = open(path, O_RDONLY | O_CLOEXEC);
    if (fd < 0)
        return input_error(d, path);
    if (fstat(fd, &st) != 0)
        rc = input_error(d, path);
    else if (!S_ISREG(st.st_mode))
        rc = dune_diag_set(d, DUNE_E_INPUT, path, "not a regular file");
    else if (st.st_size > 0) {
        m->base = mmap(NULL, (size_t)st.st_size, PROT_READ, MAP_PRIVATE, fd, 0);
        if (m->base == MAP_FAILED) {
            m->base = NULL;
            rc = dune_diag_set(d, DUNE_E_IO, path, "cannot map it: %s", strerror(errno));
        } else {
            m->data = m->base;
            m->len = (size_t)st.st_size;
            (void)madvise(m->base, m->len, MADV_SEQUENTIAL);
            dune_spill_add_map(m->base, m->len);
        }
    }
    close(fd);
    return rc;
}

void dune_map_close(struct dune_map *m)
{
    if (m->base) {
        dune_spill_drop_map(m->base);
        munmap(m->base, m->len);
    }
    memset(m, 0, sizeof(*m));
}

int dune_file_read(const char *path, char **out, size_t *len, struct dune_diag *d)
{
    FILE *f = fopen(path, "rbe");
    struct dune_buf b = {0};
    char chunk[65536];
    size_t n;
    int rc = 0;

    *out = NULL;
    *len = 0;
    if (!f)
        return input_error(d, path);
    while ((n = fread(chunk, 1, sizeof(chunk), f)) > 0)
        dune_buf_append(&b, chunk, n);
    if (ferror(f)) {
        rc = input_error(d, path);
        dune_buf_fini(&b);
    } else {
        dune_buf_append(&b, "", 0);
        *out = b.data;
        *len = b.len;
    }
    fclose(f);
    return rc;
}

/* Devices, pipes and what stands for an open file are written to, never replaced: root could. */
static bool is_special(const char *path)
{
    bool link_in_system = strncmp(path, "/dev/", 5) == 0 || strncmp(path, "/proc/", 6) == 0;
    struct stat st;

    if (lstat(path, &st) == 0 && S_ISLNK(st.st_mode) && link_in_system)
        return true;
    return stat(path, &st) == 0 && !S_ISREG(st.st_mode) && !S_ISDIR(st.st_mode);
}

/* A symbolic link stays one: its target is written. */
static char *final_path(const char *path)
{
    struct stat st;
    char *real, *copy;

    if (lstat(path, &st) != 0 || !S_ISLNK(st.st_mode) || !(real = realpath(path, NULL)))
        return dune_mem_strdup(path);
    copy = dune_mem_strdup(real);
    free(real);
    return copy;
}

int dune_outfile_open(struct dune_outfile *o, const char *path, struct dune_diag *d)
{
    if (dune_ranks_me() > 0) { /* the first process writes */
        o->path = dune_mem_strdup("/dev/null");
        o->tmp = NULL;
    } else if (is_special(path)) {
        o->path = dune_mem_strdup(path);
        o->tmp = NULL;
    } else {
        o->path = final_path(path);
        o->tmp = dune_mem_printf("%s.tmp-%ld", o->path, (long)getpid());
    }
    o->f = fopen(o->tmp ? o->tmp : o->path, "wbe");
    if (!o->f) {
        int rc = output_error(d, path);

        dune_mem_free(o->path);
        dune_mem_free(o->tmp);
        memset(o, 0, sizeof(*o));
        return rc;
    }
    setvbuf(o->f, NULL, _IOFBF, 1 << 18);
    return 0;
}

/* Why an earlier write failed nobody kept: another one to the file, which goes anyway, fails alike. */
static void ask_again(FILE *f)
{
    static const char zeros[65536];

    if (write(fileno(f), zeros, sizeof(zeros)) == (ssize_t)sizeof(zeros))
        errno = 0;
}

int dune_outfile_commit(struct dune_outfile *o, struct dune_diag *d)
{
    bool bad = ferror(o->f) != 0;
    int rc = 0;

    errno = 0;
    if (bad && o->tmp) {
        ask_again(o->f);
        rc = dune_diag_set(d, DUNE_E_IO, o->path, "cannot write it: %s", errno ? strerror(errno) : "a write failed");
        dune_outfile_abort(o);
        return rc;
    }
    bad |= fflush(o->f) != 0;
    bad |= o->tmp && fsync(fileno(o->f)) != 0 && errno != EINVAL && errno != EROFS;
    bad |= fclose(o->f) != 0;
    o->f = NULL;
    dune_ranks_barrier(); /* everybody has looked at the old file, if there was one */
    if (!bad && o->tmp)
        bad = rename(o->tmp, o->path) != 0;
    if (!bad) /* else nobody goes on: the command that fails ends all processes */
        dune_ranks_barrier();
    if (bad)
        rc = dune_diag_set(d, DUNE_E_IO, o->path, "cannot write it: %s",
                           errno ? strerror(errno) : "a write failed");
    dune_outfile_abort(o);
    return rc;
}

void dune_outfile_abort(struct dune_outfile *o)
{
    if (o->f)
        fclose(o->f);
    if (o->tmp)
        unlink(o->tmp); /* already gone after a rename */
    dune_mem_free(o->path);
    dune_mem_free(o->tmp);
    memset(o, 0, sizeof(*o));
}

int dune_file_write(const char *path, const void *data, size_t len, struct dune_diag *d)
{
    struct dune_outfile o = {0};
    int rc = dune_outfile_open(&o, path, d);

    if (rc)
        return rc;
    if (len && dune_spill_fwrite(data, len, o.f) != len) {
        rc = output_error(d, path);
        dune_outfile_abort(&o);
        return rc;
    }
    return dune_outfile_commit(&o, d);
}

int dune_mkdirs(const char *path, struct dune_diag *d)
{
    char *copy = dune_mem_strdup(path);
    int rc = 0;

    for (char *p = copy + 1; rc == 0; p++) {
        char c = *p;

        if (c != '/' && c != '\0')
            continue;
        *p = '\0';
        if (mkdir(copy, 0777) != 0 && errno != EEXIST)
            rc = dune_diag_set(d, DUNE_E_IO, path, "cannot create the directory: %s",
                               strerror(errno));
        *p = c;
        if (c == '\0')
            break;
    }
    if (rc == 0 && !dune_path_is_dir(path))
        rc = dune_diag_set(d, DUNE_E_IO, path, "exists and is not a directory");
    dune_mem_free(copy);
    return rc;
}

bool dune_path_is_dir(const char *path)
{
    struct stat st;

    return stat(path, &st) == 0 && S_ISDIR(st.st_mode);
}

bool dune_path_exists(const char *path)
{
    struct stat st;

    return stat(path, &st) == 0;
}

const char *dune_path_base(const char *path)
{
    const char *slash = strrchr(path, '/');

    return slash ? slash + 1 : path;
}

static int add_dir(struct dune_paths *p, const char *dir, int depth, struct dune_diag *d)
{
    struct dirent **list = NULL;
    int n, rc = 0;

    if (depth > 16)
        return dune_diag_set(d, DUNE_E_INPUT, dir, "directories are nested too deep");
    n = scandir(dir, &list, NULL, alphasort);
    if (n < 0)
        return input_error(d, dir);
    for (int i = 0; i < n; i++) {
        char *path = dune_mem_printf("%s/%s", dir, list[i]->d_name);
        bool hidden = list[i]->d_name[0] == '.';

        if (rc == 0 && !hidden && dune_path_is_dir(path))
            rc = add_dir(p, path, depth + 1, d);
        else if (rc == 0 && !hidden) {
            DUNE_VEC_PUSH(p, path);
            path = NULL;
        }
        dune_mem_free(path);
        free(list[i]);
    }
    free(list);
    return rc;
}

int dune_paths_add(struct dune_paths *p, const char *spec, struct dune_diag *d)
{
    glob_t g = {0};
    int rc = 0;

    if (dune_path_is_dir(spec))
        return add_dir(p, spec, 0, d);
    if (!strpbrk(spec, "*?[") || dune_path_exists(spec)) {
        DUNE_VEC_PUSH(p, dune_mem_strdup(spec));
        return 0;
    }
    if (glob(spec, 0, NULL, &g) != 0 || g.gl_pathc == 0)
        rc = dune_diag_set(d, DUNE_E_INPUT, spec, "no file matches");
    for (size_t i = 0; rc == 0 && i < g.gl_pathc; i++) {
        if (dune_path_is_dir(g.gl_pathv[i]))
            rc = add_dir(p, g.gl_pathv[i], 0, d);
        else
            DUNE_VEC_PUSH(p, dune_mem_strdup(g.gl_pathv[i]));
    }
    globfree(&g);
    return rc;
}

void dune_paths_fini(struct dune_paths *p)
{
    for (size_t i = 0; i < p->len; i++)
        dune_mem_free(p->data[i]);
    DUNE_VEC_FREE(p);
}
