/* SPDX-License-Identifier: Apache-2.0 */
/* libbpf and the generated skeleton, whose warnings are not ours. */
#ifndef DUNE_TARGETS_XDP_SKEL_H
#define DUNE_TARGETS_XDP_SKEL_H

#include "targets/xdp/xdp_int.h"

#include <bpf/bpf.h>
#include <bpf/libbpf.h>

#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Wpedantic"
#pragma GCC diagnostic ignored "-Woverlength-strings"
#pragma GCC diagnostic ignored "-Wshadow"
#pragma GCC diagnostic ignored "-Wsign-conversion"
#include "dune_device.skel.h"
#pragma GCC diagnostic pop

#endif
