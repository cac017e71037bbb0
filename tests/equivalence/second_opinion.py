# SPDX-License-Identifier: Apache-2.0
"""A second opinion, written from the design alone: captures to packets, flows, features and rows; plan and
packets to verdicts and frames. Stupid on purpose: a flow is the list of its packets, and every feature is
computed from that list again for every packet.

  second_opinion.py rows CSV [--captures C] [--timeout S|none] [--n N] [--phase P] FILE...
      compares what `dunectl extract FILE... --csv CSV` wrote (every flow labelled)
  second_opinion.py verdicts PLAN CSV [--captures C] [--rules TICKS] [--rules-everywhere]
                    [--out PCAP] [--keep-shim] [--slots N] [--ways N] FILE...
      compares what `dunectl replay PLAN FILE... --verdicts CSV --pcap-out PCAP` wrote
"""

import argparse
import csv
import fractions
import gzip
import ipaddress
import json
import os
import struct
import sys
import zlib

# --- captures ---------------------------------------------------------------------------------------


def read_capture(path):
    """-> [(ns, bytes, wire_len)]"""
    data = open(path, "rb").read()
    if data[:2] == b"\x1f\x8b":
        data = gzip.decompress(data)
    if data[:4] == b"\x0a\x0d\x0d\x0a":
        return list(read_pcapng(data))
    return list(read_pcap(data))


def read_pcap(data):
    for order in "<>":
        magic = struct.unpack(order + "I", data[:4])[0]
        if magic in (0xA1B2C3D4, 0xA1B23C4D):
            break
    unit = 1000 if magic == 0xA1B2C3D4 else 1
    at = 24
    while at < len(data):
        sec, frac, cap, wire = struct.unpack(order + "IIII", data[at : at + 16])
        yield sec * 10**9 + frac * unit, data[at + 16 : at + 16 + cap], wire
        at += 16 + cap


def read_pcapng(data):
    at = 0
    while at < len(data):
        if data[at : at + 4] == b"\x0a\x0d\x0d\x0a":
            order = "<" if data[at + 8 : at + 12] == b"\x4d\x3c\x2b\x1a" else ">"
            ifaces = []
        kind, size = struct.unpack(order + "II", data[at : at + 8])
        body = data[at + 8 : at + size - 4]
        if kind == 1:
            ifaces.append(iface_units(body, order))
        elif kind == 6:
            i, hi, lo, cap, wire = struct.unpack(order + "IIIII", body[:20])
            per_second, offset = ifaces[i]
            t = hi << 32 | lo
            yield t * 10**9 // per_second + offset * 10**9, body[20 : 20 + cap], wire
        at += size


def iface_units(body, order):
    per_second, offset, at = 10**6, 0, 8
    while at + 4 <= len(body):
        code, n = struct.unpack(order + "HH", body[at : at + 4])
        value = body[at + 4 : at + 4 + n]
        if code == 9:
            per_second = 2 ** (value[0] & 127) if value[0] & 128 else 10 ** value[0]
        if code == 14:
            offset = struct.unpack(order + "q", value)[0]
        if code == 0:
            break
        at += 4 + (n + 3) // 4 * 4
    return per_second, offset


def pieces(path, captures):
    """-> [(name or None, [(index, ns, bytes, wire)])]"""
    packets = [(i, *p) for i, p in enumerate(read_capture(path))]
    if not captures:
        return [(None, packets)]
    out, at = [], 0
    split = os.path.basename(os.path.dirname(os.path.abspath(path)))
    for row in csv.DictReader(open(captures)):
        if row["file"] != os.path.basename(path) or row.get("split", split) != split:
            continue
        n = int(row["packets"])
        out.append((row["source_capture"], packets[at : at + n]))
        at += n
    return out


# --- packets ----------------------------------------------------------------------------------------

LIMITS = {"max_vlan": 2, "max_ipv4_options": 40, "max_ipv6_ext": 2, "max_ipv6_ext_len": 64, "ipv6": True}
FLAGS = ["fin", "syn", "rst", "psh", "ack", "urg", "ece", "cwr"]


