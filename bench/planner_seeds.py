#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""The planner against single devices over several seeds: means, paired intervals, the no-worse rule.

    bench/planner_seeds.py DATA -o OUT [--labels L.csv] [--seeds 5] [--budget tight] [--devices 5] ...

DATA has train/, test/, labels.csv and, if captures lie one after the other in a file, captures.csv. Every
seed draws its own folds and searches. Each is one `dunectl run` in OUT/seed-N, so what is there already is
used again; test is read once per seed and solution, after all choices of that seed.
"""
import argparse
import json
import os
import subprocess
import sys


def run_seed(a, seed, out):
    command = [a.dunectl, "run", "-o", out, "--train", os.path.join(a.data, "train"), "--test",
               os.path.join(a.data, "test"), "--labels", a.labels or os.path.join(a.data, "labels.csv"),
               "--solutions", a.solutions, "--budget", a.budget, "--devices", str(a.devices), "--timeout",
               a.timeout, "--effort", a.effort, "--engine", a.engine, "--seed", str(seed), "-q"]
    captures = os.path.join(a.data, "captures.csv")
    if os.path.exists(captures):
        command += ["--captures", captures]
    if a.max_n:
        command += ["--max-n", str(a.max_n)]
    if not a.paper:
        command.append("--tuned")
    if a.threads:
        command += ["--threads", str(a.threads)]
    subprocess.run(command, check=True, stdout=subprocess.DEVNULL)
    with open(os.path.join(out, "metrics.json"), encoding="utf-8") as f:
        return json.load(f)


def mean(values):
    return sum(values) / len(values)


def spread(values):
    m = mean(values)
    return (sum((v - m) ** 2 for v in values) / max(len(values) - 1, 1)) ** 0.5


def difference(run, of, over):
    """Test macro F1 of one solution minus another's, with its interval; points."""
    for d in run["differences"]:
        if (d["of"], d["over"]) == (of, over):
            return 100 * d["macro"], 100 * d["low"], 100 * d["high"]
        if (d["of"], d["over"]) == (over, of):
            return -100 * d["macro"], -100 * d["high"], -100 * d["low"]
    raise KeyError((of, over))


def print_table(runs):
    names = list(runs[0]["solutions"])
    print(f"{'solution':12} {'out of fold':>11} {'test':>7} {'sd':>5}   test of each seed")
    for n in names:
        test = [100 * r["solutions"][n]["flow"]["macro"] for r in runs]
        fold = [100 * r["choices"][n]["train_macro"] for r in runs]
        print(f"{n:12} {mean(fold):11.2f} {mean(test):7.2f} {spread(test):5.2f}   "
              + " ".join(f"{t:.2f}" for t in test))
    if "dune" in names:
        print("devices of dune:", " ".join(str(len(r["solutions"]["dune"]["devices"])) for r in runs))
    worse = 0
    for n in names:
        if n == "dune" or "dune" not in names:
            continue
        d = [difference(r, "dune", n) for r in runs]
        gain, low, high = (mean([x[i] for x in d]) for i in range(3))
        allowed = max(1.5, 2 * (high - low) / 3.92)
        bad = gain < -allowed
        worse += bad
        print(f"dune - {n:12} {gain:+6.2f} points, 95 % interval {low:+.2f} to {high:+.2f} "
              f"(paired over {runs[0]['intervals_over']}){'  WORSE than allowed' if bad else ''}")
    return worse


def main():
    p = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    p.add_argument("data")
    p.add_argument("-o", "--out", required=True)
    p.add_argument("--labels")
    p.add_argument("--seeds", type=int, default=5)
    p.add_argument("--first-seed", type=int, default=1)
    p.add_argument("--solutions", default="jewel,votes,dune")
    p.add_argument("--budget", default="tight")
    p.add_argument("--devices", type=int, default=5)
    p.add_argument("--timeout", default="60", help="seconds or none")
    p.add_argument("--effort", default="default")
    p.add_argument("--engine", default="reference")
    p.add_argument("--max-n", type=int)
    p.add_argument("--threads", type=int)
    p.add_argument("--paper", action="store_true", help="monoliths in paper form instead of tuned")
    p.add_argument("--dunectl", default="build/dunectl")
    a = p.parse_args()
    runs = []
    for seed in range(a.first_seed, a.first_seed + a.seeds):
        runs.append(run_seed(a, seed, os.path.join(a.out, f"seed-{seed}")))
        print(f"seed {seed} is done", file=sys.stderr, flush=True)
    print(f"{a.data}, budget {a.budget}, {a.devices} devices, effort {a.effort}, "
          f"{'paper' if a.paper else 'tuned'} baselines, {len(runs)} seeds; macro F1 by flows, percent")
    sys.exit(1 if print_table(runs) else 0)


main()
