/* SPDX-License-Identifier: Apache-2.0 */
/* A switch's life: starting, generations, captures, counters. */
#include "targets/bmv2/bmv2_int.h"

#include <arpa/inet.h>
#include <jansson.h>
#include <netinet/in.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#include "targets/target_int.h"

enum { START_MS = 30000, QUEUE_DEPTH = 1 << 20, N_COUNTERS = 100 };

/* --- starting --------------------------------------------------------------------------------------------- */

static uint16_t free_port(void)
{
    struct sockaddr_in a = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_ANY)};
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    socklen_t len = sizeof(a);
    uint16_t port = 0;

    if (fd >= 0 && bind(fd, (struct sockaddr *)&a, sizeof(a)) == 0 &&
        getsockname(fd, (struct sockaddr *)&a, &len) == 0)
        port = ntohs(a.sin_port);
    if (fd >= 0)
        close(fd);
    return port;
}

/*
 * Switches that are built with nanomsg announce events at a file in /tmp which their id names, and do not start when
 * another one has it: one id per process and port, 31 bits as old versions take.
 */
static uint32_t switch_id(uint16_t port)
{
    return ((uint32_t)getpid() & 0x7fff) << 16 | port;
}

static void forget_announcements(uint32_t id)
{
    char path[64];

    snprintf(path, sizeof(path), "/tmp/bmv2-%u-notifications.ipc", id);
    unlink(path); /* most switches are built without */
}

static int spawn(struct dune_bmv2 *sw, const struct dune_bmv2_cfg *cfg, struct dune_diag *d)
{
    const char *argv[2 * DUNE_BMV2_MAX_PORTS + 8];
    char port[8], id[16], arg[DUNE_BMV2_MAX_PORTS][64];
    uint32_t n = 0;

    snprintf(port, sizeof(port), "%u", sw->port);
    snprintf(id, sizeof(id), "%u", sw->id);
    argv[n++] = "simple_switch";
    argv[n++] = "--device-id";
    argv[n++] = id;
    argv[n++] = "--thrift-port";
    argv[n++] = port;
    for (uint32_t i = 0; i < DUNE_MIN(cfg->n_ports, (uint32_t)DUNE_BMV2_MAX_PORTS); i++) {
        snprintf(arg[i], sizeof(arg[i]), "%u@%s", cfg->port[i].number, cfg->port[i].ifname);
        argv[n++] = "-i";
        argv[n++] = arg[i];
    }
    argv[n++] = cfg->json;
    argv[n] = NULL;
    return bmv2_spawn(&sw->pid, argv, cfg->log, d);
}

/* The switch listens before it offers all of its services, and ends a connection that asks too early. */
static bool answers(struct dune_bmv2 *sw)
{
    struct dune_diag ignored = {0};
    uint64_t us;

    if (bmv2_rpc_open(&sw->rpc, sw->port, &ignored))
        return false;
    if (bmv2_elapsed_us(sw->rpc, &us, &ignored) == 0)
        return true;
    bmv2_rpc_close(sw->rpc);
    sw->rpc = NULL;
    return false;
}

static int await(struct dune_bmv2 *sw, struct dune_diag *d)
{
    const struct timespec pause = {.tv_nsec = 20000000};
    char line[600];

    for (int ms = 0; ms < START_MS && !dune_interrupted(); ms += 20) {
        if (!bmv2_running(sw->pid)) {
            sw->pid = 0;
            bmv2_log_line(sw->log, line, sizeof(line));
            return dune_diag_set(d, DUNE_E_ENV, NULL, "simple_switch ended: %s", line);
        }
        if (answers(sw))
            return 0;
        nanosleep(&pause, NULL);
    }
    return dune_diag_set(d, DUNE_E_ENV, NULL, "simple_switch does not answer on port %u", sw->port);
}

