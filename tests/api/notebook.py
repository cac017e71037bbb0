#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Runs the Python sessions of a document: blocks after the line `<!-- python -->`, as doctest has them (">>> ", "... ", what is
printed; three dots within it stand for anything), all in one session and one directory. TAP on stdout.
usage: notebook.py DOCUMENT...
"""
import doctest
import os
import sys
import tempfile

sys.dont_write_bytecode = True
sys.path.insert(0, os.path.join(os.environ["DUNE_SOURCE_ROOT"], "python"))


def blocks(text):
    """The document with everything but its sessions left out, line by line."""
    out, inside, wait = [], False, False
    for line in text.splitlines():
        if line.strip() == "<!-- python -->":
            wait = True
            out.append("")
            continue
        if wait and line.strip():
            inside, wait = True, False
        if inside and line.strip() and not line.startswith("    "):
            inside = False
        out.append(line[4:] if inside else "")
    return "\n".join(out) + "\n"


class Runner(doctest.DocTestRunner):
    """Counts and prints every example."""
    n = 0

    def result(self, good, example, test, remark=""):
        Runner.n += 1
        for line in remark.splitlines():
            sys.__stdout__.write(f"# {line}\n")  # print() is caught while a session runs
        sys.__stdout__.write(f"{'ok' if good else 'not ok'} {Runner.n} - {test.name}:{example.lineno + 1} "
                             f"{example.source.splitlines()[0][:70]}\n")

    def report_success(self, out, test, example, got):
        self.result(True, example, test)

    def report_failure(self, out, test, example, got):
        self.result(False, example, test, "it printed\n" + got)

    def report_unexpected_exception(self, out, test, example, exc_info):
        self.result(False, example, test, f"{exc_info[0].__name__}: {exc_info[1]}")


def main():
    try:
        import numpy  # noqa: F401
    except ImportError:
        print("1..0 # SKIP python3-numpy is not installed")
        return 0
    bad = 0
    for path in sys.argv[1:]:
        with open(path, encoding="utf-8") as f:
            text = blocks(f.read())
        name = os.path.basename(path)
        test = doctest.DocTestParser().get_doctest(text, {}, name, path, 0)
        with tempfile.TemporaryDirectory() as work:
            os.chdir(work)
            bad += Runner(optionflags=doctest.ELLIPSIS).run(test).failed
            os.chdir("/")
    print(f"1..{Runner.n}")
    return 1 if bad or Runner.n == 0 else 0


sys.exit(main())
