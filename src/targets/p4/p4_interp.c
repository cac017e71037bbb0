/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The interpreter of emitted entries. It reads text, not the plan: what it answers is what a switch
 * with these entries answers. Numbers are byte strings of any length, compared from the right.
 */
#include "targets/p4/p4_interp_int.h"

#include <string.h>

enum { MAX_ROW = DUNE_N_FEATURES + 4 };

/* --- numbers ------------------------------------------------------------------------------------------ */

static uint8_t byte_at(struct p4_num a, uint32_t from_right)
{
    return from_right < a.n ? a.b[a.n - 1 - from_right] : 0;
}

static int compare(struct p4_num a, struct p4_num b)
{
    for (uint32_t i = DUNE_MAX(a.n, b.n); i-- > 0;)
        if (byte_at(a, i) != byte_at(b, i))
            return byte_at(a, i) < byte_at(b, i) ? -1 : 1;
    return 0;
}

static bool masked_equal(struct p4_num key, struct p4_num value, struct p4_num mask)
{
    for (uint32_t i = 0; i < DUNE_MAX(key.n, mask.n); i++)
        if ((byte_at(key, i) & byte_at(mask, i)) != byte_at(value, i))
            return false;
    return true;
}

static uint64_t small(struct p4_num a)
{
    uint64_t v = 0;

    for (uint32_t i = 0; i < 8; i++)
        v |= (uint64_t)byte_at(a, i) << (8 * i);
    return v;
}

/* "12", "0x00ff"; false: not a number. */
bool p4_num_parse(struct dune_p4_tables *t, const char *s, size_t len, struct p4_num *out)
{
    uint64_t v = 0;

    if (len > 2 && s[0] == '0' && s[1] == 'x') {
        out->n = (uint32_t)(len - 1) / 2;
        out->b = dune_arena_alloc(&t->arena, out->n, 1);
        for (size_t i = 0; i < len - 2; i++) {
            int digit = dune_hex_digit(s[len - 1 - i]);

            if (digit < 0)
                return false;
            out->b[out->n - 1 - i / 2] |= (uint8_t)(digit << (i % 2 * 4));
        }
        return true;
    }
    if (len == 0 || len > 19)
        return false;
    for (size_t i = 0; i < len; i++) {
        if (s[i] < '0' || s[i] > '9')
            return false;
        v = v * 10 + (uint64_t)(s[i] - '0');
    }
    out->n = 8;
    out->b = dune_arena_alloc(&t->arena, 8, 1);
    for (uint32_t i = 0; i < 8; i++)
        out->b[7 - i] = (uint8_t)(v >> (8 * i));
    return true;
}

/* --- tables ------------------------------------------------------------------------------------------- */

struct p4_table *p4_find_table(const struct dune_p4_tables *t, const char *name)
{
    for (size_t i = 0; i < t->len; i++)
        if (strcmp(t->data[i].name, name) == 0)
            return &t->data[i];
    return NULL;
}

struct p4_table *p4_table_get(struct dune_p4_tables *t, const char *name)
{
    struct p4_table one = {0}, *x = p4_find_table(t, name);

    if (x)
        return x;
    one.name = dune_arena_strdup(&t->arena, name);
    DUNE_VEC_PUSH(t, one);
    return &t->data[t->len - 1];
}

static bool row_matches(const struct p4_row *r, const struct p4_num *key, uint32_t n)
{
    for (uint32_t i = 0; i < n; i++) {
        const struct p4_cell *c = &r->cell[i];
        bool hit = c->kind == P4_EXACT   ? compare(key[i], c->value) == 0
                   : c->kind == P4_RANGE ? compare(key[i], c->value) >= 0 && compare(key[i], c->mask) <= 0
                                         : masked_equal(key[i], c->value, c->mask);

        if (!hit)
            return false;
    }
    return true;
}

/* The hit of the lowest priority number; *hits counts all. */
const struct p4_row *p4_look_up(const struct p4_table *x, const struct p4_num *key, uint32_t n,
                                    uint32_t *hits)
{
    const struct p4_row *best = NULL;

    *hits = 0;
    for (size_t i = 0; x && i < x->rows.len; i++) {
        const struct p4_row *r = &x->rows.data[i];

        if (r->n_cells != n || !row_matches(r, key, n))
            continue;
        ++*hits;
        if (!best || r->priority < best->priority)
            best = r;
    }
    return best;
}

