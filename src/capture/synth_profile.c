/* SPDX-License-Identifier: Apache-2.0 */
/* Reads a traffic profile; every key is checked, unknown ones are refused with their line. */
#include "base/yaml_tree.h"
#include "capture/synth_int.h"

#include <math.h>
#include <string.h>

struct reader {
    struct dune_synth *s;
    const char *file;
    struct dune_diag *d;
};

static int fail(struct reader *r, const struct dune_yaml *node, const char *fmt, ...)
    DUNE_PRINTF(3, 4);

static int fail(struct reader *r, const struct dune_yaml *node, const char *fmt, ...)
{
    char text[256];
    va_list ap;

    va_start(ap, fmt);
    vsnprintf(text, sizeof(text), fmt, ap);
    va_end(ap);
    return dune_diag_set_line(r->d, DUNE_E_INPUT, r->file, node->line, "%s", text);
}

static bool in_list(const char *word, const char *words)
{
    size_t len = strlen(word);

    for (; *words; words += strcspn(words, " "), words += *words == ' ')
        if (strncmp(words, word, len) == 0 && (words[len] == ' ' || !words[len]))
            return true;
    return false;
}

/* A mapping that has only the listed keys. */
static int check_keys(struct reader *r, const struct dune_yaml *map, const char *what, const char *keys)
{
    size_t i;

    if (map->kind != DUNE_YAML_MAP)
        return fail(r, map, "%s must be a mapping", what);
    for (i = 0; i < map->n; i++)
        if (!in_list(map->item[i]->key, keys))
            return fail(r, map->item[i], "unknown key \"%s\" in %s; there are: %s", map->item[i]->key,
                        what, keys);
    return 0;
}

static int read_int(struct reader *r, const struct dune_yaml *node, int64_t lo, int64_t hi, int64_t *out)
{
    if (node->kind != DUNE_YAML_SCALAR || !dune_parse_i64(node->text, out))
        return fail(r, node, "a whole number is needed");
    if (*out < lo || *out > hi)
        return fail(r, node, "%lld is outside of %lld to %lld", (long long)*out, (long long)lo,
                    (long long)hi);
    return 0;
}

static int read_u32(struct reader *r, const struct dune_yaml *map, const char *key, uint32_t lo,
                    uint32_t hi, uint32_t *out)
{
    const struct dune_yaml *node = dune_yaml_find(map, key);
    int64_t v = *out;
    int rc = node ? read_int(r, node, lo, hi, &v) : 0;

    *out = (uint32_t)v;
    return rc;
}

/* A share between 0 and max as millionths. */
static int read_share(struct reader *r, const struct dune_yaml *map, const char *key, double max,
                      uint64_t *out)
{
    const struct dune_yaml *node = dune_yaml_find(map, key);
    double v;

    if (!node)
        return 0;
    if (node->kind != DUNE_YAML_SCALAR || !dune_parse_double(node->text, &v) || v < 0 || v > max)
        return fail(r, node, "%s must be a number from 0 to %g", key, max);
    *out = (uint64_t)floor(v * (double)SYNTH_UNIT + 0.5);
    return 0;
}

static int read_choices(struct reader *r, const struct dune_yaml *seq, int64_t lo, int64_t hi,
                        struct synth_dist *out)
{
    int64_t *of = dune_arena_alloc(&r->s->arena, seq->n + 1, sizeof(*of));
    size_t i;
    int rc;

    if (seq->kind != DUNE_YAML_SEQ || seq->n == 0)
        return fail(r, seq, "a list of at least one number is needed");
    for (i = 0; i < seq->n; i++) {
        rc = read_int(r, seq->item[i], lo, hi, &of[i]);
        if (rc)
            return rc;
    }
    *out = (struct synth_dist){.draw = SYNTH_CHOICE, .n = seq->n, .of = of, .min = lo, .max = hi};
    return 0;
}

/* 7 | {of: [1, 2]} | {min, max} | {mean, min, max} exponential | {mean, sd, min, max} normal */
static int read_dist(struct reader *r, const struct dune_yaml *node, int64_t lo, int64_t hi,
                     struct synth_dist *out)
{
    static const char *const keys[] = {"min", "max", "mean", "sd"};
    int64_t v[4] = {lo, hi, -1, -1};
    const struct dune_yaml *child;
    int rc, i;

