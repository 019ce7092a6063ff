"""Make many different photos from a few: as files, in a tar file and in a Parquet file."""

import io
import tarfile
from collections.abc import Iterator
from pathlib import Path

import numpy as np
from PIL import Image, ImageEnhance

from facegeom.errors import InputError
from facegeom.image.reading import ENDINGS

_DAMAGED_EVERY = 97
_MAX_CUT = 0.05
_BRIGHTNESS = (0.8, 1.2)
_ROW_GROUP = 256
_ENLARGED, _LARGE_ROW_GROUP = 4, 64


def make_photos(folder: Path, out: Path, count: int, seed: int) -> list[Path]:
    """Write ``count`` photos as three sources of about equal size and return the sources' paths.

    The sources are a folder, a tar file and a Parquet file. Each photo is one of ``folder``, cropped at its
    edges by up to 5 % and with its brightness changed by up to 20 %, so that no two give the same row. The
    file of every 97th is truncated to half its bytes, as damaged files are.

    Args:
        folder: searched recursively.
        out: where the sources are written.
        count: photos in all three.
        seed: of crop and brightness.

    Raises:
        InputError: the folder holds no photo.
    """
    photos = _variants(photos_in(folder), count, np.random.default_rng(seed))
    third = count // 3
    files, tar, table = out / "files", out / "shard.tar", out / "table.parquet"
    files.mkdir(parents=True)
    for number in range(third):
        (files / f"{number:06d}.jpg").write_bytes(next(photos))
    _write_tar(tar, photos, third)
    _write_parquet(table, list(photos))
    return [files, tar, table]


def photos_in(folder: Path) -> list[Path]:
    """Return the photos of a folder, searched recursively.

    Raises:
        InputError: it holds none.
    """
    found = sorted(path for path in folder.rglob("*") if path.suffix.lower() in ENDINGS)
    if not found:
        raise InputError(f"expected photos in {str(folder)!r}, found none")
    return found


def make_shards(folder: Path, out: Path, megabytes: float, seed: int) -> tuple[list[Path], int]:
    """Write a tar and a Parquet file of the same large photos; return both, and the number of photos.

    They are made as those of :func:`make_photos` and enlarged by 4 in width and height; none is damaged.

    Args:
        folder: searched recursively.
        out: where the files are written.
        megabytes: size of each file, 10^6 bytes; exceeded by less than a photo.
        seed: of crop and brightness.

    Raises:
        InputError: the folder holds no photo.
    """
    originals, rng = photos_in(folder), np.random.default_rng(seed)
    photos: list[bytes] = []
    size = 0
    while size < 1e6 * megabytes:
        with Image.open(originals[len(photos) % len(originals)]) as photo:
            photos.append(_jpeg(photo.convert("RGB"), rng, _ENLARGED))
        size += len(photos[-1])
    out.mkdir(parents=True)
    tar, table = out / "large.tar", out / "large.parquet"
    _write_tar(tar, iter(photos), len(photos))
    _write_parquet(table, photos, _LARGE_ROW_GROUP)
    return [tar, table], len(photos)


def _variants(originals: list[Path], count: int, rng: np.random.Generator) -> Iterator[bytes]:
    for number in range(count):
        with Image.open(originals[number % len(originals)]) as photo:
            content = _jpeg(photo.convert("RGB"), rng)
        yield content[: len(content) // 2] if number % _DAMAGED_EVERY == _DAMAGED_EVERY - 1 else content


def _jpeg(photo: Image.Image, rng: np.random.Generator, scale: int = 1) -> bytes:
    left, top, right, bottom = rng.uniform(0, _MAX_CUT, 4) * (photo.size * 2)
    crop = photo.crop((int(left), int(top), photo.width - int(right), photo.height - int(bottom)))
    if scale > 1:
        crop = crop.resize((scale * crop.width, scale * crop.height))
    stream = io.BytesIO()
    ImageEnhance.Brightness(crop).enhance(rng.uniform(*_BRIGHTNESS)).save(stream, "JPEG", quality=90)
    return stream.getvalue()


def _write_tar(path: Path, photos: Iterator[bytes], count: int) -> None:
    with tarfile.open(path, "w") as tar:
        for number in range(count):
            content = next(photos)
            member = tarfile.TarInfo(f"{number:06d}.jpg")
            member.size = len(content)
            tar.addfile(member, io.BytesIO(content))


def _write_parquet(path: Path, photos: list[bytes], row_group: int = _ROW_GROUP) -> None:
    import pyarrow as pa
    import pyarrow.parquet as pq

    pq.write_table(pa.table({"image": photos}), path, row_group_size=row_group)
