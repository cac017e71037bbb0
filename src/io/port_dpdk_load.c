/* SPDX-License-Identifier: Apache-2.0 */
/* Stands for the DPDK port until one is wanted; then loads the module it is in. */
#include "base/lazy.h"
#include "io/dpdk_file.h"
#include "io/io_int.h"

#include <pthread.h>

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static const struct dune_port_ops *loaded;
static struct dune_diag reason;

static const char *load(void)
{
    pthread_mutex_lock(&lock);
    if (!loaded && !reason.code)
        loaded = dune_lazy_module(DUNE_DPDK_FILE, "dune_port_dpdk_module", DUNE_MODULE_DIR, &reason);
    pthread_mutex_unlock(&lock);
    return loaded ? NULL : reason.msg;
}

static int open_dpdk(struct dune_port **out, const char *what, const struct dune_port_opts *o, struct dune_diag *d)
{
    const char *why = load();

    return why ? dune_diag_set(d, DUNE_E_ENV, NULL, "%s", why) : loaded->open(out, what, o, d);
}

const struct dune_port_ops dune_port_dpdk = {.kind = "dpdk", .available = load, .open = open_dpdk};
