#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# Input that is refused, input that is handled, and disks that do not take the output. A refused run
# names file and place, and leaves nothing where the output should be.
. "$(dirname "$0")/tap.sh"
cd "$T" || exit 1
mkdir o

# nothing: the output directory is empty
nothing() {
    left=$(ls -A o)
    rm -rf o
    mkdir o
    [ -z "$left" ] || { echo "left in the output directory: $left"; return 1; }
}

# refuse STATUS NAME PATTERN COMMAND...: exit status, message on stderr, no output in o/
refuse() {
    refuse_name=$2
    refuse_what=$3
    refuse_status=$1
    shift 3
    expect "$refuse_status" "$refuse_name" "$@"
    has "$refuse_name: the message" err "$refuse_what"
    check "$refuse_name: no output" nothing
}

hex() {
    for b in "$@"; do
        # shellcheck disable=SC2059
        printf "\\$(printf %03o "0x$b")"
    done
}

# head_of_file [LINK]: little-endian pcap, by default Ethernet
head_of_file() {
    hex d4 c3 b2 a1 02 00 04 00 00 00 00 00 00 00 00 00 00 00 01 00 "${1:-01}" 00 00 00
}

# packet SECOND MAC PORT [CAPTURED]: 42 bytes, UDP over IPv4, of a packet of 42 or more
packet() {
    hex "$1" 00 00 00 00 00 00 00 2a 00 00 00 "${4:-2a}" 00 00 00
    hex 02 00 00 00 00 ff 02 00 00 00 00 "$2" 08 00
    hex 45 00 00 1c 00 00 00 00 40 11 00 00 0a 00 00 01 0a 00 00 02 "$3" 00 00 35 00 08 00 00
}

extract() {
    "$D" extract "$1" --labels "$2" -o o/x.dset --csv o/x.csv
}

expect 0 "traffic" "$D" synth -o syn --flows 600 --snap 96 --quiet
expect 0 "rows" "$D" extract syn --labels syn/labels.csv -o rows.dset --quiet
expect 0 "a forest" "$D" train rows.dset --leaves 41 -o forest.json --quiet
expect 0 "W and f" "$D" analyze forest.json rows.dset -o W.csv --scores f.csv --quiet
expect 0 "blocks" "$D" partition -w W.csv -f f.csv --blocks 2 -o blocks.json --quiet
expect 0 "sub-models" "$D" search blocks.json rows.dset --effort quick -o submodels.json --quiet
expect 0 "an order" "$D" sequence submodels.json rows.dset -o sequence.json --quiet
expect 0 "a plan" "$D" compile sequence.json -o plan.json --quiet

# --- captures ---------------------------------------------------------------------------------------
{ head_of_file; packet 01 01 a1; packet 02 02 a2; packet 03 01 a1; } >good.pcap
printf 'mac,label\n02:00:00:00:00:01,a\n02:00:00:00:00:02,b\n' >labels.csv
: >empty.pcap
head -c 20 good.pcap >header.pcap
head -c 60 good.pcap >cut.pcap
head -c 34 good.pcap >record.pcap
{ head_of_file 65; packet 01 01 a1; } >link.pcap
printf 'GIF89a is no capture at all, but has some bytes' >foreign.pcap
hex 0a 0d 0d 0a 1c 00 00 00 4d 3c 2b 1a 01 00 >cut.pcapng
refuse 3 "empty capture" 'empty\.pcap at byte 0: .*empty' extract empty.pcap labels.csv
refuse 3 "capture cut in its header" 'header\.pcap' extract header.pcap labels.csv
refuse 3 "capture cut in a packet" 'cut\.pcap at byte 24: .*packet 1' extract cut.pcap labels.csv
refuse 3 "capture cut in a packet header" 'record\.pcap at byte 24: .*packet 1' extract record.pcap labels.csv
refuse 3 "pcapng cut in its header" 'cut\.pcapng' extract cut.pcapng labels.csv
refuse 3 "foreign file" 'foreign\.pcap at byte 0: not a capture' extract foreign.pcap labels.csv
refuse 3 "wrong link type" 'link\.pcap at byte 20: link type 101' extract link.pcap labels.csv
refuse 3 "a capture that is not there" 'none\.pcap: cannot read it' extract none.pcap labels.csv
gzip -c good.pcap >good.pcap.gz
head -c 50 good.pcap.gz >cut.pcap.gz
refuse 3 "truncated gzip" 'cut\.pcap\.gz' extract cut.pcap.gz labels.csv
for f in empty.pcap cut.pcap foreign.pcap link.pcap; do
    refuse 3 "replay of $f" "$f" "$D" replay plan.json $f --verdicts o/v.csv --pcap-out o/out.pcap
