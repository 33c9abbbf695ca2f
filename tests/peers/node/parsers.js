// The reference parsers as an oracle: a question a line on stdin, its answer on stdout. Protocol "1" stands for
// protocol 3 as engine.io 1 speaks it.
//   {"id": 1, "protocol": 3, "op": "encodePayload", "supportsBinary": true, "packets": [{"type": "message", "text": "€"}]}
//   {"id": 2, "protocol": 4, "op": "encodePacket", "supportsBinary": false, "packet": {"type": "message", "base64": "AQI="}}
//     answer {"id", "text"} or {"id", "base64"}
//   {"id": 3, "protocol": 4, "op": "decodePayload", "text": "4a\u001e4b"}
//   {"id": 4, "protocol": 3, "op": "decodePacket", "base64": "BAEC"}
//     answer {"id", "packets": […]}, or {"id", "error": true} when the parser refuses
"use strict";

const { createRequire } = require("module");
const lines = require("./lines");

const requireOf1 = createRequire(require.resolve("engine.io-1"));
const parsers = { 1: requireOf1("engine.io-parser"), 3: require("parser-3"), 4: require("parser-4") };

lines.read((question) => {
  const { id, protocol, op } = question;
  lines.write({ id, ...operations[op](parsers[protocol], question) });
});

const operations = {
  encodePacket: (parser, { packet, supportsBinary }) =>
    encoded((done) => parser.encodePacket(fromJson(packet), supportsBinary, done)),

  encodePayload: (parser, { protocol, packets, supportsBinary }) =>
    encoded((done) =>
      protocol === 4
        ? parser.encodePayload(packets.map(fromJson), done)
        : parser.encodePayload(packets.map(fromJson), supportsBinary, done),
    ),

  decodePacket: (parser, question) => decoded([parser.decodePacket(dataOf(question))]),

  decodePayload: (parser, question) => {
    if (question.protocol === 4) return decoded(parser.decodePayload(dataOf(question)));
    const packets = [];
    parser.decodePayload(dataOf(question), (packet) => void packets.push(packet));
    return decoded(packets);
  },
};

// All parsers call back before they return.
function encoded(encode) {
  let result;
  encode((data) => (result = data));
  return jsonOf(result);
}

function decoded(packets) {
  if (packets.some((packet) => packet.type === "error")) return { error: true };
  return { packets: packets.map(({ type, data }) => ({ type, ...jsonOf(data) })) };
}

function fromJson({ type, ...data }) {
  return { type, data: dataOf(data) };
}

function dataOf({ text, base64 }) {
  return base64 === undefined ? text : Buffer.from(base64, "base64");
}

// Engine.io 1 decodes lone surrogates, which JSON readers refuse: they become U+FFFD, as in the later parsers.
function jsonOf(data) {
  if (data === undefined) return {};
  return typeof data === "string" ? { text: data.toWellFormed() } : { base64: data.toString("base64") };
}
