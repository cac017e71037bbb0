/* SPDX-License-Identifier: Apache-2.0 */
/* Growth of one tree: which node is split next, and what becomes of its rows. */
#include "forest/forest_int.h"

#include <string.h>

/* A node that may still be split. */
struct pending {
    uint32_t id, depth;
    size_t begin, end; /* its rows in grow.item */
    uint64_t path;     /* key of its random draws */
    uint64_t constant; /* columns known to have one value, see struct dune_part */
    struct dune_bin_hist *kept; /* owned; NULL: none */
    struct dune_near *near;     /* where the codes of its rows are; NULL: in the table */
    uint16_t *code;  /* owned: codes of the column of the cut, in the order of the rows; NULL: look at the rows */
    struct dune_cut cut;
    struct dune_gain gain;
    uint32_t same;  /* the node of an earlier growth with the same rows, or DUNE_NO_NODE */
    bool same_cut;  /* and that was cut as this one will be */
};
struct grow {
    struct dune_grow_job *job;
    struct dune_item *item, *spare; /* spare: room for partitioning */
    size_t n_items;    /* of the tree */
    uint64_t weight;   /* of them */
    struct dune_tree *tree;
    uint32_t cap_nodes;
    DUNE_VEC(struct pending) open; /* heap (best-first) or stack (depth-first) */
    struct dune_row_search rows;
    struct dune_bin_search *bins; /* NULL: weights are too large for it */
    uint32_t *column;             /* [n_cols] 0, 1, ... */
    uint32_t *draw;               /* [n_cols] the same while nothing is drawn */
    uint32_t *try;                /* [n_cols] drawn and not known to be constant */
    uint32_t want;                /* columns looked at per node */
    struct dune_codes table;      /* codes of the whole table */
    const struct dune_grown_tree *from; /* the earlier growth, or NULL */
    const struct dune_tree *from_tree;
};
static uint32_t new_node(struct grow *g, uint32_t parent)
{
    struct dune_tree *t = g->tree;
    uint32_t k = g->job->n_classes;

    if (t->n_nodes == g->cap_nodes) {
        g->cap_nodes = g->cap_nodes ? g->cap_nodes * 2 : 64;
        t->node = dune_mem_realloc(t->node, g->cap_nodes, sizeof(*t->node));
        t->hist = dune_mem_realloc(t->hist, (size_t)g->cap_nodes * k, sizeof(*t->hist));
    }
    t->node[t->n_nodes] = (struct dune_node){.feat = -1, .parent = parent};
    memset(t->hist + (size_t)t->n_nodes * k, 0, k * sizeof(*t->hist));
    return t->n_nodes++;
}

static void add_rows(struct grow *g, uint32_t id, size_t begin, size_t end)
{
    uint64_t *h = g->tree->hist + (size_t)id * g->job->n_classes;

    for (size_t i = begin; i < end; i++)
        h[g->item[i].cls] += g->item[i].w;
}

static dune_u128 squares(const uint64_t *h, uint32_t n)
{
    dune_u128 s = 0;

    for (uint32_t c = 0; c < n; c++)
        s += (dune_u128)h[c] * h[c];
    return s;
}

static uint64_t total(const uint64_t *h, uint32_t n)
{
    uint64_t s = 0;

    for (uint32_t c = 0; c < n; c++)
        s += h[c];
    return s;
}

static uint32_t draws_wanted(const struct dune_grow_job *job)
{
    uint32_t k = 1;

    if (!job->cfg->sqrt_features)
        return job->n_cols;
    while ((k + 1) * (k + 1) <= job->n_cols)
        k++;
    return k;
}

static bool search(struct grow *g, const struct dune_part *part, const uint32_t *col, uint32_t n,
                   struct dune_cut *best)
{
    bool found = false;

    if (g->bins)
        return part->n > g->job->tune.few_rows ? dune_search_bins(g->bins, part, col, n, best)
                                               : dune_search_few(g->job, part, col, n, best);
    for (uint32_t i = 0; i < n; i++)
        found |= dune_search_rows(&g->rows, part, col[i], best);
    return found;
}

