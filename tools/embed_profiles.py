#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Turns profiles/*.json into a C table: embed_profiles.py OUT.c PROFILE.json... (sorted by name).

Every key must be known and present, so a profile with a slip does not build.
"""
import json
import os
import sys

COUNTS = ["stages", "tcam_blocks", "tcam_block_bits", "tcam_block_rows", "sram_blocks",
          "sram_block_bytes", "map_rams_per_stage", "stateful_alus_per_stage", "rules", "rules_ipv6",
          "max_trees", "max_code_bits", "max_range_bits", "max_ways", "slots"]
TARGETS = {"reference": "DUNE_ON_REF", "fast": "DUNE_ON_FAST", "xdp": "DUNE_ON_XDP",
           "v1model": "DUNE_ON_V1MODEL", "tna": "DUNE_ON_TNA"}
HASHES = {"crc": "DUNE_HASH_CRC", "siphash": "DUNE_HASH_SIPHASH"}
PARSER = ["max_vlan", "max_ipv4_options", "max_ipv6_ext", "max_ipv6_ext_len"]


def count(value, path, bits):
    if type(value) is not int or not 0 <= value < 1 << bits:
        sys.exit(f"{path}: must be an integer below 2^{bits}")
    return value


def row(path):
    with open(path, encoding="utf-8") as f:
        p = json.load(f)
    want = set(COUNTS) | {"description", "targets", "max_timeout", "hash", "parser"}
    if set(p) != want or set(p["parser"]) != set(PARSER) | {"ipv6"}:
        sys.exit(f"{path}: keys differ from {sorted(want)}")
    name = os.path.splitext(os.path.basename(path))[0]
    out = [f".name = {json.dumps(name)}", f".description = {json.dumps(p['description'])}"]
    out += [f".{k} = {count(p[k], path + ': ' + k, 32)}u" for k in COUNTS]
    out.append(f".max_timeout = {count(p['max_timeout'], path, 63)}u")
    out.append(".targets = " + " | ".join(TARGETS[t] for t in p["targets"]))
    parser = [str(count(p["parser"][k], path, 8)) for k in PARSER]
    parser.append("true" if p["parser"]["ipv6"] else "false")
    out.append(".parser = {" + ", ".join(parser) + "}")
    out.append(f".hash = {HASHES[p['hash']]}")
    return "    {" + ",\n     ".join(out) + "},\n"


def main():
    rows = "".join(row(p) for p in sorted(sys.argv[2:], key=os.path.basename))
    with open(sys.argv[1], "w", encoding="utf-8") as f:
        f.write("/* SPDX-License-Identifier: Apache-2.0 */\n/* Made by tools/embed_profiles.py. */\n"
                '#include "plan/plan_int.h"\n\n'
                f"const struct dune_profile dune_profiles[] = {{\n{rows}}};\n"
                "const size_t dune_n_profiles = DUNE_ARRAY_LEN(dune_profiles);\n")


main()
