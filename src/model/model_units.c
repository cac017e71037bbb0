/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Other programs see what `extract --csv` writes, as 32-bit floats. Rounding never changes the order of two
 * values, so the values that go left at a node are those up to some integer: it is looked for by halving.
 */
#include "model/model_int.h"

double dune_model_value(int feat, uint32_t v)
{
    if (dune_catalog[feat].flags & DUNE_FF_TIME)
        return (double)((uint64_t)v * 1024) / 1000.0; /* a tick is 1.024 us; this is the double nearest to the text */
    return (double)v;
}

static bool goes_left(int feat, uint32_t v, double t, bool strict)
{
    float x = (float)dune_model_value(feat, v);

    return strict ? (double)x < t : (double)x <= t;
}

bool dune_model_threshold(int feat, double t, bool strict, uint32_t *v)
{
    uint32_t lo = 0, hi = dune_feature_max(feat); /* lo goes left, what is above hi does not */

    if (!goes_left(feat, 0, t, strict))
        return false;
    while (lo < hi) {
        uint32_t mid = lo + (hi - lo) / 2 + 1;

        if (goes_left(feat, mid, t, strict))
            lo = mid;
        else
            hi = mid - 1;
    }
    *v = lo;
    return true;
}
