"""What keeps one caller from taking all: slots, pixels in memory, and the effort of a search."""

import asyncio
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager
from math import ceil

from facegeom.models.cascade import SMALLEST_IN_WINDOW
from facegeom.serve.refusals import RefusedError

MAX_SEARCH_PIXELS = 4_000_000
"""Largest picture that the search may work on: the photo, scaled until ``min_face`` fits P-Net's window."""

RETRY_AFTER_S = 1


class Slots:
    """Requests that may be in work at once. For one event loop.

    Args:
        most: their number.
    """

    def __init__(self, most: int) -> None:
        self.most, self.taken = most, 0

    @contextmanager
    def one(self) -> Iterator[None]:
        """Take a slot for as long as the context lasts.

        Raises:
            RefusedError: 503, all are taken.
        """
        if self.taken >= self.most:
            detail = f"{self.taken} photos are in work, which is as many as this service takes; try again"
            raise RefusedError(503, detail, {"Retry-After": str(RETRY_AFTER_S)})
        self.taken += 1
        try:
            yield
        finally:
            self.taken -= 1


class PixelBudget:
    """Pixels of decoded photos that may be in memory at once. For one event loop.

    Args:
        most: their number; a photo has at most so many.
    """

    def __init__(self, most: int) -> None:
        self._free = most
        self._changed = asyncio.Condition()

    @asynccontextmanager
    async def hold(self, pixels: int) -> AsyncIterator[None]:
        """Wait for room for a photo and keep it for as long as the context lasts."""
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
    """Whether a photo may be decoded and searched.

    Raises:
        RefusedError: 413 for too many pixels, 422 for a search that would take too long.
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
