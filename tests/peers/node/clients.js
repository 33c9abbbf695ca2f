// The names that the reference clients make known, in one line on stdout: lists by kind, by version.
//   {"1.8": {"options": […], "socket": […], "transport": […], "details": […], "events": […], "exports": […]}, "3.5": …}
//
// What can be enumerated is: classes, objects that are made and never opened, the package itself. The rest is read in
// its source: which options are looked up, which fields are assigned, which events are emitted, what is declared.
"use strict";

const fs = require("fs");
const path = require("path");
const lines = require("./lines");

const clients = {
  1.8: [ofFunctions("engine.io-client-1")],
  3.5: [ofFunctions("engine.io-client-3")],
  6.6: [ofClasses("engine.io-client-6"), ofClasses("engine.io-client-6.6.6")], // 6.6.7 took two classes away
};
const entries = Object.entries(clients).map(([version, releases]) => [version, union(releases)]);
lines.write(Object.fromEntries(entries));

// Engine.io-client 1 and 3: constructor functions, one in each file.
function ofFunctions(name) {
  const lib = path.join(folderOf(name), "lib");
  const read = (file) => fs.readFileSync(path.join(lib, `${file}.js`), "utf8");
  const load = (file) => require(path.join(lib, file));
  const xhr = "transports/polling-xhr";
  const others = ["transport", "transports/polling", "transports/polling-jsonp", "transports/websocket"];
  const source = ["socket", "transports/index", xhr, ...others].map(read).join("\n");
  const Socket = require(name);

  return {
    options: lookups(source),
    socket: [membersOf(newSocket(Socket)), assigned(read("socket"))],
    transport: [
      [xhr, ...others].map((file) => membersOf(load(file).prototype)),
      others.map((file) => assigned(read(file))),
      assigned(before("function Request ", read(xhr))), // a request's own fields are none of the transport's
    ],
    details: [details(source), all(/\bdata\.(\w+)/g, after("onHandshake = ", read("socket")))],
    events: emitted(source),
    exports: [keysOf(Socket), keysOf(Socket.transports), statics(source)],
  };
}

// Engine.io-client 6: classes, with declarations.
function ofClasses(name) {
  const build = path.join(folderOf(name), "build", "cjs");
  const files = ["", "transports"].flatMap((folder) => filesIn(path.join(build, folder)));
  const read = (ending) => files.filter((file) => file.endsWith(ending)).map((file) => fs.readFileSync(file, "utf8"));
  const source = read(".js").join("\n");
  const types = read(".d.ts").join("\n");
  const { Socket, Transport, transports, ...more } = require(name);
  const classes = Object.values(more).filter((value) => value.prototype instanceof Transport);

  return {
    options: [lookups(source), declared(/(?:Socket|Write)Options/, types)],
    socket: [membersOf(newSocket(Socket)), declared(/Socket(?:With\w+)?/, types)],
    transport: [
      [Transport, ...classes].map((type) => membersOf(type.prototype)),
      declared(/Transport|Polling|(?:Base)?XHR|Fetch|(?:Base)?WS|WT/, types),
    ],
    details: [details(source), declared(/HandshakeData|TransportError|CloseDetails/, types)],
    events: [emitted(source), declared(/(?:Socket|Transport)ReservedEvents/, types)],
    exports: [keysOf(require(name)), keysOf(transports), statics(source), exported(types)],
  };
}

function union(releases) {
  const kinds = Object.keys(releases[0]);
  return Object.fromEntries(
    kinds.map((kind) => [kind, [...new Set(releases.map((names) => names[kind]).flat(Infinity))].sort()]),
  );
}

function folderOf(name) {
  return path.dirname(require.resolve(`${name}/package.json`));
}

function filesIn(folder) {
  return fs.readdirSync(folder).map((file) => path.join(folder, file));
}

// Without transports it tells an error, which nobody hears, and does nothing else.
function newSocket(Socket) {
  return new Socket({ transports: [] });
}

// An object's own members and those of its classes.
function membersOf(object) {
  if (object === Object.prototype) return [];
  return [...Object.getOwnPropertyNames(object), ...membersOf(Object.getPrototypeOf(object))];
}

// Those that are there to be seen: a package that is a function has much that every function has.
function keysOf(object) {
  const keys = [];
  for (const key in object) keys.push(key);
  return keys;
}

// What is looked up among options, not written there.
function lookups(source) {
  const picked = all(/\bpick\)?\(([^)]*)\)/g, source).flatMap((args) => all(/"(\w+)"/g, args));
  return [picked, all(/\b_?(?:opts|options)\.(\w+)\b(?! = )/g, source), all(/\bperMessageDeflate\.(\w+)/g, source)];
}

function assigned(source) {
  return all(/\b(?:this|self)\.(\w+)\s*=[^=]/g, source);
}

function statics(source) {
  return all(/\bSocket(?:With\w+)?\.(\w+) = /g, source);
}

// What errors are given besides their message.
function details(source) {
  return all(/\berr(?:or)?\.(\w+) = /g, source);
}

function emitted(source) {
  return all(/\bemit(?:Reserved)?\(['"](\w+)['"]/g, source);
}

// The members, other than static ones, of classes and interfaces that are declared by such a name.
function declared(name, types) {
  const opening = new RegExp(`^export (?:declare |abstract )*(?:class|interface) (?:${name.source})\\b.*\\{$`, "gm");
  const bodies = [...types.matchAll(opening)].map(({ index }) => before("\n}", types.slice(index)));
  const member = /^    (?:(?:private|protected|readonly|abstract|get) )*(\w+)(?:\??:|;|\(| = )/gm;
  return bodies.map((body) => all(member, body));
}

// What `export { Socket }` and `export { XHR as NodeXHR } from "…"` make known, types too.
function exported(types) {
  const lists = all(/^export \{([^}]*)\}/gm, types);
  return lists.flatMap((list) => all(/(\w+)\s*(?:,|$)/g, list));
}

function before(end, text) {
  return text.slice(0, text.indexOf(end));
}

function after(start, text) {
  return text.slice(text.indexOf(start));
}

function all(pattern, text) {
  return [...text.matchAll(pattern)].map((match) => match[1]);
}
