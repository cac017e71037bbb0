/* SPDX-License-Identifier: Apache-2.0 */
/* A YAML document as a small tree with line numbers; anchors, aliases and tags are refused. */
#include "base/yaml_tree.h"

#include <string.h>
#include <yaml.h>

enum { MAX_DEPTH = 16, MAX_NODES = 100000 };

struct reader {
    const char *file;
    yaml_parser_t parser;
    struct dune_arena *arena;
    struct dune_diag *d;
    size_t n_nodes;
};

static int fail(struct reader *r, uint64_t line, const char *what)
{
    return dune_diag_set_line(r->d, DUNE_E_FORMAT, r->file, line, "%s", what);
}

static int next_event(struct reader *r, yaml_event_t *ev)
{
    if (yaml_parser_parse(&r->parser, ev))
        return 0;
    return dune_diag_set_line(r->d, DUNE_E_FORMAT, r->file, r->parser.problem_mark.line + 1,
                              "not valid YAML: %s", r->parser.problem ? r->parser.problem : "?");
}

static int read_node(struct reader *r, yaml_event_t *ev, int depth, struct dune_yaml **out);

static void append(struct reader *r, struct dune_yaml *parent, struct dune_yaml *child)
{
    if (parent->n == parent->cap) {
        size_t cap = parent->cap ? parent->cap * 2 : 8;
        struct dune_yaml **grown = dune_arena_alloc(r->arena, cap, sizeof(*grown));

        if (parent->n)
            memcpy(grown, parent->item, parent->n * sizeof(*grown));
        parent->item = grown;
        parent->cap = cap;
    }
    parent->item[parent->n++] = child;
}

/* Children of a sequence or mapping; of a mapping alternately key and value. */
static int read_children(struct reader *r, struct dune_yaml *node, yaml_event_type_t end, int depth)
{
    for (;;) {
        yaml_event_t ev;
        struct dune_yaml *child;
        char *key = NULL;
        int rc = next_event(r, &ev);

        if (rc)
            return rc;
        if (ev.type == end) {
            yaml_event_delete(&ev);
            return 0;
        }
        if (node->kind == DUNE_YAML_MAP) {
            if (ev.type != YAML_SCALAR_EVENT) {
                yaml_event_delete(&ev);
                return fail(r, node->line, "a key is not a plain word");
            }
            key = dune_arena_strdup(r->arena, (const char *)ev.data.scalar.value);
            if (dune_yaml_find(node, key))
                rc = fail(r, ev.start_mark.line + 1, "a key appears twice");
            yaml_event_delete(&ev);
            if (rc == 0)
                rc = next_event(r, &ev);
            if (rc)
                return rc;
        }
        rc = read_node(r, &ev, depth + 1, &child);
        yaml_event_delete(&ev);
        if (rc)
            return rc;
        child->key = key;
        append(r, node, child);
    }
}

static int read_node(struct reader *r, yaml_event_t *ev, int depth, struct dune_yaml **out)
{
    struct dune_yaml *node = dune_arena_alloc(r->arena, 1, sizeof(*node));

    node->line = ev->start_mark.line + 1;
    *out = node;
    if (depth > MAX_DEPTH || ++r->n_nodes > MAX_NODES)
        return fail(r, node->line, "too large or nested too deep");
    switch (ev->type) {
    case YAML_SCALAR_EVENT:
        node->kind = DUNE_YAML_SCALAR;
        node->text = dune_arena_strdup(r->arena, (const char *)ev->data.scalar.value);
        return 0;
    case YAML_SEQUENCE_START_EVENT:
        node->kind = DUNE_YAML_SEQ;
        return read_children(r, node, YAML_SEQUENCE_END_EVENT, depth);
    case YAML_MAPPING_START_EVENT:
        node->kind = DUNE_YAML_MAP;
        return read_children(r, node, YAML_MAPPING_END_EVENT, depth);
    default:
        return fail(r, node->line, "anchors and aliases are not supported");
    }
}

static int read_document(struct reader *r, struct dune_yaml **out)
{
    for (;;) {
        yaml_event_t ev;
        int rc = next_event(r, &ev);
        yaml_event_type_t type = ev.type;

        if (rc)
            return rc;
        if (type != YAML_STREAM_START_EVENT && type != YAML_DOCUMENT_START_EVENT) {
            if (type == YAML_STREAM_END_EVENT)
                rc = fail(r, 1, "the file is empty");
            else
                rc = read_node(r, &ev, 0, out);
            yaml_event_delete(&ev);
            return rc;
        }
        yaml_event_delete(&ev);
    }
}

int dune_yaml_parse(struct dune_yaml **out, const char *name, const char *text, size_t len,
                    struct dune_arena *arena, struct dune_diag *d)
{
    struct reader r = {.file = name, .arena = arena, .d = d};
    int rc;

    *out = NULL;
    if (!yaml_parser_initialize(&r.parser))
        return dune_diag_set(d, DUNE_E_NOMEM, name, "out of memory");
    yaml_parser_set_input_string(&r.parser, (const unsigned char *)text, len);
    rc = read_document(&r, out);
    yaml_parser_delete(&r.parser);
    return rc;
}

const struct dune_yaml *dune_yaml_find(const struct dune_yaml *map, const char *key)
{
    for (size_t i = 0; i < map->n; i++)
        if (map->item[i]->key && strcmp(map->item[i]->key, key) == 0)
            return map->item[i];
    return NULL;
}