/* Every hash of the program that is not CRC-32 is CRC-32C; the compiler chose their names. */
static int set_hashes(struct dune_bmv2 *sw, struct dune_diag *d)
{
    json_error_t err;
    json_t *root, *c;
    size_t i;
    int rc = bmv2_config(sw->rpc, d);

    if (rc)
        return rc;
    root = json_loadb(sw->rpc->text, sw->rpc->text_len, 0, &err);
    if (!root)
        return dune_diag_set(d, DUNE_E_FORMAT, NULL, "simple_switch: its program is not JSON: %s", err.text);
    json_array_foreach(json_object_get(root, "calculations"), i, c) {
        const char *name = json_string_value(json_object_get(c, "name"));
        const char *algo = json_string_value(json_object_get(c, "algo"));

        if (rc == 0 && name && algo && strcmp(algo, "crc32_custom") == 0)
            rc = bmv2_crc32c(sw->rpc, name, d);
    }
    json_decref(root);
    return rc;
}

static int put_entries(struct dune_bmv2 *sw, struct bmv2_generation *g, struct p4_entries *e, struct dune_diag *d)
{
    int rc = 0;

    for (size_t i = 0; i < e->len && rc == 0; i++) {
        const struct p4_entry *x = &e->data[i];
        struct bmv2_handle h = {.table = x->table};

        if (!x->table)
            continue;
        if (x->n_match == 0) {
            rc = bmv2_entry_default(sw->rpc, e, x, d);
            continue;
        }
        rc = bmv2_entry_add(sw->rpc, e, x, &h.handle, NULL, d);
        if (rc == 0 && g)
            DUNE_VEC_PUSH(&g->handles, h);
    }
    return rc;
}

static void port_rows(struct p4_entries *e, const struct dune_bmv2_cfg *cfg)
{
    for (uint32_t i = 0; i < cfg->n_ports; i++) {
        const struct dune_bmv2_port *p = &cfg->port[i];

        if (p->number == DUNE_BMV2_CPU_PORT) {
            p4_row_port_release(e, p->number);
            continue;
        }
        p4_row_port_out(e, p->number, p->kind == DUNE_PORT_CHAIN || cfg->keep_shim);
        if (p->number != 1)
            p4_row_port_in(e, p->number, p->kind == DUNE_PORT_CHAIN);
        else if (cfg->back)
            p4_row_port_back(e, 1, 0);
    }
}

/* What does not depend on a generation: ports, votes, clone session of the digests. */
static int set_up(struct dune_bmv2 *sw, const struct dune_bmv2_cfg *cfg, const struct p4_shape *s, struct dune_diag *d)
{
    struct p4_entries e = {.prefix = BMV2_PREFIX};
    int rc = bmv2_queue_depth(sw->rpc, QUEUE_DEPTH, d);

    if (rc == 0)
        rc = bmv2_mirror(sw->rpc, 100, DUNE_BMV2_CPU_PORT, d);
    if (rc == 0)
        rc = set_hashes(sw, d);
    p4_row_stamp(&e, 0, true, false, 0, 0); /* no generation: there is nothing to wrap a forged shim in */
    port_rows(&e, cfg);
    p4_rows_votes(&e, s);
    if (sw->stateful)
        p4_row_digest_rate(&e, sw->digest_rate, sw->digest_burst);
    if (rc == 0)
        rc = put_entries(sw, NULL, &e, d);
    p4_entries_fini(&e);
    return rc;
}

int dune_bmv2_start(struct dune_bmv2 **out, const struct dune_bmv2_cfg *cfg, const struct dune_plan *p,
                    struct dune_diag *d)
{
    struct p4_shape *s = DUNE_NEW(struct p4_shape);
    struct dune_bmv2 *sw = DUNE_NEW(struct dune_bmv2);
    struct dune_buf text = {0};
    int rc = p4_shape_make(s, p, cfg->device, DUNE_P4_V1MODEL, 1, d);