done

# --- labels -----------------------------------------------------------------------------------------
printf 'mac,label\n02:00:00:00:00:01,a\n02:00:00:00:00:02,b\n02:00:00:00:00:01,c\n' >twice.csv
printf 'mac,label,colour\n02:00:00:00:00:01,a,red\n' >column.csv
printf 'mac,label\nbridge,a\n' >key.csv
printf 'address,name\n02:00:00:00:00:01,a\n' >header.csv
: >empty.csv
printf 'mac,label\n0a:00:00:00:00:01,a\n0a:00:00:00:00:02,b\n' >other.csv
printf 'mac,label\n02:00:00:00:00:01,a\n02:00:00:00:00:02,a\n' >single.csv
printf 'mac,label\n02:00:00:00:00:01,a\n02:00:00:00:00:02\n' >short.csv
refuse 3 "a key twice" 'twice\.csv:4:.*02:00:00:00:00:01' extract good.pcap twice.csv
refuse 3 "an unknown column" 'column\.csv:1:.*colour' extract good.pcap column.csv
refuse 3 "a key that is none" 'key\.csv:2:.*bridge' extract good.pcap key.csv
refuse 3 "a wrong header" 'header\.csv:1:' extract good.pcap header.csv
refuse 3 "an empty label file" 'empty\.csv' extract good.pcap empty.csv
refuse 3 "a short line" 'short\.csv:3:' extract good.pcap short.csv
refuse 3 "no labelled packet" 'good\.pcap.*label' extract good.pcap other.csv
refuse 3 "one class only" 'good\.pcap.*class' extract good.pcap single.csv
refuse 3 "no such label file" 'none\.csv: cannot read it' extract good.pcap none.csv

# --- rows, forests, tables --------------------------------------------------------------------------
refuse 2 "0 features to train with" 'leaves no feature' "$D" train rows.dset --features pkt,-pkt -o o/f.json
refuse 2 "0 features to search with" 'leaves no feature' "$D" search blocks.json rows.dset --features pkt,-pkt -o o/s.json
refuse 2 "0 features to plan with" 'leaves no feature' "$D" plan rows.dset --features pkt,-pkt -o o/p.json
head -c 5000 rows.dset >cut.dset
for c in "train cut.dset" "plan cut.dset" "search blocks.json cut.dset" "sequence submodels.json cut.dset"; do
    # shellcheck disable=SC2086
    refuse 3 "cut rows: $c" 'cut\.dset' "$D" $c -o o/x.json
done
refuse 3 "rows that are none" 'labels\.csv' "$D" train labels.csv -o o/f.json
refuse 3 "a forest that is none" 'blocks\.json: ' "$D" analyze blocks.json rows.dset -o o/W.csv --scores o/f.csv
cut -d, -f1 W.csv >W0.csv
refuse 3 "W with 0 features" 'W0\.csv:1' "$D" partition -w W0.csv -f f.csv -o o/b.json
sed '2s/,[^,]*/,nan/' W.csv >Wnan.csv
refuse 3 "NaN in W" 'Wnan\.csv:2:' "$D" partition -w Wnan.csv -f f.csv -o o/b.json
sed '2s/,[^,]*/,-1/' W.csv >Wneg.csv
refuse 3 "a negative number in W" 'Wneg\.csv:2:' "$D" partition -w Wneg.csv -f f.csv -o o/b.json
grep -v '^camera,' f.csv >f7.csv
refuse 3 "f lacks a class of W" 'camera' "$D" partition -w W.csv -f f7.csv -o o/b.json
{ cat f.csv; sed -n 's/^camera,/robot,/p' f.csv; } >f9.csv
refuse 3 "f has a class more than W" 'robot' "$D" partition -w W.csv -f f9.csv -o o/b.json
{ cat W.csv; sed -n 's/^camera,/camera,/p' W.csv; } >W9.csv
refuse 3 "a class of W twice" 'W9\.csv:10:.*camera' "$D" partition -w W9.csv -f f.csv -o o/b.json
sed '2s/,.*/,101/' f.csv >f101.csv
refuse 3 "an F1 above 100" 'f101\.csv:2:' "$D" partition -w W.csv -f f101.csv -o o/b.json
head -c 300 blocks.json >cut.json
refuse 3 "cut blocks" 'cut\.json:[0-9]+' "$D" search cut.json rows.dset -o o/s.json
refuse 3 "cut sub-models" 'cut2\.json:[0-9]+' sh -c "head -c 900 submodels.json >cut2.json; '$D' sequence cut2.json rows.dset -o o/q.json"
refuse 3 "a cut order" 'cut3\.json:[0-9]+' sh -c "head -c 900 sequence.json >cut3.json; '$D' compile cut3.json -o o/p.json"

