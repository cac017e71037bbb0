/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Feeds: what flows are, one line per event, for the tools around (docs/feeds.md). An event is a digest (a flow's
 * verdict is settled) or, from a replay, the end of a flow. A feed belongs to one thread at a time.
 */
#ifndef DUNE_FEED_H
#define DUNE_FEED_H

#include "dune/device.h"

#define DUNE_FEED_SUBJECT "dune.flow" /* on the bus: one JSON line per message */

enum dune_feed_kind { DUNE_FEED_DIGEST, DUNE_FEED_FLOW };
struct dune_feed_event { /* strings borrowed, may be NULL */
    enum dune_feed_kind kind;
    uint64_t time_ns; /* since the epoch: when it was written; of a flow: its last packet */
    struct dune_flow_key key;
    const char *cls;  /* NULL: unclaimed */
    uint8_t conf, submodel;
    bool flow_level, tentative, settled, pinned;
    const char *device; /* where it was settled */
    uint16_t generation;
    const char *capture;              /* flow */
    uint64_t first_ns, packets, bytes; /* flow; bytes on the wire */
};

struct dune_buf;
/* One line with its end. Same members and columns for both kinds; what a kind does not have is left out of JSON and
 * empty in CSV. */
void dune_feed_json(const struct dune_feed_event *e, struct dune_buf *out);
void dune_feed_csv(const struct dune_feed_event *e, struct dune_buf *out);
const char *dune_feed_csv_header(void);

struct dune_feed; /* opaque */
/* "json:PATH" or "csv:PATH". whole: the file gets its name at commit; else lines are appended and there at once. */
int dune_feed_open(struct dune_feed **out, const char *spec, bool whole, struct dune_diag *d) DUNE_MUST_USE;
int dune_feed_put(struct dune_feed *f, const struct dune_feed_event *e, struct dune_diag *d) DUNE_MUST_USE;
/* A digest, now. */
int dune_feed_put_digest(struct dune_feed *f, const struct dune_digest *dg, const char *cls, const char *device,
                         struct dune_diag *d) DUNE_MUST_USE;
int dune_feed_commit(struct dune_feed *f, struct dune_diag *d) DUNE_MUST_USE; /* frees f */
void dune_feed_abort(struct dune_feed *f); /* frees f; NULL is fine. A file that is not whole stays as it is. */

#endif
