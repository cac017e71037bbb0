/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What the files of the label reader share.
 *
 *   labels.c        life cycle, classes, look-up
 *   labels_read.c   the kinds of label files that are tables, and their rows
 *   label_logs.c    logs of other tools, one flow or event a line: Zeek, Suricata
 *   label_ndpi.c    what nDPI says about the flows of captures, as labels
 *   ndpi_flows.c    nDPI itself; ndpi_absent.c in builds without it
 *   label_build.c   class names on the way from text to final numbers
 *   labels_text.c   addresses, ports, times and names as text
 *   label_spans.c   5-tuples with several entries, told apart by time
 *   keytab.c        hash table from bytes to a number
 */
#ifndef DUNE_LABELS_INT_H
#define DUNE_LABELS_INT_H

#include "base/base.h"
#include "capture/columns_int.h"
#include "dune/labels.h"

/* Open addressing over keys of any length, kept one after another in a pool of words (16 GiB). */
struct keytab_slot {
    uint32_t tag, at; /* at: word offset of the key's record, 0 = empty */
};
struct keytab {
    struct keytab_slot *slot;
    size_t n_slots, n_keys;
    DUNE_VEC(uint32_t) pool;
};
struct keytab_value { /* into the pool: valid until the next add; NULL: absent */
    uint32_t *value, *count;
};
struct keytab_value keytab_find(const struct keytab *t, const void *key, size_t len);
/* The same in three steps, for many keys at a time: ask for the slot, for the record, and look. */
uint64_t keytab_ask(const struct keytab *t, const void *key, size_t len);
void keytab_ask_record(const struct keytab *t, uint64_t hash);
struct keytab_value keytab_look(const struct keytab *t, uint64_t hash, const void *key, size_t len);
/* The key's value and count, both 0 when fresh. */
struct keytab_value keytab_add(struct keytab *t, const void *key, size_t len, bool *fresh);
/* All keys in the order in which they were added; *pos starts at 0. */
bool keytab_walk(const struct keytab *t, size_t *pos, struct keytab_value *v);
/* Bytes of the key that a value belongs to. */
const uint8_t *keytab_key(struct keytab_value v);
size_t keytab_key_len(struct keytab_value v);
/* No room for another key of LABEL_MAX_KEY bytes. */
bool keytab_is_full(const struct keytab *t);
void keytab_fini(struct keytab *t);

enum { LABEL_MAX_NAME = 255, LABEL_MAX_KEY = 4096 };

enum label_kind {
    LABEL_MAC,
    LABEL_FIVE_TUPLE,
    LABEL_PREFIX,
    LABEL_FILE,
    LABEL_CAPTURE,
    LABEL_UNSW,
    LABEL_TON_IOT,
    LABEL_ZEEK,
    LABEL_SURICATA,
    LABEL_NDPI,
    LABEL_N_KINDS
};

/* One entry of a 5-tuple. While reading, next chains the entries of a key (0: end, else index + 1);
 * afterwards the entries of a key stand together, by start, and max_end is the largest end so far. */
struct label_span {
    uint64_t start, end; /* ns, both included; 0 and UINT64_MAX: unbounded */
    uint64_t max_end;
    uint32_t cls, line;
    uint32_t next;
    bool agree; /* all entries of the key have one class */
};

struct dune_labels {
    enum label_kind kind;
    struct dune_arena arena;
    const char **class_name;
    uint32_t n_classes;
    uint8_t gateway[6]; /* UNSW */
    bool has_captures;  /* 5-tuples of captures */
    bool names_files;   /* some capture is written FILE#NAME */
    bool timed;         /* MAC, prefix, file, capture: entries with a range of time: key -> spans */
    /* MAC, prefix, file, capture: key -> class. 5-tuple: key (and capture number) -> spans. */
    struct keytab keys;
    /* MAC lists again, for look-ups in a few instructions: address + 1 (0: empty), open addressing; each at home
     * (mac_alone) with the factor that was found, where the list is short enough. */
    struct label_mac {
        uint64_t key;
        uint32_t cls;
    } *mac;
    uint64_t mac_mask, mac_factor;
    unsigned mac_shift;
    bool mac_alone;
    struct keytab captures; /* name -> number from 1 */
    DUNE_VEC(struct label_span) spans;
    uint8_t prefix_len[2][129]; /* IPv4, IPv6: lengths in use, longest first */
    unsigned n_prefix_len[2];
};

