"""What a worker of the service does: from encoded photos to the bodies of their answers."""

import logging
from collections import defaultdict
from collections.abc import Callable, Sequence
from copy import copy
from dataclasses import astuple, dataclass, field, replace
from typing import TypeAlias, TypeVar

from facegeom.analyzer import FaceAnalyzer
from facegeom.errors import FacegeomError
from facegeom.geometry.camera import DEFAULT_FOV_DEG
from facegeom.image import reading
from facegeom.image.reading import UInt8Array
from facegeom.results import Faces
from facegeom.serve import formats
from facegeom.serve.refusals import failed

_log = logging.getLogger(__name__)

Value = TypeVar("Value")


@dataclass(frozen=True)
class Look:
    """How one photo is to be analysed; the fields are those of :class:`FaceAnalyzer`."""

    min_face: float | None = None
    max_faces: int | None = None
    min_score: float = 0.9
    fov_deg: float = DEFAULT_FOV_DEG


@dataclass(frozen=True)
class Task:
    """One request.

    Attributes:
        content: the photo's file.
        look: how to analyse it.
        form: of the answer.
        index: the face that a mesh shows.
        file: the photo's name, if the caller gave one.
    """

    content: bytes
    look: Look = field(default_factory=Look)
    form: formats.Name = "json"
    index: int = 0
    file: str | None = None


@dataclass(frozen=True)
class Done:
    """An answer.

    Attributes:
        body: in the form that was asked for.
        faces: found in the photo.
    """

    body: bytes
    faces: int


Result: TypeAlias = Done | FacegeomError
Work: TypeAlias = Callable[[Sequence[Task]], list[Result]]


class Worker:
    """An analyzer that does the work of :func:`answer` in a process of its own.

    Args:
        device, threads: as for :class:`FaceAnalyzer`.

    Raises:
        InputError, WeightsError: as :class:`FaceAnalyzer`.
    """

    def __init__(self, device: str, threads: int) -> None:
        self._analyzer = FaceAnalyzer(device=device, threads=threads)

    def __call__(self, tasks: Sequence[Task], tell: Callable[[object], object]) -> list[Result]:
        """The answers, or errors, in the order of the tasks."""
        return answer(self._analyzer, tasks)


def answer(analyzer: FaceAnalyzer, tasks: Sequence[Task]) -> list[Result]:
    """Answers in the order of the tasks; one that fails has its error, and fails alone.

    Args:
        analyzer: its networks are used; its own settings are not.
        tasks: photos that are wanted alike share the calls of the networks.
    """
    results: list[Result | None] = [None] * len(tasks)
    alike: dict[Look, list[_Opened]] = defaultdict(list)
    for row, task in enumerate(tasks):
        image = _tried(reading.read, task.content)
        if isinstance(image, FacegeomError):
            results[row] = image
        else:
            alike[task.look].append(_Opened(row, task, image))
    for look, group in alike.items():
        found = _analyzed(with_look(analyzer, look), [each.image for each in group])
        for each, faces in zip(group, found, strict=True):
            results[each.row] = faces if isinstance(faces, FacegeomError) else _tried(each.encoded, faces)
    return [result for result in results if result is not None]


def with_look(analyzer: FaceAnalyzer, look: Look) -> FaceAnalyzer:
    """An analyzer with other settings over the same networks."""
    view = copy(analyzer)
    view.min_face, view.max_faces, view.min_score, view.fov_deg = astuple(look)
    return view


@dataclass(frozen=True)
class _Opened:
    row: int
    task: Task
    image: UInt8Array

    def encoded(self, faces: Faces) -> Done:
        encode = formats.FORMATS[self.task.form].encode
        return Done(encode(replace(faces, file=self.task.file), self.image, self.task.index), len(faces))


def _analyzed(analyzer: FaceAnalyzer, images: Sequence[UInt8Array]) -> list[Faces | FacegeomError]:
    """The faces of each image, together; if that fails, of each alone."""
    if len(images) > 1:
        try:
            return [*analyzer.batch(images)]
        except Exception:  # one of them is to blame, or what they need together
            _log.warning("%d photos failed together; each is tried alone", len(images), exc_info=True)
    alone = [_tried(analyzer.batch, [image]) for image in images]
    return [each if isinstance(each, FacegeomError) else each[0] for each in alone]


def _tried(function: Callable[..., Value], *arguments: object) -> Value | FacegeomError:
    """What a function returns, or its error as a caller may see it; the worker must live on."""
    try:
        return function(*arguments)
    except FacegeomError as error:
        return error
    except Exception:  # whatever it is belongs to a request
        _log.exception("a photo could not be analysed")
        return failed()
