// The page: buttons, states, transcript, figures.
const STATE_CLASS = { idle: "none", connecting: "unsure", active: "good", speaking: "good", listening: "good", reconnecting: "unsure", error: "bad" };
const LIMITS = { rttMs: [150, 300], lost: [5, 12], jitterMs: [25, 50] };
const ALERTS = { rttMs: [300, "round trip", "ms"], lostTotal: [100, "packets lost", ""], jitterMs: [50, "jitter", "ms"] };
const figures = new Map(["reply", "barge-in", "round trip", "jitter", "packets lost"].map((name) => [name, null]));
const steps = new Map(), lines = new Map();
let call = null, earlier = null, askedAt = null, bargedAt = null, answering = false;

const avatar = new Avatar(byId("face"), (fps) => { byId("fps").textContent = `${fps === null ? "–" : fps} FPS`; });
const telemetry = new Telemetry(recorded);

function state(name, problem = "") {
  byId("state").className = `badge ${STATE_CLASS[name]}`;
  byId("state").textContent = name;
  avatar.state = name;
  if (problem) { byId("problem").textContent = problem; byId("problem").hidden = false; }
  else if (name === "connecting" || name === "active") byId("problem").hidden = true;
  const idle = name === "idle" || name === "error", up = ["active", "speaking", "listening"].includes(name);
  byId("start").disabled = !idle;
  byId("test").disabled = !idle;
  byId("end").disabled = idle;
  byId("mute").disabled = !up;
  for (const id of ["barge", "text", "send"]) byId(id).disabled = !up;
  if (idle) { quality(null); avatar.stop(); call = null; }
}

function recorded(operation, ms, judged) {
  if (figures.has(operation)) figures.set(operation, [ms, "ms", judged]);
  else steps.set(operation, [ms, judged]);
  show();
}

function show() {
  byId("figures").replaceChildren(...[...figures].map(([name, value]) => {
    const shown = value === null ? ["–"] : [value[1] === "" ? String(value[0]) : value[0] < 1 ? "< 1" : value[0].toFixed(value[0] < 10 ? 1 : 0), " ", element("small", {}, value[1]), ...(value[2] ? [element("span", { class: `grade ${GRADE_CLASS[value[2]]}` }, value[2])] : [])];
    return element("div", {}, element("dt", {}, name), element("dd", { "data-figure": name }, ...shown));
  }));
  const rows = [...steps].map(([name, [ms, judged]]) => element("tr", {}, element("td", {}, name), element("td", {}, `${ms.toFixed(0)} ms`), element("td", { class: `grade ${GRADE_CLASS[judged]}` }, judged)));
  byId("steps").replaceChildren(...(rows.length ? [element("table", {}, element("tbody", {}, ...rows))] : []));
}

function quality(reading) {
  const badge = byId("quality");
  badge.hidden = reading === null || reading.rttMs === null;
  if (badge.hidden) return;
  figures.set("round trip", [reading.rttMs, "ms"]);
  if (reading.jitterMs !== null) figures.set("jitter", [reading.jitterMs, "ms"]);
  if (reading.lostTotal !== null) figures.set("packets lost", [reading.lostTotal, ""]);
  const known = Object.entries(LIMITS).filter(([name]) => reading[name] !== null);
  const red = known.some(([name, [, high]]) => reading[name] > high), yellow = known.some(([name, [low]]) => reading[name] >= low);
  badge.className = `badge ${red ? "bad" : yellow ? "unsure" : "good"}`;
  badge.textContent = red ? "red: poor" : yellow ? "yellow: fair" : "green: good";
  for (const [name, [limit, label, unit]] of Object.entries(ALERTS)) if (reading[name] > limit) console.warn(`alert: ${label} ${reading[name]} over ${limit} ${unit}`);
  show();
}

function line(id, role) {
  if (!lines.has(id)) {
    const made = element("li", { class: role });
    lines.set(id, made);
    byId("transcript").querySelector(".empty")?.remove();
    byId("transcript").append(made);
    while (lines.size > 50) { const [oldest, old] = lines.entries().next().value; old.remove(); lines.delete(oldest); }
  }
  return lines.get(id);
}

function speakLanguage() {
  const language = byId("language").value;
  if (call && language) call.send({ type: "session.update", session: { type: "realtime", audio: { input: { transcription: { language } } } } });
}

