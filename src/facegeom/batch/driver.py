"""One call of a run: list the photos, find what is finished, follow an engine that does the rest."""

import json
import logging
import os
import sys
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import closing
from dataclasses import dataclass, field, replace
from typing import Any, TypeAlias

from facegeom.batch.growth import Growth, grow
from facegeom.batch.input_index import InputIndex, Job, PhotoRef, Record, jobs_of, write_index
from facegeom.batch.output import Output, Records, ordered
from facegeom.batch.rows import Counts
from facegeom.batch.sources import Wanted, list_photos
from facegeom.batch.work import PART_SIZE, Outcome, Piece, is_chosen
from facegeom.errors import InputError

_log = logging.getLogger(__name__)

MANIFEST_FILE = "run.json"
_MANIFEST_FORMAT = 5
_REPORT_EVERY = 1000
_USUAL_BYTES = 100_000
"""Of a photo in a tar file that nobody has listed."""

Engine: TypeAlias = Callable[["Pending"], Iterator[Piece | Outcome]]


@dataclass(frozen=True)
class Progress:
    """Progress of a run.

    Attributes:
        done: photos, faces and errors in the finished part files.
        photos: number of photos in the run; while ``listing``, of those listed so far. Of tar files in a
            store it is estimated by their size until they are read.
        earlier: photos finished by earlier calls.
        retried: of these, photos with an error that are analyzed again: so far; of a dry run, all.
        seconds: time since processing began.
        listing: whether the photos are still being listed.
        open: jobs whose source or output could not be reached; another call does them.
        unlisted: folders and shards that could not be listed; another call lists them.
        growth: new, changed and removed photos and shards, against the run's last call.
    """

    done: Counts = field(default_factory=Counts)
    photos: int = 0
    earlier: int = 0
    retried: int = 0
    seconds: float = 0.0
    listing: bool = False
    open: int = 0
    unlisted: int = 0
    growth: Growth = field(default_factory=Growth)

    @property
    def photos_per_second(self) -> float:
        """Throughput of this call, without the photos finished earlier."""
        return (self.done.photos - self.earlier + self.retried) / self.seconds if self.seconds else 0.0

    @property
    def seconds_left(self) -> float | None:
        """Estimated time to the end; None before the first part file."""
        rate = self.photos_per_second
        return max(0, self.photos - self.done.photos) / rate if rate > 0 else None


ProgressCallback: TypeAlias = Callable[[Progress], object]


@dataclass(frozen=True)
class Selection:
    """Which photos of the sources a call takes, and which it does again.

    Attributes:
        lists: files that name photos and shards, beside the sources.
        limit: the first so many photos; None for all.
        sample: fraction of the photos, drawn by their keys.
        retry_failed: whether photos whose row has an error are analyzed again.
        dry_run: whether the call only lists.
    """

    lists: Sequence[str | os.PathLike[str]] = ()
    limit: int | None = None
    sample: float = 1.0
    retry_failed: bool = False
    dry_run: bool = False


@dataclass(frozen=True, eq=False)
class Pending(Sequence[Job]):
    """The jobs that are left, read from the index one at a time.

    Attributes:
        jobs: all of them.
        parts: numbers of those that are left.
        records: of their part files that are there.
        retried: photos with an error, by the numbers of finished jobs of which only these are analyzed.
    """

    jobs: InputIndex
    parts: list[int]
    records: Mapping[int, tuple[Record, ...]]
    retried: Mapping[int, int]

    def __len__(self) -> int:
        return len(self.parts)

    def __getitem__(self, number: Any) -> Any:
        part = self.parts[number]
        return self.jobs[part]._replace(records=self.records.get(part, ()), retry=part in self.retried)


