/* SPDX-License-Identifier: Apache-2.0 */
/* One run on a testbed: switches as processes, controller here, source and sink in threads. */
#include "live/live_int.h"

#include <errno.h>
#include <poll.h>
#include <string.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

/* Loading an XDP program keeps a CPU busy for a second or two. */
enum { READY_S = 30, READY_DEVICE_S = 5, READY_COMPILE_S = 600, DRAIN_MS = 600, REPORT_MS = 1300 };

struct tb {
    const struct dune_testbed_cfg *cfg;
    const struct dune_testbed_run_cfg *run;
    struct live_traffic traffic;
    uint32_t n_dev;
    char dir[128], socket[160];
    pid_t pid[DUNE_TESTBED_DEVICES];
    /* controller */
    struct dune_bus_hub *hub;
    struct dune_bus_server *server;
    struct dune_bus *bus;
    struct dune_controller *ctl;
    /* source and sink */
    struct dune_port *src[DUNE_TESTBED_SOURCES], *snk[DUNE_TESTBED_DEVICES];
    uint32_t n_src, n_snk;
    pthread_t source, sink;
    bool source_runs, sink_runs;
    atomic_bool source_done, source_stop, stop;
    _Atomic uint64_t sent, refused;
    uint64_t start_ns;
    pthread_mutex_t lock; /* of traffic's scores */
    struct dune_writer *record;
    struct dune_diag source_diag, sink_diag, record_diag; /* of the threads: to be read when they have ended */
};

static void say(struct tb *t, const char *text)
{
    if (t->run->note)
        t->run->note(t->run->note_ctx, text);
}

/* --- switches -------------------------------------------------------------------------------------------- */

static void trace_path(const struct tb *t, uint32_t i, char out[512])
{
    snprintf(out, 512, "%.400s/s%u.trace", t->run->trace, i + 1);
}

static int start_switch(struct tb *t, uint32_t i, struct dune_diag *d)
{
    char name[16], ns[64], log[192], bus[176], trace[512], in[DUNE_SWITCH_PORTS][32], out[DUNE_SWITCH_PORTS][32], route[160] = "",
        slots[16], ways[16], rules[16];
    const char *argv[DUNE_SWITCH_PORTS * 4 + 32];
    uint32_t level, next, list[DUNE_TESTBED_DEVICES], n_in = dune_testbed_n_in(t->cfg, i), n_out = dune_testbed_n_out(t->cfg, i),
                                                      a = 0;
    bool last = dune_testbed_next(t->cfg, i, list) == 0;
    const char *kind = t->run->ports && strcmp(t->run->ports, "af_xdp") == 0 ? "af_xdp:" : "";
    int rc;

    dune_testbed_place(t->cfg, i, &level, &next);
    dune_testbed_device_name(i, name);
    dune_testbed_netns(t->cfg, name, ns);
    snprintf(log, sizeof(log), "%s/%s.log", t->dir, name);
    snprintf(bus, sizeof(bus), "unix:%s", t->socket);
    argv[a++] = t->run->dunectl;
    argv[a++] = "switch";
    argv[a++] = name;
    argv[a++] = "--bus", argv[a++] = bus;
    argv[a++] = "--engine", argv[a++] = t->run->engine ? t->run->engine : "reference";
    if (t->run->release_slots)
        argv[a++] = "--release-slots";
    for (uint32_t k = 0; k < n_in; k++) {
        size_t len = strlen(route);

        snprintf(in[k], sizeof(in[k]), "%s:%sin%u", level ? "chain" : "edge", kind, k);
        argv[a++] = "--in", argv[a++] = in[k];
        snprintf(route + len, sizeof(route) - len, "%s%u", k ? "," : "", k % n_out);
    }
    for (uint32_t k = 0; k < n_out; k++) {
        char port[16];

        dune_testbed_out_name(k, port);
        snprintf(out[k], sizeof(out[k]), "%s:%s%s", last ? "edge" : "chain", kind, port);
        argv[a++] = "--out", argv[a++] = out[k];
    }
    if (n_out > 1)
        argv[a++] = "--route", argv[a++] = route;
    if (last && !t->run->strip)
        argv[a++] = "--keep-shim";
    if (t->run->opts.slots)
        snprintf(slots, sizeof(slots), "%u", t->run->opts.slots), argv[a++] = "--slots", argv[a++] = slots;
    if (t->run->opts.ways)
        snprintf(ways, sizeof(ways), "%u", t->run->opts.ways), argv[a++] = "--ways", argv[a++] = ways;
    if (t->run->opts.rules_max)
        snprintf(rules, sizeof(rules), "%u", t->run->opts.rules_max), argv[a++] = "--rules-max", argv[a++] = rules;
    if (t->run->trace) {
        trace_path(t, i, trace);
        argv[a++] = "--trace", argv[a++] = trace;
    }
    argv[a] = NULL;
    rc = dune_netns_spawn(&t->pid[i], ns, log, argv, d);
    return rc ? rc : dune_testbed_note_pid(t->cfg->name, t->pid[i], d);
}

