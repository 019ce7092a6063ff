"""From a request's photo to the body of its answer."""

import asyncio
from collections.abc import Sequence

from facegeom.image import reading
from facegeom.serve.batching import Batcher
from facegeom.serve.limits import PixelBudget, Slots, check_photo
from facegeom.serve.metrics import Metrics
from facegeom.serve.settings import Settings
from facegeom.serve.work import Task, Work

PHOTOS_IN_MEMORY = 4
"""Decoded photos of the largest size that are held at once; of smaller ones accordingly more."""


class Service:
    """What all requests share. Make it in the event loop that it serves.

    Args:
        crew: the workers; each is called by one thread.
        settings: limits.
        metrics: counts batches and faces.
    """

    def __init__(self, crew: Sequence[Work], settings: Settings, metrics: Metrics) -> None:
        self.settings, self.metrics = settings, metrics
        self.slots = Slots(settings.queue)
        metrics.in_work.set_function(lambda: self.slots.taken)
        self._pixels = PixelBudget(PHOTOS_IN_MEMORY * settings.max_pixels)
        self._batcher = Batcher(crew, settings.batch, metrics.batch.observe)

    async def answer(self, task: Task) -> bytes:
        """The answer's body.

        Raises:
            RefusedError: 404, 413 or 422, the photo or its options are beyond the limits; 500, a failure.
            ImageError: the photo cannot be read.
        """
        width, height = await asyncio.to_thread(reading.size_wh, task.content)
        check_photo(width, height, self.settings.max_pixels, task.look.min_face)
        async with self._pixels.hold(width * height):
            done = await asyncio.wrap_future(self._batcher.submit(task))
        self.metrics.faces.inc(done.faces)
        return done.body

    def close(self) -> None:
        """Finish what is in work, then end the threads."""
        self._batcher.close()
