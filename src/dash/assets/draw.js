/* SPDX-License-Identifier: Apache-2.0 */
/* Small helpers: elements, numbers, colours, line charts. Text goes in as text only. */
"use strict";

const Draw = (() => {
  const NS = "http://www.w3.org/2000/svg";

  function fill(el, attrs, kids) {
    for (const [k, v] of Object.entries(attrs || {})) {
      if (v === null || v === undefined || v === false) continue;
      if (k === "text") el.textContent = v;
      else if (k === "on") for (const [name, fn] of Object.entries(v)) el.addEventListener(name, fn);
      else el.setAttribute(k, v === true ? "" : String(v));
    }
    for (const kid of kids || []) if (kid !== null && kid !== undefined) el.append(kid);
    return el;
  }
  const el = (name, attrs, kids) => fill(document.createElement(name), attrs, kids);
  const svg = (name, attrs, kids) => fill(document.createElementNS(NS, name), attrs, kids);

  /* Sets a text only where it changed: most numbers stay between two updates. The text node stays: a new one would be
   * styled and laid out anew. */
  function text(node, value) {
    const v = String(value), first = node && node.firstChild;
    if (first && first.nodeType === 3 && first === node.lastChild) { if (first.data !== v) first.data = v; }
    else if (node && node.textContent !== v) node.textContent = v;
  }

  const group = new Intl.NumberFormat("en");
  const count = (v) => group.format(Math.round(v));
  function short(v) {
    if (!isFinite(v)) return "\u2013";
    const a = Math.abs(v);
    if (a >= 1e9) return (v / 1e9).toFixed(a >= 1e10 ? 1 : 2) + " G";
    if (a >= 1e6) return (v / 1e6).toFixed(a >= 1e7 ? 1 : 2) + " M";
    if (a >= 1e4) return (v / 1e3).toFixed(1) + " k";
    return a >= 100 || Number.isInteger(v) ? count(v) : v.toFixed(1);
  }
  const share = (v, n) => isFinite(v) ? (100 * v).toFixed(n === undefined ? 1 : n) + " %" : "\u2013";
  function time(ns) {
    if (!ns) return "\u2013";
    if (ns < 1e3) return Math.round(ns) + " ns";
    if (ns < 1e6) return (ns / 1e3).toFixed(ns < 1e4 ? 2 : 1) + " \u00b5s";
    return (ns / 1e6).toFixed(2) + " ms";
  }
  const f1 = (v) => v === null || v === undefined || !isFinite(v) ? "\u2013" : Number(v).toFixed(4);

  /* A hue per class: well apart for the first dozen, the golden angle after that. */
  const HUES = [210, 28, 145, 345, 265, 52, 180, 315, 95, 8, 235, 165];
  const angle = (i) => i < HUES.length ? HUES[i] : Math.round((i * 137.508) % 360);
  const shift = (i) => i < HUES.length ? "0%" : ["-8%", "6%", "0%"][i % 3];
  const colour = (i) => `hsl(${angle(i)} var(--c-s) calc(var(--c-l) + ${shift(i)}))`;
  function hue(node, i) {
    node.classList.add("hue");
    node.style.setProperty("--h", angle(i));
    node.style.setProperty("--d", shift(i));
    return node;
  }

  function step(max, want) {
    const raw = max / want, p = Math.pow(10, Math.floor(Math.log10(raw)));
    for (const m of [1, 2, 5, 10]) if (m * p >= raw * 0.999) return m * p;
    return 10 * p;
  }

  /*
   * Lines over time, drawn anew in place. series: [{values, cls, thin}], unit: text of a value.
   * opts: {w, h, max, label, unit}
   */
  function lines(box, t, series, opts) {
    const W = Math.max(280, opts.w || box.clientWidth), H = opts.h || 240, L = 46, R = 8, T = 10, B = 24;
    let max = opts.max || 0;
    if (!opts.max) {
      for (const s of series) for (const v of s.values) if (v > max) max = v;
      if (!(max > 0)) max = 1;
    }
    const dy = step(max, opts.h && opts.h < 180 ? 3 : 5);
    max = opts.max || Math.ceil(max / dy - 1e-9) * dy;
    const t0 = t.length ? t[0] : 0, last = t.length ? t[t.length - 1] : t0, t1 = last > t0 ? last : t0 + 1;
    const x = (v) => L + (W - L - R) * (v - t0) / (t1 - t0), y = (v) => H - B - (H - T - B) * v / max;
    const out = svg("svg", { viewBox: `0 0 ${W} ${H}`, role: "img", "aria-label": opts.label });
    for (let v = 0; v <= max * 1.0001; v += dy) {
      out.append(svg("line", { class: "grid", x1: L, x2: W - R, y1: y(v), y2: y(v) }),
        svg("text", { class: "soft", x: L - 6, y: y(v) + 4, "text-anchor": "end", text: opts.unit ? opts.unit(v) : +v.toFixed(6) }));
    }
    const dt = step(Math.max(t1 - t0, 1), 6);
    for (let v = Math.ceil(t0 / dt) * dt; v <= t1 + 1e-9; v += dt)
      out.append(svg("text", { class: "soft", x: x(v), y: H - 7, "text-anchor": "middle", text: +v.toFixed(3) + " s" }));
    for (const s of series) {
      let d = "", pen = false;
      s.values.forEach((v, i) => {
        if (v === null || v === undefined || !isFinite(v)) { pen = false; return; }
        d += (pen ? "L" : "M") + x(t[i]).toFixed(1) + " " + y(Math.min(v, max)).toFixed(1);
        pen = true;
      });
      if (d) out.append(svg("path", { d, class: s.cls + (s.thin ? " thin" : "") }));
      if (d && t.length === 1) out.append(svg("circle", { cx: x(t[0]), cy: y(s.values[0] || 0), r: 3, class: s.cls.replace("s", "f") }));
    }
    const old = box.querySelector("svg");
    if (old) old.replaceWith(out); else box.prepend(out);
  }

  function legend(box, items) {
    let list = box.querySelector(".legend");
    if (!list) { list = el("p", { class: "legend" }); box.append(list); }
    if (list.childElementCount !== items.length)
      list.replaceChildren(...items.map((it) => el("span", {}, [el("i", { class: it.cls }), el("span"), " ", el("b")])));
    items.forEach((it, i) => { text(list.children[i].children[1], it.name); text(list.children[i].children[2], it.value); });
  }

  return { el, svg, text, count, short, share, time, f1, hue, colour, lines, legend };
})();