/* A switch that ended by itself says why in its log. */
static int check_switches(struct tb *t, struct dune_diag *d)
{
    for (uint32_t i = 0; i < t->n_dev; i++) {
        char log[192], *text = NULL, *line;
        size_t len = 0;
        struct dune_diag ignored = {0};
        int status;

        if (t->pid[i] <= 0 || waitpid(t->pid[i], &status, WNOHANG) == 0)
            continue;
        t->pid[i] = 0;
        snprintf(log, sizeof(log), "%s/s%u.log", t->dir, i + 1);
        if (dune_file_read(log, &text, &len, &ignored))
            text = dune_mem_strdup("it left no log");
        line = len > 1 && text[len - 1] == '\n' ? (text[len - 1] = '\0', strrchr(text, '\n')) : NULL;
        dune_diag_set(d, WIFEXITED(status) && WEXITSTATUS(status) == 5 ? DUNE_E_ENV : DUNE_E_INTERNAL, NULL,
                      "switch s%u ended: %.400s", i + 1, line ? line + 1 : text);
        dune_mem_free(text);
        return d->code;
    }
    return 0;
}

/* --- controller ------------------------------------------------------------------------------------------- */

static void on_digest(void *ctx, const struct dune_digest *dg, const char *cls)
{
    struct tb *t = ctx;

    pthread_mutex_lock(&t->lock);
    dune_live_traffic_digest(&t->traffic, &dg->key, cls);
    pthread_mutex_unlock(&t->lock);
    if (t->run->digest)
        t->run->digest(t->run->look_ctx, dg, cls);
}

static int start_controller(struct tb *t, struct dune_diag *d)
{
    struct dune_controller_device dev[DUNE_TESTBED_DEVICES];
    char name[DUNE_TESTBED_DEVICES][16], state[160];
    struct dune_controller_cfg cfg = {.owner = "testbed", .device = dev, .n_devices = t->n_dev,
                                      .no_rules = t->run->no_rules, .note = t->run->note,
                                      .note_ctx = t->run->note_ctx};
    int rc;

    for (uint32_t i = 0; i < t->n_dev; i++) {
        uint32_t level, next;

        dune_testbed_place(t->cfg, i, &level, &next);
        dune_testbed_device_name(i, name[i]);
        dev[i] = (struct dune_controller_device){name[i], (uint16_t)level};
    }
    snprintf(state, sizeof(state), "%s/state", t->dir);
    rc = dune_bus_hub_new(&t->hub, state, d);
    if (rc == 0)
        rc = dune_bus_server_start(&t->server, t->hub, t->socket, d);
    if (rc)
        return rc;
    t->bus = dune_bus_hub_join(t->hub);
    rc = dune_controller_new(&t->ctl, &cfg, t->bus, d);
    if (rc == 0)
        rc = dune_controller_serve(t->ctl, d);
    if (rc == 0)
        dune_controller_on_digest(t->ctl, on_digest, t);
    return rc;
}

