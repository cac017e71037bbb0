// SPDX-License-Identifier: Apache-2.0
// The dashboard in Chromium: pictures, numbers, buttons, a restart, hostile names, who is asked, who can use it.
//
//     node dash_browser.mjs DUNECTL [long]
import fs from "node:fs";
import path from "node:path";
import { createRequire } from "node:module";
import { HOSTILE, Tap, TOKEN, chromium, dash, hasDashboard, launch, makeRun, metricsOf, skipAll, temporary } from "./kit.mjs";

const [dunectl, length] = process.argv.slice(2), long = length === "long";
const require = createRequire(import.meta.url);
let axe;
try {
  require.resolve("playwright-core");
  axe = fs.readFileSync(require.resolve("axe-core/axe.min.js"), "utf8");
} catch {
  skipAll("playwright-core and axe-core are not installed: ./run setup browser");
}
if (!chromium()) skipAll("chromium is not installed");
if (!hasDashboard(dunectl)) skipAll("this build has no dashboard");
const t = new Tap();

// --- the page ------------------------------------------------------------------------------------------
const text = (page, id) => page.locator("#" + id).textContent();
// The page's policy forbids Playwright's own waiting, which evaluates text in the page.
async function until(page, expression, seconds = 60) {
  for (const end = Date.now() + seconds * 1000; Date.now() < end; await page.waitForTimeout(100)) {
    const got = await page.evaluate(expression);
    if (got) return got;
  }
  return null;
}
const view = (page, name) => page.click(`.tabs a[data-view=${name}]`);

const ask = async (page, path) => (await fetch(new URL(path, page.url()))).json();

async function press(page, useCase, solution, pace = "max") {
  const before = (await ask(page, "/api/scene")).scene || 0;
  await page.selectOption("#case", useCase);
  await page.selectOption("#solution", solution);
  await page.selectOption("#pace", pace);
  await page.click("#start");
  for (let i = 0; i < 600; i++, await page.waitForTimeout(100)) {
    const s = await ask(page, "/api/state");
    if (s.scene > before && s.state === "finished") break;
  }
  return until(page, `(w => w.includes(${JSON.stringify(solution + " ")}) && w.includes("finished"))(document.getElementById("what").textContent)`);
}

async function numbers(page, run) {
  for (const solution of ["none", "dune"]) {
    t.ok(await press(page, "generated", solution), `the button starts ${solution}`, await text(page, "answer"));
    const want = metricsOf(run).solutions[solution].flow;
    await until(page, `Math.abs(Number(document.getElementById("macro").dataset.value) - ${want.macro}) < 2e-6`, 20);
    const got = await Promise.all(["macro", "weighted", "micro"].map((k) => text(page, k)));
    t.ok(got.join() === ["macro", "weighted", "micro"].map((k) => want[k].toFixed(4)).join(), `${solution}: the F1 on the page are those of metrics.json`, got);
  }
  const rows = await page.locator("#compare tbody tr").evaluateAll((l) => l.map((r) => [r.dataset.solution, r.cells[1].textContent]));
  t.ok(JSON.stringify(rows) === JSON.stringify(Object.entries(metricsOf(run).solutions).map(([k, v]) => [k, v.flow.macro.toFixed(4)])), "so is the comparison", rows);
}

