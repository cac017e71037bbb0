#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""The dashboard in Chromium: pictures, numbers, buttons, a restart, hostile names, who is asked, who can use it.

    dash_browser.py DUNECTL [long]
"""
import json
import os
import shutil
import subprocess
import sys
import tempfile
import time

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
from dash_kit import Dash, Tap, HOSTILE, make_run, metrics_of, skip_all  # noqa: E402

try:
    from selenium import webdriver
    from selenium.webdriver.chrome.options import Options
    from selenium.webdriver.chrome.service import Service
except ImportError:
    if os.path.realpath(sys.executable) != os.path.realpath("/usr/bin/python3") and os.path.exists("/usr/bin/python3"):
        os.execv("/usr/bin/python3", ["/usr/bin/python3"] + sys.argv)
    skip_all("python3-selenium is not installed")
browser, driver = shutil.which("chromium"), shutil.which("chromedriver")
if not browser or not driver:
    skip_all("chromium or chromium-driver is not installed")
dunectl, long = sys.argv[1], "long" in sys.argv[2:]
if '"built in"' not in subprocess.run([dunectl, "doctor", "--json"], capture_output=True, text=True).stdout.split('"dashboard"')[1][:80]:
    skip_all("this build has no dashboard")
t = Tap()
TOKEN = "0123456789abcdef0123"

# Names that nobody can see or say, contrasts below what WCAG AA asks for: counted, with the first few.
ACCESS = r"""
const bad = [];
const seen = (e) => e.getClientRects().length > 0 && getComputedStyle(e).visibility !== "hidden";
const name = (e) => (e.getAttribute("aria-label") || (e.getAttribute("aria-labelledby") || "").split(" ").map((i) => (document.getElementById(i) || {}).textContent || "").join("") || e.textContent || e.title || "").trim();
for (const e of document.querySelectorAll("button, a, [role=img], [role=region], iframe, nav")) if (seen(e) && !name(e)) bad.push("no name: " + e.outerHTML.slice(0, 80));
for (const e of document.querySelectorAll("input, select")) if (seen(e) && !(e.labels && e.labels.length)) bad.push("no label: " + e.id);
for (const e of document.querySelectorAll("img")) if (!e.hasAttribute("alt")) bad.push("no alt: " + e.src);
for (const e of document.querySelectorAll("svg")) if (seen(e) && e.getAttribute("role") !== "img" && e.getAttribute("aria-hidden") !== "true") bad.push("svg without role");
const ids = [...document.querySelectorAll("[id]")].map((e) => e.id);
for (const i of new Set(ids)) if (ids.filter((x) => x === i).length > 1) bad.push("id twice: " + i);
if (document.querySelectorAll("main").length !== 1 || document.querySelectorAll("h1").length !== 1) bad.push("one main and one h1");
if (!document.documentElement.lang) bad.push("no language");
const rgb = (s) => (s.match(/[\d.]+/g) || []).map(Number);
const lum = (c) => { const f = c.slice(0, 3).map((v) => { v /= 255; return v <= 0.03928 ? v / 12.92 : Math.pow((v + 0.055) / 1.055, 2.4); }); return 0.2126 * f[0] + 0.7152 * f[1] + 0.0722 * f[2]; };
const ground = (e) => { for (; e; e = e.parentElement) { const c = rgb(getComputedStyle(e).backgroundColor); if (c.length === 3 || c[3] === 1) return c; } return [255, 255, 255]; };
for (const e of document.querySelectorAll("body *")) {
  if (![...e.childNodes].some((n) => n.nodeType === 3 && n.textContent.trim()) || !seen(e) || e.closest("svg") || e.disabled || e.tagName === "OPTION" || e.className === "skip") continue;
  const a = lum(rgb(getComputedStyle(e).color)), b = lum(ground(e)), ratio = (Math.max(a, b) + 0.05) / (Math.min(a, b) + 0.05);
  if (ratio < 4.5) bad.push("contrast " + ratio.toFixed(2) + ": " + e.textContent.slice(0, 40));
}
return bad;
"""


def open_browser(profile):
    o = Options()
    o.binary_location = browser
    for a in ("--headless=new", "--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage", "--no-first-run", "--disable-sync",
              "--disable-background-networking", "--disable-component-update", "--disable-extensions",
              "--window-size=1280,1500", "--user-data-dir=" + profile):
        o.add_argument(a)
    o.set_capability("goog:loggingPrefs", {"browser": "ALL", "performance": "ALL"})
    b = webdriver.Chrome(service=Service(driver), options=o)
    b.set_script_timeout(30)
    return b


def until(b, script, seconds=60):
    end = time.time() + seconds
    while time.time() < end:
        got = b.execute_script("return " + script)
        if got:
            return got
        time.sleep(0.1)
    return None


def js(b, script):
    return b.execute_script("return " + script)


def start(dirs, port="0"):
    with open(os.path.join(tmp, "token"), "w") as f:
        f.write(TOKEN + "\n")
    return Dash([dunectl, "dash"] + dirs + ["--listen", "127.0.0.1:" + port, "--token-file", os.path.join(tmp, "token"), "--json"]).wait_json()


def press(b, case, solution, pace="max"):
    b.execute_script("""const set = (id, v) => { const e = document.getElementById(id); e.value = v; e.dispatchEvent(new Event('change')); };
        set('case', arguments[0]); set('solution', arguments[1]); set('pace', arguments[2]); document.getElementById('start').click();""", case, solution, pace)
    return until(b, f"document.getElementById('what').textContent.includes('{solution} ') && document.getElementById('what').textContent.includes('finished')")


def numbers(b, run):
    for solution in ("none", "dune"):
        t.ok(press(b, "generated", solution), f"the button starts {solution}", js(b, "document.getElementById('answer').textContent"))
        want = metrics_of(run)["solutions"][solution]["flow"]
        got = until(b, f"Math.abs(Number(document.getElementById('macro').dataset.value) - {want['macro']}) < 2e-6", 20)
        t.ok(got and all(js(b, f"document.getElementById('{k}').textContent") == f"{want[k]:.4f}" for k in ("macro", "weighted", "micro")),
             f"{solution}: the F1 on the page are those of metrics.json", [js(b, f"document.getElementById('{k}').textContent") for k in want if k in ("macro", "weighted", "micro")])
    cells = js(b, "[...document.querySelectorAll('#compare tbody tr')].map((r) => [r.dataset.solution, r.cells[1].textContent])")
    t.ok(cells == [[k, f"{v['flow']['macro']:.4f}"] for k, v in metrics_of(run)["solutions"].items()], "so is the comparison", cells)


def pictures(b):
    for what, script, least in (("device cards", "document.querySelectorAll('.device').length", 1),
                                ("links between them", "document.querySelectorAll('#topo svg path').length", 4),
                                ("F1 lines", "document.querySelectorAll('#chart-f1 svg path').length", 3),
                                ("solutions", "document.querySelectorAll('#compare-chart circle').length", 6),
                                ("classes", "document.querySelectorAll('.class').length", 3),
                                ("hops", "document.querySelectorAll('#hops tbody tr').length", 2),
                                ("budgets", "document.querySelectorAll('#resources .meter').length", 3)):
        got = until(b, f"{script} >= {least}", 10)
        t.ok(got, f"there are {what}", js(b, script))
    b.execute_script("location.hash = '#plan'")
    t.ok(until(b, "document.getElementById('plan').contentDocument && document.getElementById('plan').contentDocument.querySelectorAll('svg').length > 2"),
         "the plan view has its pictures")
    b.execute_script("location.hash = '#flows'")
    t.ok(until(b, "document.querySelectorAll('#flows button').length > 10"), "flows are listed")
    b.execute_script("document.querySelector('#flows button').click()")
    t.ok(until(b, "document.querySelectorAll('#path .packet .walk li').length > 0"), "a flow shows its way through the trees")
    b.execute_script("location.hash = '#history'")
    t.ok(until(b, "document.querySelectorAll('#runs button').length >= 2"), "runs are listed")
    b.execute_script("document.querySelector('#runs button').click()")
    t.ok(until(b, "document.querySelectorAll('#run-chart svg path').length >= 1 || document.querySelectorAll('#run-flows tbody tr').length > 0"), "a run shows its series and flows")


def access(b):
    themes = ("light", "dark") if long else ("light",)
    for theme in themes:
        while js(b, "document.getElementById('theme').textContent") != "Theme: " + theme:
            b.execute_script("document.getElementById('theme').click()")
        for view in ("live", "plan", "flows", "history"):
            b.execute_script(f"location.hash = '#{view}'")
            time.sleep(0.5)
            bad = b.execute_script(ACCESS)
            t.ok(not bad, f"{view}, {theme}: names, labels, contrast", bad[:8])
    for width in (360, 2560) if not long else (320, 360, 768, 1280, 2560, 3840):
        b.set_window_size(width, 1200)
        b.execute_script("location.hash = '#live'")
        time.sleep(0.4)
        over = js(b, "document.documentElement.scrollWidth - document.documentElement.clientWidth")
        who = js(b, "Array.from(document.querySelectorAll('body *')).filter(e => !e.closest('.scroll *') && e.getBoundingClientRect().right > "
                    "document.documentElement.clientWidth + 1).slice(0, 5).map(e => e.tagName + '.' + e.className + ' ' + "
                    "e.textContent.slice(0, 20)).join('; ')") if over > 1 else ""
        t.ok(over <= 1, f"nothing sticks out at a width of {width}", f"{over} {who}")
    b.set_window_size(1280, 1500)


def hostile(b):
    t.ok(press(b, "generated (" + os.path.join(tmp, "hostile")[:60] + ")", "dune"), "a use case with a hostile class name")
    b.execute_script("location.hash = '#flows'")
    b.execute_script("document.getElementById('q').value = ''; document.getElementById('search').requestSubmit()")
    t.ok(until(b, "[...document.querySelectorAll('#flows td')].some((c) => c.textContent.startsWith('<img'))"), "shows it as text")
    t.ok(js(b, "document.images.length") == 1 and js(b, "document.title") != "owned", "and runs nothing of it")
    b.execute_script("location.hash = '#live'")


def restart(b, d, dirs, port):
    d.stop()
    t.ok(until(b, "document.getElementById('link').dataset.state === 'lost' && !document.getElementById('banner').hidden"), "a lost server is shown")
    again = start(dirs, port)
    t.ok(until(b, "document.getElementById('link').dataset.state === 'ok'", 90), "the page finds the next one")
    t.ok("started again" in (until(b, "!document.getElementById('banner').hidden && document.getElementById('banner').textContent", 5) or ""), "and says that it is another")
    t.ok(press(b, "generated", "none"), "its buttons work there")
    return again


def logs(b, port):
    errors = [e["message"] for e in b.get_log("browser") if e["level"] == "SEVERE" and "ERR_CONNECTION_REFUSED" not in e["message"] and
              "ERR_INCOMPLETE_CHUNKED" not in e["message"] and "ERR_EMPTY_RESPONSE" not in e["message"] and "ERR_CONNECTION_RESET" not in e["message"]]
    t.ok(not errors, "no errors in the console but those of the lost server", errors)
    asked = set()
    for e in b.get_log("performance"):
        m = json.loads(e["message"])["message"]
        if m["method"] == "Network.requestWillBeSent":
            asked.add(m["params"]["request"]["url"])
    foreign = [u for u in asked if not u.startswith(("http://127.0.0.1:" + port + "/", "data:", "about:", "chrome"))]
    t.ok(asked and not foreign, f"nobody else is asked ({len(asked)} addresses)", foreign)


with tempfile.TemporaryDirectory() as tmp:
    run = make_run(dunectl, tmp)
    bad = os.path.join(tmp, "hostile")
    os.makedirs(bad)
    for n in ("plans", "choice", "metrics.json", "compare.csv", "state.json", "rows.dset"):
        if os.path.exists(os.path.join(run, n)):
            os.symlink(os.path.join(run, n), os.path.join(bad, n))
    src = json.load(open(os.path.join(run, "inputs.json")))
    rows = open(src["labels"]).read().splitlines()
    first = rows[1].split(",")[1]
    with open(os.path.join(tmp, "hostile.csv"), "w") as f:
        f.write("\n".join(r.replace("," + first, "," + HOSTILE) for r in rows) + "\n")
    src["labels"] = os.path.join(tmp, "hostile.csv")
    json.dump(src, open(os.path.join(bad, "inputs.json"), "w"))
    d = start([run, bad])
    port = d.url.split(":")[2].strip("/")
    b = None
    try:
        b = open_browser(os.path.join(tmp, "profile"))
        b.get(d.url + "#token=" + TOKEN)
        t.ok(until(b, "document.getElementById('link').dataset.state === 'ok'"), "the page connects")
        t.ok(TOKEN not in js(b, "location.href"), "the token leaves the address")
        numbers(b, run)
        pictures(b)
        access(b)
        hostile(b)
        d = restart(b, d, [run, bad], port)
        logs(b, port)
    finally:
        if b:
            b.quit()
        d.stop()
t.end()
