/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The feature catalog, flow registers and feature sets. Everything here is integer; times are ticks.
 */
#ifndef DUNE_FEATURES_H
#define DUNE_FEATURES_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "dune/error.h"
#include "dune/packet.h"

enum dune_phase_kind { DUNE_PHASE_PL, DUNE_PHASE_FL };

enum {
    DUNE_FF_TIME = 1,    /* depends on the clock: left out of set "notime" */
    DUNE_FF_FRAGILE = 2, /* srcport, dstport, ttl, window: left out of set "robust" */
    DUNE_FF_ROBUST = 4,  /* only in set "robust" (dstport.low) or when named */
    DUNE_FF_PAPER = 8,   /* in the published feature list */
    DUNE_FF_KTH = 16     /* value of the k-th packet: usable where k <= n */
};

enum dune_feature_id {
#define X(id, name, phase, bits, pub_bits, flags, published, aliases) DUNE_F_##id,
#include "dune/catalog.def"
#undef X
    DUNE_N_FEATURES
};

enum dune_target_bit { /* which targets can compute a feature */
    DUNE_ON_REF = 1, DUNE_ON_FAST = 2, DUNE_ON_XDP = 4, DUNE_ON_V1MODEL = 8, DUNE_ON_TNA = 16
};

struct dune_feature {
    const char *name;      /* canonical */
    const char *published; /* column name in CSV output */
    const char *aliases;   /* separated by | */
    enum dune_phase_kind phase;
    uint8_t bits, pub_bits;
    uint8_t flags;   /* DUNE_FF_* */
    uint8_t kth;     /* k of len.k and gap.k, else 0 */
    uint8_t targets; /* DUNE_ON_* */
};
extern const struct dune_feature dune_catalog[DUNE_N_FEATURES];

/* Feature id by canonical name, published name or alias (case-sensitive first, then case-insensitive);
 * -1 when unknown. */
int dune_feature_find(const char *name);
/* Largest value of a feature, 2^bits - 1. */
uint32_t dune_feature_max(int id);

/* A set of features as a bit mask over the catalog. */
typedef uint64_t dune_feature_mask;
_Static_assert(DUNE_N_FEATURES <= 64, "dune_feature_mask has 64 bits");
/*
 * Parses "all", "pkt", "flow", "easy", "notime", "robust", "paper" or a comma-separated list of
 * names and sets, a leading '-' removes ("all,-srcport"). Features that need packet k > max_k are
 * left out of sets (max_k = 0: no limit). An unknown name is DUNE_E_USAGE and names it.
 */
int dune_feature_set_parse(const char *text, unsigned max_k, dune_feature_mask *out,
                           struct dune_diag *d) DUNE_MUST_USE;

/* --- flow registers ------------------------------------------------------------------------------ */
#define DUNE_KTH_MAX 8
/* What a device keeps per flow. All zero: nothing seen. Saturating, see the catalog's widths. */
struct dune_flow_regs {
    uint64_t first, last;       /* ticks; last never decreases */
    uint64_t count;             /* packets seen, 64 bits: the inference point compares this one */
    bool udp_seen;              /* a UDP packet was among them: udp.len.min is a minimum of something */
    uint32_t value[DUNE_N_FEATURES]; /* FL features, indexed by feature id; PL entries unused */
};
/* Adds one inferable packet at tick now. */
void dune_flow_update(struct dune_flow_regs *r, const struct dune_packet *p, uint64_t now);
/* Values of all features: PL from p; FL from r, or 0 when r is NULL. out has DUNE_N_FEATURES. */
void dune_feature_vector(const struct dune_packet *p, const struct dune_flow_regs *r, uint32_t *out);

#define DUNE_TIMEOUT_NONE UINT64_MAX
/* now - last > timeout, unsaturated, false while time runs backwards or for DUNE_TIMEOUT_NONE. */
static inline bool dune_expired(uint64_t now, uint64_t last, uint64_t timeout)
{
    return timeout != DUNE_TIMEOUT_NONE && now > last && now - last > timeout;
}
/* "60", "1.5", "none" in seconds -> ticks (floor(seconds * 1e9 / 1024)). */
int dune_timeout_parse(const char *text, uint64_t *ticks, struct dune_diag *d) DUNE_MUST_USE;

#endif
