/* SPDX-License-Identifier: Apache-2.0 */
/*
 * nDPI over captures. It reads what strangers wrote and is not ours, so it runs in a child process that
 * sends one record per connection through a pipe: if it falls, it falls alone.
 *
 *   parent                         child
 *   fork ------------------------> packets -> connections -> nDPI
 *   records <------- pipe -------- one record when a connection ends
 *   waitpid <--------------------- exit 0; 1: a diagnostic is the last record
 */
#include "base/lazy.h"
#include "capture/labels_int.h"
#include "capture/ndpi_file.h"

#include <errno.h>
#include <signal.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include <ndpi_api.h>

#define NDPI_API(F)                                                                                        \
    F(ndpi_category_get_name) F(ndpi_detection_get_sizeof_ndpi_flow_struct) F(ndpi_detection_giveup)       \
    F(ndpi_detection_process_packet) F(ndpi_exit_detection_module) F(ndpi_extra_dissection_possible)       \
    F(ndpi_finalize_initialization) F(ndpi_free_flow) F(ndpi_get_proto_name) F(ndpi_init_detection_module) \
    F(ndpi_revision) F(ndpi_set_protocol_detection_bitmask2)
DUNE_LAZY_LIBRARY(ndpi, NDPI_API, DUNE_NDPI_FILE, "nDPI");

enum { MAX_TCP = 80, MAX_UDP = 24, SWEEP = 100000 }; /* packets of a connection that nDPI looks at */
#define IDLE_NS UINT64_C(300000000000)

struct connection {
    struct dune_flow_key key;
    struct ndpi_flow_struct *dpi; /* NULL: nDPI has spoken, or the slot is free */
    ndpi_protocol said;
    uint64_t start, end;
    uint32_t packets;
    bool used, done, guessed, closed;
};

struct work {
    struct ndpi_detection_module_struct *mod;
    enum dune_ndpi_names names;
    struct keytab table; /* key -> index + 1 of its latest connection */
    DUNE_VEC(struct connection) list;
    uint32_t capture;
    FILE *out;
};

/* --- the child ------------------------------------------------------------------------------------- */

static const char *name_of(const struct work *w, ndpi_protocol p)
{
    uint16_t app = p.app_protocol, master = p.master_protocol;

    if (app == NDPI_PROTOCOL_UNKNOWN && master == NDPI_PROTOCOL_UNKNOWN)
        return "";
    if (w->names == DUNE_NDPI_CATEGORY)
        return p.category == NDPI_PROTOCOL_CATEGORY_UNSPECIFIED ? "" : ndpi.ndpi_category_get_name(w->mod, p.category);
    if (master == NDPI_PROTOCOL_DNS || (w->names == DUNE_NDPI_PROTOCOL && master != NDPI_PROTOCOL_UNKNOWN) ||
        app == NDPI_PROTOCOL_UNKNOWN)
        app = master;
    return ndpi.ndpi_get_proto_name(w->mod, app);
}

/* nDPI's last word about a connection. */
static void conclude(struct work *w, struct connection *c)
{
    uint8_t guessed = 0;

    if (!c->dpi)
        return;
    if (c->said.app_protocol == NDPI_PROTOCOL_UNKNOWN && c->said.master_protocol == NDPI_PROTOCOL_UNKNOWN)
        c->said = ndpi.ndpi_detection_giveup(w->mod, c->dpi, 1, &guessed);
    c->guessed = guessed || c->dpi->confidence < NDPI_CONFIDENCE_DPI_CACHE;
    ndpi.ndpi_free_flow(c->dpi);
    c->dpi = NULL;
    c->done = true;
}

static void end_connection(struct work *w, struct connection *c)
{
    struct ndpi_flow_record r;
    const char *name;

    conclude(w, c);
    memset(&r, 0, sizeof(r)); /* all of it goes through the pipe */
    r.key = c->key;
    r.capture = w->capture;
    r.start = c->start;
    r.end = c->end;
    r.packets = c->packets;
    r.guessed = c->guessed;
    name = name_of(w, c->said);
    snprintf(r.name, sizeof(r.name), "%s", name ? name : "");
    fwrite(&r, sizeof(r), 1, w->out);
    c->used = false;
}

