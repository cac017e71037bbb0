// SPDX-License-Identifier: Apache-2.0
// What the browser tests share: TAP, Chromium by Playwright, a dunectl with a dashboard.
import { execFileSync, spawn } from "node:child_process";
import fs from "node:fs";
import os from "node:os";
import path from "node:path";

export const HOSTILE = "<img src=x onerror=document.title='owned'>";
export const TOKEN = "0123456789abcdef0123";

export function skipAll(reason) {
  console.log("1..0 # SKIP " + reason);
  process.exit(0);
}

export function chromium() {
  for (const dir of (process.env.PATH || "").split(":"))
    for (const name of ["chromium", "chromium-browser", "google-chrome"])
      if (dir && fs.existsSync(path.join(dir, name))) return path.join(dir, name);
  return null;
}

export class Tap {
  n = 0;
  bad = 0;
  ok(good, name, why = "") {
    this.n++;
    if (!good) {
      this.bad++;
      console.log("# " + (typeof why === "string" ? why : JSON.stringify(why)).slice(0, 1500).replaceAll("\n", "\n# "));
    }
    console.log(`${good ? "ok" : "not ok"} ${this.n} - ${name}`);
    return good;
  }
  end() {
    console.log(`1..${this.n}`);
    process.exitCode = this.bad ? 1 : 0;
  }
}

// A browser with one page; marker is part of the command line of all its processes. It asks nobody but the page's server.
export async function launch({ width = 1280, height = 1500 } = {}) {
  const { chromium: playwright } = await import("playwright-core");
  const marker = "--dune-test=" + process.pid;
  const browser = await playwright.launch({
    executablePath: chromium(), headless: true,
    args: ["--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage", "--disable-sync", "--disable-background-networking",
      "--disable-component-update", "--disable-extensions", marker],
  });
  const page = await (await browser.newContext({ viewport: { width, height }, colorScheme: "light" })).newPage();
  return { browser, page, marker };
}

// --- dunectl -------------------------------------------------------------------------------------------
export function hasDashboard(dunectl) {
  const facts = execFileSync(dunectl, ["doctor", "--json"], { encoding: "utf8", stdio: ["ignore", "pipe", "ignore"] });
  return (facts.split('"dashboard"')[1] || "").slice(0, 80).includes('"built in"');
}

// A run directory on generated traffic.
export function makeRun(dunectl, tmp) {
  const quiet = { stdio: "ignore" }, out = path.join(tmp, "run");
  execFileSync(dunectl, ["synth", "-o", path.join(tmp, "data"), "--flows", "600", "--quiet"], quiet);
  fs.writeFileSync(path.join(tmp, "e.yaml"), `name: generated
data: {train: data/train, test: data/test, labels: data/labels.csv, captures: data/captures.csv}
solutions: [none, dune]
devices: 3
budget: {leaves_sum: 20, features_distinct: 3}
effort: quick
`);
  execFileSync(dunectl, ["run", path.join(tmp, "e.yaml"), "-o", out, "--quiet"], quiet);
  return out;
}

export const metricsOf = (run) => JSON.parse(fs.readFileSync(path.join(run, "metrics.json"), "utf8"));

// `dunectl dash DIR...` on a port (0: any), with TOKEN.
export async function dash(dunectl, tmp, dirs, port = "0") {
  fs.writeFileSync(path.join(tmp, "token"), TOKEN + "\n");
  const child = spawn(dunectl, ["dash", ...dirs, "--listen", "127.0.0.1:" + port, "--token-file", path.join(tmp, "token"), "--json"],
    { stdio: ["ignore", "pipe", "pipe"] });
  let text = "";
  const ended = new Promise((ok) => child.on("exit", ok));
  const url = await new Promise((ok, no) => {
    child.stdout.on("data", (d) => {
      text += d;
      if (text.includes("\n")) ok(JSON.parse(text.split("\n")[0]).url);
    });
    child.stderr.on("data", (d) => process.stderr.write(d));
    child.on("exit", (code) => no(new Error("dunectl dash ended with status " + code)));
  });
  return { url, port: new URL(url).port, stop: async () => { child.kill("SIGINT"); return ended; } };
}

export function temporary() {
  const dir = fs.mkdtempSync(path.join(os.tmpdir(), "dune-browser-"));
  return { dir, remove: () => fs.rmSync(dir, { recursive: true, force: true }) };
}
