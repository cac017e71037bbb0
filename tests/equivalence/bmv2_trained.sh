#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# Plans as people make them - trained, of every solution, feature set and phase - on simple_switch against the
# reference: all packets of captures nobody trained on, then random ones. Needs root and both tools.
#
#     bmv2_trained.sh TEST_BMV2 [SEED]     plans on synthetic traffic
#     bmv2_trained.sh TEST_BMV2 shared     five devices, IPv4 only, trained on and run over both shared sets
. "$(dirname "$0")/../cli/tap.sh"
B=${1:?path of test_bmv2}
if "$B" none | grep '^1..0 # SKIP'; then # no test has this name
    exit
fi

# plan NAME DSET OPTIONS...: a plan for simple_switch in $T/NAME.json
plan() {
    name=$1
    rows=$2
    shift 2
    expect 0 "$name: a plan" "$D" plan "$rows" --profile bmv2 --effort quick --quiet -o "$T/$name.json" "$@"
}

# same NAME CAPTURE...: every frame, digest and counter is that of the reference
same() {
    name=$1
    shift
    "$B" "$T/$name.json" "$@" >"$T/$name.log" 2>&1
    status=$?
    grep '^#' "$T/$name.log"
    check "$name: as the reference, packet for packet" [ $status = 0 ]
}

synthetic() {
    seed=$1
    "$D" synth --flows 500 --train-captures 3 --test-captures 1 --seed "$seed" --force -q -o "$T/tr" >/dev/null 2>&1
    expect 0 "rows" "$D" extract "$T/tr/train" --labels "$T/tr/labels.csv" --captures "$T/tr/captures.csv" -o "$T/rows.dset" --quiet
    n=0
    for what in "dune robust tight 2" "dune flow loose 2" "dune all tiny 3" "dune-paper all tight 2" "jewel easy tight 1" \
        "flowrest flow tight 1" "mousika pkt tight 1"; do
        set -- $what
        n=$((n + 1))
        plan "$1-$2-$3" "$T/rows.dset" --solution "$1" --features "$2" --budget "$3" --devices "$4" --seed $((seed * 10 + n))
        same "$1-$2-$3" "$T/tr/test"
    done
}

shared() { # SET LABELS...
    set=$1
    dir=$DUNE_SHARED_DATA/$set
    shift
    if [ ! -d "$dir/train" ]; then
        skip "$set" "no shared data"
        return
    fi
    expect 0 "$set: rows" "$D" extract "$dir/train" "$@" -o "$T/$set.dset" --quiet
    plan "$set" "$T/$set.dset" --devices 5 --budget tiny --seed 7
    sed 's/"ipv6": true/"ipv6": false/' "$T/$set.json" >"$T/v4.json"
    mv "$T/v4.json" "$T/$set.json"
    same "$set" "$dir/test"
}

if [ "${2:-}" = shared ]; then
    DUNE_SHARED_DATA=${DUNE_SHARED_DATA:-/nonexistent}
    shared aalto-iot-setup --labels "$DUNE_SHARED_DATA/aalto-iot-setup/labels-grouped.csv" \
        --captures "$DUNE_SHARED_DATA/aalto-iot-setup/captures.csv"
    shared ustc-malware --labels "$DUNE_SHARED_DATA/ustc-malware/labels.csv"
else
    synthetic "${2:-1}"
fi
tap_done
