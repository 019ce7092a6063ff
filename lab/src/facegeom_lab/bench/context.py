"""What every section of the benchmark works with: the data, the analyzer, the peers and their answers."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Protocol

from facegeom.results import Faces
from facegeom_lab.bench.cache import Found, peer_answers
from facegeom_lab.bench.peers import Peer
from facegeom_lab.bench.progress import track
from facegeom_lab.datasets.pack_photos import Picture, backgrounds, scenes

Analyze = Callable[[Any], Faces]

SCENE_SETS = {"val scenes": "val", "AFW scenes": "test"}


class Boxes(Protocol):
    """Boxes and scores of the faces of one picture: facegeom's Faces and a peer's Found."""

    @property
    def box_xyxy(self) -> Any: ...

    @property
    def score(self) -> Any: ...


@dataclass(eq=False)
class Bench:
    """One run.

    Attributes:
        data: the data pack.
        out: where results go; peers' answers are kept in ``out/cache``.
        analyze: facegeom with default settings.
        peers: running workers by name.
    """

    data: Path
    out: Path
    analyze: Analyze
    peers: Mapping[str, Peer]
    _answers: dict[Path, Faces] = field(default_factory=dict)

    @property
    def cache(self) -> Path:
        """Folder of what does not change between runs."""
        return self.out / "cache"

    def ours(self, pictures: Sequence[Picture]) -> list[Faces]:
        """facegeom's answers; each picture is analysed once per run."""
        missing = [picture.path for picture in pictures if picture.path not in self._answers]
        for path in track(missing, f"facegeom, {len(missing)} pictures") if missing else ():
            self._answers[path] = self.analyze(path)
        return [self._answers[picture.path] for picture in pictures]

    def peer(
        self, name: str, model: str, options: Mapping[str, Any], pictures: Sequence[Picture]
    ) -> list[Found]:
        """A peer's answers, kept on disk."""
        paths = [picture.path for picture in pictures]
        return peer_answers(self.peers[name], model, options, paths, self.cache)

    def scene_sets(self) -> dict[str, list[Picture]]:
        """The labelled photos by name of the set."""
        return {name: scenes(self.data, split) for name, split in SCENE_SETS.items()}

    def backgrounds(self) -> list[Picture]:
        """The photos without a face."""
        return backgrounds(self.data)
