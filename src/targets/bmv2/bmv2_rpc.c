/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Remote procedure calls of simple_switch: Thrift's binary protocol over TCP, as much of it as is used.
 *
 *   call    80010001 | length, "standard:bm_mt_add_entry" | sequence | arguments | 00
 *   answer  80010002 | length, name | sequence | field 0: the result, or field 1: an error {1: code} | 00
 *   a field is type (1 byte), number (2), value; numbers are big-endian; 00 ends a struct
 *
 * What comes from the socket is not trusted: lengths and nesting are bounded.
 */
#include "targets/bmv2/bmv2_int.h"

#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

enum { T_BOOL = 2, T_BYTE = 3, T_DOUBLE = 4, T_I16 = 6, T_I32 = 8, T_I64 = 10, T_STRING = 11,
       T_STRUCT = 12, T_MAP = 13, T_SET = 14, T_LIST = 15 };
enum { CALL = 1, REPLY = 2, EXCEPTION = 3, MAX_DEPTH = 16, MAX_STRING = 64 << 20 };

static int broken(struct bmv2_rpc *r, struct dune_diag *d, const char *what)
{
    r->failed = true;
    return dune_diag_set(d, DUNE_E_ENV, NULL, "simple_switch on port %u: %s", r->port, what);
}

int bmv2_rpc_open(struct bmv2_rpc **out, uint16_t port, struct dune_diag *d)
{
    struct sockaddr_in a = {.sin_family = AF_INET, .sin_port = htons(port),
                            .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0), one = 1;

    if (fd < 0)
        return dune_diag_set(d, DUNE_E_ENV, NULL, "no socket: %s", strerror(errno));
    if (connect(fd, (struct sockaddr *)&a, sizeof(a)) != 0) {
        close(fd);
        return dune_diag_set(d, DUNE_E_ENV, NULL, "nothing listens on port %u", port);
    }
    setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof(one));
    *out = DUNE_NEW(struct bmv2_rpc);
    (*out)->fd = fd;
    (*out)->port = port;
    return 0;
}

void bmv2_rpc_close(struct bmv2_rpc *r)
{
    if (!r)
        return;
    close(r->fd);
    dune_buf_fini(&r->out);
    dune_mem_free(r->text);
    dune_mem_free(r);
}

/* --- writing -------------------------------------------------------------------------------------------- */

static void put_number(struct bmv2_rpc *r, uint64_t v, unsigned bytes)
{
    uint8_t b[8];

    for (unsigned i = 0; i < bytes; i++)
        b[i] = (uint8_t)(v >> (8 * (bytes - 1 - i)));
    dune_buf_append(&r->out, b, bytes);
}

static void put_field(struct bmv2_rpc *r, unsigned type, unsigned id)
{
    put_number(r, type, 1);
    put_number(r, id, 2);
}

static void put_text(struct bmv2_rpc *r, const void *data, size_t len)
{
    put_number(r, len, 4);
    dune_buf_append(&r->out, data, len);
}

void bmv2_begin(struct bmv2_rpc *r, const char *service, const char *method)
{
    char name[128];

    snprintf(name, sizeof(name), "%s:%s", service, method);
    r->out.len = 0;
    r->method = method;
    put_number(r, 0x80010000u | CALL, 4);
    put_text(r, name, strlen(name));
    put_number(r, ++r->seq, 4);
}

void bmv2_put_i32(struct bmv2_rpc *r, unsigned id, int32_t v)
{
    put_field(r, T_I32, id);
    put_number(r, (uint32_t)v, 4);
}

void bmv2_put_i64(struct bmv2_rpc *r, unsigned id, int64_t v)
{
    put_field(r, T_I64, id);
    put_number(r, (uint64_t)v, 8);
}

void bmv2_put_bool(struct bmv2_rpc *r, unsigned id, bool v)
{
    put_field(r, T_BOOL, id);
    put_number(r, v, 1);
}

void bmv2_put_bytes(struct bmv2_rpc *r, unsigned id, const void *data, size_t len)
{
    put_field(r, T_STRING, id);
    put_text(r, data, len);
}

void bmv2_put_text(struct bmv2_rpc *r, unsigned id, const char *text)
{
    bmv2_put_bytes(r, id, text, strlen(text));
}

void bmv2_put_struct(struct bmv2_rpc *r, unsigned id)
{
    put_field(r, T_STRUCT, id);
}

