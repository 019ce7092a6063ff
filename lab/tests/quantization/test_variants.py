"""Variants of the face network on the drawn heads of the small data pack."""

import hashlib
import json
from pathlib import Path

import numpy as np
import pytest

from facegeom.errors import InputError
from facegeom.models import weights
from facegeom_lab.quantization import variants


def test_crops_hold_the_annotated_points(training_pack) -> None:
    crops = variants.annotated_crops(training_pack.data, "val", ("helen",))
    assert crops.crops.shape == (4, 128, 128, 3)
    points = crops.points
    box = np.stack([points.min(axis=1), points.max(axis=1)])
    assert np.abs(box).max() < 0.5
    assert variants.nme(points + np.array([0.01, 0]), points) == pytest.approx(
        100 * np.mean(0.01 / np.linalg.norm(points[:, 36] - points[:, 45], axis=1))
    )
    assert len(variants.annotated_crops(training_pack.data, "train", ("helen",), 3).crops) == 3
    with pytest.raises(InputError, match="expected val faces of lfpw"):
        variants.annotated_crops(training_pack.data, "val", ("lfpw",))


@pytest.mark.slow
def test_the_table_compares_with_the_first(training_pack, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(variants, "ROUNDS", 2)
    made = {each: weights.path("face", each).read_bytes() for each in ("float32", "int8")}
    crops = variants.annotated_crops(training_pack.data, "val", ("helen",))
    table = variants.compare(made, {"validation": crops})
    assert [row[0] for row in table.rows] == ["float32", "int8"]
    assert len(table.columns) == len(table.rows[0])
    mesh = table.columns.index("mesh, %")
    assert table.rows[0][mesh] == 0 < table.rows[1][mesh]


def test_a_manifest_gets_the_hashes_of_the_variants_it_names(tmp_path: Path) -> None:
    made = {"float32": b"0", "int8": b"1", "fp16": b"2"}
    variants.write_variants("face", made, tmp_path / "all")
    assert sorted(file.name for file in (tmp_path / "all").iterdir()) == [
        "face.float32.onnx",
        "face.fp16.onnx",
        "face.int8.onnx",
    ]
    entries = {"face": {"sha256": "kept", "variants": {"int8": {"sha256": "old"}}}}
    (tmp_path / "manifest.json").write_text(json.dumps(entries))
    variants.write_variants("face", made, tmp_path)
    assert [file.name for file in tmp_path.glob("*.onnx")] == ["face.int8.onnx"]
    found = json.loads((tmp_path / "manifest.json").read_text())
    assert found["face"]["variants"]["int8"]["sha256"] == hashlib.sha256(b"1").hexdigest()
    assert found["face"]["sha256"] == "kept"


def test_other_networks_are_refused(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="expected one of face, onepass, pnet, rnet, fpnet, got 'depth1'"):
        variants.run("depth1", tmp_path, tmp_path)
