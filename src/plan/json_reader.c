/* SPDX-License-Identifier: Apache-2.0 */
#include "plan/json_reader.h"

#include <math.h>
#include <string.h>

void dune_json_leave(struct dune_json_reader *r, size_t old)
{
    if (r->rc) /* the path stays where the error is */
        return;
    r->len = old;
    r->path[old] = '\0';
}

/* What does not fit is cut. Every value that is read passes here: no printf. */
static void add_path(struct dune_json_reader *r, const char *text, size_t len)
{
    size_t n = DUNE_MIN(len, sizeof(r->path) - 1 - r->len);

    memcpy(r->path + r->len, text, n);
    r->len += n;
    r->path[r->len] = '\0';
}

size_t dune_json_enter_key(struct dune_json_reader *r, const char *key)
{
    size_t old = r->len;

    if (old)
        add_path(r, ".", 1);
    add_path(r, key, strlen(key));
    return old;
}

size_t dune_json_enter_index(struct dune_json_reader *r, size_t i)
{
    char text[24], *p = text + sizeof(text);
    size_t old = r->len;

    *--p = ']';
    do
        *--p = (char)('0' + i % 10);
    while (i /= 10);
    *--p = '[';
    add_path(r, p, (size_t)(text + sizeof(text) - p));
    return old;
}

void dune_json_fail(struct dune_json_reader *r, const char *fmt, ...)
{
    char msg[400];
    va_list ap;

    if (r->rc)
        return;
    va_start(ap, fmt);
    vsnprintf(msg, sizeof(msg), fmt, ap);
    va_end(ap);
    r->rc = dune_diag_set_place(r->d, DUNE_E_INPUT, NULL, r->path, "%s", msg);
}

static bool is_word_of(const char *words, const char *word)
{
    size_t len = strlen(word), n;

    for (const char *p = words; *p; p += n) {
        p += strspn(p, " ");
        n = strcspn(p, " ");
        if (n == len && memcmp(p, word, n) == 0)
            return n > 0;
    }
    return false;
}

/* An object with exactly these keys (separated by spaces). */
bool dune_json_is_object(struct dune_json_reader *r, const json_t *v, const char *keys)
{
    const char *key;
    const json_t *item;
    char want[128];

    if (r->rc)
        return false;
    if (!json_is_object(v)) {
        dune_json_fail(r, "must be an object");
        return false;
    }
    json_object_foreach((json_t *)(uintptr_t)v, key, item)
    {
        (void)item;
        if (!r->passes_over && !is_word_of(keys, key)) {
            dune_json_enter_key(r, key);
            dune_json_fail(r, "unknown key; known here: %s", keys);
            return false;
        }
    }
    for (const char *p = keys; *p; p += strspn(p, " ")) {
        size_t n = DUNE_MIN(strcspn(p, " "), sizeof(want) - 1);

        memcpy(want, p, n);
        want[n] = '\0';
        if (!json_object_get(v, want)) {
            dune_json_fail(r, "key '%s' is missing", want);
            return false;
        }
        p += n;
    }
    return true;
}

uint64_t dune_json_to_uint(struct dune_json_reader *r, const json_t *v, uint64_t max)
{
    if (r->rc)
        return 0;
    if (!json_is_integer(v) || json_integer_value(v) < 0 || (uint64_t)json_integer_value(v) > max) {
        dune_json_fail(r, "must be an integer of 0 to %llu", (unsigned long long)max);
        return 0;
    }
    return (uint64_t)json_integer_value(v);
}

uint64_t dune_json_uint(struct dune_json_reader *r, const json_t *obj, const char *key,
                        uint64_t max)
{
    size_t at = dune_json_enter_key(r, key);
    uint64_t v = dune_json_to_uint(r, json_object_get(obj, key), max);

    dune_json_leave(r, at);
    return v;
}