void bmv2_put_end(struct bmv2_rpc *r)
{
    put_number(r, 0, 1);
}

void bmv2_put_list(struct bmv2_rpc *r, unsigned id, bool of_structs, uint32_t n)
{
    put_field(r, T_LIST, id);
    put_number(r, of_structs ? T_STRUCT : T_STRING, 1);
    put_number(r, n, 4);
}

void bmv2_put_item(struct bmv2_rpc *r, const void *data, size_t len)
{
    put_text(r, data, len);
}

/* --- reading -------------------------------------------------------------------------------------------- */

static int fill(struct bmv2_rpc *r, struct dune_diag *d)
{
    struct pollfd p = {.fd = r->fd, .events = POLLIN};
    ssize_t n;

    do
        n = poll(&p, 1, BMV2_RPC_TIMEOUT_MS);
    while (n < 0 && errno == EINTR && !dune_interrupted());
    if (n < 0 && errno == EINTR)
        return dune_diag_set(d, DUNE_E_INTERRUPTED, NULL, "interrupted");
    if (n <= 0)
        return broken(r, d, "no answer");
    n = recv(r->fd, r->in, sizeof(r->in), 0);
    if (n <= 0)
        return broken(r, d, "the connection ended");
    r->at = 0;
    r->have = (size_t)n;
    return 0;
}

static int get_bytes(struct bmv2_rpc *r, void *out, size_t n, struct dune_diag *d)
{
    uint8_t *to = out;

    while (n) {
        size_t some = DUNE_MIN(n, r->have - r->at);
        int rc = some ? 0 : fill(r, d);

        if (rc)
            return rc;
        if (to) {
            memcpy(to, r->in + r->at, some);
            to += some;
        }
        r->at += some;
        n -= some;
    }
    return 0;
}

static int get_number(struct bmv2_rpc *r, unsigned bytes, uint64_t *v, struct dune_diag *d)
{
    uint8_t b[8];
    int rc = get_bytes(r, b, bytes, d);

    *v = 0;
    for (unsigned i = 0; i < bytes && rc == 0; i++)
        *v = *v << 8 | b[i];
    return rc;
}

/* Into r->text when keep, which is terminated. */
static int get_text(struct bmv2_rpc *r, bool keep, struct dune_diag *d)
{
    uint64_t len;
    int rc = get_number(r, 4, &len, d);

    if (rc)
        return rc;
    if (len > MAX_STRING)
        return broken(r, d, "an answer that is no answer");
    if (!keep)
        return get_bytes(r, NULL, len, d);
    r->text = dune_mem_realloc(r->text, len + 1, 1);
    r->text_len = len;
    r->text[len] = '\0';
    return get_bytes(r, r->text, len, d);
}

static unsigned number_size(unsigned type)
{
    switch (type) {
    case T_BOOL:
    case T_BYTE: return 1;
    case T_I16: return 2;
    case T_I32: return 4;
    case T_I64:
    case T_DOUBLE: return 8;
    default: return 0;
    }
}

static int skip(struct bmv2_rpc *r, unsigned type, unsigned depth, struct dune_diag *d);

static int skip_struct(struct bmv2_rpc *r, unsigned depth, struct dune_diag *d)
{
    uint64_t type, id;
    int rc;

    while ((rc = get_number(r, 1, &type, d)) == 0 && type) {
        rc = get_number(r, 2, &id, d);
        if (rc == 0)
            rc = skip(r, (unsigned)type, depth + 1, d);
        if (rc)
            break;
    }
    return rc;
}

static int skip_list(struct bmv2_rpc *r, bool map, unsigned depth, struct dune_diag *d)
{
    uint64_t key, value = 0, n;
    int rc = get_number(r, 1, &key, d);

    if (rc == 0 && map)
        rc = get_number(r, 1, &value, d);
    if (rc == 0)
        rc = get_number(r, 4, &n, d);
    for (uint64_t i = 0; rc == 0 && i < n; i++) {
        rc = skip(r, (unsigned)key, depth + 1, d);
        if (rc == 0 && map)
            rc = skip(r, (unsigned)value, depth + 1, d);
    }
    return rc;
}

