/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A DPDK port: dpdk:DEVICE with DEVICE as DPDK names it (net_pcap0,rx_pcap=a.pcap; net_memif0,role=server;
 * 0000:01:00.0). DPDK's environment is set up once per process, with the arguments in DUNE_DPDK_EAL or
 * without huge pages and real devices; the calling thread may run where it could before.
 * This file is a module of its own: DPDK's functions are inline in its headers, and loading it takes milliseconds.
 */
#include "io/io_int.h"

#include <errno.h>
#include <pthread.h>
#include <rte_bus.h>
#include <rte_dev.h>
#include <rte_eal.h>
#include <rte_errno.h>
#include <rte_ethdev.h>
#include <rte_mbuf.h>
#include <sched.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

enum { N_MBUFS = 2047, ROOM = 9216, RING = 512, MAX_ARGS = 32 };
#define DEFAULT_EAL "--no-huge -m 256 --no-pci --no-telemetry --no-shconf -l 0 --log-level=critical"

struct dpdk_port {
    struct dune_port base;
    uint16_t id;
    bool opened, started;
    struct rte_mempool *pool;
    struct rte_mbuf *lent[DUNE_IO_BURST_MAX];
    unsigned n_lent;
    struct dune_buf whole[DUNE_IO_BURST_MAX]; /* of frames in several pieces */
};

/* --- the environment ------------------------------------------------------------------------------------- */

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static int eal_state; /* 0: not yet, 1: up, negative: -errno of the attempt, which is not repeated */

static void start_eal(void)
{
    const char *text = getenv("DUNE_DPDK_EAL");
    static char words[2048]; /* DPDK keeps pointers into it */
    char *save = NULL, *w;
    char *argv[MAX_ARGS + 1] = {(char *)(uintptr_t)"dune"};
    cpu_set_t where;
    bool had = sched_getaffinity(0, sizeof(where), &where) == 0;
    int argc = 1;

    snprintf(words, sizeof(words), "%s", text && *text ? text : DEFAULT_EAL);
    for (w = strtok_r(words, " ", &save); w && argc < MAX_ARGS; w = strtok_r(NULL, " ", &save))
        argv[argc++] = w;
    eal_state = rte_eal_init(argc, argv) < 0 ? -(rte_errno ? rte_errno : EINVAL) : 1;
    if (had)
        sched_setaffinity(0, sizeof(where), &where);
}

static int need_eal(struct dune_diag *d)
{
    pthread_mutex_lock(&lock);
    if (!eal_state)
        start_eal();
    pthread_mutex_unlock(&lock);
    return eal_state > 0 ? 0 : dune_diag_set(d, DUNE_E_ENV, NULL, "DPDK does not start: %s; its arguments are in "
                                             "DUNE_DPDK_EAL (default: %s)", strerror(-eal_state), DEFAULT_EAL);
}

/* --- opening ---------------------------------------------------------------------------------------------- */

static void dpdk_close(struct dune_port *p)
{
    struct dpdk_port *c = (struct dpdk_port *)p;

    rte_pktmbuf_free_bulk(c->lent, c->n_lent);
    if (c->started)
        (void)rte_eth_dev_stop(c->id);
    if (c->opened)
        (void)rte_eth_dev_close(c->id);
    rte_mempool_free(c->pool);
    for (unsigned i = 0; i < DUNE_IO_BURST_MAX; i++)
        dune_buf_fini(&c->whole[i]);
    dune_mem_free(c);
}

static int fail(struct dune_diag *d, const char *what, const char *how, int rc)
{
    return dune_diag_set(d, DUNE_E_ENV, NULL, "DPDK device %s: %s: %s", what, how, rte_strerror(rc < 0 ? -rc : rc));
}

static int set_up(struct dpdk_port *c, const char *what, const struct dune_port_opts *o, struct dune_diag *d)
{
    struct rte_eth_conf conf = {0};
    struct rte_eth_dev_info info;
    uint16_t rx = RING, tx = RING;
    char name[32];
    int rc = rte_eth_dev_info_get(c->id, &info);

    snprintf(name, sizeof(name), "dune%u", c->id);
    c->pool = rte_pktmbuf_pool_create(name, N_MBUFS, 0, 0, ROOM + RTE_PKTMBUF_HEADROOM, SOCKET_ID_ANY);
    if (!c->pool)
        return fail(d, what, "no memory for frames", rte_errno);
    if (rc == 0)
        rc = rte_eth_dev_configure(c->id, 1, 1, &conf);
    if (rc == 0)
        rc = rte_eth_dev_adjust_nb_rx_tx_desc(c->id, &rx, &tx);
    if (rc == 0)
        rc = rte_eth_rx_queue_setup(c->id, 0, rx, SOCKET_ID_ANY, NULL, c->pool);
    if (rc == 0)
        rc = rte_eth_tx_queue_setup(c->id, 0, tx, SOCKET_ID_ANY, NULL);
    if (rc == 0)
        rc = rte_eth_dev_start(c->id);
    if (rc)
        return fail(d, what, "cannot be started", rc);
    c->started = true;
    if (o->promiscuous)
        (void)rte_eth_promiscuous_enable(c->id); /* not for devices without addresses */
    return 0;
}

