"""Photos in a store that is far away, and sources that go away: bytes, throughput, rows afterwards."""

import time
from collections.abc import Callable
from pathlib import Path
from statistics import mean

from facegeom.errors import InputError
from facegeom_lab.bench.batch.driver import (
    DONE,
    Driver,
    Job,
    differing_parts,
    rows_and_keys,
    run_undisturbed,
    working_rate,
)
from facegeom_lab.bench.batch.photos import make_photos, make_shards, photos_in
from facegeom_lab.bench.batch.s3 import Store
from facegeom_lab.measures.tables import Cell, Table, percent

DELAY_MS = 50.0
_PART_SIZE = 64
_PHOTOS = 600
"""For the outages: the first of them comes after the first part file, the last rows long after it."""

_MOUNT_AWAY_S, _STORE_DOWN_S = 10.0, 30.0
_FAULT_EVERY = 10
_UNREACHABLE = 3
_ENDS = (*DONE, _UNREACHABLE)
_STORE = (
    "The store is a server of the S3 protocol on this machine, a process of its own, that answers each "
    f"request {DELAY_MS:.0f} ms late and counts requests and bytes. "
)
_SHARDS_PROTOCOL = (
    _STORE + "A tar and a Parquet file of {megabytes:g} MB, made of {photos} photos of a folder, each "
    "enlarged by 4; `facegeom batch s3://…` of each alone, {workers} workers, parts of 128 photos. All "
    "requests of the whole run count: listing, footers, photos. Seconds to the first rows: from the start of "
    "the command until the first part file is there."
)
_SHARDS_COLUMNS = (
    "shard",
    "MB",
    "MB fetched",
    "times its size",
    "requests",
    "seconds to the first rows",
    "seconds in all",
)
_LOOSE_PROTOCOL = (
    _STORE + "The {photos} photos of a folder as they are, from the disk (warm) and as objects of the store, "
    "with one worker, twice each by turns; the mean of both. Photos per second: from the first part of "
    "{part_size} photos to the last."
)
_LOOSE_COLUMNS = (
    "place",
    "photos per second and worker",
    "% of the disk",
    "requests per photo",
    "bytes fetched per byte",
)
_OUTAGES_PROTOCOL = (
    "{photos} photos, a third as files, a third in a tar file, a third in a Parquet file, {workers} workers; "
    "every 97th is damaged, so a run that is done ends with 1. The disturbance begins when the first part "
    "file is there; where the command ends with 3, it is given once more. Afterwards the parts are compared "
    "with those of an undisturbed run, byte by byte."
)
_OUTAGES_COLUMNS = (
    "disturbance",
    "exit codes of the calls",
    "photos",
    "rows",
    "different photos in them",
    "parts that differ",
)


def measure_shards(
    folder: Path, runs: Path, megabytes: float, workers: int, limit_s: float, seed: int
) -> Table:
    """Measure what runs over a tar and a Parquet file in the store fetch, and when the first rows are there.

    Raises:
        InputError: the folder holds no photo.
        ProcessError: a run failed, or took too long.
    """
    files, photos = make_shards(folder, runs / "store" / "bench", megabytes, seed)
    rows: list[tuple[Cell, ...]] = []
    with Store(runs / "store", DELAY_MS) as store:
        for file in files:
            job = Job([f"s3://bench/{file.name}"], photos, "local", workers, 128, limit_s)
            started = time.monotonic()
            with Driver(job, runs / f"of-{file.suffix[1:]}", started + limit_s) as driver:
                driver.wait_for_parts(1)
                first_s = time.monotonic() - started
                driver.finish()
            total_s = time.monotonic() - started
            requests, fetched = store.counts()
            size, got = file.stat().st_size, fetched.total()
            rows.append((file.name, size / 1e6, got / 1e6, got / size, requests.total(), first_s, total_s))
    protocol = _SHARDS_PROTOCOL.format(megabytes=megabytes, photos=photos, workers=workers)
    return Table("Shards in a store", protocol, _SHARDS_COLUMNS, rows)


