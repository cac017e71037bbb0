#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Synthetic traffic laid out like published data sets.

recipe_data.py SYNTH OUT     SYNTH: what dunectl synth wrote; OUT/{unsw,ton-iot,cic-iot-2023,iot-23,ustc} are made
"""
import csv
import glob
import os
import shutil
import struct
import sys


def packets(path):
    """(seconds, frame) of a little-endian pcap of nanoseconds or microseconds"""
    data = open(path, "rb").read()
    nano = struct.unpack("<I", data[:4])[0] == 0xA1B23C4D
    at = 24
    while at < len(data):
        sec, frac, cap, _ = struct.unpack("<IIII", data[at : at + 16])
        yield sec + frac / (1e9 if nano else 1e6), data[at + 16 : at + 16 + cap]
        at += 16 + cap


def ip(b):
    return ".".join(str(x) for x in b) if len(b) == 4 else ":".join("%x" % v for v in struct.unpack("!8H", b))


def flows(path, cls_of):
    """Both directions as one: [first, last, src, sport, dst, dport, proto, class]"""
    found = {}
    for t, f in packets(path):
        at = 12
        while f[at : at + 2] in (b"\x81\x00", b"\x88\xa8"):
            at += 4
        kind = f[at : at + 2]
        l3 = at + 2
        if kind == b"\x08\x00" and f[l3 + 9] in (6, 17):
            a, b, proto, l4 = f[l3 + 12 : l3 + 16], f[l3 + 16 : l3 + 20], f[l3 + 9], l3 + 4 * (f[l3] & 15)
        elif kind == b"\x86\xdd" and f[l3 + 6] in (6, 17):
            a, b, proto, l4 = f[l3 + 8 : l3 + 24], f[l3 + 24 : l3 + 40], f[l3 + 6], l3 + 40
        else:
            continue
        sport, dport = struct.unpack("!HH", f[l4 : l4 + 4])
        mac = ":".join("%02x" % x for x in f[6:12])
        cls = cls_of.get(mac) or cls_of.get(":".join("%02x" % x for x in f[0:6]))
        if not cls:
            continue
        key = (a, sport, b, dport, proto)
        if (b, dport, a, sport, proto) in found:
            key = (b, dport, a, sport, proto)
        row = found.setdefault(key, [t, t, ip(key[0]), key[1], ip(key[2]), key[3], proto, cls])
        row[1] = t
    return list(found.values())


def main():
    synth, out = sys.argv[1:3]
    train, test = (sorted(glob.glob(f"{synth}/{s}/*.pcap")) for s in ("train", "test"))
    captures = train + test
    with open(f"{synth}/labels.csv", newline="") as f:
        cls_of = {r["mac"]: r["label"] for r in csv.DictReader(f)}

    def put(i, path):
        os.makedirs(os.path.dirname(f"{out}/{path}"), exist_ok=True)
        shutil.copy(captures[i % len(captures)], f"{out}/{path}")

    for i in range(6):
        put(i, f"unsw/16-09-{23 + i}.pcap")
    with open(f"{out}/unsw/List_Of_Devices.txt", "w") as f:
        f.write("List of Devices\tMAC ADDRESS\tConnection type\n")
        for mac, label in cls_of.items():
            f.write(f"{label}\t{mac}\tWireless\n")
    for i in range(5):
        put(i, f"ton-iot/pcaps/normal_attack_{i}.pcap")
        with open(f"{out}/ton-iot/Network_dataset_{i + 1}.csv", "w") as f:
            f.write("ts,src_ip,src_port,dst_ip,dst_port,proto,service,duration,src_bytes,label,type\n")
            for a, b, src, sp, dst, dp, proto, cls in flows(captures[i], cls_of):
                name = {6: "tcp", 17: "udp"}[proto]
                f.write(f"{int(a)},{src},{sp},{dst},{dp},{name},-,{b - a:.6f},1,1,{cls}\n")
    for i, name in enumerate(["Benign_Final/BenignTraffic", "DDoS-SYN_Flood/DDoS-SYN_Flood", "XSS/XSS"]):
        put(2 * i, f"cic-iot-2023/{name}.pcap")
        put(2 * i + 1, f"cic-iot-2023/{name}1.pcap")
    put(0, "cic-iot-2023/elsewhere/x.pcap")
    for i in range(4):
        name = f"CTU-IoT-Malware-Capture-{i + 1}-1" if i else "CTU-Honeypot-Capture-4-1"
        put(i, f"iot-23/{name}/2018-0{i + 1}.pcap")
        if i == 3:
            continue  # a scenario without its log
        os.makedirs(f"{out}/iot-23/{name}/bro")
        with open(f"{out}/iot-23/{name}/bro/conn.log.labeled", "w") as f:
            f.write("#separator \\x09\n#fields\tts\tuid\tid.orig_h\tid.orig_p\tid.resp_h\tid.resp_p\tproto\tservice\tduration\t"
                    "tunnel_parents   label   detailed-label\n")
            for k, (a, b, src, sp, dst, dp, proto, cls) in enumerate(flows(captures[i], cls_of)):
                name = {6: "tcp", 17: "udp"}[proto]
                label = "Malicious   " + cls if k % 3 else "Benign   -"
                f.write(f"{a:.6f}\tC{k}\t{src}\t{sp}\t{dst}\t{dp}\t{name}\t-\t{b - a:.6f}\t-   {label}\n")
            f.write("#close\n")
    for i, name in enumerate(["Benign/FTP", "Benign/SMB-1", "Benign/SMB-2", "Malware/Nsis-ay", "Malware/Zeus"]):
        put(i, f"ustc/{name}.pcap")
    open(f"{out}/ustc/Malware/Geodo.7z", "w").write("packed")


main()
