// JSON lines, as both scripts speak them on stdin and stdout.
"use strict";

// Calls `onLine` with every line's value; the process ends with its stdin, so that none outlives a test.
exports.read = (onLine) => {
  let rest = "";
  process.stdin.setEncoding("utf8");
  process.stdin.on("data", (chunk) => {
    // Not `readline`: it would also cut at U+2028, which may stand in JSON as it is.
    const lines = (rest + chunk).split("\n");
    rest = lines.pop();
    for (const line of lines) onLine(JSON.parse(line));
  });
  process.stdin.on("end", () => process.exit());
};

exports.write = (value) => process.stdout.write(JSON.stringify(value) + "\n");
