/* SPDX-License-Identifier: Apache-2.0 */
/* What a switch answers, and what arrives at its CPU port: bounded, never believed. */
#include <sys/socket.h>
#include <unistd.h>

#include "targets/bmv2/bmv2_int.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len)
{
    struct bmv2_rpc *r;
    struct bmv2_answer a;
    struct dune_digest dg;
    struct dune_diag d = {0};
    int fd[2];

    if (dune_bmv2_digest_parse(data, len, &dg) && (dg.key.len != 13 && dg.key.len != 37))
        __builtin_trap();
    if (len > 32768 || socketpair(AF_UNIX, SOCK_STREAM, 0, fd) != 0)
        return 0;
    r = DUNE_NEW(struct bmv2_rpc);
    r->fd = fd[0];
    bmv2_begin(r, "standard", "fuzz");
    if (send(fd[1], data, len, MSG_NOSIGNAL) == (ssize_t)len) {
        shutdown(fd[1], SHUT_WR);
        if (bmv2_call(r, &a, &d) == 0 && r->failed)
            __builtin_trap();
    }
    close(fd[1]);
    bmv2_rpc_close(r);
    return 0;
}
