#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# Called by `meson install`: manual pages and shell completion, printed by the binary just built.
#     install_docs.sh DUNECTL DATADIR
set -eu
dunectl=$1
data=${MESON_INSTALL_DESTDIR_PREFIX:?run by meson install}/$2
mkdir -p "$data/man/man1" "$data/bash-completion/completions"
"$dunectl" man >"$data/man/man1/dunectl.1"
for command in $("$dunectl" --help | sed -n 's/^  \([a-z]*\)  .*/\1/p'); do
    "$dunectl" man "$command" >"$data/man/man1/dunectl-$command.1"
done
"$dunectl" completion bash >"$data/bash-completion/completions/dunectl"
