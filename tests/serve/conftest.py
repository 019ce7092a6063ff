"""A service in this process, with the real networks or with a fake analyzer."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from threading import Event
from typing import Any

import pytest
from fastapi.testclient import TestClient

from facegeom import FaceAnalyzer, Faces
from facegeom.image.photo import Photo
from facegeom.options import SearchOptions
from facegeom.serve.app import Application
from facegeom.serve.limits import Settings
from facegeom.serve.pages import DEMO
from facegeom.serve.work import analyze_tasks


@dataclass
class FakeAnalyzer:
    """Analyzer that finds no face in any photo, and fails on a black one.

    Attributes:
        gate: an analysis waits until it is set.
        batches: sizes of the batches so far.
        options: the defaults of a search.
    """

    gate: Event = field(default_factory=Event)
    batches: list[int] = field(default_factory=list)
    options: SearchOptions = field(default_factory=SearchOptions)

    def __post_init__(self) -> None:
        self.gate.set()

    def batch(self, photos: Sequence[Photo], **options: float | None) -> list[Faces]:
        self.batches.append(len(photos))
        assert self.gate.wait(30), "the test never opened the gate"
        if not all(photo.pyramid.pixels.any() for photo in photos):
            raise RuntimeError("a black photo")
        return [Faces.empty(photo.camera.width, photo.camera.height) for photo in photos]


@pytest.fixture(scope="session")
def portrait() -> Path:
    """Return the portrait that ships with facegeom: one face."""
    return DEMO


@pytest.fixture
def fake_analyzer() -> Iterator[FakeAnalyzer]:
    fake = FakeAnalyzer()
    yield fake
    fake.gate.set()


@pytest.fixture
def serve(fake_analyzer: FakeAnalyzer) -> Iterator[Callable[..., TestClient]]:
    """``serve(queue=1, …)`` starts a service with the fake analyzer and these settings."""
    clients: list[TestClient] = []

    def start(**settings: Any) -> TestClient:
        work = partial(analyze_tasks, fake_analyzer)  # type: ignore[arg-type]
        app = Application([work], Settings(**{"wait_s": 60, **settings}))
        client = TestClient(app, "http://127.0.0.1", raise_server_exceptions=False)
        clients.append(client)
        client.__enter__()
        return client

    yield start
    fake_analyzer.gate.set()
    for client in clients:
        client.__exit__()


@pytest.fixture(scope="package")
def analyzer() -> FaceAnalyzer:
    return FaceAnalyzer()


@pytest.fixture(scope="package")
def client(analyzer: FaceAnalyzer) -> Iterator[TestClient]:
    """Start a service with the real networks and return a client."""
    app = Application([partial(analyze_tasks, analyzer)], Settings(wait_s=60))
    with TestClient(app, "http://127.0.0.1") as client:
        yield client
