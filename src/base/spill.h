/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A bound on resident memory. Large arrays then live in files without a name, mapped but closed; so do mapped inputs.
 * Touching a closed part faults, and the handler opens it: one chunk at a time, the oldest ones being closed first where
 * all open chunks, the heap and the program together would pass the bound. The results are the same bytes, only slower.
 *
 *     array   [ closed | open | closed | closed | open | ... ]      a chunk: 64 KiB and more, a 1024th of the bound
 *                        |                        |
 *     queue   oldest <- [.] . . . . . . . . . . .[.]  <- newest     every open chunk of every array
 *
 * The bound holds at every moment, because no thread sees more than the open chunks. The kernel does not fault for us:
 * a system call on a closed part fails with EFAULT, so large arrays go through dune_spill_fwrite, or are copied in pieces.
 */
#ifndef DUNE_BASE_SPILL_H
#define DUNE_BASE_SPILL_H

#include "base/base.h"

enum { DUNE_SPILL_LEAST = 1 << 17 }; /* bytes; smaller arrays stay in the heap */

/* dir: on a disk, not in memory; NULL: $TMPDIR or /var/tmp. Once per process, before work starts. DUNE_E_USAGE below
 * 32 MiB, DUNE_E_ENV when files cannot be made there. */
int dune_spill_start(uint64_t bytes, const char *dir, struct dune_diag *d) DUNE_MUST_USE;
bool dune_spill_on(void);
uint64_t dune_spill_bytes(void); /* in files now */
uint64_t dune_spill_opened(void); /* chunks opened so far */
/* The largest resident size of this process in bytes if that passed the bound, else 0: what is small (names, trees,
 * libraries) is in the heap, and where that is too much nothing can be closed. */
uint64_t dune_spill_passed(void);
/* "512M", "2G", "65536": bytes. */
int dune_bytes_parse(const char *text, uint64_t *out, struct dune_diag *d) DUNE_MUST_USE;

/* fwrite of what may be such an array. Short when a write fails, like fwrite. */
size_t dune_spill_fwrite(const void *data, size_t len, FILE *f);

/* For mem.c and fsutil.c. NULL: too small, or no room for more files; then memory is used. */
void *dune_spill_alloc(size_t bytes, bool zero);
bool dune_spill_free(void *p);                /* false: not one of these */
size_t dune_spill_size(const void *p);        /* 0: not one of these */
void dune_spill_add_map(void *p, size_t len); /* a mapping to read, which may be closed */
void dune_spill_drop_map(void *p);            /* leaves it mapped */

#endif