class Run:
    """One call of a run.

    Args:
        output: of the run.
        made_with: everything but the photos that the rows depend on. Its part size, where it is None, becomes
            that of the resumed run, else ``PART_SIZE``.
        tell: progress callback.
    """

    def __init__(self, output: Output, made_with: dict[str, Any], tell: ProgressCallback) -> None:
        self._output, self._made_with, self._tell = output, made_with, tell
        self.progress = Progress()
        self._records: Records = {}

    def prepare(self, sources: Sequence[str | os.PathLike[str]], select: Selection) -> None:
        """List the photos, and write the input index and the manifest of what is new."""
        output, made_with = self._output, self._made_with
        manifest = read_manifest(output)
        before = manifest["made_with"] if manifest else {}
        made_with["part_size"] = part_size = made_with["part_size"] or before.get("part_size", PART_SIZE)
        if manifest:
            _check_same(before, made_with, output.location)
        elif output.part_files():
            raise InputError(
                f"{output.location!r} has parts, but no {MANIFEST_FILE}; use another output folder"
            )
        problems: list[str] = []

        def on_problem(key: str, reason: str) -> None:
            problems.append(key)
            _log.warning("%r: %s", key, reason)

        columns = made_with["column"], made_with["name_column"]
        own = None if output.is_store else output.location
        wanted = Wanted(*columns, own, part_size, select.limit is not None, on_problem)
        given = [os.fspath(source) for source in (*sources, *select.lists)]
        listed = self._counted(_selected(list_photos(sources, wanted, select.lists), select))
        if not manifest:
            write_index(jobs_of(listed, part_size), output.index_folder)
            growth = Growth()
        elif output.fetch_index():
            self._records = output.records()
            is_whole = select.limit is None and manifest["sources"] == given
            ended = {part for part, pieces in self._records.items() if _ends(pieces)}
            growth = grow(listed, output.index_folder, part_size, lambda: is_whole and not problems, ended)
        else:
            raise InputError(f"the input index of {output.location!r} is missing; use another output folder")
        index = InputIndex(output.index_folder)
        photos = sum(map(self._photos_of, index))
        self.progress = Progress(photos=photos, unlisted=len(problems), growth=growth)
        if select.dry_run:
            retried = sum(self._pending(select.retry_failed, write=False).retried.values())
            self.progress = replace(self.progress, retried=retried)
        elif not manifest or growth != Growth():
            output.store_index()
            found = {"sources": given, "photos": photos, "parts": len(index)}
            content = {"format": _MANIFEST_FORMAT, "made_with": made_with, **found}
            output.write(MANIFEST_FILE, json.dumps(content, indent=1).encode() + b"\n")

    def _counted(self, photos: Iterator[PhotoRef]) -> Iterator[PhotoRef]:
        """Pass photos through, report their number from time to time, and log the damaged ones."""
        total = 0
        for count, photo in enumerate(photos):
            total += photos_of(photo, self._made_with["sample"])
            if photo.kind == "damaged":
                _log.warning("%r: %s", photo.key, photo.problem)
            if count % _REPORT_EVERY == 0:
                self._tell(Progress(photos=total, listing=True))
            yield photo

    def process(self, engine: Engine, retry_failed: bool, max_errors: int) -> Progress:
        """Process every job that is not finished yet."""
        pending = self._pending(retry_failed)
        self._tell(self.progress)
        try:
            if len(pending):
                self._follow(engine(pending), max_errors)
        finally:
            self._output.flush()
        self._finish()
        return self.progress

    def _follow(self, events: Iterator[Piece | Outcome], max_errors: int) -> None:
        """Take over what an engine reports."""
        started = time.perf_counter()
        with closing(events):  # type: ignore[type-var]
            for event in events:
                if isinstance(event, Piece):
                    self._add(event)
                elif event.problem is None:
                    continue
                else:
                    self.progress = replace(self.progress, open=self.progress.open + 1)
                    _log.warning("part %d stays open: %s", *event)
                self.progress = replace(self.progress, seconds=time.perf_counter() - started)
                self._tell(self.progress)
                if self.progress.open > max_errors:
                    _log.warning("stopped: more than %d jobs cannot be reached", max_errors)
                    return

    def _photos_of(self, job: Job) -> int:
        return sum(photos_of(photo, self._made_with["sample"]) for photo in job.photos)

    def _pending(self, retry_failed: bool, write: bool = True) -> Pending:
        """Return the jobs that are left, after every part file was verified; a dry run writes no ledger."""
        output, index = self._output, InputIndex(self._output.index_folder)
        if write:
            output.clean()
        parts: list[int] = []
        partly: dict[int, tuple[Record, ...]] = {}
        retried: dict[int, int] = {}
        kept: Records = {}
        photos, done = 0, Counts()
        for job in index:
            records = output.verified(job, self._records[job.part]) if job.part in self._records else ()
            counts = sum(map(_counts, records), Counts())
            is_done = bool(records and records[-1].last) or not job.photos
            photos += counts.photos if is_done else self._photos_of(job)
            done += counts
            if records:
                kept[job.part] = {record.piece: record for record in records}
            if retry_failed and is_done and counts.errors:
                retried[job.part] = counts.errors
            if job.part in retried or not is_done:
                parts.append(job.part)
                if records:
                    partly[job.part] = records
        if write and (kept or not output.is_store):
            output.replace(ordered(kept))
        self._records = kept
        self._estimates = {part: self._photos_of(index[part]) for part in parts}
        self.progress = replace(self.progress, photos=photos, done=done, earlier=done.photos)
        return Pending(index, parts, partly, retried)

    def _add(self, piece: Piece) -> None:
        """Take over a finished part file."""
        record, content = piece
        if content is not None:
            self._output.write(record.file, content)
        self._output.add(record)
        pieces = self._records.setdefault(record.part, {})
        before, pieces[record.piece] = pieces.get(record.piece), record
        done = self.progress.done + _counts(record)
        photos, retried = self.progress.photos, self.progress.retried
        if before:
            done, retried = done - _counts(before), retried + before.errors
        elif record.last:  # now it is known how many there are
            photos += sum(each.photos for each in pieces.values()) - self._estimates.pop(record.part)
        self.progress = replace(self.progress, done=done, photos=photos, retried=retried)

    def _finish(self) -> None:
        """Join the ledger, and remove part files of jobs that have fewer of them now."""
        output = self._output
        if output.is_store:
            output.replace(ordered(self._records))
        if not self.progress.open and self.progress.done.photos == self.progress.photos:
            for name in output.part_files() - {record.file for record in ordered(self._records)}:
                output.folder.remove(name)


