"""The work that every engine does: analyze the photos of a part file, and track photos that crash workers."""

from collections import Counter, defaultdict
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Any, NamedTuple

from facegeom.analyzer import FaceAnalyzer
from facegeom.batch.input_index import Job, PhotoRef
from facegeom.batch.reading import Reader
from facegeom.batch.rows import Row, encode
from facegeom.errors import FacegeomError
from facegeom.results import Faces
from facegeom.worker_pool.process import WorkerError

MAX_DEATHS = 2
"""Worker deaths on a part file before its photos are tracked, and on a tracked photo before it is skipped."""

TIMEOUT_S = 120.0
"""Longest time for one photo by default, seconds: from the store to its row."""

_SKIPPED = "a worker process died on this photo, again and again; it was left out"


@dataclass(frozen=True)
class Settings:
    """Settings of a worker.

    Attributes:
        device: "cpu" or "cuda".
        mesh: whether rows hold the mesh.
        column: Parquet column with the photos' bytes; None for the only one that can hold them.
        options: of :class:`facegeom.FaceAnalyzer`.
        timeout_s: longest time for one photo, seconds; a worker that takes longer is killed.
    """

    device: str = "cpu"
    mesh: bool = True
    column: str | None = None
    options: Mapping[str, Any] = field(default_factory=dict)
    timeout_s: float = TIMEOUT_S


class Worker:
    """Turn jobs into part files, with one analyzer, single-threaded by default, and one reader.

    Photos are analyzed one at a time, so each row equals the result of ``FaceAnalyzer(threads=1)`` on its
    photo alone.

    Raises:
        InputError: an option is out of its range, or the device is missing.
        WeightsError: a weight file is missing.
    """

    def __init__(self, settings: Settings) -> None:
        self._mesh = settings.mesh
        self._analyze = FaceAnalyzer(**{"device": settings.device, "threads": 1, **settings.options})
        self._read = Reader(settings.column)
        encode([], settings.mesh, {})  # what the first part would load counts to no photo's time

    def __call__(
        self,
        job: Job,
        skip: Mapping[int, str] = MappingProxyType({}),
        on_photo: Callable[[int], object] = lambda index: None,
    ) -> bytes:
        """Analyze the photos of a job and return its part file.

        Args:
            job: the photos.
            skip: indices of photos to leave out because of what they did to workers, with the reasons.
            on_photo: called with the index of each other photo before it is read.

        Returns:
            The encoded Parquet file.
        """
        rows = []
        for index, photo in enumerate(job.photos):
            if index in skip:
                rows.append(Row(photo.key, photo.name, None, skip[index]))
            else:
                on_photo(index)
                rows.append(Row(photo.key, photo.name, *self._faces(photo)))
        return encode(rows, self._mesh, job.metadata)

    def _faces(self, photo: PhotoRef) -> tuple[Faces | None, str | None]:
        """Return the faces of a photo, or why it cannot be used."""
        try:
            return self._analyze(self._read(photo)), None
        except FacegeomError as error:
            return None, str(error)
        except MemoryError:
            return None, "not enough memory for this photo; make it smaller"
        except Exception as error:  # one photo must not stop a run of millions
            return None, f"unexpected {type(error).__name__}: {' '.join(str(error).split())}"


class Attempt(NamedTuple):
    """How to process a part file: whether to report each photo before it is read; which to skip, and why."""

    track: bool
    skip: Mapping[int, str]


class CrashTracker:
    """Count worker deaths for each part file, to find and skip photos that crash workers.

    After ``MAX_DEATHS`` deaths on a part file, its photos are tracked one by one. A photo that kills as many
    workers again is skipped, and so is one that took too long, at once. A worker killed for another reason
    costs only the repeated work.
    """

    def __init__(self) -> None:
        self._starts: Counter[int] = Counter()
        self._current_photo: dict[int, int] = {}
        self._deaths: defaultdict[int, Counter[int]] = defaultdict(Counter)
        self._overdue: defaultdict[int, dict[int, str]] = defaultdict(dict)

    def start(self, part: int) -> Attempt:
        """Record that a worker starts a part file; a second start before :meth:`finish` means it died."""
        if (photo := self._current_photo.pop(part, None)) is not None:
            self._deaths[part][photo] += 1
        track = self._starts[part] >= MAX_DEATHS
        self._starts[part] += 1
        deadly = {photo: _SKIPPED for photo, count in self._deaths[part].items() if count >= MAX_DEATHS}
        return Attempt(track, deadly | self._overdue[part])

    def overdue(self, part: int, photo: int, timeout_s: float) -> None:
        """Record that a worker is killed because a photo takes too long: it is skipped from now on.

        Raises:
            WorkerError: it was skipped already, so what takes too long is no photo.
        """
        if photo in self._overdue[part]:
            raise WorkerError(f"workers do not finish within {timeout_s:g} s; give more time by --timeout")
        self._overdue[part][photo] = f"it took longer than {timeout_s:g} s and was left out; see --timeout"
        self._starts[part] -= 1
        self._current_photo.pop(part, None)

    def start_photo(self, part: int, photo: int) -> None:
        """Record that a worker starts a photo, given by its index, if the part file is tracked."""
        if self._starts[part] > MAX_DEATHS:
            self._current_photo[part] = photo

    def finish(self, part: int) -> None:
        """Forget a part file that is done."""
        for counts in (self._starts, self._current_photo, self._deaths, self._overdue):
            counts.pop(part, None)
