/* SPDX-License-Identifier: Apache-2.0 */
/* libdune: what a plan and a data set say about themselves. */
#include "dune/dune.h"

#include "dune/dataset.h"
#include "dune/plan.h"

unsigned dune_api_version(void)
{
    return DUNE_API_VERSION;
}

const char *dune_version(void)
{
    return DUNE_LIBRARY_VERSION;
}

unsigned dune_n_features(void)
{
    return DUNE_N_FEATURES;
}

const char *dune_feature_name(unsigned i)
{
    return i < DUNE_N_FEATURES ? dune_catalog[i].name : NULL;
}

/* --- plans --------------------------------------------------------------------------------------------- */

unsigned dune_plan_n_classes(const struct dune_plan *p)
{
    return p->n_classes;
}

const char *dune_plan_class_name(const struct dune_plan *p, unsigned cls)
{
    if (cls == 0)
        return "";
    return cls <= p->n_classes ? p->cls[cls - 1].name : NULL;
}

unsigned dune_plan_n_submodels(const struct dune_plan *p)
{
    return p->n_submodels;
}

unsigned dune_plan_n_devices(const struct dune_plan *p)
{
    return p->n_devices;
}

bool dune_plan_reads(const struct dune_plan *p, const char *feature)
{
    int id = dune_feature_find(feature);

    for (uint32_t s = 0; s < p->n_submodels; s++)
        for (uint32_t j = 0; j < p->sub[s].n_feats; j++)
            if (p->sub[s].feat[j].feat == id)
                return true;
    return false;
}

/* --- data sets ------------------------------------------------------------------------------------------ */

uint64_t dune_dataset_n_rows(const struct dune_dataset *ds)
{
    return ds->n_rows;
}

uint64_t dune_dataset_n_flows(const struct dune_dataset *ds)
{
    return ds->n_flows;
}

unsigned dune_dataset_n_classes(const struct dune_dataset *ds)
{
    return ds->n_classes;
}

const char *dune_dataset_class_name(const struct dune_dataset *ds, unsigned cls)
{
    return cls < ds->n_classes ? ds->class_name[cls] : NULL;
}

const uint32_t *dune_dataset_column(const struct dune_dataset *ds, const char *feature)
{
    int id = dune_feature_find(feature);

    return id < 0 ? NULL : ds->col[id];
}

const uint64_t *dune_dataset_flow_row(const struct dune_dataset *ds)
{
    return ds->flow_row;
}

const uint16_t *dune_dataset_flow_class(const struct dune_dataset *ds)
{
    return ds->flow_class;
}

const uint64_t *dune_dataset_flow_len(const struct dune_dataset *ds)
{
    return ds->flow_len;
}

const uint8_t *dune_dataset_flow_test(const struct dune_dataset *ds)
{
    return ds->flow_split;
}
_Static_assert(DUNE_SPLIT_TEST == 1, "as the header says");
