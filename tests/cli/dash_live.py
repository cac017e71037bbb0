#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""demo live --dash: switches in namespaces as the page sees them, against live.json; its buttons. Needs root.

    dash_live.py DUNECTL
"""
import json
import os
import subprocess
import sys
import tempfile

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
from dash_kit import Dash, Tap, skip_all  # noqa: E402

dunectl = sys.argv[1]
if os.geteuid() != 0 or subprocess.run(["unshare", "-n", "true"], capture_output=True).returncode:
    skip_all("needs root and network namespaces")
if '"built in"' not in subprocess.run([dunectl, "doctor", "--json"], capture_output=True, text=True).stdout.split('"dashboard"')[1][:80]:
    skip_all("this build has no dashboard")
t = Tap()
with tempfile.TemporaryDirectory() as tmp:
    data, out = os.path.join(tmp, "data"), os.path.join(tmp, "out")
    subprocess.run([dunectl, "synth", "-o", data, "--flows", "300", "--quiet"], check=True, stdout=subprocess.DEVNULL)
    d = Dash([dunectl, "demo", "live", "--data", data, "-o", out, "--solutions", "none,jewel", "--seconds", "3", "--switch-engine",
              "reference", "--dash", "--dash-listen", "127.0.0.1:0"])
    try:
        ok = d.wait_note("dashboard: http", 200)
        t.ok(ok, "the demonstration starts its dashboard", d.stderr())
        status, reply = d.post("/api/start", {"solution": "jewel"})
        t.ok(status == 400 and "in turn" in reply["error"], "Start waits until the solutions are through", reply)
        t.ok(d.wait_note("until you press Ctrl-C", 120), "it stays", d.stderr())
        st = d.state("finished", solution="jewel")
        live = json.load(open(os.path.join(out, "run", "live.json")))["solutions"]["jewel"]
        t.ok(abs(st["f1"]["overall"]["macro"] - live["macro"]) < 2e-5 and st["packets"] > 0, "the page's F1 is that of live.json",
             (st["f1"]["overall"], live["macro"]))
        t.ok([x["state"] for x in st["devices"]] == ["ok"] * 3 and all(x["in"] > 0 for x in st["devices"]), "three devices report", st["devices"])
        t.ok(d.get("/api/live?case=live")[1]["solutions"]["jewel"]["macro"] == live["macro"], "live.json is there for the comparison")
        found = d.get("/api/flows?limit=5")[1]["flows"]
        t.ok(found and found[0]["device"], "digests become flows", found)
        key = found[0]["flow"].replace(" ", "%20").replace("[", "%5B").replace("]", "%5D")
        t.ok(d.get("/api/flow?key=" + key)[0] == 200, "whose way can be shown")
        t.ok(d.post("/api/start", {"solution": "none", "pace": "x1"})[0] == 200, "Start sends again")
        run = d.state("running", solution="none", after=st["scene"])
        t.ok(d.post("/api/stop", {})[0] == 200, "Stop")
        t.ok(d.state("stopped", after=st["scene"])["packets"] < st["packets"] + 1, "ends it early")
    finally:
        code, _ = d.stop()
    t.ok(code == 0, "Ctrl-C ends it with status 0", (code, d.stderr()))
t.end()
