# SPDX-License-Identifier: Apache-2.0
"""Looks at what dunectl report wrote, and makes run directories that are hard to report.

    report_check.py safe FILE...                 well-formed, no scripts, styles, handlers or requests
    report_check.py numbers PAGE METRICS         tables say what metrics.json says
    report_check.py figures PAGE DIR             every inline picture is a file, and the other way round
    report_check.py structure PAGE PAGE          the same sections, tables and heads
    report_check.py evil RUN DIR                 RUN with hostile names of classes and devices
    report_check.py many N METRICS               a metrics.json with N classes
"""
import json
import os
import re
import sys
import xml.etree.ElementTree as ET

SVG = "{http://www.w3.org/2000/svg}"
FORBIDDEN = {"script", "iframe", "object", "embed", "link", "img", "image", "use", "foreignObject", "form"}


def fail(text):
    print(text)
    sys.exit(1)


def name_of(e):
    return e.tag.replace(SVG, "")


def parse(path):
    text = open(path, encoding="utf-8").read()
    return ET.fromstring(re.sub(r"<!DOCTYPE[^>]*>", "", text)), text


def safe(paths):
    for path in paths:
        root, text = parse(path)
        ids = set()
        for e in root.iter():
            if name_of(e) in FORBIDDEN:
                fail(f"{path}: <{name_of(e)}>")
            for key, value in e.attrib.items():
                if key == "style" or key.startswith("on") or "javascript:" in value:
                    fail(f"{path}: {name_of(e)} {key}={value}")
                if key in ("href", "src") and not value.startswith("#"):
                    fail(f"{path}: request of {value}")
                if key == "id" and value in ids:
                    fail(f"{path}: id {value} twice")
                if key == "id":
                    ids.add(value)
            if e.text and re.search(r"(^|[^a-zA-Z])(nan|inf)([^a-zA-Z]|$)", e.text) and name_of(e) != "style":
                fail(f"{path}: {e.text}")
        if "url(" in text or "@import" in text:
            fail(f"{path}: the style sheet asks for something")
        for svg in root.iter(SVG + "svg"):
            if not (svg.find(SVG + "title").text or "").strip() or svg.find(SVG + "desc") is None:
                fail(f"{path}: a picture without title or description")


def tables(path):
    root, _ = parse(path)
    out = {}
    for t in root.iter("table"):
        head = [th.text or "" for th in t.find("thead").iter("th")]
        rows = [[c.text or "" for c in tr] for tr in t.find("tbody")]
        out["".join(t.find("caption").itertext())] = (head, rows)
    return out


def table(all_tables, begin):
    found = [t for c, t in all_tables.items() if c.startswith(begin)]
    if len(found) != 1:
        fail(f"{len(found)} tables begin with {begin!r}")
    head, rows = found[0]
    return [dict(zip(head, r)) for r in rows]


def same(what, shown, value, decimals=3, scale=1.0):
    if shown != f"{value * scale:.{decimals}f}" and shown != f"{value * scale:+.{decimals}f}":
        # points below 0.05 are written as +0.0
        if not (decimals == 1 and abs(value * scale) < 0.05 and shown == "+0.0"):
            fail(f"{what}: {shown} is not {value}")


def numbers(page, metrics):
    m = json.load(open(metrics))
    t = tables(page)
    checked = 0
    for row in table(t, "Scores of the test captures"):
        s = m["solutions"][row["solution"]]
        same("macro", row["macro F1"], s["flow"]["macro"])
        same("weighted", row["weighted"], s["flow"]["weighted"])
        same("micro", row["micro"], s["flow"]["micro"])
        same("packet", row["packet macro"], s["packet"]["macro"])
        same("coverage", row["claimed %"], s["flow"]["coverage"], 1, 100)
        same("PL", row["PL %"], s["flow"]["pl_share"], 1, 100)
        low, high = row["95 %"].split("\u2013")
        same("low", low, s["flow"]["macro_interval"]["lo"])
        same("high", high, s["flow"]["macro_interval"]["hi"])
        checked += 1
    if checked != len(m["solutions"]):
        fail("solutions are missing")
    diff = {(d["of"], d["over"]): d for d in m["differences"]}
    for row in table(t, "Paired differences") if diff else []:
        same("difference", row["points"], diff[row["solution"], row["over"]]["macro"], 1, 100)
    chain = "dune" if "dune" in m["solutions"] else list(m["solutions"])[-1]
    per_class = m["solutions"][chain]["per_class"]
    for row in table(t, "Classes of the chain"):
        c = per_class[row["class"]]
        same("precision", row["precision"], c["precision"])
        same("recall", row["recall"], c["recall"])
        same("f1", row["F1"], c["f1"])
        same("packets", row["F1 by packets"], c["packet_f1"])
    names = m["solutions"][chain]["classes"]
    for row in table(t, "The largest mistakes"):
        i, j = names.index(row["true class"]), names.index(row["taken for"])
        same("flows", row["flows"], m["solutions"][chain]["confusion"][i][j], 1)
    for row in table(t, "Time per packet in the replay"):
        ns = m["solutions"][row["solution"]]["ns_per_packet"]
        same("ns", row["median ns"].replace(",", ""), ns["p50"], 0)
    # The dots of the first picture lie where the scores say: left to right in the order of the scores.
    root, _ = parse(page)
    svg = [s for s in root.iter(SVG + "svg") if s.find(SVG + "title").text == "Macro F1 on the test flows"][0]
    dots = {}
    for g in svg.iter(SVG + "g"):
        who = g.find(SVG + "title").text.rsplit(":", 1)[0]
        dots[who] = float(g.find(SVG + "circle").get("cx"))
    by_dot = sorted(dots, key=dots.get)
    scores = [m["solutions"][w]["flow"]["macro"] for w in by_dot]
    if scores != sorted(scores):
        fail(f"the dots stand in the order {by_dot}")


