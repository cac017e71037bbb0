/* SPDX-License-Identifier: Apache-2.0 */
/* exact and ilp: proven by subset DP up to 20 classes, above that a good split and a bound, which may
 * turn out to be a proof. */
#include "partition/partition_int.h"

#include <math.h>

enum { DP_CLASSES = 20 };

int exact_partition(const struct problem *p, struct split *s, struct verdict *v, struct dune_diag *d)
{
    uint64_t limit = p->memory_limit ? p->memory_limit : UINT64_C(2) << 30;
    int rc = 0;

    v->optimal = p->m == 1 || (p->m <= DP_CLASSES && subset_dp_bytes(p) <= limit);
    start_split(p, s);
    if (v->optimal && p->m > 1) {
        improve_split(p, s, 20);
        rc = subset_dp(p, split_score(p, s), s, d);
    } else if (!v->optimal) {
        improve_split(p, s, 400);
    }
    if (rc)
        return rc;
    if (!v->optimal) {
        double bound = upper_bound(p, s, &v->optimal);

        v->objective = split_score(p, s);
        v->gap = v->optimal ? 0.0 : fabs(bound - v->objective) / fmax(fabs(v->objective), 1e-300);
    } else {
        v->objective = split_score(p, s);
        v->gap = 0;
    }
    if (dune_interrupted())
        return dune_diag_set(d, DUNE_E_INTERRUPTED, NULL, "interrupted");
    if (p->ilp)
        v->objective = -v->objective;
    return 0;
}
