/* SPDX-License-Identifier: Apache-2.0 */
/* What the files of the controller proper share. */
#ifndef DUNE_CONTROLLER_CONTROLLER_INT_H
#define DUNE_CONTROLLER_CONTROLLER_INT_H

#include "controller/ctl_int.h"
#include "dune/controller.h"
#include "dune/drift.h"

enum { KNOWN_FLOWS = 1 << 18, MAX_PINS = 1024, CTL_PROFILES = 2, CTL_DRIFT_NAMES = 8,
       CTL_LOADS = 64, /* devices, or a quarter of all, that get a plan at a time: it is a thousand times as long as other commands */
       CTL_WAITING = 1 << 14, CTL_WAITING_BYTES = 8 << 20, /* messages with digests that wait */
       CTL_STEP_DIGESTS = 2048 /* digests and messages with digests in a step, before control messages have their turn again */ };

struct ctl_plan { /* one generation of the desired state */
    uint16_t generation; /* 0: none */
    struct dune_plan *plan;
    char *text;
    size_t len;
    uint32_t crc;
    uint64_t flows, claimed; /* digests, those with a claim */
    uint64_t by_class[DUNE_MAX_CLASSES + 1];
};

struct ctl_device {
    char name[DUNE_CTL_NAME];
    uint16_t position;
    uint32_t chain;
    bool bare;           /* an operator took its plan away */
    bool reported, lost;
    uint64_t heard_ns, sent_ns;
    uint32_t tries;      /* commands in a row whose effect no report has shown */
    bool loading;        /* a plan is on its way, counted in n_loading */
    bool was_plan;       /* the last command */
    uint64_t sent_seq;   /* of the last command; reports at or above it show its effect */
    uint64_t report_epoch, report_seq;
    struct dune_ctl_report report, second; /* second: the one a second ago, for rates */
    uint64_t second_ns;
    struct dune_counters at_update; /* when the update under way began */
    uint64_t at_update_boot;
    bool colliding, full; /* alarms that are raised */
    uint16_t shadow_refused; /* generation of a shadow plan that it cannot run */
    uint64_t rules_ns; /* when rules were sent last */
    uint32_t n_rules; /* waiting to be sent */
    struct dune_digest rule[DUNE_CTL_BATCH];
};

struct ctl_known { /* a flow whose rule was sent */
    struct dune_flow_key key;
    uint16_t generation;
    uint64_t sent_ns;
};

struct ctl_waiting { /* a message with digests, as it came */
    char *text;
    size_t len;
    uint64_t since_ns;
};

struct ctl_profile { /* of a plan, by hash; text NULL: free */
    char hash[33];
    char *text;
    size_t len;
};

struct ctl_drift_device {
    bool known;
    uint64_t asked_ns, asked_boot; /* to count; 0: not yet */
    struct dune_drift_counts last; /* as reported */
};

struct ctl_drift { /* of the plan that holds */
    uint16_t generation; /* 0: look again */
    struct dune_drift_profile *profile; /* NULL: nothing to compare with, and nothing below is there */
    struct dune_drift_counts seen, scratch; /* seen: of all devices since begin_ns */
    struct ctl_drift_device *device;
    uint32_t n_devices;
    uint64_t begin_ns;
    uint32_t windows, alarms;
    bool alarm;
    char moved[512], other[512];
};

struct ctl_pin {
    char *what, *cls; /* cls NULL: exempt */
    bool is_flow;
    struct dune_flow_key key;
    struct dune_prefix prefix;
    uint64_t sent_ns;
};

struct dune_controller {
    struct dune_controller_cfg cfg;
    char *owner;
    struct dune_bus *bus;
    uint64_t now_ns;
    /* lease */
    bool leader;
    uint64_t epoch, seq, lease_until, lease_tried_ns, lease_revision;
    /* desired state */
    bool state_read, dirty;
    uint64_t unread_since_ns, stand_back_ns; /* leader without a state; until when it lets others try the lease first */
    uint64_t state_revision;
    enum dune_ctl_phase phase;
    uint16_t last_generation; /* the highest one given */
    uint32_t share;           /* of a canary */
    struct ctl_plan base, next, previous; /* previous: what rollback goes to in steady state */
    char *pending;            /* a plan that waits */
    uint32_t pending_share;
    struct ctl_plan shadow;
    uint32_t n_devices, n_loading;
    struct ctl_device *device;
    uint32_t *by_name;  /* [n_devices] indices of devices in the order of their names */
    uint32_t *by_chain; /* [n_devices] in the order of their chains */
    struct ctl_pin pin[MAX_PINS];
    uint32_t n_pins;
    struct ctl_profile profile[CTL_PROFILES];
    struct ctl_drift drift;
    /* digests that wait: a ring */
    struct ctl_waiting *waiting; /* [CTL_WAITING] */
    uint32_t first_waiting, n_waiting;
    size_t waiting_bytes;
    uint64_t n_heard; /* messages of devices */
    /* rules */
    struct ctl_known *known; /* [KNOWN_FLOWS] */
    uint64_t bucket, bucket_ns;
    dune_controller_digest_fn digest_fn;
    void *digest_ctx;
    dune_controller_flow_fn flow_fn;
    void *flow_ctx;
    struct dune_controller_stats stats;
};

