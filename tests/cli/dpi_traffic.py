#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Connections whose payload a DPI engine knows: DNS, HTTP, SSH, TLS with a server name; and some it does not.

dpi_traffic.py OUT.pcap [FLOWS PER KIND] [FIRST SECOND]
"""
import random
import struct
import sys


def checksum(data):
    data += b"\0" * (len(data) % 2)
    s = sum(struct.unpack("!%dH" % (len(data) // 2), data))
    s = (s & 0xFFFF) + (s >> 16)
    return ~((s & 0xFFFF) + (s >> 16)) & 0xFFFF


def frame(src, dst, proto, sport, dport, payload, flags=0x18, seq=1, ack=1):
    if proto == 6:
        l4 = struct.pack("!HHIIBBHHH", sport, dport, seq, ack, 0x50, flags, 64240, 0, 0) + payload
    else:
        l4 = struct.pack("!HHHH", sport, dport, 8 + len(payload), 0) + payload
    ip = struct.pack("!BBHHHBBH4s4s", 0x45, 0, 20 + len(l4), 1, 0x4000, 64, proto, 0, src, dst)
    ip = ip[:10] + struct.pack("!H", checksum(ip)) + ip[12:]
    return b"\x02\0\0\0\0\2\x02\0\0\0\0\1\x08\0" + ip + l4


def client_hello(name, rng):
    sni = struct.pack("!BH", 0, len(name)) + name
    sni = struct.pack("!H", len(sni)) + sni
    ext = struct.pack("!HH", 0, len(sni)) + sni
    ext += struct.pack("!HHH", 0x0A, 4, 2) + b"\0\x1d" + struct.pack("!HHBB", 0x0B, 2, 1, 0)
    body = b"\x03\x03" + bytes(rng.randrange(256) for _ in range(32)) + b"\0"
    body += struct.pack("!H", 4) + b"\x13\x01\xc0\x2f" + b"\x01\0" + struct.pack("!H", len(ext)) + ext
    hello = b"\x01" + struct.pack("!I", len(body))[1:] + body
    return b"\x16\x03\x01" + struct.pack("!H", len(hello)) + hello


def dns(name, ident, answer):
    q = b"".join(struct.pack("!B", len(p)) + p for p in name.split(b".")) + b"\0" + struct.pack("!HH", 1, 1)
    if not answer:
        return struct.pack("!HHHHHH", ident, 0x0100, 1, 0, 0, 0) + q
    return struct.pack("!HHHHHH", ident, 0x8180, 1, 1, 0, 0) + q + struct.pack("!HHHIH4s", 0xC00C, 1, 1, 60, 4, b"\x5d\xb8\xd8\x22")


def talk(kind, rng):
    """(protocol, server port, [(from client?, payload)])"""
    if kind == "dns":
        n, i = b"host%d.example.org" % rng.randrange(1000), rng.randrange(65536)
        return 17, 53, [(True, dns(n, i, False)), (False, dns(n, i, True))]
    if kind == "http":
        return 6, 80, [(True, b"GET /%d HTTP/1.1\r\nHost: www.example.org\r\nUser-Agent: test\r\n\r\n" % rng.randrange(10**9)),
                       (False, b"HTTP/1.1 200 OK\r\nContent-Type: text/html\r\nContent-Length: 900\r\n\r\n" + b"x" * 900),
                       (False, b"y" * 1200)]
    if kind == "ssh":
        return 6, 22, [(False, b"SSH-2.0-OpenSSH_9.2p1 Debian-2\r\n"), (True, b"SSH-2.0-OpenSSH_9.2p1 Debian-2\r\n"),
                       (True, struct.pack("!IBB", 1020, 4, 20) + b"k" * 300), (False, struct.pack("!IBB", 1020, 4, 20) + b"k" * 500)]
    if kind == "video":
        return 6, 443, [(True, client_hello(b"r%d---sn.googlevideo.com" % rng.randrange(9), rng)),
                        (False, b"\x16\x03\x03\x04\0" + b"\2" + b"s" * 1023), (True, b"\x17\x03\x03\0\x40" + b"a" * 64),
                        (False, b"\x17\x03\x03\x05\0" + b"b" * 1280)]
    return 6, 443 if rng.random() < 0.5 else 7777, [(True, bytes(rng.randrange(128, 256) for _ in range(rng.randrange(40, 200)))),
                                                    (False, bytes(rng.randrange(128, 256) for _ in range(700)))]


def main():
    out, per, first = sys.argv[1], int(sys.argv[2]) if len(sys.argv) > 2 else 60, float(sys.argv[3]) if len(sys.argv) > 3 else 1000
    rng = random.Random("%d %f" % (per, first))
    packets = []
    for kind in ("dns", "http", "ssh", "video", "noise"):
        for i in range(per if kind != "ssh" else max(per // 10, 1)):
            proto, port, says = talk(kind, rng)
            src, dst = bytes([10, 0, rng.randrange(256), rng.randrange(1, 255)]), bytes([192, 0, 2, rng.randrange(1, 255)])
            sport, t = rng.randrange(20000, 60000), first + rng.random() * 600
            if proto == 6:
                packets += [(t, frame(src, dst, 6, sport, port, b"", 2)), (t + 0.01, frame(dst, src, 6, port, sport, b"", 18)),
                            (t + 0.02, frame(src, dst, 6, sport, port, b"", 16))]
            seq = {True: 2, False: 2}
            for k, (client, payload) in enumerate(says):
                a, b = (src, dst) if client else (dst, src)
                pa, pb = (sport, port) if client else (port, sport)
                packets.append((t + 0.03 + 0.02 * k, frame(a, b, proto, pa, pb, payload, 0x18, seq[client], seq[not client])))
                seq[client] += len(payload)
    packets.sort()
    with open(out, "wb") as f:
        f.write(struct.pack("<IHHiIII", 0xA1B2C3D4, 2, 4, 0, 0, 65535, 1))
        for t, p in packets:
            f.write(struct.pack("<IIII", int(t), int(t % 1 * 1e6), len(p), len(p)) + p)


main()
