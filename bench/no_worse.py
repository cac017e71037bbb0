#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Is dune ever worse than a baseline on traffic that nobody looked at before? Generated sets, several budgets.

    bench/no_worse.py -o OUT [--sets 3] [--flows 2000] [--budgets tight,tiny,loose] [--devices 3] ...

Every set is new synthetic traffic (`dunectl synth`, a seed and a number of captures of its own) with a test part
larger than the part to learn from, so that what is seen is the plans and not the luck of a small test. On each
set and budget dune may be below a tuned baseline by 1.5 points of macro F1 by flows, or by two standard
errors of the paired difference if these are more. Ends with status 1 if it is below by more anywhere.
Sets and runs that OUT has already are used again.
"""
import argparse
import json
import os
import subprocess
import sys

SHAPES = [(12, 24), (8, 24), (20, 40), (6, 18)]  # captures to learn from and to test on


def make_set(a, number):
    out = os.path.join(a.out, f"set-{number}")
    if not os.path.exists(os.path.join(out, "captures.csv")):
        train, test = SHAPES[(number - 1) % len(SHAPES)]
        flows = a.flows * (train + test) // train  # the parts are in proportion to their captures
        subprocess.run([a.dunectl, "synth", "-o", out, "-n", str(flows), "--train-captures", str(train),
                        "--test-captures", str(test), "--seed", str(1000 + number), "--snap", "96", "-q"], check=True)
    return out


def run(a, data, budget, out):
    command = [a.dunectl, "run", "-o", out, "--train", os.path.join(data, "train"), "--test",
               os.path.join(data, "test"), "--labels", os.path.join(data, "labels.csv"), "--captures",
               os.path.join(data, "captures.csv"), "--solutions", a.solutions, "--budget", budget, "--devices",
               str(a.devices), "--effort", a.effort, "--seed", str(a.seed), "--tuned", "-q"]
    if a.threads:
        command += ["--threads", str(a.threads)]
    subprocess.run(command, check=True, stdout=subprocess.DEVNULL)
    with open(os.path.join(out, "metrics.json"), encoding="utf-8") as f:
        return json.load(f)


def against(metrics, name):
    """dune minus name in points, and its standard error."""
    for d in metrics["differences"]:
        if {d["of"], d["over"]} == {"dune", name}:
            sign = 1 if d["of"] == "dune" else -1
            return sign * 100 * d["macro"], 100 * (d["high"] - d["low"]) / 3.92
    raise KeyError(name)


def check(metrics, what):
    test = {n: 100 * s["flow"]["macro"] for n, s in metrics["solutions"].items()}
    row, worse = [], 0
    for name in test:
        if name == "dune":
            continue
        gain, se = against(metrics, name)
        bad = gain < -max(1.5, 2 * se)
        worse += bad
        row.append(f"{name} {test[name]:.1f} ({gain:+.1f} +- {se:.1f}{' WORSE' if bad else ''})")
    devices = len(metrics["solutions"]["dune"]["devices"])
    print(f"{what:14} dune {test['dune']:.1f} on {devices}; " + ", ".join(row), flush=True)
    return worse


def main():
    p = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    p.add_argument("-o", "--out", required=True)
    p.add_argument("--sets", type=int, default=3)
    p.add_argument("--first-set", type=int, default=1)
    p.add_argument("--flows", type=int, default=2000, help="to learn from")
    p.add_argument("--budgets", default="tight,tiny,loose")
    p.add_argument("--devices", type=int, default=3)
    p.add_argument("--effort", default="quick")
    p.add_argument("--seed", type=int, default=1)
    p.add_argument("--solutions", default="jewel,votes,dune")
    p.add_argument("--threads", type=int)
    p.add_argument("--dunectl", default="build/dunectl")
    a = p.parse_args()
    os.makedirs(a.out, exist_ok=True)
    worse = 0
    for number in range(a.first_set, a.first_set + a.sets):
        data = make_set(a, number)
        for budget in a.budgets.split(","):
            metrics = run(a, data, budget, os.path.join(a.out, f"run-{number}-{budget}-{a.seed}"))
            worse += check(metrics, f"set {number} {budget}")
    print("worse than allowed:", worse)
    sys.exit(1 if worse else 0)


main()
