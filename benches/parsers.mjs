// What small packets cost in the reference's parsers, in the words of codec.rs; the argument is the folder where they are
// installed.
import { createRequire } from "node:module";
import { join } from "node:path";

const require = createRequire(join(process.argv[2], "parsers.js"));
const [v3, v4] = [require("parser-3"), require("parser-4")];

const codecs = {
  "v4, engine.io-parser 5.2": {
    encode: (packets) => v4.encodePayload(packets, keep),
    decode: (payload) => v4.decodePayload(payload).forEach(keep),
  },
  "v3, engine.io-parser 2.2": {
    encode: (packets) => v3.encodePayload(packets, true, keep),
    decode: (payload) => v3.decodePayload(payload, keep),
  },
};

const kinds = {
  "100 packets of 64 B": Array.from({ length: 100 }, () => message("x".repeat(64))),
  "100 binary packets of 64 B": Array.from({ length: 100 }, () => message(Buffer.alloc(64, 7))),
  "1 packet of 1 B": [message("x")],
};

let kept;
function keep(result) {
  kept = result;
}

function message(data) {
  return { type: "message", data };
}

// The median of many rounds, after as many to warm up.
function nanosAPacket(packets, run) {
  const runs = 200_000 / packets;
  const rounds = Array.from({ length: 40 }, () => {
    const start = process.hrtime.bigint();
    for (let i = 0; i < runs; i++) run();
    return Number(process.hrtime.bigint() - start) / (runs * packets);
  });
  return rounds.slice(20).sort((a, b) => a - b)[10];
}

for (const [kind, packets] of Object.entries(kinds)) {
  for (const [name, { encode, decode }] of Object.entries(codecs)) {
    encode(packets); // all parsers call back before they return
    const payload = kept;
    const runs = { encode: () => encode(packets), decode: () => decode(payload) };
    for (const [operation, run] of Object.entries(runs)) {
      const nanos = nanosAPacket(packets.length, run).toFixed(1);
      console.log(`${operation} ${kind}/${name}`.padEnd(64), `time: ${nanos} ns`);
    }
  }
}
