/* SPDX-License-Identifier: Apache-2.0 */
#include "dune/features.h"

#include <string.h>
#include <strings.h>

#include "base/base.h"

#define PL DUNE_PHASE_PL
#define FL DUNE_PHASE_FL
/* Every feature is integer arithmetic on one packet or one register: all targets can compute all. */
#define ON_ALL (DUNE_ON_REF | DUNE_ON_FAST | DUNE_ON_XDP | DUNE_ON_V1MODEL | DUNE_ON_TNA)

/* k of len.k and gap.k; the ids of either are consecutive. */
#define KTH(id)                                                                                    \
    ((id) >= DUNE_F_GAP_2 ? (id) - DUNE_F_GAP_2 + 2 : (id) >= DUNE_F_LEN_1 ? (id) - DUNE_F_LEN_1 + 1 : 0)
_Static_assert(DUNE_F_LEN_8 - DUNE_F_LEN_1 == DUNE_KTH_MAX - 1, "len.1 to len.8 are consecutive");
_Static_assert(DUNE_F_GAP_8 - DUNE_F_GAP_2 == DUNE_KTH_MAX - 2, "gap.2 to gap.8 are consecutive");
_Static_assert(DUNE_F_GAP_2 == DUNE_F_LEN_8 + 1 && DUNE_F_GAP_8 == DUNE_N_FEATURES - 1,
               "KTH() must learn about features after gap.8");

const struct dune_feature dune_catalog[DUNE_N_FEATURES] = {
#define X(id, fname, fphase, fbits, fpub_bits, fflags, fpublished, faliases)                       \
    {.name = fname, .published = fpublished, .aliases = faliases, .phase = fphase, .bits = fbits,  \
     .pub_bits = fpub_bits, .flags = fflags, .kth = KTH(DUNE_F_##id), .targets = ON_ALL},
#include "dune/catalog.def"
#undef X
};

typedef int (*compare_fn)(const char *a, const char *b, size_t len);

/* name is one of the |-separated aliases. */
static bool alias_matches(const char *aliases, const char *name, compare_fn compare)
{
    size_t name_len = strlen(name);

    for (const char *p = aliases; *p;) {
        size_t len = strcspn(p, "|");

        if (len == name_len && len && compare(p, name, len) == 0)
            return true;
        p += len + (p[len] == '|');
    }
    return false;
}

static int find_by(const char *name, compare_fn compare)
{
    for (int i = 0; i < DUNE_N_FEATURES; i++) {
        const struct dune_feature *f = &dune_catalog[i];

        if (compare(f->name, name, SIZE_MAX) == 0 || compare(f->published, name, SIZE_MAX) == 0 ||
            alias_matches(f->aliases, name, compare))
            return i;
    }
    return -1;
}

int dune_feature_find(const char *name)
{
    int id = find_by(name, strncmp);

    return id >= 0 ? id : find_by(name, strncasecmp);
}

uint32_t dune_feature_max(int id)
{
    return UINT32_MAX >> (32 - dune_catalog[id].bits);
}

static bool in_set(const struct dune_feature *f, const char *set)
{
    bool all = !(f->flags & DUNE_FF_ROBUST);

    if (strcmp(set, "all") == 0 || strcmp(set, "easy") == 0)
        return all;
    if (strcmp(set, "pkt") == 0)
        return all && f->phase == DUNE_PHASE_PL;
    if (strcmp(set, "flow") == 0)
        return all && f->phase == DUNE_PHASE_FL;
    if (strcmp(set, "notime") == 0)
        return all && !(f->flags & DUNE_FF_TIME);
    if (strcmp(set, "robust") == 0)
        return !(f->flags & DUNE_FF_FRAGILE);
    return f->flags & DUNE_FF_PAPER; /* "paper" */
}

/* Mask of a set's or a feature's name; 0: unknown. */
static dune_feature_mask resolve(const char *name, unsigned max_k)
{
    static const char *const sets[] = {"all", "easy", "pkt", "flow", "notime", "robust", "paper"};
    dune_feature_mask mask = 0;
    int id;

    for (size_t s = 0; s < DUNE_ARRAY_LEN(sets); s++) {
        if (strcmp(name, sets[s]) != 0)
            continue;
        for (int i = 0; i < DUNE_N_FEATURES; i++)
            if (in_set(&dune_catalog[i], name) && (!max_k || dune_catalog[i].kth <= max_k))
                mask |= (dune_feature_mask)1 << i;
        return mask;
    }
    id = dune_feature_find(name);
    return id >= 0 ? (dune_feature_mask)1 << id : 0;
}

/* Applies one item of the list to *mask. */
static int apply(const char *item, unsigned max_k, dune_feature_mask *mask, struct dune_diag *d)
{
    bool remove = *item == '-';
    dune_feature_mask m = resolve(item + remove, remove ? 0 : max_k);

    if (!m)
        return dune_diag_set(d, DUNE_E_USAGE, NULL,
                             "unknown feature or set \"%s\" (sets: all, easy, pkt, flow, notime, "
                             "robust, paper)", item + remove);
    *mask = remove ? *mask & ~m : *mask | m;
    return 0;
}

int dune_feature_set_parse(const char *text, unsigned max_k, dune_feature_mask *out,
                           struct dune_diag *d)
{
    char *copy = dune_mem_strdup(text), *rest = copy, *item;
    dune_feature_mask mask = 0;
    int rc = 0;

    while (rc == 0 && (item = strsep(&rest, ",")) != NULL) {
        char *end = item + strlen(item);

        item += strspn(item, " \t");
        while (end > item && (end[-1] == ' ' || end[-1] == '\t'))
            *--end = '\0';
        rc = apply(item, max_k, &mask, d);
    }
    if (rc == 0 && !mask)
        rc = dune_diag_set(d, DUNE_E_USAGE, NULL, "\"%s\" leaves no feature", text);
    if (rc == 0)
        *out = mask;
    dune_mem_free(copy);
    return rc;
}
