/* SPDX-License-Identifier: Apache-2.0 */
#include "base/base.h"
#include "dune/importance.h"
#include "dune/sequence.h"

#include <string.h>

static int find_name(char *const *names, uint32_t n, const char *name)
{
    for (uint32_t i = 0; i < n; i++)
        if (strcmp(names[i], name) == 0)
            return (int)i;
    return -1;
}

/* F in the order of C's blocks. */
static int match_blocks(const struct dune_square *c, const struct dune_scores *f, const char *file,
                        double **f1, struct dune_diag *d)
{
    for (uint32_t i = 0; i < f->n_classes; i++)
        if (strcmp(f->class_name[i], "Other") != 0 && find_name(c->name, c->n, f->class_name[i]) < 0)
            return dune_diag_set(d, DUNE_E_INPUT, file, "block \"%.200s\" is not in the confusion",
                                 f->class_name[i]);
    *f1 = DUNE_NEW_N(double, c->n);
    for (uint32_t i = 0; i < c->n; i++) {
        int at = find_name(f->class_name, f->n_classes, c->name[i]);

        if (at < 0) {
            dune_mem_free(*f1);
            *f1 = NULL;
            return dune_diag_set(d, DUNE_E_INPUT, file, "no F1 of block \"%.200s\"", c->name[i]);
        }
        (*f1)[i] = f->f1[at];
    }
    return 0;
}

int dune_sequence_read(const char *confusion_csv, const char *f1_csv, uint32_t *n, char ***names,
                       double **confusion, double **f1, struct dune_diag *d)
{
    struct dune_scores *f = NULL;
    struct dune_square *c;
    int rc = dune_square_read(&c, confusion_csv, d);

    *n = 0;
    *names = NULL;
    *confusion = *f1 = NULL;
    if (rc)
        return rc;
    rc = dune_scores_read(&f, f1_csv, d);
    if (!rc)
        rc = match_blocks(c, f, f1_csv, f1, d);
    if (!rc) {
        *n = c->n;
        *names = c->name;
        *confusion = c->v;
        c->n = 0;
        c->name = NULL;
        c->v = NULL;
    }
    dune_square_free(c);
    dune_scores_free(f);
    return rc;
}

int dune_sequence_format(const struct dune_order *o, const char *method, char *const *names, char **text,
                         size_t *len)
{
    struct dune_buf out = {0};
    struct dune_jsonw w;

    dune_jsonw_init(&w, &out);
    dune_jsonw_obj(&w);
    dune_jsonw_key(&w, "method");
    dune_jsonw_str(&w, method);
    dune_jsonw_key(&w, "objective");
    dune_jsonw_double(&w, o->objective);
    dune_jsonw_key(&w, "order");
    dune_jsonw_arr_inline(&w);
    for (uint32_t i = 0; i < o->n; i++)
        dune_jsonw_str(&w, names[o->order[i]]);
    dune_jsonw_end(&w);
    dune_jsonw_key(&w, "ties");
    dune_jsonw_uint(&w, o->ties);
    dune_jsonw_end(&w);
    *text = out.data;
    *len = out.len;
    return 0;
}
