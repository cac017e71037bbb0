# SPDX-License-Identifier: Apache-2.0
"""Forest training beside its peers: interleaved runs of one process each, medians and ratios.

    forest.py BENCH_FOREST [--rows ROWS.dset] [--synthetic ROWS] [--repeat 3] [--threads 2]
              [--python /usr/bin/python3] [--only TEXT] [--json OUT]

BENCH_FOREST is the program bench_forest of the build. Rows: a data set of dunectl extract (all features,
n = 3), and synthetic rows with 23 columns and 10 classes. A peer that is not installed is reported as
skipped. Every fit is a process of its own, so that its peak memory is that of the fit and its input.
"""
import argparse
import json
import os
import shutil
import statistics
import subprocess
import sys
import tempfile

HERE = os.path.dirname(os.path.abspath(__file__))
CASES = [  # name, trees, leaves, depth, sqrt, bootstrap
    ("5 trees of 500 leaves, sqrt, bootstrap", 5, 500, 0, 1, 1),
    ("5 trees of 500 leaves, all features, bootstrap", 5, 500, 0, 0, 1),
    ("17 trees of depth 24, sqrt, bootstrap", 17, 0, 24, 1, 1),
    ("17 trees of depth 24, all features, bootstrap", 17, 0, 24, 0, 1),
    ("1 tree of 129 leaves, all features", 1, 129, 0, 0, 0),
]


def peers(opt):
    found = [("dune", [opt.bench, "fit"]),
             ("scikit-learn", [opt.python, os.path.join(HERE, "sklearn_forest.py")]),
             ("xgboost", [opt.python, os.path.join(HERE, "xgboost_forest.py")])]
    if shutil.which("Rscript"):
        found.append(("ranger", ["Rscript", os.path.join(HERE, "ranger_forest.R")]))
    else:
        print("ranger: skipped, there is no Rscript")
    return found


def run(command):
    try:
        out = subprocess.run(command, capture_output=True, text=True, check=True).stdout
        return json.loads(out.strip().splitlines()[-1])
    except (OSError, subprocess.CalledProcessError, ValueError, IndexError) as e:
        return {"skip": f"it failed: {e}"}


def measure(opt, path, case):
    results, skipped = {}, set()
    for _ in range(opt.repeat):
        for who, command in peers.list:
            if who in skipped:
                continue
            r = run(command + [path] + [str(v) for v in case[1:]] + [str(opt.threads)])
            if "skip" in r:
                print(f"  {who}: skipped, {r['skip']}")
                skipped.add(who)
            else:
                results.setdefault(who, []).append(r)
    return results


def report(name, case, results):
    rows = []
    ours = {k: statistics.median(r[k] for r in results["dune"]) for k in ("wall", "cpu", "rss_mb", "f1")}
    print(f"{name}: {case[0]}")
    print(f"  {'':14}{'wall s':>9}{'min':>9}{'max':>9}{'CPU s':>9}{'MiB':>8}{'F1':>8}{'x wall':>8}{'x CPU':>8}{'x MiB':>8}")
    for who, runs in results.items():
        m = {k: statistics.median(r[k] for r in runs) for k in ("wall", "cpu", "rss_mb", "f1")}
        walls = [r["wall"] for r in runs]
        print(f"  {who:14}{m['wall']:9.3f}{min(walls):9.3f}{max(walls):9.3f}{m['cpu']:9.3f}{m['rss_mb']:8.0f}"
              f"{100 * m['f1']:8.2f}{m['wall'] / ours['wall']:8.1f}{m['cpu'] / ours['cpu']:8.1f}"
              f"{m['rss_mb'] / ours['rss_mb']:8.1f}")
        rows.append({"rows": name, "case": case[0], "who": who, "runs": runs})
    return rows


def main():
    p = argparse.ArgumentParser()
    p.add_argument("bench")
    p.add_argument("--rows")
    p.add_argument("--synthetic", type=int, default=1000000)
    p.add_argument("--repeat", type=int, default=3)
    p.add_argument("--threads", type=int, default=2)
    p.add_argument("--python", default="/usr/bin/python3")
    p.add_argument("--only", default="")
    p.add_argument("--json")
    opt = p.parse_args()
    peers.list = peers(opt)
    out = []
    with tempfile.TemporaryDirectory() as tmp:
        inputs = []
        if opt.rows:
            inputs.append(("real rows", os.path.join(tmp, "real.bin"), ["export", opt.rows], ["3"]))
        if opt.synthetic:
            inputs.append(("synthetic rows", os.path.join(tmp, "synthetic.bin"), ["gen"],
                           [str(opt.synthetic), "23", "10"]))
        for name, path, before, after in inputs:
            subprocess.run([opt.bench] + before + [path] + after, check=True)
            for case in CASES:
                if opt.only in f"{name}: {case[0]}":
                    out += report(name, case, measure(opt, path, case))
                    sys.stdout.flush()
    if opt.json:
        with open(opt.json, "w", encoding="utf-8") as f:
            json.dump(out, f, indent=1)


main()