static void step(struct tb *t)
{
    dune_controller_step(t->ctl, dune_live_now_ns());
    usleep(2000);
}

static int load_plan(struct tb *t, struct dune_diag *d)
{
    struct dune_controller_stats s = {0};
    char *text = NULL;
    size_t len;
    int ready = t->run->engine && strcmp(t->run->engine, "bmv2") == 0 ? READY_COMPILE_S : READY_S + READY_DEVICE_S * (int)t->n_dev;
    uint64_t end = dune_now_ns() + (uint64_t)ready * UINT64_C(1000000000);
    int rc = dune_plan_format(t->run->plan, &text, &len, d);

    while (rc == 0 && !s.leader && !dune_interrupted()) {
        step(t);
        dune_controller_stats(t->ctl, &s);
    }
    if (rc == 0 && !dune_interrupted())
        rc = dune_controller_apply(t->ctl, "plan", text, len, DUNE_CTL_SHARE, d);
    dune_mem_free(text);
    while (rc == 0 && s.phase != DUNE_PHASE_STEADY && !dune_interrupted()) {
        step(t);
        rc = check_switches(t, d);
        dune_controller_stats(t->ctl, &s);
        if (rc == 0 && s.refused)
            rc = dune_diag_set(d, DUNE_E_ENV, NULL, "a device refused the plan");
        if (rc == 0 && dune_now_ns() > end)
            rc = dune_diag_set(d, DUNE_E_ENV, NULL, "after %d s not all devices hold the plan (%u of %u are silent)",
                               ready, s.n_lost, s.n_devices);
    }
    return rc;
}

/* --- source ------------------------------------------------------------------------------------------------ */

static void wait_until(uint64_t ns)
{
    struct timespec t = {(time_t)(ns / 1000000000u), (long)(ns % 1000000000u)};

    while (clock_nanosleep(CLOCK_REALTIME, TIMER_ABSTIME, &t, NULL) == EINTR)
        ;
}

/*
 * Packets of one leaf that are due, in order. Returns the first one not sent. A paced packet goes alone, right behind its time
 * stamp: in a burst the last one would wait for all before it to pass the chain, and that would count as its own time.
 */
static size_t send_due(struct tb *t, size_t i, uint64_t now)
{
    struct dune_frame f[DUNE_IO_BURST_MAX];
    struct live_packet *first = &t->traffic.pkt[i];
    unsigned n = 0, done = 0, sent, most = t->run->top_speed ? DUNE_IO_BURST_MAX : 1;

    while (n < most && i + n < t->traffic.n) {
        struct live_packet *p = &t->traffic.pkt[i + n];

        if (p->leaf != first->leaf || (!t->run->top_speed && t->start_ns + p->at_ns > now))
            break;
        atomic_store(&p->sent_ns, now);
        f[n++] = (struct dune_frame){.data = p->data, .cap_len = p->len, .wire_len = p->len};
    }
    while (done < n && !atomic_load(&t->stop)) {
        sent = 0;
        if (dune_port_tx(t->src[first->leaf], f + done, n - done, &sent, &t->source_diag))
            return t->traffic.n;
        done += sent;
        if (done < n)
            usleep(50);
    }
    atomic_fetch_add(&t->sent, done);
    return i + done;
}

static void *source(void *ctx)
{
    struct tb *t = ctx;
    struct dune_port_stats st;
    size_t i = 0;

    while (i < t->traffic.n && !atomic_load(&t->stop) && !atomic_load(&t->source_stop)) {
        uint64_t due = t->start_ns + t->traffic.pkt[i].at_ns, now = dune_live_now_ns();

        if (!t->run->top_speed && due > now) {
            wait_until(DUNE_MIN(due, now + 50000000));
            now = dune_live_now_ns();
            if (due > now)
                continue;
        }
        i = send_due(t, i, now);
    }
    for (uint32_t k = 0; k < t->n_src; k++) {
        dune_port_stats(t->src[k], &st);
        atomic_fetch_add(&t->refused, st.tx_refused);
    }
    atomic_store(&t->source_done, true);
    return NULL;
}

