/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Digests and rules are nearly all of what a busy bus carries. Those that look exactly as dune_ctl_format writes them are
 * read here, byte by byte and within the same bounds; anything else is left to the JSON reader, which knows what is
 * wrong with it.
 */
#include "controller/ctl_int.h"

#include <string.h>

struct scan {
    const char *p, *end;
    bool ok;
};

static bool skip(struct scan *s, const char *text)
{
    size_t n = strlen(text);

    if (!s->ok || (size_t)(s->end - s->p) < n || memcmp(s->p, text, n) != 0)
        return false;
    s->p += n;
    return true;
}

static void expect(struct scan *s, const char *text)
{
    s->ok = skip(s, text);
}

/* Without leading zeros, as JSON wants it; 18 digits cannot overflow, longer ones are rare. */
static uint64_t number(struct scan *s, uint64_t max)
{
    const char *begin = s->p;
    uint64_t v = 0;

    while (s->ok && s->p < s->end && *s->p >= '0' && *s->p <= '9' && s->p - begin <= 18)
        v = v * 10 + (uint64_t)(*s->p++ - '0');
    s->ok = s->ok && s->p > begin && s->p - begin <= 18 && (*begin != '0' || s->p - begin == 1) && v <= max;
    return v;
}

static void read_key(struct scan *s, struct dune_flow_key *key)
{
    size_t n = 0;

    for (; s->ok && n < sizeof(key->bytes) && s->end - s->p >= 2 && *s->p != '"'; n++, s->p += 2) {
        int hi = dune_hex_digit(s->p[0]), lo = dune_hex_digit(s->p[1]);

        if (hi < 0 || lo < 0) {
            s->ok = false;
            return;
        }
        key->bytes[n] = (uint8_t)(hi << 4 | lo);
    }
    s->ok = s->ok && (n == 13 || n == 37);
    key->len = (uint8_t)n;
}

static uint64_t next_number(struct scan *s, uint64_t max)
{
    expect(s, ", ");
    return number(s, max);
}

static void read_digest(struct scan *s, struct dune_digest *dg)
{
    expect(s, "[\"");
    read_key(s, &dg->key);
    expect(s, "\"");
    dg->tick = next_number(s, INT64_MAX);
    dg->generation = (uint16_t)next_number(s, UINT16_MAX);
    dg->cls = (uint8_t)next_number(s, DUNE_MAX_CLASSES);
    dg->flags = (uint8_t)next_number(s, DUNE_SHIM_TENTATIVE | DUNE_SHIM_FL);
    dg->submodel = (uint8_t)next_number(s, 255);
    dg->conf = (uint8_t)next_number(s, 255);
    dg->device = (uint16_t)next_number(s, UINT16_MAX);
    expect(s, "]");
    s->ok = s->ok && !(dg->flags & ~(DUNE_SHIM_TENTATIVE | DUNE_SHIM_FL));
}

static void read_device(struct scan *s, char device[DUNE_CTL_NAME])
{
    size_t n = 0;

    while (n < (size_t)(s->end - s->p) && n < DUNE_CTL_NAME - 1 && s->p[n] != '"' && s->p[n])
        n++;
    memcpy(device, s->p, n);
    device[n] = '\0';
    s->p += n;
    s->ok = s->ok && dune_ctl_name_ok(device);
}

static void read_head(struct scan *s, struct dune_ctl_msg *m)
{
    expect(s, "{\n  \"v\": 1,\n  \"type\": \"");
    m->kind = skip(s, "digests") ? DUNE_CTL_DIGESTS : DUNE_CTL_RULES;
    if (m->kind == DUNE_CTL_RULES)
        expect(s, "rules");
    expect(s, "\",\n  \"device\": \"");
    read_device(s, m->device);
    expect(s, "\",\n  \"epoch\": ");
    m->epoch = number(s, INT64_MAX);
    expect(s, ",\n  \"seq\": ");
    m->seq = number(s, INT64_MAX);
    expect(s, ",\n  \"generation\": ");
    m->generation = (uint16_t)number(s, UINT16_MAX);
    expect(s, m->kind == DUNE_CTL_DIGESTS ? ",\n  \"digests\": [" : ",\n  \"rules\": [");
}

bool dune_ctl_fast_read(struct dune_ctl_msg *m, const char *text, size_t len)
{
    struct scan s = {text, text + len, true};

    read_head(&s, m);
    do {
        expect(&s, "\n    ");
        if (s.ok && m->n_digests < DUNE_CTL_BATCH)
            read_digest(&s, &m->digest[m->n_digests++]);
        else
            s.ok = false;
    } while (skip(&s, ","));
    expect(&s, "\n  ]\n}\n");
    return s.ok && s.p == s.end;
}
