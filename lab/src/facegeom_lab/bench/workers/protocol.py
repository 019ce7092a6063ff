"""The workers' side of the conversation: one JSON object per line in, one per line out.

Runs in the peer's interpreter, beside the script that calls :func:`serve`; only numpy is needed.

Requests (``model`` is a name the worker knows, ``options`` its settings, ``array`` a .npy file with an RGB
picture, (H, W, 3) uint8):

- ``{"op": "about"}`` answers ``{"versions": {...}, "rss_mb": ...}``;
- ``{"op": "find", "model", "options", "array"}`` answers ``{"box_xyxy", "score", "mesh_px"}``, pixels, pixel
  centres at integers; ``mesh_px`` only for models that give points;
- ``{"op": "time", "model", "options", "array", "warm", "repetitions"}`` answers ``{"milliseconds"}``, the
  peer's own call alone: neither loading the array nor turning the answer into lists is inside; where the
  array is a photo's file in place of .npy, it is decoded in each call;
- ``{"op": "follow", "model", "options", "array"}``, with the array (N, H, W, 3) of a clip's frames, answers
  ``{"milliseconds", "mesh_px"}``, an entry for each frame; the mesh is that of one face, or null.

A request that fails answers ``{"error": traceback}``, and the worker goes on.
"""

import json
import os
import platform
import sys
import time
import traceback
from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np


class Model(NamedTuple):
    """A peer's model: the call that is timed, and the reading of what it returned."""

    run: Callable[[Any], Any]
    read: Callable[[Any, int, int], dict[str, Any]]


Build = Callable[..., Model]


def rss_mb() -> float | None:
    """Resident memory of this process in MB (10^6 bytes); None where there is no /proc."""
    try:
        with open("/proc/self/statm", encoding="ascii") as file:
            pages = int(file.read().split()[1])
    except FileNotFoundError:
        return None
    return pages * os.sysconf("SC_PAGE_SIZE") / 1e6


def decoded(file: str) -> Any:
    """RGB (H, W, 3) of a photo's file, by OpenCV where there is one, as the peers' examples do."""
    try:
        import cv2
    except ImportError:
        from PIL import Image

        return np.asarray(Image.open(file).convert("RGB"))
    return cv2.cvtColor(cv2.imread(file), cv2.COLOR_BGR2RGB)


class Worker:
    """Builds each model once and answers requests about it."""

    def __init__(self, builders: dict[str, Build], versions: dict[str, str]) -> None:
        self._builders = builders
        self._versions = {"python": platform.python_version(), "numpy": np.__version__, **versions}
        self._models: dict[str, Model] = {}

    def answer(self, request: dict[str, Any]) -> dict[str, Any]:
        """The reply to one request; an unknown operation raises KeyError."""
        operations = {"about": self._about, "find": self._find, "time": self._time, "follow": self._follow}
        return operations[request["op"]](request)

    def _model(self, request: dict[str, Any]) -> Model:
        options = request.get("options", {})
        key = json.dumps([request["model"], options], sort_keys=True)
        if key not in self._models:
            self._models[key] = self._builders[request["model"]](**options)
        return self._models[key]

    def _about(self, request: dict[str, Any]) -> dict[str, Any]:
        return {"versions": self._versions, "rss_mb": rss_mb()}

    def _find(self, request: dict[str, Any]) -> dict[str, Any]:
        picture = np.load(request["array"])
        model = self._model(request)
        return model.read(model.run(picture), picture.shape[1], picture.shape[0])

    def _time(self, request: dict[str, Any]) -> dict[str, Any]:
        model, file = self._model(request).run, request["array"]
        picture = np.load(file) if file.endswith(".npy") else None
        times = []
        for _ in range(request["warm"] + request["repetitions"]):
            start = time.perf_counter()
            model(decoded(file) if picture is None else picture)
            times.append((time.perf_counter() - start) * 1e3)
        return {"milliseconds": times[request["warm"] :]}

    def _follow(self, request: dict[str, Any]) -> dict[str, Any]:
        frames = np.load(request["array"])
        model = self._model(request)
        times, meshes = [], []
        for frame in frames:
            start = time.perf_counter()
            answer = model.run(frame)
            times.append((time.perf_counter() - start) * 1e3)
            meshes.append(next(iter(model.read(answer, frame.shape[1], frame.shape[0])["mesh_px"]), None))
        return {"milliseconds": times, "mesh_px": meshes}


def serve(builders: dict[str, Build], versions: dict[str, str]) -> None:
    """Answer requests from stdin until it closes. Whatever the peer prints goes to stderr."""
    replies = os.fdopen(os.dup(1), "w", encoding="utf-8")
    os.dup2(2, 1)
    worker = Worker(builders, versions)
    for line in sys.stdin:
        try:
            reply = worker.answer(json.loads(line))
        except Exception:  # the caller shows it
            reply = {"error": traceback.format_exc()}
        replies.write(json.dumps(reply) + "\n")
        replies.flush()
