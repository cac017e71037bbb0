// SPDX-License-Identifier: Apache-2.0
// What the dashboard's page costs a browser: 32 devices, 30 classes, 10 states a second, made here.
//
//     node page_cost.mjs [SECONDS [DEVICES [WIDTH HEIGHT]]]
//
// Prints the share of one core that each of Chromium's processes took, and what the page's own thread did with it.
import fs from "node:fs";
import http from "node:http";
import path from "node:path";
import { fileURLToPath } from "node:url";
import { launch } from "./kit.mjs";

const [seconds, n, width, height] = [20, 32, 1280, 1000].map((v, i) => Number(process.argv[2 + i] || v));
const assets = path.join(path.dirname(fileURLToPath(import.meta.url)), "../../src/dash/assets");
const types = { ".html": "text/html", ".css": "text/css", ".js": "text/javascript", ".svg": "image/svg+xml" };
const classes = [...Array(30)].map((_, i) => "class of devices " + i);
const scene = {
  boot: "1", scene: 1, title: "made up", use_case: "made up", solution: "dune", source: "replay", pace: "x1", window_s: 10, control: true,
  cases: [{ name: "made up", solutions: ["none", "dune"], report: false }], classes,
  devices: [...Array(n)].map((_, i) => ({
    name: "s" + (i + 1), position: i % 8, next: i + 8 < n ? i + 8 : -1, leaves: 120, budget_leaves: 129, features: 6, budget_features: 6,
    published_blocks: 30, software_bytes: 40000,
    submodels: [{ id: i, trees: 1, leaves: 120, n: 3, classes: classes.slice(i % 25, i % 25 + 5), features: ["ip.len", "dstport"] }],
  })),
};
let tick = 0;
function state() {
  const t = ++tick, wave = (k) => 0.5 + 0.4 * Math.sin(t / 17 + k), f1 = (k) => ({ macro: wave(k), weighted: wave(k + 1), micro: wave(k + 2), coverage: wave(k + 3) });
  return {
    boot: "1", scene: 1, state: "running", seconds: t / 10, packets: t * 1234, flows: t * 100, flows_claimed: t * 90, bytes: t * 777777, inferable: t * 1200,
    claimed: t * 1000, pl: t * 500, fl: t * 600, collided: t * 3, lost: 0, text: "", capture: "one.pcap", packets_expected: 5e6, n_classes_seen: 30,
    f1: { overall: f1(0), window: f1(3), packet: f1(5) }, latency_ns: { p50: 2000 + t % 100, p90: 3000 + t % 90, p99: 9000 + t % 333 },
    devices: scene.devices.map((d, i) => ({
      state: "ok", in: t * (900 + i), inferred: t * (300 + i), passed: t * (500 + i), rule_hit: t, flows: t * 3 + i, slots: 32768,
      slots_used: (t * (7 + i)) % 32768, p50_ns: 300 + (t * (i + 1)) % 97, p90_ns: 500 + (t * (i + 3)) % 97, p99_ns: 900 + (t * (i + 5)) % 997,
      claims: [...Array(6)].map((_, k) => [(i + k) % 30, Math.round(t * wave(i + k))]).concat([[-2, t]]),
    })),
    classes: classes.map((_, k) => [k, Math.round(t * 10 * wave(k)), wave(k)]),
  };
}
function point(i) {
  const s = state();
  return { i, t: i + 1, macro_overall: s.f1.overall.macro, weighted_overall: s.f1.overall.weighted, micro_overall: s.f1.overall.micro, macro_inst: s.f1.window.macro,
    weighted_inst: s.f1.window.weighted, micro_inst: s.f1.window.micro, latency: 2 + Math.sin(i), coverage: 0.9, pps: 12340 + 100 * Math.sin(i), packets: i, flows: i };
}

