"""Peers: other packages' detectors and meshes, each in a worker process; their predictions kept on disk."""

import hashlib
import json
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from facegeom.image import reading
from facegeom_lab.bench.progress import track
from facegeom_lab.external import process, protocol
from facegeom_lab.external.environments import ensure_python, package_set
from facegeom_lab.external.process import WorkerProcess

FloatArray = npt.NDArray[np.floating]


class Peer(WorkerProcess):
    """A peer's worker process; use as a context manager."""

    @cached_property
    def versions(self) -> dict[str, str]:
        """Package name to version, as the worker's interpreter reports them."""
        versions: dict[str, str] = self.ask(op="about")["versions"]
        return versions

    def time_ms(
        self, model: str, array: Path, repetitions: int, warm: int, options: Mapping[str, Any] | None = None
    ) -> list[float]:
        """Return the milliseconds of ``repetitions`` calls on a .npy file's image after ``warm`` others."""
        reply = self.ask(
            op="time",
            model=model,
            array=str(array),
            repetitions=repetitions,
            warm=warm,
            options=dict(options or {}),
        )
        return [float(value) for value in reply["milliseconds"]]


@contextmanager
def started(peers: Mapping[str, Path | None]) -> Iterator[dict[str, Peer]]:
    """Run the peers' workers inside the block.

    Args:
        peers: interpreters by name; None for the environment that facegeom makes.

    Raises:
        InputError: an unknown peer.
        ExternalError: an environment could not be made, or a worker did not start.
    """
    for name in peers:
        package_set(name)
    with ExitStack() as stack:
        workers = {
            name: stack.enter_context(Peer(name, python or ensure_python(name)))
            for name, python in peers.items()
        }
        for worker in workers.values():
            _ = worker.versions  # a worker that cannot load its packages fails here
        yield workers


@dataclass(frozen=True, eq=False)
class PeerFaces:
    """A peer's predictions on one image, pixels, pixel centres at integers.

    Attributes:
        box_xyxy: (N, 4).
        score: (N,).
        mesh_px: (N, K, 3); K is 0 for models without points.
    """

    box_xyxy: FloatArray
    score: FloatArray
    mesh_px: FloatArray

    @classmethod
    def from_reply(cls, reply: Mapping[str, Any]) -> "PeerFaces":
        """Read the worker's reply."""
        boxes = np.array(reply["box_xyxy"], np.float64).reshape(-1, 4)
        mesh = np.array(reply.get("mesh_px", []), np.float32)
        points = mesh if mesh.size else np.zeros((len(boxes), 0, 3), np.float32)
        return cls(boxes, np.array(reply["score"], np.float64), points)


def peer_predictions(
    peer: Peer, model: str, options: Mapping[str, Any], images: Sequence[Path], cache: Path
) -> list[PeerFaces]:
    """Return the peer's predictions on every image, from ``cache`` where they were made before.

    The cache's key covers the images' bytes, the options, the peer's versions and its worker's code.
    """
    file = cache / f"{peer.name}-{model}-{_key(peer, model, options, images)}.npz"
    if file.is_file():
        return _load(file)
    found = [
        PeerFaces.from_reply(
            peer.ask(op="find", model=model, options=dict(options), array=reading.read(path))
        )
        for path in track(images, f"{peer.name} {model}, {len(images)} pictures")
    ]
    _save(file, found)
    return found


def _key(peer: Peer, model: str, options: Mapping[str, Any], images: Sequence[Path]) -> str:
    question = json.dumps([peer.name, peer.versions, model, dict(options)], sort_keys=True)
    digest = hashlib.sha256(question.encode())
    for path in [Path(protocol.__file__), process.WORKERS / f"{peer.name}.py", *images]:
        digest.update(hashlib.sha256(path.read_bytes()).digest())
    return digest.hexdigest()[:16]


def _save(file: Path, found: Sequence[PeerFaces]) -> None:
    file.parent.mkdir(parents=True, exist_ok=True)
    part = file.with_suffix(".part.npz")
    points = max((one.mesh_px.shape[1] for one in found), default=0)
    np.savez_compressed(
        part,
        count=[len(one.score) for one in found],
        box_xyxy=np.concatenate([one.box_xyxy for one in found]),
        score=np.concatenate([one.score for one in found]),
        mesh_px=np.concatenate([one.mesh_px.reshape(len(one.score), points, 3) for one in found]),
    )
    part.replace(file)


def _load(file: Path) -> list[PeerFaces]:
    with np.load(file) as stored:
        cuts = np.cumsum(stored["count"])[:-1]
        parts = [np.split(stored[name], cuts) for name in ("box_xyxy", "score", "mesh_px")]
    return [PeerFaces(*row) for row in zip(*parts, strict=True)]
