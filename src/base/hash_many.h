/* SPDX-License-Identifier: Apache-2.0 */
/* SipHash-2-4 of eight messages of one length at a time (hash.c). */
#ifndef DUNE_BASE_HASH_MANY_H
#define DUNE_BASE_HASH_MANY_H

#include <stddef.h>
#include <stdint.h>

void dune_siphash_eight(const uint8_t key[16], const void *const data[8], size_t len, uint64_t out[8]);

#endif