/* tcpreplay sends one file per first device. */
static int write_leaf(struct tb *t, uint32_t leaf, const char *path, struct dune_diag *d)
{
    struct dune_writer *w;
    int rc = dune_writer_open(&w, path, d);

    for (size_t i = 0; rc == 0 && i < t->traffic.n; i++) {
        struct live_packet *p = &t->traffic.pkt[i];

        if (p->leaf != leaf)
            continue;
        atomic_store(&p->sent_ns, 1); /* not known */
        rc = dune_writer_put(w, UINT64_C(1000000000) + p->at_ns, p->data, p->len, p->len, d);
        atomic_fetch_add(&t->sent, 1);
    }
    if (rc == 0)
        return dune_writer_commit(w, d);
    dune_writer_abort(w);
    return rc;
}

static int tcpreplay(struct tb *t, pid_t pid[DUNE_TESTBED_SOURCES], struct dune_diag *d)
{
    char ns[64], log[160];
    int rc = 0;

    dune_testbed_netns(t->cfg, "src", ns);
    snprintf(log, sizeof(log), "%s/tcpreplay.log", t->dir);
    for (uint32_t i = 0; rc == 0 && i < t->n_src; i++) {
        char path[176], port[16];
        const char *argv[] = {"tcpreplay", "-q", "-i", port, t->run->top_speed ? "--topspeed" : "--multiplier=1.0",
                              path, NULL};

        snprintf(path, sizeof(path), "%s/leaf%u.pcap", t->dir, i);
        snprintf(port, sizeof(port), "src%u", i);
        rc = write_leaf(t, i, path, d);
        if (rc == 0)
            rc = dune_netns_spawn(&pid[i], ns, log, argv, d);
        if (rc == 0)
            rc = dune_testbed_note_pid(t->cfg->name, pid[i], d);
    }
    return rc;
}

/* --- sink -------------------------------------------------------------------------------------------------- */

static void take_frames(struct tb *t, struct dune_port *p, bool *busy)
{
    struct dune_frame f[DUNE_IO_BURST_MAX];
    unsigned n = 0;

    if (dune_port_rx(p, f, DUNE_IO_BURST_MAX, &n, &t->sink_diag) || n == 0)
        return;
    *busy = true;
    pthread_mutex_lock(&t->lock);
    for (unsigned i = 0; i < n; i++) {
        dune_live_traffic_arrived(&t->traffic, f[i].data, f[i].cap_len, f[i].ts_ns);
        if (t->record && t->record_diag.code == 0 &&
            dune_writer_put(t->record, f[i].ts_ns, f[i].data, f[i].cap_len, f[i].wire_len, &t->record_diag))
            continue;
    }
    pthread_mutex_unlock(&t->lock);
}

static void *sink(void *ctx)
{
    struct tb *t = ctx;
    struct pollfd p[DUNE_TESTBED_DEVICES];

    for (uint32_t i = 0; i < t->n_snk; i++)
        p[i] = (struct pollfd){.fd = t->snk[i]->fd, .events = POLLIN};
    while (!atomic_load(&t->stop) && t->sink_diag.code == 0) {
        bool busy = false;

        for (uint32_t i = 0; i < t->n_snk; i++)
            take_frames(t, t->snk[i], &busy);
        if (!busy)
            poll(p, t->n_snk, 20);
    }
    return NULL;
}

/* Frames with a shim are of no protocol that gro would merge; stripped ones would be. */
static int ready_for_xdp(struct tb *t, const char *netns, const char *ifname, struct dune_diag *d)
{
    int old, rc;

    if (!t->run->engine || strcmp(t->run->engine, "xdp") != 0)
        return 0;
    if (t->run->strip)
        return dune_diag_set(d, DUNE_E_USAGE, NULL, "a testbed of XDP switches does not strip at its end: the sink's "
                             "interface would merge the frames");
    rc = dune_netns_enter(netns, &old, d);
    if (rc)
        return rc;
    rc = dune_live_napi_on(ifname, d);
    dune_netns_leave(old);
    return rc;
}