static void end_capture(struct work *w)
{
    for (size_t i = 0; i < w->list.len; i++)
        if (w->list.data[i].used)
            end_connection(w, &w->list.data[i]);
    DUNE_VEC_FREE(&w->list);
    keytab_fini(&w->table);
    memset(&w->table, 0, sizeof(w->table));
}

static bool is_over(const struct connection *c, const struct dune_packet *p, uint64_t ns)
{
    bool syn = p->is_tcp && (p->tcp_flags & (DUNE_TCP_SYN | DUNE_TCP_ACK)) == DUNE_TCP_SYN;

    return (ns > c->end && ns - c->end > IDLE_NS) || (syn && c->closed);
}

static struct connection *find_connection(struct work *w, const struct dune_packet *p, uint64_t ns)
{
    struct dune_flow_key k = spans_both_ways(&p->key);
    struct connection *c = NULL;
    struct keytab_value v;
    bool fresh;

    v = keytab_add(&w->table, k.bytes, k.len, &fresh);
    if (*v.value)
        c = &w->list.data[*v.value - 1];
    if (c && !is_over(c, p, ns))
        return c;
    if (c)
        end_connection(w, c); /* its place is used again */
    if (!c) {
        DUNE_VEC_PUSH(&w->list, ((struct connection){0}));
        *v.value = (uint32_t)w->list.len;
        c = &w->list.data[w->list.len - 1];
    }
    *c = (struct connection){.key = k, .start = ns, .end = ns, .used = true};
    c->dpi = dune_mem_zalloc(1, ndpi.ndpi_detection_get_sizeof_ndpi_flow_struct());
    return c;
}

static void look_at(struct work *w, const struct dune_record *rec)
{
    struct connection *c;
    struct dune_packet p;
    size_t len;

    if (dune_packet_parse(&p, rec->data, rec->cap_len, &dune_parser_limits_default, 0))
        return;
    c = find_connection(w, &p, rec->ts_ns);
    c->packets++;
    c->start = DUNE_MIN(c->start, rec->ts_ns);
    c->end = DUNE_MAX(c->end, rec->ts_ns);
    c->closed |= p.is_tcp && (p.tcp_flags & (DUNE_TCP_FIN | DUNE_TCP_RST));
    if (c->done)
        return;
    len = DUNE_MIN(rec->cap_len - p.l3_off, (size_t)p.ip_len); /* without the padding of Ethernet */
    c->said = ndpi.ndpi_detection_process_packet(w->mod, c->dpi, rec->data + p.l3_off, (unsigned short)len,
                                            rec->ts_ns / 1000000);
    if (c->packets >= (p.is_tcp ? MAX_TCP : MAX_UDP) ||
        (c->said.app_protocol != NDPI_PROTOCOL_UNKNOWN && !ndpi.ndpi_extra_dissection_possible(w->mod, c->dpi)))
        conclude(w, c);
}

static int read_capture(struct work *w, struct dune_reader *r, const struct ndpi_piece *piece, struct dune_diag *d)
{
    struct dune_record rec;
    int rc = 1;

    w->capture = piece->number;
    for (uint64_t i = 0; i < piece->n_packets && rc == 1; i++) {
        if (i % SWEEP == 0 && dune_interrupted())
            return dune_diag_set(d, DUNE_E_INTERRUPTED, NULL, "interrupted");
        dune_reader_recycle(r);
        rc = dune_reader_next(r, &rec, d);
        if (rc == 1)
            look_at(w, &rec);
    }
    end_capture(w);
    return rc < 0 ? rc : 0;
}

