/* SPDX-License-Identifier: Apache-2.0 */
#include "base/format.h"

int dune_format_check(const struct dune_format *f, uint64_t major, uint64_t minor, const char *file, const char *place,
                      struct dune_diag *d)
{
    if (major > f->major)
        return dune_diag_set_place(d, DUNE_E_VERSION, file, place,
                                   "%s of version %llu.%llu, made by a newer program; this one reads version %u", f->what,
                                   (unsigned long long)major, (unsigned long long)minor, f->major);
    if (major < f->major)
        return dune_diag_set_place(d, DUNE_E_VERSION, file, place, "%s of version %llu.%llu; this program reads version %u: "
                                   "make it anew", f->what, (unsigned long long)major, (unsigned long long)minor, f->major);
    if (minor > f->minor && !f->passes_over)
        return dune_diag_set_place(d, DUNE_E_VERSION, file, place,
                                   "%s of version %llu.%llu, made by a newer program; this one reads version %u up to %u.%u",
                                   f->what, (unsigned long long)major, (unsigned long long)minor, f->major, f->major, f->minor);
    return 0;
}

int dune_format_check_json(const struct dune_format *f, json_t *root, const char *key, bool *newer, const char *file,
                           struct dune_diag *d)
{
    const json_t *major = json_object_get(root, key), *minor = json_object_get(root, "minor");
    json_int_t n = json_integer_value(minor); /* 0 if there is none */
    int rc;

    if (!json_is_integer(major) || json_integer_value(major) < 0)
        return dune_diag_set_place(d, DUNE_E_INPUT, file, key, "a version number is expected");
    if (minor && (!json_is_integer(minor) || n < 0))
        return dune_diag_set_place(d, DUNE_E_INPUT, file, "minor", "a minor version number is expected");
    rc = dune_format_check(f, (uint64_t)json_integer_value(major), (uint64_t)n, file, key, d);
    if (rc)
        return rc;
    if (newer)
        *newer = (uint64_t)n > f->minor;
    if (minor)
        json_object_del(root, "minor");
    return 0;
}
