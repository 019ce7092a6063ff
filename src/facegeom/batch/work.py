"""The work itself, the same in every engine: the photos of a part to the bytes of its Parquet file."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from facegeom.analyzer import FaceAnalyzer
from facegeom.batch.inventory import Job
from facegeom.batch.photo import Photo
from facegeom.batch.reading import Reader
from facegeom.batch.rows import Row, encode
from facegeom.errors import FacegeomError

_DEADLY = "a worker process died on this photo, again and again; it was left out"


@dataclass(frozen=True)
class Settings:
    """What a worker needs to know.

    Attributes:
        device: "cpu" or "cuda".
        mesh: whether rows hold the mesh.
        column: of Parquet sources with the photos' bytes; None for the only one that can hold them.
        options: of :class:`facegeom.FaceAnalyzer`.
    """

    device: str = "cpu"
    mesh: bool = True
    column: str | None = None
    options: Mapping[str, Any] = field(default_factory=dict)


class Worker:
    """One analyzer with one thread and one reader: one process's share of a run.

    Photos go through the networks one by one, so that a row is exactly what ``FaceAnalyzer(threads=1)``
    says of its photo, whatever was beside it.

    Raises:
        InputError: an option out of its range, or a device that is not there.
        WeightsError: a weight file is missing.
    """

    def __init__(self, settings: Settings) -> None:
        self._mesh = settings.mesh
        self._analyze = FaceAnalyzer(device=settings.device, threads=1, **settings.options)
        self._read = Reader(settings.column)

    def __call__(
        self,
        job: Job,
        skip: frozenset[int] = frozenset(),
        begin: Callable[[int], object] = lambda place: None,
    ) -> bytes:
        """The part's file.

        Args:
            job: the part.
            skip: places in it of photos that are left out as deadly.
            begin: called with the place of each other photo before it is touched.
        """
        rows = []
        for place, photo in enumerate(job.photos):
            if place in skip:
                rows.append(Row(photo.key, photo.name, None, _DEADLY))
                continue
            begin(place)
            rows.append(self._row(photo))
        return encode(rows, self._mesh, job.about)

    def _row(self, photo: Photo) -> Row:
        try:
            return Row(photo.key, photo.name, self._analyze(self._read(photo)))
        except FacegeomError as error:
            return Row(photo.key, photo.name, None, str(error))
        except MemoryError:
            return Row(photo.key, photo.name, None, "not enough memory for this photo; make it smaller")
