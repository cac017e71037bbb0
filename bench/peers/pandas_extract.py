# SPDX-License-Identifier: Apache-2.0
"""The published way from a capture to feature rows: tshark to text, pandas to features; prints one JSON line.

    pandas_extract.py CAPTURE LABELS.csv OUT_DIR

Steps, as published: fields as text by tshark, flow ids, labels by MAC address (source, then destination),
a labelled CSV; then per inference point N = 2, 3, 4 the running values of the first N packets of every flow,
packet rows before N and the flow row at N, a CSV each; flow lengths. Group operations are those of
pandas throughout, never Python loops over packets, so this is faster than the published programs.
"""
import json
import os
import subprocess
import sys
import time

FIELDS = ["frame.time_epoch", "eth.src", "eth.dst", "ip.src", "ip.dst", "ip.proto", "ip.len", "ip.ttl", "ip.dsfield",
          "ip.hdr_len", "tcp.srcport", "tcp.dstport", "udp.srcport", "udp.dstport", "tcp.flags.syn", "tcp.flags.ack",
          "tcp.flags.push", "tcp.flags.fin", "tcp.flags.reset", "tcp.flags.urg", "tcp.flags.cwr", "tcp.window_size_value",
          "tcp.hdr_len", "udp.length"]
FLAGS = ["tcp.flags.syn", "tcp.flags.ack", "tcp.flags.push", "tcp.flags.fin", "tcp.flags.reset", "tcp.flags.urg",
         "tcp.flags.cwr"]


def to_text(capture, path):
    command = ["tshark", "-r", capture, "-Y", "ip and (tcp or udp)", "-T", "fields", "-E", "separator=,", "-E",
               "occurrence=f", "-E", "header=y"]
    for f in FIELDS:
        command += ["-e", f]
    with open(path, "w", encoding="utf-8") as out:
        subprocess.run(command, stdout=out, stderr=subprocess.DEVNULL, check=True)


def add_labels(pd, d, labels_path):
    mac = pd.read_csv(labels_path).set_index("mac")["label"]
    d["label"] = d["eth.src"].map(mac).fillna(d["eth.dst"].map(mac))
    return d[d["label"].notna()].copy()


def features(pd, d, n):
    g = d.groupby("flow", sort=False)
    d["count"] = g.cumcount() + 1
    d = d[d["count"] <= n].copy()
    g = d.groupby("flow", sort=False)
    d["gap"] = g["time"].diff()
    d["len.min"] = g["ip.len"].cummin()
    d["len.max"] = g["ip.len"].cummax()
    d["len.total"] = g["ip.len"].cumsum()
    d["udp.min"] = g["udp.length"].cummin()
    d["udp.max"] = g["udp.length"].cummax()
    d["gap.min"] = g["gap"].cummin()
    d["gap.max"] = g["gap"].cummax()
    d["duration"] = d["time"] - g["time"].transform("first")
    for f in FLAGS:
        d[f + ".count"] = g[f].cumsum()
    running = [c for c in d.columns if c.endswith(("min", "max", "total", "duration", ".count"))]
    d.loc[d["count"] < n, running] = -1
    return d.fillna(0)


def main():
    try:
        import pandas as pd
    except ImportError as e:
        print(json.dumps({"skip": str(e)}))
        return
    capture, labels, out = sys.argv[1:4]
    text = os.path.join(out, "packets.csv")
    start = time.perf_counter()
    try:
        to_text(capture, text)
    except OSError as e:
        print(json.dumps({"skip": f"tshark: {e}"}))
        return
    tshark = time.perf_counter() - start
    d = pd.read_csv(text, low_memory=False)
    d["srcport"] = d["tcp.srcport"].fillna(d["udp.srcport"]).astype(int)
    d["dstport"] = d["tcp.dstport"].fillna(d["udp.dstport"]).astype(int)
    d["flow"] = (d["ip.src"] + " " + d["ip.dst"] + " " + d["srcport"].astype(str) + " " + d["dstport"].astype(str) + " " +
                 d["ip.proto"].astype(str))
    d["time"] = d["frame.time_epoch"]
    packets = len(d)
    d = add_labels(pd, d, labels)
    d.to_csv(os.path.join(out, "labelled.csv"), index=False)
    rows = 0
    for n in (2, 3, 4):
        t = features(pd, d.copy(), n)
        t.to_csv(os.path.join(out, f"features-{n}.csv"), index=False)
        rows += len(t)
    d.groupby("flow", sort=False).size().to_csv(os.path.join(out, "lengths.csv"))
    wall = time.perf_counter() - start
    print(json.dumps({"wall": round(wall, 4), "tshark": round(tshark, 4), "packets": packets, "rows": rows}))


main()
