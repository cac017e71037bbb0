/* SPDX-License-Identifier: Apache-2.0 */
/* What the files of the bmv2 target share. */
#ifndef DUNE_BMV2_INT_H
#define DUNE_BMV2_INT_H

#include <sys/types.h>

#include "base/base.h"
#include "dune/bmv2.h"
#include "targets/p4/p4_int.h"

/* --- bmv2_rpc.c: remote procedure calls ------------------------------------------------------------- */
#define BMV2_RPC_TIMEOUT_MS 10000
struct bmv2_rpc {
    int fd;
    uint16_t port;
    bool failed;        /* the stream is out of step: nothing more goes */
    uint32_t seq;
    const char *method;
    struct dune_buf out;
    uint8_t in[16384];
    size_t at, have;
    char *text;         /* last string answer */
    size_t text_len;
};
struct bmv2_answer {
    bool refused;       /* the switch said no; field[1] is its code */
    uint64_t number;    /* a number answer */
    uint64_t field[4];  /* numbers of a struct answer, by field number */
};
int bmv2_rpc_open(struct bmv2_rpc **out, uint16_t port, struct dune_diag *d) DUNE_MUST_USE;
void bmv2_rpc_close(struct bmv2_rpc *r);
/* A call: begin, arguments, call. Strings of the answer are in r->text. */
void bmv2_begin(struct bmv2_rpc *r, const char *service, const char *method);
void bmv2_put_i32(struct bmv2_rpc *r, unsigned id, int32_t v);
void bmv2_put_i64(struct bmv2_rpc *r, unsigned id, int64_t v);
void bmv2_put_bool(struct bmv2_rpc *r, unsigned id, bool v);
void bmv2_put_bytes(struct bmv2_rpc *r, unsigned id, const void *data, size_t len);
void bmv2_put_text(struct bmv2_rpc *r, unsigned id, const char *text);
void bmv2_put_struct(struct bmv2_rpc *r, unsigned id); /* ends with bmv2_put_end */
void bmv2_put_end(struct bmv2_rpc *r);
void bmv2_put_list(struct bmv2_rpc *r, unsigned id, bool of_structs, uint32_t n);
void bmv2_put_item(struct bmv2_rpc *r, const void *data, size_t len); /* of a list of strings */
int bmv2_call(struct bmv2_rpc *r, struct bmv2_answer *a, struct dune_diag *d) DUNE_MUST_USE;

/* --- bmv2_tables.c: entries, registers, counters, settings -------------------------------------------- */
/* *full (may be NULL): true, and no error, when the table has no room. */
int bmv2_entry_add(struct bmv2_rpc *r, const struct p4_entries *e, const struct p4_entry *x, int64_t *handle,
                   bool *full, struct dune_diag *d) DUNE_MUST_USE;
int bmv2_entry_default(struct bmv2_rpc *r, const struct p4_entries *e, const struct p4_entry *x,
                       struct dune_diag *d) DUNE_MUST_USE;
int bmv2_entry_modify(struct bmv2_rpc *r, const struct p4_entries *e, const struct p4_entry *x, int64_t handle,
                      struct dune_diag *d) DUNE_MUST_USE;
int bmv2_entry_delete(struct bmv2_rpc *r, const char *prefix, const char *table, int64_t handle,
                      struct dune_diag *d) DUNE_MUST_USE;
/* Indices from..to-1. */
int bmv2_register_write(struct bmv2_rpc *r, const char *name, uint32_t from, uint32_t to, int64_t value,
                        struct dune_diag *d) DUNE_MUST_USE;
int bmv2_register_read(struct bmv2_rpc *r, const char *name, uint32_t index, uint64_t *value,
                       struct dune_diag *d) DUNE_MUST_USE;
int bmv2_counter_read(struct bmv2_rpc *r, const char *name, uint32_t index, uint64_t *packets,
                      struct dune_diag *d) DUNE_MUST_USE;
int bmv2_mirror(struct bmv2_rpc *r, uint32_t session, uint32_t port, struct dune_diag *d) DUNE_MUST_USE;
int bmv2_queue_depth(struct bmv2_rpc *r, uint32_t packets, struct dune_diag *d) DUNE_MUST_USE;
int bmv2_elapsed_us(struct bmv2_rpc *r, uint64_t *us, struct dune_diag *d) DUNE_MUST_USE;
int bmv2_crc32c(struct bmv2_rpc *r, const char *calculation, struct dune_diag *d) DUNE_MUST_USE;
int bmv2_config(struct bmv2_rpc *r, struct dune_diag *d) DUNE_MUST_USE; /* JSON in r->text */

/* --- bmv2_process.c ------------------------------------------------------------------------------------ */
int bmv2_spawn(pid_t *pid, const char *const *argv, const char *log, struct dune_diag *d) DUNE_MUST_USE;
bool bmv2_running(pid_t pid);
void bmv2_kill(pid_t pid);
void bmv2_log_line(const char *log, char *out, size_t n);

/* --- bmv2_digests.c ------------------------------------------------------------------------------------ */
int bmv2_digests_open(const char *ifname, int *fd, struct dune_diag *d) DUNE_MUST_USE;

int bmv2_release_send(struct dune_bmv2 *sw, uint16_t generation, const struct dune_flow_key *key,
                      struct dune_diag *d) DUNE_MUST_USE;

/* --- bmv2_rules.c: known-flow rules as entries ---------------------------------------------------------- */
struct bmv2_rule {
    struct dune_flow_key key;
    bool used;
    uint8_t g;       /* set of tables */
    int64_t handle;
    uint32_t next;   /* in its hash chain */
};
struct bmv2_rules { /* the index of a rule is that of its register */
    struct bmv2_rule *rule;
    uint32_t *head, *free_list;
    uint32_t n_free, n_heads, cursor;
    uint64_t added, full, expired;
};
void bmv2_rules_init(struct bmv2_rules *t, uint32_t max);
void bmv2_rules_fini(struct bmv2_rules *t);
int bmv2_rules_put(struct bmv2_rules *t, struct bmv2_rpc *r, uint8_t g, const struct dune_digest *dg,
                   bool *added, struct dune_diag *d) DUNE_MUST_USE;
/* Removes those of a set; g 2: all. */
int bmv2_rules_clear(struct bmv2_rules *t, struct bmv2_rpc *r, uint8_t g, struct dune_diag *d) DUNE_MUST_USE;

/* --- bmv2_switch.c ---------------------------------------------------------------------------------------- */
struct bmv2_handle {
    const char *table; /* in the generation's entries */
    int64_t handle;
};
struct bmv2_generation {
    bool held;
    const struct dune_plan *plan;
    struct p4_entries entries;
    DUNE_VEC(struct bmv2_handle) handles;
};
struct dune_bmv2 {
    struct bmv2_rpc *rpc;
    pid_t pid;
    uint16_t device, port, shim_ethertype;
    uint32_t id; /* of the process: see switch_id */
    bool drop_edge_shim, stateful, test_clock;
    int digest_fd;
    struct p4_shape *shape; /* of the running program */
    char *program; /* text of the running program: what another generation must fit */
    char *log;
    uint32_t slots;
    uint32_t digest_rate, digest_burst;
    struct bmv2_generation gen[2];
    unsigned stamp;
    bool stamped;
    struct bmv2_rules rules;
};
#define BMV2_PREFIX "DuneIngress."

#endif
