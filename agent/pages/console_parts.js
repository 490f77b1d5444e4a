"use strict";
// What all parts of the console use: elements, time, grades, and the summary of latencies that clients post.
const byId = (id) => document.getElementById(id);
const wait = (ms) => new Promise((done) => setTimeout(done, ms));

function element(name, attributes = {}, ...children) {
  const made = document.createElement(name);
  for (const [key, value] of Object.entries(attributes)) made.setAttribute(key, value);
  made.append(...children);
  return made;
}

// below the first it is good, below the second medium, else high
const GRADES_MS = { token: [200, 500], microphone: [500, 2000], gather: [500, 1000], signal: [200, 500], connect: [600, 2000], reply: [800, 1500], "barge-in": [100, 200], restart: [1000, 3000] };
const GRADE_CLASS = { good: "good", medium: "unsure", high: "bad" };

function grade(operation, ms) {
  const [good, medium] = GRADES_MS[operation] || [300, 1000];
  return ms < good ? "good" : ms < medium ? "medium" : "high";
}

function nearestRank(sorted, share) {
  return sorted[Math.max(0, Math.ceil(share * sorted.length) - 1)];
}

class Telemetry {
  // Every tenth record a summary goes to the agent; a failed post costs nothing but a line in the log.
  constructor(onRecord) { this.pending = []; this.onRecord = onRecord; this.sessionId = null; }

  record(operation, ms) {
    this.pending.push({ operation, durationMs: ms, grade: grade(operation, ms) });
    this.onRecord(operation, ms, grade(operation, ms));
    if (this.pending.length >= 10) this.flush();
  }

  flush() {
    const metrics = this.pending;
    this.pending = [];
    if (!metrics.length || !this.sessionId) return;
    const sorted = metrics.map((one) => one.durationMs).sort((a, b) => a - b);
    const summary = { count: sorted.length, avg: sorted.reduce((a, b) => a + b) / sorted.length, min: sorted[0], max: sorted.at(-1), p95: nearestRank(sorted, 0.95), p99: nearestRank(sorted, 0.99) };
    const body = JSON.stringify({ sessionId: this.sessionId, timestamp: Date.now(), summary, metrics });
    fetch("api/telemetry", { method: "POST", body, keepalive: true }).catch((error) => console.log("telemetry", error.message));
  }
}

class Trouble extends Error {
  // kind: fatal is shown and not tried again; recoverable is tried again with back-off
  constructor(kind, message, code) { super(message); this.kind = kind; this.code = code; }
}

async function ask(method, path, body, headers = {}) {
  let answer;
  try {
    answer = await fetch(path, { method, body, headers });
  } catch (error) {
    throw new Trouble("recoverable", `The agent cannot be reached: ${error.message}`, "network");
  }
  if (answer.ok) return answer;
  const told = await answer.json().catch(() => ({}));
  const { message = `HTTP ${answer.status}`, code = String(answer.status) } = told.error || {};
  throw new Trouble(answer.status === 429 || answer.status >= 500 ? "recoverable" : "fatal", message, code);
}
