"""What peers found on sets of pictures, kept on disk: they do not change from run to run."""

import hashlib
import json
import tempfile
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from facegeom.image import reading
from facegeom_lab.bench.peers import WORKERS, Peer
from facegeom_lab.bench.progress import track

FloatArray = npt.NDArray[np.floating]


@dataclass(frozen=True, eq=False)
class Found:
    """A peer's answer on one picture, pixels, pixel centres at integers.

    Attributes:
        box_xyxy: (N, 4).
        score: (N,).
        mesh_px: (N, K, 3); K is 0 for models without points.
    """

    box_xyxy: FloatArray
    score: FloatArray
    mesh_px: FloatArray

    @classmethod
    def from_reply(cls, reply: Mapping[str, Any]) -> "Found":
        """From the worker's JSON."""
        boxes = np.array(reply["box_xyxy"], np.float64).reshape(-1, 4)
        mesh = np.array(reply.get("mesh_px", []), np.float32)
        points = mesh if mesh.size else np.zeros((len(boxes), 0, 3), np.float32)
        return cls(boxes, np.array(reply["score"], np.float64), points)


def peer_answers(
    peer: Peer, model: str, options: Mapping[str, Any], pictures: Sequence[Path], folder: Path
) -> list[Found]:
    """The peer's answer on every picture, from ``folder`` when the same question was asked before.

    The key covers the pictures' bytes, the options, the peer's versions and the workers' code.
    """
    key = _key(peer, model, options, pictures)
    file = folder / f"{peer.name}-{model}-{key}.npz"
    if file.is_file():
        return _load(file)
    found = [
        Found.from_reply(_ask(peer, model, options, path))
        for path in track(pictures, f"{peer.name} {model}, {len(pictures)} pictures")
    ]
    _save(file, found)
    return found


def _ask(peer: Peer, model: str, options: Mapping[str, Any], path: Path) -> dict[str, Any]:
    with tempfile.TemporaryDirectory() as scratch:
        array = Path(scratch) / "picture.npy"
        np.save(array, reading.read(path))
        return peer.ask(op="find", model=model, options=dict(options), array=str(array))


def _key(peer: Peer, model: str, options: Mapping[str, Any], pictures: Iterable[Path]) -> str:
    question = json.dumps([peer.name, peer.versions, model, dict(options)], sort_keys=True)
    digest = hashlib.sha256(question.encode())
    for path in [*sorted(WORKERS.glob("*.py")), *pictures]:
        digest.update(hashlib.sha256(path.read_bytes()).digest())
    return digest.hexdigest()[:16]


def _save(file: Path, found: Sequence[Found]) -> None:
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


def _load(file: Path) -> list[Found]:
    with np.load(file) as stored:
        cuts = np.cumsum(stored["count"])[:-1]
        parts = [np.split(stored[name], cuts) for name in ("box_xyxy", "score", "mesh_px")]
    return [Found(*row) for row in zip(*parts, strict=True)]
