"""Faces of known geometry in place of the networks of ``facegeom analyze``, and small photos."""

from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from pkgutil import resolve_name
from typing import Any

import numpy as np
import pytest
from PIL import Image
from typer.testing import CliRunner

from facegeom.cli.root import app
from facegeom.image.photo import open_photo
from facegeom.results import Faces

Predict = Callable[[np.ndarray], Faces]


@dataclass
class Networks:
    """Replace the networks: a photo of 320 x 240 pixels has a face, unless it is black."""

    predict: Predict
    fov_deg: float | None = None
    built_with: list[dict[str, object]] = field(default_factory=list)
    used_fov_deg: list[float] = field(default_factory=list)

    def build(self, device: str, options: dict[str, float]) -> "Networks":
        self.built_with.append({"device": device, **options})
        self.fov_deg = options.get("fov_deg")
        return self

    def __call__(self, source: Path) -> Faces:
        photo = open_photo(source, self.fov_deg)
        self.used_fov_deg.append(photo.camera.fov_deg)
        return self.predict(photo.pyramid.pixels)


@pytest.fixture(autouse=True)
def in_process(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    """Let the commands work in this process, where networks can be replaced; not in tests of workers."""

    class Inline:
        def __init__(self, factory: str, *arguments: Any) -> None:
            self._worker = resolve_name(factory)(*arguments)

        def call(self, *arguments: Any, on_message: Callable[[Any], object], limit_s: float) -> Any:
            return self._worker(*arguments, on_message)

        def end(self, ask: int | None = None) -> None: ...

    if "workers" not in request.keywords:
        monkeypatch.setattr("facegeom.cli.photos.start", Inline)


@pytest.fixture
def networks(make_faces: Callable[..., Faces], monkeypatch: pytest.MonkeyPatch) -> Networks:
    def predict(image: np.ndarray) -> Faces:
        return make_faces() if image.any() else Faces.empty(320, 240)

    networks = Networks(predict)
    monkeypatch.setattr("facegeom.cli.analyze._analyzer", networks.build)
    return networks


def store(path: Path, value: int = 90) -> Path:
    """Store a grey image of 320 x 240 pixels."""
    path.parent.mkdir(parents=True, exist_ok=True)
    kind = "PNG" if path.suffix.lower() == ".png" else "JPEG"
    Image.new("RGB", (320, 240), (value,) * 3).save(path, kind)
    return path


def run(*arguments: object, command: str = "analyze") -> tuple[int, str, str]:
    """Return the exit code, stdout and stderr."""
    result = CliRunner().invoke(app, [command, *map(str, arguments)])
    if result.exception is not None and not isinstance(result.exception, SystemExit):
        raise result.exception
    return result.exit_code, result.stdout, " ".join(result.stderr.split())


def tree(folder: Path) -> list[str]:
    return sorted(path.relative_to(folder).as_posix() for path in folder.rglob("*") if path.is_file())
