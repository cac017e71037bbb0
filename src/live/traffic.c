/* SPDX-License-Identifier: Apache-2.0 */
/* The packets of a testbed run: what is sent, when, what it truly is, and what came back. */
#include "live/live_int.h"

#include <stdlib.h>
#include <string.h>

static const uint8_t hash_key[16] = "testbed traffic";

static uint64_t hash_of(const uint8_t *data, size_t len)
{
    return dune_siphash(hash_key, data, len);
}

/* --- classes --------------------------------------------------------------------------------------------- */

static int by_name(const void *a, const void *b)
{
    return strcmp(*(char *const *)a, *(char *const *)b);
}

static uint32_t class_of(const struct live_traffic *t, const char *name)
{
    char **at = bsearch(&name, t->class_name, t->n_classes, sizeof(*t->class_name), by_name);

    return at ? (uint32_t)(at - t->class_name) : UINT32_MAX;
}

static void name_classes(struct live_traffic *t, const struct dune_plan *p, const struct dune_labels *l)
{
    uint32_t n_labels = l ? dune_labels_n_classes(l) : 0, n = 0;

    t->class_name = DUNE_NEW_N(char *, n_labels + p->n_classes);
    for (uint32_t i = 0; i < n_labels; i++)
        t->class_name[n++] = dune_mem_strdup(dune_labels_class(l, i));
    for (uint32_t i = 0; i < p->n_classes; i++)
        t->class_name[n++] = dune_mem_strdup(p->cls[i].name);
    qsort(t->class_name, n, sizeof(*t->class_name), by_name);
    for (uint32_t i = 0; i < n; i++) {
        if (t->n_classes && strcmp(t->class_name[t->n_classes - 1], t->class_name[i]) == 0)
            dune_mem_free(t->class_name[i]);
        else
            t->class_name[t->n_classes++] = t->class_name[i];
    }
    t->of_plan[0] = t->n_classes;
    for (uint32_t i = 0; i < p->n_classes; i++)
        t->of_plan[i + 1] = class_of(t, p->cls[i].name);
}

/* --- loading --------------------------------------------------------------------------------------------- */

struct raw { /* a record of a capture */
    const uint8_t *data;
    const char *file;
    uint32_t len;
    uint64_t ts_ns, at_ns;
    size_t order;
};

struct load {
    struct live_traffic *t;
    const struct dune_testbed_run_cfg *run;
    DUNE_VEC(struct raw) raw;
    uint64_t base_ns; /* where this capture starts */
};

static int read_file(struct load *l, const char *path, struct dune_diag *d)
{
    struct dune_reader **r = &l->t->reader[l->t->n_readers];
    struct dune_record rec;
    uint64_t first = 0;
    int rc = dune_reader_open(r, path, d);

    if (rc)
        return rc;
    l->t->n_readers++;
    while ((rc = dune_reader_next(*r, &rec, d)) == 1) {
        struct raw x = {rec.data, path, rec.cap_len, rec.ts_ns, 0, l->raw.len};

        if (rec.index == 0)
            first = rec.ts_ns;
        x.at_ns = rec.ts_ns > first ? rec.ts_ns - first : 0;
        if (l->run->speed > 0)
            x.at_ns = (uint64_t)((double)x.at_ns / l->run->speed);
        x.at_ns += l->base_ns;
        if (l->run->seconds > 0 && l->run->pps <= 0 && (double)x.at_ns / 1e9 > l->run->seconds)
            return 0;
        DUNE_VEC_PUSH(&l->raw, x);
    }
    return rc;
}

static int by_time(const void *a, const void *b)
{
    const struct raw *x = a, *y = b;

    if (x->at_ns != y->at_ns)
        return x->at_ns < y->at_ns ? -1 : 1;
    return (x->order > y->order) - (x->order < y->order);
}

static void note_key(struct live_traffic *t, const struct dune_flow_key *key, uint32_t truth)
{
    uint32_t i = dune_crc32c(key->bytes, key->len) & (t->n_keys - 1);

    while (t->key[i].key.len && !dune_flow_key_equal(&t->key[i].key, key))
        i = (i + 1) & (t->n_keys - 1);
    if (t->key[i].key.len)
        return;
    t->key[i] = (struct live_key){*key, truth};
    t->labelled_flows += truth != UINT32_MAX;
}

