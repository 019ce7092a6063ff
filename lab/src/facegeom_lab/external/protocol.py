"""Messages between a process and its worker, and the worker's side of them.

A message is a line of JSON, an object. Its key ``arrays``, where there is one, gives the bytes of each .npy
block that follows, by name: these are more entries of the object.

``python -I protocol.py WORKER.py`` answers requests from stdin on stdout until stdin closes. It runs under
the worker's interpreter, knows nothing of facegeom and needs only numpy beside the standard library.

Requests (``model`` is a name in the script's ``MODELS``, ``options`` its settings, ``array`` an RGB image
(H, W, 3) uint8 or the path of a .npy file with one):

- ``{"op": "about"}``: replies ``{"versions": {...}, "rss_mb": ...}`` and what the script's ``ABOUT`` holds;
- ``{"op": "load", "model", "options"}``: builds the model and replies ``{}``;
- ``{"op": "find", "model", "options", "array"}``: replies what the model's ``read`` returns; for detectors
  ``{"box_xyxy", "score"}``, for meshes also ``mesh_px``; pixels, pixel centres at integers;
- ``{"op": "time", "model", "options", "array", "warm", "repetitions"}``: replies ``{"milliseconds"}`` of
  the package's own call alone: neither loading the array nor turning the output into a reply is inside.
  Where the array is the path of a photo in place of a .npy file, it is decoded in each call;
- ``{"op": "follow", "model", "options", "array"}``, with the frames (N, H, W, 3) of a clip: replies
  ``{"milliseconds", "mesh_px"}``, an entry for each frame; the mesh is that of one face, or null.

A request that fails replies ``{"error": traceback}``, and the worker goes on.
"""

import importlib.util
import json
import os
import platform
import sys
import time
import traceback
from collections.abc import Callable, Mapping
from io import BytesIO
from types import ModuleType
from typing import IO, Any

import numpy as np

Run = Callable[[Any], Any]
Read = Callable[[Any, int, int], dict[str, Any]]
Build = Callable[..., tuple[Run, Read]]


def send(stream: IO[bytes], message: Mapping[str, Any]) -> None:
    """Write a message whose values are ready for JSON or arrays."""
    blocks = {name: _npy(value) for name, value in message.items() if isinstance(value, np.ndarray)}
    head = {name: value for name, value in message.items() if name not in blocks}
    if blocks:
        head["arrays"] = {name: len(block) for name, block in blocks.items()}
    stream.write(json.dumps(head).encode() + b"\n")
    for block in blocks.values():
        stream.write(block)
    stream.flush()


def receive(stream: IO[bytes]) -> dict[str, Any]:
    """Read a message; raise EOFError where the stream ends before it is whole."""
    line = stream.readline()
    if not line.endswith(b"\n"):
        raise EOFError
    message: dict[str, Any] = json.loads(line)
    for name, size in message.pop("arrays", {}).items():
        block = stream.read(size)
        if len(block) < size:
            raise EOFError
        message[name] = np.load(BytesIO(block), allow_pickle=False)
    return message


def _npy(array: Any) -> bytes:
    stream = BytesIO()
    np.save(stream, array, allow_pickle=False)
    return stream.getvalue()


class Worker:
    """Builds each model once and answers requests.

    Args:
        builders: ``MODELS`` of a worker script.
        versions: its ``VERSIONS``.
        about: its ``ABOUT``.
    """

    def __init__(
        self, builders: Mapping[str, Build], versions: Mapping[str, str], about: Mapping[str, Any]
    ) -> None:
        self._builders, self._extra = builders, about
        self._versions = {"python": platform.python_version(), "numpy": np.__version__, **versions}
        self._models: dict[str, tuple[Run, Read]] = {}

    def answer(self, request: Mapping[str, Any]) -> dict[str, Any]:
        """Return the reply to one request; raise KeyError for an unknown operation."""
        operations = {
            "about": self._about,
            "load": self._load,
            "find": self._find,
            "time": self._time,
            "follow": self._follow,
        }
        return operations[request["op"]](request)

    def _model(self, request: Mapping[str, Any]) -> tuple[Run, Read]:
        options = request.get("options", {})
        key = json.dumps([request["model"], options], sort_keys=True)
        if key not in self._models:
            self._models[key] = self._builders[request["model"]](**options)
        return self._models[key]

    def _about(self, request: Mapping[str, Any]) -> dict[str, Any]:
        return {"versions": self._versions, "rss_mb": rss_mb(), **self._extra}

    def _load(self, request: Mapping[str, Any]) -> dict[str, Any]:
        self._model(request)
        return {}

    def _find(self, request: Mapping[str, Any]) -> dict[str, Any]:
        image = _array(request)
        run, read = self._model(request)
        return read(run(image), image.shape[1], image.shape[0])

    def _time(self, request: Mapping[str, Any]) -> dict[str, Any]:
        run, source = self._model(request)[0], request["array"]
        is_photo = isinstance(source, str) and not source.endswith(".npy")
        image = None if is_photo else _array(request)
        times = []
        for _ in range(request["warm"] + request["repetitions"]):
            start = time.perf_counter()
            run(decoded(source) if is_photo else image)
            times.append((time.perf_counter() - start) * 1e3)
        return {"milliseconds": times[request["warm"] :]}

    def _follow(self, request: Mapping[str, Any]) -> dict[str, Any]:
        frames = _array(request)
        run, read = self._model(request)
        times, meshes = [], []
        for frame in frames:
            start = time.perf_counter()
            output = run(frame)
            times.append((time.perf_counter() - start) * 1e3)
            meshes.append(next(iter(read(output, frame.shape[1], frame.shape[0])["mesh_px"]), None))
        return {"milliseconds": times, "mesh_px": meshes}


def _array(request: Mapping[str, Any]) -> Any:
    source = request["array"]
    return np.load(source) if isinstance(source, str) else source


def decoded(file: str) -> Any:
    """Return a photo's pixels (H, W, 3) RGB: by OpenCV where there is one, as the packages' examples do."""
    try:
        import cv2
    except ImportError:
        from PIL import Image

        return np.asarray(Image.open(file).convert("RGB"))
    return cv2.cvtColor(cv2.imread(file), cv2.COLOR_BGR2RGB)


def rss_mb() -> float | None:
    """Return the resident memory of this process in MB (10^6 bytes); None where there is no /proc."""
    try:
        with open("/proc/self/statm", encoding="ascii") as file:
            pages = int(file.read().split()[1])
    except FileNotFoundError:
        return None
    return pages * os.sysconf("SC_PAGE_SIZE") / 1e6


def serve(worker: Worker, requests: IO[bytes], replies: IO[bytes]) -> None:
    """Answer requests until their stream ends."""
    while True:
        try:
            request = receive(requests)
        except EOFError:
            return
        try:
            reply = worker.answer(request)
        except Exception:  # the caller shows it
            reply = {"error": traceback.format_exc()}
        send(replies, reply)


def load_script(script: str) -> ModuleType:
    """Import a worker script without its folder, where a script would hide the package of its name."""
    spec = importlib.util.spec_from_file_location("worker", script)
    if spec is None or spec.loader is None:
        raise ImportError(f"expected a Python script, got {script}")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def main(script: str) -> None:
    """Serve the models of a worker script; whatever its packages print goes to stderr."""
    replies = os.fdopen(os.dup(1), "wb")
    os.dup2(2, 1)
    loaded = load_script(script)
    worker = Worker(loaded.MODELS, loaded.VERSIONS, getattr(loaded, "ABOUT", {}))
    serve(worker, sys.stdin.buffer, replies)


if __name__ == "__main__":
    main(sys.argv[1])