// Stop, in the middle of a slow replay; the other use case; what a wrong token gets.
async function buttons(page) {
  await page.selectOption("#solution", "dune");
  await page.selectOption("#pace", "500");
  await page.click("#start");
  t.ok(await until(page, "document.getElementById('what').textContent.includes('running') && !document.getElementById('stop').disabled"), "a slow replay runs");
  const off = "document.querySelector('#topo svg.links').style.getPropertyValue('--off')", before = await page.evaluate(off);
  t.ok(await until(page, `${off} !== ${JSON.stringify(before)}`, 10), "and its packets move", before);
  t.ok(await page.locator("#start").textContent() === "Start anew", "the button says that it would start anew");
  await page.click("#stop");
  t.ok(await until(page, "document.getElementById('what').textContent.includes('stopped')"), "Stop stops it");
  const names = await page.locator("#case option").allTextContents();
  t.ok(names.length === 2 && names[0] === "generated", "both use cases can be chosen", names);
  t.ok((await page.locator("#solution option").allTextContents()).join() === "none,dune", "and their solutions");
  await page.evaluate(() => sessionStorage.setItem("dune-token", "wrong"));
  await page.reload();
  await until(page, "document.getElementById('link').dataset.state === 'ok' && !document.getElementById('start').disabled");
  await page.click("#start");
  t.ok(await until(page, "document.getElementById('answer').textContent && !document.getElementById('token-box').hidden", 10), "a wrong token starts nothing, and the page asks for one");
  await page.fill("#token", TOKEN);
  t.ok(await until(page, "!document.getElementById('start').disabled", 10), "the right one can be typed in");
}

// The published names of the series, in the download and as the page draws them.
async function series(page, url) {
  await press(page, "generated", "dune", "x10");
  const names = ["weighted", "micro", "macro"].flatMap((k) => [k + "_overall", k + "_inst"]).concat(["latency", "t"]);
  const got = await page.evaluate(async () => (await fetch("/api/series")).json());
  t.ok(names.every((n) => Array.isArray(got[n]) && got[n].length === got.t.length) && got.t.length > 0, "the series have the published names, all of one length", Object.keys(got));
  const [download] = await Promise.all([page.waitForEvent("download"), page.click("#download")]);
  const saved = JSON.parse(fs.readFileSync(await download.path(), "utf8"));
  t.ok(download.suggestedFilename() === "series.json" && names.every((n) => n in saved), "and can be downloaded", download.suggestedFilename());
  const state = await (await fetch(url + "api/state")).json(), last = (n) => got[n][got[n].length - 1];
  t.ok(Math.abs(last("macro_overall") - state.f1.overall.macro) < 1e-5, "their last point is where the replay ended", [last("macro_overall"), state.f1.overall.macro]);
}

async function pictures(page) {
  for (const [what, css, least] of [["device cards", ".device", 1], ["links between them", "#topo svg path", 4], ["F1 lines", "#chart-f1 svg path", 3],
    ["solutions", "#compare-chart circle", 6], ["classes", ".class", 3], ["hops", "#hops tbody tr", 2], ["budgets", "#resources .meter", 3]]) {
    const got = await until(page, `document.querySelectorAll(${JSON.stringify(css)}).length >= ${least}`, 10);
    t.ok(got, `there are ${what}`, await page.locator(css).count());
  }
  const hop = await page.locator("#hops tbody tr:last-child td").allTextContents();
  t.ok(hop.length === 3 && hop.every((h) => /\d/.test(h)), "times of a hop: median, 90th and 99th percentile", hop);
  const drawn = `Draw.lines(document.getElementById("chart-lat"), [0, 0], [{ values: [1, 2], cls: "s2" }], { h: 140, label: "" }), document.querySelector("#chart-lat svg").outerHTML`;
  const still = await page.evaluate(drawn);
  t.ok(still.includes("<path") && !still.includes("NaN"), "points of the same second are drawn", still.slice(0, 600));
  const bar = await page.locator(".device .claims").first().evaluate((b) => [b.getAttribute("aria-label"), b.style.backgroundImage]);
  t.ok(bar[0].startsWith("flows decided here") && bar[1].includes("linear-gradient"), "the bar of a device has parts, and says them", bar);
  const dots = await page.locator("#topo path.flow").evaluateAll((l) => l.map((p) => [p.dataset.from, p.dataset.to, p.style.stroke]));
  const st = await ask(page, "/api/state"), coloured = (l) => l.filter((p) => p[2]).length, out = dots.filter((p) => p[1] === "-1");
  t.ok(dots.length === 4 * (st.devices.length + 1) && coloured(dots.filter((p) => p[0] === "-1")) === 0, "packets come in without a claim", dots);
  t.ok(Math.abs(coloured(out) - 4 * st.flows_claimed / st.flows) <= 1 && coloured(out) > 0, "and leave with the claims, in the colours of classes", out);
  await view(page, "plan");
  t.ok(await until(page, "(d => d && d.querySelectorAll('svg').length > 2)(document.getElementById('plan').contentDocument)"), "the plan view has its pictures");
  const plan = await page.evaluate(() => document.getElementById("plan").contentDocument.body.textContent);
  t.ok(plan.includes("The search"), "and the planner's own search", plan.slice(0, 400));
  await view(page, "flows");
  t.ok(await until(page, "document.querySelectorAll('#flows button').length > 10"), "flows are listed");
  await page.locator("#flows button").first().click();
  t.ok(await until(page, "document.querySelectorAll('#path .packet .walk li').length > 0"), "a flow shows its way through the trees");
  await view(page, "history");
  t.ok(await until(page, "document.querySelectorAll('#runs button').length >= 2"), "runs are listed");
  await page.locator("#runs button").first().click();
  t.ok(await until(page, "document.querySelectorAll('#run-chart svg path').length >= 1 || document.querySelectorAll('#run-flows tbody tr').length > 0"), "a run shows its series and flows");
}

