/* SPDX-License-Identifier: Apache-2.0 */
/* Stands for the AF_XDP port in a build without it. */
#include "io/io_int.h"

static const char *not_built(void)
{
    return "this build has no AF_XDP; it takes linux/if_xdp.h (linux-libc-dev) and -Daf_xdp=auto";
}

static int not_opened(struct dune_port **out, const char *what, const struct dune_port_opts *o, struct dune_diag *d)
{
    (void)out, (void)what, (void)o;
    return dune_diag_set(d, DUNE_E_ENV, NULL, "%s", not_built());
}

const struct dune_port_ops dune_port_xdp = {.kind = "af_xdp", .available = not_built, .open = not_opened};
