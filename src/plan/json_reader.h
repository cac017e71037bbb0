/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Strict reading of JSON values with the path of the first error. The reader is sticky: after an
 * error every call returns a zero and the path stays. Enter and leave come in pairs.
 */
#ifndef DUNE_PLAN_JSON_READER_H
#define DUNE_PLAN_JSON_READER_H

#include <jansson.h>

#include "base/format.h"

struct dune_json_reader {
    struct dune_diag *d;
    int rc; /* first error; later calls do nothing */
    bool passes_over; /* unknown keys: of a newer minor version (base/format.h) */
    char path[256];
    size_t len;
};

size_t dune_json_enter_key(struct dune_json_reader *r, const char *key);
size_t dune_json_enter_index(struct dune_json_reader *r, size_t i); /* [i] */
void dune_json_leave(struct dune_json_reader *r, size_t old);
void dune_json_fail(struct dune_json_reader *r, const char *fmt, ...) DUNE_PRINTF(2, 3);
/* An object with exactly these keys (separated by spaces). */
bool dune_json_is_object(struct dune_json_reader *r, const json_t *v, const char *keys);
uint64_t dune_json_to_uint(struct dune_json_reader *r, const json_t *v, uint64_t max);

/* Members of an object. */
uint64_t dune_json_uint(struct dune_json_reader *r, const json_t *obj, const char *key,
                        uint64_t max);
/* Any 64-bit number: above INT64_MAX, where JSON readers disagree, it is a string (dune_jsonw_big). */
uint64_t dune_json_big(struct dune_json_reader *r, const json_t *obj, const char *key);
/* A number, with or without fraction; null is NAN where that is allowed. */
double dune_json_double(struct dune_json_reader *r, const json_t *obj, const char *key, bool or_null);
bool dune_json_bool(struct dune_json_reader *r, const json_t *obj, const char *key);
/* A borrowed string; NULL after an error, and for null where that is allowed. */
const char *dune_json_text(struct dune_json_reader *r, const json_t *obj, const char *key,
                           bool or_null);
char *dune_json_dup(struct dune_json_reader *r, const json_t *obj, const char *key, bool or_null);
/* Index into a NULL-terminated list of words. */
unsigned dune_json_word(struct dune_json_reader *r, const json_t *obj, const char *key,
                        const char *const *words);
/* The array obj[key]; stays inside its path until dune_json_leave(r, *at). *n = 0 after an error.
 */
const json_t *dune_json_array(struct dune_json_reader *r, const json_t *obj, const char *key,
                              uint32_t max, uint32_t *n, size_t *at);
/* An array of numbers up to 255; NULL when empty. */
uint8_t *dune_json_bytes(struct dune_json_reader *r, const json_t *obj, const char *key,
                         uint32_t max, uint32_t *n);

#endif
