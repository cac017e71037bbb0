# SPDX-License-Identifier: Apache-2.0
# Helpers of the shell tests; to be sourced. A test ends with `tap_done`.
#
#   expect STATUS NAME COMMAND...   runs it; stdout in $T/out, stderr in $T/err
#   has NAME FILE PATTERN           FILE (out, err or a path) has a line matching the grep -E pattern
#   check NAME COMMAND...           the command succeeds
#   skip NAME REASON
#   testbed_up FILE                 a testbed, which a machine that makes namespaces must get up
#   wait_for COMMAND...             until it succeeds, at most wait_tries times, five a second
set -u
tap_n=0
tap_bad=0
D=${DUNECTL:?path of dunectl}
ROOT=${DUNE_SOURCE_ROOT:-.}
T=$(mktemp -d)
trap 'rm -rf "$T"' EXIT

wait_tries=100
wait_for() {
    tap_try=0
    while [ $tap_try -lt $wait_tries ]; do
        "$@" >/dev/null 2>&1 && return 0
        sleep 0.2
        tap_try=$((tap_try + 1))
    done
    return 1
}

testbed_up() {
    command -v ip >/dev/null || { echo "1..0 # SKIP ip is not installed"; exit; }
    "$D" testbed up "$1" >"$T/out" 2>"$T/err" && return
    sed 's/^/# /' "$T/err"
    echo "not ok 1 - testbed up"
    echo "1..1"
    exit 1
}

tap_ok() {
    tap_n=$((tap_n + 1))
    if [ "$1" = 0 ]; then
        echo "ok $tap_n - $2"
    else
        tap_bad=$((tap_bad + 1))
        echo "not ok $tap_n - $2"
    fi
}

expect() {
    tap_want=$1
    tap_name=$2
    shift 2
    "$@" >"$T/out" 2>"$T/err"
    tap_got=$?
    if [ "$tap_got" != "$tap_want" ]; then
        echo "# exit status $tap_got instead of $tap_want: $*"
        sed 's/^/#   /' "$T/err" | head -n 5
        tap_ok 1 "$tap_name"
    else
        tap_ok 0 "$tap_name"
    fi
}

has() {
    case $2 in
    out | err) tap_file=$T/$2 ;;
    *) tap_file=$2 ;;
    esac
    if grep -Eq -e "$3" "$tap_file"; then
        tap_ok 0 "$1"
    else
        echo "# no line of $2 matches $3; it begins:"
        head -n 5 "$tap_file" | sed 's/^/#   /'
        tap_ok 1 "$1"
    fi
}

check() {
    tap_name=$1
    shift
    if "$@" >"$T/check.log" 2>&1; then
        tap_ok 0 "$tap_name"
    else
        echo "# failed: $*"
        sed 's/^/#   /' "$T/check.log" | head -n 5
        tap_ok 1 "$tap_name"
    fi
}

skip() {
    tap_n=$((tap_n + 1))
    echo "ok $tap_n - $1 # SKIP $2"
}

tap_done() {
    echo "1..$tap_n"
    [ $tap_bad = 0 ]
    exit
}