/* What the search has read of the column of the cut, for the partition. */
static void keep_codes(const struct grow *g, struct pending *p)
{
    const uint16_t *code = dune_bin_search_codes(g->bins, p->cut.feat);
    size_t n = p->end - p->begin;

    if (!code)
        return;
    p->code = dune_mem_alloc(n, sizeof(*p->code));
    memcpy(p->code, code, n * sizeof(*p->code));
}

/* Fills p->cut; feat stays -1 where the node has to stay a leaf. */
static void find_cut(struct grow *g, struct pending *p)
{
    const struct dune_grow_job *job = g->job;
    struct dune_part part = {.item = g->item + p->begin, .n = p->end - p->begin,
                             .hist = g->tree->hist + (size_t)p->id * job->n_classes,
                             .constant = &p->constant, .n_tree = g->n_items,
                             .kept = g->want == job->n_cols ? &p->kept : NULL};
    uint32_t want = g->want, done = 0;
    struct dune_rng rng;
    bool found = false;

    p->cut = (struct dune_cut){.feat = -1};
    part.all = total(part.hist, job->n_classes);
    part.squares = squares(part.hist, job->n_classes);
    if (part.squares == (dune_u128)part.all * part.all ||
        (job->cfg->max_depth && p->depth >= job->cfg->max_depth) || part.all / 2 < job->cfg->min_leaf_weight)
        return;
    if (want < job->n_cols) {
        memcpy(g->draw, g->column, job->n_cols * sizeof(*g->draw));
        dune_rng_init(&rng, job->cfg->seed, job->tree, p->path, 0);
    }
    while (done < job->n_cols && !found) {
        uint32_t n = 0;

        for (uint32_t i = done; i < want && want < job->n_cols; i++) {
            uint32_t j = i + (uint32_t)dune_rng_below(&rng, job->n_cols - i), d = g->draw[j];

            g->draw[j] = g->draw[i];
            g->draw[i] = d;
        }
        for (uint32_t i = done; i < want; i++)
            if (g->draw[i] >= 64 || !(p->constant >> g->draw[i] & 1))
                g->try[n++] = g->draw[i];
        found = n && search(g, &part, g->try, n, &p->cut);
        done = want++;
    }
    if (!found)
        return;
    dune_gain_make(&p->gain, &p->cut, part.squares);
    if (g->bins && part.n > job->tune.few_rows && p->cut.edge >= 0)
        keep_codes(g, p);
}

/* a is to be split before b. */
static bool before(const struct pending *a, const struct pending *b)
{
    int c = dune_gain_cmp(&a->gain, &b->gain);

    return c ? c > 0 : a->id < b->id;
}

static void heap_push(struct grow *g, const struct pending *p)
{
    size_t i = g->open.len;

    DUNE_VEC_PUSH(&g->open, *p);
    for (; i && before(p, &g->open.data[(i - 1) / 2]); i = (i - 1) / 2)
        g->open.data[i] = g->open.data[(i - 1) / 2];
    g->open.data[i] = *p;
}

static void heap_pop(struct grow *g, struct pending *out)
{
    struct pending *h = g->open.data, last;
    size_t i = 0, n;

    *out = h[0];
    last = h[--g->open.len];
    n = g->open.len;
    for (;;) {
        size_t c = 2 * i + 1;

        if (c + 1 < n && before(&h[c + 1], &h[c]))
            c++;
        if (c >= n || !before(&h[c], &last))
            break;
        h[i] = h[c];
        i = c;
    }
    if (n)
        h[i] = last;
}

/* Class weights of both children: rows of the smaller one, the other is the rest. */
static void count_children(struct grow *g, uint32_t parent, const struct pending child[2], uint32_t small)
{
    uint32_t k = g->job->n_classes;
    uint64_t *rest = g->tree->hist + (size_t)child[!small].id * k;
    const uint64_t *all = g->tree->hist + (size_t)parent * k;
    const uint64_t *part = g->tree->hist + (size_t)child[small].id * k;

    add_rows(g, child[small].id, child[small].begin, child[small].end);
    for (uint32_t c = 0; c < k; c++)
        rest[c] = all[c] - part[c];
}

