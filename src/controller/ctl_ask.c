/* SPDX-License-Identifier: Apache-2.0 */
/* Requests to a controller elsewhere: one subscription for all answers, and one subject for each. */
#include "controller/ctl_int.h"
#include "dune/controller.h"

#include <stdlib.h>
#include <string.h>
#include <unistd.h>

struct dune_asker {
    struct dune_bus *bus;
    char prefix[48]; /* "dune.answer.<this process and time>." */
    char subject[64]; /* of the request that waits; others are late answers */
    uint64_t n;
    char *answer;
};

static void on_answer(void *ctx, const char *subject, const void *data, size_t len)
{
    struct dune_asker *a = ctx;

    if (!a->answer && strcmp(subject, a->subject) == 0)
        a->answer = dune_mem_strndup(data, len);
}

int dune_asker_new(struct dune_asker **out, struct dune_bus *bus, struct dune_diag *d)
{
    struct dune_asker *a = DUNE_NEW(struct dune_asker);
    char all[64];
    int rc;

    a->bus = bus;
    snprintf(a->prefix, sizeof(a->prefix), "dune.answer.%ld-%llx.", (long)getpid(), (unsigned long long)dune_now_ns());
    snprintf(all, sizeof(all), "%s*", a->prefix);
    rc = bus->ops->subscribe(bus, all, on_answer, a, d);
    if (rc) {
        dune_mem_free(a);
        a = NULL;
    }
    *out = a;
    return rc;
}

void dune_asker_free(struct dune_asker *a)
{
    if (!a)
        return;
    dune_mem_free(a->answer);
    dune_mem_free(a);
}

static int read_error(const char *text, struct dune_diag *d)
{
    json_t *root = json_loads(text, JSON_REJECT_DUPLICATES, NULL);
    const char *why = json_string_value(json_object_get(root, "error"));
    json_int_t code = json_integer_value(json_object_get(root, "code"));
    int rc = 0;

    if (!root)
        rc = dune_diag_set(d, DUNE_E_FORMAT, NULL, "the controller's answer is not JSON");
    else if (why)
        rc = dune_diag_set(d, code < 0 && code > -100 ? (int)code : DUNE_E_INTERNAL, NULL, "controller: %s", why);
    json_decref(root);
    return rc;
}

static int with_answer_to(const char *request, size_t len, const char *subject, struct dune_buf *out, struct dune_diag *d)
{
    json_t *root = json_loadb(request, len, JSON_REJECT_DUPLICATES, NULL);
    char *text = NULL;

    if (json_is_object(root) && json_object_set_new(root, "answer_to", json_string(subject)) == 0)
        text = json_dumps(root, JSON_COMPACT);
    json_decref(root);
    if (!text)
        return dune_diag_set(d, DUNE_E_USAGE, NULL, "a request is a JSON object");
    dune_buf_puts(out, text);
    free(text);
    return 0;
}

int dune_asker_ask(struct dune_asker *a, const char *request, size_t len, unsigned timeout_ms, char **answer,
                   struct dune_diag *d)
{
    struct dune_buf text = {0};
    uint64_t end = dune_now_ns() + (uint64_t)timeout_ms * 1000000u;
    int rc;

    *answer = NULL;
    dune_mem_free(a->answer);
    a->answer = NULL;
    snprintf(a->subject, sizeof(a->subject), "%s%llu", a->prefix, (unsigned long long)++a->n);
    rc = with_answer_to(request, len, a->subject, &text, d);
    if (rc == 0)
        rc = a->bus->ops->publish(a->bus, "dune.op", text.data, text.len, d);
    dune_buf_fini(&text);
    while (rc == 0 && !a->answer && dune_now_ns() < end)
        rc = a->bus->ops->poll(a->bus, 20, d);
    a->subject[0] = '\0';
    if (rc == 0 && !a->answer)
        rc = dune_diag_set(d, DUNE_E_ENV, NULL, "no controller answered within %u ms", timeout_ms);
    if (rc == 0)
        rc = read_error(a->answer, d);
    if (rc)
        return rc; /* what came is freed with the next request */
    *answer = a->answer;
    a->answer = NULL;
    return 0;
}
