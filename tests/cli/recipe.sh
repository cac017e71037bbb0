#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# Published data sets: synthetic traffic in their formats; what is missing; from there to the comparison.
. "$(dirname "$0")/tap.sh"

cd "$T" || exit 1
expect 0 "traffic" "$D" synth -o synth --flows 1500 -q
check "in the formats of the data sets" python3 "$ROOT/tests/cli/recipe_data.py" synth data
RUN="--effort quick --solutions none,jewel --devices 1"

expect 0 "unsw: look" "$D" recipe unsw data/unsw --check -o u
has "the devices" out '^device list +ok +List_Of_Devices\.txt'
has "days that are missing" out '^captures +ok +6 of 20 days; missing: 16-09-29, '
check "the experiment" grep -q '"split": "captures"' u/experiment.yaml
# shellcheck disable=SC2086
expect 0 "unsw: run" "$D" recipe unsw data/unsw -o u $RUN
has "prints the comparison" out '^jewel +1 '
has "of captures" out 'latest flows of every class, held back'
check "in the run directory" test -s u/run/metrics.json
rm data/unsw/List_Of_Devices.txt
expect 3 "unsw: without the list" "$D" recipe unsw data/unsw -o u2
has "says so" out '^device list +missing +missing +List_Of_Devices\.txt'
has "and where it goes" err 'data/unsw: device list: missing; expected there: List_Of_Devices\.txt'
check "nothing is written" test ! -e u2

# shellcheck disable=SC2086
expect 0 "ton-iot: run" "$D" recipe ton-iot data/ton-iot -o t $RUN
has "lists that are missing" out '^flow lists +ok +5 of 23 files; missing: _6, _7,'
has "prints the comparison" out '^jewel +1 '
check "the lists are one" sh -c '[ "$(grep -c ^ts, t/labels.csv)" = 1 ]'
cp t/labels.csv before.csv
python3 - <<'P'
import csv
path = "data/ton-iot/Network_dataset_2.csv"  # a column more, another order, text with commas: as one of the 23 lists
rows = list(csv.DictReader(open(path, newline="")))
with open(path, "w", newline="") as f:
    w = csv.DictWriter(f, ["uid"] + sorted(rows[0], reverse=True) + ["http_user_agent"])
    w.writeheader()
    w.writerows(dict(r, uid="C1", http_user_agent='a "browser", or two') for r in rows)
P
expect 0 "ton-iot: columns that differ" "$D" recipe ton-iot data/ton-iot --check -o t2
check "are found by name" cmp before.csv t2/labels.csv
sed -i '1s/dst_port/port/' data/ton-iot/Network_dataset_2.csv
expect 3 "ton-iot: a column that is missing" "$D" recipe ton-iot data/ton-iot --check -o t3
has "file and line" err 'Network_dataset_2\.csv:1: it has no column dst_port'
rm data/ton-iot/Network_dataset_*.csv
printf 'src_ip,label,type\n' >data/ton-iot/Train_Test_Network.csv
expect 3 "ton-iot: only the excerpt" "$D" recipe ton-iot data/ton-iot --check -o t2
has "says why it does not do" err 'Train_Test_Network\.csv, which has no times'

# shellcheck disable=SC2086
expect 0 "cic-iot-2023: run" "$D" recipe cic-iot-2023 data/cic-iot-2023 -o c $RUN
has "classes that are missing" out '^captures +ok +3 of 34 classes; missing: Backdoor_Malware, '
has "captures elsewhere" out '^other captures +ok +1 in no such directory'
check "labels by directory" grep -q '^Benign_Final/BenignTraffic1.pcap,Benign$' c/labels.csv
has "prints the comparison" out '^jewel +1 '

# shellcheck disable=SC2086
expect 0 "iot-23: run" "$D" recipe iot-23 data/iot-23 -o i $RUN
has "scenarios that are whole" out '^scenarios +ok +3 of 23 scenarios with both'
has "one without a log" out '^without a log +ok +left out: CTU-IoT-Malware-Capture-4-1'
has "benign is a class, details are others" i/run/metrics.json '"Benign"'
has "prints the comparison" out '^jewel +1 '

# shellcheck disable=SC2086
expect 0 "ustc: run" "$D" recipe ustc data/ustc -o s $RUN
has "classes that are missing" out '^captures +ok +4 of 20 classes; missing: BitTorrent, '
has "packed ones" out '^packed captures +ok +not used: Geodo\.7z'
check "parts are one class" grep -q '^SMB-2.pcap,SMB$' s/labels.csv
check "a name with a dash is no part" grep -q '^Nsis-ay.pcap,Nsis-ay$' s/labels.csv

mkdir empty
expect 3 "an empty directory" "$D" recipe ustc empty --check --json -o x
has "as JSON" out '"complete": false'
has "with what is expected" out '"expected": "Benign/ and Malware/ with a .pcap per class'
expect 3 "no directory" "$D" recipe ustc nowhere --check -o x
has "says what belongs there" err 'nowhere: no such directory: make it and put the files of USTC-TFC2016'
expect 2 "no such recipe" "$D" recipe cake empty
has "lists them" err 'there are unsw, ton-iot, cic-iot-2023, iot-23 and ustc'
check "nothing is written for what is missing" test ! -e x
tap_done