def parse(b, lim=LIMITS, shim=None):
    """-> packet as a dict, or None when it is not inferable"""
    at, tags = 12, 0
    while True:
        if len(b) < at + 2:
            return None
        kind = int.from_bytes(b[at : at + 2], "big")
        if kind not in (0x8100, 0x88A8):
            break
        tags, at = tags + 1, at + 4
        if tags > lim["max_vlan"]:
            return None
    at += 2
    if kind == shim:
        return None
    if kind == 0x0800:
        if len(b) < at + 20 or b[at] >> 4 != 4:
            return None
        words = b[at] & 15
        if words < 5 or words * 4 - 20 > lim["max_ipv4_options"] or len(b) < at + words * 4:
            return None
        if int.from_bytes(b[at + 6 : at + 8], "big") & 0x1FFF:
            return None
        p = {"ip.len": int.from_bytes(b[at + 2 : at + 4], "big"), "ip.ttl": b[at + 8], "ip.tos": b[at + 1],
             "ip.hdr_len": words}
        proto, addresses, at = b[at + 9], b[at + 12 : at + 20], at + words * 4
    elif kind == 0x86DD and lim["ipv6"]:
        if len(b) < at + 40 or b[at] >> 4 != 6:
            return None
        p = {"ip.len": min(65535, 40 + int.from_bytes(b[at + 4 : at + 6], "big")), "ip.ttl": b[at + 7],
             "ip.tos": int.from_bytes(b[at : at + 2], "big") >> 4 & 255, "ip.hdr_len": 10}
        proto, addresses, at = b[at + 6], b[at + 8 : at + 40], at + 40
        headers = 0
        while proto in (0, 43, 44, 51, 60):
            headers += 1
            if headers > lim["max_ipv6_ext"] or len(b) < at + 8:
                return None
            size = 8 if proto == 44 else (b[at + 1] + 2) * 4 if proto == 51 else (b[at + 1] + 1) * 8
            if size > lim["max_ipv6_ext_len"] or len(b) < at + size:
                return None
            if proto == 44 and int.from_bytes(b[at + 2 : at + 4], "big") >> 3:
                return None
            proto, at = b[at], at + size
    else:
        return None
    if proto not in (6, 17) or len(b) < at + (16 if proto == 6 else 8):
        return None
    sport, dport, third = struct.unpack(">HHH", b[at : at + 6])
    p.update({"ip.proto": proto, "srcport": sport, "dstport": dport, "udp.length": 0, "tcp.window": 0,
              "tcp.hdr_len": 0, "dstport.low": dport if dport < 1024 else 0})
    flags = 0
    if proto == 6:
        flags = b[at + 13]
        p["tcp.hdr_len"], p["tcp.window"] = b[at + 12] >> 4, int.from_bytes(b[at + 14 : at + 16], "big")
        if p["tcp.hdr_len"] < 5:
            return None
    else:
        p["udp.length"] = third
    for bit, name in enumerate(FLAGS):
        p["tcp.flags." + name] = flags >> bit & 1
    p["key"] = addresses + b[at : at + 4] + bytes([proto])
    return p


# --- flows and features -----------------------------------------------------------------------------

M16, M32 = 65535, 2**32 - 1


def gaps(history):
    """ticks between neighbours; the clock of a flow never goes back"""
    out, last = [], None
    for p in history:
        if last is not None:
            out.append(min(M32, max(0, p["tick"] - last)))
        last = p["tick"] if last is None else max(last, p["tick"])
    return out


def flow_features(history):
    """over the packets of a flow up to this one; [] for a packet without state"""
    h, g = history, gaps(history)
    f = {}
    lens = [p["ip.len"] for p in h]
    udp = [p["udp.length"] for p in h if p["ip.proto"] == 17]
    f["len.min"], f["len.max"], f["len.total"] = min(lens, default=0), max(lens, default=0), min(M32, sum(lens))
    f["udp.len.min"], f["udp.len.max"] = min(udp, default=0), max(udp, default=0)
    for name in FLAGS:
        f["count." + name] = min(255, sum(p["tcp.flags." + name] for p in h))
    f["gap.min"], f["gap.max"] = min(g, default=0), max(g, default=0)
    f["duration"] = min(M32, max(p["tick"] for p in h) - h[0]["tick"]) if h else 0
    f["pkt.count"] = min(M16, len(h))
    for k in range(1, 9):
        f[f"len.{k}"] = lens[k - 1] if k <= len(h) else 0
        if k > 1:
            f[f"gap.{k}"] = g[k - 2] if k <= len(h) else 0
    return f


