"""Analysis of a batch of requests, as a worker does it: encoded photos in, response bodies out."""

import logging
import time
from collections import defaultdict
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import partial
from typing import Any, TypeAlias, TypeVar

from pydantic import BaseModel, ConfigDict, Field

from facegeom.analyzer import FaceAnalyzer
from facegeom.errors import FacegeomError
from facegeom.geometry.camera import MAX_FOV_DEG, MIN_FOV_DEG
from facegeom.image import reading
from facegeom.image.photo import Photo, open_photo
from facegeom.image.reading import UInt8Array
from facegeom.options import SEARCH_OPTIONS, Orientation, SearchOptions
from facegeom.results import Faces
from facegeom.serve.formats import FORMATS, FormatName
from facegeom.serve.problems import internal_error
from facegeom.worker_pool import resident_bytes, return_free_memory

_log = logging.getLogger(__name__)

Value = TypeVar("Value")

_DEFAULTS = SearchOptions()

KEPT_BYTES, REOPEN_S = 50_000_000, 10.0
"""Memory that a worker may keep beyond that of its start; least seconds between two reopenings."""


class Options(BaseModel):
    """Options of an analysis, from the query of the URL."""

    model_config = ConfigDict(extra="forbid", frozen=True, use_attribute_docstrings=True)

    format: FormatName | None = None
    """Format of the response; by default the header Accept decides."""
    face: int = Field(default=0, ge=0, le=10_000)
    """Index of the face that glb, obj and ply hold, best score first."""
    min_face: float | None = Field(default=_DEFAULTS.min_face, ge=1, le=reading.MAX_PIXELS)
    """Height of the smallest face to find, pixels; by default a fraction of the photo."""
    max_faces: int | None = Field(default=_DEFAULTS.max_faces, ge=1)
    """Largest number of faces, best score first."""
    min_score: float = Field(default=_DEFAULTS.min_score, ge=0, le=1)
    """Smallest score of a face."""
    fov_deg: float | None = Field(default=_DEFAULTS.fov_deg, ge=MIN_FOV_DEG, le=MAX_FOV_DEG)
    """Angle of view across the photo's longer side, degrees; by default that of its EXIF, else 50."""
    orientation: Orientation = _DEFAULTS.orientation
    """Which way up the photo is: as EXIF says, or tried in all four turns where no face is sure."""

    def for_analyzer(self) -> dict[str, Any]:
        """Return those options by name that are options of :class:`FaceAnalyzer`."""
        return {name: getattr(self, name) for name in SEARCH_OPTIONS}


@dataclass(frozen=True)
class Task:
    """One request: bytes of a photo's file, options (no format is JSON), the file's name if it has one."""

    content: bytes
    options: Options = field(default_factory=Options)
    file: str | None = None


@dataclass(frozen=True)
class EncodedFaces:
    """Result of one request: the body of the response, and the number of faces."""

    body: bytes
    count: int


Result: TypeAlias = EncodedFaces | FacegeomError
TaskFunction: TypeAlias = Callable[[Sequence[Task]], list[Result]]


class Worker:
    """An analyzer in a worker process, with the options of :class:`FaceAnalyzer`."""

    def __init__(self, options: Mapping[str, Any]) -> None:
        self._options = options
        self._analyzer = FaceAnalyzer(**options)
        self._most_bytes, self._opened = resident_bytes() + KEPT_BYTES, time.monotonic()

    def __call__(self, tasks: Sequence[Task], send: Callable[[object], object]) -> list[Result]:
        """Return results or errors in the order of the tasks; ``send`` is not used."""
        results = analyze_tasks(self._analyzer, tasks)
        if resident_bytes() > self._most_bytes and return_free_memory() > self._most_bytes:
            self._reopen()
        return results

    def _reopen(self) -> None:
        """Open the networks again: their sessions keep the memory that their largest input took."""
        if time.monotonic() > self._opened + REOPEN_S:
            self._analyzer = FaceAnalyzer(**self._options)
            self._opened = time.monotonic()
            return_free_memory()


@dataclass(frozen=True)
class _Opened:
    row: int
    task: Task
    photo: Photo

    def encode(self, faces: Faces) -> EncodedFaces:
        options = self.task.options
        encode = FORMATS[options.format or "json"].encode
        body = encode(replace(faces, file=self.task.file), self.pixels, options.face)
        return EncodedFaces(body, len(faces))

    def pixels(self) -> UInt8Array:
        """Return all pixels of the photo; it is decoded again if it was opened at a fraction of its size."""
        pyramid, camera = self.photo.pyramid, self.photo.camera
        if pyramid.size_wh == (camera.width, camera.height):
            return pyramid.pixels
        return reading.read(self.task.content)


def analyze_tasks(analyzer: FaceAnalyzer, tasks: Sequence[Task]) -> list[Result]:
    """Return results or errors in the order of the tasks; photos with equal options are analyzed together."""
    results: list[Result | None] = [None] * len(tasks)
    groups: dict[tuple[Any, ...], list[_Opened]] = defaultdict(list)
    for row, task in enumerate(tasks):
        photo = _catch(_open, analyzer, task)
        if isinstance(photo, FacegeomError):
            results[row] = photo
        else:
            groups[tuple(task.options.for_analyzer().values())].append(_Opened(row, task, photo))
    for group in groups.values():
        options = group[0].task.options.for_analyzer()
        found = _analyze_together(partial(analyzer.batch, **options), [each.photo for each in group])
        for each, faces in zip(group, found, strict=True):
            results[each.row] = faces if isinstance(faces, FacegeomError) else _catch(each.encode, faces)
    return [result for result in results if result is not None]


def _open(analyzer: FaceAnalyzer, task: Task) -> Photo:
    """Open the photo of a task as the analyzer does, which analyzes it without depth."""
    options = analyzer.options.changed(**task.options.for_analyzer())
    return open_photo(task.content, options.fov_deg, options.face_size, FaceAnalyzer.face_px)


def _analyze_together(
    analyze: Callable[[Sequence[Photo]], list[Faces]], photos: Sequence[Photo]
) -> list[Faces | FacegeomError]:
    """Analyze the photos as one batch; if that fails, each alone."""
    if len(photos) > 1:
        try:
            return [*analyze(photos)]
        except Exception:  # caused by one of the photos, or by their number
            _log.warning("%d photos failed together; each is tried alone", len(photos), exc_info=True)
    alone = [_catch(analyze, [photo]) for photo in photos]
    return [each if isinstance(each, FacegeomError) else each[0] for each in alone]


def _catch(function: Callable[..., Value], *arguments: object) -> Value | FacegeomError:
    """Return the function's value, or an error for the client; the worker must survive any exception."""
    try:
        return function(*arguments)
    except FacegeomError as error:
        return error
    except Exception:
        _log.exception("a photo could not be analysed")
        return internal_error()
