"""A service in this process: with the real networks, and with a stand-in that does as it is told."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from threading import Event
from typing import Any

import numpy as np
import pytest
from fastapi.testclient import TestClient

from facegeom import FaceAnalyzer, Faces
from facegeom.serve.app import Application
from facegeom.serve.pages import DEMO
from facegeom.serve.settings import Settings
from facegeom.serve.work import answer


@dataclass
class StandIn:
    """Stands for the analyzer: no photo has a face; a black one cannot be analysed.

    Attributes:
        gate: while it is closed, an analysis waits.
        batches: sizes of the batches so far.
    """

    gate: Event = field(default_factory=Event)
    batches: list[int] = field(default_factory=list)
    min_face: float | None = None
    max_faces: int | None = None
    min_score: float = 0.9
    fov_deg: float = 50.0

    def __post_init__(self) -> None:
        self.gate.set()

    def batch(self, images: Sequence[np.ndarray]) -> list[Faces]:
        self.batches.append(len(images))
        assert self.gate.wait(30), "the test never opened the gate"
        if not all(image.any() for image in images):
            raise RuntimeError("a black photo")
        return [Faces.empty(image.shape[1], image.shape[0]) for image in images]


@pytest.fixture(scope="session")
def portrait() -> Path:
    """The portrait that ships with facegeom: one face."""
    return DEMO


@pytest.fixture
def stand_in() -> Iterator[StandIn]:
    stand_in = StandIn()
    yield stand_in
    stand_in.gate.set()


@pytest.fixture
def serve(stand_in: StandIn) -> Iterator[Callable[..., TestClient]]:
    """``serve(queue=1, …)`` is a client of a service with the stand-in and such settings."""
    clients: list[TestClient] = []

    def start(**settings: Any) -> TestClient:
        app = Application([partial(answer, stand_in)], Settings(**settings))  # type: ignore[arg-type]
        client = TestClient(app, raise_server_exceptions=False)
        clients.append(client)
        client.__enter__()
        return client

    yield start
    stand_in.gate.set()
    for client in clients:
        client.__exit__()


@pytest.fixture(scope="package")
def analyzer() -> FaceAnalyzer:
    return FaceAnalyzer()


@pytest.fixture(scope="package")
def client(analyzer: FaceAnalyzer) -> Iterator[TestClient]:
    """A client of a service with the real networks."""
    with TestClient(Application([partial(answer, analyzer)], Settings())) as client:
        yield client