/* --- ctl_lease.c: the lease and the desired state in the store ------------------------------------------ */
void dune_ctl_lease_step(struct dune_controller *c);
/* Operators change things on the controller that has the lease and the state: DUNE_E_ENV on others. */
int dune_ctl_need_lease(const struct dune_controller *c, struct dune_diag *d) DUNE_MUST_USE;
int dune_ctl_state_save(struct dune_controller *c, struct dune_diag *d) DUNE_MUST_USE;
int dune_ctl_state_read(struct dune_controller *c, struct dune_diag *d) DUNE_MUST_USE;
void dune_ctl_plan_fini(struct ctl_plan *p);
/* Parses text, gives it the generation (0: it keeps its own) and at least so many devices, and keeps the text
 * that devices get. */
int dune_ctl_plan_init(struct ctl_plan *p, const char *name, const char *text, size_t len, uint16_t generation,
                       uint32_t n_devices, struct dune_diag *d) DUNE_MUST_USE;
int dune_ctl_pin_parse(struct ctl_pin *p, const char *what, const char *cls, struct dune_diag *d) DUNE_MUST_USE;

/* --- ctl_update.c: phases and reconciling ----------------------------------------------------------------- */
void dune_ctl_update_step(struct dune_controller *c);
void dune_ctl_go_back(struct dune_controller *c);
/* Starts the update to c->next. */
int dune_ctl_start(struct dune_controller *c, const char *name, const char *text, size_t len, uint32_t share,
                   struct dune_diag *d) DUNE_MUST_USE;

/* --- ctl_drift.c ---------------------------------------------------------------------------------------------- */
int dune_ctl_drift_read(struct dune_controller *c, struct dune_diag *d) DUNE_MUST_USE; /* profiles in the store */
void dune_ctl_take_drift(struct dune_controller *c, const struct ctl_device *from, const struct dune_ctl_msg *m);
void dune_ctl_drift_step(struct dune_controller *c);
void dune_ctl_drift_status(const struct dune_controller *c, struct dune_jsonw *w);
void dune_ctl_drift_fini(struct dune_controller *c);

/* --- ctl_digests.c: digests wait, control messages do not --------------------------------------------------- */
void dune_ctl_digests_wait(struct dune_controller *c, const void *data, size_t len);
void dune_ctl_digests_step(struct dune_controller *c);
void dune_ctl_digests_forget(struct dune_controller *c);

/* --- ctl_flows.c: what flows are, for those who listen ------------------------------------------------------- */
void dune_ctl_tell_flow(struct dune_controller *c, const struct dune_digest *dg, const char *cls, bool pinned);

/* --- ctl_rules.c --------------------------------------------------------------------------------------------- */
/* from: the device that sent them. */
void dune_ctl_take_digests(struct dune_controller *c, const struct ctl_device *from, const struct dune_ctl_msg *m);
void dune_ctl_rules_step(struct dune_controller *c); /* pins that are due, rules that wait */

/* --- controller.c -------------------------------------------------------------------------------------------- */
struct ctl_device *dune_ctl_find_device(const struct dune_controller *c, const char *name);
const char *dune_ctl_device_state(const struct ctl_device *dev);
/* Sends a command to a device under the lease; false: the bus did not take it. */
bool dune_ctl_send(struct dune_controller *c, struct ctl_device *dev, struct dune_ctl_msg *m);
void dune_ctl_note(struct dune_controller *c, const char *fmt, ...) DUNE_PRINTF(2, 3);
static inline bool ctl_is_first(const struct ctl_device *dev)
{
    return dev->position == 0;
}

#endif
