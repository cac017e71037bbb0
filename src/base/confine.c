/* SPDX-License-Identifier: Apache-2.0 */
#include "base/confine.h"

#include <errno.h>
#include <linux/audit.h>
#include <linux/capability.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <stddef.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "base/base.h"

#ifdef __SANITIZE_ADDRESS__
#define TRACED_BY_ITSELF 1 /* the leak checker stops its own threads with ptrace */
#else
#define TRACED_BY_ITSELF 0
#endif

#if defined(__x86_64__)
#define ARCH AUDIT_ARCH_X86_64
#elif defined(__aarch64__)
#define ARCH AUDIT_ARCH_AARCH64
#endif

static const uint64_t cap_bpf = 1ull << 39;

int dune_confine_caps(uint64_t keep, struct dune_diag *d)
{
    struct __user_cap_header_struct head = {.version = _LINUX_CAPABILITY_VERSION_3};
    struct __user_cap_data_struct data[2] = {{0}};
    uint64_t have;

    if (prctl(PR_CAPBSET_READ, 39) < 0 && keep & cap_bpf)
        keep |= DUNE_CAP_TAKEOVER; /* older kernels know one capability for all of it */
    if (syscall(SYS_capget, &head, data))
        return dune_diag_set(d, DUNE_E_ENV, NULL, "capabilities cannot be read: %s", strerror(errno));
    have = (data[0].permitted | (uint64_t)data[1].permitted << 32) & keep;
    for (int i = 0; i < 2; i++)
        data[i] = (struct __user_cap_data_struct){.effective = (uint32_t)(have >> 32 * i),
                                                  .permitted = (uint32_t)(have >> 32 * i)};
    if (syscall(SYS_capset, &head, data))
        return dune_diag_set(d, DUNE_E_ENV, NULL, "capabilities cannot be given up: %s", strerror(errno));
    return 0;
}

#ifdef ARCH

/* Numbers that some machine or older header does not know are left out by the preprocessor. */
static const uint32_t refused[] = {
#if !TRACED_BY_ITSELF
    SYS_ptrace,
#endif
    SYS_process_vm_readv, SYS_process_vm_writev,
    SYS_mount, SYS_umount2, SYS_pivot_root, SYS_chroot, SYS_setns, SYS_unshare,
    SYS_init_module, SYS_finit_module, SYS_delete_module, SYS_kexec_load,
    SYS_add_key, SYS_request_key, SYS_keyctl,
    SYS_swapon, SYS_swapoff, SYS_reboot, SYS_acct, SYS_quotactl,
    SYS_settimeofday, SYS_clock_settime, SYS_clock_adjtime, SYS_adjtimex, SYS_sethostname, SYS_setdomainname,
    SYS_open_by_handle_at, SYS_name_to_handle_at, SYS_personality, SYS_vhangup,
#ifdef SYS_kexec_file_load
    SYS_kexec_file_load,
#endif
#ifdef SYS_iopl
    SYS_iopl, SYS_ioperm,
#endif
#ifdef SYS_userfaultfd
    SYS_userfaultfd,
#endif
#ifdef SYS_move_mount
    SYS_move_mount, SYS_open_tree, SYS_fsopen, SYS_fsconfig, SYS_fsmount,
#endif
};
static const uint32_t refused_exec[] = {SYS_execve, SYS_execveat};

enum { MAX_INSN = 2 * (DUNE_ARRAY_LEN(refused) + 2) + 8 };

static void refuse(struct sock_filter *f, unsigned short *n, const uint32_t *nr, size_t len)
{
    for (size_t i = 0; i < len; i++) {
        f[(*n)++] = (struct sock_filter)BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, nr[i], 0, 1);
        f[(*n)++] = (struct sock_filter)BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ERRNO | EPERM);
    }
}

int dune_confine_calls(bool may_exec, struct dune_diag *d)
{
    struct sock_filter f[MAX_INSN];
    struct sock_fprog prog = {.filter = f};
    unsigned short n = 0;

    f[n++] = (struct sock_filter)BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, arch));
    f[n++] = (struct sock_filter)BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, ARCH, 1, 0);
    f[n++] = (struct sock_filter)BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ERRNO | EPERM);
    f[n++] = (struct sock_filter)BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, nr));
#ifdef __x86_64__
    /* The x32 calls have numbers of their own for the same things. */
    f[n++] = (struct sock_filter)BPF_JUMP(BPF_JMP | BPF_JGE | BPF_K, 0x40000000, 0, 1);
    f[n++] = (struct sock_filter)BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ERRNO | EPERM);
#endif
    refuse(f, &n, refused, DUNE_ARRAY_LEN(refused));
    if (!may_exec)
        refuse(f, &n, refused_exec, DUNE_ARRAY_LEN(refused_exec));
    f[n++] = (struct sock_filter)BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW);
    prog.len = n;
    if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0))
        return dune_diag_set(d, DUNE_E_ENV, NULL, "privileges cannot be frozen: %s", strerror(errno));
    if (syscall(SYS_seccomp, SECCOMP_SET_MODE_FILTER, SECCOMP_FILTER_FLAG_TSYNC, &prog))
        return dune_diag_set(d, DUNE_E_ENV, NULL, "system calls cannot be filtered: %s (--unconfined does without)",
                             strerror(errno));
    return 0;
}

#else

int dune_confine_calls(bool may_exec, struct dune_diag *d)
{
    (void)may_exec;
    return dune_diag_set(d, DUNE_E_ENV, NULL, "system calls are filtered on x86-64 and AArch64 only; --unconfined does "
                         "without");
}

#endif
