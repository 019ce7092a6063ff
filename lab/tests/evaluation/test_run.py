"""The files of a run folder, as a training leaves them, and damaged ones."""

from contextlib import suppress
from dataclasses import dataclass
from itertools import islice
from pathlib import Path

import numpy as np
import pytest
import torch
import yaml
from damage import mutations

from facegeom.errors import FacegeomError, InputError
from facegeom_lab.evaluation import run
from facegeom_lab.evaluation.run import RECIPE, read_recipe, save_recipe
from facegeom_lab.networks.checkpoint import network_from_checkpoint

FIRST = """epoch,step,train/loss,val/loss,lr
0,9,0.9,,
0,9,,0.8,
,10,,,0.001
1,19,0.7,0.6,
2,29,0.5,0.5,
"""
SECOND = """epoch,step,val/loss,train/loss
2,29,0.4,
2,29,,0.45
3,39,0.3,0.35
4,49,0.2"""


def log(folder: Path, version: int, text: str) -> Path:
    file = folder / "log" / f"version_{version}" / "metrics.csv"
    file.parent.mkdir(parents=True)
    file.write_text(text)
    return file


def test_later_versions_override_the_same_step(tmp_path: Path) -> None:
    log(tmp_path, 9, FIRST)
    log(tmp_path, 10, SECOND)  # later than 9, though not by the alphabet
    metrics = run.read_metrics(tmp_path)
    assert metrics["epoch"].tolist() == [0, 1, 2, 3]  # the last line of 10 was not written to its end
    assert metrics["train/loss"].tolist() == [0.9, 0.7, 0.45, 0.35]
    assert metrics["val/loss"].tolist() == [0.8, 0.6, 0.4, 0.3]
    np.testing.assert_array_equal(metrics["lr"], [np.nan, 0.001, np.nan, np.nan])


def test_a_run_without_a_log_has_no_curves(tmp_path: Path) -> None:
    assert run.read_metrics(tmp_path) == {}


@pytest.mark.parametrize(
    ("text", "message"),
    [("epoch,step\n0,a\n", "damaged"), ("epoch,loss\n0,1\n", "column step"), ("step\n1,2\n", "damaged")],
)
def test_damaged_logs_are_input_errors(tmp_path: Path, text: str, message: str) -> None:
    log(tmp_path, 0, text)
    with pytest.raises(InputError, match=message):
        run.read_metrics(tmp_path)


def test_a_version_without_a_number_is_an_input_error(tmp_path: Path) -> None:
    log(tmp_path, 0, FIRST).parent.rename(tmp_path / "log" / "version_old")
    with pytest.raises(InputError, match="version_N"):
        run.read_metrics(tmp_path)


def test_a_result_comes_back(tmp_path: Path) -> None:
    values = {"val": {"nme_box": np.float32(0.5), "regions": {"jaw": 0.25}}, "gpu_ms": None}
    run.write_result(tmp_path / "new", values | {"epochs": np.int64(3), "mean": np.ones(2)})
    assert run.read_result(tmp_path / "new") == {
        "val": {"nme_box": 0.5, "regions": {"jaw": 0.25}},
        "gpu_ms": None,
        "epochs": 3,
        "mean": [1.0, 1.0],
    }


def test_figures_as_a_table() -> None:
    values = {
        "recipe": "r",
        "val": {"nme": 0.0412345678, "regions": {"jaw": None}},
        "test": {"nme": 0.05},
        "macs": 12,
    }
    assert run.figures_table(values).splitlines() == [
        f"{'':32} {'val':>14} {'test':>14}",
        f"{'nme':32} {'0.041235':>14} {'0.05':>14}",
        f"{'regions.jaw':32} {'-':>14} {'-':>14}",
        f"{'recipe':32} r",
        f"{'macs':32} 12",
    ]


def test_what_json_cannot_say_is_refused(tmp_path: Path) -> None:
    with pytest.raises(FacegeomError, match="is NaN or infinite"):
        run.write_result(tmp_path, {"nme": float("nan")})
    with pytest.raises(TypeError, match="Path has no place"):
        run.write_result(tmp_path, {"file": tmp_path})
    assert not (tmp_path / run.RESULT).exists()


@pytest.mark.parametrize(("text", "message"), [("{", "damaged"), ("[1]", "expected an object")])
def test_damaged_results_are_input_errors(tmp_path: Path, text: str, message: str) -> None:
    (tmp_path / run.RESULT).write_text(text)
    with pytest.raises(InputError, match=message):
        run.read_result(tmp_path)


