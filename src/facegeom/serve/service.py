"""From a request's photo to the body of its answer."""

import asyncio
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from typing import TypeVar

from facegeom import imaging
from facegeom.analyzer import FaceAnalyzer
from facegeom.serve.batching import Batcher, Look
from facegeom.serve.formats import Format
from facegeom.serve.limits import PixelBudget, Slots, check_photo
from facegeom.serve.metrics import Metrics
from facegeom.serve.settings import Settings
from facegeom.serve.uploads import Upload

Answer = TypeVar("Answer")

HELPERS = 2
"""Threads that decode photos and write answers."""

PHOTOS_IN_MEMORY = 4
"""Decoded photos of the largest size that are held at once; of smaller ones accordingly more."""


class Service:
    """What all requests share. Make it in the event loop that it serves.

    Args:
        analyzer: its networks are used.
        settings: limits.
        metrics: counts batches and faces.
    """

    def __init__(self, analyzer: FaceAnalyzer, settings: Settings, metrics: Metrics) -> None:
        self.settings, self.metrics = settings, metrics
        self.slots = Slots(settings.queue)
        metrics.in_work.set_function(lambda: self.slots.taken)
        self._pixels = PixelBudget(PHOTOS_IN_MEMORY * settings.max_pixels)
        self._helpers = ThreadPoolExecutor(HELPERS, "facegeom-helper")
        self._batcher = Batcher(analyzer, settings.batch, settings.wait_ms / 1e3, metrics.batch.observe)

    async def answer(self, upload: Upload, look: Look, form: Format, index: int) -> bytes:
        """The answer's body.

        Args:
            upload: the photo.
            look: how to analyse it.
            form: of the answer.
            index: the face that a mesh shows.

        Raises:
            RefusedError: 413 or 422, the photo or its options are beyond the limits.
            ImageError: the photo cannot be read.
        """
        width, height = await self._help(lambda: imaging.size_wh(upload.content))
        check_photo(width, height, self.settings.max_pixels, look.min_face)
        async with self._pixels.hold(width * height):
            image = await self._help(lambda: imaging.read(upload.content))
            faces = await asyncio.wrap_future(self._batcher.submit(image, look))
            self.metrics.faces.inc(len(faces))
            return await self._help(lambda: form.encode(replace(faces, file=upload.file), image, index))

    async def _help(self, work: Callable[[], Answer]) -> Answer:
        return await asyncio.get_running_loop().run_in_executor(self._helpers, work)

    def close(self) -> None:
        """Finish what is in work, then end the threads."""
        self._helpers.shutdown()
        self._batcher.close()
