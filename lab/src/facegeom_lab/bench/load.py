"""Requests to a service on this machine: as light as possible, since both share the cores."""

import asyncio
import time
from collections import Counter, defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field

PATH = "/v1/analyze"


@dataclass
class Tally:
    """What came back.

    Attributes:
        codes: answers by status code; 0 for a connection that failed.
        seconds: of each answer 200, from when it was due.
        bodies: distinct bodies of answers 200 by number of the photo.
        lasted: seconds from the first request to the last answer.
    """

    codes: Counter[int] = field(default_factory=Counter)
    seconds: list[float] = field(default_factory=list)
    bodies: dict[int, set[bytes]] = field(default_factory=lambda: defaultdict(set))
    lasted: float = 0.0

    @property
    def rate(self) -> float:
        """Answers 200 in a second."""
        return self.codes[200] / self.lasted

    def percentile_ms(self, share: float) -> float | None:
        """Milliseconds within which that share of the answers 200 came."""
        ordered = sorted(self.seconds)
        return ordered[min(len(ordered) - 1, int(share * len(ordered)))] * 1e3 if ordered else None


def press(
    port: int, photos: Sequence[bytes], clients: int, seconds: float, rate: float | None = None
) -> Tally:
    """Ask a service for a while.

    Args:
        port: on 127.0.0.1.
        photos: encoded, sent in turn.
        clients: connections, each with one request at a time.
        seconds: how long.
        rate: requests a second, evenly spaced; None: each client asks again as soon as it is answered.
    """
    return asyncio.run(_press(port, [_request(photo) for photo in photos], clients, seconds, rate))


async def _press(
    port: int, requests: Sequence[bytes], clients: int, seconds: float, rate: float | None
) -> Tally:
    tally, started = Tally(), time.perf_counter()
    due = _dues(started, seconds, rate)
    await asyncio.gather(*(_client(port, requests, due, tally) for _ in range(clients)))
    tally.lasted = time.perf_counter() - started
    return tally


def _dues(started: float, seconds: float, rate: float | None) -> Iterator[tuple[int, float]]:
    """Number and due time of each request, as long as there are some."""
    number = 0
    while True:
        due = time.perf_counter() if rate is None else started + number / rate
        if due >= started + seconds:
            return
        yield number, due
        number += 1


async def _client(
    port: int, requests: Sequence[bytes], dues: Iterator[tuple[int, float]], tally: Tally
) -> None:
    """Take the next request and wait for its answer, until there are no more."""
    connection: tuple[asyncio.StreamReader, asyncio.StreamWriter] | None = None
    for number, due in dues:
        await asyncio.sleep(max(0.0, due - time.perf_counter()))
        photo = number % len(requests)
        try:
            connection = connection or await asyncio.open_connection("127.0.0.1", port)
            code, body = await _exchange(*connection, requests[photo])
        except (OSError, asyncio.IncompleteReadError):
            code, body, connection = 0, b"", None
        tally.codes[code] += 1
        if code == 200:
            tally.seconds.append(time.perf_counter() - due)
            tally.bodies[photo].add(body)
        elif code == 503:
            await asyncio.sleep(0.05)  # far less than Retry-After asks for, so that the pressure stays
    if connection is not None:
        connection[1].close()


async def _exchange(
    reader: asyncio.StreamReader, writer: asyncio.StreamWriter, request: bytes
) -> tuple[int, bytes]:
    """Status code and body of one answer over a connection that stays open."""
    writer.write(request)
    head = (await reader.readuntil(b"\r\n\r\n")).lower()
    length = int(head.split(b"content-length:")[1].split(b"\r\n")[0])
    return int(head[9:12]), await reader.readexactly(length)


def _request(photo: bytes) -> bytes:
    head = (
        f"POST {PATH} HTTP/1.1\r\nHost: 127.0.0.1\r\nAccept: application/json\r\n"
        f"Content-Type: application/octet-stream\r\nContent-Length: {len(photo)}\r\n\r\n"
    )
    return head.encode("ascii") + photo
