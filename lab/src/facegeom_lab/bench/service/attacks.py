"""Attacks on a service on this machine, each run in a process of its own.

``python -m facegeom_lab.bench.service.attacks NAME PORT PID SECONDS`` prints the answers it got, as JSON.
"""

import asyncio
import json
import os
import random
import signal
import struct
import sys
from collections import Counter
from collections.abc import Awaitable, Callable
from contextlib import suppress
from dataclasses import dataclass, field
from io import BytesIO

import numpy as np
from PIL import Image

from facegeom_lab.bench.service.load import PATH
from facegeom_lab.bench.speed.processes import descendants

MEGABYTE = 1_000_000
FORM = "multipart/form-data; boundary=b"
_PART = b'--b\r\nContent-Disposition: form-data; name="%s"\r\n\r\n\r\n'
_PIECE = 1 << 16
_REST_S = 0.05
"""Pause of an attacker after each try, so that it does not take the processor from those it measures."""


@dataclass
class Target:
    """The attacked service, and what came back.

    Attributes:
        port: on 127.0.0.1.
        pid: of the main process.
        codes: responses by status code; 0 for a connection that was closed without one.
        sent: bytes that the service took.
        ready: set when the attack begins.
        ended: whether it must end; wait_for of Python 3.11 may lose a cancellation.
    """

    port: int
    pid: int
    codes: Counter[int] = field(default_factory=Counter)
    sent: int = 0
    ready: asyncio.Event = field(default_factory=asyncio.Event)
    ended: bool = False

    async def ask(self, head: str, *pieces: bytes, wait_s: float = 60.0, host: str = "127.0.0.1") -> None:
        """Send one request piece by piece and note its status code."""
        code = 0
        with suppress(OSError, asyncio.TimeoutError, ValueError, IndexError):
            reader, writer = await asyncio.wait_for(asyncio.open_connection("127.0.0.1", self.port), 10)
            answer = asyncio.ensure_future(reader.readline())
            try:
                for piece in (f"{head}\r\nHost: {host}\r\n".encode("latin-1"), *pieces):
                    for start in range(0, len(piece), _PIECE):
                        if answer.done():
                            break
                        writer.write(piece[start : start + _PIECE])
                        await asyncio.wait_for(writer.drain(), wait_s)
                        self.sent += len(piece[start : start + _PIECE])
                code = int((await asyncio.wait_for(answer, wait_s)).split()[1])
            finally:
                writer.transport.abort()
        self.codes[code] += 1

    async def post(self, body: bytes, media_type: str = "image/jpeg", query: str = "") -> None:
        """Send a photo and note the status code of the response."""
        fields = f"Content-Type: {media_type}\r\nContent-Length: {len(body)}\r\n\r\n"
        await self.ask(f"POST {PATH}{query} HTTP/1.1", fields.encode("ascii"), body)


Attack = Callable[[Target], Awaitable[None]]


async def _repeat(target: Target, times: int, action: Callable[[], Awaitable[None]]) -> None:
    """Run so many loops of an action side by side, for ever."""

    async def loop() -> None:
        while not target.ended:
            await action()
            await asyncio.sleep(_REST_S)

    target.ready.set()
    await asyncio.gather(*(loop() for _ in range(times)))


