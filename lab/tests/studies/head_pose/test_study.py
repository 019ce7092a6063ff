"""The study of FPNet: its trainings, the measured systems, and its page."""

import json
from pathlib import Path

import numpy as np
import pytest

from facegeom.errors import InputError
from facegeom.geometry.rotation import rotation_from_angles, rotation_to_6d
from facegeom_lab.studies.head_pose import study as study_module
from facegeom_lab.studies.head_pose.report import PAGE, report, sentence
from facegeom_lab.studies.head_pose.study import FILE, Plan, jobs, known_teachers, study
from facegeom_lab.studies.jobs import Job
from facegeom_lab.training import trainers
from facegeom_lab.training.trainers import Inputs

OFF_DEG = {"6drepnet": 2.0, "face": 5.0}
"""Yaw error of each teacher."""


def write_windows(folder: Path, seed: int) -> None:
    """Write twelve faces, one without a rotation, one unlabelled by the teacher, and six empty windows."""
    rng = np.random.default_rng(seed)
    yaw, pitch, roll = np.linspace(-80, 80, 12), np.linspace(-9, 20, 12), np.linspace(15, -7, 12)
    face = np.arange(18) < 12
    rotation = np.full((18, 3, 3), np.nan)
    rotation[face] = rotation_from_angles(yaw, pitch, roll)
    raw = {}
    for name, off in OFF_DEG.items():
        raw[f"raw_{name}"] = np.full((18, 6), np.nan)
        raw[f"raw_{name}"][face] = rotation_to_6d(rotation_from_angles(yaw + off, pitch, roll))
    rotation[0], raw["raw_6drepnet"][1] = np.nan, np.nan
    folder.mkdir(parents=True)
    np.savez(
        folder / "poses_00000.npz",
        windows=rng.integers(0, 256, (18, 64, 64, 3), dtype=np.uint8),
        kind=face.astype(np.uint8),
        offsets=np.where(face[:, None], 0.0, np.nan) * np.ones((18, 4)),
        rotation=rotation,
        **raw,
    )


@pytest.fixture(scope="module")
def finished(tmp_path_factory: pytest.TempPathFactory) -> Plan:
    """Run a study of one epoch in this process, with the validation windows as the heads'."""
    root = tmp_path_factory.mktemp("study")
    for split in ("train", "val"):
        write_windows(root / "poses" / split, len(split))
    plan = Plan(root / "poses", root / "study", "6drepnet", 1, heads=root / "heads")

    def run(job: Job, data: Path, labels: Path, out: Path) -> None:
        inputs = Inputs(data, out / job.name, workers=0)
        trainers.train(job.recipe, inputs, {**job.overrides, "batch": 6, "precision": "32-true"})
        trainers.evaluate(inputs)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(study_module.machinery, "run", run)
        patch.setattr(study_module, "_head_windows", lambda plan, heads: plan.data / "val")
        assert study(plan, processes=1) == plan.out / FILE
    return plan


def test_runs_differ_in_nothing_but_target_and_mining() -> None:
    rows = jobs(Plan(Path("poses"), Path("out"), "face", 7))
    values = [
        (job.name, job.overrides.pop("target"), job.overrides.pop("middle_share"))  # type: ignore[attr-defined]
        for job in rows
    ]
    assert values == [
        ("vectors-mined", "vectors", 0.6),
        ("vectors-all", "vectors", 1.0),
        ("angles-mined", "angles", 0.6),
        ("angles-all", "angles", 1.0),
    ]
    assert all(job.overrides == {"teacher": "face", "epochs": 7} for job in rows)


@pytest.mark.slow
def test_measured_systems(finished: Plan) -> None:
    figures = json.loads((finished.out / FILE).read_text())
    val = figures["sets"]["val"]
    assert val["faces"] == 10 and set(figures["sets"]) == {"val", "heads"}
    assert set(val["systems"]) == {*(job.name for job in jobs(finished)), "teacher", "face network"}
    for name, off in (("teacher", 2), ("face network", 5)):
        errors = val["systems"][name]
        assert [errors["all"][key] for key in ("yaw", "geodesic")] == pytest.approx([off] * 2, abs=1e-3)
        assert errors["all"]["pitch"] == pytest.approx(0, abs=1e-3)
        assert errors["all"]["to_teacher"] == pytest.approx(off - 2, abs=1e-3)
    assert [val["systems"]["teacher"][band]["faces"] for band in ("all", "0-30", "30-60", "60-90")] == [
        *(10, 4, 4, 2)
    ]
    assert all(np.isfinite(run["student_to_teacher_deg"]) for run in figures["runs"].values())


@pytest.mark.slow
def test_differences(finished: Plan) -> None:
    val = json.loads((finished.out / FILE).read_text())["sets"]["val"]
    found = {each["title"]: each for each in val["differences"]}
    assert len(found) == 6
    best = min(("vectors-mined", "vectors-all"), key=lambda name: val["systems"][name]["all"]["geodesic"])
    against = found[f"FPNet ({best}) against the teacher"]
    assert against["error"] == pytest.approx(val["systems"][best]["all"]["geodesic"])
    assert against["baseline"] == pytest.approx(2, abs=1e-3)
    assert against["low"] <= against["error"] - against["baseline"] <= against["high"]


@pytest.mark.slow
def test_the_page(finished: Plan, tmp_path: Path) -> None:
    page = report(finished.out, tmp_path / "docs")
    assert page == tmp_path / "docs" / PAGE
    text = page.read_text()
    assert "| all | the teacher, 6drepnet | 10 | 2.00 | 0.00 | 0.00 | 2.00 | 0.00 |" in text
    assert "| ±(60° to 90°) | the face network | 2 | 5.00 |" in text
    assert "## Errors: rendered heads" in text and "FPNet, angles, all samples | 1 | 12 |" in text
    for name in ("pose-study-curves", "pose-study-by-yaw"):
        assert f"(figures/{name}.svg)" in text
        assert {(tmp_path / f"docs/figures/{name}.{kind}").is_file() for kind in ("png", "svg")} == {True}


def test_sentence() -> None:
    values = {"title": "a against b", "error": 5.0, "baseline": 6.5, "low": -2.0, "high": -1.0, "faces": 40}
    assert sentence(values) == (
        "**a against b**: 5.00° against 6.50°, -1.50° (95 % interval -2.00° to -1.00°, 40 faces). Better."
    )


def test_what_is_missing(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="facegeom lab pose-study"):
        report(tmp_path, tmp_path)
    with pytest.raises(InputError, match="build-pose-set"):
        known_teachers(tmp_path)
    with pytest.raises(InputError, match="facegeom lab synth"):
        write_windows(tmp_path / "poses/val", 1)
        study(Plan(tmp_path / "poses", tmp_path / "out", "6drepnet", 1, heads=tmp_path / "none"))
