"""The runs of the study on networks of a few thousand weights: stored, decoded, measured, resumed."""

import json
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import nn

from facegeom.errors import InputError
from facegeom_lab.datasets.training.directions import centre_crops, load
from facegeom_lab.quantization.onnx_costs import onnx_ms, onnx_outputs
from facegeom_lab.studies.compression import (
    archive,
    conclusions,
    methods,
    networks,
    report,
    run,
    study,
    training,
    xnor,
)
from facegeom_lab.studies.compression.methods import METHODS, find
from facegeom_lab.studies.compression.run import training_bytes
from facegeom_lab.studies.compression.training import (
    Budget,
    StageTrainer,
    balanced_accuracy,
    cross_entropy,
    network_input,
)

BUDGET = Budget(samples=64, batch=8, precision="32-true", learning_rate=0.003)


def little() -> nn.Sequential:
    """Build a small VGG-S: the same four parts, the same channels where methods name them."""
    return nn.Sequential(
        nn.Sequential(*networks.unit(nn.Conv2d(3, 96, 7, 8, bias=False), 96)),
        nn.Sequential(*networks.unit(nn.Conv2d(96, 256, 3, 2, 1, bias=False), 256)),
        nn.Sequential(*networks.unit(nn.Conv2d(256, 16, 3, padding=1, bias=False), 16, nn.MaxPool2d(3))),
        nn.Sequential(
            nn.Flatten(),
            *networks.unit(nn.Linear(64, 64, bias=False), 64, flat=True),
            nn.Dropout(),
            nn.Linear(64, 8),
        ),
    )


SMALLER = {"deep-compression": 8, "binarynet": 8, "binary-weights": 5, "xnor": 4, "hashednets": 4}
"""Times that files of some methods are at least smaller than the little network's."""


@pytest.fixture
def small_networks(monkeypatch: pytest.MonkeyPatch) -> None:
    """Replace the large networks by small ones of the same names."""

    def thin() -> nn.Sequential:
        guided = nn.Sequential(nn.Conv2d(3, 48, 3, 16, 1), nn.ReLU())
        return nn.Sequential(guided, nn.Sequential(nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(48, 8)))

    replaced = {"vgg-s": little, "squeezenet": little, "tiny-darknet": little, "thin": thin}
    monkeypatch.setattr(networks, "NETWORKS", replaced)
    monkeypatch.setattr(methods, "CP_FACTOR", 60.0)  # of low rank: quick


@pytest.fixture(scope="session")
def trained(tmp_path_factory: pytest.TempPathFactory, packed: Path) -> Path:
    """Train a small network on the discs; return its file."""
    before = networks.NETWORKS
    networks.NETWORKS = {**before, "vgg-s": little}
    try:
        out = tmp_path_factory.mktemp("runs") / "vgg-s"
        run.compress("vgg-s", None, packed, out, Budget(320, 16, 0.003, "32-true"))
    finally:
        networks.NETWORKS = before
    return out / run.FILE


@pytest.mark.slow
def test_the_baseline_learns(trained: Path) -> None:
    figures = json.loads((trained.parent / "result.json").read_text())
    assert figures["accuracy"] > 60  # by chance 12.5
    assert figures["samples"] == 320
    assert figures["file_bytes"] == trained.stat().st_size
    assert not list(trained.parent.glob("stage-*"))


@pytest.mark.slow
@pytest.mark.usefixtures("small_networks")
@pytest.mark.parametrize("name", METHODS)
def test_every_method_runs_within_its_budget(name: str, trained: Path, packed: Path, tmp_path: Path) -> None:
    figures = run.compress(name, trained if METHODS[name].trained else None, packed, tmp_path / "run", BUDGET)
    assert figures["samples"] == (0 if name == "int8" else BUDGET.samples)
    assert 0 <= figures["accuracy"] <= 100
    assert all(figures[key] > 0 for key in ("parameters", "macs", "training_bytes", "torch_ms", "onnx_bytes"))
    files = sorted((tmp_path / "run").glob("network*.onnx"))
    assert len(files) == (3 if name == "branchynet" else 1)
    assert trained.stat().st_size / figures["file_bytes"] > SMALLER.get(name, 0.5)
    state, about = archive.decode((tmp_path / "run" / run.FILE).read_bytes())
    assert about["method"] == name and state
    again = run.compress(name, trained if METHODS[name].trained else None, packed, tmp_path / "run", BUDGET)
    assert again == figures


