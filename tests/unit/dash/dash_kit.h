/* SPDX-License-Identifier: Apache-2.0 */
/* A dashboard without threads and server, with a scene of hostile names. */
#ifndef DUNE_TESTS_DASH_KIT_H
#define DUNE_TESTS_DASH_KIT_H

#include <jansson.h>

#include "dash/dash_int.h"
#include "testing.h"

#define KIT_TOKEN "0123456789abcdef"
static const char *const kit_names[] = {"</script><img src=x onerror=alert(1)>", "\"\\\n\r\tquote", "\xff\xfe not utf-8", "a  b",
                                        "event: x\ndata: y\n\n"};
enum { KIT_CLASSES = 5, KIT_DEVICES = 2 };

static inline struct dune_plan *kit_plan(void)
{
    struct dune_plan *p = dune_plan_new();

    p->n_classes = KIT_CLASSES;
    p->cls = DUNE_NEW_N(struct dune_plan_class, KIT_CLASSES);
    for (int i = 0; i < KIT_CLASSES; i++)
        p->cls[i].name = dune_mem_strdup(kit_names[i]);
    for (uint32_t i = 0; i < p->n_devices; i++) {
        dune_mem_free(p->device[i].name);
        dune_mem_free(p->device[i].profile);
    }
    dune_mem_free(p->device);
    p->n_devices = KIT_DEVICES;
    p->device = DUNE_NEW_N(struct dune_plan_device, KIT_DEVICES);
    for (int i = 0; i < KIT_DEVICES; i++) {
        p->device[i].name = dune_mem_strdup(kit_names[i]);
        p->device[i].profile = dune_mem_strdup("engine");
    }
    return p;
}

static inline struct dune_dash *kit_new(const struct dune_dash_control *control)
{
    struct dune_dash *dash = DUNE_NEW(struct dune_dash);
    struct dune_plan *p = kit_plan();
    struct dune_dash_scene scene = {.use_case = kit_names[0], .solution = kit_names[1], .plan = p};

    pthread_mutex_init(&dash->lock, NULL);
    pthread_mutex_init(&dash->control_lock, NULL);
    pthread_cond_init(&dash->cond, NULL);
    dash->title = dune_mem_strdup("kit");
    dash->token = dune_mem_strdup(KIT_TOKEN);
    dash->url = dune_mem_strdup("http://127.0.0.1:1/");
    snprintf(dash->boot, sizeof(dash->boot), "0123");
    dash->point = DUNE_NEW_N(struct dash_point, DASH_POINTS);
    dash->flows.flow = DUNE_NEW_N(struct dash_flow, DASH_FLOWS);
    if (control)
        dash->control = *control, dash->has_control = true;
    dash->scene = dash_scene_new(&scene);
    dash->scene->id = 1;
    dune_plan_free(p);
    return dash;
}

static inline void kit_free(struct dune_dash *dash)
{
    dash_scene_unref(dash->scene);
    for (int k = 0; k < DASH_N_EVENTS; k++)
        dash_event_unref(dash->event[k]);
    dune_mem_free(dash->title);
    dune_mem_free(dash->token);
    dune_mem_free(dash->url);
    dune_mem_free(dash->point);
    dune_mem_free(dash->flows.flow);
    pthread_mutex_destroy(&dash->lock);
    pthread_mutex_destroy(&dash->control_lock);
    pthread_cond_destroy(&dash->cond);
    dune_mem_free(dash);
}

/* JSON readers refuse what is no UTF-8: browsers replace it first, and so does this. */
static inline json_t *kit_json(const char *text, size_t len)
{
    char *copy = dune_mem_strndup(text, len);
    json_error_t err;
    json_t *root;

    for (size_t i = 0; i < len; i++)
        if ((unsigned char)copy[i] >= 0xfe)
            copy[i] = '?';
    root = json_loadb(copy, len, JSON_REJECT_DUPLICATES, &err);
    if (!root)
        fail_msg("no JSON: %s at %d in %.300s", err.text, err.position, copy);
    dune_mem_free(copy);
    return root;
}

static inline struct dash_flow kit_flow(const char *key, uint32_t cls)
{
    struct dash_flow f = {.cls = cls, .truth = DASH_NONE, .capture = DASH_NONE, .conf = 200, .submodel = 3, .settled = true,
                          .device = UINT16_MAX};

    assert_true(dash_key_parse(&f.key, key));
    return f;
}

#endif
