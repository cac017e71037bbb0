#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# Fifty agents on a NATS server: every digest comes back as one rule, an update under load, kill -9 and a new start.
# (`dunectl bench controller.thousand` has a thousand.)
. "$(dirname "$0")/tap.sh"
PATH=$PATH:/usr/sbin
command -v nats-server >/dev/null || { echo "1..0 # SKIP nats-server is not installed"; exit; }
"$D" version | grep -q libnats || { echo "1..0 # SKIP this build has no NATS client"; exit; }
command -v python3 >/dev/null || { echo "1..0 # SKIP there is no python3 to read the result with"; exit; }

expect 0 "the benchmark" timeout 240 "$D" bench controller.scale --quick -o "$T/r"
cat >"$T/read.py" <<'END'
import json, sys
result = json.load(open(sys.argv[1]))
print("\n".join("note: " + n for n in result["notes"]))
for row in result["cases"][0]["rows"]:
    for s in row["samples"]:
        print("%s, %s: %g" % (row["who"], s["quantity"], s["values"][0]))
END
python3 "$T/read.py" "$T/r/controller.scale.quick.json" >"$T/values" 2>&1
sed 's/^/# /' "$T/values"
value() { sed -n "s/^$1: //p" "$T/values"; }
check "it came to its end" sh -c "! grep -q 'ended early' '$T/values'"
check "a plan is everywhere" [ -n "$(value 'first plan, seconds')" ]
check "an update under load ends" [ -n "$(value 'update under load, seconds')" ]
check "a new controller goes on" [ -n "$(value 'restart, ms to all agents')" ]
check "digests were made" [ "$(value 'quarter of the rate, digests' | cut -d. -f1)" -gt 500 ]
check "and each is one rule, on its own chain" [ "$(value 'quarter of the rate, digests')" = "$(value 'quarter of the rate, rules')" ]

# Many devices from a file, and a status that stays one message.
for i in $(seq 1 400); do echo "dev$i:$((i % 4 + 1)):$((i / 4))"; done >"$T/devices"
"$D" controller serve --bus "unix:$T/bus" --state "$T/state" --devices "$T/devices" 2>"$T/serve.log" &
pid=$!
answers() { "$D" controller status --bus "unix:$T/bus" >"$T/out" 2>/dev/null; }
check "400 devices from a file" wait_for answers
has "are counted" out '"n_devices": 400'
has "and named when they need a look" out '"name": "dev17", "state": "never seen"'
expect 0 "one of them" "$D" controller status dev17 --bus "unix:$T/bus"
has "with its chain" out '"chain": 4'
expect 2 "none of them" "$D" controller status dev999 --bus "unix:$T/bus"
has "is said" err 'there is no device dev999'
kill $pid
wait $pid
echo "dev1:1:1:1" >"$T/devices"
expect 2 "a bad line" "$D" controller serve --bus "unix:$T/bus" --state "$T/state" --devices "$T/devices"
expect 3 "no file" "$D" controller serve --bus "unix:$T/bus" --state "$T/state" --devices "$T/none"
tap_done