/* The children inherit the histograms where that is cheaper than counting both. */
static void hand_down(struct grow *g, struct pending *p, struct pending child[2], uint32_t small)
{
    struct pending *s = &child[small], *l = &child[!small];

    if (p->kept && dune_bin_hist_pays(p->kept, l->end - l->begin, g->n_items)) {
        s->kept = dune_bin_hist_split(p->kept, g->job, g->item + s->begin, s->end - s->begin);
        l->kept = p->kept;
    } else {
        dune_bin_hist_free(p->kept);
    }
    p->kept = NULL;
}

static void make_children(struct grow *g, const struct pending *p, size_t middle, struct pending child[2])
{
    for (uint32_t s = 0; s < 2; s++)
        child[s] = (struct pending){.id = new_node(g, p->id), .depth = p->depth + 1,
                                    .begin = s ? middle : p->begin, .end = s ? p->end : middle,
                                    .path = dune_mix64(p->path, s + 1), .constant = p->constant,
                                    .near = dune_near_share(p->near), .same = DUNE_NO_NODE};
}

static void note_split(struct grow *g, const struct pending *p, const struct pending child[2])
{
    g->tree->node[p->id].feat = p->cut.feat;
    g->tree->node[p->id].threshold = p->cut.threshold;
    g->tree->node[p->id].left = child[0].id;
    g->tree->node[p->id].right = child[1].id;
}

/* A split that an earlier growth made: its rows lie as it left them, its children are known. */
static void repeat_split(struct grow *g, struct pending *p, struct pending child[2])
{
    const struct dune_node *old = &g->from_tree->node[p->same];
    uint32_t k = g->job->n_classes, of[2] = {old->left, old->right};

    make_children(g, p, g->from->node[old->right].begin, child);
    for (int s = 0; s < 2; s++) {
        child[s].same = of[s];
        memcpy(g->tree->hist + (size_t)child[s].id * k, g->from_tree->hist + (size_t)of[s] * k,
               k * sizeof(*g->tree->hist));
    }
    p->cut.threshold = old->threshold;
    note_split(g, p, child);
}

/* Searches and partitions read codes through the job: those near the node's rows, or the table. */
static void look_near(struct grow *g, const struct pending *p)
{
    g->job->codes = p->near ? p->near->codes : g->table;
    g->job->global = p->near ? p->near->global : NULL;
}

static void split(struct grow *g, struct pending *p, struct pending child[2])
{
    size_t middle;
    uint32_t small;

    if (p->same_cut && g->from_tree->node[p->same].feat >= 0) {
        repeat_split(g, p, child);
        dune_near_drop(p->near);
        return;
    }
    look_near(g, p);
    middle = p->begin + dune_cut_rows(g->job, g->item + p->begin, g->spare, p->end - p->begin, p->code, &p->cut);
    dune_mem_free(p->code);
    p->code = NULL;
    small = middle - p->begin > p->end - middle;

    make_children(g, p, middle, child);
    count_children(g, p->id, child, small);
    hand_down(g, p, child, small);
    note_split(g, p, child);
    dune_near_drop(p->near);
}

/* The best cut among more columns is the best among fewer, if its column is still there; and where there
 * was none there is none now. */
static bool known_cut(const struct grow *g, struct pending *p)
{
    const struct dune_grown_node *old;

    if (p->same == DUNE_NO_NODE || !g->from->node[p->same].searched)
        return false;
    old = &g->from->node[p->same];
    p->cut = old->cut;
    p->gain = old->gain;
    if (p->cut.feat >= 0)
        p->cut.feat = g->job->column_of[p->cut.feat];
    p->same_cut = p->cut.feat >= 0;
    return p->same_cut || old->cut.feat < 0;
}

static void come_near(struct grow *g, struct pending *p)
{
    struct dune_near *from = p->near;

    look_near(g, p);
    if (!g->bins || !dune_near_pays(from, p->end - p->begin, g->job))
        return;
    p->near = dune_near_new(from, g->job, g->item + p->begin, p->end - p->begin);
    dune_near_drop(from);
    look_near(g, p);
}