uint64_t dune_json_big(struct dune_json_reader *r, const json_t *obj, const char *key)
{
    const char *s = json_string_value(json_object_get(obj, key));
    uint64_t v = 0;
    size_t at;

    if (!s)
        return dune_json_uint(r, obj, key, INT64_MAX);
    at = dune_json_enter_key(r, key);
    if (!dune_parse_u64(s, &v) || v <= INT64_MAX || strlen(s) > 20 || s[0] == '0')
        dune_json_fail(r, "only numbers above %lld are written as strings", (long long)INT64_MAX);
    dune_json_leave(r, at);
    return v;
}

double dune_json_double(struct dune_json_reader *r, const json_t *obj, const char *key, bool or_null)
{
    const json_t *v = json_object_get(obj, key);
    size_t at = dune_json_enter_key(r, key);

    if (r->rc == 0 && !json_is_number(v) && !(or_null && json_is_null(v)))
        dune_json_fail(r, "must be a number%s", or_null ? " or null" : "");
    dune_json_leave(r, at);
    return json_is_number(v) ? json_number_value(v) + 0.0 : NAN; /* no negative zero */
}

bool dune_json_bool(struct dune_json_reader *r, const json_t *obj, const char *key)
{
    const json_t *v = json_object_get(obj, key);
    size_t at = dune_json_enter_key(r, key);

    if (r->rc == 0 && !json_is_boolean(v))
        dune_json_fail(r, "must be true or false");
    dune_json_leave(r, at);
    return json_is_true(v);
}

/* A borrowed string; NULL after an error, and for null where that is allowed. */
const char *dune_json_text(struct dune_json_reader *r, const json_t *obj, const char *key,
                           bool or_null)
{
    const json_t *v = json_object_get(obj, key);
    size_t at = dune_json_enter_key(r, key);

    if (r->rc == 0 && !json_is_string(v) && !(or_null && json_is_null(v)))
        dune_json_fail(r, "must be a string%s", or_null ? " or null" : "");
    dune_json_leave(r, at);
    return r->rc ? NULL : json_string_value(v);
}

char *dune_json_dup(struct dune_json_reader *r, const json_t *obj, const char *key, bool or_null)
{
    const char *s = dune_json_text(r, obj, key, or_null);

    return s ? dune_mem_strdup(s) : NULL;
}

unsigned dune_json_word(struct dune_json_reader *r, const json_t *obj, const char *key,
                        const char *const *words)
{
    const char *s = dune_json_text(r, obj, key, false);

    for (unsigned i = 0; s && words[i]; i++)
        if (strcmp(s, words[i]) == 0)
            return i;
    dune_json_enter_key(r, key);
    dune_json_fail(r, "'%.64s' is none of the known words", s ? s : "");
    return 0;
}

/* The array obj[key]; stays inside its path. *n = 0 after an error. */
const json_t *dune_json_array(struct dune_json_reader *r, const json_t *obj, const char *key,
                              uint32_t max, uint32_t *n, size_t *at)
{
    const json_t *v = json_object_get(obj, key);

    *at = dune_json_enter_key(r, key);
    *n = 0;
    if (r->rc == 0 && !json_is_array(v))
        dune_json_fail(r, "must be an array");
    if (r->rc == 0 && json_array_size(v) > max)
        dune_json_fail(r, "has %zu entries; at most %u are allowed", json_array_size(v), max);
    if (r->rc == 0)
        *n = (uint32_t)json_array_size(v);
    return v;
}

uint8_t *dune_json_bytes(struct dune_json_reader *r, const json_t *obj, const char *key,
                         uint32_t max, uint32_t *n)
{
    size_t at, in;
    const json_t *v = dune_json_array(r, obj, key, max, n, &at);
    uint8_t *out = *n ? DUNE_NEW_N(uint8_t, *n) : NULL;

    for (uint32_t i = 0; r->rc == 0 && i < *n; i++) {
        in = dune_json_enter_index(r, i);
        out[i] = (uint8_t)dune_json_to_uint(r, json_array_get(v, i), 255);
        dune_json_leave(r, in);
    }
    dune_json_leave(r, at);
    return out;
}
