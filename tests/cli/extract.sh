#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# dunectl extract: report, files, splits, refusals.
. "$(dirname "$0")/tap.sh"

# hex BYTE...: the bytes
hex() {
    for b in "$@"; do
        # shellcheck disable=SC2059
        printf "\\$(printf %03o "0x$b")"
    done
}

# Little-endian pcap, Ethernet.
head_of_file() {
    hex d4 c3 b2 a1 02 00 04 00 00 00 00 00 00 00 00 00 00 00 01 00 01 00 00 00
}

# packet SECOND MAC PORT: 42 bytes, UDP over IPv4
packet() {
    hex "$1" 00 00 00 00 00 00 00 2a 00 00 00 2a 00 00 00
    hex 02 00 00 00 00 ff 02 00 00 00 00 "$2" 08 00
    hex 45 00 00 1c 00 00 00 00 40 11 00 00 0a 00 00 01 0a 00 00 02 "$3" 00 00 35 00 08 00 00
}

mkdir -p "$T/data/train" "$T/data/test"
{ head_of_file; packet 01 01 a1; packet 02 02 a2; packet 03 01 a1; packet 04 03 a3; } >"$T/data/train/one.pcap"
{ head_of_file; packet 01 01 b1; packet 02 02 b2; } >"$T/data/test/one.pcap"
echo notes >"$T/data/train/README.md"
printf 'mac,label\n02:00:00:00:00:01,a\n02:00:00:00:00:02,b\n' >"$T/labels.csv"
printf 'split,file,packets\ntrain,one.pcap,2\ntrain,one.pcap,2\ntest,one.pcap,2\n' >"$T/captures.csv"
L=$T/labels.csv

expect 0 "a directory with train and test" "$D" extract "$T/data" --labels "$L" -o "$T/a.dset"
has "says what it saw" out '^6 packets, 252 bytes on the wire, 2 files, 2 captures$'
has "packets by reason" out '^  ok +6  inferable$'
has "labels" out '^  unlabelled +1$'
has "flows" out '^  dropped +1 '
has "flows per class and split" out '^a +1 +2 +1 +1$'
has "small classes are flagged" err 'warning: class a has 1 train flows'
expect 0 "again" "$D" extract "$T/data" --labels "$L" -o "$T/b.dset" --threads 1
check "gives the same bytes" cmp "$T/a.dset" "$T/b.dset"
expect 0 "quiet" "$D" extract "$T/data" --labels "$L" -o "$T/b.dset" --quiet
check "prints nothing" test ! -s "$T/out"
expect 0 "capture boundaries" "$D" extract "$T/data" --labels "$L" --captures "$T/captures.csv" -o "$T/c.dset" --json
has "cut a flow" out '"flows": 6,'
has "and are captures" out '"captures": 3,'
has "reasons" out '"not_ip": 0'
expect 0 "json of a class" "$D" extract "$T/data" --labels "$L" -o "$T/c.dset" --json
has "has both splits" out '"class": "b", "train": \{"flows": 1, "packets": 1\}, "test": \{"flows": 1,'
expect 0 "unlabelled as a class" "$D" extract "$T/data" --labels "$L" --unlabelled rest -o "$T/c.dset"
has "is one" out '^rest +1 +1 +0 +0$'
has "only in train" err 'class rest is not in test'
expect 0 "--test" "$D" extract "$T/data/train/one.pcap" --test "$T/data/test" --labels "$L" -o "$T/c.dset"
has "is the test split" out '^all +2 +3 +2 +2$'
expect 0 "no test split" "$D" extract "$T/data/train" --labels "$L" -o "$T/c.dset"
has "is remarked" err 'there is no test split'
expect 0 "csv" "$D" extract "$T/data" --labels "$L" --csv "$T/rows.csv" --n 2 --features ip.len,ip.ttl --phase flow
has "has published names" "$T/rows.csv" '^flow,capture,split,packet,ip.len,ip.ttl,weight,Label$'
has "and rows of packet n" "$T/rows.csv" '^0,train/one.pcap,train,2,28,64,0.50000000,a$'
check "and no others" test "$(wc -l <"$T/rows.csv")" = 2
expect 0 "split by time" "$D" extract "$T/data/train" "$T/data/test" --labels "$L" --split time:0.5 -o "$T/c.dset"
has "cuts each class" out '^a +1 +2 +1 +1$'
expect 0 "split by captures" "$D" extract "$T/data/train" --labels "$L" --split captures -o "$T/c.dset"

expect 2 "nothing to write" "$D" extract "$T/data" --labels "$L"
expect 2 "no labels" "$D" extract "$T/data" -o "$T/x.dset"
expect 2 "--n without --csv" "$D" extract "$T/data" --labels "$L" -o "$T/x.dset" --n 2
expect 2 "--n beyond --max-n" "$D" extract "$T/data" --labels "$L" --csv "$T/x.csv" --n 5
has "says so" err 'needs --max-n 5'
expect 2 "--max-n 0" "$D" extract "$T/data" --labels "$L" -o "$T/x.dset" --max-n 0
expect 2 "--split nonsense" "$D" extract "$T/data" --labels "$L" -o "$T/x.dset" --split time:1
expect 2 "--split with test files" "$D" extract "$T/data" --labels "$L" -o "$T/x.dset" --split captures
expect 2 "--timeout nonsense" "$D" extract "$T/data" --labels "$L" -o "$T/x.dset" --timeout 0
expect 2 "unknown feature" "$D" extract "$T/data" --labels "$L" --csv "$T/x.csv" --features ip.len,colour
has "is named" err 'colour'
expect 2 "a file in both splits" "$D" extract "$T/data" --test "$T/data/train" --labels "$L" -o "$T/x.dset"
has "is named" err 'train/one.pcap: in train and in test'
expect 2 "a file twice" "$D" extract "$T/data/train" "$T/data/train/one.pcap" --labels "$L" -o "$T/x.dset"

: >"$T/empty.pcap"
head -c 50 "$T/data/train/one.pcap" >"$T/cut.pcap"
printf 'mac,label\n0a:00:00:00:00:01,a\n' >"$T/other.csv"
printf 'mac,label\n02:00:00:00:00:01,a\n' >"$T/single.csv"
printf 'file,packets\none.pcap,3\n' >"$T/short.csv"
for f in empty cut; do
    expect 3 "$f capture" "$D" extract "$T/data/train" "$T/$f.pcap" --labels "$L" -o "$T/x.dset"
    has "is named" err "$f.pcap"
done
expect 3 "foreign capture" "$D" extract "$L" --labels "$L" -o "$T/x.dset"
expect 3 "missing capture" "$D" extract "$T/none.pcap" --labels "$L" -o "$T/x.dset"
expect 3 "missing labels" "$D" extract "$T/data" --labels "$T/none.csv" -o "$T/x.dset"
expect 3 "no labelled packet" "$D" extract "$T/data" --labels "$T/other.csv" -o "$T/x.dset"
has "names files and kind" err 'one.pcap.*label file of kind mac'
expect 3 "one class" "$D" extract "$T/data" --labels "$T/single.csv" -o "$T/x.dset"
expect 3 "list of captures too short" "$D" extract "$T/data/train" --labels "$L" --captures "$T/short.csv" -o "$T/x.dset"
has "says where" err 'ends after 3 packets'
expect 5 "output directory is not one" "$D" extract "$T/data" --labels "$L" -o "$L/x.dset"
check "no partial output" test ! -e "$T/x.dset"
tap_done