// --- who can use it --------------------------------------------------------------------------------------
async function faults(page) {
  await page.evaluate(axe);
  return page.evaluate(async () => {
    const r = await window.axe.run(document, { runOnly: ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "best-practice"], iframes: false });
    return r.violations.filter((v) => v.impact === "serious" || v.impact === "critical")
      .map((v) => `${v.impact} ${v.id}: ${v.help} (${v.nodes.length}): ${v.nodes[0].target} ${v.nodes[0].any.map((a) => a.message).join("; ")}`);
  });
}

async function access(page) {
  for (const theme of long ? ["light", "dark"] : ["light"]) {
    while (await text(page, "theme") !== "Theme: " + theme) await page.click("#theme");
    for (const v of ["live", "plan", "flows", "history"]) {
      await view(page, v);
      await page.waitForTimeout(300);
      const bad = await faults(page);
      t.ok(!bad.length, `${v}, ${theme}: axe-core finds no serious fault`, bad.join("\n"));
    }
    const report = await page.context().newPage(); // in the plan view it runs no scripts, axe-core neither
    await report.emulateMedia({ colorScheme: theme });
    await report.goto(new URL("/report?case=generated", page.url()).href);
    const bad = await faults(report);
    t.ok(!bad.length, `the report that the plan view shows, ${theme}: nor there`, bad.join("\n"));
    await report.close();
  }
  for (const width of long ? [320, 360, 768, 1280, 2560, 3840] : [360, 2560]) {
    await page.setViewportSize({ width, height: 1200 });
    await view(page, "live");
    await page.waitForTimeout(300);
    const over = await page.evaluate(() => {
      const root = document.documentElement, out = [...document.querySelectorAll("body *")].filter((e) => !e.closest(".scroll *") && e.getBoundingClientRect().right > root.clientWidth + 1);
      return root.scrollWidth - root.clientWidth > 1 ? out.slice(0, 5).map((e) => e.tagName + "." + e.className).join("; ") || "something" : "";
    });
    t.ok(!over, `nothing sticks out at a width of ${width}`, over);
  }
  await page.setViewportSize({ width: 1280, height: 1500 });
}

// Everything can be reached and used without a mouse.
async function keyboard(page) {
  await view(page, "live");
  await page.evaluate(() => { document.activeElement.blur(); window.scrollTo(0, 0); });
  const met = new Set();
  for (let i = 0; i < 40; i++) {
    await page.keyboard.press("Tab");
    met.add(await page.evaluate(() => document.activeElement.id || document.activeElement.dataset.view || document.activeElement.className));
  }
  const missing = ["skip", "live", "plan", "flows", "history", "theme", "case", "solution", "pace", "start", "download"].filter((n) => !met.has(n));
  t.ok(!missing.length, "the keyboard reaches every control", missing);
  await page.focus(".tabs a[data-view=flows]");
  await page.keyboard.press("Enter");
  // The page follows the address, which changes a moment after the key.
  const followed = await page.locator("#view-flows").waitFor({ state: "visible", timeout: 5000 }).then(() => true, () => false);
  t.ok(followed, "and Enter follows a tab");
}

