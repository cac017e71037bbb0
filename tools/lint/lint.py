#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Static analysis of src/: lint.py BUILD [TOOL...] [FILE...]

Tools: cppcheck, gcc (-fanalyzer), tidy (clang-tidy, checks in .clang-tidy); all of them unless some are named. Files: those whose path
contains one of the words. What is not to be mended stands, with a reason, in suppress.txt beside this file. A file that was clean is
not looked at again until it, what it includes, or a setting changes (BUILD/lint/). Exit status 1: something is left to mend.
"""
import concurrent.futures
import hashlib
import json
import os
import re
import shlex
import subprocess
import sys

HERE = os.path.dirname(os.path.abspath(__file__))
ROOT = os.path.dirname(os.path.dirname(HERE))
TOOLS = {"cppcheck": "cppcheck", "gcc": "gcc", "tidy": "clang-tidy"}
REMARK = re.compile(r"^(?P<file>[^:\s]+):(?P<line>\d+):(?:\d+:)? (?P<kind>warning|error|style|performance|portability): (?P<text>.*) "
                    r"\[(?P<id>[^\]]+)\]$")


def sources(build, words):
    """(file, folder, arguments for the preprocessor and the language) of the sources that were written by hand."""
    seen = {}
    for c in json.load(open(os.path.join(build, "compile_commands.json"))):
        path = os.path.relpath(os.path.join(c["directory"], c["file"]), ROOT)
        if not path.startswith("src/") or path in seen or (words and not any(w in path for w in words)):
            continue
        args = [a for a in shlex.split(c["command"])[1:] if re.match(r"-(I|D|U|m|isystem|std=|pthread|O\d)", a)]
        seen[path] = (path, c["directory"], args)
    return sorted(seen.values())


def suppressions():
    """Lines TOOL ID FILE REASON; FILE may be *."""
    out = set()
    for n, line in enumerate(open(os.path.join(HERE, "suppress.txt")), 1):
        if line.strip() and not line.startswith("#"):
            word = line.split(None, 3)
            if len(word) < 4:
                sys.exit(f"suppress.txt:{n}: want TOOL ID FILE REASON")
            out.add(tuple(word[:3]))
    return out


def with_known(path, args):
    """All but the sources of what it declares."""
    return args if path in ("src/base/diag.c", "src/base/mem.c") else [*args, "-include", os.path.join(HERE, "known.h")]


def command(tool, path, args):
    full = os.path.join(ROOT, path)
    if tool == "cppcheck":
        return ["cppcheck", "--quiet", "--enable=warning,performance,portability", "--inline-suppr", "--std=c17", "--max-configs=1",
                "--library=" + os.path.join(HERE, "cppcheck.cfg"), "--suppress=*:/usr/*", "--suppress=missingIncludeSystem",
                "--template={file}:{line}: {severity}: {message} [{id}]",
                *[a for a in args if re.match(r"-[ID]", a) and a != "-Isrc/targets/xdp"], full] # not the bytes of BPF programs
    if tool == "gcc":
        return ["gcc", *args, "-O2", "-fanalyzer", "-fdiagnostics-path-format=none", "-fno-diagnostics-show-caret", "-c", full, "-o", os.devnull]
    return ["clang-tidy", "--quiet", full, "--", *args]


def look(tool, version, build, item, quiet):
    path, folder, args = item
    args = args if tool == "cppcheck" else with_known(path, args)
    cmd = command(tool, path, args)
    text = subprocess.run(["gcc", "-E", "-P", *args, os.path.join(ROOT, path)], cwd=folder, capture_output=True).stdout
    settings = open(os.path.join(ROOT, ".clang-tidy"), "rb").read() if tool == "tidy" else b""
    settings += repr(sorted(q for q in quiet if q[0] == tool and (q[2] == path or not q[2].endswith(".c")))).encode()
    source = open(os.path.join(ROOT, path), "rb").read()
    key = hashlib.sha256(version + " ".join(cmd).encode() + settings + text + source).hexdigest()
    mark = os.path.join(build, "lint", tool + "-" + key)
    if os.path.exists(mark):
        return []
    try:
        r = subprocess.run(cmd, cwd=folder, capture_output=True, text=True, timeout=900)
    except subprocess.TimeoutExpired:
        return [f"{path}:1: error: {TOOLS[tool]} took more than 15 minutes"]
    found = []
    for line in (r.stdout + r.stderr).splitlines():
        m = REMARK.match(line)
        if not m:
            continue
        where = os.path.relpath(os.path.join(folder, m["file"]), ROOT)
        ids = m["id"].split(",")[0].replace("-W", "")
        if not {(tool, ids, where), (tool, ids, "*")} & quiet:
            found.append(f"{where}:{m['line']}: {m['text']} [{ids}]")
    if r.returncode and tool == "gcc" and not found:
        found.append(f"{path}:1: error: {(r.stderr.strip().splitlines() or ['gcc failed'])[-1]}")
    if not found:
        open(mark, "w").close()
    return found


def main():
    build = os.path.abspath(sys.argv[1])
    tools = [t for t in sys.argv[2:] if t in TOOLS] or list(TOOLS)
    files = sources(build, [w for w in sys.argv[2:] if w not in TOOLS])
    quiet = suppressions()
    os.makedirs(os.path.join(build, "lint"), exist_ok=True)
    bad = 0
    for tool in tools:
        try:
            version = subprocess.run([TOOLS[tool], "--version"], capture_output=True, check=True).stdout
        except (OSError, subprocess.CalledProcessError):
            sys.exit(f"lint: {TOOLS[tool]} is not installed")
        seen = set()
        with concurrent.futures.ThreadPoolExecutor(int(os.environ.get("LINT_JOBS", "1"))) as pool:
            for found in pool.map(lambda f: look(tool, version, build, f, quiet), files):
                for line in found:
                    if line not in seen:
                        seen.add(line)
                        print(line, flush=True)
        print(f"lint: {TOOLS[tool]}: {len(files)} files, {len(seen)} remarks", flush=True)
        bad += len(seen)
    sys.exit(1 if bad else 0)


main()