@pytest.mark.slow
@pytest.mark.usefixtures("small_networks")
def test_onnx_answers_as_torch_does(trained: Path, packed: Path, tmp_path: Path) -> None:
    run.compress("fitnets", trained, packed, tmp_path / "run", BUDGET)
    faces = load(packed, "val")
    with np.load(tmp_path / "run" / "predictions_val.npz") as arrays:
        torch_answers = arrays["answers"]
    (logits,) = onnx_outputs(tmp_path / "run" / "network.onnx", centre_crops(faces.crops))
    np.testing.assert_array_equal(logits.argmax(axis=1), torch_answers)


@pytest.mark.slow
@pytest.mark.usefixtures("small_networks")
def test_bad_starts_are_refused(trained: Path, packed: Path, tmp_path: Path) -> None:
    with pytest.raises(InputError, match="starts from a trained"):
        run.compress("fitnets", None, packed, tmp_path / "a", BUDGET)
    with pytest.raises(InputError, match="leave the checkpoint out"):
        run.compress("xnor", trained, packed, tmp_path / "b", BUDGET)
    with pytest.raises(InputError, match="expected one of the methods vgg-s"):
        find("magic")
    run.compress("tensor-train", trained, packed, tmp_path / "tt", BUDGET)
    with pytest.raises(InputError, match="expected a plain"):
        run.compress("cp", tmp_path / "tt" / run.FILE, packed, tmp_path / "c", BUDGET)
    with pytest.raises(InputError, match="other settings"):
        run.compress("tensor-train", trained, packed, tmp_path / "tt", Budget(32))


