#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# The frame of the command line: help, usage errors, exit statuses, output errors.
. "$(dirname "$0")/tap.sh"

expect 2 "no command" "$D"
has "and the help on stderr" err '^Usage: dunectl COMMAND'
expect 0 "--help" "$D" --help
has "names a command" out '^  doctor '
expect 0 "--version" "$D" --version
has "version text" out '^dunectl [0-9]+\.[0-9]+\.[0-9]+$'
expect 2 "unknown command" "$D" doctr
has "with a suggestion" err '^dunectl: unknown command "doctr"; did you mean doctor\?$'
check "and nothing on stdout" test ! -s "$T/out"
expect 2 "unknown option" "$D" doctor --strct
has "with a suggestion" err 'unknown option --strct; did you mean --strict\?$'
expect 2 "unknown short option" "$D" doctor -z
expect 2 "flag with a value" "$D" doctor --strict=1
expect 2 "value missing" "$D" version --seed
expect 2 "not a number" "$D" version --seed 1x
expect 2 "negative number" "$D" version --seed -1
expect 2 "out of range" "$D" version --threads 5000
expect 2 "given twice" "$D" version --seed 1 --seed 2
expect 2 "not a choice" "$D" version --effort quik
has "lists the choices" err 'one of quick\|default\|full'
expect 2 "one argument too many" "$D" version x
expect 2 "an argument is missing" "$D" completion
expect 0 "short, joined and = forms" "$D" version -qj2 --seed=3 --effort=quick --json
expect 0 "common options before the command" "$D" --json version
has "are obeyed" out '"compiler"'
expect 0 "-- ends the options" "$D" help -- version
expect 2 "after -- dashes are arguments" "$D" help -- --version

expect 0 "man without a command" "$D" man
has "is the page of dunectl" out '^\.TH DUNECTL 1 '
cp "$T/out" "$T/dunectl.1"
cat "$T/out" >>"$T/all.roff"
for c in $("$D" --help | sed -n 's/^  \([a-z]*\)  .*/\1/p'); do
    has "which names $c" "$T/dunectl.1" "^\.BR dunectl..$c .1.$"
    expect 0 "$c --help" "$D" "$c" --help
    has "$c: usage" out "^Usage: dunectl $c"
    sed -n -e 's/^  -., --\([a-z0-9-]*\).*/\1/p' -e 's/^      --\([a-z0-9-]*\).*/\1/p' "$T/out" | sort | uniq -d >"$T/twice"
    check "$c: every option once" test ! -s "$T/twice"
    expect 0 "man $c" "$D" man "$c"
    has "man $c: header" out '^\.TH DUNECTL'
    cat "$T/out" >>"$T/all.roff"
done
if command -v groff >/dev/null 2>&1; then
    groff -man -ww -Tascii -z "$T/all.roff" >"$T/roff.log" 2>&1
    check "groff has no warnings about the manual pages" test ! -s "$T/roff.log"
else
    skip "groff has no warnings about the manual pages" "groff is not installed"
fi

expect 2 "unknown profile" "$D" show none.json --profile tofino9
has "says which there are" err 'unknown profile "tofino9"; there are .*tofino1'

if [ -c /dev/full ]; then
    expect 5 "full disk is noticed" sh -c "'$D' version >/dev/full"
    has "and said" err 'cannot write to standard output'
else
    skip "full disk is noticed" "there is no /dev/full"
fi
expect 0 "doctor never fails" "$D" doctor
expect 0 "doctor --json" "$D" doctor --json
if command -v bash >/dev/null 2>&1; then
    expect 0 "completion bash" "$D" completion bash
    cp "$T/out" "$T/completion"
    check "is valid bash" bash -n "$T/completion"
    check "completes a command" bash -c ". '$T/completion'
        COMP_WORDS=(dunectl doct) COMP_CWORD=1; _dunectl; [ \"\${COMPREPLY[*]}\" = doctor ]"
    check "completes an option" bash -c ". '$T/completion'
        COMP_WORDS=(dunectl doctor --stri) COMP_CWORD=2; _dunectl; [ \"\${COMPREPLY[*]}\" = --strict ]"
    check "completes a choice" bash -c ". '$T/completion'
        COMP_WORDS=(dunectl doctor --effort fu) COMP_CWORD=3; _dunectl; [ \"\${COMPREPLY[*]}\" = full ]"
else
    skip "completion bash" "bash is not installed"
fi
expect 2 "a bus of an unknown kind" "$D" controller status --bus nat://user:geheim@bus.example
check "whose password is not shown" test -z "$(grep geheim "$T/err")"
expect 2 "completion of an unknown shell" "$D" completion elvish
tap_done