static const struct p4_row *look_up_small(const struct dune_p4_tables *t, const char *name, uint64_t a,
                                          uint64_t b, uint32_t n)
{
    uint8_t bytes[2][8];
    struct p4_num key[2] = {{bytes[0], 8}, {bytes[1], 8}};
    uint32_t hits;

    for (int i = 0; i < 8; i++) {
        bytes[0][7 - i] = (uint8_t)(a >> (8 * i));
        bytes[1][7 - i] = (uint8_t)(b >> (8 * i));
    }
    return p4_look_up(p4_find_table(t, name), key, n, &hits);
}

uint64_t p4_row_value(const struct p4_row *r, uint32_t i)
{
    return r && i < r->n_params ? small(r->param[i].value) : 0;
}

/* --- parsing the runtime CLI ---------------------------------------------------------------------------- */

static bool next_word(const char **p, const char *end, const char **word, size_t *len)
{
    while (*p < end && **p == ' ')
        ++*p;
    *word = *p;
    while (*p < end && **p != ' ')
        ++*p;
    *len = (size_t)(*p - *word);
    return *len > 0;
}

static bool parse_cell(struct dune_p4_tables *t, const char *s, size_t len, struct p4_cell *c)
{
    const char *amp = memmem(s, len, "&&&", 3), *arrow = memmem(s, len, "->", 2);
    const char *cut = amp ? amp : arrow;
    size_t skip = amp ? 3 : 2;

    c->kind = amp ? P4_TERNARY : arrow ? P4_RANGE : P4_EXACT;
    if (!cut)
        return p4_num_parse(t, s, len, &c->value);
    return p4_num_parse(t, s, (size_t)(cut - s), &c->value) &&
           p4_num_parse(t, cut + skip, len - (size_t)(cut - s) - skip, &c->mask);
}

static void keep_row(struct dune_p4_tables *t, struct p4_table *x, const struct p4_row *r)
{
    struct p4_row copy = *r;

    copy.cell = dune_arena_alloc(&t->arena, r->n_cells + 1u, sizeof(*copy.cell));
    copy.param = dune_arena_alloc(&t->arena, r->n_params + 1u, sizeof(*copy.param));
    memcpy(copy.cell, r->cell, r->n_cells * sizeof(*copy.cell));
    memcpy(copy.param, r->param, r->n_params * sizeof(*copy.param));
    DUNE_VEC_PUSH(&x->rows, copy);
}

void p4_row_add(struct dune_p4_tables *t, struct p4_table *x, const struct p4_row *r)
{
    keep_row(t, x, r);
}

/* table_add TABLE ACTION key... => param... [priority] */
static bool parse_line(struct dune_p4_tables *t, const char *p, const char *end)
{
    struct p4_cell cell[MAX_ROW];
    struct p4_row_param value[MAX_ROW];
    struct p4_row row = {.cell = cell, .param = value};
    const char *word;
    char name[128];
    size_t len;
    bool set_default, ranked = false;

    if (!next_word(&p, end, &word, &len))
        return true;
    set_default = len == 17 && memcmp(word, "table_set_default", 17) == 0;
    if (!set_default && (len != 9 || memcmp(word, "table_add", 9) != 0))
        return false;
    if (!next_word(&p, end, &word, &len) || len < 12 || len - 12 >= sizeof(name) ||
        memcmp(word, "DuneIngress.", 12) != 0)
        return false;
    snprintf(name, sizeof(name), "%.*s", (int)(len - 12), word + 12);
    if (!next_word(&p, end, &word, &len)) /* the action: each table has one that entries use */
        return false;
    while (!set_default && next_word(&p, end, &word, &len) && (len != 2 || memcmp(word, "=>", 2) != 0)) {
        if (row.n_cells == MAX_ROW || !parse_cell(t, word, len, &cell[row.n_cells]))
            return false;
        ranked |= cell[row.n_cells++].kind != P4_EXACT;
    }
    while (next_word(&p, end, &word, &len)) {
        if (row.n_params == MAX_ROW || !p4_num_parse(t, word, len, &value[row.n_params].value))
            return false;
        value[row.n_params].tree = row.n_params;
        row.n_params++;
    }
    if (ranked && row.n_params == 0)
        return false;
    if (ranked)
        row.priority = (uint32_t)small(value[--row.n_params].value);
    keep_row(t, p4_table_get(t, name), &row);
    return true;
}