/* A node that stays a leaf. */
static void leave(struct grow *g, struct pending *p)
{
    if (p->near && g->job->note) /* rows are handed on as rows of the table */
        for (size_t i = p->begin; i < p->end; i++)
            g->item[i].row = p->near->global[g->item[i].row];
    dune_near_drop(p->near);
    dune_bin_hist_free(p->kept);
    dune_mem_free(p->code);
    p->near = NULL;
    p->kept = NULL;
    p->code = NULL;
}

/* Looks for the cut of a node; false where it has to stay a leaf. */
static bool open_node(struct grow *g, struct pending *p)
{
    if (!known_cut(g, p)) {
        come_near(g, p);
        find_cut(g, p);
    }
    if (g->job->note)
        dune_grown_note(g->job->note, p->id, p->begin, p->end, &p->cut, &p->gain);
    if (p->kept && (p->cut.feat < 0 || !dune_bin_hist_pays(p->kept, p->end - p->begin, g->n_items))) {
        dune_bin_hist_free(p->kept);
        p->kept = NULL;
    }
    if (p->cut.feat < 0)
        leave(g, p);
    return p->cut.feat >= 0;
}

/* Processes that grow a tree together must leave it together. */
static bool is_stopped(const struct grow *g)
{
    return g->job->together ? *g->job->stopped : dune_interrupted();
}

static int grow_best_first(struct grow *g, struct pending *root)
{
    struct pending p, child[2];
    uint32_t leaves = 1;

    if (open_node(g, root))
        heap_push(g, root);
    while (g->open.len && leaves < g->job->cfg->max_leaves) {
        if (is_stopped(g))
            return DUNE_E_INTERRUPTED;
        heap_pop(g, &p);
        if (++leaves == g->job->cfg->max_leaves) { /* nobody asks the last children */
            dune_bin_hist_free(p.kept);
            p.kept = NULL;
        }
        split(g, &p, child);
        for (int s = 0; s < 2 && leaves < g->job->cfg->max_leaves; s++)
            if (open_node(g, &child[s]))
                heap_push(g, &child[s]);
        for (int s = 0; s < 2 && leaves == g->job->cfg->max_leaves; s++) {
            if (g->job->note)
                dune_grown_note(g->job->note, child[s].id, child[s].begin, child[s].end, NULL, NULL);
            leave(g, &child[s]);
        }
    }
    return 0;
}

/* Splits a node that was taken out of the open ones and opens its children, the left one last. */
static void split_taken(struct grow *g, struct pending *p)
{
    struct pending child[2];

    split(g, p, child);
    for (int s = 1; s >= 0; s--)
        if (open_node(g, &child[s]))
            DUNE_VEC_PUSH(&g->open, child[s]);
}

/* Grows what is open, the left side first. */
static int grow_open(struct grow *g)
{
    while (g->open.len) {
        struct pending p;

        if (is_stopped(g))
            return DUNE_E_INTERRUPTED;
        p = g->open.data[--g->open.len];
        split_taken(g, &p);
    }
    return 0;
}

static void take_rows(struct grow *g)
{
    const struct dune_grow_job *job = g->job;

    if (g->from) {
        g->n_items = g->from->n_items;
        g->item = dune_work_alloc(g->n_items, sizeof(*g->item));
        memcpy(g->item, g->from->item, g->n_items * sizeof(*g->item));
        return;
    }
    g->item = dune_work_alloc(job->n_rows, sizeof(*g->item));
    for (size_t r = 0; r < job->n_rows; r++)
        if (job->w[r])
            g->item[g->n_items++] = (struct dune_item){job->w[r], (uint32_t)r, job->cls[r], 0};
}

/* The rows, in the order in which the nodes have them, are left for a growth on fewer columns. */
static void leave_rows(struct grow *g)
{
    if (!g->job->note)
        return;
    g->job->note->item = g->item;
    g->job->note->n_items = g->n_items;
    g->item = NULL;
}

