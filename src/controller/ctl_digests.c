/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Digests come on a subject of their own and wait here: reports and refusals are taken as they come, digests so many a
 * step, so that no number of them holds up an update or the lease. A message that finds the queue full, or has waited
 * longer than it takes a device to repeat its digests, is dropped and counted.
 */
#include "controller/controller_int.h"

enum { WAIT_NS = 1000000000 };

void dune_ctl_digests_wait(struct dune_controller *c, const void *data, size_t len)
{
    struct ctl_waiting *w;

    if (c->n_waiting == CTL_WAITING || len > CTL_WAITING_BYTES - c->waiting_bytes) {
        c->stats.digest_messages_dropped++;
        return;
    }
    w = &c->waiting[(c->first_waiting + c->n_waiting) % CTL_WAITING];
    w->text = dune_mem_strndup(data, len);
    w->len = len;
    w->since_ns = c->now_ns;
    c->waiting_bytes += len;
    c->n_waiting++;
}

static struct ctl_waiting next_waiting(struct dune_controller *c)
{
    struct ctl_waiting w = c->waiting[c->first_waiting];

    c->first_waiting = (c->first_waiting + 1) % CTL_WAITING;
    c->n_waiting--;
    c->waiting_bytes -= w.len;
    return w;
}

static void drop_old(struct dune_controller *c)
{
    while (c->n_waiting && c->now_ns > c->waiting[c->first_waiting].since_ns + WAIT_NS) {
        dune_mem_free(next_waiting(c).text);
        c->stats.digest_messages_dropped++;
    }
}

void dune_ctl_digests_step(struct dune_controller *c)
{
    struct dune_ctl_msg *m;

    drop_old(c);
    if (!c->n_waiting)
        return;
    m = DUNE_NEW(struct dune_ctl_msg);
    for (uint32_t done = 0; c->n_waiting && done < CTL_STEP_DIGESTS; done += 1 + m->n_digests) {
        struct ctl_waiting w = next_waiting(c);
        struct dune_diag d = {0};
        const struct ctl_device *dev = NULL;

        if (dune_ctl_parse(m, w.text, w.len, &d) == 0 && m->kind == DUNE_CTL_DIGESTS)
            dev = dune_ctl_find_device(c, m->device);
        if (dev)
            dune_ctl_take_digests(c, dev, m);
        else
            c->stats.bad_messages++;
        dune_ctl_msg_fini(m);
        dune_mem_free(w.text);
    }
    dune_mem_free(m);
}

void dune_ctl_digests_forget(struct dune_controller *c)
{
    while (c->n_waiting)
        dune_mem_free(next_waiting(c).text);
}