static int open_ends(struct tb *t, struct dune_diag *d)
{
    char src[64], snk[64], port[16];
    int rc = 0;

    dune_testbed_netns(t->cfg, "src", src);
    dune_testbed_netns(t->cfg, "snk", snk);
    for (; rc == 0 && t->n_src < dune_testbed_n_sources(t->cfg); t->n_src += rc == 0) {
        snprintf(port, sizeof(port), "src%u", t->n_src);
        rc = dune_netns_open_port(&t->src[t->n_src], src, port, d);
    }
    for (; rc == 0 && t->n_snk < t->cfg->level[t->cfg->n_levels - 1]; t->n_snk += rc == 0) {
        snprintf(port, sizeof(port), "snk%u", t->n_snk);
        rc = dune_netns_open_port(&t->snk[t->n_snk], snk, port, d);
        if (rc == 0)
            rc = ready_for_xdp(t, snk, port, d);
    }
    if (rc == 0 && t->run->record)
        rc = dune_writer_open(&t->record, t->run->record, d);
    return rc;
}

/* --- the run ------------------------------------------------------------------------------------------------- */

static void report_now(struct tb *t, double seconds)
{
    struct dune_testbed_now now = {.seconds = seconds, .sent = atomic_load(&t->sent)};

    if (!t->run->tick)
        return;
    pthread_mutex_lock(&t->lock);
    now.arrived = t->traffic.arrived;
    now.flow = dune_f1_score(&t->traffic.flow, DUNE_WEIGHT_ONE, NULL);
    pthread_mutex_unlock(&t->lock);
    t->run->tick(t->run->tick_ctx, &now);
}

/* With the lock of the scores, which the sink waits for: who looks copies and goes. */
static void let_look(struct tb *t, uint64_t begin, uint64_t *last)
{
    const struct live_traffic *x = &t->traffic;
    struct dune_testbed_look look = {.packets = x->n, .n_classes = x->n_classes, .controller = t->ctl,
                                     .class_name = (const char *const *)x->class_name, .n_devices = t->n_dev,
                                     .flow = &x->flow, .packet = &x->packet};
    uint64_t now = dune_now_ns();

    if (!t->run->look || now - *last < 100000000u)
        return;
    *last = now;
    look.seconds = (double)(now - begin) / 1e9;
    look.sent = atomic_load(&t->sent);
    pthread_mutex_lock(&t->lock);
    look.arrived = x->arrived;
    look.bytes = x->bytes;
    look.inferable = x->inferable;
    look.claimed = x->claimed;
    look.settled = x->settled;
    look.fl = x->fl;
    look.collided = x->collided;
    look.digests = x->digests;
    look.chain_p50_ns = dune_live_hist_quantile(&x->chain, 0.5);
    look.chain_p90_ns = dune_live_hist_quantile(&x->chain, 0.9);
    look.chain_p99_ns = dune_live_hist_quantile(&x->chain, 0.99);
    t->run->look(t->run->look_ctx, &look);
    pthread_mutex_unlock(&t->lock);
}

static void wait_ms(struct tb *t, int ms, uint64_t begin)
{
    uint64_t last = 0;

    for (uint64_t end = dune_now_ns() + (uint64_t)ms * 1000000u; dune_now_ns() < end && !dune_interrupted();) {
        step(t);
        let_look(t, begin, &last);
    }
}

static bool replays_done(pid_t pid[DUNE_TESTBED_SOURCES], uint32_t n)
{
    bool done = true;
    int status;

    for (uint32_t i = 0; i < n; i++)
        if (pid[i] > 0) {
            if (waitpid(pid[i], &status, WNOHANG) == pid[i])
                pid[i] = 0;
            else
                done = false;
        }
    return done;
}