    *sw = (struct dune_bmv2){.device = cfg->device, .digest_fd = -1, .slots = p->slots,
                             .drop_edge_shim = cfg->drop_edge_shim, .digest_rate = cfg->digest_rate,
                             .digest_burst = cfg->digest_burst, .stateful = s->state, .test_clock = cfg->test_clock,
                             .shim_ethertype = p->shim_ethertype};
    sw->port = cfg->thrift_port ? cfg->thrift_port : free_port();
    sw->id = switch_id(sw->port);
    sw->shape = s;
    sw->log = cfg->log ? dune_mem_strdup(cfg->log) : NULL;
    bmv2_rules_init(&sw->rules, DUNE_RULES_MAX_DEFAULT);
    if (rc == 0) {
        p4_v1_program(&text, s);
        sw->program = text.data;
    }
    if (rc == 0 && cfg->digests)
        rc = bmv2_digests_open(cfg->digests, &sw->digest_fd, d);
    if (rc == 0)
        rc = spawn(sw, cfg, d);
    if (rc == 0)
        rc = await(sw, d);
    if (rc == 0)
        rc = set_up(sw, cfg, s, d);
    s->plan = NULL; /* only widths are looked at from now on */
    if (rc)
        dune_bmv2_stop(sw);
    else
        *out = sw;
    return rc;
}

static void forget(struct bmv2_generation *g)
{
    p4_entries_fini(&g->entries);
    DUNE_VEC_FREE(&g->handles);
    memset(g, 0, sizeof(*g));
}

void dune_bmv2_stop(struct dune_bmv2 *sw)
{
    if (!sw)
        return;
    bmv2_rpc_close(sw->rpc);
    bmv2_kill(sw->pid);
    forget_announcements(sw->id);
    if (sw->digest_fd >= 0)
        close(sw->digest_fd);
    forget(&sw->gen[0]);
    forget(&sw->gen[1]);
    bmv2_rules_fini(&sw->rules);
    dune_mem_free(sw->program);
    dune_mem_free(sw->shape);
    dune_mem_free(sw->log);
    dune_mem_free(sw);
}

bool dune_bmv2_alive(struct dune_bmv2 *sw)
{
    if (!bmv2_running(sw->pid))
        sw->pid = 0;
    return sw->pid > 0 && !sw->rpc->failed;
}

/* --- generations -------------------------------------------------------------------------------------------- */

static int position(const struct dune_bmv2 *sw, uint16_t generation)
{
    for (int i = 0; i < 2; i++)
        if (sw->gen[i].held && sw->gen[i].plan->generation == generation)
            return i;
    return -1;
}

static int mirrors(struct dune_bmv2 *sw, const struct dune_plan *p, struct dune_diag *d)
{
    int rc = 0;

    for (uint32_t c = 0; c < p->n_classes && rc == 0; c++)
        if (p->cls[c].action == DUNE_ACTION_MIRROR)
            rc = bmv2_mirror(sw->rpc, 200 + c + 1, p->cls[c].action_arg, d);
    return rc;
}

/* Slots: the ids are enough, id 0 is empty and all else starts again with it. */
static int empty_slots(struct dune_bmv2 *sw, uint32_t from, uint32_t to, struct dune_diag *d)
{
    return sw->stateful ? bmv2_register_write(sw->rpc, BMV2_PREFIX "flow.slot_id", from, to, 0, d) : 0;
}

static int fill(struct dune_bmv2 *sw, unsigned i, const struct p4_shape *s, struct dune_diag *d)
{
    struct bmv2_generation *g = &sw->gen[i];
    int rc = empty_slots(sw, i * sw->slots, (i + 1) * sw->slots, d);

    g->held = true;
    g->plan = s->plan;
    g->entries.prefix = BMV2_PREFIX;
    p4_rows_model(&g->entries, s, i);
    p4_rows_generation(&g->entries, s, i); /* the row that makes it held comes last */
    if (rc == 0)
        rc = mirrors(sw, s->plan, d);
    return rc ? rc : put_entries(sw, g, &g->entries, d);
}

int dune_bmv2_load(struct dune_bmv2 *sw, const struct dune_plan *p, struct dune_diag *d)
{
    unsigned i = sw->stamped ? !sw->stamp : sw->gen[0].held;
    struct p4_shape *s;
    int rc;

    if (position(sw, p->generation) >= 0)
        return dune_diag_set(d, DUNE_E_USAGE, NULL, "generation %u is held already", p->generation);
    if (sw->gen[i].held)
        return dune_diag_set(d, DUNE_E_USAGE, NULL,
                             "two generations are held: generation %u waits until %u is drained",
                             p->generation, sw->gen[i].plan->generation);
    s = DUNE_NEW(struct p4_shape);
    rc = p4_shape_make(s, p, sw->device, DUNE_P4_V1MODEL, 1, d);
    if (rc == 0)
        rc = p4_shape_in(s, sw->shape, sw->program, d);
    if (rc == 0) {
        rc = fill(sw, i, s, d);
        if (rc) {
            struct dune_diag ignored = {0};

            if (dune_bmv2_unload(sw, p->generation, &ignored))
                forget(&sw->gen[i]);
        }
    }
    dune_mem_free(s);
    return rc;
}