def _counts(record: Record) -> Counts:
    return Counts(record.photos, record.faces, record.errors)


def _ends(pieces: Mapping[int, Record]) -> bool:
    """Return whether the last part file of a job is among these."""
    return any(record.last for record in pieces.values())


def photos_of(photo: PhotoRef, sample: float) -> int:
    """Return how many photos of the sample an input stands for; for a tar file it is estimated."""
    if photo.photo_count < 0:
        return max(1, round(photo.size / _USUAL_BYTES * sample))
    if photo.kind == "parquet" and sample < 1:
        return len(_chosen_rows(photo, sample))
    return photo.photo_count


def _chosen_rows(photo: PhotoRef, sample: float) -> list[int]:
    """Return the rows of a Parquet shard that are in the sample."""
    rows = range(photo.position, photo.position + photo.photo_count)
    return [row for row in rows if is_chosen(f"{photo.key}#{row}", sample)]


def _selected(photos: Iterator[PhotoRef], select: Selection) -> Iterator[PhotoRef]:
    """Yield the photos of the sample, and no more than the limit; of shards as many rows as are needed."""
    if select.sample == 1 and select.limit is None:
        yield from photos
        return
    left = select.limit if select.limit is not None else sys.maxsize
    for photo in photos:
        if photo.kind == "parquet" and select.limit is not None:
            chosen = _chosen_rows(photo, select.sample)[:left]
            if chosen:
                yield photo._replace(photo_count=chosen[-1] + 1 - photo.position)
            left -= len(chosen)
        elif photo.is_shard or is_chosen(photo.key, select.sample):
            yield photo
            left -= 1
        if left <= 0:
            return


def read_manifest(output: Output) -> dict[str, Any] | None:
    """Return the manifest of a run; None without one."""
    place = f"{output.location}/{MANIFEST_FILE}"
    content = output.read(MANIFEST_FILE)
    if content is None:
        return None
    try:
        manifest = dict(json.loads(content))
        if manifest["format"] == _MANIFEST_FORMAT:
            if not int(dict(manifest["made_with"])["part_size"]) > 0 or not isinstance(
                manifest["sources"], list
            ):
                raise ValueError("part_size")
            return manifest
    except (ValueError, TypeError, KeyError) as error:
        raise InputError(f"{place} is damaged ({error}); use another output folder") from error
    raise InputError(
        f"{place} is of a run of another facegeom, whose rows differ (format {manifest['format']!r}, expected"
        f" {_MANIFEST_FORMAT}); use another output folder"
    )


def _check_same(before: Mapping[str, Any], made_with: Mapping[str, Any], folder: str) -> None:
    """Check that options, networks and version are those the run was started with, else name the others."""
    names = [name for name in {**before, **made_with} if before.get(name) != made_with.get(name)]
    if len(names) > 1 and "networks" in names:
        names.remove("networks")  # they follow from the options, which say it shorter
    if names:
        was = ", ".join(f"{name} {_shown(before.get(name))}" for name in names)
        now = ", ".join(f"{name} {_shown(made_with.get(name))}" for name in names)
        advice = "use the same, or another output folder"
        raise InputError(f"the run in {folder!r} was started with {was}, not {now}; {advice}")


def _shown(value: Any) -> str:
    """Return a JSON value for a message; of networks the beginnings of their hashes."""
    if isinstance(value, dict):
        return ", ".join(f"{name} {str(digest)[:8]}" for name, digest in value.items())
    return json.dumps(value)


def read_status(location: str) -> dict[str, object]:
    """Return what a run has done, by names, from its manifest and its ledger.

    Raises:
        InputError: there is no run.
        UnreachableError: its store cannot be reached.
    """
    with closing(Output(location, only_read=True)) as output:
        manifest, records = read_manifest(output), output.records()
    if manifest is None:
        raise InputError(f"expected the folder of a run, found no {MANIFEST_FILE} in {location!r}")
    done = sum(map(_counts, ordered(records)), Counts())
    ended = sum(map(_ends, records.values()))
    parts = manifest["parts"]
    return {
        "sources": ", ".join(manifest["sources"]),
        "facegeom": manifest["made_with"]["facegeom"],
        "photos": f"{done.photos} of {done.photos if ended >= parts else manifest['photos']} done",
        "faces": done.faces,
        "failed": done.errors,
        "jobs": f"{ended} of {parts} done",
        "part files": f"{sum(map(len, records.values()))}, {sum(r.bytes for r in ordered(records)):,} bytes",
        "state": "done" if ended >= parts else "not finished: the same command goes on",
    }
