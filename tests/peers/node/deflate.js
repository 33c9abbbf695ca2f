// Echo servers that compress: engine.io 3 and 6, and `ws` with as little Engine.IO as opens a session, each with every one
// of some settings for permessage-deflate. The path says which: `/6/2/` is engine.io 6 with the third of
//   node deflate.js '{"settings": [null, {}, {"threshold": 0}]}'
// All of them answer `!terms` with what was agreed upon.
"use strict";

const http = require("http");
const WebSocket = require("ws-8");
const lines = require("./lines");

const { settings } = JSON.parse(process.argv[2]);

const doors = new Map(); // what is behind a path
for (const [at, perMessageDeflate] of settings.entries()) {
  for (const version of ["3", "6"]) doors.set(`/${version}/${at}/`, engine(version, perMessageDeflate));
  doors.set(`/ws/${at}/`, bare(perMessageDeflate));
}

const server = http.createServer((request, response) => door(request).handleRequest(request, response));
server.on("upgrade", (request, socket, head) => door(request).handleUpgrade(request, socket, head));
server.listen(0, "127.0.0.1", () => lines.write({ event: "listening", port: server.address().port }));
lines.read(() => {});

function door(request) {
  return doors.get(request.url.split("?")[0]);
}

function engine(version, perMessageDeflate) {
  const { Server } = require(`engine.io-${version}`);
  const engine = new Server({ perMessageDeflate, allowEIO3: true });
  engine.on("connection", (session) => {
    session.on("message", (data = "") => {
      session.send(data === "!terms" ? JSON.stringify(terms(session.transport.socket)) : data);
    });
  });
  return engine;
}

// `ws` alone tells what it sees of a message, and obeys: `!marks` asks which messages came compressed, in order; after
// `!fragments 100` messages go out in fragments of at most 100 bytes, after `!pings` with pings in between, and `!pongs`
// asks how many there were, and how many were answered.
function bare(perMessageDeflate) {
  const server = new WebSocket.Server({ noServer: true, perMessageDeflate });
  const handleUpgrade = (request, socket, head) => {
    server.handleUpgrade(request, socket, head, (socket) => onSocket(socket, new URL(request.url, "http://localhost")));
  };
  return { handleUpgrade, handleRequest: (_, response) => response.writeHead(404).end() };
}

function onSocket(socket, url) {
  const handshake = {
    sid: "abc",
    upgrades: [],
    pingInterval: 25000,
    pingTimeout: 20000,
    maxPayload: 1000000,
    padding: ".".repeat(url.searchParams.get("padding")), // as some query asks for
  };
  const marks = [];
  const how = { size: Infinity, ping: () => {} };
  let pings = 0;
  let pongs = 0;
  socket.on("pong", () => pongs++);
  socket.on("message", (data, isBinary) => {
    const [command, count] = isBinary ? [] : data.toString().slice(1).split(" ");
    switch (command) {
      case "!terms":
        return socket.send("4" + JSON.stringify(terms(socket)));
      case "!marks":
        return socket.send("4" + JSON.stringify(marks));
      case "!pongs":
        return socket.send("4" + JSON.stringify([pings, pongs]));
      case "!fragments":
        how.size = Number(count);
        return;
      case "!pings":
        how.ping = () => socket.ping(String(pings++));
        return;
      default:
        marks.push(socket._receiver._compressed);
        return send(socket, data, isBinary, how);
    }
  });
  socket.send("0" + JSON.stringify(handshake));
}

function send(socket, data, binary, { size, ping }) {
  let rest = data;
  for (; rest.length > size; rest = rest.subarray(size)) {
    socket.send(rest.subarray(0, size), { binary, fin: false });
    ping();
  }
  socket.send(rest, { binary });
}

// As the extension itself keeps them, for `extensions` has but its name.
function terms(socket) {
  return socket._extensions["permessage-deflate"]?.params ?? null;
}
