/* SPDX-License-Identifier: Apache-2.0 */
/* Output files of a replay; both appear whole or not at all. */
#include "experiment/replay_int.h"

#include <string.h>

#include "base/spill.h"

static const char header[] =
    "packet,capture,class,final,tentative,settled,phase,device,submodel,confidence\n";

int dune_rp_out_open(struct rp_out *o, const struct dune_plan *p, const struct dune_replay_opts *opts,
                     struct dune_diag *d)
{
    int rc = 0;

    memset(o, 0, sizeof(*o));
    o->plan = p;
    if (opts->verdicts_path)
        rc = dune_outfile_open(&o->csv, opts->verdicts_path, d);
    if (rc == 0 && o->csv.f)
        fputs(header, o->csv.f);
    if (rc == 0 && opts->pcap_path)
        rc = dune_writer_open(&o->pcap, opts->pcap_path, d);
    if (rc)
        dune_rp_out_abort(o);
    return rc;
}

static void put_field(FILE *f, const char *text)
{
    struct dune_buf b = {0};

    if (!strpbrk(text, ",\"\r\n")) {
        fputs(text, f);
        return;
    }
    dune_csv_put(&b, text);
    dune_spill_fwrite(b.data, b.len, f);
    dune_buf_fini(&b);
}

/* The device is where the verdict became final, by name; empty where it did not. */
void dune_rp_out_verdict(struct rp_out *o, const struct dune_replay_packet *p)
{
    const struct dune_verdict *v = p->verdict;
    FILE *f = o->csv.f;

    if (!f)
        return;
    fprintf(f, "%llu,", (unsigned long long)p->index);
    put_field(f, p->capture);
    fputc(',', f);
    if (v->cls && v->cls <= o->plan->n_classes)
        put_field(f, o->plan->cls[v->cls - 1].name);
    if (!v->inferable) {
        fputs(",0,0,0,,,,\n", f);
        return;
    }
    fprintf(f, ",%d,%d,%d,%s,", (v->flags & DUNE_SHIM_FINAL) != 0,
            (v->flags & DUNE_SHIM_TENTATIVE) != 0,
            (v->flags & DUNE_SHIM_FINAL) && (v->flags & DUNE_SHIM_SETTLED),
            v->flags & DUNE_SHIM_FL ? "FL" : "PL");
    if (v->device < o->plan->n_devices)
        put_field(f, o->plan->device[v->device].name);
    fprintf(f, ",%u,%u\n", v->submodel, v->conf);
}

int dune_rp_out_frame(struct rp_out *o, uint64_t ts_ns, const struct dune_chain_frame *f,
                      struct dune_diag *d)
{
    if (!o->pcap || !f->data)
        return 0;
    return dune_writer_put(o->pcap, ts_ns, f->data, f->cap_len, f->wire_len, d);
}

int dune_rp_out_commit(struct rp_out *o, struct dune_diag *d)
{
    int rc = 0;

    if (o->pcap) {
        rc = dune_writer_commit(o->pcap, d);
        o->pcap = NULL;
    }
    if (rc == 0 && o->csv.f)
        rc = dune_outfile_commit(&o->csv, d);
    else if (o->csv.f)
        dune_outfile_abort(&o->csv);
    return rc;
}

void dune_rp_out_abort(struct rp_out *o)
{
    if (o->pcap)
        dune_writer_abort(o->pcap);
    if (o->csv.f)
        dune_outfile_abort(&o->csv);
    memset(o, 0, sizeof(*o));
}