static int dpdk_open(struct dune_port **out, const char *what, const struct dune_port_opts *o, struct dune_diag *d)
{
    char name[RTE_DEV_NAME_MAX_LEN];
    struct dpdk_port *c;
    int rc = need_eal(d);

    if (rc)
        return rc;
    snprintf(name, sizeof(name), "%.*s", (int)strcspn(what, ","), what);
    if (!*name)
        return dune_diag_set(d, DUNE_E_USAGE, NULL, "a DPDK port needs a device, such as dpdk:net_null0");
    rc = rte_dev_probe(what);
    if (rc)
        return fail(d, what, "not found", rc);
    c = DUNE_NEW(struct dpdk_port);
    c->base.ops = &dune_port_dpdk_module;
    c->base.fd = -1;
    rc = rte_eth_dev_get_port_by_name(name, &c->id);
    c->opened = rc == 0;
    rc = rc ? fail(d, what, "is no network device", rc) : set_up(c, what, o, d);
    if (rc)
        dpdk_close(&c->base);
    else
        *out = &c->base;
    return rc;
}

/* --- frames ------------------------------------------------------------------------------------------------ */

static const uint8_t *in_one_piece(struct dpdk_port *c, unsigned i, struct rte_mbuf *m)
{
    struct dune_buf *b = &c->whole[i];

    if (m->nb_segs == 1)
        return rte_pktmbuf_mtod(m, const uint8_t *);
    b->len = 0;
    for (; m; m = m->next)
        dune_buf_append(b, rte_pktmbuf_mtod(m, const void *), m->data_len);
    return (const uint8_t *)b->data;
}

static int dpdk_rx(struct dune_port *p, struct dune_frame *f, unsigned n, unsigned *got, struct dune_diag *d)
{
    struct dpdk_port *c = (struct dpdk_port *)p;
    struct timespec t;
    uint64_t now;

    (void)d;
    rte_pktmbuf_free_bulk(c->lent, c->n_lent);
    *got = c->n_lent = rte_eth_rx_burst(c->id, 0, c->lent, (uint16_t)n);
    clock_gettime(CLOCK_REALTIME, &t);
    now = (uint64_t)t.tv_sec * 1000000000u + (uint64_t)t.tv_nsec;
    for (unsigned i = 0; i < *got; i++) {
        struct rte_mbuf *m = c->lent[i];

        f[i] = (struct dune_frame){in_one_piece(c, i, m), m->pkt_len, m->pkt_len, now, dune_tick(now)};
    }
    return 0;
}

/* NULL: cannot be sent there. */
static struct rte_mbuf *copy_of(struct dpdk_port *c, const struct dune_frame *f, bool *full)
{
    struct rte_mbuf *m;
    char *to;

    *full = false;
    if (f->cap_len > ROOM)
        return NULL;
    m = rte_pktmbuf_alloc(c->pool);
    *full = !m;
    to = m ? rte_pktmbuf_append(m, (uint16_t)f->cap_len) : NULL;
    if (to)
        memcpy(to, f->data, f->cap_len);
    return m;
}

static int dpdk_tx(struct dune_port *p, const struct dune_frame *f, unsigned n, unsigned *sent, struct dune_diag *d)
{
    struct dpdk_port *c = (struct dpdk_port *)p;
    bool full;

    (void)d;
    for (; *sent < n; ++*sent) {
        struct rte_mbuf *m = copy_of(c, &f[*sent], &full);

        if (full)
            break;
        if (!m) {
            p->stats.tx_refused++;
            continue;
        }
        if (rte_eth_tx_burst(c->id, 0, &m, 1) != 1) {
            rte_pktmbuf_free(m);
            break;
        }
        p->stats.tx_frames++;
        p->stats.tx_bytes += f[*sent].cap_len;
    }
    p->stats.tx_full += n - *sent;
    return 0;
}

static void dpdk_stats(struct dune_port *p)
{
    struct rte_eth_stats s;

    if (rte_eth_stats_get(((struct dpdk_port *)p)->id, &s) == 0)
        p->stats.rx_dropped = s.imissed + s.rx_nombuf + s.ierrors;
}

/* What src/io/port_dpdk_load.c looks for. */
__attribute__((visibility("default"))) const struct dune_port_ops dune_port_dpdk_module = {
    .kind = "dpdk", .open = dpdk_open, .rx = dpdk_rx, .tx = dpdk_tx, .stats = dpdk_stats, .close = dpdk_close,
};
