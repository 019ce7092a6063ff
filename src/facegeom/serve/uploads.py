"""The photo of a request: read within limits, kept in memory, never written anywhere."""

from dataclasses import dataclass, field
from pathlib import PurePath

from fastapi import Request
from python_multipart.exceptions import MultipartParseError
from python_multipart.multipart import MultipartParser, parse_options_header
from starlette.requests import ClientDisconnect

from facegeom.serve.refusals import RefusedError

FIELD = "file"

_ACCEPTED = "multipart/form-data with the field 'file', image/*, or application/octet-stream"


@dataclass(frozen=True)
class Upload:
    """A photo as it came.

    Attributes:
        content: the bytes of the file.
        file: its name, if the caller gave one.
    """

    content: bytes
    file: str | None = None


async def receive(request: Request, max_bytes: int) -> Upload:
    """The photo in a request's body.

    Raises:
        RefusedError: 413 for more than ``max_bytes``, 415 for another kind of body, 400 for a broken one.
    """
    kind, options = parse_options_header(request.headers.get("content-type"))
    form = kind == b"multipart/form-data"
    if not form and kind not in (b"", b"application/octet-stream") and not kind.startswith(b"image/"):
        raise RefusedError(415, f"expected {_ACCEPTED}, got {kind.decode('latin-1')!r}")
    body = await _body(request, max_bytes)
    if form:
        return _from_form(body, options.get(b"boundary", b""))
    return Upload(bytes(body))


async def _body(request: Request, max_bytes: int) -> bytearray:
    body = bytearray()
    announced = request.headers.get("content-length", "")
    if announced.isdecimal() and int(announced) > max_bytes:
        raise _too_large(max_bytes)
    try:
        async for chunk in request.stream():
            if len(body) + len(chunk) > max_bytes:
                raise _too_large(max_bytes)
            body += chunk
    except ClientDisconnect as error:
        raise RefusedError(400, "the upload broke off; send it again") from error
    return body


def _too_large(max_bytes: int) -> RefusedError:
    return RefusedError(413, f"expected at most {max_bytes:,} bytes, got more; send a smaller photo")


@dataclass
class _Part:
    header: bytearray = field(default_factory=bytearray)
    value: bytearray = field(default_factory=bytearray)
    disposition: bytes = b""
    content: bytearray = field(default_factory=bytearray)


class _Form:
    """The parts of a form, gathered by the parser's calls."""

    def __init__(self) -> None:
        self.parts: list[_Part] = []
        self.complete = False

    def on_part_begin(self) -> None:
        self.parts.append(_Part())

    def on_header_field(self, data: bytes, start: int, end: int) -> None:
        self.parts[-1].header += data[start:end]

    def on_header_value(self, data: bytes, start: int, end: int) -> None:
        self.parts[-1].value += data[start:end]

    def on_header_end(self) -> None:
        part = self.parts[-1]
        if part.header.lower() == b"content-disposition":
            part.disposition = bytes(part.value)
        part.header.clear()
        part.value.clear()

    def on_part_data(self, data: bytes, start: int, end: int) -> None:
        self.parts[-1].content += memoryview(data)[start:end]

    def on_end(self) -> None:
        self.complete = True


def _from_form(body: bytearray, boundary: bytes) -> Upload:
    form = _Form()
    try:
        calls = {name: getattr(form, name) for name in dir(form) if name.startswith("on_")}
        parser = MultipartParser(boundary, calls)  # type: ignore[arg-type]
        parser.write(bytes(body))
        parser.finalize()
    except MultipartParseError as error:
        raise RefusedError(400, f"expected multipart/form-data, got a broken body ({error})") from error
    named = [parse_options_header(part.disposition)[1] for part in form.parts]
    fields = [options.get(b"name", b"").decode("utf-8", "replace") for options in named]
    if fields != [FIELD] or not form.complete:
        raise RefusedError(400, f"expected a whole form with the field {FIELD!r} alone, got {fields}")
    options, part = named[0], form.parts[0]
    name = options.get(b"filename", b"").decode("utf-8", "replace").replace("\\", "/")
    return Upload(bytes(part.content), PurePath(name).name or None)
