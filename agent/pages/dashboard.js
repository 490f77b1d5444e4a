"use strict";
const EVERY_MS = 5000;
const QUANTILES = ["p50", "p75", "p95", "p99"];
const TILES = {
  realtime: [
    ["activeCalls", "Active calls", count, null],
    ["p95Latency", "P95 latency", ms, "over"],
    ["dropRate", "Calls dropped", percent, "over"],
    ["memoryAvg", "Memory", mb, null],
    ["natSuccessRate", "NAT success, last hour", percent, "under"],
  ],
  last1h: [
    ["totalCalls", "Calls ended", count, null],
    ["successRate", "Success", percent, "under"],
    ["avgDuration", "Average call", seconds, null],
    ["errorsCount", "Errors", count, null],
  ],
};
const byId = (id) => document.getElementById(id);

function count(value) { return [String(value), ""]; }
function ms(value) { return [value < 10 ? value.toFixed(1) : String(Math.round(value)), "ms"]; }
function percent(value) { return [String(Math.round(value * 1000) / 10), "%"]; }
function mb(value) { return [value.toFixed(0), "MB"]; }
function seconds(value) { return value < 120 ? [value.toFixed(0), "s"] : [(value / 60).toFixed(1), "min"]; }

function element(name, attributes = {}, ...children) {
  const svg = ["svg", "path", "line", "text", "circle", "g", "rect"].includes(name);
  const made = svg ? document.createElementNS("http://www.w3.org/2000/svg", name) : document.createElement(name);
  for (const [key, value] of Object.entries(attributes)) made.setAttribute(key, value);
  made.append(...children);
  return made;
}

function tiles(id, values, limits) {
  const cells = TILES[id].map(([key, label, shown, bad]) => {
    const value = values[key];
    const [text, unit] = value === null ? ["–", "not known"] : shown(value);
    const limit = limits[key];
    const beyond = value !== null && limit !== undefined && (bad === "over" ? value > limit : bad === "under" && value < limit);
    const told = limit === undefined ? [] : [element("dd", { class: "limits" }, `limit ${bad === "over" ? "≤" : "≥"} ${shown(limit).join(" ")}`)];
    return element("div", beyond ? { class: "over" } : {}, element("dt", {}, label), element("dd", {}, text, " ", element("small", {}, unit)), ...told);
  });
  byId(id).replaceChildren(...cells);
}

function ceiling(value) {
  if (!(value > 0)) return 1;
  const power = 10 ** Math.floor(Math.log10(value));
  return [1, 1.5, 2, 3, 4, 5, 6, 8, 10].map((step) => step * power).find((step) => step >= value);
}

function path(values, x, y) {
  let drawn = "", up = true;
  values.forEach((value, index) => {
    if (value === null) { up = true; return; }
    drawn += `${up ? "M" : "L"}${x(index).toFixed(1)} ${y(value).toFixed(1)}`;
    up = false;
  });
  return drawn;
}

function lonely(values, index) {
  return values[index] !== null && (values[index - 1] ?? null) === null && (values[index + 1] ?? null) === null;
}

