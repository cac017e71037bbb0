/* SPDX-License-Identifier: Apache-2.0 */
/* What the kernel has counted on a network interface (net_dev.c). */
#ifndef DUNE_IO_NET_DEV_H
#define DUNE_IO_NET_DEV_H

#include <stdint.h>

/* Columns of /proc/net/dev: bytes, packets, errors, drops and four more of what came in, then of what was sent. */
enum { DUNE_NET_DEV_RX_PACKETS = 1, DUNE_NET_DEV_TX_DROPPED = 11, DUNE_NET_DEV_COLUMNS = 12 };

/* One of these numbers, of an interface in the network namespace of the calling thread; 0 where there is no such interface. */
uint64_t dune_net_dev(const char *ifname, unsigned column);

#endif
