"""Limits of the service: settings, concurrent requests, bytes in memory, cost of a search."""

from bisect import bisect_left
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, fields
from typing import Literal

from facegeom.errors import InputError
from facegeom.image.reading import MAX_PIXELS
from facegeom.models import cascade, detector
from facegeom.options import Orientation
from facegeom.serve.problems import RefusedError

MAX_SEARCH_PIXELS = 5_000_000
"""Most pixels that the detector may search, of all levels of the photo's pyramid: about 1 s, 300 MB."""

RETRY_AFTER_S = 1

_LEAST, _MOST = {"wait_s": 0.001, "private": 0}, 1e12


@dataclass(frozen=True)
class Settings:
    """Limits of a service.

    Attributes:
        max_bytes: largest request body, bytes, with the headers of a form's parts.
        max_pixels: largest photo, width times height.
        queue: photos in work at once; further requests get status 503.
        batch: photos that one worker analyzes together.
        timeout_s: longest pause of an upload, and longest time for its analysis and for reading the
            response, seconds.
        detector: of the workers' analyzers, "onepass" or "cascade"; it says how much a search costs.
        wait_s: longest time until a worker begins with a photo, seconds.
        hosts: names by which clients may ask beside "localhost" and addresses; "*" is any.
        private: whether the page analyzes photos in the browser until its user chooses.
        weights: set of networks that the page analyzes with, "int8" or "free".

    Raises:
        InputError: a limit is below 1, ``wait_s`` below 0.001, or one of them is absurdly large.
    """

    max_bytes: int = 20_000_000
    max_pixels: int = 25_000_000
    queue: int = 64
    batch: int = 16
    timeout_s: float = 30.0
    detector: Literal["onepass", "cascade"] = "onepass"
    wait_s: float = 0.8
    hosts: tuple[str, ...] = ()
    private: bool = False
    weights: Literal["int8", "free"] = "int8"

    def __post_init__(self) -> None:
        for field in fields(self):
            value, least = getattr(self, field.name), _LEAST.get(field.name, 1)
            if isinstance(value, (int, float)) and not least <= value <= _MOST:
                raise InputError(
                    f"{field.name}: expected a number from {least:g} to {_MOST:g}, got {value!r}"
                )


def busy(why: str) -> RefusedError:
    """Return the error for a request that may succeed a little later."""
    return RefusedError(503, f"{why}; try again", {"Retry-After": str(RETRY_AFTER_S)})


class RequestSlots:
    """Counter of the requests in work, ``taken``, with a maximum. For one event loop."""

    def __init__(self, limit: int) -> None:
        self.limit, self.taken = limit, 0

    @contextmanager
    def take(self) -> Iterator[None]:
        """Hold a slot while the context lasts.

        Raises:
            RefusedError: 503, all slots are taken.
        """
        if self.taken >= self.limit:
            raise busy(f"{self.taken} photos are in work, which is as many as this service takes")
        self.taken += 1
        try:
            yield
        finally:
            self.taken -= 1


class ByteBudget:
    """Counter of the bytes of uploads and responses in memory, with a maximum. For one event loop."""

    def __init__(self, limit: int) -> None:
        self.limit, self.taken = limit, 0


class HeldBytes:
    """Bytes that one request holds of a budget, ``size``, until they are released.

    A request never holds more than what is then still free. So a few large uploads leave room for small ones.
    """

    def __init__(self, budget: ByteBudget) -> None:
        self._budget, self.size = budget, 0

    def grow(self, size: int) -> None:
        """Hold at least so many bytes.

        Raises:
            RefusedError: 503, too few are free.
        """
        more = max(0, size - self.size)
        if more and size > self._budget.limit - self._budget.taken - more:
            raise busy("the uploads in work leave no room for this one")
        self._change(more)

    def replace(self, size: int) -> None:
        """Hold so many bytes, whether they are free or not: they are there."""
        self._change(size - self.size)

    def release(self) -> None:
        """Hold no bytes."""
        self._change(-self.size)

    def _change(self, more: int) -> None:
        self.size += more
        self._budget.taken += more


def check_photo(
    width: int, height: int, settings: Settings, min_face: float | None, orientation: Orientation = "exif"
) -> None:
    """Check the size of a photo, and the cost of searching it, before it is decoded.

    The default of ``min_face`` is always cheap enough; the orientation "auto" searches up to four times.

    Raises:
        RefusedError: 413, too many pixels; 422, ``min_face`` would make the search take too long.
    """
    if width * height > settings.max_pixels:
        size = f"{settings.max_pixels:,} pixels, got {width} x {height}"
        raise RefusedError(413, f"expected at most {size}; send a smaller photo")

    def is_cheap(face: float) -> bool:
        searches = 4 if orientation == "auto" else 1
        return searches * searched_pixels(width, height, face, settings.detector) <= MAX_SEARCH_PIXELS

    if min_face is not None and not is_cheap(min_face):
        least = 1 + bisect_left(range(1, MAX_PIXELS), True, key=is_cheap)
        raise RefusedError(
            422, f"min_face: expected at least {least} for a photo of {width} x {height}, got {min_face:g}"
        )


def searched_pixels(width: int, height: int, min_face: float, detector_name: str) -> float:
    """Return how many pixels a detector searches: those of all levels of the photo's pyramid, padded."""
    if detector_name == "onepass":
        levels, times = detector.scales(max(width, height), min_face), 1.0
    else:
        levels = [min(1.0, cascade.SMALLEST_IN_WINDOW / min_face)]
        times = 1 / (1 - cascade.FACTOR**2)
    least = detector.GRAIN
    return times * sum(max(width * level, least) * max(height * level, least) for level in levels)