static int parse_cli(struct dune_p4_tables *t, const char *name, const char *text, size_t len,
                     struct dune_diag *d)
{
    const char *p = text, *end = text + len;

    for (uint64_t line = 1; p < end; line++) {
        const char *stop = memchr(p, '\n', (size_t)(end - p));

        stop = stop ? stop : end;
        if (*p != '#' && !parse_line(t, p, stop))
            return dune_diag_set_line(d, DUNE_E_FORMAT, name, line,
                                      "want table_add TABLE ACTION KEY... => VALUE... [PRIORITY]");
        p = stop + 1;
    }
    return 0;
}

/* --- what the program does with them --------------------------------------------------------------------- */

/* "sub_2.f_len_max": sub-model 2, feature len.max. */
static void note_table(struct dune_p4_tables *t, uint32_t i)
{
    unsigned k, tree;
    char ident[32], want[32];

    if (sscanf(t->data[i].name, "sub_%u.", &k) != 1 || k >= DUNE_MAX_SUBMODELS)
        return;
    t->n_sub = DUNE_MAX(t->n_sub, k + 1);
    if (sscanf(t->data[i].name, "sub_%*u.t_%u", &tree) == 1 && tree < DUNE_P4_MAX_TREES) {
        t->sub[k].n_trees = DUNE_MAX(t->sub[k].n_trees, tree + 1);
    } else if (sscanf(t->data[i].name, "sub_%*u.f_%31s", ident) == 1) {
        for (uint8_t f = 0; f < DUNE_N_FEATURES; f++) {
            p4_ident(want, f);
            if (strcmp(want, ident) == 0 && t->sub[k].n_feats < DUNE_N_FEATURES) {
                t->sub[k].table[t->sub[k].n_feats] = i;
                t->sub[k].feat[t->sub[k].n_feats++] = f;
            }
        }
    }
}

int dune_p4_tables_parse(struct dune_p4_tables **out, enum dune_p4_arch arch, const char *name,
                         const char *text, size_t len, struct dune_diag *d)
{
    struct dune_p4_tables *t = DUNE_NEW(struct dune_p4_tables);
    int rc;

    t->arch = arch;
    rc = arch == DUNE_P4_TNA ? p4_parse_bfrt(t, name, text, len, d) : parse_cli(t, name, text, len, d);
    if (rc) {
        dune_p4_tables_free(t);
        *out = NULL;
        return rc;
    }
    for (uint32_t i = 0; i < t->len; i++)
        note_table(t, i);
    *out = t;
    return 0;
}

void dune_p4_tables_free(struct dune_p4_tables *t)
{
    if (!t)
        return;
    for (size_t i = 0; i < t->len; i++)
        DUNE_VEC_FREE(&t->data[i].rows);
    DUNE_VEC_FREE(t);
    dune_arena_fini(&t->arena);
    dune_mem_free(t);
}

uint32_t dune_p4_tables_submodels(const struct dune_p4_tables *t)
{
    return t->n_sub;
}

void dune_p4_tables_claim(struct dune_p4_tables *t, enum dune_claim_rule rule)
{
    t->first_claim = rule == DUNE_CLAIM_FIRST;
}

void dune_p4_tables_point(const struct dune_p4_tables *t, uint32_t g, uint32_t k, uint32_t *id, uint32_t *n)
{
    char name[32];
    const struct p4_row *r;

    if (t->arch == DUNE_P4_TNA) {
        p4_tna_point(t, g, k, id, n);
        return;
    }
    snprintf(name, sizeof(name), "sub_%u.model", k);
    r = look_up_small(t, name, g, 0, 1);
    *id = (uint32_t)p4_row_value(r, 0);
    *n = r && r->n_params > 1 ? (uint32_t)p4_row_value(r, 1) : UINT32_MAX; /* none: no packet reaches it */
}

