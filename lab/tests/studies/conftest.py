"""Run folders as trainings and their evaluation leave them, with invented learning curves and errors."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from facegeom_lab.datasets.schemes import SCHEMES
from facegeom_lab.evaluation.points import measure
from facegeom_lab.evaluation.run import Predictions, write_predictions, write_result

FACES = {"val": 40, "test": 60}
NETWORKS = {  # error of a point in pixels, parameters, multiply-adds, milliseconds
    "resnet18": (4.0, 11_200_000, 450_000_000, 14.0),
    "mobilenetv2": (3.9, 2_400_000, 80_000_000, 8.5),
    "efficientnetb0": (3.6, 4_200_000, 100_000_000, 15.0),
    "mobilenetv3": (4.1, 4_400_000, 60_000_000, 9.0),
    "mobilevit": (3.8, 5_000_000, 380_000_000, 22.0),
}
WING, WING_UNIT = 0.8, 0.9
ABLATIONS = {
    "no-warmup": 1.0,
    "frozen": 1.1,
    "not-pretrained": 1.3,
    "detector-only": 0.9,
    "no-rotation-colour": 1.05,
    "no-rotation-colour-jitter": 1.25,
}
NOTEBOOK = ("frozen", "detector-only", "no-rotation-colour", "no-rotation-colour-jitter")

WriteRuns = Callable[..., Path]


@pytest.fixture(scope="session")
def write_runs() -> WriteRuns:
    """Return a function that writes the run folders of the given names (all by default) into a folder."""
    return write_run_folders


def write_run_folders(root: Path, *names: str) -> Path:
    """Write all runs that a report can show, or those named."""
    for name, error_px in _errors().items():
        if not names or name in names:
            _write_landmarks(root / name, error_px)
    for name, result in _others().items():
        if not names or name in names:
            _recipe(root / name)
            recipe = name.split("-")[0] if name.startswith("body") else name
            write_result(root / name, {"recipe": recipe, **result})
    return root


def _errors() -> dict[str, float]:
    """Return the error of a point in pixels by the name of the run."""
    errors = {}
    for network, (pixels, *_) in NETWORKS.items():
        errors[f"landmarks106-{network}-mse"] = pixels
        errors[f"landmarks106-{network}-wing"] = pixels * WING
        errors[f"landmarks106-{network}-wing-unit"] = pixels * WING_UNIT
    base = errors["landmarks106-mobilenetv3-mse"]
    changes = ABLATIONS | {"notebook": 1.0} | {f"notebook-{name}": 1.1 for name in NOTEBOOK}
    errors |= {f"landmarks106-mobilenetv3-mse-{name}": base * factor for name, factor in changes.items()}
    return errors | {"heatmap68": 3.0, "dlib68": 4.6}


def _others() -> dict[str, dict[str, Any]]:
    upright, constant = {"mse": 3.1e-4, "nme_interocular": 0.051}, {"mse": 9e-4, "nme_interocular": 0.11}
    mesh = {"upright": upright, "constant": constant}
    about = {"backbone": "resnet18", "view": "close", "size_px": 96, "samples": 65536, "train_seconds": 60.0}
    return {
        "body-resnet18": mesh | about | {"val": upright},
        "mesh478-efficientnetv2b0": mesh,
        "keypoints14": {"error_100x100_val": 4.31, "error_100x100_afw": 6.72},
    }


def _write_landmarks(folder: Path, error_px: float) -> None:
    _recipe(folder)
    result: dict[str, Any] = {"recipe": folder.name}
    for split, count in FACES.items():
        stored = _predictions(folder.name, split, count, error_px * (1.5 if split == "test" else 1))
        write_predictions(folder, split, stored)
        result[split] = measure(stored.predicted, stored.truth, stored.scheme, stored.sizes_wh)
        result[split]["undetected"] = 2
    write_result(folder, result | _cost(folder.name))
    if folder.name.startswith("landmarks106"):
        _write_log(folder, error_px)


def _recipe(folder: Path) -> None:
    folder.mkdir(parents=True)
    (folder / "recipe.yaml").write_text(f"recipe: {folder.name}\nkind: landmarks\n")


def _predictions(name: str, split: str, count: int, error_px: float) -> Predictions:
    faces = np.random.default_rng(len(split))  # the same faces for all runs
    places = faces.uniform(80, 120, (count, 1, 2))
    truth = places + _template()[None] * faces.uniform(0.8, 1.2, (count, 1, 1))
    difficulty = faces.gamma(2.0, 0.5, (count, 1, 1))
    noise = np.random.default_rng([ord(letter) for letter in name]).normal(size=truth.shape)
    files = np.array([f"{split}/{index}.jpg" for index in range(count)])
    predicted = truth + noise * difficulty * error_px
    return Predictions(files, predicted, truth, np.full((count, 2), 200), "ibug68")


def _template() -> np.ndarray:
    """Draw points (68, 2) about a face's centre: each region is a small cloud."""
    places = {
        "eye_right": (-25, -15),
        "eye_left": (25, -15),
        "brow_right": (-25, -30),
        "brow_left": (25, -30),
    }
    rng = np.random.default_rng(0)
    points = np.zeros((68, 2))
    for region, indices in SCHEMES["ibug68"].regions.items():
        points[list(indices)] = np.array(places.get(region, (0, 25))) + rng.normal(0, 4, (len(indices), 2))
    points[36], points[45] = (-35, -15), (35, -15)
    return points


def _cost(name: str) -> dict[str, Any]:
    if name == "dlib68":
        return {"bytes": 46_000_000, "bytes_quantised": 5_500_000, "nme_quantised": 0.081, "cpu_ms": 1.3}
    network = name.split("-")[1] if "-" in name else ""
    _, parameters, macs, cpu_ms = NETWORKS.get(network, (0, 9_600_000, 1_400_000_000, 48.0))
    figures = {"parameters": parameters, "macs": macs, "cpu_ms": cpu_ms, "cpu_threads": 1, "gpu_ms": None}
    return figures | {"epochs": 30, "train_seconds": 3600.5, "samples": 90_450, "size_px": 112}


def _write_log(folder: Path, error_px: float) -> None:
    """Write the log of 30 epochs, interrupted in the twelfth and resumed."""
    rng = np.random.default_rng(1)
    lines = []
    for epoch in range(30):
        lr = 1e-5 + (1e-3 - 1e-5) * epoch / 3 if epoch < 3 else 1e-3 / 4 ** ((epoch - 3) // 6)
        loss, noise = 0.4 * np.exp(-epoch / 3) + 0.004 * error_px, rng.uniform(0.95, 1.05)
        nme = 0.02 * error_px + 0.3 * np.exp(-epoch / 4)
        lines.append(f"{epoch},{100 * epoch + 99},{loss:.6f},,,{lr:.8f}")
        lines.append(f"{epoch},{100 * epoch + 99},,{1.2 * loss * noise:.6f},{nme * noise:.6f},")
    for version, part in enumerate((lines[:24], lines[22:])):
        file = folder / "log" / f"version_{version}" / "metrics.csv"
        file.parent.mkdir(parents=True)
        file.write_text("\n".join(["epoch,step,train/loss,val/loss,val/nme,lr", *part, ""]))
