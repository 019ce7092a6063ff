"""Small photos, sources that hold them, and a local engine without worker processes."""

import io
import tarfile
from collections.abc import Iterable, Iterator
from importlib.resources import files
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from PIL import Image

from facegeom.batch import local
from facegeom.batch.input_index import Job
from facegeom.batch.work import Settings, Worker


def jpeg(value: int = 90) -> bytes:
    """Encode a plain grey image of 32 x 24 pixels."""
    stream = io.BytesIO()
    Image.new("RGB", (32, 24), (value,) * 3).save(stream, "JPEG")
    return stream.getvalue()


def portrait(size: int = 128) -> bytes:
    """Encode a photo with one face, ``size`` pixels wide and high."""
    with (files("facegeom") / "data" / "astronaut.jpg").open("rb") as stream, Image.open(stream) as photo:
        face = photo.crop((100, 0, 350, 250)).resize((size, size))
    out = io.BytesIO()
    face.save(out, "JPEG", quality=90)
    return out.getvalue()


def write_tar(path: Path, members: dict[str, bytes]) -> Path:
    with tarfile.open(path, "w") as tar:
        for name, content in members.items():
            member = tarfile.TarInfo(name)
            member.size = len(content)
            tar.addfile(member, io.BytesIO(content))
    return path


def write_parquet(path: Path, columns: dict[str, list[object]], row_group: int = 2) -> Path:
    pq.write_table(pa.table(columns), path, row_group_size=row_group)
    return path


@pytest.fixture
def album(tmp_path: Path) -> Path:
    """Return a folder of ten photos: four with a face, three without, three unusable."""
    folder = tmp_path / "album"
    folder.mkdir()
    for number, size in enumerate((128, 120, 112, 104)):
        (folder / f"face{number}.jpg").write_bytes(portrait(size))
    for number in range(3):
        (folder / f"wall{number}.jpg").write_bytes(jpeg(40 * number))
    (folder / "words.jpg").write_text("words")
    (folder / "empty.jpg").write_bytes(b"")
    (folder / "cut.jpg").write_bytes(portrait()[:900])
    return folder


@pytest.fixture(scope="session")
def workers_by_settings() -> dict[str, Worker]:
    """Cache workers of this process by their settings."""
    return {}


@pytest.fixture
def in_process(monkeypatch: pytest.MonkeyPatch, workers_by_settings: dict[str, Worker]) -> list[int]:
    """Run the local engine without processes; return the numbers of the requested part files."""
    requested: list[int] = []

    def run(jobs: Iterable[Job], settings: Settings, workers: int) -> Iterator[tuple[int, bytes]]:
        if repr(settings) not in workers_by_settings:  # networks take a moment to load
            workers_by_settings[repr(settings)] = Worker(settings)
        worker = workers_by_settings[repr(settings)]
        for job in jobs:
            requested.append(job.part)
            yield job.part, worker(job)

    monkeypatch.setattr(local, "run", run)
    return requested


def parts_of(out: Path) -> dict[str, bytes]:
    """Return the part files of a run, by name."""
    return {path.name: path.read_bytes() for path in sorted((out / "parts").iterdir())}