    if (node->kind == DUNE_YAML_SCALAR) {
        *out = (struct synth_dist){.draw = SYNTH_CONST};
        return read_int(r, node, lo, hi, &out->min);
    }
    rc = check_keys(r, node, "a distribution", "of min max mean sd");
    if (rc)
        return rc;
    child = dune_yaml_find(node, "of");
    if (child)
        return node->n == 1 ? read_choices(r, child, lo, hi, out)
                            : fail(r, node, "\"of\" stands alone in a distribution");
    for (i = 0; i < 4; i++) {
        child = dune_yaml_find(node, keys[i]);
        rc = child ? read_int(r, child, lo, hi, &v[i]) : 0;
        if (rc)
            return rc;
    }
    if (v[0] > v[1])
        return fail(r, node, "min is above max");
    if (v[2] < 0 && (v[3] >= 0 || !dune_yaml_find(node, "min") || !dune_yaml_find(node, "max")))
        return fail(r, node, "a distribution needs min and max, or mean");
    *out = (struct synth_dist){.min = v[0], .max = v[1], .mean = v[2], .sd = v[3],
                               .draw = v[2] < 0   ? SYNTH_UNIFORM
                                       : v[3] < 0 ? SYNTH_EXP
                                                  : SYNTH_NORMAL};
    return 0;
}

static int read_dist_of(struct reader *r, const struct dune_yaml *map, const char *key, int64_t lo,
                        int64_t hi, int64_t def, struct synth_dist *out)
{
    const struct dune_yaml *node = dune_yaml_find(map, key);

    *out = (struct synth_dist){.draw = SYNTH_CONST, .min = def};
    return node ? read_dist(r, node, lo, hi, out) : 0;
}

static int read_seq(struct reader *r, const struct dune_yaml *map, const char *key, int64_t hi,
                    int64_t def, struct synth_seq *out)
{
    const struct dune_yaml *node = dune_yaml_find(map, key);
    size_t n = node && node->kind == DUNE_YAML_SEQ ? node->n : 1, i;
    struct synth_dist *item = dune_arena_alloc(&r->s->arena, n + 1, sizeof(*item));
    int rc;

    *out = (struct synth_seq){n, item};
    item[0] = (struct synth_dist){.draw = SYNTH_CONST, .min = def};
    if (!node)
        return 0;
    if (node->kind != DUNE_YAML_SEQ)
        return read_dist(r, node, 0, hi, &item[0]);
    if (n == 0)
        return fail(r, node, "%s is empty", key);
    for (i = 0; i < n; i++) {
        rc = read_dist(r, node->item[i], 0, hi, &item[i]);
        if (rc)
            return rc;
    }
    return 0;
}

/* The index of a word in a list, or a refusal; absent: 0. */
static int read_word(struct reader *r, const struct dune_yaml *map, const char *key,
                     const char *const *words, size_t n, size_t *out)
{
    const struct dune_yaml *node = dune_yaml_find(map, key);

    *out = 0;
    if (!node)
        return 0;
    for (; *out < n; ++*out)
        if (node->kind == DUNE_YAML_SCALAR && strcmp(node->text, words[*out]) == 0)
            return 0;
    return fail(r, node, "%s cannot be \"%s\"", key, node->kind == DUNE_YAML_SCALAR ? node->text : "?");
}

static int read_words(struct reader *r, const struct dune_yaml *map, struct synth_talk *t)
{
    const struct dune_yaml *pattern = dune_yaml_find(map, "pattern");
    size_t proto, ip, end;
    int rc = read_word(r, map, "proto", (const char *const[]){"tcp", "udp"}, 2, &proto);

    if (rc == 0)
        rc = read_word(r, map, "ip", (const char *const[]){"4", "6"}, 2, &ip);
    if (rc == 0)
        rc = read_word(r, map, "end", (const char *const[]){"fin", "rst", "open"}, 3, &end);
    if (rc)
        return rc;
    t->tcp = proto == 0;
    t->ipv6 = ip == 1;
    t->end = (enum synth_end)end;
    t->pattern = "ud";
    if (!pattern)
        return 0;
    if (pattern->kind != DUNE_YAML_SCALAR || !*pattern->text ||
        pattern->text[strspn(pattern->text, "ud")])
        return fail(r, pattern, "pattern must be made of u and d");
    t->pattern = pattern->text;
    return 0;
}

