"use strict";
// libwebrtc in Node: answers one offer read from stdin and tells what it hears, a JSON text a line.
const { RTCPeerConnection, nonstandard } = require("@roamhq/wrtc");
const lines = require("readline").createInterface({ input: process.stdin });
const pc = new RTCPeerConnection({ iceServers: [], bundlePolicy: "max-bundle" });
const tell = (message) => process.stdout.write(JSON.stringify(message) + "\n");
const source = new nonstandard.RTCAudioSource();
const samples = Int16Array.from({ length: 480 }, (_, i) => 8000 * Math.sin((2 * Math.PI * 500 * i) / 48000));
let loud = 0;

pc.ontrack = ({ track }) => {
  new nonstandard.RTCAudioSink(track).ondata = (data) => {
    if (data.samples.some((sample) => Math.abs(sample) > 500) && ++loud === 20) tell({ heard: loud });
  };
};
pc.ondatachannel = ({ channel }) => {
  channel.onmessage = ({ data }) => { tell({ message: data }); channel.send("from node"); };
};
lines.on("line", async (line) => {
  await pc.setRemoteDescription({ type: "offer", sdp: JSON.parse(line) });
  if (pc.getSenders().every((sender) => !sender.track)) pc.addTrack(source.createTrack());
  await pc.setLocalDescription(await pc.createAnswer());
  while (pc.iceGatheringState !== "complete") await new Promise((go) => setTimeout(go, 10));
  tell({ answer: pc.localDescription.sdp });
});
lines.on("close", () => { pc.close(); process.exit(0); });
setInterval(() => source.onData({ samples, sampleRate: 48000, bitsPerSample: 16, channelCount: 1, numberOfFrames: 480 }), 10);
