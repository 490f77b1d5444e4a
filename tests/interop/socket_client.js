// The official Socket.IO client, told by lines of JSON on stdin what to do, telling on stdout what happens.
// {do: "connect", name, url, options} {do: "emit", name, event, data, id} {do: "close", name}
// Sound travels here as {base64: …}.
const { io } = require("socket.io-client");
const lines = require("readline").createInterface({ input: process.stdin });
const sockets = {};
const tell = (what) => process.stdout.write(JSON.stringify(what, wrapped) + "\n");
function wrapped(key, value) {
  return value && value.type === "Buffer" ? { base64: Buffer.from(value.data).toString("base64") } : value;
}
function unwrapped(value) {
  if (value && typeof value === "object") {
    if (typeof value.base64 === "string") return Buffer.from(value.base64, "base64");
    return Array.isArray(value) ? value.map(unwrapped) : Object.fromEntries(Object.entries(value).map(([k, v]) => [k, unwrapped(v)]));
  }
  return value;
}
function connect({ name, url, options }) {
  const socket = (sockets[name] = io(url, { forceNew: true, reconnection: false, ...options }));
  socket.on("connect", () => tell({ name, event: "connect", transport: socket.io.engine.transport.name }));
  socket.io.engine.on("upgrade", (transport) => tell({ name, event: "upgrade", transport: transport.name }));
  socket.on("connect_error", (error) => tell({ name, event: "connect_error", message: error.message, data: error.data }));
  socket.on("disconnect", (reason) => tell({ name, event: "disconnect", reason }));
  socket.onAny((event, data, ack) => {
    tell({ name, event, data });
    if (typeof ack === "function") ack();
  });
}
lines.on("line", (line) => {
  const asked = JSON.parse(line);
  const { name, event, data, id } = asked;
  if (asked.do === "connect") connect(asked);
  else if (asked.do === "close") sockets[name].close();
  else sockets[name].timeout(20000).emit(event, unwrapped(data), (error, answer) => tell({ name, ack: id, answer, error: error && error.message }));
});
lines.on("close", () => process.exit(0));