static int traffic_runs(struct tb *t, struct dune_diag *d)
{
    pid_t replay[DUNE_TESTBED_SOURCES] = {0};
    uint64_t last = dune_now_ns(), begin = last, looked = 0;
    int rc = 0, status;

    t->start_ns = dune_live_now_ns() + 20000000;
    t->sink_runs = pthread_create(&t->sink, NULL, sink, t) == 0;
    if (t->run->tcpreplay)
        rc = tcpreplay(t, replay, d);
    else
        t->source_runs = pthread_create(&t->source, NULL, source, t) == 0;
    if (rc == 0 && (!t->sink_runs || (!t->run->tcpreplay && !t->source_runs)))
        rc = dune_diag_set(d, DUNE_E_ENV, NULL, "no thread for source or sink");
    while (rc == 0 && !dune_interrupted()) {
        if (t->run->tcpreplay ? replays_done(replay, t->n_src) : atomic_load(&t->source_done))
            break;
        if (t->run->stop && t->run->stop(t->run->stop_ctx)) {
            atomic_store(&t->source_stop, true);
            break;
        }
        step(t);
        let_look(t, begin, &looked);
        rc = check_switches(t, d);
        if (dune_now_ns() - last >= 1000000000u) {
            last += 1000000000u;
            report_now(t, (double)(last - begin) / 1e9);
        }
    }
    for (uint32_t i = 0; i < t->n_src; i++)
        dune_netns_stop(replay[i], &status);
    if (rc == 0)
        wait_ms(t, DRAIN_MS, begin);
    report_now(t, (double)(dune_now_ns() - begin) / 1e9);
    if (rc == 0)
        wait_ms(t, REPORT_MS, begin);
    return rc;
}

static void fill_result(struct tb *t, struct dune_testbed_result *r)
{
    const struct live_traffic *x = &t->traffic;

    memset(r, 0, sizeof(*r));
    r->sent = atomic_load(&t->sent);
    r->refused = atomic_load(&t->refused);
    r->sent -= DUNE_MIN(r->sent, r->refused);
    r->arrived = x->arrived;
    r->lost = r->sent > r->arrived ? r->sent - r->arrived : 0;
    r->unknown = x->unknown;
    r->inferable = x->inferable;
    r->claimed = x->claimed;
    r->settled = x->settled;
    r->flow = dune_f1_score(&x->flow, DUNE_WEIGHT_ONE, NULL);
    r->packet = dune_f1_score(&x->packet, 1, NULL);
    r->digest = dune_f1_score(&x->digest, 1, NULL);
    r->flows = dune_truth_n_flows(x->truth);
    r->labelled_flows = x->labelled_flows;
    r->digests = x->digests;
    r->chain_p50_ns = dune_live_hist_quantile(&x->chain, 0.5);
    r->chain_p99_ns = dune_live_hist_quantile(&x->chain, 0.99);
    r->seconds = x->n ? (double)x->pkt[x->n - 1].at_ns / 1e9 : 0;
    r->n_devices = t->n_dev;
    for (uint32_t i = 0; i < t->n_dev; i++) {
        struct dune_ctl_report rep;
        char name[16];

        dune_testbed_device_name(i, name);
        snprintf(r->device[i].name, sizeof(r->device[i].name), "%s", name);
        if (!dune_controller_report(t->ctl, name, &rep))
            continue;
        r->device[i].hop_p50_ns = rep.hop_p50_ns;
        r->device[i].hop_p90_ns = rep.hop_p90_ns;
        r->device[i].hop_p99_ns = rep.hop_p99_ns;
        r->device[i].lost = rep.lost;
        r->device[i].counters = rep.counters;
    }
    dune_controller_stats(t->ctl, &r->controller);
}

/* What broke in the threads, which have ended: figures of half the traffic are none. */
static int check_ends(const struct tb *t, struct dune_diag *d)
{
    const struct dune_diag *const of[] = {&t->source_diag, &t->sink_diag, &t->record_diag};

    for (size_t i = 0; i < DUNE_ARRAY_LEN(of); i++)
        if (of[i]->code) {
            *d = *of[i];
            return d->code;
        }
    return 0;
}