def measure_loose(folder: Path, runs: Path, part_size: int, limit_s: float) -> Table:
    """Measure one worker on loose photos, from the disk and from the store.

    Raises:
        InputError: the folder holds too few photos.
        ProcessError: a run failed, or took too long.
    """
    files = photos_in(folder)
    if len(files) <= part_size:
        raise InputError(f"expected more than {part_size} photos in {str(folder)!r}, got {len(files)}")
    (runs / "far").mkdir()
    (runs / "far" / "bench").symlink_to(folder.resolve())
    places = {"disk": str(folder), "store": "s3://bench"}
    rates: dict[str, list[float]] = {name: [] for name in places}
    with Store(runs / "far", DELAY_MS) as store:
        for turn in range(2):
            for name, place in places.items():
                job, out = Job([place], len(files), "local", 1, part_size, limit_s), runs / f"{name}{turn}"
                run_undisturbed(job, out)
                rates[name].append(working_rate(job, out) or 0.0)
        requests, fetched = store.counts()
    disk, far = map(mean, rates.values())
    size = 2 * sum(file.stat().st_size for file in files)
    rows: list[tuple[Cell, ...]] = [
        ("disk", disk, 100.0, None, None),
        ("store", far, percent(far, disk), requests.total() / 2 / len(files), fetched.total() / size),
    ]
    return Table(
        "Loose photos in a store",
        _LOOSE_PROTOCOL.format(photos=len(files), part_size=part_size),
        _LOOSE_COLUMNS,
        rows,
    )


def measure_outages(folder: Path, runs: Path, workers: int, limit_s: float, seed: int) -> Table:
    """Compare runs whose source goes away with undisturbed ones.

    Raises:
        InputError: the folder holds no photo.
        ProcessError: a run failed, or took too long.
    """
    root = runs / "lake"
    album, url = root / "bench" / "album", "s3://bench/album"
    make_photos(folder, album, _PHOTOS, seed)
    on_disk = Job([album], _PHOTOS, "local", workers, _PART_SIZE, limit_s)
    in_store = Job([url], _PHOTOS, "local", workers, _PART_SIZE, limit_s)
    run_undisturbed(on_disk, runs / "near")
    rows = [_disturbed("mount away for 10 s", on_disk, runs / "near", lambda: _move_away(album))]
    with Store(root) as store:
        run_undisturbed(in_store, runs / "well")

        def outage() -> None:
            store.stop()
            time.sleep(_STORE_DOWN_S)
            store.start()

        rows.append(_disturbed("store down for 30 s", in_store, runs / "well", outage))
    with Store(root, fault_every=_FAULT_EVERY):
        words = "a tenth of the requests busy (503), reset or cut short"
        rows.append(_disturbed(words, in_store, runs / "well", lambda: None))
    protocol = _OUTAGES_PROTOCOL.format(photos=_PHOTOS, workers=workers)
    return Table("After outages", protocol, _OUTAGES_COLUMNS, rows)


def _move_away(folder: Path) -> None:
    away = folder.with_name("away")
    folder.rename(away)
    time.sleep(_MOUNT_AWAY_S)
    away.rename(folder)


def _disturbed(name: str, job: Job, undisturbed: Path, disturb: Callable[[], object]) -> tuple[Cell, ...]:
    """Run the command through a disturbance, once more if it says so, and compare what it wrote."""
    out = undisturbed.parent / name.replace(" ", "-").replace("/", "-")
    limit, codes = time.monotonic() + job.limit_s, list[int]()
    with Driver(job, out, limit, _ENDS) as driver:
        if driver.wait_for_parts(1):
            disturb()
        codes.append(driver.finish())
    if codes == [_UNREACHABLE]:
        with Driver(job, out, limit, _ENDS) as driver:
            codes.append(driver.finish())
    different = len(differing_parts(undisturbed, out))
    return name, ", ".join(map(str, codes)), job.photos, *rows_and_keys(out), different
