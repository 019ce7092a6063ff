"""What a report says about the analyzer that was measured."""

from pathlib import Path

import pytest

from facegeom import FaceAnalyzer, HeadPoseDetector
from facegeom_lab.measures.about import about, settings


def test_settings_are_those_of_the_instance() -> None:
    text = about(FaceAnalyzer(min_score=0.5, threads=2, min_face=20, weights="float32"), ())["settings"]
    assert text.startswith("FaceAnalyzer(min_face=20.0, max_faces=None, min_score=0.5, ")
    assert "threads=2" in text and "face.onnx" in text and "fpnet" not in text and "int8" not in text


@pytest.mark.parametrize(
    ("options", "network"),
    [
        ({"weights": "free"}, "face-free.int8.onnx"),
        ({"weights": "int8"}, "face.int8.onnx"),
        ({"pose_net": "fpnet"}, "fpnet.onnx"),
        ({"detector": "cascade"}, "pnet.onnx"),
        ({"depth": "network"}, "depth2.onnx"),
        ({"depth": "mesh"}, "depth='MeshDepth'"),
    ],
)
def test_settings_name_the_networks_in_use(options: dict[str, str], network: str) -> None:
    assert network in settings(FaceAnalyzer(**options))  # type: ignore[arg-type]


def test_settings_of_other_detectors_and_of_others_analyzers() -> None:
    assert settings(HeadPoseDetector()).endswith("networks pnet.onnx, rnet.onnx, fpnet.onnx")
    assert settings(Path()).endswith(", networks none")
