#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""What tests ran of src/: coverage.py BUILD [--files N]

Asks gcovr about a directory that was built with coverage and in which tests ran. Prints lines and branches per stage, then the N files (20)
with the most branches that were never taken. The whole list, by file, is BUILD/coverage.csv.
"""
import csv
import os
import subprocess
import sys

ROOT = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))


def ask(build):
    """Rows of gcovr: filename, line_total, line_covered, branch_total, branch_covered."""
    out = os.path.join(build, "coverage.csv")
    try:
        r = subprocess.run(["gcovr", "--root", ROOT, "--object-directory", build, "--filter", os.path.join(ROOT, "src") + "/",
                            "--gcov-ignore-parse-errors", "--csv", "--output", out, build],
                           capture_output=True, text=True)
    except FileNotFoundError:
        sys.exit("coverage: gcovr is not installed")
    if r.returncode:
        sys.exit("coverage: gcovr failed: " + (r.stderr.strip().splitlines() or ["?"])[-1])
    return [{k: v if k == "filename" else int(float(v)) for k, v in row.items() if k == "filename" or not k.endswith("percent")}
            for row in csv.DictReader(open(out))]


def share(covered, total):
    return f"{100 * covered / total:5.1f}" if total else "    -"


def line_of(name, n_files, rows):
    s = {k: sum(r[k] for r in rows) for k in ("line_total", "line_covered", "branch_total", "branch_covered")}
    return (f"{name:<14} {n_files:>5} {s['line_total']:>7} {share(s['line_covered'], s['line_total'])} "
            f"{s['branch_total']:>9} {share(s['branch_covered'], s['branch_total'])}")


def stage_of(name):
    return name.split("/")[1]


def main():
    build = os.path.abspath(sys.argv[1])
    n_files = int(sys.argv[sys.argv.index("--files") + 1]) if "--files" in sys.argv else 20
    rows = [r for r in ask(build) if r["filename"].startswith("src/") and r["filename"].endswith(".c")]
    if not rows:
        sys.exit("coverage: no source of src/ was built with coverage there")
    print("stage          files   lines   run  branches taken")
    for stage in sorted({stage_of(r["filename"]) for r in rows}):
        mine = [r for r in rows if stage_of(r["filename"]) == stage]
        print(line_of(stage, len(mine), mine))
    print(line_of("all", len(rows), rows))
    rows.sort(key=lambda r: (r["branch_covered"] - r["branch_total"], r["filename"]))
    print("\nfiles with the most branches never taken    lines   run  branches taken")
    for r in rows[:n_files]:
        print(f"{r['filename']:<42} {r['line_total']:>6} {share(r['line_covered'], r['line_total'])} "
              f"{r['branch_total']:>9} {share(r['branch_covered'], r['branch_total'])}")


main()