def test_predictions_come_back(tmp_path: Path) -> None:
    points = np.arange(12.0).reshape(2, 3, 2)
    stored = run.Predictions(np.array(["a", "b"]), points, points + 1, np.full((2, 2), 9), "celeba5")
    run.write_predictions(tmp_path, "val", stored)
    loaded = run.read_predictions(tmp_path, "val")
    assert loaded.scheme == "celeba5"
    for name in ("files", "predicted", "truth", "sizes_wh"):
        np.testing.assert_array_equal(getattr(loaded, name), getattr(stored, name))


def test_missing_files_say_how_to_make_them(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"result\.json is missing; make it with: facegeom lab evaluate"):
        run.read_result(tmp_path)
    with pytest.raises(InputError, match=r"predictions_test\.npz is missing"):
        run.read_predictions(tmp_path, "test")


def test_damaged_predictions_are_input_errors(tmp_path: Path) -> None:
    np.savez(run.predictions_file(tmp_path, "val"), files=["a"])
    with pytest.raises(InputError, match="damaged"):
        run.read_predictions(tmp_path, "val")
    run.predictions_file(tmp_path, "test").write_bytes(b"PK\x03\x04 torn")
    with pytest.raises(InputError, match="damaged"):
        run.read_predictions(tmp_path, "test")


@dataclass(frozen=True)
class Settings:
    """Of some training."""

    loss: str = "wing"
    rate: float = 1e-6
    batch: int = 16
    fast: bool = False


def test_settings_come_back(tmp_path: Path) -> None:
    folder = tmp_path / "runs" / "one"
    save_recipe(folder, "one", "small", Settings())
    assert read_recipe(folder) == {
        **{"recipe": "one", "kind": "small"},
        **{"loss": "wing", "rate": 1e-6, "batch": 16, "fast": False},
    }
    assert (folder / RECIPE).read_text().startswith("recipe: one\nkind: small\nloss: wing\n")


def test_a_run_goes_on_with_the_same_settings_alone(tmp_path: Path) -> None:
    save_recipe(tmp_path, "one", "small", Settings())
    save_recipe(tmp_path, "one", "small", Settings())
    before = (tmp_path / RECIPE).read_bytes()
    with pytest.raises(InputError, match=r"run with other settings \(batch, loss\); give another folder"):
        save_recipe(tmp_path, "one", "small", Settings(loss="mse", batch=8))
    with pytest.raises(InputError, match=r"other settings \(kind, recipe\)"):
        save_recipe(tmp_path, "two", "large", Settings())
    assert (tmp_path / RECIPE).read_bytes() == before


def test_settings_that_came_or_went_count_too(tmp_path: Path) -> None:
    save_recipe(tmp_path, "one", "small", Settings())
    values = read_recipe(tmp_path)
    values["depth"] = values.pop("batch")
    (tmp_path / RECIPE).write_text(yaml.safe_dump(values))
    with pytest.raises(InputError, match=r"other settings \(batch, depth\)"):
        save_recipe(tmp_path, "one", "small", Settings())


def test_no_run(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"a run of `facegeom lab train` in .*, but recipe\.yaml is missing"):
        read_recipe(tmp_path)


@pytest.mark.parametrize("text", ["", "recipe: one\n", "- recipe\n- kind\n", "recipe: [one\n", "\x00"])
def test_a_damaged_run(tmp_path: Path, text: str) -> None:
    (tmp_path / RECIPE).write_text(text)
    with pytest.raises(InputError, match=r"keys recipe and kind in .*recipe\.yaml; it is damaged"):
        read_recipe(tmp_path)
    with pytest.raises(InputError, match="it is damaged"):
        save_recipe(tmp_path, "one", "small", Settings())


def test_damaged_yaml_gives_settings_or_an_error_of_facegeom(tmp_path: Path) -> None:
    text = yaml.safe_dump({"recipe": "face", "kind": "face", "steps": 10, "weights": {"mesh": [1.0, 2.0]}})
    for _, data in islice(mutations({RECIPE: text.encode()}, 0), 300):
        (tmp_path / RECIPE).write_bytes(data)
        with suppress(FacegeomError):
            assert {"recipe", "kind"} <= read_recipe(tmp_path).keys()


def test_damaged_checkpoints_give_a_network_or_an_error_of_facegeom(tmp_path: Path) -> None:
    net, file = torch.nn.Linear(3, 2), tmp_path / "last.ckpt"
    torch.save({"state_dict": {f"net.{name}": value for name, value in net.state_dict().items()}}, file)
    network_from_checkpoint(file, torch.nn.Linear(3, 2))
    for _, data in islice(mutations({"a": file.read_bytes()}, 0), 300):
        file.write_bytes(data)
        with suppress(FacegeomError):
            network_from_checkpoint(file, torch.nn.Linear(3, 2))
