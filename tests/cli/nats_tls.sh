#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# The bus over a nats-server with TLS and credentials (operator mode): who has both gets in, nobody else does.
. "$(dirname "$0")/tap.sh"
PATH=$PATH:/usr/sbin
for tool in nats-server openssl python3; do
    command -v $tool >/dev/null || { echo "1..0 # SKIP $tool is not installed"; exit; }
done
"$D" version | grep -q libnats || { echo "1..0 # SKIP this build has no NATS client"; exit; }
pids=
finish() {
    for p in $pids; do kill "$p" 2>/dev/null; done
    wait 2>/dev/null
    rm -rf "$T"
}
trap finish EXIT

make_ca() { # NAME
    openssl req -x509 -newkey ed25519 -nodes -days 2 -subj "/CN=$1" -keyout "$T/$1.key" -out "$T/$1.pem" 2>/dev/null
}
make_ca ours
make_ca theirs
openssl req -newkey ed25519 -nodes -subj /CN=localhost -keyout "$T/server.key" -out "$T/server.csr" 2>/dev/null
printf 'subjectAltName=DNS:localhost,IP:127.0.0.1\n' >"$T/san"
openssl x509 -req -in "$T/server.csr" -CA "$T/ours.pem" -CAkey "$T/ours.key" -CAcreateserial -days 2 -extfile "$T/san" \
    -out "$T/server.pem" 2>/dev/null
check "tokens are made" python3 "$(dirname "$0")/nats_creds.py" "$T"
port=$(python3 -c 'import socket; s = socket.socket(); s.bind(("127.0.0.1", 0)); print(s.getsockname()[1])')
cat >"$T/server.conf" <<END
host: 127.0.0.1
port: $port
jetstream { store_dir: $T/js }
tls { cert_file: $T/server.pem, key_file: $T/server.key, timeout: 20 }
include accounts.conf
END
nats-server -c "$T/server.conf" >"$T/server.log" 2>&1 &
pids="$pids $!"
ready() { grep -q 'Server is ready' "$T/server.log"; }
check "the server runs" wait_for ready
ready || { tail -n 3 "$T/server.log" | sed 's/^/# /'; tap_done; }

BUS=tls://localhost:$port
in_() { "$D" controller "$@" --bus "$BUS" --ca "$T/ours.pem" --creds "$T/user.creds"; }
"$D" controller serve --bus "$BUS" --ca "$T/ours.pem" --creds "$T/user.creds" --owner a --device s1:1 2>"$T/serve.log" &
pids="$pids $!"
leads() { in_ status 2>"$T/err2" | grep -q '"leader": true'; }
check "with TLS and credentials the controller gets lease and store" wait_for leads
expect 0 "a plan is taken" in_ apply "$ROOT/tests/golden/plan/seven_nodes.json"
in_ status >"$T/status" 2>/dev/null
has "and is in the store" "$T/status" '"name": "seven_nodes.json"|"phase": "loading"'
expect 5 "without credentials" "$D" controller status --bus "$BUS" --ca "$T/ours.pem"
has "is refused by the server" err '[Aa]uthorization|[Aa]uthentication'
expect 5 "with credentials of somebody else" "$D" controller status --bus "$BUS" --ca "$T/ours.pem" --creds "$T/foreign.creds"
expect 5 "when the certificate is not trusted" "$D" controller status --bus "$BUS" --ca "$T/theirs.pem" --creds "$T/user.creds"
has "says so" err '[Cc]ertificate|SSL|TLS'
expect 5 "when the system does not know the certificate" "$D" controller status --bus "$BUS" --creds "$T/user.creds"
expect 5 "without TLS" "$D" controller status --bus "nats://localhost:$port" --creds "$T/user.creds"
expect 5 "credentials that are not there" "$D" controller status --bus "$BUS" --ca "$T/ours.pem" --creds "$T/nothing"
expect 5 "certificates that are not there" "$D" controller status --bus "$BUS" --ca "$T/nothing" --creds "$T/user.creds"
expect 0 "the controller goes on" in_ status
tap_done
