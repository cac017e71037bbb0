/* SPDX-License-Identifier: Apache-2.0 */
/* What nDPI says about the connections of captures, as labels. */
#include "capture/labels_int.h"

#include <string.h>

struct making {
    struct dune_labels *l;
    struct label_build build;
    const struct dune_captures *captures;
    enum dune_ndpi_names names;
    bool guesses;
    struct dune_ndpi_report report;
    struct dune_diag *d;
};

/* FILE, or FILE and the name of a piece behind a zero byte. */
static struct keytab_value find_number(const struct keytab *t, const char *file, const char *piece)
{
    struct keytab_value v;
    struct dune_buf key = {0};

    dune_buf_append(&key, file, strlen(file) + 1);
    dune_buf_puts(&key, piece ? piece : "");
    v = keytab_find(t, key.data, key.len);
    dune_buf_fini(&key);
    return v;
}

uint32_t labels_ndpi_capture(const struct dune_labels *l, const char *file, const char *piece)
{
    struct keytab_value v = find_number(&l->captures, file ? file : "", piece);

    return v.value ? *v.value : 0;
}

static uint32_t number_capture(struct making *m, const char *file, const char *piece)
{
    struct dune_buf key = {0};
    struct keytab_value v;
    bool fresh;

    dune_buf_append(&key, file, strlen(file) + 1);
    dune_buf_puts(&key, piece ? piece : "");
    v = keytab_add(&m->l->captures, key.data, key.len, &fresh);
    *v.value = (uint32_t)m->l->captures.n_keys;
    dune_buf_fini(&key);
    return *v.value;
}

static int add_record(struct making *m, const struct ndpi_flow_record *r, const char *path)
{
    struct label_span s = {.start = r->start, .end = r->end, .line = (uint32_t)m->l->spans.len + 1};
    const char *problem = label_name_problem(r->name);

    m->report.flows++;
    if (!r->name[0] || problem) {
        m->report.unknown++;
        return 0;
    }
    m->report.guessed += r->guessed;
    m->report.known += !r->guessed;
    if (r->guessed && !m->guesses)
        return 0;
    problem = label_build_class(&m->build, r->name, &s.cls);
    if (!problem && (m->l->spans.len >= UINT32_MAX - 1 || keytab_is_full(&m->l->keys)))
        problem = "more connections than can be kept";
    if (problem)
        return dune_diag_set(m->d, DUNE_E_INPUT, path, "%s", problem);
    spans_add(m->l, &r->key, r->capture, &s);
    return 0;
}

static int ask_about(struct making *m, const char *path)
{
    const struct dune_piece *piece = NULL;
    struct ndpi_piece *list, whole = {.n_packets = UINT64_MAX};
    ndpi_flow_records rec = {0};
    size_t n = 0;
    int rc = m->captures ? dune_captures_pieces(m->captures, path, &piece, &n) : 0;

    if (rc)
        return dune_diag_set(m->d, rc, path, "the list of captures names it in several splits");
    list = n ? DUNE_NEW_N(struct ndpi_piece, n) : &whole;
    for (size_t i = 0; i < n; i++)
        list[i] = (struct ndpi_piece){piece[i].n_packets, number_capture(m, path, piece[i].name)};
    if (!n)
        whole.number = number_capture(m, path, NULL);
    rc = labels_ndpi_flows(&rec, path, list, n ? n : 1, m->names, m->d);
    for (size_t i = 0; i < rec.len && rc == 0; i++)
        rc = add_record(m, &rec.data[i], path);
    DUNE_VEC_FREE(&rec);
    if (list != &whole)
        dune_mem_free(list);
    return rc;
}

static int finish(struct making *m, const char *path)
{
    uint32_t first;

    if (m->l->spans.len == 0)
        return dune_diag_set(m->d, DUNE_E_INPUT, path, "nDPI %s knows none of %llu connections (it guesses %llu of "
                             "them): there is nothing to learn from", dune_ndpi_version(),
                             (unsigned long long)m->report.flows, (unsigned long long)m->report.guessed);
    label_build_finish(&m->build);
    (void)spans_finish(m->l, &first);
    return 0;
}

int dune_labels_ndpi(struct dune_labels **out, const char *const *paths, size_t n_paths,
                     const struct dune_captures *captures, enum dune_ndpi_names names, bool guesses,
                     struct dune_ndpi_report *report, struct dune_diag *d)
{
    struct making m = {.l = DUNE_NEW(struct dune_labels), .captures = captures, .names = names, .guesses = guesses,
                       .d = d};
    int rc = 0;

    m.l->kind = LABEL_NDPI;
    m.build.l = m.l;
    m.report.used = true;
    if (n_paths == 0)
        rc = dune_diag_set(d, DUNE_E_USAGE, NULL, "nDPI labels captures, and none is given");
    for (size_t i = 0; i < n_paths && rc == 0; i++)
        rc = ask_about(&m, paths[i]);
    if (rc == 0)
        rc = finish(&m, paths[0]);
    label_build_fini(&m.build);
    if (report)
        *report = m.report;
    *out = rc ? NULL : m.l;
    if (rc)
        dune_labels_free(m.l);
    return rc;
}

/* --- what --labels takes -------------------------------------------------------------------------------- */

static bool parse_spec(const char *spec, enum dune_ndpi_names *names, bool *guesses)
{
    static const char *const text[DUNE_NDPI_N_NAMES] = {"ndpi", "ndpi-protocol", "ndpi-category"};

    for (int i = 0; i < DUNE_NDPI_N_NAMES; i++) {
        size_t n = strlen(text[i]);

        *names = (enum dune_ndpi_names)i;
        *guesses = strncmp(spec, text[i], n) == 0 && strcmp(spec + n, ":guess") == 0;
        if (*guesses || strcmp(spec, text[i]) == 0)
            return true;
    }
    return false;
}

bool dune_labels_are_ndpi(const char *spec)
{
    enum dune_ndpi_names names;
    bool guesses;

    return parse_spec(spec, &names, &guesses);
}

int dune_labels_open(struct dune_labels **out, const char *spec, const struct dune_labels_opts *opts,
                     const char *const *paths, size_t n_paths, const struct dune_captures *captures,
                     struct dune_ndpi_report *report, struct dune_diag *d)
{
    enum dune_ndpi_names names;
    bool guesses;

    *out = NULL;
    if (report)
        *report = (struct dune_ndpi_report){0};
    if (!parse_spec(spec, &names, &guesses))
        return dune_labels_read(out, spec, opts, d);
    if (opts && opts->field)
        return dune_diag_set(d, DUNE_E_USAGE, NULL, "a label field is about logs; with nDPI, --labels ndpi, ndpi-protocol "
                             "or ndpi-category says what is the class");
    return dune_labels_ndpi(out, paths, n_paths, captures, names, guesses, report, d);
}
