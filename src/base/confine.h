/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Least privilege for processes that run for long: capabilities are given up before any thread is started
 * (they belong to threads), system calls that such a process never needs are refused once it is set up.
 */
#ifndef DUNE_BASE_CONFINE_H
#define DUNE_BASE_CONFINE_H

#include <stdbool.h>

#include "dune/error.h"

/* Bits of what a device on live ports needs; see capabilities(7). */
#define DUNE_CAP_NET (1ull << 12 | 1ull << 13)               /* CAP_NET_ADMIN, CAP_NET_RAW */
#define DUNE_CAP_BPF (1ull << 38 | 1ull << 39 | 1ull << 24)  /* CAP_PERFMON, CAP_BPF, CAP_SYS_RESOURCE */
#define DUNE_CAP_LOCK (1ull << 14)     /* CAP_IPC_LOCK: memory that the kernel keeps in place, for AF_XDP */
#define DUNE_CAP_TAKEOVER (1ull << 21) /* CAP_SYS_ADMIN: to look at the program that is on an interface */

/*
 * Gives up all capabilities of the calling thread (and of threads and programs that it starts later) but those in
 * keep, which it need not have. Kernels without CAP_BPF (before 5.8) keep CAP_SYS_ADMIN in its place.
 * Errors: DUNE_E_ENV when the kernel refuses.
 */
int dune_confine_caps(uint64_t keep, struct dune_diag *d) DUNE_MUST_USE;

/*
 * From now on no thread of the process can run another program (unless may_exec), trace a process, mount, change
 * namespaces or the root directory, load kernel modules, touch keys, swap, clocks or port I/O, or reboot: such
 * calls fail with EPERM. Cannot be undone. Errors: DUNE_E_ENV when the kernel has no seccomp filters.
 */
int dune_confine_calls(bool may_exec, struct dune_diag *d) DUNE_MUST_USE;

#endif