static int read_talk(struct reader *r, const struct dune_yaml *map, struct synth_talk *t)
{
    static const int64_t second = 1000000, hour = 3600000000;
    int rc = check_keys(r, map, "a way to talk",
                        "share proto ip end pattern vlan tcp_options peers port source_port ttl peer_ttl "
                        "tos window peer_window packets rtt_us up down gap_us");

    if (rc)
        return rc;
    t->share = SYNTH_UNIT;
    t->n_peers = 200;
    if ((rc = read_share(r, map, "share", 1e6, &t->share)) ||
        (rc = read_words(r, map, t)) ||
        (rc = read_u32(r, map, "vlan", 0, 4094, &t->vlan)) ||
        (rc = read_u32(r, map, "tcp_options", 0, 36, &t->tcp_options)) ||
        (rc = read_u32(r, map, "peers", 1, 60000, &t->n_peers)) ||
        (rc = read_dist_of(r, map, "port", 0, 65535, 443, &t->port)) ||
        (rc = read_dist_of(r, map, "source_port", 0, 65535, 0, &t->source_port)) ||
        (rc = read_dist_of(r, map, "ttl", 1, 255, 64, &t->ttl)) ||
        (rc = read_dist_of(r, map, "peer_ttl", 1, 255, 52, &t->peer_ttl)) ||
        (rc = read_dist_of(r, map, "tos", 0, 255, 0, &t->tos)) ||
        (rc = read_dist_of(r, map, "window", 0, 65535, 29200, &t->window)) ||
        (rc = read_dist_of(r, map, "peer_window", 0, 65535, 28960, &t->peer_window)) ||
        (rc = read_dist_of(r, map, "packets", 1, 1000000, 4, &t->packets)) ||
        (rc = read_dist_of(r, map, "rtt_us", 1, 10 * second, 20000, &t->rtt_us)) ||
        (rc = read_seq(r, map, "up", SYNTH_MAX_PAYLOAD, 100, &t->up)) ||
        (rc = read_seq(r, map, "down", SYNTH_MAX_PAYLOAD, 100, &t->down)) ||
        (rc = read_seq(r, map, "gap_us", hour, 20000, &t->gap_us)))
        return rc;
    if (t->tcp_options % 4)
        return fail(r, map, "tcp_options must be a multiple of 4");
    return 0;
}

static int read_talks(struct reader *r, const struct dune_yaml *map, struct synth_class *c)
{
    const struct dune_yaml *talks = dune_yaml_find(map, "talks");
    struct synth_talk *t;
    uint64_t total = 0;
    size_t i;
    int rc;

    if (!talks || talks->kind != DUNE_YAML_SEQ || talks->n == 0)
        return fail(r, map, "class %s has no list \"talks\"", c->name);
    t = dune_arena_alloc(&r->s->arena, talks->n, sizeof(*t));
    for (i = 0; i < talks->n; i++) {
        rc = read_talk(r, talks->item[i], &t[i]);
        if (rc)
            return rc;
        total += t[i].share;
    }
    if (total == 0)
        return fail(r, talks, "the shares of class %s are all 0", c->name);
    c->n_talk = talks->n;
    c->talk = t;
    return 0;
}

static int read_class(struct reader *r, const struct dune_yaml *map, struct synth_class *c)
{
    const struct dune_yaml *name;
    size_t i;
    int rc = check_keys(r, map, "a class", "name share devices overlap like talks");

    if (rc)
        return rc;
    name = dune_yaml_find(map, "name");
    if (!name || name->kind != DUNE_YAML_SCALAR || !*name->text || strpbrk(name->text, ",\"\r\n"))
        return fail(r, map, "a class needs a name without commas, quotes and line ends");
    for (i = 0; i < r->s->n_classes; i++)
        if (strcmp(r->s->cls[i].name, name->text) == 0)
            return fail(r, name, "class %s appears twice", name->text);
    c->name = name->text;
    c->share = SYNTH_UNIT;
    c->n_devices = 2;
    if ((rc = read_share(r, map, "share", 1e6, &c->share)) ||
        (rc = read_share(r, map, "overlap", 1, &c->overlap)) ||
        (rc = read_u32(r, map, "devices", 1, 200, &c->n_devices)))
        return rc;
    return read_talks(r, map, c);
}

/* Names of other classes become indices once all classes are known; none given: all others. */
static int read_like(struct reader *r, const struct dune_yaml *map, uint32_t self)
{
    struct synth_class *c = &r->s->cls[self];
    const struct dune_yaml *like = dune_yaml_find(map, "like");
    size_t n = like ? like->n : r->s->n_classes - 1, i;
    uint32_t *idx = dune_arena_alloc(&r->s->arena, n + 1, sizeof(*idx)), k;

    if (like && (like->kind != DUNE_YAML_SEQ || like->n == 0))
        return fail(r, like, "like must be a list of classes");
    for (i = 0, k = 0; i < n; i++, k++) {
        if (like) {
            const char *name = like->item[i]->kind == DUNE_YAML_SCALAR ? like->item[i]->text : "";
            for (k = 0; k < r->s->n_classes && strcmp(r->s->cls[k].name, name) != 0;)
                k++;
            if (k == r->s->n_classes)
                return fail(r, like->item[i], "there is no class \"%s\"", name);
        } else if (k == self) {
            k++;
        }
        idx[i] = k;
    }
    if (c->overlap > 0 && n == 0)
        return fail(r, map, "overlap needs a second class");
    c->n_like = n;
    c->like = idx;
    return 0;
}