static int detect(struct work *w, const char *path, const struct ndpi_piece *piece, size_t n, struct dune_diag *d)
{
    NDPI_PROTOCOL_BITMASK all;
    struct dune_reader *r = NULL;
    int rc;

    w->mod = ndpi.ndpi_init_detection_module(ndpi_no_prefs);
    if (!w->mod)
        return dune_diag_set(d, DUNE_E_ENV, NULL, "nDPI does not start");
    NDPI_BITMASK_SET_ALL(all);
    ndpi.ndpi_set_protocol_detection_bitmask2(w->mod, &all);
    ndpi.ndpi_finalize_initialization(w->mod);
    rc = dune_reader_open(&r, path, d);
    for (size_t i = 0; i < n && rc == 0; i++)
        rc = read_capture(w, r, &piece[i], d);
    dune_reader_close(r);
    ndpi.ndpi_exit_detection_module(w->mod);
    return rc;
}

static _Noreturn void child(int fd, const char *path, const struct ndpi_piece *piece, size_t n,
                            enum dune_ndpi_names names)
{
    struct work w = {.names = names, .out = fdopen(fd, "w")};
    struct dune_diag d = {0};
    int rc = w.out ? detect(&w, path, piece, n, &d) : DUNE_E_ENV;

    if (rc && w.out)
        fwrite(&d, sizeof(d), 1, w.out);
    if (w.out && fflush(w.out) != 0)
        rc = DUNE_E_IO;
    _exit(rc ? 1 : 0);
}

/* --- the parent ------------------------------------------------------------------------------------- */

static int read_all(int fd, struct dune_buf *b)
{
    char chunk[65536];
    ssize_t got;

    for (;;) {
        got = read(fd, chunk, sizeof(chunk));
        if (got > 0)
            dune_buf_append(b, chunk, (size_t)got);
        else if (got == 0 || errno != EINTR)
            return got == 0 ? 0 : -errno;
    }
}

static int verdict(int status, const char *path, struct dune_buf *b, struct dune_diag *d)
{
    struct dune_diag theirs;

    if (WIFSIGNALED(status))
        return dune_diag_set(d, DUNE_E_INPUT, path, "nDPI %s fell over this capture (signal %d); another version may "
                             "not, or label it otherwise", dune_ndpi_version(), WTERMSIG(status));
    if (WEXITSTATUS(status) == 0)
        return 0;
    if (b->len < sizeof(theirs))
        return dune_diag_set(d, DUNE_E_ENV, path, "the process that asks nDPI failed");
    memcpy(&theirs, b->data + b->len - sizeof(theirs), sizeof(theirs));
    if (d && !d->code)
        *d = theirs;
    return theirs.code ? theirs.code : DUNE_E_INTERNAL;
}

static void take_records(ndpi_flow_records *out, const struct dune_buf *b)
{
    for (size_t at = 0; at + sizeof(struct ndpi_flow_record) <= b->len; at += sizeof(struct ndpi_flow_record)) {
        struct ndpi_flow_record r;

        memcpy(&r, b->data + at, sizeof(r));
        r.name[sizeof(r.name) - 1] = '\0';
        DUNE_VEC_PUSH(out, r);
    }
}

int labels_ndpi_flows(ndpi_flow_records *out, const char *path, const struct ndpi_piece *piece, size_t n,
                      enum dune_ndpi_names names, struct dune_diag *d)
{
    struct dune_buf b = {0};
    int fd[2], status = 0, rc = dune_lazy_open(&ndpi_lib, d);
    pid_t pid;

    if (rc)
        return rc;
    if (pipe(fd) != 0)
        return dune_diag_set(d, DUNE_E_ENV, path, "no pipe for nDPI: %s", strerror(errno));
    pid = fork();
    if (pid == 0) {
        close(fd[0]);
        child(fd[1], path, piece, n, names);
    }
    close(fd[1]);
    rc = pid < 0 ? -errno : read_all(fd[0], &b);
    close(fd[0]);
    while (pid > 0 && waitpid(pid, &status, 0) < 0 && errno == EINTR)
        ;
    if (rc)
        rc = dune_diag_set(d, DUNE_E_ENV, path, "no process for nDPI: %s", strerror(-rc));
    else
        rc = verdict(status, path, &b, d);
    if (rc == 0)
        take_records(out, &b);
    dune_buf_fini(&b);
    return rc;
}

const char *dune_ndpi_version(void)
{
    return dune_lazy_open(&ndpi_lib, NULL) ? NULL : ndpi.ndpi_revision();
}