static int set_stamp(struct dune_bmv2 *sw, uint16_t generation, bool draining, uint16_t older, uint64_t until,
                     struct dune_diag *d)
{
    struct p4_entries e = {.prefix = BMV2_PREFIX};
    int rc;

    p4_row_stamp(&e, generation, sw->drop_edge_shim || generation == 0, draining, older, until);
    rc = put_entries(sw, NULL, &e, d);
    p4_entries_fini(&e);
    return rc;
}

int dune_bmv2_stamp(struct dune_bmv2 *sw, uint16_t generation, uint64_t now, struct dune_diag *d)
{
    int i = position(sw, generation), rc;
    const struct bmv2_generation *old = &sw->gen[!i];
    uint64_t timeout, until;

    if (i < 0)
        return dune_diag_set(d, DUNE_E_USAGE, NULL, "generation %u is not held", generation);
    if (sw->stamped && (unsigned)i == sw->stamp)
        return 0;
    timeout = sw->stamped && old->held ? old->plan->timeout : 0;
    until = dune_drain_deadline(now, timeout);
    rc = set_stamp(sw, generation, sw->stamped && old->held, old->held ? old->plan->generation : 0, until, d);
    if (rc == 0) {
        sw->stamp = (unsigned)i;
        sw->stamped = true;
    }
    return rc;
}

/* Rules and slots of it go before the next one takes its set of tables. */
int dune_bmv2_unload(struct dune_bmv2 *sw, uint16_t generation, struct dune_diag *d)
{
    int i = position(sw, generation), rc = 0;
    struct bmv2_generation *g = &sw->gen[i < 0 ? 0 : i];
    const struct bmv2_generation *other = &sw->gen[i < 0 ? 0 : !i];

    if (i < 0)
        return dune_diag_set(d, DUNE_E_USAGE, NULL, "generation %u is not held", generation);
    if (sw->stamped && (unsigned)i == sw->stamp && other->held)
        return dune_diag_set(d, DUNE_E_USAGE, NULL, "generation %u is being stamped", generation);
    if (sw->stamped)
        rc = set_stamp(sw, other->held ? other->plan->generation : 0, false, 0, 0, d);
    for (size_t k = g->handles.len; k-- > 0 && rc == 0;)
        rc = bmv2_entry_delete(sw->rpc, BMV2_PREFIX, g->handles.data[k].table, g->handles.data[k].handle, d);
    if (rc == 0)
        rc = bmv2_rules_clear(&sw->rules, sw->rpc, (uint8_t)i, d);
    if (rc == 0)
        rc = empty_slots(sw, (uint32_t)i * sw->slots, ((uint32_t)i + 1) * sw->slots, d);
    if (rc == 0) {
        sw->stamped &= other->held;
        forget(g);
    }
    return rc;
}

int dune_bmv2_new_capture(struct dune_bmv2 *sw, struct dune_diag *d)
{
    int rc = empty_slots(sw, 0, 2 * sw->slots, d);

    if (rc == 0 && sw->stateful)
        rc = bmv2_register_write(sw->rpc, BMV2_PREFIX "digests.bucket_started", 0, 1, 0, d);
    return rc ? rc : bmv2_rules_clear(&sw->rules, sw->rpc, 2, d);
}

int dune_bmv2_put_rule(struct dune_bmv2 *sw, const struct dune_digest *dg, bool *added, struct dune_diag *d)
{
    int i = position(sw, dg->generation);

    *added = false;
    return i < 0 ? 0 : bmv2_rules_put(&sw->rules, sw->rpc, (uint8_t)i, dg, added, d);
}

