"""The photo of a request: read within limits, kept in memory, never written to disk.

Ready-made readers of forms write large files to disk, and take seconds for forms of millions of parts. Here a
form has one part, so searching its end is all there is to do.
"""

import asyncio
import time
from dataclasses import dataclass, field
from pathlib import PurePath

from fastapi import Request
from python_multipart.multipart import parse_options_header
from starlette.requests import ClientDisconnect

from facegeom.serve.limits import HeldBytes, Settings, busy
from facegeom.serve.problems import RefusedError

FIELD = "file"

MAX_UPLOADS = 128
"""Uploads at once; beyond that the slowest gives way to a new one."""

LEAST_BYTES_PER_S, GRACE_S = 10_000, 3.0
"""Least rate of an upload, and the seconds that do not count."""

ROOM_S = 0.5
"""Seconds that an upload waits for room. Who is refused at once comes again at once."""

SMALL_BYTES = 1_000_000
"""Beginning of each upload that never waits."""

BYTES_PER_S, BURST_S = 40_000_000, 1.0
"""Bytes of large uploads that are read in a second, for each worker, and the seconds that may be saved up.
Reading more than workers can analyze would only keep the event loop from small photos."""

MAX_PART_HEADER = 8192
"""Longest header of a form's part, bytes."""

_ACCEPTED = "multipart/form-data with the field 'file', image/*, or application/octet-stream"
_CHECK_S, _ROOM_CHECK_S = 0.5, 0.05
_SETTLED_S = 1.0


@dataclass(frozen=True)
class Upload:
    """An uploaded photo: bytes of its file, and the name without folders, if the client gave one."""

    content: bytes
    file: str | None = None


@dataclass(eq=False)
class _Reading:
    """An upload that is being read."""

    task: "asyncio.Task[bytes]"
    received: bytearray
    started: float = field(default_factory=time.monotonic)
    flowed: float = field(default_factory=time.monotonic)  # when it was last fast enough
    counted: int = 0  # bytes until then
    refusal: RefusedError | None = None

    def seconds(self) -> float:
        return time.monotonic() - self.started

    def rate(self) -> float:
        return len(self.received) / self.seconds()

    def paused_s(self) -> float:
        """Return for how long less than the least rate has come."""
        now, size = time.monotonic(), len(self.received)
        if size - self.counted > LEAST_BYTES_PER_S * (now - self.flowed):
            self.flowed, self.counted = now, size
        return now - self.flowed

    def refuse(self, refusal: RefusedError) -> None:
        self.refusal = self.refusal or refusal
        self.task.cancel()