def is_expired(now, last, timeout):
    return timeout is not None and now - last > timeout


def flows_of(capture, timeout, limits=LIMITS):
    """[(index, ns, bytes, wire)] -> list of flows, each a list of packets, in order of first packet"""
    live, flows = {}, []
    for index, ns, data, _ in capture:
        p = parse(data, limits)
        if not p:
            continue
        p.update(tick=ns // 1024, index=index)
        flow = live.get(p["key"])
        if flow is None or is_expired(p["tick"], max(q["tick"] for q in flow), timeout):
            flow = live[p["key"]] = []
            flows.append(flow)
        flow.append(p)
    return flows


PUBLISHED = {
    "tcp.flags.push": "tcp.flags.psh", "tcp.window_size_value": "tcp.window", "Min Packet Length": "len.min",
    "Max Packet Length": "len.max", "Packet Length Total": "len.total", "UDP Len Min": "udp.len.min",
    "UDP Len Max": "udp.len.max", "Flow IAT Min": "gap.min", "Flow IAT Max": "gap.max",
    "Flow Duration": "duration", "Packet Count": "pkt.count",
}


def canonical(column):
    if column.endswith(" Flag Count"):
        return "count." + column.split()[0].lower()
    if column.startswith("Packet Length ") and column[-1].isdigit():
        return "len." + column[-1]
    if column.startswith("Flow IAT ") and column[-1].isdigit():
        return "gap." + column[-1]
    return PUBLISHED.get(column, column)


def expected_rows(paths, captures, timeout, n, phase):
    for path in paths:
        for name, packets in pieces(path, captures):
            for flow in flows_of(packets, timeout):
                for i, p in enumerate(flow[:n], 1):
                    if phase == "flow" and i < n:
                        continue
                    state = flow[:i] if phase == "running" or i == n else []
                    if phase == "packet":
                        state = []
                    weight = fractions.Fraction(1, len(flow))
                    if phase != "packet" and i == n:
                        weight = fractions.Fraction(len(flow) - n + 1, len(flow))
                    yield path, name, i, {**p, **flow_features(state)}, weight


def cmd_rows(a):
    table = csv.reader(open(a.csv, newline=""))
    head = next(table)
    names = [canonical(c) for c in head]
    bad = n = 0
    for want, got in zip_all(expected_rows(a.files, a.captures, a.timeout, a.n, a.phase), table):
        n += 1
        if want is None or got is None:
            print("row", n, "missing:", want and want[:3], got)
            bad += 1
            break
        path, name, i, f, weight = want
        for c, g in zip(names, got):
            if c in ("flow", "capture", "split", "Label"):
                continue
            if c == "packet":
                ok = int(g) == i
            elif c == "weight":
                ok = abs(float(g) - float(weight)) < 2**-23
            elif c.startswith("gap") or c == "duration":
                ok = g == f"{f[c] * 1024 // 1000}.{f[c] * 1024 % 1000:03d}"
            else:
                ok = int(g) == f[c]
            if not ok:
                bad += 1
                print("row", n, path, name, "packet", i, c, "want", weight if c == "weight" else f.get(c), "got", g)
    print(n, "rows,", bad, "differences")
    return bad != 0


def zip_all(a, b):
    a, b = iter(a), iter(b)
    while True:
        x, y = next(a, None), next(b, None)
        if x is None and y is None:
            return
        yield x, y


# --- hashes -----------------------------------------------------------------------------------------


def crc32c(data):
    c = M32
    for byte in data:
        c ^= byte
        for _ in range(8):
            c = c >> 1 ^ (0x82F63B78 if c & 1 else 0)
    return c ^ M32


M64 = 2**64 - 1


def siphash(key, data):
    k0, k1 = struct.unpack("<QQ", key)
    v = [k0 ^ 0x736F6D6570736575, k1 ^ 0x646F72616E646F6D, k0 ^ 0x6C7967656E657261, k1 ^ 0x7465646279746573]

    def rot(x, n):
        return (x << n | x >> (64 - n)) & M64

    def round():
        v[0] = (v[0] + v[1]) & M64; v[1] = rot(v[1], 13) ^ v[0]; v[0] = rot(v[0], 32)
        v[2] = (v[2] + v[3]) & M64; v[3] = rot(v[3], 16) ^ v[2]
        v[0] = (v[0] + v[3]) & M64; v[3] = rot(v[3], 21) ^ v[0]
        v[2] = (v[2] + v[1]) & M64; v[1] = rot(v[1], 17) ^ v[2]; v[2] = rot(v[2], 32)

    tail = data[len(data) // 8 * 8 :]
    blocks = [data[i : i + 8] for i in range(0, len(data) // 8 * 8, 8)]
    blocks.append(tail + bytes(7 - len(tail)) + bytes([len(data) & 255]))
    for block in blocks:
        m = struct.unpack("<Q", block)[0]
        v[3] ^= m
        round(); round()
        v[0] ^= m
    v[2] ^= 255
    for _ in range(4):
        round()
    return v[0] ^ v[1] ^ v[2] ^ v[3]


# --- the chain --------------------------------------------------------------------------------------

OTHER, REPEAT = 255, 976562


class Slot:
    def __init__(self, ident):
        self.ident, self.history, self.count, self.last = ident, [], 0, 0
        self.stored, self.digest = {}, None


class Rule:
    def __init__(self, verdict, made, start):
        self.verdict, self.last_hit, self.start = verdict, made, start


class Chain:
    def __init__(self, plan, slots=None, ways=None, delay=None, everywhere=False):
        self.p = plan
        self.fs = plan["flow_state"]
        self.slots, self.ways = slots or self.fs["slots"], ways or self.fs["ways"]
        self.timeout = self.fs["timeout"]
        self.delay, self.everywhere = delay, everywhere
        self.cls = {c["id"]: c for c in plan["classes"]}
        self.sub = plan["submodels"]
        self.cache, self.keys = {}, {}
        self.collided = self.rule_hits = 0
        self.reset()

    def reset(self):
        n = len(self.p["devices"])
        self.table = [{} for _ in range(n)]
        self.rules = [{} for _ in range(n)]

    def place(self, key):
        if key not in self.keys:
            if self.fs["hash"] == "crc":
                index, ident = crc32c(key), zlib.crc32(key)
            else:
                h = siphash(bytes.fromhex(self.fs["hash_key"]), key)
                index, ident = h & M32, h >> 32
            self.keys[key] = index % self.slots, ident or 1
        return self.keys[key]

    def tree_leaf(self, sm, t, values):
        word = ""
        for f in sm["features"]:
            rows = [r for r in f["rows"] if r["lo"] <= values[f["feature"]] <= r["hi"]]
            assert len(rows) == 1
            word += rows[0]["codes"][t]
        key = (sm["id"], t, word)
        if key not in self.cache:
            hits = [l for l in sm["trees"][t]["leaves"] if all(m in ("*", w) for m, w in zip(l["match"], word))]
            assert len(hits) == 1 and len(hits[0]["match"]) == len(word)
            self.cache[key] = hits[0]
        return self.cache[key]

    def answer(self, sm, values):
        """-> (claim?, class, confidence) or None"""
        leaves = [self.tree_leaf(sm, t, values) for t in range(len(sm["trees"]))]
        if self.p["claim"] == "votes":
            return leaves
        win = most_voted([l["class"] for l in leaves])
        if win != OTHER:
            return True, win, sum(l["confidence"] for l in leaves if l["class"] == win)
        voters = [l for l in leaves if l["class"] == OTHER and l["own"]]
        if not voters:
            return None
        own = most_voted([l["own"] for l in voters])
        return False, own, sum(l["own_confidence"] for l in voters if l["own"] == own)

    def filtered(self, p):
        f, key = self.p["filter"], p["key"]
        n = (len(key) - 5) // 2
        if f["protocols"] and p["ip.proto"] not in f["protocols"]:
            return True
        if f["ports"] and not any(lo <= p[x] <= hi for lo, hi in f["ports"] for x in ("srcport", "dstport")):
            return True
        nets = [ipaddress.ip_network(x) for x in f["prefixes"]]
        ends = [ipaddress.ip_address(key[:n]), ipaddress.ip_address(key[n : 2 * n])]
        return bool(nets) and not any(e.version == net.version and e in net for e in ends for net in nets)

    def find_slot(self, d, key, now):
        index, ident = self.place(key)
        ways = self.table[d].setdefault(index, [None] * self.ways)
        for s in ways:
            if s and s.ident == ident and not is_expired(now, s.last, self.timeout):
                return s
        for w, s in enumerate(ways):
            if s is None or is_expired(now, s.last, self.timeout):
                ways[w] = Slot(ident)
                return ways[w]
        return None

    def find_rule(self, d, key, now):
        alive = [r for r in self.rules[d].get(key, []) if not is_expired(now, r.last_hit, self.timeout)]
        if key in self.rules[d]:
            self.rules[d][key] = alive
        for r in alive:
            if now >= r.start:
                return r
        return None

    def packet(self, data, ns):
        p = parse(data, self.p["parser"], self.p["shim"]["ethertype"])
        if p is None or self.filtered(p):
            return None
        mtu = self.p["shim"]["chain_mtu"]
        if mtu and p["ip.len"] > mtu - 8:
            return None
        p["tick"] = ns // 1024
        v = {"cls": 0, "claim": False, "conf": 0, "sub": 0, "fl": False, "final": False, "settled": True,
             "tentative": False, "collision": False, "device": None, "rule": False}
        ballot = {"n": 0, "fl": 0, "votes": {}, "conf": {}}
        digests = []
        for d, dev in enumerate(self.p["devices"]):
            self.device(d, p, v, ballot, digests)
            action = self.cls.get(v["cls"], {}).get("action", "forward")
            if v["final"] and v["claim"] and v["cls"] and action == "drop" and \
                    (v["settled"] or self.cls[v["cls"]]["action_any"]):
                v["dropped"] = True
                break
        if self.delay is not None:
            for key, verdict, tick in digests:
                for d in range(len(self.p["devices"]) if self.everywhere else 1):
                    self.rules[d].setdefault(key, []).append(Rule(verdict, tick, tick + self.delay))
        self.collided += v["collision"]
        self.rule_hits += v["rule"]
        return v

    def device(self, d, p, v, ballot, digests):
        now, key = p["tick"], p["key"]
        if v["final"] and v["settled"]:
            return
        rule = self.find_rule(d, key, now)
        if rule:
            rule.last_hit = max(rule.last_hit, now)
            v.update(rule.verdict, final=True, settled=True, rule=True, device=d)
            return
        here = [s for s in self.sub if s["device"] == d]
        slot = None
        if any(s["phase"] != "packet" for s in here):
            slot = self.find_slot(d, key, now)
            if slot is None:
                v["collision"] = True
            else:
                slot.count += 1
                if slot.count <= 256:
                    slot.history.append(p)
                slot.last = now if slot.count == 1 else max(slot.last, now)
        was_final = v["final"]
        for s in here:
            self.submodel(d, s, slot, p, v, ballot)
        if v["final"] and not was_final and v["settled"] and slot:
            if slot.digest is None or now - slot.digest >= REPEAT:
                slot.digest = now
                digests.append((key, {k: v[k] for k in ("cls", "tentative", "fl", "sub", "conf", "claim")}, now))

    def submodel(self, d, s, slot, p, v, ballot):
        count, n, phase = slot.count if slot else 0, s["n"], s["phase"]
        kind = "pl"
        if phase != "packet":
            kind = "stored" if count > n else "fl" if count == n else "none" if phase == "flow" else "pl"
        a = None
        if kind == "stored":
            a = slot.stored.get(s["id"])
        elif kind == "fl" or (kind == "pl" and not v["final"]):
            see = slot.history[:count] if slot and (kind == "fl" or phase == "running") else []
            a = self.answer(s, {**p, **flow_features(see)})
            if kind == "fl":
                slot.stored[s["id"]] = a
        if v["final"]:
            return
        if phase == "packet" or slot is None or count < n:
            v["settled"] = False
        if self.p["claim"] == "votes":
            self.vote(s, a, kind, v, ballot)
        elif a and self.p["claim"] == "first":
            if a[0]:
                self.carry(v, s, a, kind)
                self.make_final(d, v)
        elif a:
            claim, cls, conf = a
            rank = (claim, conf, -s["id"])
            if v["cls"] == 0 or rank > (v["claim"], v["conf"], -v["sub"]):
                self.carry(v, s, a, kind)
        if self.p["claim"] == "best" and kind != "none" and v["cls"] and v["claim"]:
            if v["conf"] >= max(self.p["early_exit"], self.cls[v["cls"]]["min_confidence"]):
                self.make_final(d, v)
        if not v["final"] and s is self.sub[-1]:
            if self.p["claim"] == "votes":
                self.count_votes(v, ballot)
            least = self.cls[v["cls"]]["min_confidence"] if v["cls"] else 0
            if v["conf"] < least or (v["cls"] and not v["claim"] and self.p["fallback"] != "best"):
                v.update(cls=0)
            v["tentative"] = bool(v["cls"]) and not v["claim"]
            self.make_final(d, v)

    def vote(self, s, leaves, kind, v, ballot):
        if leaves is None:
            return
        ballot["n"] += 1
        ballot["fl"] += kind in ("fl", "stored")
        v["sub"] = s["id"]
        for l in leaves:
            if l["class"] != OTHER:
                ballot["conf"][l["class"]] = ballot["conf"].get(l["class"], 0) + l["confidence"]

    def count_votes(self, v, ballot):
        votes = ballot["conf"]
        best = max(sorted(votes), key=lambda c: votes[c], default=0)
        v.update(cls=best, conf=min(255, votes.get(best, 0)), claim=bool(best), fl=ballot["n"] and ballot["n"] == ballot["fl"])

    def carry(self, v, s, a, kind):
        v.update(claim=a[0], cls=a[1], conf=a[2], sub=s["id"], fl=kind in ("fl", "stored"))

    def make_final(self, d, v):
        v.update(final=True, device=d)


def l2_len(b):
    at = 12
    while b[at : at + 2] in (b"\x81\x00", b"\x88\xa8"):
        at += 4
    return at + 2


def marked(b, dscp):
    at = l2_len(b)
    if b[at] >> 4 == 6:
        tc = int.from_bytes(b[at : at + 2], "big") >> 4 & 255
        word = int.from_bytes(b[at : at + 4], "big") & ~(255 << 20) | (dscp << 2 | tc & 3) << 20
        return b[:at] + word.to_bytes(4, "big") + b[at + 4 :]
    ip = bytearray(b)
    tos = dscp << 2 | b[at + 1] & 3
    if tos == b[at + 1]:
        return b
    # A wrong checksum stays as wrong as it was.
    ip[at + 1] = tos
    field = ~int.from_bytes(b[at + 10 : at + 12], "big") & 65535
    total = field + (~int.from_bytes(b[at : at + 2], "big") & 65535) + int.from_bytes(ip[at : at + 2], "big")
    while total > 65535:
        total = (total & 65535) + (total >> 16)
    ip[at + 10 : at + 12] = (~total & 65535).to_bytes(2, "big")
    return bytes(ip)


def leaves_as(chain, data, wire, v, keep):
    """-> (bytes, wire length) as the packet leaves the chain, or None when it was dropped"""
    plan = chain.p
    at = l2_len(data) if len(data) >= 14 else 0
    tags = (at - 14) // 4
    forged = at and tags <= plan["parser"]["max_vlan"] and len(data) >= at and data[at - 2 : at] == b"\x88\xb5"
    if v is None and not (forged and keep):
        return data, wire
    if v is None:
        shim = bytes([1 << 5 | 4, 0, 0, 0]) + plan["generation"].to_bytes(2, "big") + data[at - 2 : at]
        return data[: at - 2] + b"\x88\xb5" + shim + data[at:], wire + 8
    if v.get("dropped"):
        return None
    c = chain.cls.get(v["cls"], {"action": "forward"})
    if c["action"] == "mark" and v["claim"] and v["final"]:
        data = marked(data, c["action_arg"])
    if not keep:
        return data, wire
    flags = v["final"] << 4 | v["tentative"] << 3 | v["settled"] << 2 | v["collision"] << 1 | bool(v["fl"])
    shim = bytes([1 << 5 | flags, v["sub"], v["cls"], v["conf"]]) + plan["generation"].to_bytes(2, "big") + data[at - 2 : at]
    return data[: at - 2] + b"\x88\xb5" + shim + data[at:], wire + 8


def most_voted(classes):
    """most votes; on a tie the class of the earliest tree voting for one of them"""
    most = max(classes.count(c) for c in classes)
    return next(c for c in classes if classes.count(c) == most)


def cmd_verdicts(a):
    plan = json.load(open(a.plan))
    chain = Chain(plan, a.slots, a.ways, a.rules, a.rules_everywhere)
    got = csv.DictReader(open(a.csv, newline=""))
    n = bad = settled = 0
    out = iter(read_capture(a.out)) if a.out else None
    for path in a.files:
        for name, packets in pieces(path, a.captures):
            chain.reset()
            for index, ns, data, wire in packets:
                v = chain.packet(data, ns)
                row = next(got)
                if a.out:
                    frame = leaves_as(chain, data, wire, v, a.keep_shim)
                    if frame:
                        want_out = (ns, *frame)
                        got_out = next(out, None)
                        if want_out != got_out:
                            bad += 1
                            print("out", path, index, v, want_out[0] == got_out[0], want_out[2], got_out[2], "\n", want_out[1].hex(), "\n", got_out[1].hex())
                n += 1
                want = {"packet": str(index), "class": "", "final": "0", "tentative": "0", "settled": "0", "phase": "",
                        "device": "", "submodel": "", "confidence": ""}
                if v:
                    settled += v["final"] and v["settled"]
                    want.update({
                        "class": chain.cls[v["cls"]]["name"] if v["final"] and v["cls"] else "",
                        "final": str(int(v["final"])), "tentative": str(int(v["tentative"])),
                        "settled": str(int(v["final"] and v["settled"])), "phase": "FL" if v["fl"] else "PL",
                        "device": "" if v["device"] is None else plan["devices"][v["device"]]["name"],
                        "submodel": str(v["sub"]), "confidence": str(v["conf"])})
                row.pop("capture")
                if row != want:
                    bad += 1
                    if bad <= 5:
                        print(path, name, "packet", index, "\n  want", want, "\n  got ", dict(row))
    if out and next(out, None):
        print("more frames than packets")
        bad += 1
    if next(got, None):
        print("more rows than packets")
        bad += 1
    print(n, "packets,", bad, "differences;", settled, "settled,", chain.collided, "collided,", chain.rule_hits, "rule hits")
    return bad != 0


def main():
    ap = argparse.ArgumentParser()
    sub = ap.add_subparsers(dest="cmd", required=True)
    r = sub.add_parser("rows")
    v = sub.add_parser("verdicts")
    v.add_argument("plan")
    for s in (r, v):
        s.add_argument("csv")
        s.add_argument("--captures")
    r.add_argument("--timeout", default="60")
    r.add_argument("--n", type=int, default=3)
    r.add_argument("--phase", default="running")
    v.add_argument("--rules", type=int)
    v.add_argument("--rules-everywhere", action="store_true")
    v.add_argument("--out")
    v.add_argument("--keep-shim", action="store_true")
    v.add_argument("--slots", type=int)
    v.add_argument("--ways", type=int)
    for s in (r, v):
        s.add_argument("files", nargs="+")
    a = ap.parse_args()
    if a.cmd == "rows":
        a.timeout = None if a.timeout == "none" else int(fractions.Fraction(a.timeout) * 10**9) // 1024
        return cmd_rows(a)
    return cmd_verdicts(a)


if __name__ == "__main__":
    sys.exit(main())
