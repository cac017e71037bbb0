# SPDX-License-Identifier: Apache-2.0
"""Rows, verdicts and frames of dunectl on hostile captures and random plans, against the second opinion.

  hostile_captures.py [FIRST_SEED N]      DUNECTL names the program
"""
import contextlib
import io
import json
import os
import random
import subprocess
import sys
import tempfile

import hostile
import second_opinion

DUNECTL = os.environ["DUNECTL"]


class Tap:
    n = bad = 0

    def ok(self, good, name, text=""):
        self.n += 1
        self.bad += not good
        for line in text.splitlines()[:12] if not good else []:
            print("#", line)
        print("ok" if good else "not ok", self.n, "-", name, flush=True)


def dunectl(*args):
    r = subprocess.run([DUNECTL, *args, "--quiet"], capture_output=True, text=True)
    return r.returncode, r.stderr


def opinion(*args):
    """-> does it agree?, what it says"""
    text = io.StringIO()
    sys.argv = ["second_opinion.py", *map(str, args)]
    with contextlib.redirect_stdout(text):
        different = second_opinion.main()
    return not different, text.getvalue()


def write_inputs(rnd, seed):
    """-> capture, options for its boundaries, timeout as text, timeout in ticks"""
    seconds = rnd.choice(["0.5", "1", "60", "none"])
    ns = 10**9 if seconds == "none" else int(float(seconds) * 10**9)
    packets = hostile.capture(rnd, rnd.choice([200, 600]), ns, rnd.choice([0, 0.05, 0.3]))
    path = rnd.choice([f"c{seed}.pcap", f"c{seed}.pcapng", f"c{seed}.pcap.gz"])
    write = hostile.write_pcapng if path.endswith("ng") else hostile.write_pcap
    write(path, packets, rnd)
    options = []
    if rnd.random() < 0.3:
        k = rnd.randrange(len(packets))
        with open("captures.csv", "w") as f:
            f.write(f"file,source_capture,packets\n{path},a,{k}\n{path},b,{len(packets) - k}\n")
        options = ["--captures", "captures.csv"]
    with open("labels.csv", "w") as f:
        f.write("mac,label\n02:00:00:00:00:10,x\n02:00:00:00:00:11,y\n")
    return path, options, seconds, None if seconds == "none" else ns // 1024


def check_rows(tap, rnd, path, options, seconds, name):
    n, phase = rnd.choice([1, 2, 3, 4, 9]), rnd.choice(["running", "published", "flow"])
    view = ["--timeout", seconds, "--n", str(n), "--phase", phase, *options]
    rc, err = dunectl("extract", path, "--labels", "labels.csv", "--unlabelled", "z", "--max-n",
                      rnd.choice(["9", "all"]), "--csv", "rows.csv", *view)
    if rc == 3 and "2 classes" in err:
        return
    good, text = opinion("rows", "rows.csv", *view, path) if rc == 0 else (False, err)
    tap.ok(good, f"{name}: rows for n = {n}, {phase}", text)


def check_verdicts(tap, rnd, path, options, ticks, name):
    plan = hostile.random_plan(rnd, ticks)
    with open("plan.json", "w") as f:
        json.dump(plan, f)
    rules, delay, engine = [], [], "reference"
    if rnd.random() < 0.5:
        t = rnd.choice([0, 1, 1000, 976562, 10**9])
        everywhere = ["--rules-everywhere"] if rnd.random() < 0.5 else []
        rules, delay = ["--rules", f"delay:{t}", *everywhere], ["--rules", t, *everywhere]
    elif plan["claim"] != "votes":
        engine = rnd.choice(["reference", "fast"])
    keep = ["--keep-shim"] if rnd.random() < 0.5 else []
    rc, err = dunectl("replay", "plan.json", path, "--engine", engine, "--verdicts", "verdicts.csv",
                      "--pcap-out", "out.pcap", *keep, *rules, *options)
    good, text = False, err
    if rc == 0:
        good, text = opinion("verdicts", "plan.json", "verdicts.csv", "--out", "out.pcap", *keep, *delay, *options, path)
    tap.ok(good, f"{name}: verdicts and frames, {engine}, claim {plan['claim']}", text)
    return [int(w) for w in text.split() if w.isdigit()] if good else []


def main():
    first, n = map(int, sys.argv[1:3]) if len(sys.argv) > 2 else (1, 10)
    tap, sums = Tap(), [0] * 5
    with tempfile.TemporaryDirectory() as work:
        os.chdir(work)
        for seed in range(first, first + n):
            rnd = random.Random(seed)
            path, options, seconds, ticks = write_inputs(rnd, seed)
            check_rows(tap, rnd, path, options, seconds, f"seed {seed}")
            counts = check_verdicts(tap, rnd, path, options, ticks, f"seed {seed}")
            sums = [a + b for a, b in zip(sums, counts)] if counts else sums
        os.chdir("/")
    for what, count in zip(("packets", "settled verdicts", "collisions", "rule hits"), (sums[0], *sums[2:])):
        tap.ok(count > 0, f"there were {what}")
    print(f"1..{tap.n}")
    return tap.bad != 0


if __name__ == "__main__":
    sys.exit(main())