function chart(id, lines, { height = 190, unit = "", limit = null, whole = false } = {}) {
  const box = byId(id);
  const width = Math.max(280, box.clientWidth);
  const known = lines.flatMap((line) => line.values).filter((value) => value !== null);
  if (!known.length) { box.replaceChildren(element("p", { class: "empty" }, "Nothing known yet.")); return; }
  const left = 44, right = 8, top = 10, bottom = 24, last = lines[0].values.length - 1;
  let high = ceiling(Math.max(...known));
  if (whole) high = Math.max(2, Math.ceil(high / 2) * 2);
  const x = (index) => left + (index / last) * (width - left - right);
  const y = (value) => top + (1 - value / high) * (height - top - bottom);
  const svg = element("svg", { viewBox: `0 0 ${width} ${height}`, role: "img", "aria-label": lines.map((line) => line.label).join(", ") });
  for (const share of [0, 0.5, 1]) {
    const value = high * share;
    svg.append(element("line", { class: "grid", x1: left, x2: width - right, y1: y(value), y2: y(value) }));
    svg.append(element("text", { x: left - 8, y: y(value) + 4, "text-anchor": "end" }, value >= 10 || Number.isInteger(value) ? String(Math.round(value)) : value.toPrecision(2)));
  }
  for (const [index, label, anchor] of [[0, "60 min ago", "start"], [Math.round(last / 2), "30", "middle"], [last, "now", "end"]])
    svg.append(element("text", { x: x(index), y: height - 6, "text-anchor": anchor }, label));
  if (limit !== null && limit <= high) svg.append(element("line", { class: "limit", x1: left, x2: width - right, y1: y(limit), y2: y(limit) }));
  for (const line of lines) {
    svg.append(element("path", { class: "line", d: path(line.values, x, y), stroke: line.colour }));
    line.values.forEach((value, index) => {
      if (lonely(line.values, index)) svg.append(element("circle", { cx: x(index), cy: y(value), r: 3, fill: line.colour }));
    });
  }
  const cross = element("line", { class: "cross", y1: top, y2: height - bottom, visibility: "hidden" });
  const tip = element("div", { class: "tip", hidden: "" });
  svg.append(cross);
  svg.addEventListener("pointermove", (event) => {
    const place = svg.getBoundingClientRect();
    const at = ((event.clientX - place.left) / place.width) * width;
    const index = Math.max(0, Math.min(last, Math.round(((at - left) / (width - left - right)) * last)));
    cross.setAttribute("x1", x(index)); cross.setAttribute("x2", x(index)); cross.setAttribute("visibility", "visible");
    const told = lines.map((line) => `${line.label} ${line.values[index] === null ? "–" : line.values[index]}`).join(" · ");
    tip.textContent = `${last - index} min ago: ${told} ${unit}`;
    tip.hidden = false;
    const half = tip.offsetWidth / 2;
    tip.style.left = `${Math.max(half, Math.min(place.width - half, (x(index) / width) * place.width))}px`;
  });
  svg.addEventListener("pointerleave", () => { tip.hidden = true; cross.setAttribute("visibility", "hidden"); });
  box.replaceChildren(svg, tip);
}

function operations(found) {
  const names = Object.keys(found);
  if (!names.length) return element("p", { class: "empty" }, "Nobody has reported any.");
  const head = element("tr", {}, ...["operation", "n", "P50", "P75", "P95", "P99"].map((text) => element("th", {}, text)));
  const rows = names.map((name) => element("tr", {}, ...[name, found[name].count, ...QUANTILES.map((q) => found[name][q])].map((value) => element("td", {}, String(value).replaceAll("_", "_\u200b")))));
  return element("table", {}, element("thead", {}, head), element("tbody", {}, ...rows));
}

function alerts(raised) {
  if (!raised.length) return element("p", { class: "empty" }, "None since the start.");
  const ago = (s) => (s < 90 ? `${s} s` : s < 5400 ? `${Math.round(s / 60)} min` : `${Math.round(s / 3600)} h`);
  return element("ul", { class: "alerts" }, ...raised.slice(0, 12).map((one) => element("li", {}, `${one.text}`, element("div", { class: "faint" }, `${ago(one.secondsAgo)} ago`))));
}

function show(told) {
  tiles("realtime", told.realtime, told.limits);
  tiles("last1h", told.last1h, told.limits);
  const lines = QUANTILES.map((q) => ({ label: q.toUpperCase(), colour: `var(--${q})`, values: told.latencies.map((minute) => minute[q]) }));
  byId("legend").replaceChildren(...lines.map((line) => element("li", {}, element("i", { style: `background:${line.colour}` }), line.label)));
  chart("latency", lines.slice().reverse(), { height: 260, unit: "ms", limit: told.limits.p95Latency });
  chart("calls", [{ label: "calls", colour: "var(--caller)", values: told.calls }], { whole: true });
  chart("memory", [{ label: "MB", colour: "var(--agent)", values: told.memory }]);
  byId("operations").replaceChildren(operations(told.operations));
  byId("alerts").replaceChildren(alerts(told.alerts));
  const fresh = told.alerts.some((one) => one.secondsAgo < 300);
  byId("state").className = `badge ${fresh ? "bad" : "good"}`;
  byId("state").textContent = fresh ? "alerts in the last five minutes" : "no alerts";
  byId("when").textContent = `as of ${new Date().toLocaleTimeString()}`;
}

let last = null;
async function refresh() {
  try {
    const answer = await fetch("api/dashboard/details");
    if (!answer.ok) throw new Error(`HTTP ${answer.status}`);
    last = await answer.json();
    show(last);
  } catch (error) {
    byId("state").className = "badge unsure";
    byId("state").textContent = `no news: ${error.message}`;
  }
}
window.addEventListener("resize", () => last && show(last));
refresh();
setInterval(refresh, EVERY_MS);