# --- plans ------------------------------------------------------------------------------------------
G=$ROOT/tests/golden/plan/seven_nodes.json
# bad_plan NAME SED PATTERN: verify and replay refuse the edited plan
bad_plan() {
    sed "$2" "$G" >bad_plan.json
    refuse 3 "$1" "bad_plan\\.json: $3" "$D" verify bad_plan.json
    refuse 3 "$1, replayed" "bad_plan\\.json: $3" "$D" replay bad_plan.json good.pcap --verdicts o/v.csv
}
bad_plan "a gap in the ranges" 's/"lo": 101,/"lo": 102,/' 'submodels\[0\]\.features\[0\]\.rows\[1\]'
bad_plan "an overlap of ranges" 's/"lo": 101,/"lo": 100,/' 'submodels\[0\]\.features\[0\]\.rows\[1\]'
bad_plan "ranges that end early" 's/"hi": 255,/"hi": 254,/' 'submodels\[0\]\.features\[1\]\.rows'
bad_plan "a leaf twice" '/"match": "01\*"/{h;G;}' 'submodels\[0\]\.trees\[0\]\.leaves\[2\]\.match'
bad_plan "an unknown feature" 's/"ip.ttl"/"ip.colour"/' 'submodels\[0\]\.features\[1\]\.feature'
bad_plan "a wrong version" 's/"version": 1/"version": 2/' 'version: a plan of version 2\.0'
bad_plan "an unknown key" 's/"generation": 1/"generatio": 1/' 'generatio'
bad_plan "a class that is none" 's/"class": 2,/"class": 3,/' 'submodels\[0\]\.trees\[0\]\.leaves\[3\]\.class'
printf '[]' >list.json
refuse 3 "a plan that is a list" 'list\.json' "$D" verify list.json

