/* SPDX-License-Identifier: Apache-2.0 */
/* Scenes: what is shown, copied from what the producer has. Shared by reference. */
#include "dash/dash_int.h"

#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "dune/dataset.h"

static char *copy(const char *text)
{
    return text ? dune_mem_strdup(text) : NULL;
}

static int by_name(const void *a, const void *b)
{
    return strcmp(*(char *const *)a, *(char *const *)b);
}

static uint32_t class_index(const struct dash_scene *s, const char *name)
{
    char **at = bsearch(&name, s->class_name, s->n_classes, sizeof(*s->class_name), by_name);

    return at ? (uint32_t)(at - s->class_name) : DASH_NONE;
}

/* The same list, in the same order, as a replay's scores. */
static void take_classes(struct dash_scene *s, const struct dune_labels *l)
{
    uint32_t n_labels = l ? dune_labels_n_classes(l) : 0, n_plan = s->plan ? s->plan->n_classes : 0, n = 0;

    s->class_name = DUNE_NEW_N(char *, n_labels + n_plan + 1);
    for (uint32_t i = 0; i < n_labels; i++)
        s->class_name[n++] = dune_mem_strdup(dune_labels_class(l, i));
    for (uint32_t i = 0; i < n_plan; i++)
        s->class_name[n++] = dune_mem_strdup(s->plan->cls[i].name);
    qsort(s->class_name, n, sizeof(*s->class_name), by_name);
    for (uint32_t i = 0; i < n; i++) {
        if (s->n_classes && strcmp(s->class_name[s->n_classes - 1], s->class_name[i]) == 0)
            dune_mem_free(s->class_name[i]);
        else
            s->class_name[s->n_classes++] = s->class_name[i];
    }
    s->of_label = DUNE_NEW_N(uint32_t, n_labels + 1);
    for (uint32_t i = 0; i < n_labels; i++)
        s->of_label[i] = class_index(s, dune_labels_class(l, i));
    for (uint32_t i = 0; i < 256; i++)
        s->of_plan[i] = i && i <= n_plan ? class_index(s, s->plan->cls[i - 1].name) : DASH_NONE;
}

static void take_devices(struct dash_scene *s, const struct dune_dash_scene *from)
{
    s->n_devices = from->device ? from->n_devices : s->plan ? s->plan->n_devices : 0;
    s->device = DUNE_NEW_N(struct dash_place, s->n_devices + 1);
    for (uint32_t i = 0; i < s->n_devices; i++) {
        s->device[i].name = dune_mem_strdup(from->device ? from->device[i].name : s->plan->device[i].name);
        s->device[i].position = from->device ? from->device[i].position : (uint16_t)i;
        s->device[i].next = from->device ? from->device[i].next
                            : i + 1 < s->n_devices ? (uint16_t)(i + 1) : (uint16_t)DUNE_DASH_SINK;
    }
}

static void add_piece(struct dash_scene *s, uint32_t file, unsigned components, const struct dune_piece *piece)
{
    s->piece = dune_mem_realloc(s->piece, s->n_pieces + 1, sizeof(*s->piece));
    s->piece[s->n_pieces++] = (struct dash_piece){
        file, piece ? piece->n_packets : UINT64_MAX, dune_capture_name(s->pcap[file], components, piece)};
}

/* Captures in the order in which a replay plays them, by the names it gives them. */
static void take_captures(struct dash_scene *s, const struct dune_dash_scene *from)
{
    unsigned components = dune_capture_components(from->pcaps, from->n_pcaps);

    s->n_pcaps = from->n_pcaps;
    s->pcap = DUNE_NEW_N(char *, s->n_pcaps + 1);
    for (uint32_t i = 0; i < s->n_pcaps; i++) {
        const struct dune_piece *piece = NULL;
        size_t n = 0;

        s->pcap[i] = dune_mem_strdup(from->pcaps[i]);
        if (from->captures && dune_captures_pieces(from->captures, from->pcaps[i], &piece, &n))
            n = 0;
        for (size_t k = 0; k < n; k++)
            add_piece(s, i, components, &piece[k]);
        if (n == 0)
            add_piece(s, i, components, NULL);
    }
}

struct dash_scene *dash_scene_new(const struct dune_dash_scene *from)
{
    struct dash_scene *s = DUNE_NEW(struct dash_scene);
    struct timespec now;

    atomic_init(&s->refs, 1);
    pthread_mutex_init(&s->slot_lock, NULL);
    s->use_case = copy(from->use_case);
    s->solution = copy(from->solution);
    s->source = dune_mem_strdup(from->source ? from->source : "replay");
    s->pace = copy(from->pace);
    s->plan = from->plan ? dune_plan_clone(from->plan) : NULL;
    s->labels = from->labels;
    s->captures = from->captures;
    take_classes(s, from->labels);
    take_devices(s, from);
    if (from->pcaps)
        take_captures(s, from);
    dash_board_init(&s->slot, s->n_devices, s->n_classes);
    dash_board_init(&s->shown, s->n_devices, s->n_classes);
    s->past = DUNE_NEW_N(uint64_t, (size_t)DASH_WINDOW_S * DASH_N_SUMS * (s->n_classes + 1));
    dash_ring_init(&s->ring);
    clock_gettime(CLOCK_REALTIME, &now);
    s->started_ns = (uint64_t)now.tv_sec * 1000000000u + (uint64_t)now.tv_nsec;
    return s;
}

struct dash_scene *dash_scene_ref(struct dash_scene *s)
{
    if (s)
        atomic_fetch_add(&s->refs, 1);
    return s;
}

static void free_texts(char **text, size_t n)
{
    for (size_t i = 0; text && i < n; i++)
        dune_mem_free(text[i]);
    dune_mem_free(text);
}

void dash_scene_unref(struct dash_scene *s)
{
    if (!s || atomic_fetch_sub(&s->refs, 1) != 1)
        return;
    for (uint32_t i = 0; i < s->n_devices; i++)
        dune_mem_free(s->device[i].name);
    for (size_t i = 0; i < s->n_pieces; i++)
        dune_mem_free(s->piece[i].name);
    free_texts(s->class_name, s->n_classes);
    free_texts(s->pcap, s->n_pcaps);
    dune_mem_free(s->piece);
    dune_mem_free(s->device);
    dune_mem_free(s->of_label);
    dune_mem_free(s->use_case);
    dune_mem_free(s->solution);
    dune_mem_free(s->source);
    dune_mem_free(s->pace);
    dune_mem_free(s->past);
    dash_board_fini(&s->slot);
    dash_board_fini(&s->shown);
    dash_ring_fini(&s->ring);
    dune_plan_free(s->plan);
    pthread_mutex_destroy(&s->slot_lock);
    dune_mem_free(s);
}

/* The sums of DASH_WINDOW_S points ago, or of the beginning. */
struct dune_f1 dash_scene_window(const struct dash_scene *s)
{
    size_t row = (size_t)DASH_N_SUMS * s->n_classes;
    const uint64_t *before = s->n_past >= DASH_WINDOW_S ? s->past + (s->n_past % DASH_WINDOW_S) * row : NULL;

    return dash_board_f1(&s->shown, DASH_FLOW_LEVEL, before, NULL);
}
