# SPDX-License-Identifier: Apache-2.0
"""What the tests of the dashboard share: TAP, a run directory, a dashboard process, requests."""
import json
import os
import signal
import subprocess
import sys
import tempfile
import time
import urllib.error
import urllib.parse
import urllib.request

HOSTILE = "<img src=x onerror=document.title='owned'>"


class Tap:
    def __init__(self):
        self.n = self.bad = 0

    def ok(self, good, name, why=""):
        self.n += 1
        if not good:
            self.bad += 1
            print("# " + str(why)[:1500].replace("\n", "\n# "))
        print(("ok" if good else "not ok") + f" {self.n} - {name}", flush=True)
        return good

    def end(self):
        print(f"1..{self.n}")
        sys.exit(1 if self.bad else 0)


def skip_all(reason):
    print("1..0 # SKIP " + reason)
    sys.exit(0)


class Dash:
    """A dunectl with a dashboard; the address is in its output."""

    def __init__(self, args, env=None):
        self.err = tempfile.TemporaryFile(mode="w+")
        self.p = subprocess.Popen(args, stdout=subprocess.PIPE, stderr=self.err, text=True, env=env)
        self.url = self.token = None

    def wait_json(self):
        line = json.loads(self.p.stdout.readline())
        self.url, self.token = line["url"], line["token"]
        return self

    def stderr(self):
        self.err.seek(0)
        return self.err.read()

    def wait_note(self, words="dashboard: http", seconds=120):
        end = time.time() + seconds
        while time.time() < end:
            for line in self.stderr().splitlines():
                if words in line:
                    at = line.find("http://")
                    if at >= 0:
                        url, _, token = line[at:].split()[0].partition("#token=")
                        self.url, self.token = url, token or self.token
                    return True
            if self.p.poll() is not None:
                return False
            time.sleep(0.05)
        return False

    def get(self, path, raw=False, headers=None):
        req = urllib.request.Request(self.url.rstrip("/") + path, headers=headers or {})
        try:
            with urllib.request.urlopen(req, timeout=60) as r:
                body, status, head = r.read(), r.status, r.headers
        except urllib.error.HTTPError as e:
            body, status, head = e.read(), e.code, e.headers
        text = body.decode("utf-8", "replace")
        return status, (text if raw else json.loads(text)), head

    def post(self, path, body, token=None, raw=None):
        data = raw if raw is not None else json.dumps(body).encode()
        req = urllib.request.Request(self.url.rstrip("/") + path, data=data, method="POST",
                                     headers={"Content-Type": "application/json",
                                              "Authorization": "Bearer " + (self.token if token is None else token)})
        try:
            with urllib.request.urlopen(req, timeout=60) as r:
                return r.status, json.loads(r.read())
        except urllib.error.HTTPError as e:
            return e.code, json.loads(e.read())

    def state(self, want=None, seconds=60, solution=None, after=0):
        """The state; want: waits for it to be that, of a scene beyond `after`."""
        end = time.time() + seconds
        while True:
            status, st, _ = self.get("/api/state")
            _, scene, _ = self.get("/api/scene")
            if status == 200 and (want is None or (st["state"] == want and st["scene"] > after and
                                                   (solution is None or scene.get("solution") == solution))):
                return st
            if time.time() > end:
                raise RuntimeError(f"state is {st}")
            time.sleep(0.05)

    def stop(self, sig=signal.SIGINT):
        if self.p.poll() is None:
            self.p.send_signal(sig)
        try:
            out, _ = self.p.communicate(timeout=60)
        except subprocess.TimeoutExpired:
            self.p.kill()
            out, _ = self.p.communicate()
        return self.p.returncode, out


def make_run(dunectl, tmp, solutions="none,dune", flows=600):
    """A run directory on generated traffic."""
    data, out = os.path.join(tmp, "data"), os.path.join(tmp, "run")
    subprocess.run([dunectl, "synth", "-o", data, "--flows", str(flows), "--quiet"], check=True, stdout=subprocess.DEVNULL)
    with open(os.path.join(tmp, "e.yaml"), "w") as f:
        f.write("name: generated\ndata:\n  train: data/train\n  test: data/test\n  labels: data/labels.csv\n"
                f"  captures: data/captures.csv\nsolutions: [{solutions}]\ndevices: 3\n"
                "budget: {leaves_sum: 20, features_distinct: 3}\neffort: quick\n")
    subprocess.run([dunectl, "run", os.path.join(tmp, "e.yaml"), "-o", out, "--quiet"], check=True, stdout=subprocess.DEVNULL)
    return out


def metrics_of(run):
    with open(os.path.join(run, "metrics.json")) as f:
        return json.load(f)


def f1_differences(state, metrics, solution):
    """Names of the scores of a finished replay that are not those of metrics.json to six places."""
    want = metrics["solutions"][solution]
    pairs = [("overall", "flow"), ("packet", "packet")]
    return [f"{a}.{k}: {state['f1'][a][k]} instead of {want[b][k]}" for a, b in pairs for k in ("macro", "weighted", "micro")
            if abs(state["f1"][a][k] - want[b][k]) > 1.5e-6]
