// One call: token, microphone, peer connection, offer, gathering, answer; restarts of ICE and reconnection; events.
const RETRY_MS = [1000, 2000, 4000, 8000, 16000];
const GRACE_MS = 5000;
const QUALITY_MS = 5000;

class Call {
  constructor({ openSession, onState, onEvent, onQuality, onStream, telemetry }) {
    Object.assign(this, { openSession, onState, onEvent, onQuality, onStream, telemetry });
    this.peer = this.channel = this.location = this.session = null;
    this.attempts = 0; this.ended = false; this.timers = new Set(); this.lost = 0;
  }

  async timed(operation, work) {
    const began = performance.now(), value = await work();
    this.telemetry.record(operation, performance.now() - began);
    return value;
  }

  async start() {
    this.onState("connecting");
    try {
      this.session = await this.timed("token", () => this.openSession());
      this.telemetry.sessionId = this.session.sessionId;
      this.microphone = await this.timed("microphone", () => this.openMicrophone());
      await this.connect();
    } catch (error) {
      await this.end();
      throw error;
    }
  }

  async openMicrophone() {
    if (!navigator.mediaDevices) throw new Trouble("fatal", "A browser gives its microphone to pages of https or localhost only.", "insecure");
    try {
      return await navigator.mediaDevices.getUserMedia({ audio: { echoCancellation: true, noiseSuppression: true } });
    } catch (error) {
      throw new Trouble("fatal", `No microphone: ${error.message}. Allow it for this page and start again.`, "permission");
    }
  }

  async connect() {
    // no candidate pool: with one, Chromium's first restart would offer the old credentials once more
    const peer = (this.peer = new RTCPeerConnection({ iceServers: this.session.iceServers, bundlePolicy: "max-bundle", rtcpMuxPolicy: "require" }));
    for (const track of this.microphone.getTracks()) peer.addTrack(track, this.microphone);
    peer.ontrack = ({ streams }) => this.onStream(streams[0]);
    peer.onconnectionstatechange = () => this.changed(peer);
    this.channel = peer.createDataChannel("oai-events");
    this.channel.onmessage = ({ data }) => this.onEvent(JSON.parse(data));
    const open = new Promise((done, fail) => { this.channel.onopen = done; this.timer(() => fail(new Trouble("recoverable", "The connection did not come up in 15 s.")), 15000); });
    await peer.setLocalDescription();
    await this.timed("gather", () => gathered(peer));
    const answer = await this.timed("signal", () => this.post("POST", "v1/realtime/calls"));
    this.location = answer.headers.get("Location").slice(1);
    const began = performance.now();
    await peer.setRemoteDescription({ type: "answer", sdp: await answer.text() });
    await open;
    this.telemetry.record("connect", performance.now() - began);
    this.attempts = 0;
    this.onState("active");
    this.watch();
  }

  post(method, path) {
    return ask(method, path, this.peer.localDescription.sdp, { "Content-Type": "application/sdp", Authorization: `Bearer ${this.session.secret}` });
  }

  changed(peer) {
    if (peer !== this.peer || this.ended) return;
    if (peer.connectionState === "disconnected") this.timer(() => peer.connectionState === "disconnected" && this.recover(), GRACE_MS);
    if (peer.connectionState === "failed") this.recover();
    if (peer.connectionState === "closed") this.end();
  }

  async recover() {
    if (this.recovering || this.ended) return;
    this.recovering = true;
    this.onState("reconnecting");
    try {
      await this.timed("restart", () => this.restart());
      this.onState("active");
    } catch { await this.again(); }
    this.recovering = false;
  }

  async restart() {
    this.peer.restartIce();
    await this.peer.setLocalDescription(await this.peer.createOffer({ iceRestart: true }));
    // the state is still that of the first gathering: the new candidates are what to wait for
    for (let i = 0; i < 100 && !this.peer.localDescription.sdp.includes("a=candidate"); i++) await wait(30);
    this.session = await this.openSession(this.session.resumeToken);
    const answer = await this.post("PATCH", this.location);
    await this.peer.setRemoteDescription({ type: "answer", sdp: await answer.text() });
    for (let i = 0; i < 100 && this.peer.connectionState !== "connected"; i++) await wait(100);
    if (this.peer.connectionState !== "connected") throw new Trouble("recoverable", "the restart did not help");
  }

  async again() {
    let reason = "max_retries_exceeded";
    while (!this.ended && this.attempts < RETRY_MS.length) {
      await wait(RETRY_MS[this.attempts++]);
      if (this.ended) return;
      try {
        this.peer.close();
        this.session = await this.openSession(this.session.resumeToken);
        return await this.connect();
      } catch (error) { if (error.kind === "fatal") { reason = error.message; break; } }
    }
    if (this.ended) return;
    await this.end();
    this.onState("error", `The call could not be brought back: ${reason}`);
  }

  send(event) {
    if (!this.channel || this.channel.readyState !== "open") return false;
    this.channel.send(JSON.stringify(event));
    return true;
  }

  watch() {
    clearInterval(this.watching);
    this.watching = setInterval(() => this.measure().catch(() => {}), QUALITY_MS);
    setTimeout(() => this.measure().catch(() => {}), 1200);
  }

  async measure() {
    if (this.ended || !this.peer) return;
    const reading = { rttMs: null, jitterMs: null, lost: null, lostTotal: null };
    for (const one of (await this.peer.getStats()).values()) {
      if (one.type === "candidate-pair" && one.nominated && one.currentRoundTripTime !== undefined) reading.rttMs = one.currentRoundTripTime * 1000;
      if (one.type === "inbound-rtp" && one.kind === "audio") {
        reading.jitterMs = one.jitter * 1000;
        reading.lostTotal = one.packetsLost;
        reading.lost = Math.max(0, one.packetsLost - this.lost);
        this.lost = one.packetsLost;
      }
    }
    this.onQuality(reading);
  }

  timer(action, ms) {
    const timer = setTimeout(() => { this.timers.delete(timer); action(); }, ms);
    this.timers.add(timer);
  }

  async end() {
    if (this.ended) return;
    this.ended = true;
    clearInterval(this.watching);
    for (const timer of this.timers) clearTimeout(timer);
    const location = this.location, secret = this.session && this.session.secret;
    for (const close of [() => this.channel && this.channel.close(), () => this.microphone && this.microphone.getTracks().forEach((track) => track.stop()), () => this.peer && this.peer.close(), () => this.telemetry.flush()])
      try { close(); } catch (error) { console.log("closing", error.message); }
    this.onState("idle");
    if (location) await ask("DELETE", location, null, { Authorization: `Bearer ${secret}` }).catch(() => {});
  }
}
