#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Runs the commands that a document shows, and compares what they print with what it shows.

A block that follows the line `<!-- run -->` is a session: lines that begin with "$ " are commands (a
backslash at the end goes on, and so do lines that begin with "> "), the others are what they print on standard output; how many blanks does not matter. A line of three dots stands for any lines, three
dots within a line for any text. All blocks of a document run in one directory, one after the other.
usage: doc_blocks.py DUNECTL DOCUMENT...   (TAP on stdout)
"""
import os
import re
import subprocess
import sys
import tempfile


def blocks(text):
    """The sessions of a document: (number of the first line, lines)."""
    lines = text.splitlines()
    at = 0
    while at < len(lines):
        if lines[at].strip() != "<!-- run -->":
            at += 1
            continue
        at += 1
        while at < len(lines) and not lines[at].strip():
            at += 1
        first, out = at + 1, []
        while at < len(lines) and (lines[at].startswith("    ") or not lines[at].strip()):
            out.append(lines[at][4:].rstrip())
            at += 1
        yield first, out


def steps(first, lines):
    """(line number, command, expected output lines)."""
    command, where, expected = None, 0, []
    for i, line in enumerate(lines):
        if line.startswith("$ "):
            if command:
                yield where, command, expected
            command, where, expected = line[2:], first + i, []
        elif command and command.endswith("\\"):
            command = command[:-1] + line
        elif command and not expected and line.startswith("> "):
            command += "\n" + line[2:]
        else:
            expected.append(line)
    if command:
        yield where, command, expected


def pattern(expected):
    while expected and not expected[-1]:
        expected = expected[:-1]
    parts = []
    for line in expected:
        if line.strip() == "...":
            parts.append(r"(?:[^\n]*\n)*?")
        else:
            words = [r"\s+".join(re.escape(w) for w in p.split(" ") if w) for p in re.sub(r" +", " ", line).split("...")]
            parts.append(r"[ \t]*" + r"[^\n]*".join(words) + r"[ \t]*\n")
    return re.compile("".join(parts) + r"\s*\Z")


def main():
    dunectl = os.path.abspath(sys.argv[1])
    n = bad = 0
    for document in sys.argv[2:]:
        with open(document, encoding="utf-8") as f:
            text = f.read()
        with tempfile.TemporaryDirectory() as work:
            env = dict(os.environ, PATH=os.path.dirname(dunectl) + ":" + os.environ["PATH"], LC_ALL="C.UTF-8")
            for first, lines in blocks(text):
                for where, command, expected in steps(first, lines):
                    n += 1
                    r = subprocess.run(["sh", "-c", command], cwd=work, env=env, text=True, timeout=300,
                                       stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.PIPE)
                    good = r.returncode == 0 and pattern(expected).match(r.stdout)
                    if not good:
                        bad += 1
                        print(f"# exit status {r.returncode}; it printed")
                        for line in (r.stdout + r.stderr).splitlines()[:60]:
                            print("#   " + line)
                    print(f"{'ok' if good else 'not ok'} {n} - {os.path.basename(document)}:{where} {command.splitlines()[0][:70]}")
    print(f"1..{n}")
    return 1 if bad or not n else 0


sys.exit(main())
