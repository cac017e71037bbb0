/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Labels: which class a packet belongs to. The kind of a label file is told by its header:
 *   mac,label                                       MAC list (source or destination)
 *   src_ip,dst_ip,src_port,dst_port,proto,label     directed 5-tuples, optional column
 *       [,capture]                                  capture name
 *   prefix,label                                    IP prefixes, longest match, source first
 *   file,label (or capture,label)                   whole files or captures
 *       [,start][,end]                              all of these: a range of time, seconds or ISO 8601
 *   List of Devices,MAC ADDRESS,Connection type     the official UNSW device list
 *   ts,src_ip,src_port,dst_ip,dst_port,proto,...,label,type   the ToN-IoT flow list, both directions
 * Columns may stand in any order, separated by commas or tabs; columns nobody knows, a key listed twice
 * and anything that is not an address, port, time or usable class name are refused with their line.
 *
 * Entries with ranges of time may be listed several times; where ranges of different classes overlap,
 * the look-up reports a conflict. In the ToN-IoT list the class is the column type, and [ts, ts +
 * duration] is asked only for flows whose rows disagree.
 *
 * Logs are read as they are, both directions of a flow, with its time: Zeek's conn.log (tab separated with
 * its # lines, or JSON lines) and Suricata's eve.json (flow and alert events). A flow for which the tool
 * has no answer ("-", absent, "unknown", "failed") has no label. A file is named by the last components of its
 * path, a capture by its name or, without one, by its file's name with or without extension.
 */
#ifndef DUNE_LABELS_H
#define DUNE_LABELS_H

#include "dune/capture.h"
#include "dune/packet.h"
#include "dune/error.h"

struct dune_labels; /* opaque, immutable after reading */

struct dune_labels_opts {
    const char *gateway_mac; /* UNSW list: packets *to* a device count when they come from here;
                                NULL: 14:cc:20:51:33:ea, the gateway of the data set */
    const char *field;       /* logs: what the class is. Zeek: service (default), any column, or A,B: B where A has none;
                                Suricata: app_proto (default), alert.category, alert.signature.
                                DUNE_E_USAGE for files that are no logs; NULL: the default */
};

int dune_labels_read(struct dune_labels **out, const char *path, const struct dune_labels_opts *opts,
                     struct dune_diag *d) DUNE_MUST_USE;
int dune_labels_parse(struct dune_labels **out, const char *name, const void *data, size_t len,
                      const struct dune_labels_opts *opts, struct dune_diag *d) DUNE_MUST_USE;
void dune_labels_free(struct dune_labels *l);

/*
 * Labels of captures from nDPI: both directions of a connection get what it says about it, in the capture
 * where it says so. A connection is what it takes for one: it ends after 5 minutes without a packet, and where a
 * new one begins with SYN on a 5-tuple that has been closed. What nDPI only guesses from ports or
 * addresses is no label unless guesses are asked for: a model would learn the guess.
 */
enum dune_ndpi_names {
    DUNE_NDPI_APPLICATION, /* YouTube, Microsoft365, DNS (whatever was asked) ... */
    DUNE_NDPI_PROTOCOL,    /* what carries it: TLS, QUIC, HTTP ... */
    DUNE_NDPI_CATEGORY,    /* Media, Cloud, Web ... */
    DUNE_NDPI_N_NAMES
};
struct dune_ndpi_report {
    bool used;
    uint64_t flows, known, guessed, unknown; /* connections: known + guessed + unknown = flows */
};
/* DUNE_E_ENV in builds without nDPI; DUNE_E_INPUT when it knows no connection at all. */
int dune_labels_ndpi(struct dune_labels **out, const char *const *paths, size_t n_paths,
                     const struct dune_captures *captures, enum dune_ndpi_names names, bool guesses,
                     struct dune_ndpi_report *report, struct dune_diag *d) DUNE_MUST_USE;
const char *dune_ndpi_version(void); /* NULL: this build has none */

/*
 * What --labels takes: a file, or ndpi, ndpi-protocol, ndpi-category (with :guess for guesses, too), which
 * label the captures of paths. A file named like that is written ./ndpi.
 */
bool dune_labels_are_ndpi(const char *spec);
int dune_labels_open(struct dune_labels **out, const char *spec, const struct dune_labels_opts *opts,
                     const char *const *paths, size_t n_paths, const struct dune_captures *captures,
                     struct dune_ndpi_report *report, struct dune_diag *d) DUNE_MUST_USE;

/* Class names, sorted bytewise; the id of a class is its index. */
uint32_t dune_labels_n_classes(const struct dune_labels *l);
const char *dune_labels_class(const struct dune_labels *l, uint32_t id);
const char *dune_labels_kind(const struct dune_labels *l); /* "mac", "five_tuple", ... */

/* The context of a packet: where it came from. */
struct dune_label_ctx {
    const char *file;    /* path of the capture file */
    const char *capture; /* name of the capture (piece) or NULL */
    uint64_t ts_ns;
};
#define DUNE_LABEL_NONE UINT32_MAX
/* Class of an inferable packet or DUNE_LABEL_NONE. *conflict is set when two entries of the file match
 * with different classes (the first rule of the kind decides: source before destination, longest
 * prefix, earliest line). A shorter prefix around a longer one is no conflict; a ToN-IoT flow whose rows
 * disagree and do not cover the packet's time is one without a class. frame is the packet's bytes (MAC
 * addresses). */
uint32_t dune_labels_lookup(const struct dune_labels *l, const struct dune_label_ctx *ctx,
                            const uint8_t *frame, const struct dune_packet *p, bool *conflict);

/* The same for many packets of one capture: cls and conflict of every query are filled in. Look-ups in large
 * tables wait for memory; here they wait together. ctx->ts_ns is not used. */
struct dune_label_query {
    const uint8_t *frame;
    const struct dune_packet *p;
    uint64_t ts_ns;
    uint32_t cls;
    bool conflict;
};
void dune_labels_lookup_many(const struct dune_labels *l, const struct dune_label_ctx *ctx,
                             struct dune_label_query *q, size_t n);

#endif