/* The leaf of tree i: the words of its features, in order, are the key. */
static int ask_tree(const struct dune_p4_tables *t, uint32_t g, uint32_t k, uint32_t tree,
                    const struct p4_row *const *hit, struct dune_plan_leaf *leaf, struct dune_diag *d)
{
    uint8_t g_byte = (uint8_t)g;
    struct p4_num key[MAX_ROW] = {{&g_byte, 1}};
    const struct p4_row *r;
    uint32_t n = 1, hits;
    char name[32];

    for (uint32_t j = 0; j < t->sub[k].n_feats; j++)
        for (uint32_t i = 0; i < hit[j]->n_params; i++)
            if (hit[j]->param[i].tree == tree && n < MAX_ROW)
                key[n++] = hit[j]->param[i].value;
    snprintf(name, sizeof(name), "sub_%u.t_%u", k, tree);
    r = p4_look_up(p4_find_table(t, name), key, n, &hits);
    if (hits != 1)
        return dune_diag_set(d, DUNE_E_INTERNAL, NULL, "%s: %u rows match", name, hits);
    *leaf = (struct dune_plan_leaf){(uint8_t)p4_row_value(r, 0), (uint8_t)p4_row_value(r, 1), (uint8_t)p4_row_value(r, 2),
                                    (uint8_t)p4_row_value(r, 3)};
    return 0;
}

/* The trees that a vote table names for these classes. Class 0 takes no part (own winner only). */
static uint32_t winners(const struct dune_p4_tables *t, uint32_t k, uint32_t n, const uint8_t *cls, bool own)
{
    uint8_t bit[64] = {0};
    struct p4_num key[64];
    uint32_t n_key = 0, hits;
    const struct p4_row *r;
    char name[32];

    for (uint32_t i = 0; i < n && own; i++)
        bit[n_key++] = cls[i] != 0;
    for (uint32_t i = 0; i < n; i++)
        for (uint32_t j = i + 1; j < n; j++)
            bit[n_key++] = cls[i] && cls[i] == cls[j];
    for (uint32_t i = 0; i < n_key; i++)
        key[i] = (struct p4_num){&bit[i], 1};
    snprintf(name, sizeof(name), "sub_%u.%s", k, own ? "own_winner" : "winner");
    r = p4_look_up(p4_find_table(t, name), key, n_key, &hits);
    return (uint32_t)p4_row_value(r, 0);
}

static struct dune_sub_answer vote(const struct dune_p4_tables *t, uint32_t k, uint32_t n,
                                   const struct dune_plan_leaf *leaf)
{
    struct dune_sub_answer a = {0};
    uint8_t cls[DUNE_P4_MAX_TREES], own[DUNE_P4_MAX_TREES];
    uint32_t mask;

    for (uint32_t i = 0; i < n; i++) {
        cls[i] = leaf[i].cls;
        own[i] = leaf[i].cls == DUNE_PLAN_OTHER ? leaf[i].own : 0;
    }
    mask = n == 1 ? 1 : winners(t, k, n, cls, false);
    for (uint32_t i = 0; i < n; i++)
        if (mask >> i & 1) {
            a.cls = cls[i];
            a.conf = (uint8_t)(a.conf + leaf[i].conf);
        }
    a.claim = a.cls != DUNE_PLAN_OTHER;
    if (a.claim)
        return a;
    a.cls = a.conf = 0;
    mask = n == 1 ? own[0] != 0 : winners(t, k, n, own, true);
    for (uint32_t i = 0; i < n; i++)
        if (mask >> i & 1) {
            a.cls = own[i];
            a.conf = (uint8_t)(a.conf + leaf[i].own_conf);
        }
    return a;
}

int dune_p4_tables_answer(const struct dune_p4_tables *t, uint32_t g, uint32_t k, const uint32_t *features,
                          struct dune_sub_answer *a, struct dune_diag *d)
{
    const struct p4_row *hit[DUNE_N_FEATURES];
    struct dune_plan_leaf leaf[DUNE_P4_MAX_TREES];
    int rc = 0;

