"""Small photos, sources that hold them, and a local engine without worker processes."""

import hashlib
import io
import json
import tarfile
from collections.abc import Iterable, Iterator
from dataclasses import replace
from importlib.resources import files
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from PIL import Image

from facegeom.batch import Progress, analyze_many, local, stores
from facegeom.batch.input_index import Job
from facegeom.batch.rows import Counts, read_metadata
from facegeom.batch.stores import Folder
from facegeom.batch.work import Attempt, Outcome, Piece, Settings, Worker

from .proxy import Store, moto_behind_proxy

BUCKET, RUN = "s3://lake/album", "s3://lake/run"


def jpeg(value: int = 90) -> bytes:
    """Encode a plain grey image of 32 x 24 pixels."""
    stream = io.BytesIO()
    Image.new("RGB", (32, 24), (value,) * 3).save(stream, "JPEG")
    return stream.getvalue()


def read_counts(content: bytes) -> Counts:
    """Return the counts stored in a part file."""
    metadata = read_metadata(pq.read_schema(pa.BufferReader(content)))
    return Counts(metadata["photos"], metadata["faces"], metadata["errors"])


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


def events_of(worker: Worker, job: Job, attempt: Attempt | None = None) -> list[Piece | Outcome]:
    """Return what a worker reports of a job, and its end."""
    events: list[Any] = []
    problem = worker(job, attempt, lambda event: events.append(event) if isinstance(event, Piece) else None)
    return [*events, Outcome(job.part, problem)]


def part_of(worker: Worker, job: Job, attempt: Attempt | None = None) -> bytes:
    """Return the only part file that a worker makes of a job."""
    piece, end = events_of(worker, job, attempt)
    assert isinstance(piece, Piece) and end == Outcome(job.part, None) and piece.content
    return piece.content


def contents(events: Iterable[Piece | Outcome]) -> dict[int, bytes]:
    """Return the part files that an engine has made, by the numbers of their jobs; every job has ended."""
    found = list(events)
    pieces = {each.record.part: each.content or b"" for each in found if isinstance(each, Piece)}
    assert sorted(each for each in found if isinstance(each, Outcome)) == [
        Outcome(part, None) for part in sorted(pieces)
    ]
    assert len(found) == 2 * len(pieces)
    return pieces


@pytest.fixture(scope="session")
def workers_by_settings() -> dict[str, Worker]:
    """Cache workers of this process by their settings."""
    return {}


@pytest.fixture
def in_process(monkeypatch: pytest.MonkeyPatch, workers_by_settings: dict[str, Worker]) -> list[int]:
    """Run the local engine without processes; return the numbers of the requested part files."""
    requested: list[int] = []

    def run(jobs: Iterable[Job], settings: Settings, workers: int) -> Iterator[Piece | Outcome]:
        shared = replace(settings, out=None, writes=False)
        if repr(shared) not in workers_by_settings:  # networks take a moment to load
            workers_by_settings[repr(shared)] = Worker(shared)
        worker = workers_by_settings[repr(shared)]
        worker._settings, worker._out = settings, Folder(settings.out) if settings.out else None
        for job in jobs:
            requested.append(job.part)
            yield from events_of(worker, job)

    monkeypatch.setattr(local, "run", run)
    return requested


def parts_of(out: Path) -> dict[str, bytes]:
    """Return the part files of a run, by name, as its ledger has them."""
    parts = {path.name: path.read_bytes() for path in sorted((out / "parts").iterdir())}
    records = [json.loads(line) for line in (out / "ledger.jsonl").read_text().splitlines()]
    hashes = {(each["part"], each["piece"]): each["sha256"] for each in records}
    assert sorted(hashes.values()) == sorted(hashlib.sha256(part).hexdigest() for part in parts.values())
    return parts


def run(album: Path, out: Path, **options: Any) -> Progress:
    return analyze_many([album], out, **{"part_size": 3, **options})


@pytest.fixture
def finished(album: Path, tmp_path: Path, in_process: list[int]) -> tuple[Path, dict[str, bytes]]:
    """Return the folder of a finished run, and its part files."""
    run(album, tmp_path / "out")
    in_process.clear()
    return tmp_path / "out", parts_of(tmp_path / "out")


@pytest.fixture
def store(album: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Store]:
    """Serve the album of ten photos, four with a face and three unusable, at ``s3://lake/album``."""
    monkeypatch.setattr(stores, "RETRY_DELAYS_S", (0.0, 0.0, 0.0))
    stores._open_with_pyarrow.cache_clear()
    with moto_behind_proxy(monkeypatch) as store:
        for path in album.iterdir():
            store.put(f"album/{path.name}", path.read_bytes())
        yield store
    stores._open_with_pyarrow.cache_clear()


@pytest.fixture
def undisturbed(store: Store, tmp_path: Path, in_process: list[int]) -> dict[str, bytes]:
    """Return the part files of a run over the store while it is well, by name."""
    analyze_many([BUCKET], tmp_path / "well", part_size=2)
    store.asked.clear()
    return parts_of(tmp_path / "well")


def parts_in_store() -> dict[str, bytes]:
    """Return the part files of the run in the store, by name."""
    folder = stores.Folder(RUN)
    return {name: folder.read(f"parts/{name}") or b"" for name in sorted(folder.sizes("parts"))}
