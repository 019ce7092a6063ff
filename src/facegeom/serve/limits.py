"""Limits of the service: settings, concurrent requests, decoded pixels in memory, cost of a search."""

import asyncio
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass, fields
from math import ceil

from facegeom.errors import InputError
from facegeom.models.cascade import SMALLEST_IN_WINDOW
from facegeom.serve.problems import RefusedError

MAX_SEARCH_PIXELS = 4_000_000
"""Largest image that may be searched: the photo, downscaled until ``min_face`` is P-Net's smallest face."""

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

    Raises:
        InputError: a limit is below 1.
    """

    max_bytes: int = 20_000_000
    max_pixels: int = 25_000_000
    queue: int = 64
    batch: int = 16
    timeout_s: float = 30.0

    def __post_init__(self) -> None:
        for field in fields(self):
            value = getattr(self, field.name)
            if not value >= 1:
                raise InputError(f"{field.name}: expected at least 1, got {value!r}")


class RequestSlots:
    """Counter of the requests in work, with a maximum. For one event loop.

    Args:
        limit: largest number of requests at once.

    Attributes:
        taken: requests in work now.
    """

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
    """Limit on the pixels of decoded photos in memory. For one event loop.

    Args:
        limit: largest number of pixels at once; no photo may have more.
    """

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


def check_photo(width: int, height: int, max_pixels: int, min_face: float | None) -> None:
    """Check the size of a photo, and the cost of searching it, before it is decoded.

    Raises:
        RefusedError: 413, too many pixels; 422, ``min_face`` would make the search take too long.
    """
    pixels = width * height
    if pixels > max_pixels:
        raise RefusedError(
            413, f"expected at most {max_pixels:,} pixels, got {width} x {height}; send a smaller photo"
        )
    scale = 0.0 if min_face is None else min(1.0, SMALLEST_IN_WINDOW / min_face)
    if pixels * scale**2 > MAX_SEARCH_PIXELS:
        least = ceil(SMALLEST_IN_WINDOW * (pixels / MAX_SEARCH_PIXELS) ** 0.5)
        raise RefusedError(
            422,
            f"min_face: expected at least {least} for a photo of {width} x {height}, got {min_face:g}",
        )
