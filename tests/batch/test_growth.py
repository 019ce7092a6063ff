"""Runs that grow, are cut short, sampled, tried again, and go on after an outage."""

import os
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest

from facegeom.batch import Progress, Selection, analyze_many, read_rows, sources, stores
from facegeom.batch.rows import Counts
from facegeom.batch.work import Worker
from facegeom.errors import InputError

from .conftest import jpeg, parts_of, portrait, run, write_parquet, write_tar

pytestmark = pytest.mark.usefixtures("in_process")

Change = Callable[[Path], object]
CHANGES: list[tuple[Change, list[int], tuple[int, int, int], int]] = [
    (lambda album: (album / "aa.jpg").write_bytes(jpeg()), [4], (1, 0, 0), 11),
    (lambda album: (album / "zz.jpg").write_bytes(jpeg()), [4], (1, 0, 0), 11),
    (lambda album: (album / "words.jpg").unlink(), [], (0, 0, 1), 10),
    (lambda album: (album / "wall2.jpg").write_bytes(portrait()), [2], (0, 1, 0), 10),
    (lambda album: os.utime(album / "wall2.jpg", ns=(1, 1)), [2], (0, 1, 0), 10),
    (
        lambda album: [(album / f"z{n}.jpg").write_bytes(jpeg(n)) for n in range(100)],
        [*range(4, 38)],
        (100, 0, 0),
        110,
    ),
]


@pytest.mark.parametrize(("change", "done", "growth", "photos"), CHANGES)
def test_a_run_grows(
    album: Path,
    finished: tuple[Path, dict[str, bytes]],
    in_process: list[int],
    change: Change,
    done: list[int],
    growth: tuple[int, int, int],
    photos: int,
) -> None:
    """Only what is new or has changed is analyzed; every photo has one row."""
    out, parts = finished
    change(album)
    end = run(album, out)
    assert in_process == done
    assert (end.growth.new, end.growth.changed, end.growth.removed) == growth and end.photos == photos
    now = parts_of(out)
    kept = [name for number, name in enumerate(parts) if number not in done]
    assert all(now[name] == parts[name] for name in kept)
    keys = [row.key for row in read_rows(out)]
    assert len(keys) == len(set(keys)) == photos
    assert set(keys) >= {str(path) for path in album.iterdir()}
    run(album, out)
    assert in_process == done and parts_of(out) == now


def test_limit_sample_and_the_rest(album: Path, tmp_path: Path, in_process: list[int]) -> None:
    """A run over the first photos grows to one over all."""
    table = write_parquet(tmp_path / "t.parquet", {"image": [jpeg(n) for n in range(9)]})
    for limit, expected in ((4, 4), (11, 11), (12, 12), (None, 19)):
        end = analyze_many([album, table], tmp_path / "out", part_size=3, select=Selection(limit=limit))
        rows = list(read_rows(tmp_path / "out"))
        assert end.done.photos == len(rows) == len({row.key for row in rows}) == expected
    ends = []
    for out in ("a", "b"):
        ends.append(analyze_many([album, table], tmp_path / out, select=Selection(sample=0.5)))
    keys = [[row.key for row in read_rows(tmp_path / out)] for out in ("a", "b")]
    assert keys[0] == keys[1] and 3 < len(keys[0]) < 16 and ends[0].done.photos == len(keys[0])
    with pytest.raises(InputError, match=r"sample 0\.5, not sample 1"):
        analyze_many([album, table], tmp_path / "a")


