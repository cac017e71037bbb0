/* SPDX-License-Identifier: Apache-2.0 */
#include "base/lazy.h"

#include <dlfcn.h>
#include <limits.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;

static int fill_table(struct dune_lazy *l, void *handle, struct dune_diag *d)
{
    for (size_t i = 0; i < l->n; i++) {
        void *at = dlsym(handle, l->names[i]);

        if (!at)
            return dune_diag_set(d, DUNE_E_ENV, NULL, "%s: %s has no %s; this program was built for another version of it",
                                 l->what, l->file, l->names[i]);
        memcpy((char *)l->table + i * sizeof(at), &at, sizeof(at));
    }
    return 0;
}

int dune_lazy_open(struct dune_lazy *l, struct dune_diag *d)
{
    void *handle;
    int rc = 0;

    pthread_mutex_lock(&lock);
    if (!l->opened) {
        handle = dlopen(l->file, RTLD_NOW | (l->global ? RTLD_GLOBAL : RTLD_LOCAL));
        rc = handle ? fill_table(l, handle, d)
                    : dune_diag_set(d, DUNE_E_ENV, NULL, "%s cannot be loaded: %s; install the package it is in", l->what,
                                    dlerror());
        l->opened = rc == 0;
    }
    pthread_mutex_unlock(&lock);
    return rc;
}

/* The directory of the running program; false where /proc does not say. */
static bool program_dir(char *out, size_t bytes)
{
    ssize_t n = readlink("/proc/self/exe", out, bytes - 1);
    char *slash;

    out[n > 0 ? n : 0] = '\0';
    slash = strrchr(out, '/');
    if (slash)
        *slash = '\0';
    return slash != NULL;
}

void *dune_lazy_module(const char *file, const char *symbol, const char *installed, struct dune_diag *d)
{
    char beside[PATH_MAX];
    const char *dirs[] = {secure_getenv("DUNE_MODULES"), program_dir(beside, sizeof(beside)) ? beside : NULL, installed};
    void *handle = NULL, *at;

    for (size_t i = 0; i < DUNE_ARRAY_LEN(dirs) && !handle; i++) {
        char *path = dirs[i] ? dune_mem_printf("%s/%s", dirs[i], file) : NULL;

        if (path && access(path, F_OK) == 0) {
            handle = dlopen(path, RTLD_NOW | RTLD_LOCAL);
            if (!handle)
                dune_diag_set(d, DUNE_E_ENV, NULL, "%s", dlerror());
        }
        dune_mem_free(path);
    }
    if (!handle) {
        dune_diag_set(d, DUNE_E_ENV, NULL, "the module %s is neither beside the program nor in %s", file, installed);
        return NULL;
    }
    at = dlsym(handle, symbol);
    if (!at)
        dune_diag_set(d, DUNE_E_ENV, NULL, "the module %s has no %s: it is of another version", file, symbol);
    return at;
}
