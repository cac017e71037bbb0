#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""libFuzzer targets for a given CPU time each: fuzz.py BUILD MINUTES [TARGET...]

Prints a row per target: CPU seconds, executions, features seen, inputs kept, what was found. Inputs of a crash are left in BUILD and
belong into tests/fuzz/corpus/TARGET/ once the defect is mended. Exit status 1: something was found.
"""
import glob
import os
import re
import resource
import subprocess
import sys

ROOT = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))


STOPPED = 72  # libFuzzer after SIGINT or SIGTERM: what it did until then counts


def cpu():
    u = resource.getrusage(resource.RUSAGE_CHILDREN)
    return u.ru_utime + u.ru_stime


def fuzz(build, name, seconds):
    program = os.path.join(build, "tests/fuzz/fuzz_" + name)
    corpus, seeds = os.path.join(build, "corpus", name), os.path.join(ROOT, "tests/fuzz/corpus", name)
    os.makedirs(corpus, exist_ok=True)
    used, runs, cover, text = 0.0, 0, 0, ""
    with open(os.path.join(build, name + ".log"), "w") as log:
        while used < seconds:
            before = cpu()
            # time is CPU time here: on a busy machine a slice of wall time gives less, and another slice follows
            p = subprocess.run([program, f"-max_total_time={max(1, int(seconds - used + 0.5))}", "-max_len=65536", "-timeout=60",
                                "-rss_limit_mb=4096", "-print_final_stats=1", f"-artifact_prefix={build}/{name}-", corpus]
                               + ([seeds] if os.path.isdir(seeds) else []), cwd=build, capture_output=True)
            text = p.stderr.decode("utf-8", "replace")
            log.write(text)
            used += cpu() - before
            runs += sum(int(n) for n in re.findall(r"stat::number_of_executed_units: (\d+)", text))
            cover = max([cover] + [int(n) for n in re.findall(r"cov: (\d+)", text)])
            if p.returncode:
                break
    stopped = p.returncode == STOPPED
    bad = p.returncode != 0 and not stopped
    kept = len(os.listdir(corpus))
    print(f"{'FAILED' if bad else 'stopped' if stopped else 'ok':7} {name:16} {used:7.0f} CPU s {runs:12} executions  {cover:6} edges  {kept:6} inputs", flush=True)
    if bad:
        print("\n".join("    | " + line for line in text.splitlines()[-15:]), flush=True)
    return bad, used, runs


def main():
    build, minutes = os.path.abspath(sys.argv[1]), float(sys.argv[2])
    names = sys.argv[3:] or sorted(os.path.basename(f)[5:] for f in glob.glob(os.path.join(build, "tests/fuzz/fuzz_*"))
                                   if os.access(f, os.X_OK) and os.path.isfile(f))
    for name in names:
        if not os.path.isfile(os.path.join(build, "tests/fuzz/fuzz_" + name)):
            sys.exit(f"fuzz: there is no target {name}")
    done = [fuzz(build, name, minutes * 60) for name in names]
    print(f"{len(done)} targets, {sum(d[0] for d in done)} failed, {sum(d[1] for d in done):.0f} CPU s, {sum(d[2] for d in done)} executions")
    sys.exit(any(d[0] for d in done))


main()
