"""The photo of a request: read within limits, kept in memory, never written to disk.

Forms are parsed here because Starlette's parser writes large files to disk, takes forms that are cut short,
and decodes a field without a file name as text.
"""

from dataclasses import dataclass, field
from pathlib import PurePath

from fastapi import Request
from python_multipart.exceptions import MultipartParseError
from python_multipart.multipart import MultipartParser, parse_options_header
from starlette.requests import ClientDisconnect

from facegeom.serve.problems import RefusedError

FIELD = "file"

_ACCEPTED = "multipart/form-data with the field 'file', image/*, or application/octet-stream"


@dataclass(frozen=True)
class Upload:
    """An uploaded photo.

    Attributes:
        content: bytes of the file.
        file: its name without folders, if the client gave one.
    """

    content: bytes
    file: str | None = None


async def receive(request: Request, max_bytes: int) -> Upload:
    """Read the photo from a request's body.

    Raises:
        RefusedError: 413, more than ``max_bytes``; 415, another media type; 400, a broken body.
    """
    media_type, options = parse_options_header(request.headers.get("content-type"))
    is_form = media_type == b"multipart/form-data"
    is_photo = media_type in (b"", b"application/octet-stream") or media_type.startswith(b"image/")
    if not (is_form or is_photo):
        raise RefusedError(415, f"expected {_ACCEPTED}, got {media_type.decode('latin-1')!r}")
    body = await _read_body(request, max_bytes)
    if is_form:
        return _parse_form(body, options.get(b"boundary", b""))
    return Upload(bytes(body))


async def _read_body(request: Request, max_bytes: int) -> bytearray:
    body = bytearray()
    declared = request.headers.get("content-length", "")
    if declared.isdecimal() and int(declared) > max_bytes:
        raise _too_large(max_bytes)
    try:
        async for chunk in request.stream():
            if len(body) + len(chunk) > max_bytes:
                raise _too_large(max_bytes)
            body += chunk
    except ClientDisconnect as error:
        raise RefusedError(400, "the upload was interrupted; send it again") from error
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
    """Parts of a form, collected by callbacks of the parser."""

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


def _parse_form(body: bytearray, boundary: bytes) -> Upload:
    form = _Form()
    try:
        callbacks = {name: getattr(form, name) for name in dir(form) if name.startswith("on_")}
        parser = MultipartParser(boundary, callbacks)  # type: ignore[arg-type]
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
