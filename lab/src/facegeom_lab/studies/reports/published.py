"""Published figures of the reproduced works: ``published.yaml`` as typed objects."""

from dataclasses import dataclass
from functools import cache
from importlib.resources import files
from typing import Any

import yaml


@dataclass(frozen=True)
class Network:
    """One of the five networks, trained with the squared error.

    Attributes:
        title: for tables and figures.
        table: number of its published table.
        figure: number of the published figure of its learning curves.
        nme: inter-pupil, a fraction.
        epochs: length of the training.
        cpu_ms: milliseconds of one face on a processor, with ``cpu_ms_spread``.
        gpu_ms: the same on a GPU, with ``gpu_ms_spread``.
        gflops: 1e9 multiply-adds; None if not published.
        parameters_millions: including the layer of 1000 ImageNet classes.
    """

    title: str
    table: str
    figure: str
    nme: float
    epochs: int
    cpu_ms: float
    cpu_ms_spread: float
    gpu_ms: float
    gpu_ms_spread: float
    gflops: float | None
    parameters_millions: float


@dataclass(frozen=True)
class Training:
    """The result of a changed training: NME as in :class:`Network`, epochs, the change."""

    nme: float
    epochs: int
    title: str = ""


@dataclass(frozen=True)
class Landmarks:
    """The study of networks, losses and training tricks for 2D points; mappings follow its tables' order."""

    source: str
    protocol: str
    trees_ms: float
    networks: dict[str, Network]
    wing: dict[str, Training]
    ablations: dict[str, Training]


@dataclass(frozen=True)
class Mesh:
    """The dense mesh by transfer learning; ``mse`` of coordinates in [0, 1]."""

    source: str
    protocol: str
    mse: float


@dataclass(frozen=True)
class Keypoints:
    """The task of fourteen points; it publishes marks, but no error of a solution."""

    source: str
    protocol: str


@dataclass(frozen=True)
class Memory:
    """Factors by which a method reduces memory in training and in use, and time."""

    training: str | None
    use: str | None
    faster: str | None


@dataclass(frozen=True)
class Compressed:
    """One network: milliseconds per image in training and in use, size, accuracy in per cent."""

    training_ms: float
    run_ms: float
    megabytes: float
    accuracy: float


@dataclass(frozen=True)
class Compression:
    """The comparison of compression methods; both mappings are keyed by the study's row names."""

    source: str
    protocol: str
    memory: dict[str, Memory]
    results: dict[str, Compressed]


@dataclass(frozen=True)
class Published:
    """All published figures."""

    landmarks: Landmarks
    mesh: Mesh
    keypoints: Keypoints
    compression: Compression


@cache
def load() -> Published:
    """Read ``published.yaml``."""
    text = (files("facegeom_lab.studies.reports") / "published.yaml").read_text(encoding="utf-8")
    values = yaml.safe_load(text)
    return Published(
        Landmarks(**_typed(values["landmarks"], networks=Network, wing=Training, ablations=Training)),
        Mesh(**values["mesh"]),
        Keypoints(**values["keypoints"]),
        Compression(**_typed(values["compression"], memory=Memory, results=Compressed)),
    )


def _typed(values: dict[str, Any], **kinds: type) -> dict[str, Any]:
    """Convert the rows of some mappings to objects of their types."""
    return values | {
        name: {key: kind(**row) for key, row in values[name].items()} for name, kind in kinds.items()
    }
