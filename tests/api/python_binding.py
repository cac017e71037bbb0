#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""python/dune.py against dunectl: with NumPy (skipped where it is not installed) and without. TAP on stdout."""
import csv
import os
import subprocess
import sys
import tempfile

ROOT = os.environ["DUNE_SOURCE_ROOT"]
DUNECTL = os.environ["DUNECTL"]
sys.dont_write_bytecode = True
sys.path.insert(0, os.path.join(ROOT, "python"))
DATA = os.path.join(ROOT, "data/recorded")
CAPTURE = os.path.join(DATA, "test/run-te1.pcap.gz")
LABELS = os.path.join(DATA, "labels.csv")


def verdicts(plan_path, work):
    """Class names of all packets, as `dunectl replay` has them."""
    out = os.path.join(work, "verdicts.csv")
    subprocess.run([DUNECTL, "replay", plan_path, CAPTURE, "--engine", "reference", "--verdicts", out, "--quiet"],
                   check=True, stdout=subprocess.DEVNULL)
    with open(out, newline="", encoding="utf-8") as f:
        return [r["class"] for r in csv.DictReader(f)]


def raises(kind, text, call):
    try:
        call()
    except kind as e:
        return text in str(e)
    return False


def checks(dune, numpy):
    """(name, passed) of everything."""
    ds = dune.Dataset.extract(DATA, LABELS)
    plan = dune.plan(ds, devices=3, effort="quick", time_limit_s=1, threads=1)
    yield "the planner makes a plan", 0.3 < plan.train_macro <= 1 and 1 <= plan.n_devices <= 3
    with tempfile.TemporaryDirectory() as work:
        path = os.path.join(work, "plan.json")
        plan.write(path)
        again = dune.Plan.read(path)
        with open(path, encoding="utf-8") as f:
            parsed = dune.Plan.parse(f.read())
        yield "written, read and parsed", again.classes == plan.classes == parsed.classes and plan.classes[0] == ""
        expected = verdicts(path, work)
        results = plan.classify_capture(CAPTURE)
        yield "a capture gets the verdicts of dunectl replay", list(plan.names(results)) == expected
        ds.write(os.path.join(work, "rows.dset"))
        yield "a data set written and read", dune.Dataset.read(os.path.join(work, "rows.dset")).n_rows == ds.n_rows
    yield "engine reference too", bytes(plan.classify_capture(CAPTURE, engine="reference")) == bytes(results)

    table = ds.table(plan.features + ["count"])
    rows = plan.classify_rows(table, plan.features + ["count"])
    truth = [ds.classes[c] for c in ds.flow_class]
    names = plan.names(rows)
    last = [int(ds.flow_row[f + 1]) - 1 for f in range(ds.n_flows)]
    right = sum(names[last[f]] == truth[f] for f in range(ds.n_flows)) / ds.n_flows
    yield f"rows are classified ({right:.3f} of the flows at their last row)", right > 0.6
    one = plan.classify_rows([[int(v) for v in table[7]]], plan.features + ["count"])
    yield "one row alone", bytes(one[0]) == bytes(rows[7])
    scores = plan.score(os.path.join(DATA, "test"), LABELS)
    yield f"scores: {scores.flow}", 0.4 < scores.flow.macro <= 1 and scores.flows > 100

    frame = bytes.fromhex("020000000002020000000001080045000039000100004011000"
                          "00a0000050a000001c350003500250000")
    c = plan.classifier()
    alone = [c.classify([frame], [t])[0] for t in (0, 1000000, 2000000)]
    c.reset()
    together = c.classify([frame] * 3, [0, 1000000, 2000000])
    yield "packets from memory", [bytes(a) for a in alone] == [bytes(t) for t in together]
    short = c.classify([b"x"], [0])[0]
    yield "a packet that is none", (short["reason"] if numpy else short.reason) != 0

    yield "a model that is not there", raises(dune.Error, "nothing.json", lambda: dune.plan(ds, model="/nothing.json"))
    yield "soft labels of no model", raises(dune.Error, "--model", lambda: dune.plan(ds, distill="model"))
    yield "soft labels that are none", raises(dune.Error, "auto, off or model", lambda: dune.plan(ds, distill="yes"))
    yield "a gateway that is none", raises(dune.Error, "", lambda: dune.Dataset.extract(DATA, LABELS, gateway="here"))
    if b"ndpi" in subprocess.run([DUNECTL, "version"], stdout=subprocess.PIPE, check=True).stdout:
        with tempfile.TemporaryDirectory() as work:
            path = os.path.join(work, "a.pcap")
            subprocess.run([sys.executable, os.path.join(ROOT, "tests/cli/dpi_traffic.py"), path, "60", "1000"], check=True)
            told = dune.Dataset.extract(path, "ndpi")
            yield f"labels from nDPI: {told.classes}", "YouTube" in told.classes and "SSH" not in told.classes
            yield "rare classes, too", "SSH" in dune.Dataset.extract(path, "ndpi", min_flows=1).classes
            yield "and scores by them", plan.score(path, "ndpi").flows > 100

    yield "an error has code and text", raises(dune.Error, "nothing.json", lambda: dune.Plan.read("/nothing.json"))
    yield "an unknown column", raises(dune.Error, "colour", lambda: plan.classify_rows([[1]], ["colour"]))
    yield "names and columns that differ", raises(ValueError, "2 columns", lambda: plan.classify_rows([[1, 2]], ["a"]))
    yield "numbers that are none of ours", raises(ValueError, "2^32", lambda: plan.classify_rows([[-1]], ["ip.len"]))
    yield "an unknown feature", raises(KeyError, "colour", lambda: ds.column("colour"))
    empty = numpy.zeros((0, len(plan.features))) if numpy else []
    yield "no rows", len(plan.classify_rows(empty, plan.features)) == 0
    column = ds.column("ip.len")
    first = int(column[0])
    del ds
    yield "arrays outlive their data set's name", int(column[0]) == first
    if numpy:
        yield "arrays are lent, not copied", not column.flags.writeable and not column.flags.owndata
        wide = numpy.asarray(table, dtype=numpy.int64)
        yield "other integers", bytes(plan.classify_rows(wide, plan.features + ["count"])) == bytes(rows)
        yield "fractions", raises(ValueError, "integers", lambda: plan.classify_rows(wide + 0.5, plan.features + ["count"]))


def run(n, title, numpy):
    import dune
    bad = 0
    for name, passed in checks(dune, numpy):
        n += 1
        bad += not passed
        print(f"{'ok' if passed else 'not ok'} {n} - {title}: {name}", flush=True)
    return n, bad


def main():
    try:
        import numpy
    except ImportError:
        numpy = None
    if len(sys.argv) > 1:  # without NumPy, in a process of its own
        sys.modules["numpy"] = None
        return 1 if run(int(sys.argv[1]), "without NumPy", None)[1] else 0
    n = bad = 0
    if numpy:
        n, bad = run(0, "NumPy", numpy)
    else:
        n = 1
        print("ok 1 - NumPy # SKIP python3-numpy is not installed")
    out = subprocess.run([sys.executable, __file__, str(n)], stdout=subprocess.PIPE, text=True, check=False)
    print(out.stdout, end="")
    n += sum(line.startswith(("ok", "not ok")) for line in out.stdout.splitlines())
    print(f"1..{n}")
    return 1 if bad or out.returncode else 0


sys.exit(main())
