#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""dunectl dash over HTTP: every address, numbers against metrics.json, token, limits, history, the end.

    dash.py DUNECTL
"""
import json
import os
import signal
import socket
import subprocess
import sys
import tempfile
import time

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
from dash_kit import Dash, Tap, HOSTILE, f1_differences, make_run, metrics_of, skip_all  # noqa: E402

dunectl = sys.argv[1]
if "built in" not in subprocess.run([dunectl, "doctor", "--json"], capture_output=True, text=True).stdout.split('"dashboard"')[1][:80]:
    skip_all("this build has no dashboard")
t = Tap()
SERIES = [a + b for a in ("weighted", "micro", "macro") for b in ("_overall", "_inst")] + ["latency", "t"]


def reads(d, run):
    status, page, head = d.get("/", raw=True)
    t.ok(status == 200 and "<title>DUNE</title>" in page, "the page")
    csp = head["Content-Security-Policy"]
    t.ok("default-src 'none'" in csp and "unsafe" not in csp, "its content security policy has no exception", csp)
    t.ok("http://" not in page and "https://" not in page, "nothing in it is from elsewhere")
    for path in ("/app.js", "/draw.js", "/style.css", "/icon.svg"):
        status, text, head = d.get(path, raw=True)
        t.ok(status == 200 and len(text) > 100 and head["X-Content-Type-Options"] == "nosniff", path)
    status, scene, _ = d.get("/api/scene")
    t.ok(status == 200 and scene["cases"][0]["name"] == "generated" and scene["cases"][0]["solutions"] == ["none", "dune"],
         "the scene lists use cases and solutions", scene)
    t.ok(d.get("/api/state")[0] == 404, "no state before anything ran")
    t.ok(d.get("/api/metrics")[1] == metrics_of(run), "metrics.json as it is")
    t.ok(d.get("/api/live")[1] is None, "no live.json yet")
    status, text, head = d.get("/report", raw=True)
    t.ok(status == 200 and "<svg" in text and "<script" not in text and "style=" not in text, "the plan's pictures", text[:200])
    t.ok("unsafe" not in head["Content-Security-Policy"] and d.get("/report.css", raw=True)[0] == 200, "and their style")


def commands(d):
    t.ok(d.post("/api/start", {"solution": "dune"}, token="wrong")[0] == 403, "a wrong token")
    t.ok(d.post("/api/start", {"solution": "dune"}, token="")[0] in (401, 403), "no token")
    for body in (b"", b"{", b"[1]", b'{"solution": 5}', b'{"solution": "dune", "solution": "dune"}', b"\xff" * 50):
        status, reply = d.post("/api/start", None, raw=body)
        t.ok(status == 400 and len(reply["error"]) > 15, f"a broken body: {body[:20]}", reply)
    t.ok(d.post("/api/start", None, raw=b" " * 70000)[0] == 413, "a body that is too long")
    status, reply = d.post("/api/start", {"solution": "nothing"})
    t.ok(status == 400 and "nothing" in reply["error"], "an unknown solution", reply)
    status, reply = d.post("/api/start", {"solution": "dune", "use_case": HOSTILE})
    t.ok(status == 400, "an unknown use case", reply)
    status, reply = d.post("/api/start", {"solution": "dune", "pace": "fast"})
    t.ok(status == 400 and "x10" in reply["error"], "an unknown pace", reply)
    t.ok(d.post("/api/stop", {})[0] == 400, "nothing to stop")
    t.ok(d.get("/api/scene", headers={"Host": "evil.example"})[0] == 421, "a foreign name for this host")
    t.ok(d.get("/api/scene", headers={"X-Long": "x" * 60000}, raw=True)[0] in (400, 413, 431), "a header that is too long")
    t.ok(d.get("/" + "a" * 5000)[0] in (404, 414), "an address that is too long")


def replays(d, run):
    scene = 0
    for solution in ("dune", "none"):
        status, reply = d.post("/api/start", {"use_case": "generated", "solution": solution, "pace": "max"})
        t.ok(status == 200, f"start {solution}", reply)
        st = d.state("finished", solution=solution, after=scene)
        scene = st["scene"]
        diff = f1_differences(st, metrics_of(run), solution)
        t.ok(not diff, f"{solution}: the scores are those of metrics.json", diff)
        want = metrics_of(run)["solutions"][solution]
        t.ok([x["in"] for x in st["devices"]] == [x["in"] for x in want["devices"]] and
             [x["inferred"] for x in st["devices"]] == [x.get("inferred", 0) for x in want["devices"]],
             f"{solution}: so are the counters of the devices")
        wanted = {x["device"] for x in want.get("decided", []) if x["right"] > 1}
        claiming = {want["devices"][i]["name"] for i, x in enumerate(st["devices"]) if any(c[0] >= 0 for c in x["claims"])}
        t.ok(wanted <= claiming and sum(x["flows"] for x in st["devices"]) == (st["flows"] if wanted else 0),
             f"{solution}: flows count for the device whose answer they got", (wanted, claiming))
        t.ok(st["claimed"] == want["packets"]["claimed"] and st["flows"] > 100, f"{solution}: packets claimed, flows", st["flows"])
    status, series, head = d.get("/api/series")
    t.ok(status == 200 and all(len(series[k]) >= 1 for k in SERIES) and "attachment" in head["Content-Disposition"],
         "the series has its names", list(series))
    t.ok(abs(series["macro_overall"][-1] - st["f1"]["overall"]["macro"]) < 1e-9, "and ends with the score")
    d.post("/api/start", {"solution": "dune", "pace": "200"})
    st = d.state("running", solution="dune", after=scene)
    for _ in range(400):  # a replay that has not begun cannot end early
        if st["state"] != "running" or st["packets"] > 0:
            break
        time.sleep(0.05)
        st = d.get("/api/state")[1]
    t.ok(d.post("/api/stop", {})[0] == 200, "stop")
    st = d.state("stopped", after=scene)
    t.ok(0 < st["packets"] < want["packets"]["in"], "ends it early", st["packets"])
    d.post("/api/start", {"solution": "dune", "pace": "max"})
    return d.state("finished", solution="dune", after=st["scene"])


def flows(d):
    status, found, _ = d.get("/api/flows?limit=1000")
    t.ok(status == 200 and len(found["flows"]) > 100, "flows are found")
    some = [f for f in found["flows"] if f["settled"]][:20]
    wrong = []
    for f in some:
        q = "/api/flow?key=" + f["flow"].replace(" ", "%20").replace("[", "%5B").replace("]", "%5D") + "&capture=" + f["capture"].replace("#", "%23")
        status, path, _ = d.get(q)
        last = [p for p in path.get("packets", []) if p["settled"]]
        if status != 200 or not last or last[0]["class"] != f["class"] or last[0]["device"] != f["device"] or \
                last[0]["confidence"] != f["confidence"]:
            wrong.append((f, last[:1], status))
    t.ok(some and not wrong, f"the way of {len(some)} flows ends in the verdict they got", wrong[:1])
    trees = [tr for dev in path["packets"][0]["devices"] for a in dev["answers"] for tr in a.get("trees", [])]
    steps = [s for tr in trees for s in tr["path"]]
    t.ok(steps and all((s[1] <= s[2]) == s[3] for s in steps), "every step goes where its feature says")
    t.ok(d.get("/api/flows?q=nonsense")[1]["flows"] == [], "no flow has nonsense in it")
    t.ok(d.get("/api/flow?key=tcp%201.1.1.1:1%202.2.2.2:2")[0] == 422, "a flow that no capture has")


def history(d, tmp, st):
    status, runs, _ = d.get("/api/history/runs")
    t.ok(status == 200 and [r["state"] for r in runs["runs"]] == ["finished", "stopped", "finished", "finished"], "the runs are kept", runs)
    t.ok(abs(runs["runs"][0]["macro"] - st["f1"]["overall"]["macro"]) < 1e-6, "with their scores")
    rid = runs["runs"][0]["id"]
    t.ok(len(d.get(f"/api/history/series?run={rid}")[1]["series"]) >= 1, "their series")
    for _ in range(50):  # they are written by a thread of their own
        kept = d.get(f"/api/history/digests?run={rid}&limit=100000")[1]["digests"]
        if len(kept) == min(st["flows"], 150):
            break
        time.sleep(0.2)
    t.ok(len(kept) == min(st["flows"], 150), "and their flows, up to the limit", len(kept))
    t.ok(d.get("/api/history/tables")[0] == 400, "nothing else")
    lines = [json.loads(x) for x in open(os.path.join(tmp, "flows.jsonl"))]
    t.ok(len(lines) >= st["flows"] and all(set(("class", "confidence", "device")) <= set(x) for x in lines), "the flow log", len(lines))


def events(d):
    s = socket.create_connection(("127.0.0.1", int(d.url.split(":")[2].strip("/"))), timeout=20)
    s.sendall(b"GET /api/events HTTP/1.1\r\nHost: localhost\r\n\r\n")
    got = b""
    while b"event: state" not in got or not got.endswith(b"\r\n"):
        got += s.recv(65536)
    s.close()
    text = got.decode()
    t.ok("text/event-stream" in text and "event: scene" in text and "event: series" in text, "events: scene, series, state")


def many_classes(d, tmp, run):
    """Labels with ten thousand more classes, one of them hostile: bounded, escaped, and as right as before."""
    labels = os.path.join(tmp, "data", "labels.csv")
    rows = open(labels).read().splitlines()
    width, where = len(rows[0].split(",")), rows[0].split(",").index("label")
    sample = rows[1].split(",")
    with open(os.path.join(tmp, "many.csv"), "w") as f:
        f.write("\n".join(rows) + "\n")
        for i in range(10000):
            new = list(sample)
            new[0:2] = [f"192.0.{i // 250}.{i % 250}", "192.0.2.1"] if width > 3 else [f"02:00:00:00:{i // 256:02x}:{i % 256:02x}"] + new[1:2]
            new[where] = f"{HOSTILE} {i}"
            f.write(",".join(new) + "\n")
    src = json.load(open(os.path.join(run, "inputs.json")))
    src["labels"] = os.path.join(tmp, "many.csv")
    second = os.path.join(tmp, "many")
    os.makedirs(second)
    for name in ("plans", "metrics.json"):
        os.symlink(os.path.join(run, name), os.path.join(second, name))
    json.dump(src, open(os.path.join(second, "inputs.json"), "w"))
    m = Dash([dunectl, "dash", second, "--listen", "127.0.0.1:0", "--json", "--no-history", "--play", "dune", "--pace", "max"]).wait_json()
    st = m.state("finished")
    text = m.get("/api/state", raw=True)[1]
    t.ok(not f1_differences(st, metrics_of(run), "dune") and len(text) < 60000, "ten thousand classes: the same scores, a short state", len(text))
    t.ok(m.get("/api/classes?limit=1000")[1]["n_classes"] > 10000, "all of them are known")
    t.ok(m.get("/api/history/runs")[0] == 404, "no history with --no-history")
    t.ok(m.stop()[0] == 0, "it ends")


def other_commands(tmp, run):
    r = subprocess.run([dunectl, "dash", os.path.join(tmp, "nowhere")], capture_output=True, text=True)
    t.ok(r.returncode == 3 and "inputs.json" in r.stderr, "no run directory", r.stderr)
    w = Dash([dunectl, "run", os.path.join(tmp, "e.yaml"), "-o", run, "--dash", "--dash-listen", "127.0.0.1:0"])
    t.ok(w.wait_note("until you press Ctrl-C"), "run --dash stays", w.stderr())
    w.wait_note()
    st = w.state("finished", solution="dune")
    t.ok(not f1_differences(st, metrics_of(run), "dune"), "run --dash: the scores are those of metrics.json")
    t.ok(w.post("/api/start", {"solution": "none", "pace": "max"})[0] == 200 and w.state("finished", solution="none")["packets"] > 0,
         "and its buttons replay afterwards")
    code, out = w.stop()
    t.ok(code == 0 and "macro F1" in out, "it ends with status 0", code)
    c = Dash([dunectl, "controller", "serve", "--bus", "unix:" + os.path.join(tmp, "bus"), "--state", os.path.join(tmp, "state"),
              "--device", "s1:1", "--device", "s2:2", "--dash", "--dash-listen", "127.0.0.1:0", "--no-rules"])
    t.ok(c.wait_note(), "controller serve --dash", c.stderr())
    st = c.state("running")
    scene = c.get("/api/scene")[1]
    t.ok([x["name"] for x in scene["devices"]] == ["s1", "s2"] and [x["state"] for x in st["devices"]] == ["silent", "silent"],
         "shows its devices, which are silent", st["devices"])
    t.ok(c.get("/api/flow?key=tcp%201.1.1.1:1%202.2.2.2:2")[0] == 422 and c.post("/api/start", {}, token="x" * 20)[0] == 403, "and what it does not know")
    t.ok(c.stop()[0] == 0, "it ends")


with tempfile.TemporaryDirectory() as tmp:
    run = make_run(dunectl, tmp)
    base = [dunectl, "dash", run, "--json", "--flow-log", os.path.join(tmp, "flows.jsonl"), "--keep-digests", "150"]
    d = Dash(base + ["--listen", "127.0.0.1:0"]).wait_json()
    try:
        reads(d, run)
        commands(d)
        st = replays(d, run)
        flows(d)
        events(d)
        history(d, tmp, st)
        port = d.url.split(":")[2].strip("/")
        r = subprocess.run(base[:3] + ["--no-history", "--listen", "127.0.0.1:" + port], capture_output=True, text=True)
        t.ok(r.returncode == 5 and "cannot listen" in r.stderr, "the port is taken", r.stderr)
        metrics = d.get("/metrics", raw=True)[1]
        t.ok(f"dune_packets_total {st['packets']}\n" in metrics, "/metrics has the packets")
        d.post("/api/start", {"solution": "dune", "pace": "100"})
        d.state("running", after=st["scene"])
    finally:
        start = time.time()
        code, _ = d.stop(signal.SIGTERM)
    t.ok(code == 0 and time.time() - start < 20, "it ends in the middle of a replay", code)
    again = Dash(base + ["--listen", "127.0.0.1:" + port]).wait_json()
    t.ok(again.token != d.token and again.get("/api/history/runs")[1]["runs"][1]["state"] == "finished", "and starts again with its history")
    t.ok(again.post("/api/stop", {}, token=d.token)[0] == 403, "the old token does not count any more")
    again.stop()
    many_classes(d, tmp, run)
    other_commands(tmp, run)
t.end()
