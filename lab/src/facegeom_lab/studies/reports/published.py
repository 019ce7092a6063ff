"""The figures that the repeated works print: ``published.yaml``, typed."""

from dataclasses import dataclass
from functools import cache
from importlib.resources import files
from typing import Any

import yaml


@dataclass(frozen=True)
class Network:
    """One of the five networks, trained with the squared error.

    Attributes:
        title: its name as people write it.
        table: number of the table that describes it.
        figure: number of the figure with its learning curves.
        nme: inter-pupil, a share.
        epochs: until the training stopped.
        cpu_ms: milliseconds of one face on a processor, with ``cpu_ms_spread``.
        gpu_ms: the same on a GPU, with ``gpu_ms_spread``.
        gflops: 1e9 multiply-adds; None where the work gives none.
        parameters_millions: with the layer of the thousand ImageNet classes.
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
    """The outcome of another way to train: NME as in :class:`Network`, epochs, what was changed."""

    nme: float
    epochs: int
    title: str = ""


@dataclass(frozen=True)
class Landmarks:
    """The study of networks, losses and tricks for 2D points; all mappings are in the order of its tables."""

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
    """The task of fourteen points; it prints marks, but no error that someone reached."""

    source: str
    protocol: str


@dataclass(frozen=True)
class Memory:
    """How many times less memory a method takes in training and in use, and how many times faster it is."""

    training: str | None
    use: str | None
    faster: str | None


@dataclass(frozen=True)
class Compressed:
    """One network: milliseconds of an image in training and in use, size, right answers in per cent."""

    training_ms: float
    run_ms: float
    megabytes: float
    accuracy: float


@dataclass(frozen=True)
class Compression:
    """The comparison of ways to small and fast networks; both mappings by the study's names of rows."""

    source: str
    protocol: str
    memory: dict[str, Memory]
    results: dict[str, Compressed]


@dataclass(frozen=True)
class Published:
    """All of it."""

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
    """The values, with the rows of some mappings made objects of their kinds."""
    return values | {
        name: {key: kind(**row) for key, row in values[name].items()} for name, kind in kinds.items()
    }
