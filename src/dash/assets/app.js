/* SPDX-License-Identifier: Apache-2.0 */
/* The dashboard's page: one stream of events in, pictures out. Names of classes and devices are text, never markup. */
"use strict";

(() => {
  const { el, svg, text, count, short, share, time, f1, hue, colour, lines, legend } = Draw;
  const $ = (id) => document.getElementById(id);
  const now = { scene: null, state: null, boot: null, series: null, dirty: false, chartDirty: false, seen: 0, rates: [], metrics: {}, live: {} };

  /* --- theme ------------------------------------------------------------------------------------------------ */
  const themes = ["auto", "light", "dark"];
  function setTheme(name) {
    if (name === "auto") document.documentElement.removeAttribute("data-theme");
    else document.documentElement.dataset.theme = name;
    text($("theme"), "Theme: " + name);
    try { localStorage.setItem("dune-theme", name); } catch { /* private windows */ }
  }
  let theme = "auto";
  try { theme = localStorage.getItem("dune-theme") || "auto"; } catch { /* private windows */ }
  if (!themes.includes(theme)) theme = "auto";
  setTheme(theme);
  $("theme").addEventListener("click", () => { theme = themes[(themes.indexOf(theme) + 1) % 3]; setTheme(theme); });

  /* --- token: from the address once, then only in this tab ------------------------------------------------------- */
  let token = "";
  try { token = sessionStorage.getItem("dune-token") || ""; } catch { /* private windows */ }
  const given = /^#token=([!-~]+)$/.exec(location.hash);
  if (given) {
    token = decodeURIComponent(given[1]);
    try { sessionStorage.setItem("dune-token", token); } catch { /* private windows */ }
    history.replaceState(null, "", location.pathname + "#live");
  }
  $("token").addEventListener("input", () => {
    token = $("token").value.trim();
    try { sessionStorage.setItem("dune-token", token); } catch { /* private windows */ }
    buttons();
  });

  async function ask(path) {
    const r = await fetch(path, { cache: "no-store" });
    let body = null;
    try { body = await r.json(); } catch { /* not JSON: told below */ }
    if (!r.ok) throw new Error(body && body.error ? body.error : "the dashboard answered " + r.status);
    return body;
  }
  async function command(path, body) {
    $("answer").className = "";
    text($("answer"), "");
    let r, reply = null;
    try {
      r = await fetch(path, { method: "POST", headers: { "Content-Type": "application/json", Authorization: "Bearer " + token }, body: JSON.stringify(body) });
    } catch { text($("answer"), "the dashboard does not answer"); return false; }
    try { reply = await r.json(); } catch { /* told below */ }
    if (!r.ok) text($("answer"), reply && reply.error ? reply.error : "the dashboard answered " + r.status);
    if (r.status === 401 || r.status === 403) { token = ""; buttons(); $("token").focus(); }
    return r.ok;
  }

  /* --- views -------------------------------------------------------------------------------------------------------- */
  const views = ["live", "plan", "flows", "history"];
  function view() {
    const want = location.hash.slice(1).split("?")[0], name = views.includes(want) ? want : "live";
    for (const v of views) $("view-" + v).hidden = v !== name;
    for (const a of document.querySelectorAll(".tabs a"))
      if (a.dataset.view === name) a.setAttribute("aria-current", "page"); else a.removeAttribute("aria-current");
    if (name === "plan") showPlan();
    if (name === "history") showRuns();
    if (name === "flows" && !$("flows").rows.length) searchFlows();
    if (name === "live") { now.chartDirty = true; draw(); topoLinks(); }
    return name;
  }
  window.addEventListener("hashchange", view);

  /* --- controls ------------------------------------------------------------------------------------------------------ */
  function options(select, names) {
    const old = select.value;
    if (select.options.length !== names.length || names.some((n, i) => select.options[i].value !== n)) {
      select.replaceChildren(...names.map((n) => el("option", { value: n, text: n })));
      if (names.includes(old)) select.value = old;
    }
  }
  const current = () => (now.scene && now.scene.cases.find((c) => c.name === $("case").value)) || null;
  function buttons() {
    const s = now.scene, can = s && s.control && s.cases.length > 0;
    $("controls").hidden = !can;
    if (!can) return;
    const running = now.state && now.state.state === "running";
    $("token-box").hidden = token !== "";
    $("start").disabled = token === "";
    text($("start"), running ? "Start anew" : "Start");
    $("stop").disabled = token === "" || !running;
  }
  function controls() {
    const s = now.scene;
    options($("case"), s.cases.map((c) => c.name));
    if (s.use_case && !controls.touched && s.cases.some((c) => c.name === s.use_case)) $("case").value = s.use_case;
    const c = current();
    if (c) {
      options($("solution"), c.solutions);
      if (!controls.touched) {
        if (s.solution && c.solutions.includes(s.solution)) $("solution").value = s.solution;
        else if (c.solutions.includes("dune")) $("solution").value = "dune";
      }
    }
    buttons();
    compare();
  }
  $("case").addEventListener("change", () => { controls.touched = true; const c = current(); if (c) options($("solution"), c.solutions); compare(); showPlan(); });
  $("solution").addEventListener("change", () => { controls.touched = true; });
  $("controls").addEventListener("submit", async (ev) => {
    ev.preventDefault();
    controls.touched = false;
    if (await command("/api/start", { use_case: $("case").value, solution: $("solution").value, pace: $("pace").value })) {
      $("answer").className = "fine";
      text($("answer"), "started");
    }
  });
  $("stop").addEventListener("click", async () => {
    if (await command("/api/stop", {})) { $("answer").className = "fine"; text($("answer"), "stopped"); }
  });

  /* --- topology -------------------------------------------------------------------------------------------------------- */
  const cards = [];
  function className(i) { return now.scene && now.scene.classes[i] !== undefined ? now.scene.classes[i] : "class " + i; }

  function deviceCard(d, i) {
    const bar = el("div", { class: "bar claims", role: "img" }), fillBar = el("div", { class: "bar filled", "aria-hidden": "true" });
    const dd = {}, dl = el("dl");
    for (const [key, name] of [["rate", "packets/s"], ["judged", "judged"], ["passed", "passed"], ["table", "slots"], ["hop", "p50 / p99"]]) {
      dd[key] = el("dd", { text: "\u2013" });
      dl.append(el("dt", { text: name }), dd[key]);
    }
    const subs = el("div", { class: "subs" });
    for (const sm of d.submodels) {
      const p = el("p", { text: `sub-model ${sm.id}: ${sm.trees} ${sm.trees === 1 ? "tree" : "trees"}, ${sm.leaves} leaves, from packet ${sm.n} ` });
      for (const c of sm.classes.slice(0, 24)) {
        const at = now.scene.classes.indexOf(c);
        p.append(el("span", { class: "chip" }, [hue(el("i"), at < 0 ? 0 : at), c]));
      }
      if (sm.classes.length > 24) p.append(`and ${sm.classes.length - 24} more`);
      p.title = sm.features.join(", ");
      subs.append(p);
    }
    if (!d.submodels.length) subs.append(el("p", { text: "no sub-model: forwards only" }));
    const health = el("span", { class: "health", text: "" }), part = el("span", { class: "share", text: "\u2013" }), word = el("span", { class: "sub", text: " of the flows" });
    const node = el("article", { class: "device", "aria-label": "device " + d.name }, [
      el("div", { class: "head" }, [el("h3", { text: d.name }), health]), el("p", {}, [part, word]), bar, dl, fillBar, subs]);
    cards[i] = { node, bar, dd, health, part, fill: fillBar };
    return node;
  }

  function topo() {
    const s = now.scene, box = $("topo");
    cards.length = 0;
    box.replaceChildren();
    if (!s || !s.devices) { box.append(el("p", { class: "empty", text: "Nothing runs yet. Choose a use case and a solution above and press Start." })); return; }
    const levels = new Map();
    s.devices.forEach((d, i) => { if (!levels.has(d.position)) levels.set(d.position, []); levels.get(d.position).push(i); });
    box.classList.toggle("many", s.devices.length > 8);
    box.append(svg("svg", { class: "links", "aria-hidden": "true" }));
    const end = (name, id) => el("div", { class: "column end" }, [el("div", { id, text: name })]);
    box.append(end("source", "end-src"));
    for (const pos of [...levels.keys()].sort((a, b) => a - b))
      box.append(el("div", { class: "column" }, levels.get(pos).map((i) => deviceCard(s.devices[i], i))));
    box.append(end("sink", "end-snk"));
    topoLinks();
  }

  /* Lines between the cards, wherever the page has put them. */
  function topoLinks() {
    const s = now.scene, box = $("topo"), g = box.querySelector("svg.links");
    if (!g || !s || !s.devices || $("view-live").hidden) return;
    g.setAttribute("width", 0); /* else its own old size would count */
    g.setAttribute("height", 0);
    const at = box.getBoundingClientRect(), down = getComputedStyle(box).flexDirection === "column", first = Math.min(...s.devices.map((d) => d.position));
    const ends = (n) => { const r = n.getBoundingClientRect(); return { l: r.left - at.left + box.scrollLeft, r: r.right - at.left + box.scrollLeft, t: r.top - at.top, b: r.bottom - at.top, x: (r.left + r.right) / 2 - at.left + box.scrollLeft, y: (r.top + r.bottom) / 2 - at.top }; };
    const path = (a, b) => {
      const p = ends(a), q = ends(b);
      if (down) return `M${p.x} ${p.b}C${p.x} ${(p.b + q.t) / 2} ${q.x} ${(p.b + q.t) / 2} ${q.x} ${q.t}`;
      return `M${p.r} ${p.y}C${(p.r + q.l) / 2} ${p.y} ${(p.r + q.l) / 2} ${q.y} ${q.l} ${q.y}`;
    };
    const kids = [], [n, gap] = s.devices.length > 8 ? [1, 14] : [4, 10]; /* many: less to paint */
    links.length = 0;
    s.devices.forEach((d, i) => {
      if (!cards[i]) return;
      const add = (a, b, from, to) => {
        const dd = path(a, b), dots = [];
        for (let k = 0; k < n; k++) dots.push(svg("path", { d: dd, class: "flow", "stroke-dasharray": `.1 ${n * gap - 0.1}`, "data-from": from, "data-to": to }));
        dots.forEach((p, k) => p.style.setProperty("--at", -k * gap + "px"));
        kids.push(svg("path", { d: dd }), ...dots);
        links.push({ from, to, dots });
      };
      if (d.position === first) add($("end-src"), cards[i].node, -1, i);
      const next = d.next >= 0 && cards[d.next] ? d.next : -1;
      add(cards[i].node, next >= 0 ? cards[next].node : $("end-snk"), i, next);
    });
    g.setAttribute("width", box.scrollWidth);
    g.setAttribute("height", box.scrollHeight);
    g.replaceChildren(...kids);
    if (now.state) carried(now.state);
  }

  /* What travels on a link: of its dots as many have the colours of classes as flows there get their class from a device before
   * it, in the proportions of these classes. */
  const links = [];
  /* Which of several weights comes next, so that all come in proportion and mixed. */
  function turnOf(credit, weights) {
    let best = 0, sum = 0;
    weights.forEach((w, i) => { credit[i] = (credit[i] || 0) + w; sum += w; if (credit[i] > credit[best]) best = i; });
    credit[best] -= sum;
    return best;
  }
  function decidedBefore(st) {
    const s = now.scene, up = s.devices.map((d, i) => new Map(st.devices[i] ? st.devices[i].claims.filter((c) => c[0] >= 0) : []));
    const order = s.devices.map((d, i) => i).sort((a, b) => s.devices[a].position - s.devices[b].position);
    for (const i of order) {
      const to = up[s.devices[i].next];
      if (to) for (const [k, n] of up[i]) to.set(k, (to.get(k) || 0) + n);
    }
    return up;
  }
  function carried(st) {
    const s = now.scene;
    if (!s || !s.devices || st.devices.length !== s.devices.length) return;
    const up = decidedBefore(st), flows = st.devices.reduce((n, d) => n + d.flows, 0);
    for (const l of links) {
      const d = st.devices[l.from], here = d && st.packets ? flows * Math.min(1, d.in / st.packets) : 0;
      const part = here ? Math.min(1, [...up[l.from].values()].reduce((n, v) => n + v, 0) / here) : 0;
      const classes = l.from < 0 ? [] : [...up[l.from]], settled = [], which = [];
      for (const p of l.dots) {
        const claim = turnOf(settled, [1 - part, part]) === 1 && classes.length > 0;
        const v = claim ? colour(classes[turnOf(which, classes.map((c) => c[1]))][0]) : "";
        if (p.dataset.v !== v) { p.style.stroke = v; p.dataset.v = v; }
      }
    }
  }
  /* The dots move with every picture that is drawn anyway: an animation would draw sixty a second. */
  const still = matchMedia("(prefers-reduced-motion: reduce)");
  let phase = 0, turn = 0;
  function moving() {
    const g = document.querySelector("#topo svg.links");
    if (!g || still.matches || !now.state || now.state.state !== "running") return;
    if (now.state.devices.length > 8 && turn % 4 !== 1) return; /* much to paint */
    phase = (phase + 2.5) % 280;
    g.style.setProperty("--off", (-phase).toFixed(1) + "px");
  }
  new ResizeObserver(() => { topoLinks(); now.chartDirty = true; draw(); }).observe($("topo"));

  /* --- numbers ----------------------------------------------------------------------------------------------------------- */
  /* A bar of parts as one background: nothing is laid out when they change. k: class; -1: others, -2: none. */
  function stacked(bar, parts, total) {
    let at = 0;
    const stops = parts.filter((p) => p.n > 0 && total > 0).map((p) => {
      const from = at;
      at += 100 * p.n / total;
      return `${p.k >= 0 ? colour(p.k) : p.k === -2 ? "var(--none)" : "var(--accent)"} ${from.toFixed(1)}% ${at.toFixed(1)}%`;
    });
    const v = stops.length ? `linear-gradient(to right, ${stops.join(", ")}, transparent ${at.toFixed(1)}%)` : "";
    if (bar.dataset.v !== v) { bar.style.backgroundImage = v; bar.dataset.v = v; }
  }
  function filled(bar, part) {
    const v = (100 * Math.min(1, Math.max(0, part))).toFixed(1) + "% 100%";
    if (bar.dataset.v !== v) { bar.style.backgroundSize = v; bar.dataset.v = v; }
  }
  function label(node, value) { if (node.getAttribute("aria-label") !== value) node.setAttribute("aria-label", value); }

  /* Rates by the difference to the state a second and a half ago. */
  function rate(st) {
    const r = now.rates;
    if (r.length && (r[r.length - 1].scene !== st.scene || r[r.length - 1].seconds > st.seconds)) r.length = 0;
    if (!r.length || st.seconds > r[r.length - 1].seconds)
      r.push({ scene: st.scene, seconds: st.seconds, packets: st.packets, flows: st.flows, dev: st.devices.map((d) => d.in) });
    while (r.length > 2 && st.seconds - r[0].seconds > 1.5) r.shift();
    const a = r[0], dt = st.seconds - a.seconds;
    if (st.state !== "running" || dt < 0.05) return { pps: 0, fps: 0, dev: st.devices.map(() => 0) };
    return { pps: (st.packets - a.packets) / dt, fps: (st.flows - a.flows) / dt, dev: st.devices.map((d, i) => (d.in - (a.dev[i] || 0)) / dt) };
  }

  function value(id, shown, raw) {
    text($(id), shown);
    if (raw !== undefined) $(id).dataset.value = raw;
  }

  function tiles(st, r) {
    const scored = st.f1 !== null;
    $("view-live").classList.toggle("unscored", !scored);
    if (scored)
      for (const k of ["macro", "weighted", "micro"]) {
        value(k, f1(st.f1.overall[k]), st.f1.overall[k]);
        value(k + "-win", f1(st.f1.window[k]), st.f1.window[k]);
      }
    const cov = scored ? st.f1.overall.coverage : st.inferable ? st.claimed / st.inferable : NaN;
    value("coverage", share(cov), cov);
    text($("coverage-sub"), scored ? "of the labelled traffic has a class" : "of the judged packets have a class");
    value("pps", st.state === "running" ? short(r.pps) + "/s" : short(st.packets), st.packets);
    text($("packets-sub"), `${count(st.packets)} in all, ${short(st.bytes)}B`);
    value("fps", st.state === "running" ? short(r.fps) + "/s" : short(st.flows), st.flows);
    text($("flows-sub"), `${count(st.flows)} flows, ${count(st.flows_claimed)} with a class`);
    const judged = st.pl + st.fl, none = Math.max(0, st.inferable - judged);
    text($("phase"), st.inferable ? `flow ${share(st.fl / st.inferable, 0)}, packet ${share(st.pl / st.inferable, 0)}` : "\u2013");
    stacked($("phase-bar"), [{ k: 2, n: st.fl }, { k: 0, n: st.pl }, { k: -2, n: none }], st.inferable);
    label($("phase-bar"), `${count(st.fl)} packets judged at flow level, ${count(st.pl)} at packet level, ${count(none)} not at all`);
    value("latency", time(st.latency_ns.p50), st.latency_ns.p50);
    text($("latency-sub"), st.latency_ns.p50 ? `median; p90 ${time(st.latency_ns.p90)}, p99 ${time(st.latency_ns.p99)}` : "not measured");
    value("collisions", short(st.collided), st.collided);
    text($("collisions-sub"), st.inferable ? `${share(st.collided / st.inferable, 2)} of the packets had no slot` : "packets without a slot");
  }

  /* Of many devices every other picture renews half; sentences for screen readers change once a second. */
  const busy = (st) => st.state === "running" && st.devices.length > 8;
  function devices(st, r) {
    const few = st.devices.length <= 8, parts = busy(st) ? 2 : 1, part = (turn >> 1) % 2;
    const all = st.devices.reduce((n, d) => n + d.flows, 0);
    st.devices.forEach((d, i) => {
      const c = cards[i];
      if (!c || i % parts !== part % parts) return;
      if (c.node.dataset.state !== d.state) c.node.dataset.state = d.state;
      text(c.health, d.state === "ok" ? "\u25cf ok" : "\u25b2 " + d.state);
      const mine = d.claims.filter((x) => x[0] !== -2).reduce((n, x) => n + x[1], 0);
      text(c.part, all ? share(mine / all) : "\u2013");
      stacked(c.bar, d.claims.map((x) => ({ k: x[0], n: x[1] })), all);
      if ((turn >> 2) % 3 === 0 || st.state !== "running") label(c.bar, d.claims.length ? "flows decided here: " + d.claims.map((x) => `${x[0] >= 0 ? className(x[0]) : x[0] === -1 ? "others" : "no class"} ${x[1]}`).join(", ") : "no flow decided here yet");
      filled(c.fill, d.slots ? d.slots_used / d.slots : 0);
      if (few) details(c.dd, d, st.state === "running" ? short(r.dev[i]) : "\u2013");
    });
    if ((turn >> 1) % 4 === 0 || st.state !== "running") carried(st);
    moving();
  }
  function details(dd, d, pps) {
    text(dd.rate, pps);
    text(dd.judged, short(d.inferred));
    text(dd.passed, short(d.passed + d.rule_hit));
    text(dd.table, d.slots ? `${short(d.slots_used)} (${share(d.slots_used / d.slots, 2)})` : short(d.slots_used));
    text(dd.hop, `${time(d.p50_ns)} / ${time(d.p99_ns)}`);
  }

  const rows = new Map();
  function classes(st) {
    const box = $("classes"), max = st.classes.reduce((m, c) => Math.max(m, c[1]), 0);
    if (classes.scene !== st.scene) { rows.clear(); box.replaceChildren(); classes.scene = st.scene; classes.order = null; }
    const want = st.classes.slice(0, 48).map((c) => c[0]).sort((a, b) => a - b);
    if (classes.order !== want.join()) {
      classes.order = want.join();
      for (const id of want) if (!rows.has(id)) {
        const bar = hue(el("div", { class: "bar filled", "aria-hidden": "true" }), id), n = el("b"), f = el("em");
        rows.set(id, { node: el("div", { class: "class" }, [hue(el("i"), id), el("span", { class: "name", text: className(id), title: className(id) }), bar, n, f]), bar, n, f });
      }
      box.replaceChildren(...want.map((id) => rows.get(id).node));
    }
    for (const c of st.classes.slice(0, 48)) {
      const row = rows.get(c[0]);
      if (!row) continue;
      filled(row.bar, max ? c[1] / max : 0);
      text(row.n, short(c[1]));
      text(row.f, c[2] === null ? "" : c[2].toFixed(3));
    }
    text($("classes-sub"), `flows by verdict${st.f1 ? ", and F1 of the class" : ""}${st.n_classes_seen > 48 ? `; the 48 largest of ${count(st.n_classes_seen)}` : ""}`);
  }

  function hops(st) {
    const s = now.scene, t = $("hops");
    if (!s || !s.devices) return;
    if (t.dataset.scene !== String(s.scene)) {
      t.dataset.scene = s.scene;
      t.replaceChildren(el("thead", {}, [el("tr", {}, [el("th", { scope: "col", text: "hop" }), el("th", { scope: "col", text: "p50" }), el("th", { scope: "col", text: "p90" }), el("th", { scope: "col", text: "p99" })])]),
        el("tbody", {}, [...s.devices.map((d) => d.name), "whole chain"].map((n) => el("tr", {}, [el("th", { scope: "row", text: n }), el("td"), el("td"), el("td")]))));
      resources();
    }
    const body = t.tBodies[0];
    st.devices.forEach((d, i) => { const c = body.rows[i].cells; text(c[1], time(d.p50_ns)); text(c[2], time(d.p90_ns)); text(c[3], time(d.p99_ns)); });
    const c = body.rows[body.rows.length - 1].cells, l = st.latency_ns;
    text(c[1], time(l.p50)); text(c[2], time(l.p90)); text(c[3], time(l.p99));
  }

  function meter(used, budget) {
    if (!budget) return el("td", { text: count(used) });
    const fillEl = el("span"), m = el("span", { class: "meter" + (used > budget ? " over" : ""), "aria-hidden": "true" }, [fillEl]);
    fillEl.style.width = Math.min(100, 100 * used / budget).toFixed(1) + "%";
    return el("td", {}, [m, `${count(used)} of ${count(budget)}`]);
  }
  function resources() {
    const s = now.scene, t = $("resources");
    if (!s || !s.devices) return;
    t.replaceChildren(el("thead", {}, [el("tr", {}, ["device", "leaves", "features", "blocks (published)", "bytes in software"].map((h) => el("th", { scope: "col", text: h })))]),
      el("tbody", {}, s.devices.map((d) => el("tr", {}, d.leaves === undefined
        ? [el("th", { scope: "row", text: d.name }), el("td", { text: "no plan", colspan: 4 })]
        : [el("th", { scope: "row", text: d.name }), meter(d.leaves, d.budget_leaves), meter(d.features, d.budget_features), meter(d.published_blocks, 288), el("td", { text: short(d.software_bytes) + "B" })]))));
  }

  function header(st) {
    const s = now.scene;
    const bits = s ? [s.use_case, s.solution, s.source === "replay" && s.pace ? "replay, " + s.pace : s.source].filter(Boolean) : [];
    text($("what"), bits.length ? bits.join(" \u00b7 ") + (st ? " \u00b7 " + st.state : "") : (s ? s.title : ""));
    if (!st || st.state !== "running" || turn % 10 === 0) /* a new title is work for the whole browser */
      document.title = (st && st.f1 && st.state === "running" ? f1(st.f1.overall.macro) + " " : "") + "DUNE" + (s && s.solution ? " " + s.solution : "");
    if (!st) return;
    text($("progress"), [st.state, st.seconds.toFixed(st.state === "running" ? 0 : 1) + " s", st.capture ? "capture " + st.capture : null,
      st.packets_expected ? `${share(st.packets / st.packets_expected, 0)} of the packets` : null, st.lost ? count(st.lost) + " packets lost" : null, st.text].filter(Boolean).join(" \u00b7 "));
  }

  /* What is out of sight is written every two seconds, for those who search the page or have it read to them. */
  const sight = new Map();
  const watch = new IntersectionObserver((list) => { for (const e of list) { sight.set(e.target.id, e.isIntersecting); if (e.isIntersecting) draw(); } }, { rootMargin: "200px" });
  for (const id of ["classes", "hops"]) watch.observe($(id));
  function due(id, st, every) { return st.state !== "running" || turn % (sight.get(id) ? every : 20) === (sight.get(id) ? 1 : 0); }

  /* Asks for one picture when there is something new; a page that nobody sees draws nothing. Of many devices there are seven
     pictures a second at most, whatever comes in. */
  let asked = false, drawn = 0;
  const frame = () => requestAnimationFrame((t) => { asked = false; drawn = t; render(); });
  function draw() {
    now.dirty = true;
    if (asked) return;
    asked = true;
    const early = now.state && busy(now.state) ? 140 - (performance.now() - drawn) : 0;
    if (early > 8) setTimeout(frame, early); else frame();
  }
  function render() {
    if (!now.dirty) return;
    now.dirty = false;
    header(now.state);
    buttons();
    if (!now.state || $("view-live").hidden) return;
    const st = now.state, r = rate(st);
    /* With many devices figures and devices take turns: a picture costs what changes in it, and the area around it. */
    turn = (turn + 1) % 40;
    if (!busy(st) || turn % 2 === 0) tiles(st, r);
    if (!busy(st) || turn % 2 === 1) devices(st, r);
    if (due("classes", st, 4)) classes(st);
    if (due("hops", st, 4)) hops(st);
    if (now.chartDirty) { now.chartDirty = false; charts(); }
  }

  /* --- series ---------------------------------------------------------------------------------------------------------------- */
  const NAMES = ["macro_overall", "weighted_overall", "micro_overall", "macro_inst", "weighted_inst", "micro_inst", "latency", "pps"];
  let seriesBusy = false;
  async function loadSeries() {
    if (seriesBusy) return;
    seriesBusy = true;
    try { now.series = await ask("/api/series"); now.chartDirty = true; draw(); } catch { /* nothing has run */ }
    seriesBusy = false;
  }
  function point(p) {
    const s = now.series;
    if (!s || p.i !== s.t.length) { if (p.i === 0) now.series = { t: [], ...Object.fromEntries(NAMES.map((n) => [n, []])) }; else { loadSeries(); return; } }
    now.series.t.push(p.t);
    for (const n of NAMES) now.series[n].push(p[n]);
    if (now.series.t.length > 3600) { now.series.t.shift(); for (const n of NAMES) now.series[n].shift(); }
    now.chartDirty = true; draw();
  }
  function f1Chart(box, s) {
    const last = (n) => { const a = s[n]; return a.length ? f1(a[a.length - 1]) : "\u2013"; };
    lines(box, s.t, [{ values: s.macro_inst, cls: "s1", thin: true }, { values: s.weighted_inst, cls: "s2", thin: true }, { values: s.micro_inst, cls: "s3", thin: true },
      { values: s.macro_overall, cls: "s1" }, { values: s.weighted_overall, cls: "s2" }, { values: s.micro_overall, cls: "s3" }],
      { max: 1, label: `F1 over time. Now overall: macro ${last("macro_overall")}, weighted ${last("weighted_overall")}, micro ${last("micro_overall")}; over the last window: macro ${last("macro_inst")}, weighted ${last("weighted_inst")}, micro ${last("micro_inst")}` });
    legend(box, [{ cls: "k1", name: "macro", value: last("macro_overall") }, { cls: "k2", name: "weighted", value: last("weighted_overall") }, { cls: "k3", name: "micro", value: last("micro_overall") }]);
    text(box.querySelector(".legend").lastChild.lastChild, last("micro_overall"));
  }
  function charts() {
    const s = now.series;
    if (!s || !s.t) return;
    f1Chart($("chart-f1"), s);
    const end = (a) => a.length ? a[a.length - 1] : 0;
    lines($("chart-pps"), s.t, [{ values: s.pps, cls: "s1" }], { h: 140, unit: short, label: `Packets per second over time, now ${short(end(s.pps))}` });
    legend($("chart-pps"), [{ cls: "k1", name: "packets per second", value: short(end(s.pps)) }]);
    lines($("chart-lat"), s.t, [{ values: s.latency, cls: "s2" }], { h: 140, unit: (v) => +v.toFixed(3) + " \u00b5s", label: `Median time over the chain, now ${time(1000 * end(s.latency))}` });
    legend($("chart-lat"), [{ cls: "k2", name: "median time over the chain", value: time(1000 * end(s.latency)) }]);
  }

  /* --- comparison --------------------------------------------------------------------------------------------------------------- */
  async function compare() {
    const c = current(), name = c ? c.name : null;
    if (!c || !c.report) { $("h-compare").closest("section").hidden = !c; if (c) text($("compare-sub"), "there is no run directory to compare in"); return; }
    if (compare.shown === name && now.metrics[name]) return;
    compare.shown = name;
    let m;
    try { m = await ask("/api/metrics?case=" + encodeURIComponent(name)); } catch (e) { text($("compare-sub"), e.message); compare.shown = null; return; }
    if (!m) { text($("compare-sub"), "the comparison is not written yet"); compare.shown = null; return; }
    now.metrics[name] = m;
    try { now.live[name] = await ask("/api/live?case=" + encodeURIComponent(name)); } catch { now.live[name] = null; }
    if (compare.shown === name) compareTable(m, now.live[name]);
  }
  function compareTable(m, live) {
    const names = Object.keys(m.solutions || {}), heads = ["solution", "macro F1", "95 %", "weighted", "micro", "coverage", "packet macro", "ns/packet p50", "p99", "devices"];
    const withLive = live && live.solutions;
    if (withLive) heads.push("live macro", "live chain p50", "p99", "live hops p50 / p99");
    text($("compare-sub"), names.length ? "scores of the test captures, flow level; intervals by bootstrap" : "the test captures were not read yet");
    const body = names.map((n) => {
      const s = m.solutions[n], i = s.flow ? s.flow.macro_interval : null, l = withLive ? live.solutions[n] : null;
      const cells = s.flow ? [f1(s.flow.macro), i ? `${i.lo.toFixed(3)}\u2013${i.hi.toFixed(3)}` : "\u2013", f1(s.flow.weighted), f1(s.flow.micro), share(s.flow.coverage), f1(s.packet.macro)] : ["\u2013", "\u2013", "\u2013", "\u2013", "\u2013", "\u2013"];
      cells.push(count(s.ns_per_packet.p50), count(s.ns_per_packet.p99), String((s.devices || []).length));
      if (withLive) cells.push(l ? f1(l.macro) : "\u2013", l ? time(l.chain_p50_ns) : "\u2013", l ? time(l.chain_p99_ns) : "\u2013", hopTimes(l));
      return el("tr", { "data-solution": n }, [el("th", { scope: "row", text: n }), ...cells.map((t) => el("td", { text: t }))]);
    });
    $("compare").replaceChildren(el("thead", {}, [el("tr", {}, heads.map((h) => el("th", { scope: "col", text: h })))]), el("tbody", {}, body));
    compareChart(names, m);
  }
  function hopTimes(l) {
    const p50 = (l && l.hop_p50_ns) || [], p99 = (l && l.hop_p99_ns) || [];
    return p50.length ? p50.slice(0, 8).map((v, i) => `${time(v)} / ${time(p99[i])}`).join(", ") + (p50.length > 8 ? ", \u2026" : "") : "\u2013";
  }
  /* One row per solution: macro with its interval, weighted, micro. */
  function compareChart(names, m) {
    const box = $("compare-chart"), W = Math.max(280, Math.min(box.clientWidth, 900)), L = 120, R = 20, RH = 30, H = 34 + RH * names.length;
    const x = (v) => L + (W - L - R) * v;
    const g = svg("svg", { viewBox: `0 0 ${W} ${H}`, role: "img", "aria-label": "F1 of the solutions: " + names.map((n) => `${n} macro ${f1(m.solutions[n].flow && m.solutions[n].flow.macro)}`).join(", ") });
    for (let v = 0; v <= 1.001; v += 0.1)
      g.append(svg("line", { class: "grid", x1: x(v), x2: x(v), y1: 6, y2: H - 24 }), svg("text", { class: "soft", x: x(v), y: H - 8, "text-anchor": "middle", text: v.toFixed(1) }));
    names.forEach((n, i) => {
      const f = m.solutions[n].flow, y = 6 + RH * i + RH / 2;
      g.append(svg("text", { x: L - 10, y: y + 4, "text-anchor": "end", text: n.length > 16 ? n.slice(0, 15) + "\u2026" : n }));
      if (!f) return;
      if (f.macro_interval) g.append(svg("line", { class: "s1", "stroke-width": 3, x1: x(f.macro_interval.lo), x2: x(f.macro_interval.hi), y1: y - 6, y2: y - 6 }));
      g.append(svg("circle", { class: "f1", cx: x(f.macro), cy: y - 6, r: 5 }), svg("circle", { class: "f2", cx: x(f.weighted), cy: y + 1, r: 4 }), svg("circle", { class: "f3", cx: x(f.micro), cy: y + 8, r: 4 }));
    });
    const old = box.querySelector("svg");
    if (old) old.replaceWith(g); else box.prepend(g);
    legend(box, [{ cls: "k1", name: "macro F1 with its 95 % interval", value: "" }, { cls: "k2", name: "weighted", value: "" }, { cls: "k3", name: "micro", value: "" }]);
  }
  function markRow() {
    for (const tr of document.querySelectorAll("#compare tbody tr")) tr.classList.toggle("now", !!now.scene && tr.dataset.solution === now.scene.solution);
  }

  /* --- plan ------------------------------------------------------------------------------------------------------------------------ */
  async function showPlan() {
    if ($("view-plan").hidden) return;
    const c = current(), url = c && c.report ? "/report?case=" + encodeURIComponent(c.name) : null, frame = $("plan");
    if (!url) { frame.hidden = true; $("plan-none").hidden = false; text($("plan-none"), "There is no run directory here whose plan could be shown."); return; }
    if (showPlan.url === url) return;
    showPlan.url = url;
    const r = await fetch(url, { cache: "no-store" });
    if (!r.ok) {
      let body = null;
      try { body = await r.json(); } catch { /* told below */ }
      frame.hidden = true; $("plan-none").hidden = false; showPlan.url = null;
      text($("plan-none"), body && body.error ? body.error : "the dashboard answered " + r.status);
      return;
    }
    frame.hidden = false; $("plan-none").hidden = true;
    frame.src = url;
  }
  $("plan").addEventListener("load", () => {
    const d = $("plan").contentDocument;
    if (!d || !d.body) return;
    if (document.documentElement.dataset.theme) d.documentElement.dataset.theme = document.documentElement.dataset.theme;
    $("plan").style.height = Math.max(400, d.documentElement.scrollHeight + 20) + "px";
  });

  /* --- flows ------------------------------------------------------------------------------------------------------------------------- */
  function table(t, heads, list) {
    t.replaceChildren(el("thead", {}, [el("tr", {}, heads.map((h) => el("th", { scope: "col", class: "left", text: h })))]), el("tbody", {}, list));
  }
  const td = (value) => el("td", { class: "left", text: value === null || value === undefined ? "\u2013" : value });
  async function searchFlows() {
    let r;
    try { r = await ask("/api/flows?limit=100&q=" + encodeURIComponent($("q").value)); } catch (e) { text($("found"), e.message); table($("flows"), ["flow"], []); return; }
    text($("found"), r.flows.length ? `${r.flows.length}${r.more ? " newest" : ""} of the ${count(r.known)} latest flows` : `none of the ${count(r.known)} latest flows has these words`);
    table($("flows"), ["flow", "class", "truth", "confidence", "device", "sub-model", "judged at", "settled", "capture"], r.flows.map((f) => el("tr", {}, [
      el("td", { class: "left" }, [el("button", { type: "button", text: f.flow, on: { click: () => showPath(f) } })]),
      td(f.class === null ? "no class" : f.class), td(f.truth), td(f.confidence), td(f.device), td(f.submodel), td(f.phase === "FL" ? "flow" : "packet"), td(f.settled ? "yes" : "no"), td(f.capture)])));
  }
  $("search").addEventListener("submit", (ev) => { ev.preventDefault(); searchFlows(); });

  function answerBox(a) {
    const box = el("div", { class: "answer" + (a.took_part ? " took" : "") });
    const what = a.class === null ? "no answer" : `${a.claim ? "claims" : "leans to"} ${a.class} with confidence ${a.confidence}`;
    box.append(el("p", {}, [el("b", { text: `sub-model ${a.submodel}` }), ` (${a.kind === "FL" ? "flow level" : a.kind === "PL" ? "packet level" : a.kind === "stored" ? "its stored answer" : "not asked"}): ${what}${a.took_part ? "" : "; it did not count any more"}`]));
    if (a.features) box.append(el("p", { class: "sub", text: Object.entries(a.features).map(([k, v]) => `${k} = ${count(v)}`).join(", ") }));
    (a.trees || []).forEach((t, i) => box.append(el("ol", { class: "walk", "aria-label": `way through tree ${i + 1}` }, [
      ...t.path.map((p) => el("li", { text: `${p[0]} ${count(p[1])} ${p[3] ? "\u2264" : ">"} ${count(p[2])}` })), el("li", { text: `${t.leaf} (${t.confidence})` })])));
    return box;
  }
  function packetBox(p, open) {
    const inner = el("div", { class: "inner" });
    for (const d of p.devices) {
      inner.append(el("h4", { text: `${d.device}: ${d.did.replace(/_/g, " ")}${d.decided ? ", made the verdict final" : ""}${d.digest ? ", told the controller" : ""}` }));
      for (const a of d.answers) inner.append(answerBox(a));
    }
    return el("details", { class: "packet", open }, [el("summary", { text: `packet ${p.number}, after ${count(p.at_us)} \u00b5s: ${p.class === null ? "no class" : p.class}${p.final ? `, final at ${p.device || "the end"}` : ", open"}${p.settled ? ", settled" : ""} (${p.phase === "FL" ? "flow" : "packet"} level, confidence ${p.confidence})` }), inner]);
  }
  async function showPath(f) {
    $("path-card").hidden = false;
    text($("h-path"), f.flow);
    text($("path-sub"), `${f.class === null ? "no class" : f.class}, decided by ${f.device || "no device"}, confidence ${f.confidence}${f.truth ? `; it is ${f.truth}` : ""}${f.collision ? "; it had no slot on some device" : ""}`);
    $("path").replaceChildren(el("p", { class: "sub", text: "reading its packets \u2026" }));
    $("h-path").focus();
    $("path-card").scrollIntoView({ block: "start" });
    try {
      const r = await ask("/api/flow?key=" + encodeURIComponent(f.flow) + (f.capture ? "&capture=" + encodeURIComponent(f.capture) : ""));
      const open = r.packets.findIndex((p) => p.settled);
      $("path").replaceChildren(el("p", { class: "sub", text: `${r.n_packets === 1 ? "1 packet" : count(r.n_packets) + " packets"} in ${r.capture}${r.packets.length < r.n_packets ? `; the first ${r.packets.length}` : ""}, as the devices judged them` }), ...r.packets.map((p, i) => packetBox(p, i === Math.max(open, 0))));
    } catch (e) { $("path").replaceChildren(el("p", { class: "sub", text: e.message })); }
  }

  /* --- history -------------------------------------------------------------------------------------------------------------------------- */
  async function showRuns() {
    let r;
    try { r = await ask("/api/history/runs"); } catch (e) { $("runs-none").hidden = false; text($("runs-none"), e.message); table($("runs"), ["run"], []); return; }
    $("runs-none").hidden = r.runs.length > 0;
    text($("runs-none"), "No run yet.");
    table($("runs"), ["run", "begun", "use case", "solution", "kind", "state", "packets", "flows", "macro", "weighted", "micro", "coverage"], r.runs.map((x) => el("tr", {}, [
      el("td", { class: "left" }, [el("button", { type: "button", text: String(x.id), "aria-label": "show run " + x.id, on: { click: () => showRun(x) } })]),
      td(new Date(x.started_ms).toLocaleString()), td(x.use_case), td(x.solution), td(x.source), td(x.state), td(x.packets === null ? null : count(x.packets)), td(x.flows === null ? null : count(x.flows)),
      td(x.macro === null ? null : f1(x.macro)), td(x.weighted === null ? null : f1(x.weighted)), td(x.micro === null ? null : f1(x.micro)), td(x.coverage === null ? null : share(x.coverage))])));
  }
  async function showRun(x) {
    $("run-card").hidden = false;
    text($("h-run"), `Run ${x.id}: ${x.solution || x.source}`);
    $("h-run").focus();
    try {
      const r = (await ask("/api/history/series?limit=3600&run=" + x.id)).series, s = { t: r.map((p) => p.t) };
      for (const n of NAMES) s[n] = r.map((p) => p[n]);
      f1Chart($("run-chart"), s);
      const d = (await ask("/api/history/digests?limit=100&run=" + x.id)).digests;
      table($("run-flows"), ["flow", "class", "truth", "confidence", "device", "judged at"], d.map((f) => el("tr", {}, [td(f.flow), td(f.class === null ? "no class" : f.class), td(f.truth), td(f.confidence), td(f.device), td(f.phase === "FL" ? "flow" : "packet")])));
    } catch (e) { table($("run-flows"), [e.message], []); }
  }
  $("runs-again").addEventListener("click", showRuns);

  /* --- events ---------------------------------------------------------------------------------------------------------------------------- */
  function status(state, words) { if ($("link").dataset.state !== state) $("link").dataset.state = state; text($("link"), words); }
  function banner(words) { $("banner").hidden = !words; text($("banner"), words || ""); }
  let lostAt = null, bannerUntil = 0;

  function onScene(s) {
    if (now.boot && s.boot !== now.boot) {
      banner("The dashboard was started again: what is shown now is new. Its old token does not count any more.");
      bannerUntil = Date.now() + 15000;
      now.state = null; now.metrics = {}; compare.shown = null; showPlan.url = null;
    }
    now.boot = s.boot;
    const fresh = !now.scene || now.scene.scene !== s.scene || now.scene.boot !== s.boot;
    now.scene = s;
    if (fresh) {
      if (now.state && now.state.state === "finished" && !now.metrics[s.use_case]) compare.shown = null;
      topo();
      if (s.scene) loadSeries();
      for (const n of document.querySelectorAll(".window")) text(n, s.window_s);
    }
    controls();
    markRow();
    draw();
  }
  function onNotes(n) {
    $("notes").replaceChildren(...n.notes.slice().reverse().map((x) => el("li", {}, [el("time", { text: new Date(x.at_ms).toLocaleTimeString() }), x.text])));
  }
  function connect() {
    const es = new EventSource("/api/events");
    const on = (name, fn) => es.addEventListener(name, (ev) => {
      now.seen = Date.now();
      if (lostAt) { lostAt = null; if (Date.now() > bannerUntil) banner(""); }
      status("ok", "connected");
      fn(JSON.parse(ev.data));
    });
    on("scene", onScene);
    on("note", onNotes);
    on("series", point);
    on("state", (s) => { if (now.scene && s.boot === now.boot && s.scene !== now.scene.scene) return; now.state = s; draw(); });
    es.onerror = () => {
      lostAt = lostAt || new Date();
      status("lost", "not connected");
      banner(`The connection was lost at ${lostAt.toLocaleTimeString()}; trying again. The numbers below are from then.`);
      if (es.readyState === EventSource.CLOSED) setTimeout(connect, 2000);
    };
  }
  setInterval(() => {
    if (bannerUntil && Date.now() > bannerUntil && !lostAt) { bannerUntil = 0; banner(""); }
    if (!lostAt && now.seen && Date.now() - now.seen > 4000) status("lost", "no news for " + Math.round((Date.now() - now.seen) / 1000) + " s");
  }, 1000);

  view();
  buttons();
  connect();
})();