def test_an_interrupted_method_goes_on_after_its_last_stage(
    packed: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    torch.manual_seed(0)
    first = StageTrainer(tmp_path, load(packed, "train"), BUDGET)
    net = first(nn.Sequential(nn.Flatten(), nn.Linear(96 * 96 * 3, 8)), 0.5)
    monkeypatch.setattr(training.loop, "fit", None)  # nothing may be trained again
    second = StageTrainer(tmp_path, load(packed, "train"), BUDGET)
    again = second(nn.Sequential(nn.Flatten(), nn.Linear(96 * 96 * 3, 8)), 0.5)
    assert torch.equal(net[1].weight, again[1].weight)
    assert second.ms_per_image == first.ms_per_image > 0


def test_the_same_batches_come_at_every_run(packed: Path) -> None:
    faces = load(packed, "train")
    one, other = (training.Batches(faces, BUDGET, 3, (0, 1, 2))[1] for _ in range(2))
    assert torch.equal(one["crops"], other["crops"])
    assert not torch.equal(one["crops"], training.Batches(faces, BUDGET, 3, (0, 1, 3))[1]["crops"])


def test_accuracy_counts_classes_alike() -> None:
    classes = np.array([0] * 9 + [1])
    assert balanced_accuracy(np.zeros(10, int), classes) == 50


def test_memory_of_a_training_step_by_hand() -> None:
    net = nn.Sequential(nn.Flatten(), nn.Linear(12, 8))
    x = torch.zeros(5, 3, 2, 2)
    trained, kept = 12 * 8 + 8, 5 * 12 + 5 * 8
    assert training_bytes(net, x) >= 4 * (4 * trained + 5 * 8)
    assert training_bytes(net, x) <= 4 * (4 * trained + kept) + 100
    net[1].weight.requires_grad_(False)
    assert training_bytes(net, x) < 4 * (4 * trained)


def test_the_loss_of_a_plain_network() -> None:
    net = nn.Sequential(nn.Flatten(), nn.Linear(12, 8))
    x, classes = torch.randn(4, 3, 2, 2), torch.arange(4)
    torch.testing.assert_close(cross_entropy(net, x, classes), nn.functional.cross_entropy(net(x), classes))
    assert network_input(torch.full((1, 2, 2, 3), 191, dtype=torch.uint8)).unique().item() == pytest.approx(
        0.992, abs=1e-3
    )


def test_rows_start_from_rows_before_them_and_pull_them_along() -> None:
    names = [row.name for row in study.ROWS]
    assert len(set(names)) == len(names)
    for place, row in enumerate(study.ROWS):
        assert METHODS[row.method].trained == bool(row.start)
        assert not row.start or row.start in names[:place]
    assert [row.name for row in study.select(["cp-*", "int8"])] == ["vgg-s", "cp-vgg-s", "int8"]
    assert study.select([]) == list(study.ROWS)
    with pytest.raises(InputError, match="no row matches"):
        study.select(["alexnet"])
    assert {row.method for row in study.ROWS} == set(methods.METHODS)


@pytest.mark.slow
@pytest.mark.usefixtures("small_networks")
def test_a_study_from_runs_to_page(packed: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(study.directions, "build", lambda data, labels, rendered, file: packed)
    monkeypatch.setattr(study, "PACKED", str(packed))
    monkeypatch.setattr(xnor, "SHAPES", {"a product": (2, 64, 3)})
    names = study.study(tmp_path, tmp_path, None, tmp_path / "runs", ["branchynet"], BUDGET)
    assert names == ["vgg-s", "branchynet"]
    times = json.loads((tmp_path / "runs" / "times.json").read_text())
    assert set(times["onnx_ms"]) == set(names) and all(ms > 0 for ms in times["onnx_ms"].values())
    page = report.report(tmp_path / "runs", tmp_path / "docs").read_text()
    assert "| VGG-S |" in page and "43.70 | 33.40 | 372.20 | 97.13" in page
    assert "not run: squeezenet" in page and "**BranchyNet**: " in page and "a product" in page
    assert (tmp_path / "docs" / "figures" / "compression-size.svg").is_file()
    assert (tmp_path / "docs" / "figures" / "compression-time.png").is_file()


def measured(name: str, accuracy: float, samples: int = 64, size: int = 100) -> conclusions.MeasuredRow:
    row = next(each for each in study.ROWS if each.name == name)
    rng, classes = np.random.default_rng(0), np.arange(400) % 8
    figures = {"network": "vgg-s", "samples": samples, "accuracy": accuracy, "file_bytes": size, "macs": 9}
    return conclusions.MeasuredRow(row, figures, 2.0, classes, rng.random(400) < accuracy / 100)


def test_rows_stand_against_the_same_training_again() -> None:
    names = {"vgg-s": 80.0, "vgg-s-longer": 85.0, "deep-compression": 84.0, "xnor": 66.0, "int8": 80.1}
    rows = {name: measured(name, each, samples=0 if name == "int8" else 64) for name, each in names.items()}
    found = {name: conclusions.baseline(row, rows) for name, row in rows.items()}
    assert found["deep-compression"] is rows["vgg-s-longer"]
    assert all(found[name] is rows["vgg-s"] for name in ("vgg-s-longer", "xnor", "int8"))
    del rows["vgg-s-longer"]
    assert conclusions.baseline(rows["deep-compression"], rows) is rows["vgg-s"]


def test_the_published_conclusions_get_figures() -> None:
    names = {"vgg-s": 80.0, "vgg-s-longer": 85.0, "deep-compression": 84.0, "xnor": 66.0, "binarynet": 79.0}
    rows = {name: measured(name, each, size=10 if name == "xnor" else 100) for name, each in names.items()}
    bits = {"a product": {"bits_ms": 1.0, "floats_ms": 14.0}}
    first, second, third = conclusions.conclusions(rows, bits)
    assert "XNOR-Net, 10.0 times smaller, 1.0 times as fast, -14.0 points (" in first
    assert "14 to 14 times as fast" in first
    assert second.endswith("Here: not run.") and "Deep Compression, 1.0 times smaller" in third
    assert "-1.0 points" in third
    lines = conclusions.notes(rows, {"vgg-s": 20.0, "xnor": 30.0})
    assert "BinaryNet 79.0 %, XNOR-Net 66.0 %" in lines[0] and "VGG-S 20.0, XNOR-Net 30.0" in lines[1]
    assert conclusions.notes({}, {}) == []


def test_a_report_of_nothing_is_refused(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="compress-study"):
        report.report(tmp_path, tmp_path / "docs")


def test_parts_that_few_inputs_reach_weigh_little(tmp_path: Path) -> None:
    (tmp_path / "result.json").write_text('{"exit_shares": [0.5, 0.25, 0.25]}')
    measured = {
        "b/network-0.onnx": 1.0,
        "b/network-1.onnx": 2.0,
        "b/network-2.onnx": 4.0,
        "a/network.onnx": 9.0,
    }
    assert study._mean_ms(tmp_path, "b", measured) == pytest.approx(1 + 0.5 * 2 + 0.25 * 4)


@pytest.mark.slow
def test_networks_take_turns(trained: Path) -> None:
    file = trained.parent / "network.onnx"
    times = onnx_ms({"a": file, "b": file.read_bytes()}, np.zeros((1, 96, 96, 3), np.uint8), rounds=3, warm=1)
    assert set(times) == {"a", "b"} and min(times.values()) > 0
