/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The program that hands frames to sockets of AF_XDP, written as instructions, loaded and attached by the kernel's own
 * calls: it is too small to need a compiler or a library. It is attached by a link, which the kernel takes off when
 * its descriptor goes, so a process that is killed leaves the interface as it was.
 */
#include "io/xsk_int.h"

#include <errno.h>
#include <linux/bpf.h>
#include <linux/if_link.h>
#include <stddef.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "base/base.h"

#ifndef BPF_F_XDP_HAS_FRAGS
#define BPF_F_XDP_HAS_FRAGS (1U << 5)
#endif

static int bpf(int cmd, union bpf_attr *a)
{
    int fd = (int)syscall(SYS_bpf, cmd, a, sizeof(*a));

    return fd < 0 ? -errno : fd;
}

#define INSN(c, d, s, o, i) ((struct bpf_insn){.code = (c), .dst_reg = (d), .src_reg = (s), .off = (o), .imm = (i)})
#define SET_REG(d, s) INSN(BPF_ALU64 | BPF_MOV | BPF_X, d, s, 0, 0)
#define SET(d, i) INSN(BPF_ALU64 | BPF_MOV | BPF_K, d, 0, 0, i)
#define FIELD(d, s, f) INSN(BPF_LDX | BPF_MEM | BPF_W, d, s, (int16_t)offsetof(struct xdp_md, f), 0)
#define CALL(f) INSN(BPF_JMP | BPF_CALL, 0, 0, 0, f)

static int load_program(int map, uint32_t flags)
{
    const struct bpf_insn code[] = {
        SET_REG(BPF_REG_6, BPF_REG_1),
        CALL(BPF_FUNC_ktime_get_ns),
        SET_REG(BPF_REG_7, BPF_REG_0),
        SET_REG(BPF_REG_1, BPF_REG_6),
        SET(BPF_REG_2, -XSK_STAMP),
        CALL(BPF_FUNC_xdp_adjust_meta),
        INSN(BPF_JMP | BPF_JNE | BPF_K, BPF_REG_0, 0, 6, 0), /* no room: no time */
        FIELD(BPF_REG_2, BPF_REG_6, data_meta),
        FIELD(BPF_REG_3, BPF_REG_6, data),
        SET_REG(BPF_REG_1, BPF_REG_2),
        INSN(BPF_ALU64 | BPF_ADD | BPF_K, BPF_REG_1, 0, 0, XSK_STAMP),
        INSN(BPF_JMP | BPF_JGT | BPF_X, BPF_REG_1, BPF_REG_3, 1, 0),
        INSN(BPF_STX | BPF_MEM | BPF_DW, BPF_REG_2, BPF_REG_7, 0, 0),
        INSN(BPF_LD | BPF_IMM | BPF_DW, BPF_REG_1, BPF_PSEUDO_MAP_FD, 0, map),
        INSN(0, 0, 0, 0, 0),
        FIELD(BPF_REG_2, BPF_REG_6, rx_queue_index),
        SET(BPF_REG_3, XDP_PASS), /* of a queue that nobody reads */
        CALL(BPF_FUNC_redirect_map),
        INSN(BPF_JMP | BPF_EXIT, 0, 0, 0, 0),
    };
    union bpf_attr a = {.prog_type = BPF_PROG_TYPE_XDP, .insns = (uintptr_t)code, .insn_cnt = DUNE_ARRAY_LEN(code),
                        .license = (uintptr_t) "Apache-2.0", .expected_attach_type = BPF_XDP, .prog_flags = flags};

    memcpy(a.prog_name, "dune_xsk", sizeof("dune_xsk"));
    return bpf(BPF_PROG_LOAD, &a);
}

int dune_xsk_program_load(struct xsk_program *p, uint32_t n)
{
    union bpf_attr a = {.map_type = BPF_MAP_TYPE_XSKMAP, .key_size = sizeof(uint32_t), .value_size = sizeof(int),
                        .max_entries = n};

    *p = (struct xsk_program){.program = -1, .link = -1};
    memcpy(a.map_name, "dune_xsk", sizeof("dune_xsk"));
    p->map = bpf(BPF_MAP_CREATE, &a);
    if (p->map < 0)
        return p->map;
    p->program = load_program(p->map, BPF_F_XDP_HAS_FRAGS);
    if (p->program == -EINVAL) /* a kernel without frames in several buffers */
        p->program = load_program(p->map, 0);
    return DUNE_MIN(p->program, 0);
}

int dune_xsk_program_put(const struct xsk_program *p, uint32_t queue, int socket)
{
    union bpf_attr a = {.map_fd = (uint32_t)p->map, .key = (uintptr_t)&queue, .value = (uintptr_t)&socket};

    return bpf(BPF_MAP_UPDATE_ELEM, &a);
}

static int attach_as(struct xsk_program *p, uint32_t ifindex, uint32_t mode)
{
    union bpf_attr a = {.link_create = {.prog_fd = (uint32_t)p->program, .target_ifindex = ifindex, .attach_type = BPF_XDP,
                                        .flags = mode}};

    p->native = mode == XDP_FLAGS_DRV_MODE;
    p->link = bpf(BPF_LINK_CREATE, &a);
    return DUNE_MIN(p->link, 0);
}

int dune_xsk_program_attach(struct xsk_program *p, uint32_t ifindex, bool want_native, bool want_generic)
{
    int rc = want_generic ? -EOPNOTSUPP : attach_as(p, ifindex, XDP_FLAGS_DRV_MODE);

    if (rc == 0 || want_native || rc == -EBUSY || rc == -EEXIST || rc == -EPERM)
        return rc;
    return attach_as(p, ifindex, XDP_FLAGS_SKB_MODE);
}

void dune_xsk_program_close(struct xsk_program *p)
{
    const int fd[] = {p->link, p->program, p->map};

    for (size_t i = 0; i < DUNE_ARRAY_LEN(fd); i++)
        if (fd[i] >= 0)
            close(fd[i]);
    *p = (struct xsk_program){-1, -1, -1, false};
}