/* What it takes to search and divide nodes of up to n rows. */
static void open_tools(struct grow *g, size_t n)
{
    const struct dune_grow_job *job = g->job;

    g->rows = (struct dune_row_search){
        .job = job, .key = dune_work_alloc(n, sizeof(uint64_t)),
        .tmp = dune_work_alloc(n, sizeof(uint64_t)), .left = DUNE_NEW_N(uint64_t, job->n_classes),
        .right = DUNE_NEW_N(uint64_t, job->n_classes)};
    if (g->weight < DUNE_BIN_WEIGHT && !job->tune.plain)
        g->bins = dune_bin_search_new(job, g->rows.key, g->rows.tmp, n, draws_wanted(job));
    g->want = draws_wanted(job);
    g->column = DUNE_NEW_N(uint32_t, job->n_cols);
    g->draw = DUNE_NEW_N(uint32_t, job->n_cols);
    g->try = DUNE_NEW_N(uint32_t, job->n_cols);
    for (uint32_t i = 0; i < job->n_cols; i++)
        g->column[i] = g->draw[i] = i;
}

/* Also gives up the nodes that are still open. */
static void close_tools(struct grow *g)
{
    for (size_t i = 0; i < g->open.len; i++)
        leave(g, &g->open.data[i]);
    dune_work_free(g->rows.key);
    dune_work_free(g->rows.tmp);
    dune_mem_free(g->rows.left);
    dune_mem_free(g->rows.right);
    dune_bin_search_free(g->bins);
    dune_mem_free(g->column);
    dune_mem_free(g->draw);
    dune_mem_free(g->try);
    DUNE_VEC_FREE(&g->open);
}

static void start(struct grow *g)
{
    take_rows(g);
    for (size_t i = 0; i < g->n_items; i++)
        g->weight += g->item[i].w;
    g->spare = dune_work_alloc(g->n_items, sizeof(*g->spare));
    open_tools(g, g->n_items);
}

/* --- one deep tree by several threads --------------------------------------------------------------- */
/*
 * What grows below a node depends on nothing beside it. So once the large nodes are split, the subtrees below grow at the
 * same time, each as a tree of its own, and at the end all nodes get the numbers that one thread would have given them.
 */
struct part {
    struct grow g;
    struct dune_grow_job job;
    struct dune_tree tree;
    struct pending root; /* id: its node in the top of the tree */
    int rc;
};

enum { PARTS_A_THREAD = 8 };

static bool pays_to_share(const struct grow *g)
{
    return g->job->threads > 1 && !g->job->together && g->n_items >= g->job->tune.split_rows;
}

/* Splits the largest nodes until none has more than its share of the rows. */
static int grow_top(struct grow *g)
{
    size_t share = g->n_items / (PARTS_A_THREAD * (size_t)g->job->threads);

    for (;;) {
        size_t largest = 0, rows = share;
        struct pending p;

        for (size_t i = 0; i < g->open.len; i++)
            if (g->open.data[i].end - g->open.data[i].begin > rows) {
                rows = g->open.data[i].end - g->open.data[i].begin;
                largest = i;
            }
        if (rows == share)
            return 0;
        if (is_stopped(g))
            return DUNE_E_INTERRUPTED;
        p = g->open.data[largest];
        g->open.data[largest] = g->open.data[--g->open.len];
        split_taken(g, &p);
    }
}

static void grow_part(void *ctx, size_t i)
{
    struct part *k = (struct part *)ctx + i;
    struct grow *g = &k->g;
    struct pending root = k->root;

    open_tools(g, root.end - root.begin);
    root.id = 0; /* searched already */
    DUNE_VEC_PUSH(&g->open, root);
    k->rc = grow_open(g);
    close_tools(g);
}

static void start_part(struct part *k, const struct grow *g, const struct pending *root)
{
    uint32_t n = g->job->n_classes;

    k->root = *root;
    k->job = *g->job;
    k->job.threads = 1;
    k->job.codes = g->table;
    k->job.global = NULL;
    k->g = (struct grow){.job = &k->job, .item = g->item, .spare = g->spare + root->begin, .n_items = g->n_items,
                         .weight = g->weight, .tree = &k->tree, .table = g->table};
    new_node(&k->g, UINT32_MAX);
    memcpy(k->tree.hist, g->tree->hist + (size_t)root->id * n, n * sizeof(*k->tree.hist));
}

