"""Limits of the service: settings, concurrent requests, decoded pixels in memory, cost of a search."""

import asyncio
from bisect import bisect_left
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager
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


@dataclass(frozen=True)
class Settings:
    """Limits of a service.

    Attributes:
        max_bytes: largest request body, bytes, with the headers of a form's parts.
        max_pixels: largest photo, width times height.
        queue: photos in work at once; further requests get status 503.
        batch: photos that one worker analyzes together.
        timeout_s: longest time for an upload, and again for its analysis, seconds.
        detector: of the workers' analyzers, "onepass" or "cascade"; it says how much a search costs.

    Raises:
        InputError: a limit is below 1.
    """

    max_bytes: int = 20_000_000
    max_pixels: int = 25_000_000
    queue: int = 64
    batch: int = 16
    timeout_s: float = 30.0
    detector: Literal["onepass", "cascade"] = "onepass"

    def __post_init__(self) -> None:
        for field in fields(self):
            value = getattr(self, field.name)
            if not isinstance(value, str) and not value >= 1:
                raise InputError(f"{field.name}: expected at least 1, got {value!r}")


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
            detail = f"{self.taken} photos are in work, which is as many as this service takes; try again"
            raise RefusedError(503, detail, {"Retry-After": str(RETRY_AFTER_S)})
        self.taken += 1
        try:
            yield
        finally:
            self.taken -= 1


class PixelBudget:
    """Limit on the pixels of decoded photos in memory; no photo may have more. For one event loop."""

    def __init__(self, limit: int) -> None:
        self._free = limit
        self._changed = asyncio.Condition()

    @asynccontextmanager
    async def hold(self, pixels: int) -> AsyncIterator[None]:
        """Wait until the photo's pixels are free, and hold them while the context lasts."""
        async with self._changed:
            await self._changed.wait_for(lambda: self._free >= pixels)
            self._free -= pixels
        try:
            yield
        finally:
            self._free += pixels
            async with self._changed:
                self._changed.notify_all()


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
    """Return how many pixels a detector searches: those of all levels of the photo's pyramid."""
    if detector_name == "onepass":
        areas = [scale**2 for scale in detector.scales(max(width, height), min_face)]
    else:
        areas = [min(1.0, cascade.SMALLEST_IN_WINDOW / min_face) ** 2 / (1 - cascade.FACTOR**2)]
    return width * height * sum(areas)
