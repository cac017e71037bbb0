/* SPDX-License-Identifier: Apache-2.0 */
#include "base/base.h"

#include <string.h>

static void reserve(struct dune_buf *b, size_t extra)
{
    size_t need = b->len + extra + 1;

    if (need > b->cap) {
        size_t cap = b->cap ? b->cap : 256;

        while (cap < need)
            cap *= 2;
        b->data = dune_mem_realloc(b->data, cap, 1);
        b->cap = cap;
    }
}

void dune_buf_append(struct dune_buf *b, const void *data, size_t len)
{
    reserve(b, len);
    if (len)
        memcpy(b->data + b->len, data, len);
    b->len += len;
    b->data[b->len] = '\0';
}

void dune_buf_puts(struct dune_buf *b, const char *s)
{
    dune_buf_append(b, s, strlen(s));
}

void dune_buf_printf(struct dune_buf *b, const char *fmt, ...)
{
    va_list ap;
    int len;

    va_start(ap, fmt);
    len = vsnprintf(NULL, 0, fmt, ap);
    va_end(ap);
    if (len <= 0)
        return;
    reserve(b, (size_t)len);
    va_start(ap, fmt);
    vsnprintf(b->data + b->len, (size_t)len + 1, fmt, ap);
    va_end(ap);
    b->len += (size_t)len;
}

void dune_buf_fini(struct dune_buf *b)
{
    dune_mem_free(b->data);
    memset(b, 0, sizeof(*b));
}