/* Lists of flows that hold for both directions, each row with its time. */
static inline bool labels_both_ways(const struct dune_labels *l)
{
    return l->kind == LABEL_TON_IOT || l->kind == LABEL_ZEEK || l->kind == LABEL_SURICATA || l->kind == LABEL_NDPI;
}
/* Kinds that list flows. */
static inline bool labels_by_flow(const struct dune_labels *l)
{
    return l->kind == LABEL_FIVE_TUPLE || labels_both_ways(l);
}
/* Lists whose entries are spans. */
static inline bool labels_have_spans(const struct dune_labels *l)
{
    return labels_by_flow(l) || l->timed;
}

/* labels_read.c: fills an empty l; class ids are final. */
int labels_read_rows(struct dune_labels *l, const char *name, const void *data, size_t len,
                     struct dune_diag *d) DUNE_MUST_USE;
/* label_logs.c: is it a log of a tool we know? Then the same from it; field as in the options. */
bool labels_is_log(const void *data, size_t len);
int labels_read_log(struct dune_labels *l, const char *name, const void *data, size_t len,
                    const char *field, struct dune_diag *d) DUNE_MUST_USE;

/* label_ndpi.c: number of a capture, 0: nDPI was not asked about it. piece NULL: the whole file. */
uint32_t labels_ndpi_capture(const struct dune_labels *l, const char *file, const char *piece);
/* One flow as nDPI saw it. */
struct ndpi_flow_record {
    struct dune_flow_key key; /* of both directions */
    uint32_t capture;         /* from 1 */
    uint64_t start, end;      /* ns */
    uint32_t packets;
    bool guessed;             /* from ports or addresses, not from what was said */
    char name[64];            /* empty: unknown */
};
typedef DUNE_VEC(struct ndpi_flow_record) ndpi_flow_records;
/* ndpi_flows.c: all flows of some captures, in the order in which they ended; ndpi_absent.c: DUNE_E_ENV. */
struct ndpi_piece { /* a capture */
    uint64_t n_packets; /* UINT64_MAX: the rest of the file */
    uint32_t number;
};
int labels_ndpi_flows(ndpi_flow_records *out, const char *path, const struct ndpi_piece *piece, size_t n,
                      enum dune_ndpi_names names, struct dune_diag *d) DUNE_MUST_USE;

/* label_build.c: classes get numbers as they come; at the end they are sorted and all entries
 * renumbered. */
struct label_build {
    struct dune_labels *l;
    struct keytab classes; /* name -> preliminary number */
    DUNE_VEC(const char *) names;
};
/* NULL, or why the name is no class. */
const char *label_build_class(struct label_build *b, const char *name, uint32_t *id);
void label_build_finish(struct label_build *b);
void label_build_fini(struct label_build *b);

/* labels_text.c: false when the text is not one. */
bool label_parse_mac(const char *s, uint8_t mac[6]);
bool label_parse_ip(const char *s, uint8_t ip[16], size_t *len); /* len 4 or 16 */
bool label_parse_port(const char *s, uint16_t *port);
/* The key of a directed 5-tuple; len is 4 or 16 bytes per address. */
void label_make_key(struct dune_flow_key *k, const uint8_t *src, const uint8_t *dst, size_t len, uint16_t sport,
                    uint16_t dport, uint8_t proto);
bool label_parse_proto(const char *s, uint8_t *proto);
bool label_parse_time(const char *s, uint64_t *ns, bool *whole); /* seconds; whole: no fraction */
bool label_parse_iso(const char *s, uint64_t *ns);  /* 2017-06-01T08:30:00.5+02:00 */
bool label_parse_when(const char *s, uint64_t *ns); /* either */
const char *label_name_problem(const char *s);                   /* NULL: a usable class name */

/* label_spans.c */
void spans_add(struct dune_labels *l, const struct dune_flow_key *k, uint32_t capture,
               const struct label_span *s);
/* Groups and sorts; returns the line of the first entry that repeats an unbounded one, else 0, and
 * the line that it repeats. */
uint32_t spans_finish(struct dune_labels *l, uint32_t *first_line);
uint32_t spans_lookup(const struct dune_labels *l, const struct dune_flow_key *k, uint32_t capture,
                      uint64_t ts_ns, bool *conflict);
/* The same for keys of any kind. */
void spans_add_key(struct dune_labels *l, const void *key, size_t len, const struct label_span *s);
uint32_t spans_lookup_key(const struct dune_labels *l, const void *key, size_t len, uint64_t ts_ns, bool *conflict);
/* The key of both directions of a flow. */
struct dune_flow_key spans_both_ways(const struct dune_flow_key *k);
uint32_t spans_lookup_both(const struct dune_labels *l, const struct dune_flow_key *k, uint32_t capture,
                           uint64_t ts_ns, bool *conflict);
/* Both kinds of look-up for many packets of capture number capture (lists for both directions but those of nDPI
 * have none). */
void spans_lookup_many(const struct dune_labels *l, uint32_t capture, struct dune_label_query *q, size_t n);

#endif