class Uploads:
    """The uploads that are being read. For one event loop.

    Args:
        settings: limits.
        workers: of the service.
    """

    def __init__(self, settings: Settings, workers: int = 1) -> None:
        self._settings, self._bytes_per_s = settings, BYTES_PER_S * workers
        self._reading: set[_Reading] = set()
        self._paid_until = 0.0

    async def receive(self, request: Request, held: HeldBytes) -> Upload:
        """Read the photo from a request's body; ``held`` counts its bytes.

        Raises:
            RefusedError: 400, a broken body; 408, too slow; 413, too many bytes; 415, another media type;
                503, too many uploads.
        """
        media_type, options = parse_options_header(request.headers.get("content-type"))
        is_form = media_type == b"multipart/form-data"
        is_photo = media_type in (b"", b"application/octet-stream") or media_type.startswith(b"image/")
        if not (is_form or is_photo):
            raise RefusedError(415, f"expected {_ACCEPTED}, got {media_type.decode('latin-1')[:100]!r}")
        declared = request.headers.get("content-length", "")
        if declared.isdecimal():
            await self._wait_for_room(held, int(declared))
        body = await self._read(request, held)
        return _parse_form(body, options.get(b"boundary", b"")) if is_form else Upload(body)

    async def _wait_for_room(self, held: HeldBytes, size: int) -> None:
        """Hold the bytes of an announced body; while others leave no room, wait for at most ``ROOM_S``."""
        end = time.monotonic() + ROOM_S
        while True:
            try:
                return self._hold(held, size)
            except RefusedError as refusal:
                if refusal.status != 503 or time.monotonic() > end:
                    raise
            await asyncio.sleep(_ROOM_CHECK_S)

    def _hold(self, held: HeldBytes, size: int) -> None:
        """Hold the bytes of a body that has so many."""
        limit = self._settings.max_bytes
        if size > limit:
            raise RefusedError(413, f"expected at most {limit:,} bytes, got more; send a smaller photo")
        held.grow(size)

    async def _read(self, request: Request, held: HeldBytes) -> bytes:
        self._make_room()
        received = bytearray()
        reading = _Reading(asyncio.ensure_future(self._collect(request, received, held)), received)
        self._reading.add(reading)
        self._check(reading)
        try:
            return await reading.task
        except asyncio.CancelledError:
            if reading.refusal is None:
                raise
            raise reading.refusal from None
        finally:
            self._reading.remove(reading)
            del reading  # its error refers to this frame: together they would stay until the next collection

    def _make_room(self) -> None:
        """End the slowest upload if there are as many as may be."""
        if len(self._reading) < MAX_UPLOADS:
            return
        settled = [each for each in self._reading if not each.refusal and each.seconds() > _SETTLED_S]
        refusal = busy(f"{MAX_UPLOADS} uploads are in work, which is as many as this service takes")
        if not settled:
            raise refusal
        min(settled, key=_Reading.rate).refuse(refusal)

    def _check(self, reading: _Reading) -> None:
        """Refuse an upload that is too slow or pauses for too long, now or later."""
        if reading.task.done():
            return
        seconds, limit = reading.seconds(), self._settings.timeout_s
        if reading.paused_s() > limit:
            reading.refuse(RefusedError(408, f"the upload paused for more than {limit:g} s; try again"))
        elif len(reading.received) < LEAST_BYTES_PER_S * (seconds - GRACE_S):
            rate = f"{LEAST_BYTES_PER_S:,} bytes a second, got {reading.rate():,.0f}"
            reading.refuse(RefusedError(408, f"upload: expected at least {rate}; try again"))
        else:
            asyncio.get_running_loop().call_later(_CHECK_S, self._check, reading)

    async def _collect(self, request: Request, received: bytearray, held: HeldBytes) -> bytes:
        """Return the body, which gathers in ``received``."""
        try:
            async for chunk in request.stream():
                self._hold(held, len(received) + len(chunk))
                received += chunk
                if len(received) > SMALL_BYTES:
                    await self._wait_for_turn(len(chunk))
        except ClientDisconnect as error:
            raise RefusedError(400, "the upload was interrupted; send it again") from error
        return bytes(received)

    async def _wait_for_turn(self, size: int) -> None:
        """Wait until as many bytes of large uploads may be read."""
        now = time.monotonic()
        self._paid_until = max(self._paid_until, now - BURST_S) + size / self._bytes_per_s
        if self._paid_until > now:
            await asyncio.sleep(self._paid_until - now)


def _parse_form(body: bytes, boundary: bytes) -> Upload:
    """Return the file of a form with one part.

    Raises:
        RefusedError: 400, the form is broken, or has other parts.
    """
    delimiter, names = b"--" + boundary, list[str]()
    upload, position = Upload(b""), body.find(delimiter)
    if not boundary or position < 0 or body[:position].strip():
        raise _broken("no boundary where it begins")
    position += len(delimiter)
    while body[position : position + 2] != b"--":
        start = body.find(b"\r\n\r\n", position, position + MAX_PART_HEADER)
        if start < 0 or body[position : position + 2] != b"\r\n":
            raise _broken(f"a part without a header of at most {MAX_PART_HEADER:,} bytes")
        name, file = _disposition(body[position:start])
        names.append(name)
        end = body.find(b"\r\n" + delimiter, start + 4)
        if end < 0 or len(names) > 1:
            raise _not_alone(names)
        upload, position = Upload(body[start + 4 : end], file), end + 2 + len(delimiter)
    if names != [FIELD]:
        raise _not_alone(names)
    return upload


def _broken(how: str) -> RefusedError:
    return RefusedError(400, f"expected multipart/form-data, got a broken body ({how})")


def _not_alone(names: list[str]) -> RefusedError:
    return RefusedError(400, f"expected a whole form with the field {FIELD!r} alone, got {names}")


def _disposition(header: bytes) -> tuple[str, str | None]:
    """Return the name of a part, at most 50 letters of it, and that of its file, without folders."""
    lines = (line.partition(b":") for line in header.split(b"\r\n"))
    values = (value for key, _, value in lines if key.strip().lower() == b"content-disposition")
    _, options = parse_options_header(next(values, b""))
    name, file = (options.get(key, b"").decode("utf-8", "replace") for key in (b"name", b"filename"))
    return name[:50], PurePath(file.replace("\\", "/")).name or None
