"""MediaPipe's meshes of pictures, from worker processes under an interpreter of their own."""

import json
import subprocess
from collections.abc import Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, closing, contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from queue import SimpleQueue
from tempfile import TemporaryFile
from typing import IO, Any, cast

import numpy as np

from facegeom.errors import FacegeomError, ImageError
from facegeom.image import reading

SHAPE = (478, 3)


@dataclass(frozen=True, eq=False)
class Views:
    """What the teacher saw in one picture.

    Attributes:
        plain: (F, 478, 3) meshes, pixels of the picture.
        mirrored: (G, 478, 3) meshes of the mirrored picture, pixels of that.
        width: of the picture, pixels.
        height: of the picture, pixels.
    """

    plain: np.ndarray
    mirrored: np.ndarray
    width: int
    height: int


class Mesher:
    """One worker process; ``mediapipe_worker.py`` describes the conversation.

    Args:
        command: to start.
        log: gets what the process says on stderr.
    """

    def __init__(self, command: Sequence[str], log: IO[bytes]) -> None:
        pipe = subprocess.PIPE
        self._process = subprocess.Popen(command, stdin=pipe, stdout=pipe, stderr=log)
        self._requests = cast(IO[bytes], self._process.stdin)
        self._replies = cast(IO[bytes], self._process.stdout)
        self._log = log

    def about(self) -> dict[str, Any]:
        """The first line: ``version`` of MediaPipe and ``edges`` of its mesh; to be read once, before all."""
        return self._line()

    def __call__(self, rgb: np.ndarray) -> Views:
        """The meshes of a picture (H, W, 3) uint8 and of its mirror image.

        Raises:
            FacegeomError: the process has stopped; with what it said.
        """
        height, width = rgb.shape[:2]
        self._send(json.dumps({"width": width, "height": height}).encode() + b"\n" + rgb.tobytes())
        counts = self._line()
        return Views(self._meshes(counts["plain"]), self._meshes(counts["mirrored"]), width, height)

    def close(self) -> None:
        """End the process."""
        self._process.kill()
        with suppress(BrokenPipeError):  # of a request that it did not read
            self._requests.close()
        self._replies.close()
        self._process.wait()

    def _send(self, request: bytes) -> None:
        try:
            self._requests.write(request)
            self._requests.flush()
        except BrokenPipeError as error:
            raise self._stopped() from error

    def _line(self) -> dict[str, Any]:
        line = self._replies.readline()
        if not line.endswith(b"\n"):
            raise self._stopped()
        return json.loads(line)

    def _meshes(self, count: int) -> np.ndarray:
        size = count * int(np.prod(SHAPE)) * 4
        content = self._replies.read(size)
        if len(content) < size:
            raise self._stopped()
        return np.frombuffer(content, np.float32).reshape(count, *SHAPE)

    def _stopped(self) -> FacegeomError:
        code = self._process.wait()
        self._log.seek(0)
        said = self._log.read().decode(errors="replace")[-2000:]
        return FacegeomError(f"the teacher stopped with exit code {code}; it said:\n{said}")


@dataclass(frozen=True, eq=False)
class Meshers:
    """Several worker processes side by side.

    Attributes:
        edges: (E, 2) published edges of the mesh.
    """

    processes: Sequence[Mesher]
    edges: np.ndarray

    def ask(self, pictures: Iterable[Path]) -> Iterator[Views | ImageError]:
        """What is seen in each picture, in their order; its error for one that cannot be read.

        Raises:
            FacegeomError: a worker has stopped.
        """
        idle: SimpleQueue[Mesher] = SimpleQueue()
        for mesher in self.processes:
            idle.put(mesher)

        def look(path: Path) -> Views | ImageError:
            try:
                rgb = reading.read(path)
            except ImageError as error:
                return error
            mesher = idle.get()
            try:
                return mesher(rgb)
            finally:
                idle.put(mesher)

        with ThreadPoolExecutor(len(self.processes) + 1) as threads:  # one reads while the others wait
            yield from threads.map(look, pictures)


@contextmanager
def meshers(python: Path, workers: int, most: int, model: Path | None = None) -> Iterator[Meshers]:
    """Start worker processes, and end them with the block.

    Args:
        python: an interpreter that can import MediaPipe 0.10.21.
        workers: how many processes.
        most: faces looked for in a picture.
        model: a ``.task`` file; None for the Face Mesh of the package.

    Raises:
        FacegeomError: a worker did not start.
    """
    script = Path(__file__).with_name("mediapipe_worker.py")
    model_of_task = [str(model)] if model else []
    # Isolated, or the script's folder would be searched first and hold another mediapipe.py.
    command = [str(python), "-I", str(script), str(most), *model_of_task]
    with ExitStack() as stack:
        logs = [stack.enter_context(TemporaryFile()) for _ in range(workers)]
        processes = [stack.enter_context(closing(Mesher(command, log))) for log in logs]
        edges = [process.about()["edges"] for process in processes]
        yield Meshers(processes, np.array(edges[0], np.int16))