# --- disks ------------------------------------------------------------------------------------------
# each_writer PREFIX FUNCTION: calls FUNCTION for every command that writes a file below PREFIX
each_writer() {
    "$2" extract "$D" extract syn --labels syn/labels.csv -o "$1/x.dset"
    "$2" "extract --csv" "$D" extract syn --labels syn/labels.csv --csv "$1/x.csv"
    "$2" train "$D" train rows.dset --leaves 41 -o "$1/f.json"
    "$2" analyze "$D" analyze forest.json rows.dset -o "$1/W.csv" --scores "$1/f.csv"
    "$2" partition "$D" partition -w W.csv -f f.csv -o "$1/b.json"
    "$2" search "$D" search blocks.json rows.dset --effort quick -o "$1/s.json"
    "$2" sequence "$D" sequence submodels.json rows.dset -o "$1/q.json"
    "$2" compile "$D" compile sequence.json -o "$1/p.json"
    "$2" plan "$D" plan rows.dset --solution jewel -o "$1/p.json"
    "$2" "replay --verdicts" "$D" replay plan.json syn/test/*.pcap --verdicts "$1/v.csv"
    "$2" "replay --pcap-out" "$D" replay plan.json syn/test/*.pcap --pcap-out "$1/out.pcap"
    "$2" synth "$D" synth --flows 600 -o "$1/syn"
}

below_file() {
    name=$1
    shift
    expect 5 "$name, output below a file" "$@"
    has "$name, output below a file: the message" err 'labels\.csv/'
}
each_writer labels.csv below_file

full_stdout() {
    name=$1
    shift
    expect 5 "$name, standard output is full" sh -c '"$@" >/dev/full' sh "$@"
    has "$name, standard output is full: the message" err 'standard output: No space left'
}
full_stdout verify "$D" verify plan.json
full_stdout partition "$D" partition -w W.csv -f f.csv --json
full_stdout show "$D" show plan.json
full_stdout replay "$D" replay plan.json syn/test/synth-01.pcap

# a disk without room, and one that cannot be written; in a mount namespace of their own
on_disk() {
    name=$1
    options=$2
    shift 2
    # shellcheck disable=SC2016
    expect 5 "$name" unshare -m sh -c 'mount -t tmpfs -o "$1" none o || exit 77; shift
        head -c 8192 /dev/zero >o/fill 2>/dev/null
        "$@"; status=$?; find o -mindepth 1 ! -name fill >left.txt; exit $status' sh "$options" "$@"
    has "$name: the message" err 'o/.*(No space left on device|Read-only file system)'
    check "$name: no output" test ! -s left.txt
}
full_disk() {
    n=$1
    shift
    on_disk "$n, disk full" size=8k "$@"
}
read_only() {
    n=$1
    shift
    on_disk "$n, disk read-only" ro "$@"
}
if unshare -m mount -t tmpfs -o size=8k none o 2>/dev/null; then
    each_writer o full_disk
    each_writer o read_only
else
    skip "full and read-only disks" "mounting them needs root"
fi

# --- handled, counted, reported ---------------------------------------------------------------------
{ head_of_file; packet 01 01 a1; packet 02 02 a2; hex 03 00 00 00 00 00 00 00 2a 00 00 00 40 00 00 00
    packet 03 01 a1 | tail -c 42; } >snap.pcap
expect 0 "a snap length that cuts payload" "$D" extract snap.pcap --labels labels.csv -o snap.dset
has "is counted" out '^  snapped +1 '
{ head_of_file; packet 01 01 a1; packet 02 02 a2; hex 03 00 00 00 00 00 00 00 1e 00 00 00 2a 00 00 00
    packet 03 01 a1 | tail -c 42 | head -c 30; } >header.pcap
expect 0 "one that cuts headers" "$D" extract header.pcap --labels labels.csv -o snap.dset --json
has "is a reason of its own" out '"short_l3": 1'
{ hex ef bb bf; printf '"mac","label"\r\n"02:00:00:00:00:01","a ""x"", y"\r\n02:00:00:00:00:02,b\r\n'; } >crlf.csv
expect 0 "CRLF, BOM and quotes" "$D" extract good.pcap --labels crlf.csv -o crlf.dset
has "give the class its name" out '^a "x", y +1'

# classes with one flow, or only in test; n beyond every flow
cat >rare.csv <<'L'
file,label
train/one.pcap,rare
test/late.pcap,late
L
mkdir -p rare/train rare/test
cp syn/train/synth-0*.pcap rare/train/
cp syn/test/synth-01.pcap rare/test/
{ head_of_file; packet 01 01 a1; } >rare/train/one.pcap
{ head_of_file; packet 01 02 a2; } >rare/test/late.pcap
(cd rare && for f in train/synth-*.pcap test/synth-*.pcap; do
    case $f in
    *[02468].pcap) echo "$f,even" ;;
    *) echo "$f,odd" ;;
    esac
done) >>rare.csv
expect 0 "rare classes" "$D" extract rare --labels rare.csv -o rare.dset
has "are flagged" err 'class rare has 1 train flows'
has "also where test alone has one" err 'class late (has 0 train flows|is not in train|.*test)'
expect 0 "dune plans them" "$D" plan rare.dset --effort quick --devices 2 -o rare.json
expect 0 "and is right" "$D" verify rare.json
for s in dune-paper jewel mousika votes flowrest none; do
    expect 0 "$s plans them" "$D" plan rare.dset --solution $s --devices 2 -o rare.json
    expect 0 "and is right" "$D" verify rare.json
done
expect 0 "their forest" "$D" train rare.dset --leaves 41 -o rare-forest.json
expect 0 "their importance" "$D" analyze rare-forest.json rare.dset -o rare-W.csv --scores rare-f.csv
expect 0 "their blocks" "$D" partition -w rare-W.csv -f rare-f.csv --blocks 2 -o rare-blocks.json
if grep -q '"late"' rare-blocks.json; then
    refuse 3 "a class without train flows" 'class "late" has no train flow' \
        "$D" search rare-blocks.json rare.dset --effort quick -o o/s.json
else
    expect 0 "their sub-models" "$D" search rare-blocks.json rare.dset --effort quick -o rare-sub.json
    expect 0 "their order" "$D" sequence rare-sub.json rare.dset -o rare-seq.json
    expect 0 "their plan" "$D" compile rare-seq.json -o rare.json
fi
expect 0 "replay with a class of test alone" "$D" replay rare.json rare/test/*.pcap --labels rare.csv --json

mkdir -p long/train long/test
{ head_of_file; for i in 01 02 03 04 05 06 07 08 09; do packet $i 01 ${i}; packet $i 02 a${i#0}; done; } >long/train/a.pcap
cp long/train/a.pcap long/test/a2.pcap
expect 0 "flows of one packet" "$D" extract long --labels labels.csv -o long.dset
expect 0 "n beyond every flow: train" "$D" train long.dset --n 4 --leaves 4 -o long-f.json
expect 0 "n beyond every flow: plan" "$D" plan long.dset --solution jewel --devices 2 -o long.json
expect 0 "n beyond every flow: the plan" "$D" verify long.json
expect 0 "n beyond every flow: dune" "$D" plan long.dset --effort quick --devices 2 -o long.json
expect 0 "n beyond every flow: replay" "$D" replay long.json long/test/a2.pcap --labels labels.csv --json
tap_done
