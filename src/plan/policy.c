/* SPDX-License-Identifier: Apache-2.0 */
#include "dune/plan_policy.h"

#include <string.h>

#include "plan/plan_int.h"

/* The first len characters of text. */
static bool number(const char *text, size_t len, uint64_t max, uint64_t *out)
{
    char word[24];

    if (len >= sizeof(word))
        return false;
    memcpy(word, text, len);
    word[len] = '\0';
    return dune_parse_u64(word, out) && *out <= max;
}

/* The classes before the '=' of text; *rest is what follows it. The name may have a '=' itself: the last one counts. */
static int find_classes(const struct dune_plan *p, const char *text, uint32_t *from, uint32_t *to, const char **rest,
                        struct dune_diag *d)
{
    const char *eq = strrchr(text, '=');
    size_t len = eq ? (size_t)(eq - text) : 0;

    if (!eq)
        return dune_diag_set(d, DUNE_E_USAGE, NULL, "'%s' must be CLASS=..., for all classes '*=...'", text);
    *rest = eq + 1;
    *from = 0;
    *to = p->n_classes;
    if (len == 1 && text[0] == '*')
        return 0;
    for (uint32_t c = 0; c < p->n_classes; c++)
        if (strncmp(p->cls[c].name, text, len) == 0 && p->cls[c].name[len] == 0) {
            *from = c;
            *to = c + 1;
            return 0;
        }
    return dune_diag_set(d, DUNE_E_USAGE, NULL, "the plan has no class '%.*s'; it has '%s' and %u more", (int)len, text,
                         p->n_classes ? p->cls[0].name : "", p->n_classes ? p->n_classes - 1 : 0);
}

static bool same_word(const char *text, size_t len, const char *word)
{
    return strlen(word) == len && strncmp(text, word, len) == 0;
}

/* "mark:46" into the action of *k. */
static bool read_action(struct dune_plan_class *k, const char *text)
{
    const char *end = text + strcspn(text, ":"), *arg;
    uint32_t a = DUNE_ACTION_FORWARD;
    uint64_t n = 0;
    bool takes_port, any_allowed;

    while (a <= DUNE_ACTION_MIRROR && !same_word(text, (size_t)(end - text), dune_plan_action_words[a]))
        a++;
    if (a > DUNE_ACTION_MIRROR)
        return false;
    takes_port = a == DUNE_ACTION_STEER || a == DUNE_ACTION_MIRROR;
    any_allowed = a == DUNE_ACTION_DROP || a == DUNE_ACTION_MIRROR;
    if (takes_port || a == DUNE_ACTION_MARK) {
        if (*end != ':')
            return false;
        arg = end + 1;
        end = arg + strcspn(arg, ":");
        if (!number(arg, (size_t)(end - arg), takes_port ? UINT16_MAX : 63, &n))
            return false;
    }
    if (any_allowed && strcmp(end, ":any") == 0) {
        k->action_any = true;
        end += strlen(end);
    }
    k->action = (enum dune_action_kind)a;
    k->action_arg = (uint32_t)n;
    return *end == 0;
}

int dune_plan_set_action(struct dune_plan *p, const char *text, struct dune_diag *d)
{
    struct dune_plan_class k = {0};
    uint32_t from, to;
    const char *rest;
    int rc = find_classes(p, text, &from, &to, &rest, d);

    if (rc)
        return rc;
    if (!read_action(&k, rest))
        return dune_diag_set(d, DUNE_E_USAGE, NULL, "'%s' is not an action: forward, mark:DSCP (0-63), steer:PORT, drop[:any] or "
                             "mirror:PORT[:any]", rest);
    for (uint32_t c = from; c < to; c++) {
        p->cls[c].action = k.action;
        p->cls[c].action_arg = k.action_arg;
        p->cls[c].action_any = k.action_any;
    }
    return 0;
}

