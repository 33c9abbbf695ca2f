// Socket.IO, as its users have it. Tells its port on stdout, and ends with its stdin.
"use strict";

const server = require("http").createServer();
const io = new (require("socket.io").Server)(server);

io.use((socket, next) => next(socket.handshake.auth.token === "secret" ? undefined : new Error("who is it?")));
io.on("connection", (socket) => {
  socket.on("greet", (name, acknowledge) => {
    acknowledge(`hello, ${name}`);
    socket.emit("multiply", 6, 7, (product) => socket.emit("thanks", product));
  });
});
server.listen(0, "127.0.0.1", () => console.log(server.address().port));
process.stdin.resume().on("end", () => process.exit());
