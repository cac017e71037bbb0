/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A bound on resident memory. Large arrays then live in files without a name, mapped; so do mapped inputs anyway. When
 * the process comes near its bound, their pages are given back: what is needed again comes from the file. The results
 * are the same bytes, only slower. Small allocations are not covered.
 */
#ifndef DUNE_BASE_SPILL_H
#define DUNE_BASE_SPILL_H

#include "base/base.h"

/* dir: on a disk, not in memory; NULL: $TMPDIR or /var/tmp. Once per process, before work starts. DUNE_E_USAGE below
 * 32 MiB, DUNE_E_ENV when files cannot be made there. */
int dune_spill_start(uint64_t bytes, const char *dir, struct dune_diag *d) DUNE_MUST_USE;
bool dune_spill_on(void);
uint64_t dune_spill_bytes(void); /* in files now */
/* "512M", "2G", "65536": bytes. */
int dune_bytes_parse(const char *text, uint64_t *out, struct dune_diag *d) DUNE_MUST_USE;

/* For mem.c and fsutil.c. NULL: too small, or no room for more files; then memory is used. Zeroed. */
void *dune_spill_alloc(size_t bytes);
bool dune_spill_free(void *p);                /* false: not one of these */
size_t dune_spill_size(const void *p);        /* 0: not one of these */
void dune_spill_add_map(void *p, size_t len); /* a mapping whose pages may be given back */
void dune_spill_drop_map(void *p);

#endif