int dune_bmv2_release(struct dune_bmv2 *sw, uint16_t generation, const struct dune_flow_key *key, struct dune_diag *d)
{
    int i = position(sw, generation);

    if (sw->digest_fd < 0)
        return dune_diag_set(d, DUNE_E_USAGE, NULL, "the CPU port of the switch has no other end");
    return i < 0 || !sw->stateful ? 0 : bmv2_release_send(sw, generation, key, d);
}

int dune_bmv2_slot_id(struct dune_bmv2 *sw, uint16_t generation, uint32_t index, uint32_t *id, struct dune_diag *d)
{
    int i = position(sw, generation), rc;
    uint64_t value = 0;

    *id = 0;
    if (i < 0 || !sw->stateful || index >= sw->slots)
        return 0;
    rc = bmv2_register_read(sw->rpc, BMV2_PREFIX "flow.slot_id", (uint32_t)i * sw->slots + index, &value, d);
    *id = (uint32_t)value;
    return rc;
}

int dune_bmv2_now(struct dune_bmv2 *sw, uint64_t *tick, struct dune_diag *d)
{
    uint64_t us = 0;
    int rc = bmv2_elapsed_us(sw->rpc, &us, d);

    *tick = us * 125 >> 7;
    return rc;
}

/* --- counters -------------------------------------------------------------------------------------------------- */

/* The counters of the program (control Count) by index. */
static void translate(struct dune_counters *c, const uint64_t n[N_COUNTERS], const struct bmv2_rules *rules)
{
    const uint64_t *fate = n, *reason = n + 32, *slot = n + 64, *event = n + 80;

    for (unsigned i = 0; i < DUNE_N_FATES; i++)
        c->in += fate[i];
    for (unsigned i = 1; i < DUNE_N_REASONS; i++)
        c->not_inferable[i] = reason[i];
    c->filtered = fate[DUNE_FATE_FILTERED];
    c->too_big = fate[DUNE_FATE_TOO_BIG];
    c->generation_missing = fate[DUNE_FATE_GENERATION_MISSING];
    c->passed_settled = fate[DUNE_FATE_PASSED_SETTLED];
    c->rule_hit = fate[DUNE_FATE_RULE_HIT];
    c->inferred = fate[DUNE_FATE_INFERRED];
    c->dropped_edge_shim = fate[DUNE_FATE_DROPPED_EDGE_SHIM];
    c->dropped_bad_shim = fate[DUNE_FATE_DROPPED_BAD_SHIM];
    c->stateless = slot[DUNE_SLOT_NONE];
    c->slot_new = slot[DUNE_SLOT_NEW];
    c->slot_hit = slot[DUNE_SLOT_HIT];
    c->slot_expired = slot[DUNE_SLOT_EXPIRED];
    c->collisions = slot[DUNE_SLOT_COLLISION];
    c->shim_added = event[0];
    c->shim_missing = event[1];
    c->shim_bad = event[2];
    c->finals = event[3];
    c->settled = event[4];
    c->digests = event[5];
    c->dropped_action = event[6] - c->dropped_edge_shim - c->dropped_bad_shim - fate[30];
    c->mirrored = event[7];
    c->shim_read = event[8];
    c->shim_kept = event[9];
    c->shim_at_edge = event[10];
    c->marked = event[11];
    c->steered = event[12];
    c->rules_expired = event[13];
    c->digests_dropped = event[14];
    c->answers_pl = event[16];
    c->answers_fl = event[17];
    c->answers_stored = event[18];
    c->claims = event[19];
    c->out = c->in - c->dropped_action - c->dropped_edge_shim - c->dropped_bad_shim;
    c->shim_stripped = c->shim_read + c->shim_added - c->shim_kept - c->dropped_action;
    c->rules = rules->added;
    c->rules_full = rules->full;
}

int dune_bmv2_counters(struct dune_bmv2 *sw, struct dune_counters *out, struct dune_diag *d)
{
    uint64_t n[N_COUNTERS];
    int rc = 0;

    memset(out, 0, sizeof(*out));
    for (uint32_t i = 0; i < N_COUNTERS && rc == 0; i++)
        rc = bmv2_counter_read(sw->rpc, BMV2_PREFIX "count.counts", i, &n[i], d);
    if (rc == 0)
        translate(out, n, &sw->rules);
    return rc;
}
