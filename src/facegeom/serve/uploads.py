"""The photo of a request: read within limits, kept in memory, never written to disk.

Starlette's own reading of forms writes large files to disk, takes forms that are cut short, and decodes a
field without a file name as text.
"""

from dataclasses import dataclass
from pathlib import PurePath
from typing import Any

from fastapi import Request
from python_multipart.exceptions import FormParserError
from python_multipart.multipart import Field, FormParser, parse_options_header
from starlette.requests import ClientDisconnect

from facegeom.serve.problems import RefusedError

FIELD = "file"

_ACCEPTED = "multipart/form-data with the field 'file', image/*, or application/octet-stream"


@dataclass(frozen=True)
class Upload:
    """An uploaded photo: bytes of its file, and the name without folders, if the client gave one."""

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


def _parse_form(body: bytearray, boundary: bytes) -> Upload:
    parts: list[Any] = []  # of FormParser's classes for fields with and without a file name
    ends: list[bool] = []
    try:
        parser = FormParser(
            "multipart/form-data",
            on_field=parts.append,
            on_file=parts.append,
            on_end=lambda: ends.append(True),
            boundary=boundary,
            config={"MAX_MEMORY_FILE_SIZE": len(body)},
        )
        parser.write(bytes(body))
        parser.finalize()
    except FormParserError as error:
        raise RefusedError(400, f"expected multipart/form-data, got a broken body ({error})") from error
    fields = [(part.field_name or b"").decode("utf-8", "replace") for part in parts]
    if fields != [FIELD] or not ends:
        raise RefusedError(400, f"expected a whole form with the field {FIELD!r} alone, got {fields}")
    if isinstance(parts[0], Field):
        return Upload(parts[0].value or b"")
    name = parts[0].file_name.decode("utf-8", "replace").replace("\\", "/")
    return Upload(parts[0].file_object.getvalue(), PurePath(name).name or None)
