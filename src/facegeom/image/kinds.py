"""Names of the kinds of files that are not read, by their first bytes; the words that refuse them."""

import re
from codecs import getincrementaldecoder
from typing import Any

from facegeom.errors import ImageError

HEAD_BYTES = 512
"""Bytes at the start of a file that name its kind."""

CONVERT = "convert it to JPEG or PNG"

_PICTURES: dict[str, tuple[Any, ...]] = {
    "JPEG XL": (0, b"\x00\x00\x00\x0cJXL \r\n\x87\n", b"\xff\x0a"),
    "JPEG XR": (0, b"II\xbc\x01"),
    "PSD (Photoshop)": (0, b"8BPS"),
    "XCF (GIMP)": (0, b"gimp xcf"),
    "RAW (RAF)": (0, b"FUJIFILMCCD-RAW"),
    "RAW (ORF)": (0, b"IIRO", b"IIRS", b"MMOR"),
    "RAW (RW2)": (0, b"IIU\x00"),
    "RAW (CRW)": (0, b"II\x1a\x00\x00\x00HEAPCCDR"),
    "RAW (X3F)": (0, b"FOVb"),
    "ICO (icon)": (0, b"\x00\x00\x01\x00"),
    "CUR (cursor)": (0, b"\x00\x00\x02\x00"),
    "ICNS (icon)": (0, b"icns"),
    "DDS (texture)": (0, b"DDS "),
    "QOI": (0, b"qoif"),
    "OpenEXR": (0, b"\x76\x2f\x31\x01"),
    "Radiance HDR": (0, b"#?RADIANCE", b"#?RGBE"),
    "FITS": (0, b"SIMPLE  ="),
    "WMF": (0, b"\xd7\xcd\xc6\x9a"),
    "PAM": (0, b"P7\n"),
    "PFM": (0, b"PF\n"),
    "DICOM": (128, b"DICM"),
}
"""Pictures: kind, offset, bytes of which one is there."""

_OTHERS: dict[str, tuple[Any, ...]] = {
    "a PDF document": (CONVERT, 0, b"%PDF"),
    "PostScript": (CONVERT, 0, b"%!", b"\xc5\xd0\xd3\xc6"),
    "a ZIP archive": ("unpack it", 0, b"PK\x03\x04", b"PK\x05\x06"),
    "a RAR archive": ("unpack it", 0, b"Rar!"),
    "a 7z archive": ("unpack it", 0, b"7z\xbc\xaf"),
    "a gzip file": ("unpack it", 0, b"\x1f\x8b"),
    "a bzip2 file": ("unpack it", 0, b"BZh"),
    "an xz file": ("unpack it", 0, b"\xfd7zXZ"),
    "a tar archive": ("unpack it", 257, b"ustar"),
    "a video (MKV or WebM)": ("use its frames", 0, b"\x1aE\xdf\xa3"),
    "a video (AVI)": ("use its frames", 8, b"AVI "),
    "a video (MOV)": ("use its frames", 4, b"moov", b"mdat", b"wide"),
    "a video (FLV)": ("use its frames", 0, b"FLV\x01"),
    "a video (MPEG)": ("use its frames", 0, b"\x00\x00\x01\xba", b"\x00\x00\x01\xb3"),
    "a video (WMV)": ("use its frames", 0, b"\x30\x26\xb2\x75"),
    "an Ogg file": ("use the frames of a video", 0, b"OggS"),
    "sound (WAV)": ("give a photo", 8, b"WAVE"),
    "sound (MP3)": ("give a photo", 0, b"ID3"),
    "a NumPy file": ("load it with numpy.load and pass the array", 0, b"\x93NUMPY"),
    "a Parquet file": ("read it with `facegeom batch`", 0, b"PAR1"),
    "an HDF5 file": (CONVERT, 0, b"\x89HDF\r\n\x1a\n"),
}
"""No pictures: kind, advice, offset, bytes of which one is there."""

_HEIC_BRANDS = frozenset(b"heic heix heim heis hevc hevx hevm hevs".split())
_AVIF_BRANDS = frozenset(b"avif avis".split())
_HEIF_BRANDS = frozenset(b"mif1 mif2 mif3 msf1 miaf MiHB MiHA MiHE".split())
"""Brands of ISO files with images; those of ``_HEIF_BRANDS`` leave the codec open."""

_SVG = re.compile(rb"<(\w+:)?svg[\s>]", re.IGNORECASE)
_HTML = re.compile(rb"<!doctype html|<html|<head|<body", re.IGNORECASE)
_PRINTABLE = re.compile(r"[^\x00-\x08\x0e-\x1a\x1c-\x1f\x7f]+")


def iso_kind(head: bytes) -> str:
    """Return the kind of an ISO media file ("ftyp") by its brands: "AVIF", "HEIC", or another."""
    major, size = head[8:12], int.from_bytes(head[:4], "big")
    brands = {major, *(head[start : start + 4] for start in range(16, min(size, len(head)) - 3, 4))}
    if major in _AVIF_BRANDS or (major in _HEIF_BRANDS and brands & _AVIF_BRANDS):
        return "AVIF"
    if major in _HEIC_BRANDS | _HEIF_BRANDS:
        return "HEIC"
    if major == b"crx ":
        return "RAW (CR3)"
    return "a video (MOV)" if major == b"qt  " else "a video (MP4)"


def unknown_kind(name: str, head: bytes, known: tuple[str, ...]) -> ImageError:
    """Return the error for a file that no reader takes, by its first ``HEAD_BYTES`` bytes."""
    if head[4:8] == b"ftyp":
        kind = iso_kind(head)
        return no_picture(name, kind, "use its frames") if "video" in kind else unsupported(name, kind)
    for kind, (start, *magics) in _PICTURES.items():
        if head.startswith(tuple(magics), start):
            return unsupported(name, kind)
    for kind, (advice, start, *magics) in _OTHERS.items():
        if head.startswith(tuple(magics), start):
            return no_picture(name, kind, advice)
    if text := _text_kind(head):
        return no_picture(name, text, CONVERT)
    return ImageError(f"{name}: not a picture in a known format ({', '.join(known)}); {CONVERT}")


def unsupported(name: str, kind: str) -> ImageError:
    """Return the error for a whole picture of a kind that is not read."""
    return ImageError(f"{name}: {kind} is not supported; {CONVERT}")


def no_picture(name: str, kind: str, advice: str) -> ImageError:
    """Return the error for a file that is no picture."""
    return ImageError(
        f"{name}: not a picture in a known format but {kind}, which is not supported; {advice}"
        + ("" if advice == CONVERT else f", or {CONVERT}")
    )


def _text_kind(head: bytes) -> str | None:
    if _SVG.search(head):
        return "SVG"
    if _HTML.search(head):
        return "HTML (a web page)"
    encoding = "utf-16" if head[:2] in (b"\xff\xfe", b"\xfe\xff") else "utf-8"
    try:
        text = getincrementaldecoder(encoding)().decode(head, final=len(head) < HEAD_BYTES)
    except UnicodeDecodeError:
        return None
    return "text" if _PRINTABLE.fullmatch(text) else None
