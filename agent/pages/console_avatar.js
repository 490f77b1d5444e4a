// A face whose mouth follows the agent's voice: its height the loudness, its width how bright the sound is.
class Avatar {
  constructor(canvas, onFps) {
    this.canvas = canvas;
    this.onFps = onFps;
    this.analyser = null;
    this.open = 0; this.wide = 0.5; this.state = "idle";
    this.frames = []; this.blinkAt = 2000; this.still = matchMedia("(prefers-reduced-motion: reduce)").matches;
    this.draw = this.draw.bind(this);
    requestAnimationFrame(this.draw);
  }

  listen(stream) {
    this.stop();
    this.context = new AudioContext();
    this.context.resume();
    this.analyser = this.context.createAnalyser();
    this.analyser.fftSize = 1024;
    this.analyser.smoothingTimeConstant = 0.3;
    this.context.createMediaStreamSource(stream).connect(this.analyser);
    this.wave = new Float32Array(this.analyser.fftSize);
    this.bands = new Uint8Array(this.analyser.frequencyBinCount);
  }

  stop() {
    if (this.context) this.context.close();
    this.context = this.analyser = null;
  }

  hear() {
    let loud = 0, bright = 0.5;
    if (this.analyser) {
      this.analyser.getFloatTimeDomainData(this.wave);
      let power = 0;
      for (const sample of this.wave) power += sample * sample;
      loud = Math.min(1, Math.max(0, (20 * Math.log10(Math.sqrt(power / this.wave.length) + 1e-6) + 50) / 35));
      this.analyser.getByteFrequencyData(this.bands);
      const bin = this.context.sampleRate / this.analyser.fftSize;
      let low = 1, high = 1;
      for (let i = Math.round(150 / bin); i < 900 / bin; i++) low += this.bands[i];
      for (let i = Math.round(900 / bin); i < 4000 / bin; i++) high += this.bands[i] / 3;
      bright = high / (low + high);
    }
    this.open += (loud - this.open) * (loud > this.open ? 0.6 : 0.25);
    this.wide += (bright - this.wide) * 0.2;
  }

  countFrames(now) {
    this.frames.push(now);
    while (this.frames[0] < now - 1000) this.frames.shift();
    if (now - (this.toldAt || 0) > 500) { this.toldAt = now; this.onFps(this.frames.length > 2 ? Math.round(((this.frames.length - 1) * 1000) / (now - this.frames[0])) : null); }
  }

  draw(now) {
    requestAnimationFrame(this.draw);
    this.countFrames(now);
    this.hear();
    const ratio = Math.min(2, devicePixelRatio || 1), size = this.canvas.clientWidth;
    if (this.canvas.width !== Math.round(size * ratio)) this.canvas.width = this.canvas.height = Math.round(size * ratio);
    const c = this.canvas.getContext("2d");
    c.setTransform((size * ratio) / 200, 0, 0, (size * ratio) / 200, 0, 0);
    c.clearRect(0, 0, 200, 200);
    this.paint(c, now, this.colours(now));
  }

  colours(now) {
    if (!this.palette || now - this.paletteAt > 1000) {
      const style = getComputedStyle(document.documentElement);
      this.palette = Object.fromEntries(["agent", "caller", "paper", "ink", "quiet", "bad", "unsure"].map((name) => [name, style.getPropertyValue(`--${name}`).trim()]));
      this.paletteAt = now;
    }
    return this.palette;
  }

  paint(c, now, colour) {
    const ring = { speaking: colour.agent, listening: colour.caller, error: colour.bad, reconnecting: colour.unsure, connecting: colour.unsure, active: colour.agent }[this.state] || colour.quiet;
    const glow = 84 + 10 * this.open;
    c.globalAlpha = 0.16;
    c.fillStyle = ring;
    c.beginPath(); c.arc(100, 100, glow, 0, 7); c.fill();
    c.globalAlpha = 1;
    c.beginPath(); c.arc(100, 100, 74, 0, 7); c.fillStyle = colour.paper; c.fill();
    c.lineWidth = 5; c.strokeStyle = ring; c.stroke();
    this.eyes(c, now, colour.ink);
    this.mouth(c, colour);
  }

  eyes(c, now, ink) {
    if (now > this.blinkAt + 140) this.blinkAt = now + 2200 + 2600 * Math.random();
    const shut = !this.still && now > this.blinkAt ? Math.sin(((now - this.blinkAt) / 140) * Math.PI) : 0;
    const look = this.state === "listening" ? -2 : 0;
    c.fillStyle = ink;
    for (const x of [74, 126]) {
      c.beginPath(); c.ellipse(x, 84 + look, 7.5, Math.max(0.9, 9.5 * (1 - shut)), 0, 0, 7); c.fill();
    }
  }

  mouth(c, colour) {
    const half = 17 + 13 * this.wide + 3 * this.open, high = 1.6 + 23 * this.open, y = 126;
    c.fillStyle = colour.ink;
    c.beginPath();
    c.moveTo(100 - half, y);
    c.bezierCurveTo(100 - half * 0.5, y - high * 0.55, 100 + half * 0.5, y - high * 0.55, 100 + half, y);
    c.bezierCurveTo(100 + half * 0.6, y + high * 1.25 + 5, 100 - half * 0.6, y + high * 1.25 + 5, 100 - half, y);
    c.closePath();
    c.lineWidth = 3.5; c.lineJoin = "round"; c.strokeStyle = colour.ink;
    c.stroke(); c.fill();
    if (this.open > 0.25) {
      c.save(); c.clip();
      c.fillStyle = colour.bad;
      c.beginPath(); c.ellipse(100, y + high * 0.95 + 6, half * 0.6, high * 0.5, 0, 0, 7); c.fill();
      c.restore();
    }
  }
}
