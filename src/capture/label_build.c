/* SPDX-License-Identifier: Apache-2.0 */
#include "capture/labels_int.h"

#include <stdlib.h>
#include <string.h>

const char *label_build_class(struct label_build *b, const char *name, uint32_t *id)
{
    const char *problem = label_name_problem(name);
    struct keytab_value v;
    bool fresh;

    if (problem)
        return problem;
    v = keytab_add(&b->classes, name, strlen(name), &fresh);
    if (fresh) {
        if (b->names.len >= UINT16_MAX - 1)
            return "more than 65534 classes";
        *v.value = (uint32_t)b->names.len;
        DUNE_VEC_PUSH(&b->names, dune_arena_strdup(&b->l->arena, name));
    }
    *id = *v.value;
    return NULL;
}

static int by_name(const void *a, const void *b)
{
    return strcmp(*(const char *const *)a, *(const char *const *)b);
}

void label_build_finish(struct label_build *b)
{
    struct dune_labels *l = b->l;
    uint32_t *final = DUNE_NEW_N(uint32_t, b->names.len + 1);
    struct keytab_value v;
    size_t pos = 0;

    l->n_classes = (uint32_t)b->names.len;
    l->class_name = dune_arena_alloc(&l->arena, b->names.len, sizeof(*l->class_name));
    memcpy(l->class_name, b->names.data, b->names.len * sizeof(*l->class_name));
    qsort(l->class_name, l->n_classes, sizeof(*l->class_name), by_name);
    for (uint32_t i = 0; i < l->n_classes; i++) {
        const char *name = l->class_name[i];

        final[*keytab_find(&b->classes, name, strlen(name)).value] = i;
    }
    for (size_t i = 0; i < l->spans.len; i++)
        l->spans.data[i].cls = final[l->spans.data[i].cls];
    if (!labels_have_spans(l))
        while (keytab_walk(&l->keys, &pos, &v))
            *v.value = final[*v.value];
    dune_mem_free(final);
}

void label_build_fini(struct label_build *b)
{
    keytab_fini(&b->classes);
    DUNE_VEC_FREE(&b->names);
}
