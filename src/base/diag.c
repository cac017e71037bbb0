/* SPDX-License-Identifier: Apache-2.0 */
#include "base/base.h"

#include <string.h>

static int fill(struct dune_diag *d, int code, const char *file, const char *fmt, va_list ap)
{
    d->code = code;
    if (file)
        snprintf(d->file, sizeof(d->file), "%s", file);
    vsnprintf(d->msg, sizeof(d->msg), fmt, ap);
    return code;
}

int dune_diag_set(struct dune_diag *d, int code, const char *file, const char *fmt, ...)
{
    if (d && !d->code) {
        va_list ap;
        va_start(ap, fmt);
        fill(d, code, file, fmt, ap);
        va_end(ap);
    }
    return code;
}

int dune_diag_set_line(struct dune_diag *d, int code, const char *file, uint64_t line,
                       const char *fmt, ...)
{
    if (d && !d->code) {
        va_list ap;
        va_start(ap, fmt);
        fill(d, code, file, fmt, ap);
        va_end(ap);
        d->line = line;
    }
    return code;
}

int dune_diag_set_offset(struct dune_diag *d, int code, const char *file, uint64_t offset,
                         const char *fmt, ...)
{
    if (d && !d->code) {
        va_list ap;
        va_start(ap, fmt);
        fill(d, code, file, fmt, ap);
        va_end(ap);
        d->offset = offset;
        d->has_offset = 1;
    }
    return code;
}

int dune_diag_set_place(struct dune_diag *d, int code, const char *file, const char *place,
                        const char *fmt, ...)
{
    if (d && !d->code) {
        va_list ap;
        va_start(ap, fmt);
        fill(d, code, file, fmt, ap);
        va_end(ap);
        snprintf(d->place, sizeof(d->place), "%s", place ? place : "");
    }
    return code;
}

void dune_diag_format(const struct dune_diag *d, char *out, uint32_t out_bytes)
{
    char line[32] = "", offset[40] = "";

    if (d->line)
        snprintf(line, sizeof(line), ":%llu", (unsigned long long)d->line);
    if (d->has_offset)
        snprintf(offset, sizeof(offset), " at byte %llu", (unsigned long long)d->offset);
    snprintf(out, out_bytes, "%s%s%s%s%s%s%s", d->file, line, offset,
             d->file[0] || line[0] || offset[0] ? ": " : "", d->place, d->place[0] ? ": " : "",
             d->msg[0] ? d->msg : "unknown error");
}

int dune_err_exit_code(int code)
{
    if (code >= 0)
        return 0;
    if (code > -10)
        return 1;
    if (code > -20)
        return 2;
    if (code > -30)
        return 3;
    if (code > -40)
        return 4;
    if (code > -50)
        return 5;
    return 130;
}
