"""Load generator for a service on this machine; as light as possible, since both share the cores."""

import asyncio
import time
from collections import Counter, defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field

PATH = "/v1/analyze"
_TICK_S = 0.01
RETRY_S = 0.05
"""Pause after a 503; far shorter than Retry-After asks for, so that the load stays high."""


@dataclass
class LoadResult:
    """Responses of one run.

    Attributes:
        codes: number of responses by status code; 0 for a connection that failed.
        seconds: latency of each response 200, from when its request was due.
        service_s: latency of each response 200, from when its request was sent. A request is sent late when
            all connections are busy, or when the machine pauses.
        refused_s: latency of each response 503, from when its request was due.
        longest_pause_s: longest time that a sleeping task woke too late: the machine, or this process, had no
            processor for it.
        bodies: distinct bodies of responses 200 by index of the photo.
        lasted: seconds from the first request to the last response.
    """

    codes: Counter[int] = field(default_factory=Counter)
    seconds: list[float] = field(default_factory=list)
    service_s: list[float] = field(default_factory=list)
    refused_s: list[float] = field(default_factory=list)
    longest_pause_s: float = 0.0
    bodies: dict[int, set[bytes]] = field(default_factory=lambda: defaultdict(set))
    lasted: float = 0.0

    @property
    def rate(self) -> float:
        """Responses 200 per second."""
        return self.codes[200] / self.lasted

    def percentile_ms(self, fraction: float) -> float | None:
        """Return the latency in milliseconds below which this fraction of the responses 200 lies."""
        return percentile_ms(self.seconds, fraction)


def percentile_ms(seconds: Sequence[float], fraction: float) -> float | None:
    """Return the milliseconds below which this fraction of the times lies; None if there are none."""
    ordered = sorted(seconds)
    return ordered[min(len(ordered) - 1, int(fraction * len(ordered)))] * 1e3 if ordered else None


def generate_load(
    port: int, photos: Sequence[bytes], clients: int, seconds: float, rate: float | None = None
) -> LoadResult:
    """Send requests for a given time.

    Args:
        port: on 127.0.0.1.
        photos: encoded images, sent in turn.
        clients: connections, each with one request at a time.
        seconds: duration.
        rate: requests per second, evenly spaced; None: each client asks again as soon as it has a response.
    """
    return asyncio.run(_run_clients(port, [_request(photo) for photo in photos], clients, seconds, rate))


async def _run_clients(
    port: int, requests: Sequence[bytes], clients: int, seconds: float, rate: float | None
) -> LoadResult:
    result, started = LoadResult(), time.perf_counter()
    schedule = _schedule(started, seconds, rate)
    pauses = asyncio.ensure_future(_note_pauses(result))
    await asyncio.gather(*(_client(port, requests, schedule, result) for _ in range(clients)))
    result.lasted = time.perf_counter() - started
    pauses.cancel()
    return result


async def _note_pauses(result: LoadResult) -> None:
    while True:
        due = time.perf_counter() + _TICK_S
        await asyncio.sleep(_TICK_S)
        result.longest_pause_s = max(result.longest_pause_s, time.perf_counter() - due)


def _schedule(started: float, seconds: float, rate: float | None) -> Iterator[tuple[int, float]]:
    """Yield the number and due time of each request until the time is over."""
    number = 0
    while True:
        due = time.perf_counter() if rate is None else started + number / rate
        if due >= started + seconds:
            return
        yield number, due
        number += 1


async def _client(
    port: int, requests: Sequence[bytes], schedule: Iterator[tuple[int, float]], result: LoadResult
) -> None:
    """Send the next scheduled request and wait for its response, until the schedule ends."""
    connection: tuple[asyncio.StreamReader, asyncio.StreamWriter] | None = None
    for number, due in schedule:
        await asyncio.sleep(max(0.0, due - time.perf_counter()))
        photo, sent = number % len(requests), time.perf_counter()
        try:
            connection = connection or await asyncio.open_connection("127.0.0.1", port)
            code, body, stays = await _exchange(*connection, requests[photo])
        except (OSError, asyncio.IncompleteReadError):
            code, body, stays = 0, b"", False
        if not stays and connection is not None:
            connection[1].close()
            connection = None
        result.codes[code] += 1
        if code == 200:
            result.seconds.append(time.perf_counter() - due)
            result.service_s.append(time.perf_counter() - sent)
            result.bodies[photo].add(body)
        elif code == 503:
            result.refused_s.append(time.perf_counter() - due)
            await asyncio.sleep(RETRY_S)
    if connection is not None:
        connection[1].close()


async def _exchange(
    reader: asyncio.StreamReader, writer: asyncio.StreamWriter, request: bytes
) -> tuple[int, bytes, bool]:
    """Send one request over an open connection; return status code, body, and whether it stays open."""
    writer.write(request)
    head = (await reader.readuntil(b"\r\n\r\n")).lower()
    length = int(head.split(b"content-length:")[1].split(b"\r\n")[0])
    return int(head[9:12]), await reader.readexactly(length), b"connection: close" not in head


def _request(photo: bytes) -> bytes:
    head = (
        f"POST {PATH} HTTP/1.1\r\nHost: 127.0.0.1\r\nAccept: application/json\r\n"
        f"Content-Type: application/octet-stream\r\nContent-Length: {len(photo)}\r\n\r\n"
    )
    return head.encode("ascii") + photo