def scan_bomb(side: int = 4992, size: int = 220_000) -> bytes:
    """Return a progressive JPEG file of ``size`` bytes whose last scan stands in it thousands of times."""
    stream = BytesIO()
    Image.new("L", (side, side), 128).save(stream, "JPEG", progressive=True)
    data = stream.getvalue()
    last = data[data.rindex(b"\xff\xda") : -2]
    return data[:-2] + last * ((size - len(data)) // len(last)) + data[-2:]


async def scans(target: Target) -> None:
    """Send JPEG files of thousands of scans: 0.2 MB, minutes of decoding."""
    bomb = scan_bomb()
    await _repeat(target, 4, lambda: target.post(bomb))


def many_fields() -> bytes:
    """Return a form of 19 MB with 330,000 fields."""
    part = _PART % b"n"
    return part * (19 * MEGABYTE // len(part)) + b"--b--\r\n"


async def boundaries(target: Target) -> None:
    """Send forms of 19 MB that hold nothing but boundaries, or field names of 9 MB."""
    lines, empty = b"--b\r\n" * (19 * MEGABYTE // 5), b"--b\r\n\r\n\r\n" * (19 * MEGABYTE // 9)
    named = _PART % (b"n" * 9 * MEGABYTE) + b"--b--\r\n"
    bodies = [lines, empty, many_fields(), named, b"--b\r\n" + b"A: b\r\n" * (19 * MEGABYTE // 6)]
    await _repeat(target, 2, lambda: target.post(random.choice(bodies), FORM))


async def half_headers(target: Target) -> None:
    """Keep 1,500 connections open that never finish their headers, each replaced when it is closed."""
    head = b"POST /v1/analyze HTTP/1.1\r\nHost: 127.0.0.1\r\nX-Slow: "

    await _repeat(target, 1500, lambda: _trickle(target, head, b"a", 2))


async def slow_bodies(target: Target) -> None:
    """Keep seventy uploads open that send one byte, then one more every second."""
    line = f"POST {PATH} HTTP/1.1\r\nHost: 127.0.0.1\r\n".encode("ascii")
    head = line + b"Content-Type: image/jpeg\r\nContent-Length: 100000\r\n\r\n\xff"
    await _repeat(target, 70, lambda: _trickle(target, head, b"\xd8", 1))


async def _trickle(target: Target, head: bytes, drop: bytes, pause_s: float) -> None:
    """Send the beginning of a request, then a byte again and again until it is answered; note the code."""
    with suppress(OSError, asyncio.TimeoutError):
        reader, writer = await asyncio.wait_for(asyncio.open_connection("127.0.0.1", target.port), 10)
        writer.write(head)
        answer = asyncio.ensure_future(reader.readline())
        while not answer.done():
            await asyncio.wait({answer}, timeout=pause_s)
            writer.write(drop)
        with suppress(OSError, ValueError, IndexError):
            line = answer.result()
            target.codes[int(line.split()[1]) if line else 0] += 1
        writer.transport.abort()


async def endless_bodies(target: Target) -> None:
    """Send chunked bodies beyond every limit, whatever the service answers."""
    chunk = b"10000\r\n" + bytes(1 << 16) + b"\r\n"

    async def flood() -> None:
        with suppress(OSError, asyncio.TimeoutError):
            reader, writer = await asyncio.wait_for(asyncio.open_connection("127.0.0.1", target.port), 10)
            writer.write(f"POST {PATH} HTTP/1.1\r\nHost: 127.0.0.1\r\n".encode("ascii"))
            writer.write(b"Content-Type: image/jpeg\r\nTransfer-Encoding: chunked\r\n\r\n")
            answer = asyncio.ensure_future(reader.readline())
            with suppress(OSError, asyncio.TimeoutError):
                for _ in range(4000):
                    writer.write(chunk)
                    await asyncio.wait_for(writer.drain(), 10)
                    target.sent += len(chunk)
            with suppress(OSError, asyncio.TimeoutError, ValueError, IndexError):
                target.codes[int((await asyncio.wait_for(answer, 1)).split()[1])] += 1
            writer.transport.abort()

    await _repeat(target, 2, flood)


async def tiny_chunks(target: Target) -> None:
    """Send bodies in chunks of one byte."""
    await _repeat(target, 4, lambda: post_tiny_chunks(target))


async def post_tiny_chunks(target: Target) -> None:
    """Send one body of 300,000 chunks of one byte."""
    head = b"Content-Type: image/jpeg\r\nTransfer-Encoding: chunked\r\n\r\n"
    await target.ask(f"POST {PATH} HTTP/1.1", head, b"1\r\nx\r\n" * 300_000)


async def large_uploads(target: Target) -> None:
    """Send 64 photos of 20 MB at once, again and again."""
    noise = np.random.default_rng(1).integers(0, 256, (2570, 2570, 3), np.uint8)
    stream = BytesIO()
    Image.fromarray(noise).save(stream, "PNG", compress_level=0)
    body = stream.getvalue()
    await _repeat(target, 64, lambda: target.post(body, "image/png"))


async def large_photos(target: Target) -> None:
    """Send photos of 24 megapixels from 16 connections, and ask for them back as PNG."""
    stream = BytesIO()
    pattern = np.random.default_rng(1).integers(0, 256, (75, 75, 3), np.uint8)
    Image.fromarray(pattern).resize((4900, 4900)).save(stream, "JPEG", quality=85)
    body = stream.getvalue()
    await _repeat(target, 16, lambda: target.post(body, query=random.choice(["", "?format=png"])))


async def slow_readers(target: Target) -> None:
    """Ask for large responses on a hundred connections and never read them."""
    stream = BytesIO()
    Image.effect_noise((2000, 2000), 90).convert("RGB").save(stream, "JPEG", quality=60)
    body = stream.getvalue()
    head = f"POST {PATH}?format=png HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Length: {len(body)}\r\n\r\n"

    async def stall() -> None:
        with suppress(OSError, asyncio.TimeoutError):
            reader, writer = await asyncio.wait_for(asyncio.open_connection("127.0.0.1", target.port), 10)
            writer.write(head.encode("ascii") + body)
            await writer.drain()
            line = await asyncio.wait_for(reader.readline(), 60)
            target.codes[int(line.split()[1]) if line else 0] += 1
            for _ in range(30):
                await asyncio.sleep(1)
                if reader.at_eof() or writer.transport.is_closing():
                    break
            writer.transport.abort()

    await _repeat(target, 100, stall)


async def foreign_hosts(target: Target) -> None:
    """Ask under the name of another host, as a web page does after DNS rebinding."""
    body = bytes(1000)
    fields = b"Content-Type: image/jpeg\r\nContent-Length: 1000\r\n\r\n"
    await _repeat(
        target, 8, lambda: target.ask(f"POST {PATH} HTTP/1.1", fields, body, host="rebound.example")
    )


async def worker_kills(target: Target) -> None:
    """Kill one worker process, chosen by chance, every second."""
    target.ready.set()
    while not target.ended:
        await asyncio.sleep(1)
        if workers := descendants(target.pid):
            with suppress(ProcessLookupError):
                os.kill(random.choice(workers), signal.SIGKILL)
            target.codes[signal.SIGKILL] += 1


async def broken_photos(target: Target) -> None:
    """Send photos with giant dimensions, cut short, or of other kinds."""
    giant = b"BM" + struct.pack("<IHHIIiiHHIIiiII", 54, 0, 0, 54, 40, 60_000, 60_000, 1, 24, 0, 0, 0, 0, 0, 0)
    bodies = [
        giant,
        giant[:30],
        b"\x89PNG\r\n\x1a\n" + bytes(99),
        b"\xff\xd8\xff\xe1" + b"\xff" * 60_000,
        b"%!PS",
    ]
    await _repeat(target, 8, lambda: target.post(random.choice(bodies), "image/bmp"))


ATTACKS: dict[str, Attack] = {
    attack.__name__: attack
    for attack in (
        *(scans, boundaries, half_headers, slow_bodies, endless_bodies, tiny_chunks, large_uploads),
        *(large_photos, slow_readers, foreign_hosts, broken_photos, worker_kills),
    )
}


async def run(
    name: str, port: int, pid: int, seconds: float, on_ready: Callable[[], object] = lambda: None
) -> Target:
    """Run an attack for so many seconds; ``on_ready`` is called when it begins."""
    target = Target(port, pid)
    attack = asyncio.ensure_future(ATTACKS[name](target))
    ready = asyncio.ensure_future(target.ready.wait())
    await asyncio.wait({attack, ready}, return_when=asyncio.FIRST_COMPLETED)
    on_ready()
    await asyncio.wait({attack}, timeout=seconds)
    if attack.done():
        attack.result()
    target.ended = True
    attack.cancel()
    await asyncio.wait({attack}, timeout=10)
    return target


def main() -> None:
    """Run the attack that the command line names."""
    name, port, pid, seconds = sys.argv[1:]
    os.nice(10)  # an attacker has a processor of its own
    on_ready = lambda: print("ready", flush=True)  # noqa: E731
    target = asyncio.run(run(name, int(port), int(pid), float(seconds), on_ready))
    print(json.dumps({"codes": target.codes, "sent_mb": round(target.sent / MEGABYTE)}))


if __name__ == "__main__":
    main()