def figures(page, directory):
    root, _ = parse(page)
    inline = [s.find(SVG + "title").text for s in root.iter(SVG + "svg")]
    files = sorted(os.listdir(directory))
    titles = [parse(os.path.join(directory, f))[0].find(SVG + "title").text for f in files]
    if sorted(inline) != sorted(titles):
        fail(f"{len(inline)} pictures, {len(titles)} files")


def structure(a, b):
    def shape(path):
        root, _ = parse(path)
        return ([s.get("id") for s in root.iter("section")], ["".join(h.itertext()) for h in root.iter("h2")],
                {c: h for c, (h, _) in tables(path).items()})

    first, second = shape(a), shape(b)
    if first[:2] != second[:2]:
        fail(f"sections differ: {first[0]} and {second[0]}")
    only = sorted(set(first[2]) ^ set(second[2]))
    for caption in set(first[2]) & set(second[2]):
        if first[2][caption] != second[2][caption]:
            fail(f"table {caption!r}: {first[2][caption]} and {second[2][caption]}")
    if len(only) > 6:
        fail(f"tables in one only: {only}")


def evil(run, out):
    hostile = ["<script>alert(1)</script>", "\"onload=x ' & <b>", "a\u202eb\u0007c", "]]>--><!--", "\U0001f600" * 40,
               "x" * 2000, "</svg></section><style>*{}", "{{7*7}}"]
    m = json.load(open(f"{run}/metrics.json"))
    names = m["solutions"]["dune"]["classes"]
    swap = dict(zip(names, hostile))
    text = open(f"{run}/metrics.json").read()
    for name, bad in swap.items():
        text = text.replace(json.dumps(name), json.dumps(bad))
    text = text.replace('"s1"', json.dumps("<img src=x onerror=alert(1)>"))
    open(f"{out}/metrics.json", "w").write(text)
    for f in os.listdir(f"{run}/choice"):
        text = open(f"{run}/choice/{f}").read()
        for name, bad in swap.items():
            text = text.replace(json.dumps(name), json.dumps(bad))
        open(f"{out}/choice/{f}", "w").write(text)


def many(n, path):
    n = int(n)
    names = [f"class-{i:05}" for i in range(n)]
    cells = []
    for i in range(n):
        cells.append([i, i, 10 + i % 7])
        cells.append([i, (i * 7 + 1) % n, 1 + i % 3])
        cells.append([i, n, 0.5])
    level = {"macro": 0.8, "weighted": 0.8, "micro": 0.8, "coverage": 0.9,
             "macro_interval": {"lo": 0.7, "hi": 0.9, "se": 0.05, "over": "captures", "groups": 9}}
    per = {c: {"precision": 0.8, "recall": 0.8, "f1": 0.8, "support": 12, "packet_f1": 0.7, "packets": 50} for c in names}
    json.dump({"format": "dune-metrics", "version": 1, "name": "many", "data": {"classes": n}, "test_was_read": True,
               "choices": {"dune": {"train_macro": 0.8, "judged_by": "folds", "evaluations": 1}},
               "solutions": {"dune": {"flow": level, "packet": level, "per_class": per, "classes": names,
                                      "confusion_cells": cells, "flows": 100}}}, open(path, "w"))


if __name__ == "__main__":
    call = {"safe": lambda a: safe(a), "numbers": lambda a: numbers(*a), "figures": lambda a: figures(*a),
            "structure": lambda a: structure(*a), "evil": lambda a: evil(*a), "many": lambda a: many(*a)}
    call[sys.argv[1]](sys.argv[2:])