const EVENTS = {
  "session.created": speakLanguage,
  "conversation.item.added": ({ item }) => {
    if (item.role !== "user") return;
    const text = item.content.map((part) => part.text || part.transcript || "").join(" ").trim();
    line(item.id, "user").textContent = text || "(speech)";
  },
  "conversation.item.input_audio_transcription.completed": (event) => { line(event.item_id, "user").textContent = event.transcript; },
  "response.output_audio_transcript.delta": (event) => { line(event.item_id, "agent").append(event.delta); },
  "response.created": () => { answering = true; },
  "response.done": ({ response }) => { answering = false; if (response.status !== "completed") for (const item of response.output) line(item.id, "agent").classList.add("cut"); },
  "conversation.item.truncated": (event) => {
    lines.get(event.item_id)?.classList.add("cut");
    call.send({ type: "conversation.item.retrieve", item_id: event.item_id }); // what of it was heard
  },
  "conversation.item.retrieved": ({ item }) => {
    const shown = lines.get(item.id), said = shown?.textContent, heard = item.content[0].transcript || "";
    if (said?.startsWith(heard)) shown.replaceChildren(heard, element("s", {}, said.slice(heard.length)));
  },
  "input_audio_buffer.speech_started": () => { state("listening"); askedAt = null; },
  "input_audio_buffer.speech_stopped": () => { state("active"); askedAt = performance.now(); },
  "output_audio_buffer.started": () => {
    state("speaking");
    if (askedAt !== null) telemetry.record("reply", performance.now() - askedAt);
    askedAt = null;
  },
  "output_audio_buffer.stopped": () => state("active"),
  "output_audio_buffer.cleared": () => {
    if (bargedAt !== null) telemetry.record("barge-in", performance.now() - bargedAt);
    bargedAt = null;
    if (avatar.state === "speaking") state("active");
  },
  error: ({ error }) => { byId("problem").textContent = `${error.code}: ${error.message}`; byId("problem").hidden = false; },
};

async function openSession(resumeToken = null) {
  const pasted = byId("secret").value.trim();
  try {
    const body = JSON.stringify(resumeToken ? { resumeToken } : {});
    const told = await (await ask("POST", "api/session", body, pasted && !resumeToken ? { Authorization: `Bearer ${pasted}` } : {})).json();
    byId("session").textContent = `${told.sessionId.slice(0, 13)}…${told.resumed ? " resumed" : ""}`;
    return told;
  } catch (error) {
    if (resumeToken && error.code !== "network") return openSession();
    if (["invalid_api_key", "token_expired", "invalid_token"].includes(error.code)) byId("key").hidden = false;
    throw error;
  }
}

byId("start").onclick = async () => {
  steps.clear(); lines.clear();
  byId("transcript").replaceChildren(element("li", { class: "empty" }, "Nothing said yet: speak, or type."));
  show();
  call = new Call({
    openSession: (token) => openSession(token || earlier), onState: (name, problem) => { state(name, problem); },
    onEvent: (event) => EVENTS[event.type]?.(event), onQuality: quality, telemetry,
    onStream: (stream) => { byId("speaker").srcObject = stream; avatar.listen(stream); },
  });
  try {
    await call.start();
    earlier = call && call.session.resumeToken;
  } catch (error) { state("error", error.message); }
};
byId("language").onchange = speakLanguage;
byId("end").onclick = () => call && call.end();
byId("barge").onclick = () => {
  bargedAt = avatar.state === "speaking" ? performance.now() : null;
  if (answering) call.send({ type: "response.cancel" });
  call.send({ type: "output_audio_buffer.clear" });
};
byId("mute").onclick = () => {
  const [track] = call.microphone.getAudioTracks();
  track.enabled = !track.enabled;
  byId("mute").setAttribute("aria-pressed", String(!track.enabled));
  byId("mute").textContent = track.enabled ? "Mute" : "Unmute";
};
byId("typing").onsubmit = (event) => {
  event.preventDefault();
  const text = byId("text").value.trim();
  if (!text || !call) return;
  if (answering || avatar.state === "speaking") byId("barge").click();
  askedAt = performance.now();
  call.send({ type: "conversation.item.create", item: { type: "message", role: "user", content: [{ type: "input_text", text }] } });
  call.send({ type: "response.create" });
  byId("text").value = "";
};
byId("test").onclick = async () => {
  byId("test").disabled = byId("start").disabled = true;
  byId("checks").replaceChildren(element("p", { class: "faint" }, "Testing …"));
  byId("checks").replaceChildren(await testNetwork(openSession));
  byId("test").disabled = byId("start").disabled = false;
};
new MutationObserver(() => { byId("transcript").scrollTop = byId("transcript").scrollHeight; }).observe(byId("transcript"), { childList: true, subtree: true, characterData: true });
window.addEventListener("pagehide", () => call && call.end());
show();
