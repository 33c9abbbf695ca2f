// engine.io-client as a contender of the session bench: <scenario> --url … --seconds … --size … --window … --sessions …, and
// one line of JSON on stdout.
//
// What is set for speed:
// - The transports are the package's defaults for Node: `ws` without bufferutil, and its XMLHttpRequest. Its `Fetch` takes
//   twice the CPU time for a round trip.
// - An agent keeps connections; by default each request of polling has a new one.
// - perMessageDeflate is off; the package offers it by default.
// - The harness runs Node with NODE_ENV=production, and with --expose-gc, so that garbage is not counted as a session's memory.
"use strict";

const { once } = require("events");
const { Agent } = require("http");
const { setTimeout: sleep } = require("timers/promises");
const { parseArgs } = require("util");
const { Socket } = require("engine.io-client");
const { decodePayload, encodePayload } = require("engine.io-parser");

const agent = new Agent({ keepAlive: true });
const ways = {
  polling: ["polling"],
  upgrade: ["polling", "websocket"],
  websocket: ["websocket"],
};

let count = 0; // messages that came, or connects

async function run() {
  const { values, positionals } = parseArgs({
    allowPositionals: true,
    options: Object.fromEntries(["url", "seconds", "size", "window", "sessions"].map((name) => [name, { type: "string" }])),
  });
  const [scenario] = positionals;
  const { url } = values;
  const [seconds, size, window, sessions] = ["seconds", "size", "window", "sessions"].map((name) => Number(values[name]));
  const text = "x".repeat(size);

  switch (scenario) {
    case "websocket-round-trip":
      return traffic(seconds, echo(await open(url, "websocket"), text, 1));
    case "websocket-echo":
      return traffic(seconds, echo(await open(url, "websocket"), text, window));
    case "websocket-echo-binary":
      return traffic(seconds, echo(await open(url, "websocket"), Buffer.alloc(size, 0xa5), window));
    case "websocket-receive":
      return traffic(seconds, receive(await open(url, "websocket"), size));
    case "polling-round-trip":
      return traffic(seconds, echo(await open(url, "polling"), text, 1));
    case "polling-echo":
      return traffic(seconds, echo(await open(url, "polling"), text, window));
    case "polling-receive":
      return traffic(seconds, receive(await open(url, "polling"), size));
    case "connect-websocket":
      return traffic(seconds, connect(url, "websocket"));
    case "connect-upgrade":
      return traffic(seconds, connect(url, "upgrade"));
    case "idle-websocket":
      return idle(url, "websocket", sessions, seconds);
    case "idle-upgraded":
      return idle(url, "upgrade", sessions, seconds);
    case "codec":
      return codec(seconds);
    default:
      throw new Error(`no such scenario: ${scenario}`);
  }
}

// An open session, after its upgrade if there is to be one. That it ends unasked is a failure.
async function open(url, way) {
  const socket = new Socket(url, { transports: ways[way], agent, perMessageDeflate: false });
  socket.on("close", ended);
  socket.on("upgradeError", fail);
  await once(socket, way === "upgrade" ? "upgrade" : "open");
  return socket;
}

function ended(reason) {
  fail(new Error(`the session has ended: ${reason}`));
}

async function close(socket) {
  socket.off("close", ended);
  const closed = once(socket, "close");
  socket.close();
  await closed;
}

// Has at most `window` messages under way, and sends more when half of them have come back.
function echo(socket, message, window) {
  const batch = Math.max(1, window >> 1);
  const send = (number) => {
    for (let i = 0; i < number; i++) socket.send(message);
  };
  let due = 0;
  onMessage(socket, message.length, () => {
    if (++due === batch) {
      due = 0;
      send(batch);
    }
  });
  send(window);
}

// Asks for many messages, again and again.
function receive(socket, size) {
  const round = Math.max(1, Math.min(100_000, Math.floor((32 << 20) / size)));
  const ask = () => socket.send(`flood ${round} ${size}`);
  onMessage(socket, size, () => count % round === 0 && ask());
  ask();
}

function onMessage(socket, size, then) {
  socket.on("message", (data) => {
    if (data.length !== size) fail(new Error(`a message of ${size} bytes came with ${data.length}`));
    count++;
    then();
  });
}

async function connect(url, way) {
  for (;;) {
    await close(await open(url, way));
    count++;
  }
}

// Says what was done after a warm-up.
async function traffic(seconds, work) {
  Promise.resolve(work).catch(fail);
  await sleep(200 * seconds);
  const [before, cpu, start] = [count, process.cpuUsage(), performance.now()];
  await sleep(1000 * seconds);
  const [messages, elapsed] = [count - before, (performance.now() - start) / 1000];
  const { user, system } = process.cpuUsage(cpu);

  // What has come to a halt has no speed.
  if (messages === 0) throw new Error("nothing came");
  const end = count;
  for (let i = 0; count === end; i++) {
    if (i === 5000) throw new Error(`nothing came any more after ${end}`);
    await sleep(1);
  }
  return { messages, seconds: elapsed, cpu_seconds: (user + system) / 1e6 };
}

async function idle(url, way, sessions, seconds) {
  await close(await open(url, way)); // what is made but once is no session's
  const before = resident();
  const sockets = [];
  for (let i = 0; i < sessions; i++) sockets.push(await open(url, way));
  const start = process.cpuUsage();
  await sleep(1000 * seconds);
  const { user, system } = process.cpuUsage(start);
  return { sessions: sockets.length, rss_bytes: resident() - before, cpu_seconds: (user + system) / 1e6 }; // with heartbeats answered
}

function resident() {
  gc();
  return process.memoryUsage.rss();
}

function codec(seconds) {
  const packets = Array.from({ length: 100 }, () => ({ type: "message", data: "x".repeat(64) }));
  let payload;
  encodePayload(packets, (encoded) => (payload = encoded));
  const decode_ns = time(seconds / 2, () => decodePayload(payload, "nodebuffer"));
  const encode_ns = time(seconds / 2, () => encodePayload(packets, () => {}));
  return { decode_ns, encode_ns };

  // Nanoseconds a packet, after a warm-up.
  function time(seconds, work) {
    const run = (seconds) => {
      const start = performance.now();
      let [elapsed, rounds] = [0, 0];
      for (; elapsed < 1000 * seconds; elapsed = performance.now() - start) {
        for (let i = 0; i < 100; i++) work();
        rounds += 100;
      }
      return (elapsed * 1e6) / (rounds * packets.length);
    };
    run(0.2 * seconds);
    return run(seconds);
  }
}

function fail(error) {
  console.error(`${error?.message} ${error?.description?.message ?? ""}`.trim().replaceAll("\n", " "));
  process.exit(1);
}

run().then((figures) => {
  console.log(JSON.stringify(figures));
  process.exit();
}, fail);
