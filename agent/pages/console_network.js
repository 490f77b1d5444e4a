// The test before a call: latency and jitter of a Socket.IO ping over WebSocket, and UDP by a short call of its own,
// whose ICE (STUN both ways) has to come up. With ICE servers configured, what they see of us, too.
const PINGS = 20;

class Ping {
  // As much of Socket.IO as a ping needs: Engine.IO 4 in text frames.
  constructor(socket) { this.socket = socket; this.waiting = new Map(); this.number = 0; }

  static open() {
    const url = new URL("socket.io/?EIO=4&transport=websocket", location.href);
    url.protocol = location.protocol === "https:" ? "wss:" : "ws:";
    const socket = new WebSocket(url), ping = new Ping(socket);
    return new Promise((done, fail) => {
      const late = setTimeout(() => fail(new Trouble("recoverable", "no answer by WebSocket in 5 s")), 5000);
      socket.onerror = () => fail(new Trouble("recoverable", "the WebSocket was refused"));
      socket.onmessage = ({ data }) => {
        if (data[0] === "0") socket.send("40");
        else if (data[0] === "2") socket.send("3");
        else if (data.startsWith("40")) { clearTimeout(late); done(ping); }
        else if (data.startsWith("43")) ping.answered(data.slice(2));
      };
    });
  }

  answered(text) {
    const number = parseInt(text, 10);
    const waiting = this.waiting.get(number);
    if (waiting) { this.waiting.delete(number); waiting(performance.now()); }
  }

  async measure() {
    const number = this.number++, began = performance.now();
    const ended = await new Promise((done, fail) => {
      this.waiting.set(number, done);
      setTimeout(() => fail(new Trouble("recoverable", "a ping was lost")), 3000);
      this.socket.send(`42${number}["ping_measure",{"clientTimeMs":${began}}]`);
    });
    return ended - began;
  }
}

async function testWebSocket() {
  const ping = await Ping.open(), times = [];
  try {
    for (let i = 0; i < PINGS; i++) { times.push(await ping.measure()); await wait(20); }
  } finally {
    ping.socket.close();
  }
  const sorted = [...times].sort((a, b) => a - b);
  const steps = times.slice(1).map((time, index) => Math.abs(time - times[index]));
  return { median: nearestRank(sorted, 0.5), p95: nearestRank(sorted, 0.95), jitter: steps.reduce((a, b) => a + b, 0) / steps.length };
}

async function testUdp(session) {
  const peer = new RTCPeerConnection({ iceServers: session.iceServers, bundlePolicy: "max-bundle" });
  const seen = new Set();
  peer.onicecandidate = ({ candidate }) => candidate && seen.add(candidate.type);
  let location = null;
  try {
    peer.createDataChannel("oai-events");
    peer.addTransceiver("audio");
    const began = performance.now();
    await peer.setLocalDescription();
    await gathered(peer);
    const answer = await ask("POST", "v1/realtime/calls", peer.localDescription.sdp, { "Content-Type": "application/sdp", Authorization: `Bearer ${session.secret}` });
    location = answer.headers.get("Location");
    await peer.setRemoteDescription({ type: "answer", sdp: await answer.text() });
    while (!["connected", "completed"].includes(peer.iceConnectionState)) {
      if (performance.now() - began > 10000 || peer.iceConnectionState === "failed") throw new Trouble("recoverable", "UDP to the agent does not get through");
      await wait(20);
    }
    return { ms: performance.now() - began, seen: [...seen] };
  } finally {
    peer.close();
    if (location) ask("DELETE", location.slice(1), null, { Authorization: `Bearer ${session.secret}` }).catch(() => {});
  }
}

function gathered(peer, limitMs = 5000) {
  if (peer.iceGatheringState === "complete") return Promise.resolve();
  return new Promise((done) => {
    setTimeout(done, limitMs);
    peer.addEventListener("icegatheringstatechange", () => peer.iceGatheringState === "complete" && done());
  });
}

function checkRow(name, good, told) {
  return element("tr", {}, element("td", {}, name), element("td", {}, told), element("td", {}, element("span", { class: `badge ${good ? "good" : "bad"}` }, good ? "good" : "bad")));
}

async function testNetwork(openSession) {
  const rows = [];
  try {
    const found = await testWebSocket();
    rows.push(checkRow("WebSocket", found.median < 150, `${found.median.toFixed(1)} ms, P95 ${found.p95.toFixed(1)} ms`));
    rows.push(checkRow("Jitter", found.jitter < 25, `${found.jitter.toFixed(1)} ms`));
  } catch (error) { rows.push(checkRow("WebSocket", false, error.message)); }
  try {
    const session = await openSession(), found = await testUdp(session);
    rows.push(checkRow("UDP (STUN)", true, `up in ${found.ms.toFixed(0)} ms`));
    if (session.iceServers.length) rows.push(checkRow("ICE servers", found.seen.includes("srflx") || found.seen.includes("relay"), `candidates: ${found.seen.join(", ") || "none"}`));
  } catch (error) { rows.push(checkRow("UDP (STUN)", false, error.message)); }
  return element("table", {}, element("tbody", {}, ...rows));
}