/* A node of the top, or of a part, and its number in the whole tree. */
struct place {
    const struct dune_tree *tree;
    uint32_t id, whole;
};

/* All nodes as growth by one thread numbers them: children when their parent is split, the left side first. */
static void join_parts(struct grow *g, const struct part *part, size_t n_parts)
{
    struct dune_tree top = *g->tree, *whole = g->tree;
    const struct part **below = DUNE_NEW_N(const struct part *, top.n_nodes);
    uint32_t k = g->job->n_classes;
    DUNE_VEC(struct place) open = {0};

    *whole = (struct dune_tree){0};
    g->cap_nodes = 0;
    for (size_t i = 0; i < n_parts; i++)
        below[part[i].root.id] = &part[i];
    new_node(g, UINT32_MAX);
    DUNE_VEC_PUSH(&open, ((struct place){&top, 0, 0}));
    while (open.len) {
        struct place at = open.data[--open.len];
        const struct dune_node *v;

        if (at.tree == &top && below[at.id])
            at = (struct place){&below[at.id]->tree, 0, at.whole};
        v = &at.tree->node[at.id];
        memcpy(whole->hist + (size_t)at.whole * k, at.tree->hist + (size_t)at.id * k, k * sizeof(*whole->hist));
        if (v->feat < 0)
            continue;
        for (int s = 0; s < 2; s++)
            new_node(g, at.whole);
        whole->node[at.whole] = (struct dune_node){.feat = v->feat, .threshold = v->threshold, .parent = whole->node[at.whole].parent,
                                                   .left = whole->n_nodes - 2, .right = whole->n_nodes - 1};
        DUNE_VEC_PUSH(&open, ((struct place){at.tree, v->right, whole->n_nodes - 1}));
        DUNE_VEC_PUSH(&open, ((struct place){at.tree, v->left, whole->n_nodes - 2}));
    }
    DUNE_VEC_FREE(&open);
    dune_mem_free(below);
    dune_tree_fini(&top);
}

static int grow_in_parts(struct grow *g)
{
    int rc = grow_top(g);
    size_t n = g->open.len;
    struct part *part;

    if (rc)
        return rc;
    part = DUNE_NEW_N(struct part, n);
    for (size_t i = 0; i < n; i++)
        start_part(&part[i], g, &g->open.data[i]);
    g->open.len = 0; /* they own what they grow from */
    dune_parallel_for(g->job->threads, n, grow_part, part);
    for (size_t i = 0; i < n; i++)
        rc = rc ? rc : part[i].rc;
    if (rc == 0)
        join_parts(g, part, n);
    for (size_t i = 0; i < n; i++)
        dune_tree_fini(&part[i].tree);
    dune_mem_free(part);
    return rc;
}

static int grow_depth_first(struct grow *g, struct pending *root)
{
    if (open_node(g, root))
        DUNE_VEC_PUSH(&g->open, *root);
    return pays_to_share(g) ? grow_in_parts(g) : grow_open(g);
}

int dune_tree_grow(struct dune_tree *out, const struct dune_grow_job *job)
{
    struct dune_grow_job own = *job;
    struct grow g = {.job = &own, .tree = out, .table = job->codes};
    struct pending root = {.same = DUNE_NO_NODE};
    int rc;

    *out = (struct dune_tree){0};
    if (job->from) {
        g.from = &job->from->tree[job->tree];
        g.from_tree = &job->from->f->tree[job->tree];
        root.same = 0;
    }
    start(&g);
    new_node(&g, UINT32_MAX);
    add_rows(&g, 0, 0, g.n_items);
    root.end = g.n_items;
    rc = job->cfg->max_leaves ? grow_best_first(&g, &root) : grow_depth_first(&g, &root);
    close_tools(&g);
    if (rc == 0)
        leave_rows(&g);
    dune_work_free(g.item);
    dune_work_free(g.spare);
    if (rc) {
        dune_tree_fini(out);
        return rc;
    }
    out->node = dune_mem_realloc(out->node, out->n_nodes, sizeof(*out->node));
    out->hist = dune_mem_realloc(out->hist, (size_t)out->n_nodes * job->n_classes, sizeof(*out->hist));
    return 0;
}
