"""Processors: what is installed is found, what is asked for and missing is explained."""

from collections.abc import Iterator
from types import SimpleNamespace
from typing import Any

import onnxruntime
import pytest

from facegeom.errors import InputError
from facegeom.models import devices, weights
from facegeom.models.engine import Engine

CPU = "CPUExecutionProvider"


@pytest.fixture(autouse=True)
def forgotten() -> Iterator[None]:
    """Let each test find the best device anew."""
    devices._best.cache_clear()
    yield
    devices._best.cache_clear()


def offer(monkeypatch: pytest.MonkeyPatch, offered: list[str], working: list[str]) -> None:
    """Let ONNX Runtime list some providers, of which some start."""

    def session(*_: Any, **options: Any) -> SimpleNamespace:
        wanted = options.get("providers") or _[2]
        return SimpleNamespace(
            get_providers=lambda: [each for each in [*wanted, CPU] if each in working],
            get_inputs=lambda: [SimpleNamespace(name="pictures")],
        )

    monkeypatch.setattr(onnxruntime, "get_available_providers", lambda: offered)
    monkeypatch.setattr(onnxruntime, "InferenceSession", session)


@pytest.mark.parametrize(
    ("offered", "working", "expected"),
    [
        ([CPU], [CPU], "cpu"),
        (["CUDAExecutionProvider", CPU], ["CUDAExecutionProvider", CPU], "cuda"),
        (["CUDAExecutionProvider", CPU], [CPU], "cpu"),  # onnxruntime-gpu on a machine without a GPU
        (["DmlExecutionProvider", CPU], ["DmlExecutionProvider", CPU], "directml"),
        (["CoreMLExecutionProvider", CPU], ["CoreMLExecutionProvider", CPU], "cpu"),
        (["OpenVINOExecutionProvider", CPU], ["OpenVINOExecutionProvider", CPU], "cpu"),
    ],
)
def test_auto(monkeypatch: pytest.MonkeyPatch, offered: list[str], working: list[str], expected: str) -> None:
    offer(monkeypatch, offered, working)
    assert devices.resolve("auto") == expected
    assert Engine(weights.path("rnet"), "auto").device == expected


def test_a_provider_that_fails_is_not_taken(monkeypatch: pytest.MonkeyPatch) -> None:
    offer(monkeypatch, ["CUDAExecutionProvider", CPU], [])
    monkeypatch.setattr(onnxruntime, "InferenceSession", lambda *_, **__: 1 / 0)
    assert devices.resolve("auto") == "cpu"


@pytest.mark.parametrize(
    ("device", "advice"),
    [
        ("cuda", "no CUDAExecutionProvider; it needs an NVIDIA GPU and the extra .gpu."),
        ("openvino", "no OpenVINOExecutionProvider; it needs the extra .openvino."),
        ("directml", "no DmlExecutionProvider; it needs Windows"),
        ("coreml", "no CoreMLExecutionProvider; it needs macOS"),
    ],
)
def test_a_device_that_is_missing(monkeypatch: pytest.MonkeyPatch, device: str, advice: str) -> None:
    offer(monkeypatch, [CPU], [CPU])
    with pytest.raises(InputError, match=advice):
        Engine(weights.path("rnet"), device)


def test_packages_that_hide_each_other(monkeypatch: pytest.MonkeyPatch) -> None:
    offer(monkeypatch, [CPU], [CPU])
    monkeypatch.setattr(devices, "_is_installed", lambda name: name in ("onnxruntime", "onnxruntime-gpu"))
    with pytest.raises(InputError, match="pip uninstall -y onnxruntime onnxruntime-gpu, then pip install"):
        devices.providers("cuda")


def test_a_device_that_does_not_start(monkeypatch: pytest.MonkeyPatch) -> None:
    offer(monkeypatch, ["CUDAExecutionProvider", CPU], [CPU])
    with pytest.raises(InputError, match="installed but did not start"):
        Engine(weights.path("rnet"), "cuda")
