// A reference server that echoes, obeys `!` commands, and tells on stdout what happens to it:
//   node server.js '{"version": "6", "options": {"pingInterval": 300}, "greet": ["hi"], "log_requests": true,
//     "log_messages": true}'
// With `tls`, what `https.createServer` takes, it speaks TLS; with `http2` also HTTP/2 to who asks for it by ALPN. With
// `unix_socket` it listens there. With `quiet` it tells nothing of sessions that come and go.
"use strict";

const http = require("http");
const http2 = require("http2");
const https = require("https");
const lines = require("./lines");

const config = JSON.parse(process.argv[2]);
const engineio = require(`engine.io-${config.version}`);

const connections = new Set(); // TCP
const sessions = new Map(); // Engine.IO, by id

const notFound = (request, response) => response.writeHead(404).end();
const server = createServer();
server.on("connection", (connection) => {
  connections.add(connection);
  connection.on("close", () => connections.delete(connection));
});
engineio.attach(server, config.options).on("connection", onSession);
if (config.log_requests) logRequests();
server.listen(config.unix_socket ? { path: config.unix_socket } : { port: 0, host: "127.0.0.1" }, () => {
  lines.write({ event: "listening", port: server.address().port });
});
lines.read(onOrder);

function createServer() {
  if (config.http2) return http2.createSecureServer({ ...config.tls, allowHTTP1: true }, notFound);
  return config.tls ? https.createServer(config.tls, notFound) : http.createServer(notFound);
}

function onSession(session) {
  const { id: sid, request } = session;
  const tell = config.quiet ? () => {} : lines.write;
  sessions.set(sid, session);
  session.on("upgrade", (transport) => tell({ event: "upgrade", sid, transport: transport.name }));
  session.on("close", (reason) => {
    sessions.delete(sid);
    tell({ event: "close", sid, reason });
  });
  tell({
    event: "connection",
    sid,
    protocol: session.protocol || 3, // only servers from 4 on know more than one
    transport: session.transport.name,
    headers: request.headers,
    url: request.url,
    tls: config.tls && tls(request.socket),
  });

  let collecting = null;
  session.on("message", (data = "") => {
    if (config.log_messages) lines.write({ event: "message", sid, text: String(data) });
    if (collecting) {
      collecting = collect(session, collecting, data);
    } else if (typeof data === "string" && data.startsWith("!collect ")) {
      collecting = collect(session, { next: 0, end: count(data) });
    } else if (!obey(session, data)) {
      session.send(data);
    }
  });
  for (const text of config.greet || []) session.send(text);
}

function tls(socket) {
  return {
    version: socket.getProtocol(),
    cipher: socket.getCipher().standardName,
    server_name: socket.servername,
    alpn: socket.alpnProtocol,
    client: socket.getPeerCertificate().subject?.CN,
  };
}

// Whether `data` was a command.
function obey(session, data) {
  if (typeof data !== "string" || !data.startsWith("!")) return false;
  switch (data.split(" ")[0]) {
    case "!burst":
      burst(session, count(data));
      return true;
    case "!burst-binary":
      for (let i = 0; i < count(data); i++) session.send(bigEndian(i));
      return true;
    case "!close":
      session.close();
      return true;
    case "!flood":
      flood(session, ...data.split(" ").slice(1).map(Number));
      return true;
    case "!headers":
      session.send(JSON.stringify(session.request.headers));
      return true;
    case "!transport":
      session.send(session.transport.name);
      return true;
    default:
      return false;
  }
}

// Takes one more message, if there is one, and returns what is still awaited, or null.
function collect(session, { next, end }, data) {
  if (data !== undefined) {
    if (data !== String(next)) {
      return collected(session, `wrong at ${next}: ${typeof data === "string" ? data : `${data.length} bytes`}`);
    }
    next++;
  }
  return next < end ? { next, end } : collected(session, `${end} ok`);
}

// Tells the client, and stdout, for a client that is closing hears nothing any more.
function collected(session, result) {
  lines.write({ event: "collected", sid: session.id, result });
  session.send(`collected ${result}`);
  return null;
}

function onOrder(order) {
  switch (order.do) {
    case "send":
      return sessions.forEach((session) => session.send(order.text ?? Buffer.from(order.base64, "base64")));
    case "count":
      return lines.write({ event: "count", sessions: sessions.size });
    case "hang_up":
      return server.closeIdleConnections();
    case "burst":
      return sessions.forEach((session) => burst(session, order.count));
    case "close":
      return sessions.forEach((session) => session.close());
    case "vanish":
      server.close(() => lines.write({ event: "vanished" }));
      return connections.forEach((connection) => connection.destroy());
    default:
      throw new Error(`unknown order: ${order.do}`);
  }
}

function burst(session, count) {
  for (let i = 0; i < count; i++) session.send(String(i));
}

// Sends `end` numbered messages of `size` bytes, about a MiB at a time, each once the one before is with the system.
// Tells when that has made no progress for a while.
function flood(session, end, size) {
  const { id: sid } = session;
  const batch = Math.ceil((1 << 20) / size);
  let sent = 0;
  const stalled = () => lines.write({ event: "stalled", sid, sent });
  let stall = setTimeout(stalled, 300);
  const more = () => {
    clearTimeout(stall);
    const until = Math.min(end, sent + batch);
    if (sent === until) return session.off("drain", more);
    stall = setTimeout(stalled, 300);
    while (sent < until) session.send(String(sent++).padEnd(size, "."));
  };
  session.on("drain", more);
  more();
}

function count(command) {
  return Number(command.split(" ")[1]);
}

function bigEndian(number) {
  const bytes = Buffer.alloc(4);
  bytes.writeUInt32BE(number);
  return bytes;
}

function logRequests() {
  const log = ({ method, url, headers, httpVersion: version, socket }) => {
    const { remoteAddress: client, remotePort: port } = socket;
    lines.write({ event: "request", method, url, headers, version, client, port });
  };
  server.prependListener("request", log);
  // A listener of ours alone would leave upgrades unanswered that Node otherwise takes for plain requests.
  if (server.listenerCount("upgrade") > 0) server.prependListener("upgrade", log);
}