/* What nDPI says too rarely was no class when the plan was made, and is none here. */
static bool counts(const struct dune_testbed_run_cfg *run, uint32_t label)
{
    bool known = strcmp(dune_labels_kind(run->labels), "ndpi") != 0;

    for (uint32_t i = 0; i < run->plan->n_classes && !known; i++)
        known = strcmp(run->plan->cls[i].name, dune_labels_class(run->labels, label)) == 0;
    return known;
}

static void add_packet(struct load *l, const struct raw *x, uint32_t n_leaves)
{
    struct live_traffic *t = l->t;
    struct live_packet *p = &t->pkt[t->n];
    struct dune_label_ctx ctx = {.file = x->file, .ts_ns = x->ts_ns};
    struct dune_packet parsed;
    bool conflict;
    uint32_t label = DUNE_LABEL_NONE;

    *p = (struct live_packet){.data = x->data, .len = x->len, .truth = UINT32_MAX, .at_ns = x->at_ns,
                              .flow = DUNE_NO_FLOW, .hash = hash_of(x->data, x->len)};
    if (l->run->pps > 0)
        p->at_ns = (uint64_t)((double)t->n * 1e9 / l->run->pps);
    if (dune_packet_parse(&parsed, x->data, x->len, &dune_parser_limits_default, 0) == DUNE_REASON_OK) {
        if (l->run->labels)
            label = dune_labels_lookup(l->run->labels, &ctx, x->data, &parsed, &conflict);
        p->truth = label == DUNE_LABEL_NONE || !counts(l->run, label) ? UINT32_MAX
                                                                      : class_of(t, dune_labels_class(l->run->labels, label));
        p->flow = dune_truth_add(t->truth, &parsed, dune_tick(p->at_ns), p->truth);
        p->leaf = dune_crc32(parsed.key.bytes, parsed.key.len) % n_leaves;
        note_key(t, &parsed.key, p->truth);
    }
    t->n++;
}

static uint32_t power_of_two(size_t n)
{
    uint32_t k = 1024;

    while (k < n * 2 && k < 1u << 30)
        k *= 2;
    return k;
}

static void add_packets(struct load *l, uint32_t n_leaves)
{
    struct live_traffic *t = l->t;

    if (l->raw.len)
        qsort(l->raw.data, l->raw.len, sizeof(*l->raw.data), by_time);
    t->pkt = dune_mem_zalloc(l->raw.len + 1, sizeof(*t->pkt));
    t->n_keys = t->n_heads = power_of_two(l->raw.len);
    t->key = DUNE_NEW_N(struct live_key, t->n_keys);
    t->head = dune_mem_alloc(t->n_heads, sizeof(*t->head));
    memset(t->head, 0xff, t->n_heads * sizeof(*t->head));
    for (size_t i = 0; i < l->raw.len; i++) {
        if (l->run->pps > 0 && l->run->seconds > 0 && (double)i / l->run->pps > l->run->seconds)
            break;
        add_packet(l, &l->raw.data[i], n_leaves);
    }
    for (size_t i = t->n; i-- > 0;) { /* earlier packets in front */
        uint32_t *head = &t->head[t->pkt[i].hash & (t->n_heads - 1)];

        t->pkt[i].next_same = *head;
        *head = (uint32_t)i;
    }
}

int dune_live_traffic_load(struct live_traffic *t, const struct dune_testbed_run_cfg *run, uint32_t n_leaves,
                           struct dune_diag *d)
{
    struct load l = {.t = t, .run = run};
    int rc = 0;

    memset(t, 0, sizeof(*t));
    t->ethertype = run->plan->shim_ethertype;
    name_classes(t, run->plan, run->labels);
    dune_confusion_init(&t->flow, t->n_classes);
    dune_confusion_init(&t->packet, t->n_classes);
    dune_confusion_init(&t->digest, t->n_classes);
    t->truth = dune_truth_new(run->plan->timeout);
    t->reader = DUNE_NEW_N(struct dune_reader *, run->n_pcaps + 1);
    for (size_t i = 0; rc == 0 && i < run->n_pcaps; i++) {
        l.base_ns = run->in_turn && l.raw.len ? l.raw.data[l.raw.len - 1].at_ns + 100000000 : 0;
        rc = read_file(&l, run->pcaps[i], d);
    }
    if (rc == 0 && l.raw.len == 0)
        rc = dune_diag_set(d, DUNE_E_INPUT, run->n_pcaps ? run->pcaps[0] : NULL, "there is no packet to send");
    if (rc == 0)
        add_packets(&l, n_leaves);
    DUNE_VEC_FREE(&l.raw);
    if (rc)
        dune_live_traffic_free(t);
    return rc;
}