static int skip(struct bmv2_rpc *r, unsigned type, unsigned depth, struct dune_diag *d)
{
    unsigned size = number_size(type);

    if (depth > MAX_DEPTH)
        return broken(r, d, "an answer that is no answer");
    if (size)
        return get_bytes(r, NULL, size, d);
    switch (type) {
    case T_STRING: return get_text(r, false, d);
    case T_STRUCT: return skip_struct(r, depth, d);
    case T_MAP: return skip_list(r, true, depth, d);
    case T_LIST:
    case T_SET: return skip_list(r, false, depth, d);
    default: return broken(r, d, "an answer that is no answer");
    }
}

/* Numbers of a struct: field i to v[i], i < 4. */
static int get_struct(struct bmv2_rpc *r, uint64_t v[4], struct dune_diag *d)
{
    uint64_t type, id;
    int rc;

    while ((rc = get_number(r, 1, &type, d)) == 0 && type) {
        unsigned size = number_size((unsigned)type);

        rc = get_number(r, 2, &id, d);
        if (rc == 0)
            rc = size && id < 4 ? get_number(r, size, &v[id], d) : skip(r, (unsigned)type, 1, d);
        if (rc)
            break;
    }
    return rc;
}

static int get_field(struct bmv2_rpc *r, unsigned type, uint64_t id, struct bmv2_answer *a,
                     struct dune_diag *d)
{
    unsigned size = number_size(type);

    if (id == 1 && type == T_STRUCT) {
        a->refused = true;
        return get_struct(r, a->field, d);
    }
    if (id != 0)
        return skip(r, type, 0, d);
    if (size)
        return get_number(r, size, &a->number, d);
    if (type == T_STRING)
        return get_text(r, true, d);
    return type == T_STRUCT ? get_struct(r, a->field, d) : skip(r, type, 0, d);
}

/* The switch could not even try: {1: why, 2: a code}. The stream stays in step. */
static int get_exception(struct bmv2_rpc *r, struct dune_diag *d)
{
    uint64_t type, id;
    int rc;

    r->text_len = 0;
    while ((rc = get_number(r, 1, &type, d)) == 0 && type) {
        rc = get_number(r, 2, &id, d);
        if (rc == 0)
            rc = id == 1 && type == T_STRING ? get_text(r, true, d) : skip(r, (unsigned)type, 1, d);
        if (rc)
            return rc;
    }
    return rc ? rc : dune_diag_set(d, DUNE_E_ENV, NULL, "simple_switch on port %u: %s: %.200s", r->port, r->method,
                                   r->text_len ? r->text : "it cannot");
}

static int get_answer(struct bmv2_rpc *r, struct bmv2_answer *a, struct dune_diag *d)
{
    uint64_t head, seq, type, id;
    int rc = get_number(r, 4, &head, d);

    if (rc == 0 && head >> 16 != 0x8001)
        return broken(r, d, "does not speak Thrift's binary protocol");
    if (rc == 0)
        rc = get_text(r, false, d);
    if (rc == 0)
        rc = get_number(r, 4, &seq, d);
    if (rc == 0 && (head & 0xff) == EXCEPTION)
        return get_exception(r, d);
    while (rc == 0 && (rc = get_number(r, 1, &type, d)) == 0 && type) {
        rc = get_number(r, 2, &id, d);
        if (rc == 0)
            rc = get_field(r, (unsigned)type, id, a, d);
    }
    if (rc == 0 && ((uint32_t)seq != r->seq || (head & 0xff) != REPLY))
        return broken(r, d, "answered something else");
    return rc;
}

static int send_all(struct bmv2_rpc *r, struct dune_diag *d)
{
    for (size_t at = 0; at < r->out.len;) {
        ssize_t n = send(r->fd, r->out.data + at, r->out.len - at, MSG_NOSIGNAL);

        if (n < 0 && errno == EINTR)
            continue;
        if (n <= 0)
            return broken(r, d, "the connection ended");
        at += (size_t)n;
    }
    return 0;
}

int bmv2_call(struct bmv2_rpc *r, struct bmv2_answer *a, struct dune_diag *d)
{
    struct bmv2_answer own = {0};
    int rc;

    if (!a)
        a = &own;
    memset(a, 0, sizeof(*a));
    if (r->failed)
        return broken(r, d, "the connection ended");
    bmv2_put_end(r);
    rc = send_all(r, d);
    return rc ? rc : get_answer(r, a, d);
}
