/* SPDX-License-Identifier: Apache-2.0 */
#include <stdlib.h>
#include <string.h>

#include "base/base.h"
#include "dune/drift.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len);

/* One sub-model of one tree with one split on ip.ttl. */
static struct dune_plan *small_plan(void)
{
    static struct dune_node node[3] = {{0, 99, 1, 2, UINT32_MAX}, {-1, 0, 0, 0, 0}, {-1, 0, 0, 0, 0}};
    static uint64_t hist[6] = {3, 3, 3, 0, 0, 3};
    static uint8_t feat[1] = {DUNE_F_IP_TTL}, to_plan[2] = {1, 2};
    static struct dune_tree tree = {.n_nodes = 3, .node = node, .hist = hist};
    struct dune_forest f = {.n_trees = 1, .n_feats = 1, .n_classes = 2, .feat = feat, .tree = &tree, .n = 2};
    struct dune_plan *p = dune_plan_new();
    struct dune_diag d = {0};

    p->n_classes = 2;
    p->cls = DUNE_NEW_N(struct dune_plan_class, 2);
    p->cls[0].name = dune_mem_strdup("a");
    p->cls[1].name = dune_mem_strdup("b");
    p->n_submodels = 1;
    p->sub = DUNE_NEW_N(struct dune_submodel, 1);
    p->sub[0].n = 2;
    if (dune_submodel_from_forest(&p->sub[0], &f, 1, 0, to_plan, &d))
        abort();
    return p;
}

/* Counts that are read are written as ones that read the same. */
static int counts(const struct dune_plan *p, const uint8_t *data, size_t len)
{
    struct dune_drift_counts c, again;
    struct dune_buf text = {0}, text2 = {0};
    struct dune_diag d = {0};

    dune_drift_counts_init(&c, p);
    dune_drift_counts_init(&again, p);
    if (dune_drift_counts_parse(&c, (const char *)data, len, &d)) {
        if (d.code == 0 || d.msg[0] == '\0')
            abort();
    } else {
        dune_drift_counts_format(&c, &text);
        if (dune_drift_counts_parse(&again, text.data, text.len, &d))
            abort();
        dune_drift_counts_format(&again, &text2);
        if (text.len != text2.len || memcmp(text.data, text2.data, text.len) != 0)
            abort();
    }
    dune_buf_fini(&text);
    dune_buf_fini(&text2);
    dune_drift_counts_fini(&c);
    dune_drift_counts_fini(&again);
    return 0;
}

/* A profile that is read is written as one that reads the same, and anything can be compared with it. */
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len)
{
    static struct dune_plan *p;
    struct dune_drift_profile *f, *again;
    struct dune_buf text = {0}, text2 = {0};
    struct dune_drift_check k;
    struct dune_diag d = {0};

    p = p ? p : small_plan();
    if (len && data[0] == '[')
        return counts(p, data, len);
    if (dune_drift_profile_parse(&f, p, "fuzz", (const char *)data, len, &d)) {
        if (d.code == 0 || d.msg[0] == '\0')
            abort();
        return 0;
    }
    dune_drift_profile_format(f, p, &text);
    if (dune_drift_profile_parse(&again, p, "fuzz", text.data, text.len, &d))
        abort();
    dune_drift_profile_format(again, p, &text2);
    if (text.len != text2.len || memcmp(text.data, text2.data, text.len) != 0)
        abort();
    dune_drift_compare(&k, f, p, &again->expected);
    if (k.n_moved)
        abort();
    dune_drift_check_fini(&k);
    dune_drift_profile_free(f);
    dune_drift_profile_free(again);
    dune_buf_fini(&text);
    dune_buf_fini(&text2);
    return 0;
}
