# SPDX-License-Identifier: Apache-2.0
"""Random hostile captures and random plans, for hostile_captures.py."""
import gzip
import struct
import zlib


def u16(*values):
    return struct.pack(">%dH" % len(values), *values)


# --- flow keys ---------------------------------------------------------------------------------------


def same_crc32(key, rnd, flip):
    """Another key with the same CRC-32, its protocol xored with flip: one more flow in the slot. A CRC is
    linear, so the source address that makes up for a change elsewhere solves 32 equations."""

    def linear(d):
        return zlib.crc32(d) ^ zlib.crc32(bytes(len(d)))

    change = bytearray(len(key))
    change[4 + rnd.randrange(4)] ^= 1 << rnd.randrange(8)
    change[-1] ^= flip
    rows = []
    for bit in range(32):
        one = bytearray(len(key))
        one[bit // 8] |= 1 << bit % 8
        value, bits = linear(bytes(one)), 1 << bit
        for v, b in rows:
            if value ^ v < value:
                value, bits = value ^ v, bits ^ b
        rows = sorted(rows + [(value, bits)], reverse=True)
    left, bits = linear(bytes(change)), 0
    for v, b in rows:
        if left ^ v < left:
            left, bits = left ^ v, bits ^ b
    for bit in range(32):
        change[bit // 8] ^= (bits >> bit & 1) << bit % 8
    out = bytes(a ^ b for a, b in zip(key, change))
    assert zlib.crc32(out) == zlib.crc32(key) and out != key
    return out


def make_keys(rnd):
    keys = []
    for _ in range(rnd.randint(2, 12)):
        n = 16 if rnd.random() < 0.3 else 4
        key = bytes(rnd.choice([10, 1, 255]) for _ in range(n)) + bytes(rnd.choice([10, 2, 192]) for _ in range(n))
        key += u16(rnd.choice([0, 53, 1023, 1024, 65535, rnd.randrange(65536)]))
        key += u16(rnd.choice([0, 53, 80, 1023, 1024, 65535])) + bytes([rnd.choice([6, 17])])
        keys.append(key)
        if rnd.random() < 0.3:
            keys.append(same_crc32(key, rnd, rnd.choice([0, 6 ^ 17])))
    return keys


# --- frames: hostile is the chance of a defect -----------------------------------------------------------


def transport(rnd, key, hostile):
    ports, payload = key[-5:-1], bytes(rnd.choice([0, 0, 4, 40, 200]))
    if key[-1] == 17:
        return ports + u16(rnd.choice([8, 0, 65535, 8 + len(payload)]), 0) + payload
    words = rnd.choice([5, 5, 5, 8, 15]) if rnd.random() >= hostile else rnd.randrange(16)
    flags, window = rnd.randrange(256), rnd.choice([0, 65535, rnd.randrange(65536)])
    return ports + bytes(8) + bytes([words << 4, flags]) + u16(window, 0, 0) + bytes(max(0, words - 5) * 4) + payload


def extensions(rnd, kinds, proto, hostile):
    out = b""
    for kind, following in zip(kinds, kinds[1:] + [proto]):
        if kind == 44:
            offset = 0 if rnd.random() >= hostile else rnd.randrange(65536)
            out += bytes([following, 0]) + u16(offset & 0xFFF8 | rnd.randrange(8)) + bytes(4)
        elif kind == 51:
            size = rnd.choice([12, 16, 24, 64, 68])
            out += bytes([following, size // 4 - 2]) + bytes(size - 2)
        else:
            size = rnd.choice([8, 16, 56, 64, 72])
            out += bytes([following, size // 8 - 1]) + bytes(size - 2)
    return out


def ipv6(rnd, key, body, hostile):
    kinds = [rnd.choice([0, 43, 44, 51, 60]) for _ in range(rnd.choice([0, 0, 0, 1, 2, 3]))]
    ext = extensions(rnd, kinds, key[-1], hostile)
    length = rnd.choice([len(ext) + len(body), len(ext) + len(body), 0, 65535, 65495, 65496])
    version = 6 if rnd.random() >= hostile / 3 else rnd.randrange(16)
    head = struct.pack(">I", version << 28 | rnd.randrange(1 << 28)) + u16(length)
    return head + bytes([(kinds + [key[-1]])[0], rnd.choice([1, 64, 255])]) + key[:32] + ext + body


def ipv4(rnd, key, body, hostile):
    words, version, fragment = rnd.choice([5, 5, 5, 6, 10, 15]), 4, rnd.choice([0, 0x2000, 0x4000])
    if rnd.random() < hostile / 2:
        words, version, fragment = rnd.choice(
            [(rnd.randrange(16), 4, 0), (5, rnd.randrange(16), 0), (5, 4, rnd.randrange(65536))]
        )
    length = rnd.choice([words * 4 + len(body), words * 4 + len(body), 0, 65535])
    head = bytes([version << 4 | words, rnd.randrange(256)]) + u16(length, 0, fragment)
    head += bytes([rnd.choice([1, 64, 255]), key[-1], 0, 0]) + key[:8]
    return head + bytes(max(0, words * 4 - 20)) + body


def frame(rnd, key, hostile):
    """-> captured bytes, length on the wire"""
    six, tags = len(key) == 37, b""
    packet = (ipv6 if six else ipv4)(rnd, key, transport(rnd, key, hostile), hostile)
    kind = 0x86DD if six else 0x0800
    for _ in range(rnd.choice([0, 0, 0, 0, 1, 2]) if rnd.random() >= hostile / 3 else 3):
        tags += u16(rnd.choice([0x8100, 0x88A8]), rnd.randrange(65536))
    if rnd.random() < hostile / 3:
        kind = rnd.choice([0x0806, 0x88B5, 0x86DD, 0x0800, 0x9100])
    f = bytes.fromhex("0200000000010200000000") + bytes([0x10 + key[-4] % 2]) + tags + u16(kind) + packet
    if rnd.random() < 0.1:
        f += bytes(rnd.randrange(40))  # padding
    return f if rnd.random() >= hostile else f[: rnd.randrange(len(f) + 1)], len(f)


def next_time(rnd, t, timeout):
    """Around ticks, time-outs, the width of a gap and the pause between digests; also backwards."""
    kind = rnd.random()
    if kind < 0.6:
        return t + rnd.choice([0, 1, 1023, 1024, 1025, 10**6, 5 * 10**8, 10**9, 976562 * 1024])
    if kind < 0.75:
        return t + timeout + rnd.choice([-1024, -1, 0, 1, 1024])
    if kind < 0.8:
        return t + rnd.choice([2**42, 2**42 + 1024, 2**42 - 1024, 10**12])
    if kind < 0.95:
        return max(0, t - rnd.choice([1, 1024, 10**6, 10**9, timeout]))
    return t


def capture(rnd, n, timeout, hostile):
    """-> [(ns, bytes, wire length)]"""
    keys, out = make_keys(rnd), []
    t = rnd.choice([10**9, rnd.randrange(10**6, 2 * 10**18)])
    for _ in range(n):
        t = next_time(rnd, t, timeout)
        if rnd.random() < 0.02:
            junk = bytes(rnd.randrange(256) for _ in range(rnd.randrange(80)))
            out.append((t, junk, len(junk)))
        else:
            out.append((t, *frame(rnd, rnd.choice(keys), hostile)))
    return out


def write_pcap(path, packets, rnd):
    order = rnd.choice("<>")
    with (gzip.open if path.endswith(".gz") else open)(path, "wb") as f:
        f.write(struct.pack(order + "IHHIIII", 0xA1B23C4D, 2, 4, 0, 0, 262144, 1))
        for t, b, wire in packets:
            f.write(struct.pack(order + "IIII", t // 10**9, t % 10**9, len(b), wire) + b)


def write_pcapng(path, packets, rnd):
    """Several interfaces with time stamps of several units and offsets."""
    order, units = rnd.choice("<>"), []

    def block(kind, body):
        body += bytes(-len(body) % 4)
        size = struct.pack(order + "I", len(body) + 12)
        return struct.pack(order + "I", kind) + size + body + size

    with open(path, "wb") as f:
        f.write(block(0x0A0D0D0A, struct.pack(order + "IHHq", 0x1A2B3C4D, 1, 0, -1)))
        for unit in (None, 9, 6, 0x80 | 20, 3):
            offset = rnd.choice([0, 0, 1000])
            options = b"" if unit is None else struct.pack(order + "HHB3x", 9, 1, unit)
            options += struct.pack(order + "HHq", 14, 8, offset) if offset else b""
            options += struct.pack(order + "HH", 0, 0) if options else b""
            f.write(block(1, struct.pack(order + "HHI", 1, 0, 0) + options))
            per_second = 10**6 if unit is None else 2 ** (unit & 127) if unit & 128 else 10**unit
            units.append((per_second, offset))
        for t, b, wire in packets:
            i = rnd.randrange(len(units))
            raw = max(0, t - units[i][1] * 10**9) * units[i][0] // 10**9
            f.write(block(6, struct.pack(order + "IIIII", i, raw >> 32, raw & 0xFFFFFFFF, len(b), wire) + b))


# --- plans ----------------------------------------------------------------------------------------------

FLAGS = "syn ack psh fin rst urg ece cwr".split()
BITS = {"ip.len": 16, "ip.ttl": 8, "ip.tos": 8, "ip.proto": 8, "ip.hdr_len": 4, "srcport": 16, "dstport": 16}
BITS |= {"dstport.low": 16, **{"tcp.flags." + f: 1 for f in FLAGS}, "tcp.window": 16, "tcp.hdr_len": 4}
BITS |= {"udp.length": 16, "len.min": 16, "len.max": 16, "len.total": 32, "udp.len.min": 16, "udp.len.max": 16}
BITS |= {**{"count." + f: 8 for f in FLAGS}, "gap.min": 32, "gap.max": 32, "duration": 32, "pkt.count": 16}
BITS |= {**{f"len.{k}": 16 for k in range(1, 9)}, **{f"gap.{k}": 32 for k in range(2, 9)}}
CUTS = {1: [0], 4: [4, 5, 6, 9, 14], 8: [0, 1, 2, 3, 63, 64, 254]}
CUTS[16] = [0, 1, 2, 3, 39, 40, 41, 59, 60, 100, 240, 1023, 1024, 65534]
CUTS[32] = [0, 1, 2, 100, 976, 977, 1000, 488281, 976561, 976562, 58593749, 58593750, 2**32 - 2]


def random_tree(rnd, features, depth):
    """(feature, threshold, left, right), or None for a leaf"""
    if depth == 0 or rnd.random() < 0.2:
        return None
    f = rnd.choice(features)
    v = rnd.choice(CUTS[BITS[f]]) if rnd.random() < 0.8 else rnd.randrange(2 ** BITS[f] - 1)
    return f, v, random_tree(rnd, features, depth - 1), random_tree(rnd, features, depth - 1)


def walk(tree, box, cuts, leaves):
    """Fills cuts, feature -> thresholds, and leaves, the boxes of values that reach them."""
    if tree is None:
        leaves.append(box)
        return
    f, v, left, right = tree
    lo, hi = box.get(f, (0, 2 ** BITS[f] - 1))
    if lo <= v < hi:
        cuts.setdefault(f, set()).add(v)
    if lo <= v:
        walk(left, {**box, f: (lo, min(hi, v))}, cuts, leaves)
    if hi > v:
        walk(right, {**box, f: (max(lo, v + 1), hi)}, cuts, leaves)


def range_rows(feature, trees):
    rows, lo = [], 0
    for hi in sorted(set().union(*(cuts.get(feature, ()) for cuts, _ in trees))) + [2 ** BITS[feature] - 1]:
        codes = ["".join("1" if lo > v else "0" for v in sorted(cuts.get(feature, ()))) for cuts, _ in trees]
        rows.append({"lo": lo, "hi": hi, "codes": codes})
        lo = hi + 1
    return {"feature": feature, "rows": rows}


def leaf_row(rnd, box, cuts, used, own, n_trees):
    match, most, cls = "", 255 // n_trees, rnd.choice(own + [255])
    for f in used:
        lo, hi = box.get(f, (0, 2 ** BITS[f] - 1))
        match += "".join("1" if lo > v else "0" if hi <= v else "*" for v in sorted(cuts.get(f, ())))
    conf = rnd.choice([0, most, most // 2, rnd.randint(0, most)])
    row = {"match": match, "class": cls, "confidence": conf, "own": cls, "own_confidence": conf}
    if cls == 255:
        row["own"] = rnd.choice(own + [0])
        row["own_confidence"] = rnd.choice([most, rnd.randint(0, most)]) if row["own"] else 0
    return row


def random_submodel(rnd, ident, device, n_classes):
    n, own = rnd.choice([1, 2, 2, 3, 3, 4, 9]), sorted(rnd.sample(range(1, n_classes + 1), rnd.randint(1, n_classes)))
    kth = [f for f in BITS if f[:4] in ("len.", "gap.") and f[4:].isdigit() and int(f[4:]) > n]
    features = rnd.sample([f for f in BITS if f not in kth], rnd.randint(1, 6))
    trees = []
    for _ in range(rnd.choice([1, 1, 2, 3, 5])):
        cuts, leaves = {}, []
        walk(random_tree(rnd, features, 4), {}, cuts, leaves)
        trees.append((cuts, leaves))
    used = [f for f in BITS if any(f in cuts for cuts, _ in trees)]
    phase = rnd.choice(["running", "running", "running", "published", "packet", "flow"])
    return used and {
        "id": ident, "n": n, "phase": phase, "device": device, "classes": own,
        "features": [range_rows(f, trees) for f in used],
        "trees": [{"leaves": [leaf_row(rnd, b, cuts, used, own, len(trees)) for b in leaves]} for cuts, leaves in trees],
    }


def random_class(rnd, i):
    action = rnd.choice(["forward", "forward", "mark", "steer", "drop", "mirror"])
    arg = rnd.randrange(64) if action in ("mark", "steer", "mirror") else 0
    return {"id": i + 1, "name": f"c{i}", "min_confidence": rnd.choice([0, 0, 0, 50, 120]), "action": action,
            "action_arg": arg, "action_any": action in ("drop", "mirror") and rnd.random() < 0.5}


def random_parser(rnd):
    if rnd.random() < 0.5:
        return {"max_vlan": 2, "max_ipv4_options": 40, "max_ipv6_ext": 2, "max_ipv6_ext_len": 64, "ipv6": True}
    return {"max_vlan": rnd.randint(0, 2), "max_ipv4_options": rnd.choice([0, 4, 20, 40]),
            "max_ipv6_ext": rnd.randint(0, 2), "max_ipv6_ext_len": rnd.choice([0, 8, 16, 64]), "ipv6": rnd.random() < 0.8}


def random_plan(rnd, timeout):
    n_classes, n_devices, device, subs = rnd.randint(2, 5), rnd.randint(1, 4), 0, []
    while not subs:
        for ident in rnd.sample(range(20), rnd.randint(1, 5)):
            device = min(n_devices - 1, device + rnd.choice([0, 0, 0, 1, 1, 2]))
            subs.append(random_submodel(rnd, ident, device, n_classes))
        subs = [s for s in subs if s]
    claim, hashed = rnd.choice(["first", "best", "best", "best", "votes"]), rnd.choice(["crc", "crc", "siphash"])
    return {
        "format": "dune-plan", "version": 1, "name": "random", "generation": rnd.randrange(65536), "claim": claim,
        "early_exit": rnd.choice([256, 256, 0, 100, 200]),
        "fallback": rnd.choice(["none", "best"]) if claim == "best" else "none",
        "parser": random_parser(rnd),
        "flow_state": {"slots": rnd.choice([1, 2, 4, 8, 64]), "ways": rnd.choice([1, 1, 2, 3]), "timeout": timeout,
                       "hash": hashed, "hash_key": None if hashed == "crc" else "%032x" % rnd.getrandbits(128)},
        "shim": {"ethertype": 0x88B5, "chain_mtu": rnd.choice([0, 0, 0, 300])},
        "filter": {"prefixes": rnd.choice([[], [], ["10.0.0.0/8"], ["a00::/8", "0.0.0.0/0"]]),
                   "ports": rnd.choice([[], [], [[0, 1023]], [[53, 53], [60000, 65535]]]),
                   "protocols": rnd.choice([[], [], [6], [17, 6]])},
        "classes": [random_class(rnd, i) for i in range(n_classes)],
        "devices": [{"name": f"d{i}", "profile": "engine", "leaves_sum": 0, "features_distinct": 0} for i in range(n_devices)],
        "submodels": subs,
        "provenance": {"data_hash": "0" * 32, "solution": None, "seed": 1, "options": None, "scores": None},
    }
