/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The tables of a sub-model as a switch holds them: range rows give code words, code words side by
 * side are the key, and the first ternary row with (key & mask) == value is the leaf. Bits are packed
 * into 64-bit words when a plan is loaded; dune_submodel_lookup says the same from the characters.
 *
 *   ip.len 700 -> row 2 -> 110.... |
 *   ttl     64 -> row 0 -> ...00.. | -> key 11000..  -> rows 0*0..  no
 *   dstport 80 -> row 1 -> .....10 |                        11*..10  yes: leaf 1
 */
#include "targets/ref/ref_int.h"

#include <string.h>

static void set_bit(uint64_t *words, uint32_t bit)
{
    words[bit / 64] |= UINT64_C(1) << bit % 64;
}

/* Code words of feature j for this tree, at their place in the key. */
static uint64_t *pack_codes(const struct dune_plan_feature *f, uint32_t t, uint32_t first_bit,
                            uint32_t n_words)
{
    uint64_t *code = DUNE_NEW_N(uint64_t, (size_t)f->n_rows * n_words);

    for (uint32_t r = 0; r < f->n_rows; r++)
        for (uint32_t b = 0; b < f->n_bits[t]; b++)
            if (f->code[t][(size_t)r * f->n_bits[t] + b] == '1')
                set_bit(code + (size_t)r * n_words, first_bit + b);
    return code;
}

static void pack_tree(struct ref_tree *out, const struct dune_submodel *sm, uint32_t t)
{
    const struct dune_plan_tree *tr = &sm->tree[t];
    uint32_t bit = 0;

    out->leaf = tr->leaf;
    out->n_leaves = tr->n_leaves;
    out->n_words = tr->key_bits / 64 + 1;
    out->code = DUNE_NEW_N(uint64_t *, sm->n_feats);
    for (uint32_t j = 0; j < sm->n_feats; j++) {
        if (sm->feat[j].n_bits[t])
            out->code[j] = pack_codes(&sm->feat[j], t, bit, out->n_words);
        bit += sm->feat[j].n_bits[t];
    }
    out->value = DUNE_NEW_N(uint64_t, (size_t)tr->n_leaves * out->n_words);
    out->mask = DUNE_NEW_N(uint64_t, (size_t)tr->n_leaves * out->n_words);
    for (uint32_t i = 0; i < tr->n_leaves; i++)
        for (uint32_t b = 0; b < tr->key_bits; b++) {
            char c = tr->match[(size_t)i * tr->key_bits + b];

            if (c != '*')
                set_bit(out->mask + (size_t)i * out->n_words, b);
            if (c == '1')
                set_bit(out->value + (size_t)i * out->n_words, b);
        }
}

void dune_ref_match_init(struct ref_match *m, const struct dune_submodel *sm)
{
    m->sm = sm;
    m->tree = DUNE_NEW_N(struct ref_tree, sm->n_trees);
    for (uint32_t t = 0; t < sm->n_trees; t++)
        pack_tree(&m->tree[t], sm, t);
}

void dune_ref_match_fini(struct ref_match *m)
{
    for (uint32_t t = 0; m->tree && t < m->sm->n_trees; t++) {
        for (uint32_t j = 0; j < m->sm->n_feats; j++)
            dune_mem_free(m->tree[t].code[j]);
        dune_mem_free(m->tree[t].code);
        dune_mem_free(m->tree[t].value);
        dune_mem_free(m->tree[t].mask);
    }
    dune_mem_free(m->tree);
    memset(m, 0, sizeof(*m));
}

static uint32_t find_range(const struct dune_plan_feature *f, uint32_t value)
{
    uint32_t r = 0;

    while (r + 1 < f->n_rows && (value < f->row[r].lo || value > f->row[r].hi))
        r++;
    return r;
}

static bool row_matches(const struct ref_tree *tr, uint32_t i, const uint64_t *key)
{
    const uint64_t *value = tr->value + (size_t)i * tr->n_words;
    const uint64_t *mask = tr->mask + (size_t)i * tr->n_words;

    for (uint32_t w = 0; w < tr->n_words; w++)
        if ((key[w] & mask[w]) != value[w])
            return false;
    return true;
}

static const struct dune_plan_leaf *find_leaf(const struct ref_match *m, const struct ref_tree *tr,
                                              const uint32_t *range)
{
    uint64_t key[DUNE_MAX_LEAVES / 64 + 1]; /* a tree has fewer thresholds than leaves */
    uint32_t i = 0;

    memset(key, 0, tr->n_words * sizeof(*key));
    for (uint32_t j = 0; j < m->sm->n_feats; j++)
        for (uint32_t w = 0; tr->code[j] && w < tr->n_words; w++)
            key[w] |= tr->code[j][(size_t)range[j] * tr->n_words + w];
    while (i + 1 < tr->n_leaves && !row_matches(tr, i, key))
        i++;
    return &tr->leaf[i];
}

void dune_ref_match_leaves(const struct ref_match *m, const uint32_t *features,
                           const struct dune_plan_leaf **leaf)
{
    uint32_t range[DUNE_N_FEATURES];

    for (uint32_t j = 0; j < m->sm->n_feats; j++)
        range[j] = find_range(&m->sm->feat[j], features[m->sm->feat[j].feat]);
    for (uint32_t t = 0; t < m->sm->n_trees; t++)
        leaf[t] = find_leaf(m, &m->tree[t], range);
}

struct dune_sub_answer dune_ref_match_answer(const struct ref_match *m, const uint32_t *features)
{
    const struct dune_plan_leaf *leaf[DUNE_MAX_TREES];

    dune_ref_match_leaves(m, features, leaf);
    return dune_plan_vote(leaf, m->sm->n_trees);
}
