/* SPDX-License-Identifier: Apache-2.0 */
/* Flows on their way from the producer, as text, found again, and as lines of the log. */
#include "dash/dash_int.h"

#include <arpa/inet.h>
#include <string.h>

/* --- the ring: one writer, one reader ------------------------------------------------------------------------ */

void dash_ring_init(struct dash_ring *r)
{
    memset(r, 0, sizeof(*r));
    r->slot = DUNE_NEW_N(struct dash_flow, DASH_RING);
}

void dash_ring_fini(struct dash_ring *r)
{
    dune_mem_free(r->slot);
    r->slot = NULL;
}

void dash_ring_put(struct dash_ring *r, const struct dash_flow *f)
{
    uint64_t head = atomic_load_explicit(&r->head, memory_order_relaxed);

    if (head - atomic_load_explicit(&r->tail, memory_order_acquire) >= DASH_RING) {
        r->dropped++;
        return;
    }
    r->slot[head % DASH_RING] = *f;
    atomic_store_explicit(&r->head, head + 1, memory_order_release);
}

size_t dash_ring_take(struct dash_ring *r, struct dash_flow *out, size_t max)
{
    uint64_t tail = atomic_load_explicit(&r->tail, memory_order_relaxed);
    uint64_t head = atomic_load_explicit(&r->head, memory_order_acquire);
    size_t n = 0;

    while (tail + n < head && n < max) {
        out[n] = r->slot[(tail + n) % DASH_RING];
        n++;
    }
    atomic_store_explicit(&r->tail, tail + n, memory_order_release);
    return n;
}

/* --- text ------------------------------------------------------------------------------------------------------ */

static unsigned port_at(const struct dune_flow_key *k, unsigned at)
{
    return (unsigned)k->bytes[at] << 8 | k->bytes[at + 1];
}

void dash_key_text(const struct dune_flow_key *k, char out[DASH_KEY_TEXT])
{
    bool v6 = k->len == 37;
    unsigned n = v6 ? 16 : 4, proto = k->bytes[k->len ? k->len - 1 : 0];
    char src[INET6_ADDRSTRLEN] = "", dst[INET6_ADDRSTRLEN] = "", number[8];
    const char *open = v6 ? "[" : "", *close = v6 ? "]" : "";

    if (k->len != 13 && k->len != 37) {
        out[0] = '\0';
        return;
    }
    inet_ntop(v6 ? AF_INET6 : AF_INET, k->bytes, src, sizeof(src));
    inet_ntop(v6 ? AF_INET6 : AF_INET, k->bytes + n, dst, sizeof(dst));
    snprintf(number, sizeof(number), "%u", proto);
    snprintf(out, DASH_KEY_TEXT, "%s %s%s%s:%u %s%s%s:%u", proto == 6 ? "tcp" : proto == 17 ? "udp" : number, open, src,
             close, port_at(k, 2 * n), open, dst, close, port_at(k, 2 * n + 2));
}

static bool parse_end(const char *text, uint8_t *addr, unsigned *n, uint8_t port[2])
{
    char host[INET6_ADDRSTRLEN + 2];
    const char *colon = strrchr(text, ':');
    uint64_t value;
    size_t len;

    if (!colon || !dune_parse_u64(colon + 1, &value) || value > 65535)
        return false;
    len = (size_t)(colon - text);
    if (len >= sizeof(host) || len == 0)
        return false;
    memcpy(host, text, len);
    host[len] = '\0';
    port[0] = (uint8_t)(value >> 8);
    port[1] = (uint8_t)value;
    if (host[0] == '[' && host[len - 1] == ']') {
        host[len - 1] = '\0';
        *n = 16;
        return inet_pton(AF_INET6, host + 1, addr) == 1;
    }
    *n = 4;
    return inet_pton(AF_INET, host, addr) == 1;
}

bool dash_key_parse(struct dune_flow_key *k, const char *text)
{
    char proto[8], src[64], dst[64], more[2];
    uint8_t a[16], b[16], pa[2], pb[2];
    unsigned na, nb;

    memset(k, 0, sizeof(*k));
    if (sscanf(text, "%7s %63s %63s %1s", proto, src, dst, more) != 3)
        return false;
    if (!parse_end(src, a, &na, pa) || !parse_end(dst, b, &nb, pb) || na != nb)
        return false;
    if (strcmp(proto, "tcp") != 0 && strcmp(proto, "udp") != 0)
        return false;
    memcpy(k->bytes, a, na);
    memcpy(k->bytes + na, b, na);
    memcpy(k->bytes + 2 * na, pa, 2);
    memcpy(k->bytes + 2 * na + 2, pb, 2);
    k->bytes[2 * na + 4] = proto[0] == 't' ? 6 : 17;
    k->len = (uint8_t)(2 * na + 5);
    return true;
}

