#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# Starts s2 on two interfaces, and one for the digests, and loads its entries.
#     start.sh IF0 IF1 CPU_IF [THRIFT_PORT]
# IF0 looks to the start of the chain, IF1 to its end. Stays until simple_switch ends.
set -u
cd "$(dirname "$0")" || exit 1
[ $# -ge 3 ] || { sed -n 4,5p "$0"; exit 2; }
port=${4:-9091}
simple_switch --device-id 1 --thrift-port "$port" -i "0@$1" -i "1@$2" -i "64@$3" s2.json &
switch=$!
trap 'kill $switch 2>/dev/null' INT TERM
n=0
until echo show_tables | simple_switch_CLI --thrift-port "$port" >/dev/null 2>&1; do
    n=$((n + 1))
    [ $n -le 50 ] || { echo "start.sh: simple_switch does not answer" >&2; kill $switch; exit 5; }
    sleep 0.2
done
{
    # Every hash that is not CRC-32 is CRC-32C; the compiler chose their names.
    python3 - s2.json <<'PY'
import json, sys
for c in json.load(open(sys.argv[1]))["calculations"]:
    if c["algo"] == "crc32_custom":
        print("set_crc32_parameters", c["name"], "0x1EDC6F41 0xFFFFFFFF 0xFFFFFFFF true true")
PY
    echo "set_queue_depth 65536"
    echo "mirroring_add 100 64"
    sed '/^#/d' s2.cli.txt
} | simple_switch_CLI --thrift-port "$port" >s2.load.log
# An error in one line leaves the rest loaded: say so and stop.
if grep -Eq 'Error|Invalid' s2.load.log; then
    grep -E 'Error|Invalid' s2.load.log | head -n 5 >&2
    kill $switch
    exit 3
fi
wait $switch