void dune_live_traffic_free(struct live_traffic *t)
{
    for (uint32_t i = 0; i < t->n_classes; i++)
        dune_mem_free(t->class_name[i]);
    dune_mem_free(t->class_name);
    for (size_t i = 0; i < t->n_readers; i++)
        dune_reader_close(t->reader[i]);
    dune_mem_free(t->reader);
    dune_mem_free(t->pkt);
    dune_mem_free(t->head);
    dune_mem_free(t->key);
    dune_truth_free(t->truth);
    dune_confusion_fini(&t->flow);
    dune_confusion_fini(&t->packet);
    dune_confusion_fini(&t->digest);
    memset(t, 0, sizeof(*t));
}

/* --- what comes back --------------------------------------------------------------------------------------- */

static void score(struct live_traffic *t, struct live_packet *p)
{
    uint32_t truth, pred;

    if (p->flow == DUNE_NO_FLOW)
        return;
    truth = dune_truth_class(t->truth, p->flow);
    if (truth >= t->n_classes)
        return;
    pred = p->has_shim && (p->shim.flags & DUNE_SHIM_FINAL) ? t->of_plan[p->shim.cls] : t->n_classes;
    dune_confusion_add(&t->flow, truth, pred, DUNE_WEIGHT_ONE / dune_truth_len(t->truth, p->flow));
    dune_confusion_add(&t->packet, truth, pred, 1);
}

static struct live_packet *match(struct live_traffic *t, const uint8_t *data, uint32_t len)
{
    uint64_t hash = hash_of(data, len);
    uint32_t *at = &t->head[hash & (t->n_heads - 1)];

    for (; *at != UINT32_MAX; at = &t->pkt[*at].next_same) {
        struct live_packet *p = &t->pkt[*at];

        if (p->hash == hash && p->len == len && atomic_load(&p->sent_ns) && memcmp(p->data, data, len) == 0) {
            *at = p->next_same;
            return p;
        }
    }
    return NULL;
}

void dune_live_traffic_arrived(struct live_traffic *t, const uint8_t *data, uint32_t len, uint64_t ts_ns)
{
    struct dune_shim shim = {0};
    struct live_packet *p;
    uint8_t *copy = NULL;
    uint64_t sent;
    uint32_t at;
    bool has = dune_shim_find(data, len, 2, t->ethertype, &at) && len - at >= DUNE_SHIM_BYTES;

    if (has) {
        dune_shim_get(&shim, data + at);
        copy = dune_mem_alloc(len, 1);
        memcpy(copy, data, at - 2);
        memcpy(copy + at - 2, data + at + DUNE_SHIM_BYTES - 2, len - at - DUNE_SHIM_BYTES + 2);
    }
    p = match(t, has ? copy : data, has ? len - DUNE_SHIM_BYTES : len);
    dune_mem_free(copy);
    if (!p) {
        t->unknown++;
        return;
    }
    sent = atomic_load(&p->sent_ns);
    p->arrived_ns = ts_ns;
    p->shim = shim;
    p->has_shim = has;
    t->arrived++;
    t->bytes += p->len;
    t->fl += has && (shim.flags & DUNE_SHIM_FL);
    t->collided += has && (shim.flags & DUNE_SHIM_COLLISION);
    t->inferable += has;
    t->claimed += has && (shim.flags & DUNE_SHIM_FINAL) && shim.cls && !(shim.flags & DUNE_SHIM_TENTATIVE);
    t->settled += has && (shim.flags & DUNE_SHIM_FINAL) && (shim.flags & DUNE_SHIM_SETTLED);
    if (sent > 1 && ts_ns > sent)
        dune_live_hist_add(&t->chain, ts_ns - sent);
    score(t, p);
}

void dune_live_traffic_digest(struct live_traffic *t, const struct dune_flow_key *key, const char *cls)
{
    uint32_t i = dune_crc32c(key->bytes, key->len) & (t->n_keys - 1);

    t->digests++;
    while (t->key[i].key.len && !dune_flow_key_equal(&t->key[i].key, key))
        i = (i + 1) & (t->n_keys - 1);
    if (t->key[i].key.len && t->key[i].truth < t->n_classes)
        dune_confusion_add(&t->digest, t->key[i].truth, cls ? class_of(t, cls) : t->n_classes, 1);
}
