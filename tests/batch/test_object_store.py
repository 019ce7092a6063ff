"""Photos and runs in an object store that stumbles, is away for a while, or dies."""

import json
from pathlib import Path

import numpy as np
import pytest
from typer.testing import CliRunner

from facegeom.batch import analyze_many, read_rows, stores
from facegeom.batch.input_index import Job
from facegeom.batch.reading import Reader
from facegeom.batch.rows import Counts
from facegeom.batch.sources import list_photos
from facegeom.cli.root import app

from .conftest import BUCKET, RUN, jpeg, parts_in_store, parts_of, write_parquet, write_tar
from .proxy import STUMBLES, Store


def stumbling(method: str, key: str, times: int) -> str | None:
    """Fail at the first time for every key, each in a way of its own, and for lists."""
    return STUMBLES[sum(key.encode()) % 3] if times == 1 else None


def well(method: str, key: str, times: int) -> str | None:
    return None


def batch(*arguments: object) -> tuple[int, str]:
    """Run the command; return the exit code and all it printed."""
    result = CliRunner().invoke(app, ["batch", *map(str, arguments)])
    assert "Traceback" not in result.output
    return result.exit_code, " ".join(result.output.split())


def test_a_stumbling_store_gives_the_same_rows(
    store: Store, undisturbed: dict[str, bytes], tmp_path: Path
) -> None:
    store.fault = stumbling
    end = analyze_many([BUCKET], tmp_path / "out", part_size=2)
    assert end.done == Counts(photos=10, faces=4, errors=3) and end.open == end.unlisted == 0
    assert parts_of(tmp_path / "out") == undisturbed
    assert store.faults.keys() >= {"busy", "reset", "cut"}


@pytest.mark.slow
def test_a_store_that_dies_leaves_jobs_open(
    store: Store, undisturbed: dict[str, bytes], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The exit code says so, no row does; once the store is back, the same command does the rest."""
    monkeypatch.setattr(stores, "RETRY_DELAYS_S", ())  # the driver itself asks again for some seconds
    store.fault = lambda method, key, times: "busy" if key.endswith(("wall0.jpg", "words.jpg")) else None
    code, printed = batch(BUCKET, "-o", tmp_path / "out", "--part-size", 2)
    assert code == 3 and "2 parts could not be reached" in printed and "stays open" in printed
    kept = {
        name: part for name, part in undisturbed.items() if name[:12] not in ("part-0000003", "part-0000004")
    }
    assert parts_of(tmp_path / "out").items() >= kept.items()
    store.fault = well
    assert batch(BUCKET, "-o", tmp_path / "out")[0] == 1
    assert parts_of(tmp_path / "out") == undisturbed


@pytest.mark.slow
def test_a_dead_store_is_an_error_in_words(store: Store, tmp_path: Path) -> None:
    store.fault = lambda method, key, times: "reset"
    code, printed = batch(BUCKET, "-o", tmp_path / "out")
    assert code == 3 and f"'{BUCKET}' cannot be reached" in printed


@pytest.mark.slow
@pytest.mark.usefixtures("in_process")
def test_a_store_that_dies_while_it_is_listed(
    store: Store, undisturbed: dict[str, bytes], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(stores, "RETRY_DELAYS_S", ())
    store.fault = lambda method, key, times: "busy" if not key and times > 1 else None
    code, printed = batch(BUCKET, "-o", tmp_path / "out", "--part-size", 2)
    assert code == 3 and "could not be listed" in printed
    store.fault = well
    assert batch(BUCKET, "-o", tmp_path / "out")[0] == 1
    assert parts_of(tmp_path / "out") == undisturbed


@pytest.mark.parametrize("fault", [well, stumbling])
def test_a_run_in_the_store(
    store: Store, undisturbed: dict[str, bytes], in_process: list[int], fault: object
) -> None:
    """It has the same part files as one on this machine, is gone on with, grows, and says how far it is."""
    store.fault = fault  # type: ignore[assignment]
    in_process.clear()
    end = analyze_many([BUCKET], RUN, part_size=2)
    assert end.done == Counts(10, 4, 3) and end.open == 0
    assert parts_in_store() == undisturbed
    assert [row.key for row in read_rows(RUN)] == [
        f"{BUCKET}/{name}"
        for name in (
            *("cut.jpg", "empty.jpg", "face0.jpg", "face1.jpg", "face2.jpg", "face3.jpg"),
            *("wall0.jpg", "wall1.jpg", "wall2.jpg", "words.jpg"),
        )
    ]
    stores.Folder(RUN).remove("parts/part-0000001.parquet")
    store.put("album/zz.jpg", jpeg())
    end = analyze_many([BUCKET], RUN)
    assert in_process == [*range(5), 1, 5] and end.growth.new == 1 and end.done == Counts(11, 4, 3)
    parts = parts_in_store()
    assert {name: parts[name] for name in undisturbed} == undisturbed and len(parts) == 6
    assert len(stores.Folder(RUN).sizes("ledger")) == 1
    code, printed = batch("status", RUN)
    assert code == 0 and "11 of 11 done" in printed and "failed 3" in printed


@pytest.mark.workers
@pytest.mark.slow
def test_workers_write_to_the_store(store: Store, undisturbed: dict[str, bytes]) -> None:
    code, _ = batch(BUCKET, "-o", RUN, "--part-size", 2, "--workers", 2)
    assert code == 1 and parts_in_store() == undisturbed
    assert json.loads(stores.Folder(RUN).read("run.json") or b"")["photos"] == 10


def test_shards_in_a_store_are_fetched_once(store: Store, tmp_path: Path) -> None:
    """Listing and reading a tar file and a Parquet file fetch little more than their bytes."""
    noise = [np.random.default_rng(number).bytes(300_000) for number in range(30)]
    files = [
        write_tar(tmp_path / "s.tar", {f"{number}.jpg": each for number, each in enumerate(noise)}),
        write_parquet(tmp_path / "t.parquet", {"image": list(noise)}, row_group=10),
    ]
    for file in files:
        store.put(f"shards/{file.name}", file.read_bytes())
    shards, read = list(list_photos(["s3://lake/shards"])), Reader()
    assert [shard.kind for shard in shards] == ["tar", "parquet"]
    for shard in shards:
        assert [photo.content for photo in read.photos(Job(0, (shard,)))] == noise
    for file in files:
        assert store.fetched[f"shards/{file.name}"] <= 1.1 * file.stat().st_size
