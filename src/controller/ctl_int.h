/* SPDX-License-Identifier: Apache-2.0 */
/* What the files of the controller share. */
#ifndef DUNE_CONTROLLER_CTL_INT_H
#define DUNE_CONTROLLER_CTL_INT_H

#include "base/base.h"
#include "dune/control.h"
#include "plan/json_reader.h"

/* --- ctl_counters.c ------------------------------------------------------------------------------------ */
struct ctl_counter {
    const char *name;
    size_t offset;
};
extern const struct ctl_counter dune_ctl_counter[];
extern const size_t dune_ctl_n_counters;
void dune_ctl_read_counters(struct dune_json_reader *r, const json_t *obj, struct dune_counters *c);
void dune_ctl_counters_add(struct dune_counters *sum, const struct dune_counters *c);

/* --- ctl_fast_read.c ----------------------------------------------------------------------------------- */
/* m is all zero. False: not exactly as dune_ctl_format writes digests or rules; then m is to be thrown away. */
bool dune_ctl_fast_read(struct dune_ctl_msg *m, const char *text, size_t len);

/* --- agent_shadow.c: a plan beside the traffic ------------------------------------------------------------ */
struct ctl_shadow; /* opaque */
int dune_ctl_shadow_new(struct ctl_shadow **out, struct dune_plan *plan_take, struct dune_diag *d) DUNE_MUST_USE;
void dune_ctl_shadow_free(struct ctl_shadow *s);
void dune_ctl_shadow_packet(struct ctl_shadow *s, const struct dune_chain_packet *pkt);
/* What the live chain said about a settled flow; cls: name, NULL for unclaimed. */
void dune_ctl_shadow_compare(struct ctl_shadow *s, const struct dune_flow_key *key, const char *cls);
void dune_ctl_shadow_report(const struct ctl_shadow *s, struct dune_ctl_shadow *out);

#endif
