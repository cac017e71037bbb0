#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""What a nats-server in operator mode needs, made with openssl: keys, signed tokens, a part of its configuration.
usage: nats_creds.py DIR     writes operator.jwt, accounts.conf, user.creds, foreign.creds (of an operator nobody knows)
"""
import base64
import json
import os
import subprocess
import sys
import tempfile

OPERATOR, ACCOUNT, USER, SEED = 14 << 3, 0, 20 << 3, 18 << 3


def crc16(data):
    crc = 0
    for b in data:
        crc ^= b << 8
        for _ in range(8):
            crc = (crc << 1 ^ 0x1021 if crc & 0x8000 else crc << 1) & 0xffff
    return crc.to_bytes(2, "little")


def base32(raw):
    return base64.b32encode(raw + crc16(raw)).decode().rstrip("=")


def base64url(raw):
    return base64.urlsafe_b64encode(raw).decode().rstrip("=")


def openssl(*args, **kw):
    return subprocess.run(["openssl", *args], check=True, stdout=subprocess.PIPE, **kw).stdout


class Key:
    """An Ed25519 key as nkeys has them."""

    def __init__(self, prefix):
        self.pem = openssl("genpkey", "-algorithm", "ed25519")
        seed = openssl("pkey", "-outform", "DER", input=self.pem)[-32:]
        public = openssl("pkey", "-pubout", "-outform", "DER", input=self.pem)[-32:]
        self.public = base32(bytes([prefix]) + public)
        self.seed = base32(bytes([SEED | prefix >> 5, (prefix & 31) << 3]) + seed)

    def sign(self, data):
        with tempfile.TemporaryDirectory() as d:
            for name, content in (("key", self.pem), ("data", data)):
                with open(os.path.join(d, name), "wb") as f:
                    f.write(content)
            return openssl("pkeyutl", "-sign", "-rawin", "-inkey", os.path.join(d, "key"), "-in", os.path.join(d, "data"))


def token(issuer, subject, name, nats):
    part = [base64url(json.dumps(p).encode()) for p in (
        {"typ": "JWT", "alg": "ed25519-nkey"},
        {"jti": name.upper(), "iat": 1700000000, "iss": issuer.public, "name": name, "sub": subject.public,
         "nats": dict(nats, version=2)})]
    text = ".".join(part)
    return text + "." + base64url(issuer.sign(text.encode()))


def creds(user_token, user):
    return (f"-----BEGIN NATS USER JWT-----\n{user_token}\n------END NATS USER JWT------\n\n"
            f"-----BEGIN USER NKEY SEED-----\n{user.seed}\n------END USER NKEY SEED------\n")


LIMITS = {"subs": -1, "data": -1, "payload": -1, "imports": -1, "exports": -1, "wildcards": True, "conn": -1, "leaf": -1}
STORE = {"mem_storage": -1, "disk_storage": -1, "streams": -1, "consumer": -1}


def account_of(operator, name, limits):
    """An account and its token."""
    account = Key(ACCOUNT)
    return account, token(operator, account, name, {"type": "account", "limits": limits})


def user_of(account):
    """Credentials of a new user of an account."""
    user = Key(USER)
    return creds(token(account, user, "user", {"type": "user", "subs": -1, "data": -1, "payload": -1}), user)


def main():
    operator = Key(OPERATOR)
    account, account_token = account_of(operator, "acc", dict(LIMITS, **STORE))
    system, system_token = account_of(operator, "sys", LIMITS)
    files = {"operator.jwt": token(operator, operator, "op", {"type": "operator"}),
             "user.creds": user_of(account),
             "foreign.creds": user_of(account_of(Key(OPERATOR), "acc", LIMITS)[0]),
             "accounts.conf": f"operator: {sys.argv[1]}/operator.jwt\nsystem_account: {system.public}\n"
                              f"resolver: MEMORY\nresolver_preload: {{\n  {account.public}: {account_token}\n"
                              f"  {system.public}: {system_token}\n}}\n"}
    for name, text in files.items():
        with open(os.path.join(sys.argv[1], name), "w", encoding="ascii") as f:
            f.write(text)


main()