/* --- search ------------------------------------------------------------------------------------------------------ */

/* Every word of the query, up to eight, is somewhere in the text; letters of either case. */
static bool has_words(const char *text, const char *query)
{
    char word[128];
    size_t len;

    for (int n = 0; n < 8; n++) {
        query += strspn(query, " \t>,");
        len = strcspn(query, " \t>,");
        if (len == 0)
            break;
        snprintf(word, sizeof(word), "%.*s", (int)DUNE_MIN(len, sizeof(word) - 1), query);
        if (!strcasestr(text, word))
            return false;
        query += len;
    }
    return true;
}

static const char *class_text(const struct dash_scene *s, uint32_t cls)
{
    return cls < s->n_classes ? s->class_name[cls] : NULL;
}

static const char *device_text(const struct dash_scene *s, uint16_t device)
{
    return device < s->n_devices ? s->device[device].name : NULL;
}

static void put_flow(struct dune_jsonw *w, const struct dash_scene *s, const struct dash_flow *f, const char *key)
{
    dune_jsonw_obj_inline(w);
    dune_jsonw_key(w, "flow"), dune_jsonw_str(w, key);
    dune_jsonw_key(w, "class"), dune_jsonw_str(w, class_text(s, f->cls));
    dune_jsonw_key(w, "confidence"), dune_jsonw_uint(w, f->conf);
    dune_jsonw_key(w, "device"), dune_jsonw_str(w, device_text(s, f->device));
    dune_jsonw_key(w, "submodel"), dune_jsonw_uint(w, f->submodel);
    dune_jsonw_key(w, "phase"), dune_jsonw_str(w, f->flags & DUNE_SHIM_FL ? "FL" : "PL");
    dune_jsonw_key(w, "settled"), dune_jsonw_bool(w, f->settled);
    dune_jsonw_key(w, "tentative"), dune_jsonw_bool(w, (f->flags & DUNE_SHIM_TENTATIVE) != 0);
    dune_jsonw_key(w, "collision"), dune_jsonw_bool(w, (f->flags & DUNE_SHIM_COLLISION) != 0);
    dune_jsonw_key(w, "truth"), dune_jsonw_str(w, class_text(s, f->truth));
    dune_jsonw_key(w, "packets"), dune_jsonw_uint(w, f->packets);
    dune_jsonw_key(w, "tick"), dune_jsonw_big(w, f->tick);
    dune_jsonw_key(w, "capture"), dune_jsonw_str(w, f->capture < s->n_pieces ? s->piece[f->capture].name : NULL);
    dune_jsonw_end(w);
}

void dash_flow_line(struct dune_buf *out, const struct dash_scene *s, const struct dash_flow *f)
{
    char key[DASH_KEY_TEXT];
    struct dune_jsonw w;

    dash_key_text(&f->key, key);
    dune_jsonw_init(&w, out);
    put_flow(&w, s, f, key);
}

void dash_flows_json(struct dash_flow *flow, size_t n, const struct dash_scene *s, const char *query,
                     uint32_t limit, struct dune_buf *out)
{
    struct dune_jsonw w;
    uint32_t found = 0;
    bool more = false;

    dune_jsonw_init(&w, out);
    dune_jsonw_obj(&w);
    dune_jsonw_key(&w, "flows");
    dune_jsonw_arr(&w);
    for (size_t i = n; i-- > 0 && !more;) {
        char key[DASH_KEY_TEXT], text[512];
        const char *cls = class_text(s, flow[i].cls), *dev = device_text(s, flow[i].device);

        dash_key_text(&flow[i].key, key);
        snprintf(text, sizeof(text), "%s %.160s %.80s", key, cls ? cls : "unclaimed", dev ? dev : "");
        if (!has_words(text, query))
            continue;
        more = found == limit;
        if (!more)
            put_flow(&w, s, &flow[i], key), found++;
    }
    dune_jsonw_end(&w);
    dune_jsonw_key(&w, "known"), dune_jsonw_uint(&w, n);
    dune_jsonw_key(&w, "more"), dune_jsonw_bool(&w, more);
    dune_jsonw_end(&w);
}
