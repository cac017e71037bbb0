/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What an operator decides about a plan, as text: what devices do with packets of a class, how sure a claim must be, and which
 * traffic they look at. Functions change the plan or, with DUNE_E_USAGE and a sentence, nothing.
 */
#ifndef DUNE_PLAN_POLICY_H
#define DUNE_PLAN_POLICY_H

#include "dune/plan.h"

/*
 * CLASS=ACTION; class "*" is all of them. Actions: forward, mark:DSCP (0-63), steer:PORT, drop[:any], mirror:PORT[:any] (ports
 * 0-65535). any: also on final claims of flows that are not settled.
 */
int dune_plan_set_action(struct dune_plan *p, const char *text, struct dune_diag *d) DUNE_MUST_USE;
/* CLASS=0..255: claims of less confidence end as unclaimed. */
int dune_plan_set_min_confidence(struct dune_plan *p, const char *text, struct dune_diag *d) DUNE_MUST_USE;
/* The filter: a packet must match one entry of every list that is not empty. 10.0.0.0/8, 2001:db8::/32; a bare address is a
 * host. 443, 5000-5999. tcp, udp, icmp, icmpv6, 0..255. */
int dune_plan_add_prefix(struct dune_plan *p, const char *text, struct dune_diag *d) DUNE_MUST_USE;
int dune_plan_add_ports(struct dune_plan *p, const char *text, struct dune_diag *d) DUNE_MUST_USE;
int dune_plan_add_protocol(struct dune_plan *p, const char *text, struct dune_diag *d) DUNE_MUST_USE;
enum { DUNE_PREFIX_TEXT = 64 };
void dune_prefix_format(char out[DUNE_PREFIX_TEXT], const struct dune_prefix *x); /* "10.0.0.0/8" */
void dune_plan_clear_filter(struct dune_plan *p); /* all traffic */

#endif
