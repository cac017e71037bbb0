#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# ./run: its package list on a machine that has none of them, usage errors, and its count of results.
. "$(dirname "$0")/tap.sh"
run=$ROOT/run

mkdir "$T/bin"
printf '#!/bin/sh\nexit 1\n' >"$T/bin/dpkg-query" # knows no package
printf '#!/bin/sh\nexit 0\n' >"$T/bin/apt-cache"  # has no lists
chmod +x "$T/bin/dpkg-query" "$T/bin/apt-cache"
expect 0 "setup --list on a bare machine" env PATH="$T/bin:$PATH" "$run" setup --list
check "is as written down" diff -u "$(dirname "$0")/setup-list.txt" "$T/out"
expect 0 "setup --list build" env PATH="$T/bin:$PATH" "$run" setup --list build
check "names no other group" sh -c "! grep -q '^test ' '$T/out'"
expect 0 "setup --list peers" env PATH="$T/bin:$PATH" "$run" setup --list peers
has "names what the benchmarks compare with" out '^peers  r-cran-ranger '
expect 0 "setup --list lint coverage valgrind deb" env PATH="$T/bin:$PATH" "$run" setup --list lint coverage valgrind deb
has "names what reads coverage" out '^coverage gcovr '
has "and what looks at packages" out '^deb    lintian '
printf '#!/bin/sh\necho ii\n' >"$T/bin/dpkg-query" # has every package
expect 0 "setup on a complete machine" env PATH="$T/bin:$PATH" "$run" setup
has "does nothing" out '^run: all packages are installed$'
expect 0 "setup --list on a complete machine" env PATH="$T/bin:$PATH" "$run" setup --list
has "says so" out '^nothing is missing'
expect 2 "unknown command" "$run" biuld
expect 2 "unknown group" "$run" setup biuld
expect 2 "unknown option of test" "$run" test --some
has "names its options" err 'test takes --all or --valgrind'
expect 0 "help" "$run" help
has "lists coverage" out '^  coverage '
has "and valgrind" out 'test \[--all | --valgrind\]'

# demo: OUT=, DATA=, LABELS= and live anywhere among the options of dunectl demo, and the names in the environment
mkdir -p "$T/front/build"
cp "$run" "$T/front/run"
: >"$T/front/build/build.ninja"
printf '#!/bin/sh\nexit 0\n' >"$T/bin/ninja"
printf '#!/bin/sh\necho "$@"\n' >"$T/front/build/dunectl"
chmod +x "$T/bin/ninja" "$T/front/build/dunectl"
for order in "live --effort quick OUT=/x --seconds 5 DATA=/d" "--effort quick --seconds 5 live DATA=/d OUT=/x" \
    "OUT=/x DATA=/d live --effort quick --seconds 5"; do
    # shellcheck disable=SC2086
    expect 0 "demo $order" env -u LABELS PATH="$T/bin:$PATH" DATA=/other "$T/front/run" demo $order
    has "is understood" out '^demo live -o /x --data /d --effort quick --seconds 5$'
done
expect 0 "demo with its names in the environment" env PATH="$T/bin:$PATH" DATA=/d LABELS=l OUT=/x "$T/front/run" demo live
has "understands them alike" out "^demo live -o /x --data /d --labels $(pwd)/l$"
expect 0 "demo with labels from nDPI" env -u DATA -u OUT PATH="$T/bin:$PATH" LABELS=ndpi "$T/front/run" demo
has "which is no file" out '^demo -o out/demo --labels ndpi$'
expect 0 "demo without them" env -u DATA -u LABELS OUT= PATH="$T/bin:$PATH" "$T/front/run" demo
has "goes to out/demo" out '^demo -o out/demo$'
expect 0 "demo with the option itself" env -u DATA -u LABELS -u OUT PATH="$T/bin:$PATH" "$T/front/run" demo live -o /y
has "is not given it twice" out '^demo live -o /y$'

count() { # EXPECTED, log on stdin
    cat >"$T/log.json"
    "$run" count-log "$T/log.json" >"$T/count"
    tap_want=$1
    [ "$(tail -n 1 "$T/count")" = "$tap_want" ]
}
count "2 0 0" <<'END'
{"name": "dune:fast / a", "stdout": "1..2\nok 1 - x\nok 2 - y\n", "result": "OK", "starttime": 1.0}
END
tap_ok $? "counts subtests"
count "1 1 1" <<'END'
{"name": "dune:fast / a", "stdout": "# skip: data is not here\nok 1 # SKIP x\nok 2 - y\nnot ok 3 - \"q\"", "result": "FAIL", "starttime": 1.0}
END
tap_ok $? "counts failures and skips"
has "with the reason of a skip" "$T/count" 'skipped: a: .*data is not here'
has "and the name of a failure" "$T/count" 'FAILED: a: not ok 3 - "q"'
count "1 1 0" <<'END'
{"name": "dune:fast / a", "stdout": "1..2\nok 1 - x\n", "result": "ERROR", "starttime": 1.0, "stderr": "boom\n"}
END
tap_ok $? "a crash after passing subtests is a failure"
count "0 1 0" <<'END'
{"name": "dune:fast / a", "stdout": "", "result": "TIMEOUT", "starttime": 1.0}
END
tap_ok $? "a time-out is a failure"
count "1 0 1" <<'END'
{"name": "dune:fast / a", "stdout": "", "result": "OK", "starttime": 1.0}
{"name": "dune:fast / b", "stdout": "1..0 # SKIP no root\n", "result": "SKIP", "starttime": 1.0}
END
tap_ok $? "tests without subtests count as one"
# cmocka writes "not ok 2 # SKIP", which meson takes for a failure
count "1 0 1" <<'END'
{"name": "dune:fast / a", "stdout": "1..2\nok 1 - x\n# skip: no broker\nnot ok 2 # SKIP y\n", "result": "FAIL", "starttime": 1.0, "returncode": 0, "x": 1}
END
tap_ok $? "a skip that meson takes for a failure is a skip"
count "1 1 1" <<'END'
{"name": "dune:fast / a", "stdout": "1..2\nok 1 - x\nnot ok 2 # SKIP y\n", "result": "FAIL", "starttime": 1.0, "returncode": 1, "x": 1}
END
tap_ok $? "but not where the program failed"
tap_done