int dune_plan_set_min_confidence(struct dune_plan *p, const char *text, struct dune_diag *d)
{
    uint32_t from, to;
    const char *rest;
    uint64_t n;
    int rc = find_classes(p, text, &from, &to, &rest, d);

    if (rc)
        return rc;
    if (!number(rest, strlen(rest), 255, &n))
        return dune_diag_set(d, DUNE_E_USAGE, NULL, "'%s' is not a confidence: 0 to 255", rest);
    for (uint32_t c = from; c < to; c++)
        p->cls[c].min_confidence = (uint16_t)n;
    return 0;
}

static int too_many(const char *what, uint32_t most, struct dune_diag *d)
{
    return dune_diag_set(d, DUNE_E_USAGE, NULL, "a filter has at most %u %s", most, what);
}

int dune_plan_add_prefix(struct dune_plan *p, const char *text, struct dune_diag *d)
{
    struct dune_filter *f = &p->filter;
    struct dune_prefix x;

    if (!dune_prefix_parse(&x, text))
        return dune_diag_set(d, DUNE_E_USAGE, NULL, "'%s' is not a prefix such as 10.0.0.0/8 or 2001:db8::/32", text);
    if (dune_prefix_has_host_bits(&x))
        return dune_diag_set(d, DUNE_E_USAGE, NULL, "'%s' has bits beyond its length of %u", text, x.len);
    if (f->n_prefixes >= DUNE_PLAN_MAX_FILTER)
        return too_many("prefixes", DUNE_PLAN_MAX_FILTER, d);
    f->prefix = dune_mem_realloc(f->prefix, f->n_prefixes + 1, sizeof(*f->prefix));
    f->prefix[f->n_prefixes++] = x;
    return 0;
}

int dune_plan_add_ports(struct dune_plan *p, const char *text, struct dune_diag *d)
{
    struct dune_filter *f = &p->filter;
    const char *end = text + strcspn(text, "-");
    uint64_t lo, hi;

    if (!number(text, (size_t)(end - text), UINT16_MAX, &lo))
        return dune_diag_set(d, DUNE_E_USAGE, NULL, "'%s' is not a port or a range such as 5000-5999", text);
    hi = lo;
    if ((*end && !number(end + 1, strlen(end + 1), UINT16_MAX, &hi)) || hi < lo)
        return dune_diag_set(d, DUNE_E_USAGE, NULL, "'%s' is not a range of ports such as 5000-5999", text);
    if (f->n_ports >= DUNE_PLAN_MAX_FILTER)
        return too_many("ranges of ports", DUNE_PLAN_MAX_FILTER, d);
    f->port = dune_mem_realloc(f->port, f->n_ports + 1, sizeof(*f->port));
    f->port[f->n_ports++] = (struct dune_port_range){(uint16_t)lo, (uint16_t)hi};
    return 0;
}

int dune_plan_add_protocol(struct dune_plan *p, const char *text, struct dune_diag *d)
{
    static const struct {
        const char *name;
        uint8_t number;
    } known[] = {{"icmp", 1}, {"tcp", 6}, {"udp", 17}, {"icmpv6", 58}, {"sctp", 132}};
    struct dune_filter *f = &p->filter;
    uint64_t n = 256;

    for (size_t i = 0; i < DUNE_ARRAY_LEN(known); i++)
        if (strcmp(text, known[i].name) == 0)
            n = known[i].number;
    if (n == 256 && !number(text, strlen(text), 255, &n))
        return dune_diag_set(d, DUNE_E_USAGE, NULL, "'%s' is not a protocol: tcp, udp, icmp, icmpv6, sctp or a number up to 255", text);
    for (uint32_t i = 0; i < f->n_protos; i++)
        if (f->proto[i] == n)
            return 0;
    f->proto = dune_mem_realloc(f->proto, f->n_protos + 1, sizeof(*f->proto));
    f->proto[f->n_protos++] = (uint8_t)n;
    return 0;
}

void dune_plan_clear_filter(struct dune_plan *p)
{
    dune_mem_free(p->filter.prefix);
    dune_mem_free(p->filter.port);
    dune_mem_free(p->filter.proto);
    p->filter = (struct dune_filter){0};
}