@pytest.mark.parametrize("limits", [(None, 2), (2, None)])
def test_a_tar_that_is_listed_in_two_ways_has_each_photo_once(
    tmp_path: Path, limits: tuple[int | None, ...], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Whole, as a store's, and by its members, as a limit needs it."""
    monkeypatch.setattr(sources, "_WALKED_TARS", 0)
    tar = write_tar(tmp_path / "a.tar", {f"{n}.jpg": jpeg(n) for n in range(5)})
    for limit in limits:
        analyze_many([tar], tmp_path / "out", part_size=3, select=Selection(limit=limit))
    keys = [row.key for row in read_rows(tmp_path / "out")]
    assert sorted(keys) == [f"{tar}/{n}.jpg" for n in range(5)]
    assert analyze_many([tar], tmp_path / "out", part_size=3).done.photos == 5


@pytest.mark.parametrize("walked", [(0, 32), (32, 0)])
def test_a_tar_among_fewer_or_more_of_them(
    tmp_path: Path, walked: tuple[int, int], monkeypatch: pytest.MonkeyPatch
) -> None:
    """It is read as a whole or by its members, as before or anew, and its changes are noticed."""
    tar, out = tmp_path / "a.tar", tmp_path / "out"
    for count, ways in ((5, walked), (7, walked[::-1])):
        write_tar(tar, {f"{n}.jpg": jpeg(n) for n in range(count)})
        os.utime(tar, ns=(count, count))
        for way in ways:
            monkeypatch.setattr(sources, "_WALKED_TARS", way)
            assert analyze_many([tar], out, part_size=3).done.photos == count
        assert sorted(row.key for row in read_rows(out)) == [f"{tar}/{n}.jpg" for n in range(count)]


def test_a_dry_run_writes_nothing(album: Path, tmp_path: Path, in_process: list[int]) -> None:
    dry = Selection(dry_run=True)
    assert run(album, tmp_path / "out", select=dry).photos == 10
    assert not (tmp_path / "out").exists()
    run(album, tmp_path / "out")
    before = {path: path.read_bytes() for path in (tmp_path / "out").rglob("*") if path.is_file()}
    (album / "new.jpg").write_bytes(jpeg())
    end = run(album, tmp_path / "out", select=dry)
    assert (end.growth.new, end.done.photos) == (1, 10)
    assert {path: path.read_bytes() for path in (tmp_path / "out").rglob("*") if path.is_file()} == before
    assert in_process == [0, 1, 2, 3]


@pytest.mark.parametrize(
    ("change", "select"),
    [
        *((change, Selection()) for change, *_ in CHANGES),
        (lambda album: (album / "cut.jpg").write_bytes(jpeg()), Selection(retry_failed=True)),
        (lambda album: album, Selection(retry_failed=True)),
        (lambda album: (album / "aa.jpg").write_bytes(jpeg()), Selection(limit=5, retry_failed=True)),
        (lambda album: (album.parent / "out/parts/part-0000002.parquet").unlink(), Selection()),
    ],
)
def test_a_dry_run_says_what_then_happens(
    album: Path, finished: tuple[Path, dict[str, bytes]], change: Change, select: Selection
) -> None:
    out, _ = finished
    change(album)
    dry, end = run(album, out, select=replace(select, dry_run=True)), run(album, out, select=select)
    assert (dry.photos, dry.growth) == (end.photos, end.growth)
    analyzed = end.done.photos - end.earlier + end.retried
    assert dry.photos - dry.done.photos + dry.retried == analyzed


def test_a_dry_run_of_a_sample_counts_its_rows(tmp_path: Path) -> None:
    table = write_parquet(tmp_path / "t.parquet", {"image": [jpeg(n) for n in range(9)]})
    dry = analyze_many([table], tmp_path / "out", select=Selection(sample=0.5, dry_run=True))
    end = analyze_many([table], tmp_path / "out", select=Selection(sample=0.5))
    assert 0 < dry.photos == end.done.photos == end.photos < 9


def test_failed_photos_are_tried_again(
    album: Path,
    finished: tuple[Path, dict[str, bytes]],
    in_process: list[int],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Only they are analyzed; the other rows are taken from the part file."""
    out, parts = finished
    analyzed: list[bytes] = []

    def fail(self: Worker, content: bytes) -> tuple[None, str]:
        analyzed.append(content)
        return None, "not yet"

    with monkeypatch.context() as patch:
        patch.setattr(Worker, "_faces", fail)
        end = run(album, out, select=Selection(retry_failed=True))
        names = ("cut.jpg", "empty.jpg", "words.jpg")
        assert analyzed == [(album / name).read_bytes() for name in names]
        assert in_process == [0, 3] and end.done == Counts(10, 4, 3)
        assert sorted(row.name for row in read_rows(out) if row.error == "not yet") == list(names)
    run(album, out, select=Selection(retry_failed=True))
    assert in_process == [0, 3] * 2 and parts_of(out) == parts


def test_an_outage_leaves_jobs_open(
    album: Path, tmp_path: Path, in_process: list[int], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Nothing that was written says so; the next run writes what an undisturbed one does."""
    run(album, tmp_path / "undisturbed")
    monkeypatch.setattr(stores, "RETRY_DELAYS_S", (0.0,))
    away = album.with_name("away")

    def vanish(progress: Progress) -> None:
        if progress.done.photos == 3 and album.exists():
            album.rename(away)

    for most, left, parts in ((20, 3, 1), (1, 2, 1)):
        if away.exists():
            away.rename(album)
        end = run(album, tmp_path / f"out{most}", tell=vanish, max_errors=most)
        assert end.open == left and end.done.photos == 3 and len(parts_of(tmp_path / f"out{most}")) == parts
        away.rename(album)
        assert run(album, tmp_path / f"out{most}").open == 0
        assert parts_of(tmp_path / f"out{most}") == parts_of(tmp_path / "undisturbed")


def test_shards_are_cut_into_several_part_files(
    album: Path, tmp_path: Path, in_process: list[int], monkeypatch: pytest.MonkeyPatch
) -> None:
    """A tar file that one worker reads as a whole; a run goes on after the last part file that is there."""
    monkeypatch.setattr("facegeom.batch.sources._WALKED_TARS", 0)
    tar = write_tar(tmp_path / "s.tar", {path.name: path.read_bytes() for path in sorted(album.iterdir())})
    table = write_parquet(tmp_path / "t.parquet", {"image": [jpeg(n) for n in range(8)]}, row_group=8)
    end = analyze_many([tar, table], tmp_path / "out", part_size=3)
    assert end.done.photos == end.photos == 18 and in_process == [0, 1]
    parts = parts_of(tmp_path / "out")
    names = [f"part-000000{part}{piece}.parquet" for part in (0, 1) for piece in ("-0001", "-0002", "")]
    assert list(parts) == sorted([*names, "part-0000000-0003.parquet"])
    assert [row.name for row in read_rows(tmp_path / "out")][:10] == sorted(p.name for p in album.iterdir())
    for name in ("part-0000000-0002.parquet", "part-0000001.parquet"):
        (tmp_path / "out/parts" / name).unlink()
    end = analyze_many([tar, table], tmp_path / "out")
    assert end.earlier == 6 and end.done.photos == 18 and parts_of(tmp_path / "out") == parts
