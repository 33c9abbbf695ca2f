"""python-engineio as a contender of the session bench: <scenario> --url … --seconds … --size … --window … --sessions …, and
one line of JSON on stdout.

What is set for speed:
- The asyncio client, which is faster than the threaded one: that starts a thread for each message.
- uvloop as its event loop.
- One aiohttp session for all clients, as aiohttp advises, without a limit to its connections.
- Handlers are coroutines; a plain function is wrapped in one for each message.
- Payloads may have more than 16 packets, which is the limit by default.
"""

import argparse
import asyncio
import gc
import json
import logging
import os
import sys
import time

import aiohttp
import engineio
import uvloop
from engineio.packet import MESSAGE, Packet
from engineio.payload import Payload

Payload.max_decode_packets = sys.maxsize
logging.disable()  # what went wrong is said once, at the end

WAYS = {"polling": ["polling"], "upgrade": ["polling", "websocket"], "websocket": ["websocket"]}


class Peer:
    def __init__(self, options, http):
        self.options = options
        self.http = http
        self.count = 0  # messages that came, or connects
        self.failed = asyncio.get_running_loop().create_future()

    def fail(self, why):
        if not self.failed.done():
            self.failed.set_exception(RuntimeError(why))

    async def run(self):
        options = self.options
        text = "x" * options.size
        match options.scenario:
            case "websocket-round-trip":
                return await self.traffic(self.echo("websocket", text, 1))
            case "websocket-echo":
                return await self.traffic(self.echo("websocket", text, options.window))
            case "websocket-echo-binary":
                return await self.traffic(self.echo("websocket", b"\xa5" * options.size, options.window))
            case "websocket-receive":
                return await self.traffic(self.receive("websocket"))
            case "polling-round-trip":
                return await self.traffic(self.echo("polling", text, 1))
            case "polling-echo":
                return await self.traffic(self.echo("polling", text, options.window))
            case "polling-receive":
                return await self.traffic(self.receive("polling"))
            case "connect-websocket":
                return await self.traffic(self.connect("websocket"))
            case "connect-upgrade":
                return await self.traffic(self.connect("upgrade"))
            case "idle-websocket":
                return await self.idle("websocket")
            case "idle-upgraded":
                return await self.idle("upgrade")
            case "codec":
                return codec(options.seconds)
            case other:
                raise ValueError(f"no such scenario: {other}")

    async def open(self, way, on_message=None):
        """An open session, after its upgrade if there is to be one. That it ends unasked is a failure."""
        client = engineio.AsyncClient(http_session=self.http, handle_sigint=False)

        async def on_disconnect(reason):
            if reason != client.reason.CLIENT_DISCONNECT:
                self.fail(f"the session has ended: {reason}")

        client.on("disconnect", on_disconnect)
        if on_message:
            client.on("message", on_message)
        await client.connect(self.options.url, transports=WAYS[way])
        if client.transport() != WAYS[way][-1]:
            raise RuntimeError("the upgrade has failed")
        return client

    async def echo(self, way, message, window):
        """Has at most `window` messages under way, and sends more when half of them have come back."""
        batch = max(1, window // 2)
        due = 0

        async def on_message(data):
            nonlocal due
            self.came(data, len(message))
            due += 1
            if due == batch:
                due = 0
                await send(batch)

        async def send(number):
            for _ in range(number):
                await client.send(message)

        client = await self.open(way, on_message)
        await send(window)

    async def receive(self, way):
        """Asks for many messages, again and again."""
        size = self.options.size
        round = max(1, min(100_000, (32 << 20) // size))

        async def on_message(data):
            self.came(data, size)
            if self.count % round == 0:
                await client.send(f"flood {round} {size}")

        client = await self.open(way, on_message)
        await client.send(f"flood {round} {size}")

    def came(self, data, size):
        if len(data) != size:
            self.fail(f"a message of {size} bytes came with {len(data)}")
        self.count += 1

    async def connect(self, way):
        while True:
            client = await self.open(way)
            await client.disconnect()
            self.count += 1

    async def traffic(self, work):
        """Says what was done after a warm-up."""
        work = asyncio.ensure_future(work)
        work.add_done_callback(lambda work: work.exception() and self.fail(str(work.exception())))
        seconds = self.options.seconds
        await asyncio.sleep(0.2 * seconds)
        before, cpu, start = self.count, time.process_time(), time.perf_counter()
        await asyncio.sleep(seconds)
        messages, elapsed, cpu = self.count - before, time.perf_counter() - start, time.process_time() - cpu

        # What has come to a halt has no speed.
        if messages == 0:
            raise RuntimeError("nothing came")
        end, deadline = self.count, time.perf_counter() + 5
        while self.count == end:
            if time.perf_counter() > deadline:
                raise RuntimeError(f"nothing came any more after {end}")
            await asyncio.sleep(0.001)
        return {"messages": messages, "seconds": elapsed, "cpu_seconds": cpu}

    async def idle(self, way):
        client = await self.open(way)  # what is made but once is no session's
        await client.disconnect()
        del client
        before = resident()
        clients = [await self.open(way) for _ in range(self.options.sessions)]
        cpu = time.process_time()
        await asyncio.sleep(self.options.seconds)
        cpu = time.process_time() - cpu
        # With heartbeats answered, and without garbage.
        return {"sessions": len(clients), "rss_bytes": resident() - before, "cpu_seconds": cpu}


def resident():
    gc.collect()
    with open("/proc/self/status") as status:
        return next(int(line.split()[1]) * 1024 for line in status if line.startswith("VmRSS:"))


def codec(seconds):
    messages = ["x" * 64] * 100
    payload = Payload(packets=[Packet(MESSAGE, message) for message in messages]).encode()
    decode = timed(seconds / 2, lambda: Payload(encoded_payload=payload))
    # Packets keep what they were encoded to, so there have to be new ones each time.
    encode = timed(seconds / 2, lambda: Payload(packets=[Packet(MESSAGE, message) for message in messages]).encode())
    return {"decode_ns": decode / len(messages), "encode_ns": encode / len(messages)}


def timed(seconds, work):
    """Nanoseconds a call, after a warm-up."""

    def run(seconds):
        start, rounds = time.perf_counter(), 0
        while (elapsed := time.perf_counter() - start) < seconds:
            work()
            rounds += 1
        return elapsed / rounds * 1e9

    run(0.2 * seconds)
    return run(seconds)


async def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("scenario")
    parser.add_argument("--url")
    parser.add_argument("--seconds", type=float, default=1)
    parser.add_argument("--size", type=int, default=64)
    parser.add_argument("--window", type=int, default=64)
    parser.add_argument("--sessions", type=int, default=100)
    options = parser.parse_args()

    http = aiohttp.ClientSession(connector=aiohttp.TCPConnector(limit=0))
    peer = Peer(options, http)
    running = asyncio.ensure_future(peer.run())
    try:
        await asyncio.wait([running, peer.failed], return_when=asyncio.FIRST_COMPLETED)
        figures = (peer.failed if peer.failed.done() else running).result()
    except Exception as error:
        print(str(error).replace("\n", " "), file=sys.stderr)
        code = 1
    else:
        print(json.dumps(figures), flush=True)
        code = 0
    os._exit(code)  # with whatever is still open


uvloop.run(main())
