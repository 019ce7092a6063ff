"""Data, analyzer, peers and their predictions, shared by the sections of a benchmark."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Protocol

from facegeom.errors import InputError
from facegeom.results import Faces
from facegeom_lab.bench.peers import Peer, PeerFaces, peer_predictions
from facegeom_lab.bench.progress import track
from facegeom_lab.datasets.published.pack import LabelledPhoto, background_photos, scene_photos

Analyze = Callable[[Any], Faces]

SCENE_SETS = {"val scenes": "val", "AFW scenes": "test"}

MESH_TITLE = "MediaPipe FaceMesh"
MESH_OPTIONS = {"static_image_mode": True, "refine_landmarks": True}
"""FaceMesh for one face."""

SCENE_MESH_OPTIONS = {**MESH_OPTIONS, "max_num_faces": 12}
"""FaceMesh for scenes with several faces."""


class Boxes(Protocol):
    """Boxes and scores of the faces of one image: facegeom's Faces and Poses, and PeerFaces."""

    @property
    def box_xyxy(self) -> Any:
        """Boxes (N, 4)."""

    @property
    def score(self) -> Any:
        """Scores (N,)."""


@dataclass(eq=False)
class Bench:
    """One run of the accuracy benchmark.

    Attributes:
        data: the data pack.
        out: folder of the results.
        analyze: facegeom with default settings.
        peers: running workers by name.
    """

    data: Path
    out: Path
    analyze: Analyze
    peers: Mapping[str, Peer]
    _predictions: dict[Path, Faces] = field(default_factory=dict)

    @property
    def cache(self) -> Path:
        """Folder of rendered images and peers' predictions, which do not change between runs."""
        return self.out / "cache"

    def predictions(self, photos: Sequence[LabelledPhoto]) -> list[Faces]:
        """Return facegeom's predictions; each photo is analysed once per run."""
        missing = [photo.path for photo in photos if photo.path not in self._predictions]
        for path in track(missing, f"facegeom, {len(missing)} images") if missing else ():
            self._predictions[path] = self.analyze(path)
        return [self._predictions[photo.path] for photo in photos]

    def peer_predictions(
        self, name: str, model: str, options: Mapping[str, Any], photos: Sequence[LabelledPhoto]
    ) -> list[PeerFaces]:
        """Return a peer's predictions, from the cache where they were made before."""
        return peer_predictions(
            self.peers[name], model, options, [photo.path for photo in photos], self.cache
        )

    def scene_sets(self) -> dict[str, list[LabelledPhoto]]:
        """Return the labelled scenes by name of the set."""
        return {name: scene_photos(self.data, split) for name, split in SCENE_SETS.items()}

    def backgrounds(self) -> list[LabelledPhoto]:
        """Return the photos without a face."""
        return background_photos(self.data)


def choose_sections(sections: Mapping[str, Any], only: Sequence[str]) -> list[str]:
    """Return the names of the sections to run, in the order of ``sections``; all if ``only`` is empty.

    Raises:
        InputError: an unknown name.
    """
    if unknown := [name for name in only if name not in sections]:
        raise InputError(f"expected sections among {', '.join(sections)}, got {', '.join(unknown)}")
    return [name for name in sections if not only or name in only]