const empty = { ...point(0) };
const series = Object.fromEntries(Object.keys(empty).filter((k) => k !== "i").map((k) => [k, []]));
const server = http.createServer((req, res) => {
  const url = new URL(req.url, "http://x").pathname;
  if (url === "/api/events") {
    res.writeHead(200, { "Content-Type": "text/event-stream", "Cache-Control": "no-store" });
    const send = (name, data) => res.write(`event: ${name}\ndata: ${JSON.stringify(data)}\n\n`);
    send("scene", scene);
    send("note", { notes: [{ at_ms: Date.now(), text: "began" }] });
    let i = 0;
    const fast = setInterval(() => send("state", state()), 100), slow = setInterval(() => send("series", point(i++)), 1000);
    req.on("close", () => { clearInterval(fast); clearInterval(slow); });
    return;
  }
  if (url === "/api/series") { res.writeHead(200, { "Content-Type": "application/json" }); res.end(JSON.stringify(series)); return; }
  const file = path.join(assets, url === "/" ? "index.html" : path.basename(url));
  if (!fs.existsSync(file)) { res.writeHead(404); res.end("{}"); return; }
  res.writeHead(200, { "Content-Type": types[path.extname(file)] || "text/plain" });
  res.end(fs.readFileSync(file));
});
await new Promise((ok) => server.listen(0, "127.0.0.1", ok));

// CPU seconds of Chromium's processes by kind: the one whose command line has our mark, and all that it started.
function cpu() {
  const all = new Map(), out = {};
  for (const pid of fs.readdirSync("/proc").filter((p) => /^\d+$/.test(p))) {
    try {
      const args = fs.readFileSync(`/proc/${pid}/cmdline`, "utf8"), stat = fs.readFileSync(`/proc/${pid}/stat`, "utf8").split(") ")[1].split(" ");
      all.set(pid, { args, parent: stat[1], used: (Number(stat[11]) + Number(stat[12])) / 100 });
    } catch { /* it has ended */ }
  }
  const ours = (p) => p && (p.args.includes(marker) || ours(all.get(p.parent)));
  for (const p of all.values()) {
    if (!ours(p)) continue;
    const kind = (/--type=([a-z-]+)/.exec(p.args) || [null, "browser"])[1];
    out[kind] = (out[kind] || 0) + p.used;
  }
  return out;
}
const { browser, page, marker } = await launch({ width, height });
await page.goto(`http://127.0.0.1:${server.address().port}/#token=0123456789abcdef`);
await page.waitForSelector(".device");
await page.waitForTimeout(3000);
const cdp = await page.context().newCDPSession(page);
await cdp.send("Performance.enable");
const metrics = async () => Object.fromEntries((await cdp.send("Performance.getMetrics")).metrics.map((m) => [m.name, m.value]));
const m0 = await metrics(), c0 = cpu(), t0 = process.hrtime.bigint();
await page.waitForTimeout(seconds * 1000);
const m1 = await metrics(), c1 = cpu(), dt = Number(process.hrtime.bigint() - t0) / 1e9;
const part = (a, b) => (100 * (b - a) / dt).toFixed(1) + " %";
console.log(`${n} devices, 30 classes, ${width} x ${height}, ${dt.toFixed(0)} s; of one core:`);
for (const k of Object.keys(c1)) console.log(`  ${k}: ${part(c0[k] || 0, c1[k])}`);
console.log(`  renderer and gpu-process: ${part((c0.renderer || 0) + (c0["gpu-process"] || 0), (c1.renderer || 0) + (c1["gpu-process"] || 0))}`);
console.log("the page's thread: " + [["script", "ScriptDuration"], ["style", "RecalcStyleDuration"], ["layout", "LayoutDuration"], ["all tasks", "TaskDuration"]]
  .map(([w, k]) => `${w} ${part(m0[k], m1[k])}`).join(", ") + `; ${((m1.LayoutCount - m0.LayoutCount) / dt).toFixed(1)} layouts/s`);
if (process.env.SHOT) await page.screenshot({ path: process.env.SHOT, fullPage: true });
await browser.close();
server.closeAllConnections();
server.close();
