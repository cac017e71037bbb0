/* SPDX-License-Identifier: Apache-2.0 */
#include "capture/labels_int.h"

#include <arpa/inet.h>
#include <string.h>
#include <time.h>
#include <strings.h>

static int hex(char c) /* in either case */
{
    return dune_hex_digit(c >= 'A' && c <= 'F' ? (char)(c - 'A' + 'a') : c);
}

/* aa:bb:cc:dd:ee:ff, with dashes, or 12 digits; one digit stands for two. */
bool label_parse_mac(const char *s, uint8_t mac[6])
{
    char sep = '\0';

    for (int i = 0; i < 6; i++) {
        int a = hex(*s), b;

        if (a < 0)
            return false;
        b = hex(*++s);
        if (b >= 0)
            s++;
        mac[i] = (uint8_t)(b < 0 ? a : a << 4 | b);
        if (i == 5)
            return *s == '\0';
        if (i == 0 && (*s == ':' || *s == '-'))
            sep = *s;
        if (sep ? *s++ != sep : b < 0)
            return false;
    }
    return false;
}

bool label_parse_ip(const char *s, uint8_t ip[16], size_t *len)
{
    bool v6 = strchr(s, ':') != NULL;

    *len = v6 ? 16 : 4;
    return inet_pton(v6 ? AF_INET6 : AF_INET, s, ip) == 1;
}

bool label_parse_port(const char *s, uint16_t *port)
{
    uint64_t v;

    if (!dune_parse_u64(s, &v) || v > UINT16_MAX)
        return false;
    *port = (uint16_t)v;
    return true;
}

void label_make_key(struct dune_flow_key *k, const uint8_t *src, const uint8_t *dst, size_t len, uint16_t sport,
                    uint16_t dport, uint8_t proto)
{
    uint8_t *tail = k->bytes + 2 * len;

    memcpy(k->bytes, src, len);
    memcpy(k->bytes + len, dst, len);
    tail[0] = (uint8_t)(sport >> 8);
    tail[1] = (uint8_t)sport;
    tail[2] = (uint8_t)(dport >> 8);
    tail[3] = (uint8_t)dport;
    tail[4] = proto;
    k->len = (uint8_t)(2 * len + 5);
}

bool label_parse_proto(const char *s, uint8_t *proto)
{
    static const struct {
        const char *name;
        uint8_t proto;
    } known[] = {{"tcp", 6}, {"udp", 17}, {"icmp", 1}, {"icmp6", 58}, {"ipv6-icmp", 58}};
    uint64_t v;

    for (size_t i = 0; i < DUNE_ARRAY_LEN(known); i++) {
        if (strcasecmp(s, known[i].name) == 0) {
            *proto = known[i].proto;
            return true;
        }
    }
    if (!dune_parse_u64(s, &v) || v > UINT8_MAX)
        return false;
    *proto = (uint8_t)v;
    return true;
}

/* Digits exactly; only the exponent form goes through a double. */
bool label_parse_time(const char *s, uint64_t *ns, bool *whole)
{
    uint64_t sec = 0, frac = 0, unit = 100000000;
    const char *p = s;
    double v;

    for (; *p >= '0' && *p <= '9' && p - s < 11; p++)
        sec = sec * 10 + (uint64_t)(*p - '0');
    *whole = *p == '\0';
    if (*p == '.')
        for (p++; *p >= '0' && *p <= '9'; p++, unit /= 10)
            frac += unit * (uint64_t)(*p - '0');
    if (*p == '\0' && p != s && !(p == s + 1 && *s == '.')) {
        *ns = sec * 1000000000u + frac;
        return sec < UINT64_C(18000000000);
    }
    if (!dune_parse_double(s, &v) || v < 0 || v >= 1.8e10)
        return false;
    *ns = (uint64_t)(v * 1e9);
    return true;
}

static int digits(const char **p, int n)
{
    int v = 0;

    for (; n > 0; n--, ++*p) {
        if (**p < '0' || **p > '9')
            return -1;
        v = v * 10 + (**p - '0');
    }
    return v;
}

/* 2017-06-01T08:30:00.123456+0200, +02:00 or Z; ns since the epoch. */
bool label_parse_iso(const char *s, uint64_t *ns)
{
    int v[6], width[6] = {4, 2, 2, 2, 2, 2}, zone = 0;
    const char *p = s, *sep = "--T::";
    uint64_t frac = 0, unit = 100000000;
    struct tm tm;
    int64_t sec;

    for (int i = 0; i < 6; i++) {
        v[i] = digits(&p, width[i]);
        if (v[i] < 0 || (i < 5 && *p++ != sep[i]))
            return false;
    }
    if (*p == '.')
        for (p++; *p >= '0' && *p <= '9'; p++, unit /= 10)
            frac += unit * (uint64_t)(*p - '0');
    if (*p == '+' || *p == '-') {
        int sign = *p++ == '-' ? -1 : 1, h = digits(&p, 2), m = *p == ':' ? (p++, digits(&p, 2)) : digits(&p, 2);

        if (h < 0 || m < 0)
            return false;
        zone = sign * (h * 3600 + m * 60);
    } else if (*p == 'Z') {
        p++;
    }
    if (*p)
        return false;
    tm = (struct tm){.tm_year = v[0] - 1900, .tm_mon = v[1] - 1, .tm_mday = v[2], .tm_hour = v[3],
                     .tm_min = v[4], .tm_sec = v[5]};
    sec = (int64_t)timegm(&tm) - zone;
    if (sec < 0 || sec >= INT64_C(18000000000))
        return false;
    *ns = (uint64_t)sec * 1000000000u + frac;
    return true;
}

bool label_parse_when(const char *s, uint64_t *ns)
{
    bool whole;

    return label_parse_time(s, ns, &whole) || label_parse_iso(s, ns);
}

/* Length of the UTF-8 sequence at s, 0 if there is none. */
static size_t utf8_len(const uint8_t *s)
{
    static const struct {
        uint8_t mask, lead;
        uint32_t min, max;
    } form[] = {{0x80, 0, 0, 0x7f},
                {0xe0, 0xc0, 0x80, 0x7ff},
                {0xf0, 0xe0, 0x800, 0xffff},
                {0xf8, 0xf0, 0x10000, 0x10ffff}};

    for (size_t n = 0; n < 4; n++) {
        uint32_t c = s[0] & (uint8_t)~form[n].mask;

        if ((s[0] & form[n].mask) != form[n].lead)
            continue;
        for (size_t i = 1; i <= n; i++) {
            if ((s[i] & 0xc0) != 0x80)
                return 0;
            c = c << 6 | (s[i] & 0x3f);
        }
        return c < form[n].min || c > form[n].max || (c >= 0xd800 && c < 0xe000) ? 0 : n + 1;
    }
    return 0;
}

/* Class names go into CSV and JSON files and onto terminals. */
const char *label_name_problem(const char *s)
{
    if (!*s)
        return "no label";
    if (strcmp(s, "Other") == 0)
        return "the label \"Other\" is reserved for classes of other sub-models: rename it";
    if (strlen(s) > LABEL_MAX_NAME)
        return "the label is longer than 255 bytes";
    for (const uint8_t *p = (const uint8_t *)s; *p;) {
        size_t n = utf8_len(p);

        if (n == 0)
            return "the label is not UTF-8 text";
        if (*p < 0x20 || *p == 0x7f)
            return "the label has a control character in it";
        p += n;
    }
    return NULL;
}
