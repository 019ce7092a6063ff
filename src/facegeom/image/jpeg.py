"""Segments of JPEG files, and files that lack only their end."""

from collections.abc import Sequence
from io import BytesIO
from typing import NamedTuple

SOI, EOI, SOS, JPEG_LS = 0xD8, 0xD9, 0xDA, 0xF7
"""Markers: start and end of the image, start of a scan, another format in the same frame."""

FRAMES = frozenset(range(0xC0, 0xD0)) - {0xC4, 0xC8, 0xCC}
"""Markers of a frame's header, which tell how it is encoded."""

PROGRESSIVE = frozenset((0xC2, 0xCA))
"""Those of progressive files."""

_END_OF_JPEG = b"\xff\xd9"
_OTHER_END = b"".join(b"\x5a\xc3\x17\x88" * 16 + bytes((0xFF, restart)) for restart in range(0xD0, 0xD8)) * 2
"""Data that continue a broken scan, also at a restart marker; after a whole scan they are skipped."""


class Segment(NamedTuple):
    """A segment of a JPEG file: its marker, and where its content starts and ends."""

    marker: int
    start: int
    end: int


def complete_jpeg(data: bytes, segments: Sequence[Segment]) -> bytes | None:
    """Return a JPEG file that lacks only its end marker with this marker, None for any other file.

    It lacks nothing else if it has all scans and what follows them does not change the pixels.
    """
    if not _has_all_scans(data, segments):
        return None
    data = data.removesuffix(b"\xff")
    whole, other = data + _END_OF_JPEG, data + _OTHER_END + _END_OF_JPEG
    return whole if _jpeg_pixels(whole) == _jpeg_pixels(other) else None


def _has_all_scans(data: bytes, segments: Sequence[Segment]) -> bool:
    """Return whether a JPEG file breaks off in or after its last scan."""
    if not segments or segments[-1].marker != SOS or segments[-1].end > len(data):
        return False
    progressive, wanted, found = False, set[tuple[int, int]](), set[tuple[int, int]]()
    for marker, start, end in segments:
        if marker in FRAMES:
            progressive = marker in PROGRESSIVE
            wanted = {(each, k) for each in data[start + 6 : end : 3] for k in range(64)}
        if marker == SOS:
            first, last, shift = data[end - 3 : end] if progressive else (0, 63, 0)
            if shift & 15 == 0:
                coefficients = range(first, last + 1)
                found |= {(each, k) for each in data[start + 1 : end - 3 : 2] for k in coefficients}
    return bool(wanted) and wanted <= found


def _jpeg_pixels(data: bytes) -> bytes:
    from PIL.JpegImagePlugin import JpegImageFile

    with JpegImageFile(BytesIO(data), "") as image:
        return bytes(image.tobytes())