// --- bad days ----------------------------------------------------------------------------------------------
async function hostile(page, dir) {
  t.ok(await press(page, "generated (" + dir.slice(0, 60) + ")", "dune"), "a use case with a hostile class name");
  await view(page, "flows");
  await page.fill("#q", "");
  await page.click("#search button");
  t.ok(await until(page, "[...document.querySelectorAll('#flows td')].some((c) => c.textContent.startsWith('<img'))"), "shows it as text");
  t.ok(await page.evaluate(() => document.images.length === 1 && document.title !== "owned"), "and runs nothing of it");
  await view(page, "live");
}

async function restart(page, d, tmp, dirs) {
  await d.stop();
  t.ok(await until(page, "document.getElementById('link').dataset.state === 'lost' && !document.getElementById('banner').hidden"), "a lost server is shown");
  const again = await dash(dunectl, tmp, dirs, d.port);
  t.ok(await until(page, "document.getElementById('link').dataset.state === 'ok'", 90), "the page finds the next one");
  t.ok(await until(page, "document.getElementById('banner').textContent.includes('started again')", 10), "and says that it is another");
  t.ok(await press(page, "generated", "none"), "its buttons work there");
  return again;
}

// A copy of a run directory whose labels have a hostile class.
function hostileRun(tmp, run) {
  const dir = path.join(tmp, "hostile"), src = JSON.parse(fs.readFileSync(path.join(run, "inputs.json"), "utf8"));
  fs.mkdirSync(dir);
  for (const n of ["plans", "choice", "metrics.json", "compare.csv", "state.json", "rows.dset"])
    if (fs.existsSync(path.join(run, n))) fs.symlinkSync(path.join(run, n), path.join(dir, n));
  const rows = fs.readFileSync(src.labels, "utf8").split("\n"), first = rows[1].split(",")[1];
  src.labels = path.join(tmp, "hostile.csv");
  fs.writeFileSync(src.labels, rows.map((r) => r.replace("," + first, "," + HOSTILE)).join("\n"));
  fs.writeFileSync(path.join(dir, "inputs.json"), JSON.stringify(src));
  return dir;
}

const { dir: tmp, remove } = temporary();
let d = null, b = null;
try {
  const run = makeRun(dunectl, tmp), dirs = [run, hostileRun(tmp, run)];
  d = await dash(dunectl, tmp, dirs);
  b = await launch();
  const { page } = b, asked = new Set(), errors = [], lost = /ERR_CONNECTION_REFUSED|ERR_INCOMPLETE_CHUNKED|ERR_EMPTY_RESPONSE|ERR_CONNECTION_RESET|status of 40[13]/;
  page.on("request", (r) => asked.add(r.url()));
  page.on("console", (m) => { if (m.type() === "error" && !lost.test(m.text())) errors.push(m.text()); });
  page.on("pageerror", (e) => errors.push(String(e)));
  await page.goto(d.url + "#token=" + TOKEN);
  t.ok(await until(page, "document.getElementById('link').dataset.state === 'ok'"), "the page connects");
  t.ok(!page.url().includes(TOKEN), "the token leaves the address");
  await numbers(page, run);
  await buttons(page);
  await series(page, d.url);
  await pictures(page);
  await access(page);
  await keyboard(page);
  await hostile(page, dirs[1]);
  d = await restart(page, d, tmp, dirs);
  t.ok(!errors.length, "no errors in the console but those of the lost server and the wrong token", errors.join("\n"));
  const foreign = [...asked].filter((u) => !u.startsWith(`http://127.0.0.1:${d.port}/`) && !/^(data|about|blob):/.test(u));
  t.ok(asked.size && !foreign.length, `nobody else is asked (${asked.size} addresses)`, foreign.join("\n"));
} finally {
  if (b) await b.browser.close();
  if (d) await d.stop();
  remove();
}
t.end();
