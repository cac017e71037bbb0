/* SPDX-License-Identifier: Apache-2.0 */
/* What the kinds of ports share. port.c counts frames and bytes; a kind counts the rest. */
#ifndef DUNE_IO_INT_H
#define DUNE_IO_INT_H

#include "base/base.h"
#include "dune/io.h"
#include "dune/packet.h"

extern const struct dune_port_ops dune_port_pcap, dune_port_mem, dune_port_packet, dune_port_xdp,
    dune_port_dpdk, dune_port_dpdk_module;

#endif