    if (t->arch == DUNE_P4_TNA)
        return p4_tna_answer(t, g, k, features, a, d);
    for (uint32_t j = 0; j < t->sub[k].n_feats; j++) {
        uint32_t v = features[t->sub[k].feat[j]], hits;
        uint8_t b[4] = {(uint8_t)(v >> 24), (uint8_t)(v >> 16), (uint8_t)(v >> 8), (uint8_t)v};
        uint8_t g_byte = (uint8_t)g;
        struct p4_num key[2] = {{&g_byte, 1}, {b, 4}};
        const struct p4_table *x = &t->data[t->sub[k].table[j]];

        hit[j] = p4_look_up(x, key, 2, &hits);
        /* Ternary covers of wide features are in threshold order: the first row of several counts. */
        if (!hit[j] || (hits != 1 && hit[j]->cell[1].kind == P4_RANGE))
            return dune_diag_set(d, DUNE_E_INTERNAL, NULL, "%s: %u rows match %u", x->name, hits, v);
    }
    for (uint32_t i = 0; i < t->sub[k].n_trees && rc == 0; i++)
        rc = ask_tree(t, g, k, i, hit, &leaf[i], d);
    if (rc == 0)
        *a = vote(t, k, t->sub[k].n_trees, leaf);
    return rc;
}

/* --- steps 7 and 8 ------------------------------------------------------------------------------------------ */

static bool is_better(const struct dune_sub_answer *a, uint32_t id, const struct dune_shim *s)
{
    bool tentative = s->flags & DUNE_SHIM_TENTATIVE;

    if (a->cls == 0 || s->cls == 0)
        return a->cls != 0;
    if (a->claim == tentative)
        return a->claim;
    return a->conf != s->conf ? a->conf > s->conf : id < s->submodel;
}

static void carry(struct dune_shim *s, const struct dune_sub_answer *a, uint32_t id, bool fl)
{
    s->cls = a->cls;
    s->conf = a->conf;
    s->submodel = (uint8_t)id;
    s->flags &= (uint8_t)~(DUNE_SHIM_TENTATIVE | DUNE_SHIM_FL);
    s->flags |= (uint8_t)((a->claim ? 0 : DUNE_SHIM_TENTATIVE) | (fl ? DUNE_SHIM_FL : 0));
}

static void finish(const struct dune_p4_tables *t, uint32_t g, uint32_t k, const struct p4_row *settings,
                   struct dune_shim *s)
{
    char name[32];

    snprintf(name, sizeof(name), "sub_%u.limits", k);
    if (!p4_find_table(t, name) || s->flags & DUNE_SHIM_FINAL)
        return;
    if (s->conf < p4_row_value(look_up_small(t, name, g, s->cls, 2), 0) ||
        (s->flags & DUNE_SHIM_TENTATIVE && !p4_row_value(settings, 3))) {
        s->cls = 0;
        s->flags &= (uint8_t)~DUNE_SHIM_TENTATIVE;
    }
    s->flags |= DUNE_SHIM_FINAL;
}

int dune_p4_tables_combine(const struct dune_p4_tables *t, uint32_t g, uint32_t k,
                           const struct dune_sub_answer *a, bool fl, uint64_t count,
                           struct dune_shim *s, struct dune_diag *d)
{
    const struct p4_row *settings, *bar;
    uint32_t id, n;
    char name[32];

    if (t->arch == DUNE_P4_TNA)
        return p4_tna_combine(t, g, k, a, fl, count, s, d);
    settings = look_up_small(t, "arrive.generations", s->generation, 0, 1);
    if (!settings)
        return dune_diag_set(d, DUNE_E_INPUT, NULL, "no entry for generation %u", s->generation);
    if (s->flags & DUNE_SHIM_FINAL)
        return 0;
    dune_p4_tables_point(t, g, k, &id, &n);
    if (count < n)
        s->flags &= (uint8_t)~DUNE_SHIM_SETTLED;
    snprintf(name, sizeof(name), "sub_%u.bars", k);
    if (a && !p4_find_table(t, name) && a->claim) { /* claim rule first */
        carry(s, a, id, fl);
        s->flags |= DUNE_SHIM_FINAL;
    } else if (a && p4_find_table(t, name)) {
        if (is_better(a, id, s))
            carry(s, a, id, fl);
        bar = look_up_small(t, name, g, s->cls, 2);
        if (s->cls && !(s->flags & DUNE_SHIM_TENTATIVE) &&
            s->conf >= (bar ? p4_row_value(bar, 0) : p4_row_value(settings, 2)))
            s->flags |= DUNE_SHIM_FINAL;
    }
    finish(t, g, k, settings, s);
    return 0;
}