static int read_profile(struct reader *r, const struct dune_yaml *root)
{
    const struct dune_yaml *classes, *name;
    uint64_t total = 0;
    uint32_t i;
    int rc = check_keys(r, root, "the profile", "name noise classes");

    if (rc == 0)
        rc = read_share(r, root, "noise", 1, &r->s->noise);
    if (rc)
        return rc;
    name = dune_yaml_find(root, "name");
    r->s->name = name && name->kind == DUNE_YAML_SCALAR ? name->text : "unnamed";
    classes = dune_yaml_find(root, "classes");
    if (!classes || classes->kind != DUNE_YAML_SEQ || classes->n == 0 || classes->n > SYNTH_MAX_CLASSES)
        return fail(r, root, "a list of 1 to %d classes is needed", SYNTH_MAX_CLASSES);
    for (i = 0; i < classes->n; i++) {
        rc = read_class(r, classes->item[i], &r->s->cls[i]);
        if (rc)
            return rc;
        total += r->s->cls[i].share;
        r->s->n_classes++;
    }
    if (total == 0)
        return fail(r, classes, "the shares of the classes are all 0");
    for (i = 0; i < classes->n; i++) {
        rc = read_like(r, classes->item[i], i);
        if (rc)
            return rc;
    }
    return 0;
}

int dune_synth_parse(struct dune_synth **out, const char *name, const void *text, size_t len,
                     struct dune_diag *d)
{
    struct dune_synth *s = DUNE_NEW(struct dune_synth);
    struct reader r = {s, name, d};
    struct dune_yaml *root;
    int rc;

    *out = NULL;
    s->text = dune_mem_strndup(len ? text : "", len);
    s->text_len = len;
    rc = dune_yaml_parse(&root, name, s->text, len, &s->arena, d);
    if (rc == 0)
        rc = read_profile(&r, root);
    if (rc)
        dune_synth_free(s);
    else
        *out = s;
    return rc;
}

void dune_synth_free(struct dune_synth *s)
{
    if (!s)
        return;
    dune_arena_fini(&s->arena);
    dune_mem_free(s->text);
    dune_mem_free(s);
}

extern const char dune_synth_default_yaml[]; /* synth_default.yaml, embedded by the build */

const char *dune_synth_default(void)
{
    return dune_synth_default_yaml;
}

uint32_t dune_synth_n_classes(const struct dune_synth *s)
{
    return (uint32_t)s->n_classes;
}

const char *dune_synth_class(const struct dune_synth *s, uint32_t id)
{
    return s->cls[id].name;
}

/* --- random values ----------------------------------------------------------------------------- */

/* -ln(u) by a fixed series: libm's last bit differs between machines, and so would the captures. */
static double minus_log(double u)
{
    int exponent, k;
    double m = frexp(u, &exponent), z = (m - 1) / (m + 1), zz = z * z, term = z, sum = 0;

    for (k = 1; k < 30; k += 2) {
        sum += term / k;
        term *= zz;
    }
    return -(2 * sum + exponent * 0.69314718055994530942);
}

static int64_t clamp(double v, int64_t lo, int64_t hi)
{
    if (v <= (double)lo)
        return lo;
    return v >= (double)hi ? hi : (int64_t)(v + 0.5);
}

int64_t synth_draw(const struct synth_dist *dist, struct dune_rng *r)
{
    double sum = -6;
    int i;

    switch (dist->draw) {
    case SYNTH_UNIFORM:
        return dist->min + (int64_t)dune_rng_below(r, (uint64_t)(dist->max - dist->min) + 1);
    case SYNTH_EXP:
        return clamp((double)dist->min + (double)(dist->mean - dist->min) * minus_log(1 - dune_rng_unit(r)),
                     dist->min, dist->max);
    case SYNTH_NORMAL:
        for (i = 0; i < 12; i++)
            sum += dune_rng_unit(r);
        return clamp((double)dist->mean + (double)dist->sd * sum, dist->min, dist->max);
    case SYNTH_CHOICE:
        return dist->of[dune_rng_below(r, dist->n)];
    default:
        return dist->min;
    }
}

int64_t synth_draw_at(const struct synth_seq *seq, uint32_t k, struct dune_rng *r)
{
    return synth_draw(&seq->item[k < seq->n ? k : seq->n - 1], r);
}