static int finish_record(struct tb *t, int rc, struct dune_diag *d)
{
    if (!t->record)
        return rc;
    if (rc == 0)
        return dune_writer_commit(t->record, d);
    dune_writer_abort(t->record);
    return rc;
}

static void stop_all(struct tb *t)
{
    int status;

    atomic_store(&t->stop, true);
    if (t->source_runs)
        pthread_join(t->source, NULL);
    if (t->sink_runs)
        pthread_join(t->sink, NULL);
    t->source_runs = t->sink_runs = false;
    for (uint32_t i = 0; i < t->n_dev; i++) {
        dune_netns_stop(t->pid[i], &status);
        t->pid[i] = 0;
    }
}

/* The switches have ended, so their traces are whole. */
static int judge(struct tb *t, struct dune_testbed_result *out, struct dune_diag *d)
{
    struct dune_trace *trace = DUNE_NEW_N(struct dune_trace, t->n_dev);
    int rc = 0;

    for (uint32_t i = 0; rc == 0 && i < t->n_dev; i++) {
        char path[512];

        trace_path(t, i, path);
        rc = dune_trace_read(&trace[i], path, d);
    }
    if (rc == 0)
        rc = dune_trace_judge(trace, t->n_dev, &t->run->plan, 1, &out->judgement, d);
    out->traced = rc == 0;
    for (uint32_t i = 0; i < t->n_dev; i++)
        dune_trace_fini(&trace[i]);
    dune_mem_free(trace);
    return rc;
}

static void end_all(struct tb *t)
{
    stop_all(t);
    dune_controller_free(t->ctl);
    if (t->bus)
        t->bus->ops->close(t->bus);
    dune_bus_server_stop(t->server);
    dune_bus_hub_free(t->hub);
    for (uint32_t i = 0; i < t->n_src; i++)
        dune_port_close(t->src[i]);
    for (uint32_t i = 0; i < t->n_snk; i++)
        dune_port_close(t->snk[i]);
    dune_live_traffic_free(&t->traffic);
    pthread_mutex_destroy(&t->lock);
}

int dune_testbed_run(const struct dune_testbed_cfg *cfg, const struct dune_testbed_run_cfg *run,
                     struct dune_testbed_result *out, struct dune_diag *d)
{
    struct tb *t;
    int rc;

    if (run->plan->n_devices > cfg->n_levels)
        return dune_diag_set(d, DUNE_E_USAGE, NULL, "the plan is for %u devices in a row, the testbed has %u",
                             run->plan->n_devices, cfg->n_levels);
    t = DUNE_NEW(struct tb);
    t->cfg = cfg;
    t->run = run;
    t->n_dev = dune_testbed_n_devices(cfg);
    pthread_mutex_init(&t->lock, NULL);
    dune_testbed_dir(cfg->name, t->dir);
    snprintf(t->socket, sizeof(t->socket), "%s/bus", t->dir);
    rc = run->trace ? dune_mkdirs(run->trace, d) : 0;
    if (rc == 0)
        rc = dune_live_traffic_load(&t->traffic, run, dune_testbed_n_sources(cfg), d);
    if (rc == 0)
        rc = start_controller(t, d);
    for (uint32_t i = 0; rc == 0 && i < t->n_dev; i++)
        rc = start_switch(t, i, d);
    if (rc == 0)
        rc = open_ends(t, d);
    if (rc == 0)
        rc = load_plan(t, d);
    if (rc == 0) {
        say(t, "all devices hold the plan");
        rc = traffic_runs(t, d);
    }
    if (rc == 0 && dune_interrupted())
        rc = dune_diag_set(d, DUNE_E_INTERRUPTED, NULL, "interrupted");
    stop_all(t); /* until then the sink counts, and writes to the record */
    if (rc == 0)
        rc = check_ends(t, d);
    if (rc == 0)
        fill_result(t, out);
    if (rc == 0 && run->trace)
        rc = judge(t, out, d);
    rc = finish_record(t, rc, d);
    end_all(t);
    dune_mem_free(t);
    return rc;
}
