"""A worker of a batch that never ends a photo of the bytes ``slow``."""

import time

from facegeom.batch.work import Worker
from facegeom.results import Faces


class SlowWorker(Worker):
    """Analyze photos as any worker does, but for that one."""

    def _faces(self, content: bytes) -> tuple[Faces | None, str | None]:
        while content == b"slow":
            time.sleep(1)
        return super()._faces(content)
