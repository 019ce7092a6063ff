"""Files of a run folder: recipe, learning curves, predictions, results."""

import csv
import json
from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any
from zipfile import BadZipFile

import numpy as np
import yaml

from facegeom.errors import FacegeomError, InputError
from facegeom.export.files import write
from facegeom_lab.datasets.schemes import SCHEMES
from facegeom_lab.evaluation import points
from facegeom_lab.files import save_npz

RECIPE, RESULT = "recipe.yaml", "result.json"


def save_recipe(out: Path, name: str, kind: str, recipe: Any) -> None:
    """Write ``out/recipe.yaml``, or check that a resumed run has the same recipe.

    Raises:
        InputError: the folder holds a run of another recipe, or a damaged one.
    """
    values = {"recipe": name, "kind": kind, **asdict(recipe)}
    file = out / RECIPE
    if file.exists():
        before = read_recipe(out)
        changed = sorted(key for key in {*before, *values} if before.get(key) != values.get(key))
        if changed:
            raise InputError(
                f"{out} holds a run with other settings ({', '.join(changed)}); give another folder with -o, "
                "or remove that one"
            )
    write(file, yaml.safe_dump(values, sort_keys=False).encode())


def read_recipe(run: Path) -> dict[str, Any]:
    """Read the settings of a run, with its ``recipe`` and ``kind``.

    Raises:
        InputError: the folder holds no run, or a damaged one.
    """
    file = run / RECIPE
    if not file.is_file():
        raise InputError(f"expected a run of `facegeom lab train` in {run}, but {RECIPE} is missing there")
    damaged = f"expected the keys recipe and kind in {file}; it is damaged"
    try:
        values = yaml.safe_load(file.read_text(encoding="utf-8"))
    except (yaml.YAMLError, UnicodeDecodeError) as error:
        raise InputError(f"{damaged}: {error}") from error
    if not isinstance(values, dict) or not {"recipe", "kind"} <= set(values):
        raise InputError(damaged)
    return values


@dataclass(frozen=True, eq=False)
class Predictions:
    """Predictions of a network for a split, and the ground truth.

    Attributes:
        files: (F,) names of the faces, each once.
        predicted: (F, K, 2 or 3) pixels of the images.
        truth: like ``predicted``, NaN where not annotated.
        sizes_wh: (F, 2) width and height of the images, pixels.
        scheme: name of the point scheme.
    """

    files: np.ndarray
    predicted: np.ndarray
    truth: np.ndarray
    sizes_wh: np.ndarray
    scheme: str

    def measure(self) -> dict[str, Any]:
        """Measure the predictions; see :func:`facegeom_lab.evaluation.points.measure`."""
        return points.measure(self.predicted, self.truth, self.scheme, self.sizes_wh)

    def errors(self) -> dict[str, dict[str, float]]:
        """Return the error of each face, by normalising length and name; faces without one are left out."""
        lengths = points.scales(self.truth, SCHEMES[self.scheme])
        found = {key: points.face_errors(self.predicted, self.truth, each) for key, each in lengths.items()}
        return {
            key: {
                name: round(error, 6)
                for name, error in zip(self.files.tolist(), errors.tolist(), strict=True)
                if not np.isnan(error)
            }
            for key, errors in found.items()
        }


def predictions_file(run: Path, split: str) -> Path:
    """Return the path of the predictions for a split."""
    return run / f"predictions_{split}.npz"


def errors_file(run: Path, split: str) -> Path:
    """Return the path of the faces' errors for a split: what the reports need of the predictions."""
    return run / f"errors_{split}.json"


def write_predictions(run: Path, split: str, predictions: Predictions) -> None:
    """Write ``predictions_SPLIT.npz`` and ``errors_SPLIT.json``; OutputError when that is impossible."""
    arrays = {name: np.asarray(value) for name, value in vars(predictions).items()}
    save_npz(predictions_file(run, split), **arrays)
    write_result(run, predictions.errors(), errors_file(run, split).name)


def read_predictions(run: Path, split: str) -> Predictions:
    """Read ``predictions_SPLIT.npz``.

    Raises:
        InputError: the file is missing or damaged.
    """
    file = predictions_file(run, split)
    _expect(file, f"facegeom lab evaluate {run}")
    try:
        with np.load(file) as arrays:
            parts = {name: arrays[name] for name in Predictions.__dataclass_fields__}
    except (ValueError, KeyError, OSError, BadZipFile) as error:
        raise InputError(f"{file} is damaged ({error}); delete it and evaluate the run again") from error
    return Predictions(**parts | {"scheme": str(parts["scheme"])})


def write_result(run: Path, values: dict[str, Any], name: str = RESULT) -> None:
    """Write ``result.json`` or a file like it atomically; NumPy numbers become plain ones.

    Raises:
        OutputError: the file cannot be written.
        FacegeomError: a figure is NaN or infinite; None stands for none.
    """
    try:
        text = json.dumps(values, indent=2, allow_nan=False, default=_plain)
    except ValueError as error:
        raise FacegeomError(
            f"a figure of {run} is NaN or infinite: the training diverged, or no face has that figure"
        ) from error
    write(run / name, (text + "\n").encode())


def figures_table(values: Mapping[str, Any]) -> str:
    """Return the figures of a result as text: a line for each, with a column for each split that has it."""
    parts: dict[str, dict[str, Any]] = {"": {}}
    for name, value in values.items():
        if isinstance(value, dict):
            parts[name] = dict(_flat(value))
        else:
            parts[""][name] = value
    whole = [f"{name:32} {_text(value)}" for name, value in parts.pop("").items()]
    keys = dict.fromkeys(key for part in parts.values() for key in part)
    rows = [["", *parts], *([key, *(_text(part.get(key)) for part in parts.values())] for key in keys)]
    lines = [f"{row[0]:32} " + " ".join(f"{cell:>14}" for cell in row[1:]) for row in rows if parts]
    return "\n".join(line.rstrip() for line in [*lines, *whole])


def _flat(values: Mapping[str, Any], before: str = "") -> Iterator[tuple[str, Any]]:
    for name, value in values.items():
        if isinstance(value, dict):
            yield from _flat(value, f"{before}{name}.")
        else:
            yield f"{before}{name}", value


def _text(value: object) -> str:
    if isinstance(value, list | tuple):
        return " ".join(map(_text, value))
    is_number = isinstance(value, float | np.floating)
    return "-" if value is None else f"{value:.5g}" if is_number else str(value)


def read_result(run: Path, name: str = RESULT, command: str = "evaluate") -> dict[str, Any]:
    """Read the figures of a run, as ``facegeom lab COMMAND`` wrote them.

    Raises:
        InputError: the run has no result yet, or a damaged one.
    """
    file = run / name
    _expect(file, f"facegeom lab {command} {run}")
    try:
        result = json.loads(file.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise InputError(f"{file} is damaged ({error}); {command} the run again") from error
    if not isinstance(result, dict):
        raise InputError(f"expected an object of figures in {file}, got {type(result).__name__}")
    return result


def read_metrics(run: Path) -> dict[str, np.ndarray]:
    """Read the learning curves of a run: one row per epoch, the last value logged in it.

    Every start of a training logs to a new version (``log/version_N/metrics.csv``); where several have
    logged the same step, the latest version counts.

    Returns:
        ``epoch`` (E,) ascending and the logged columns (E,), NaN where an epoch has no value. Empty when
        nothing was logged.

    Raises:
        InputError: a log is damaged.
    """
    steps: dict[int, dict[str, float]] = {}
    for file in sorted(run.glob("log/version_*/metrics.csv"), key=_version):
        for row in _rows(file):
            steps.setdefault(int(row["step"]), {}).update(row)
    epochs = _by_epoch([steps[step] for step in sorted(steps)])
    columns = dict.fromkeys(name for row in epochs for name in row)
    return {name: np.array([row.get(name, np.nan) for row in epochs]) for name in columns}


def _by_epoch(steps: list[dict[str, float]]) -> list[dict[str, float]]:
    """Merge rows of ascending steps by epoch; a row without an epoch belongs to the next one."""
    epochs: dict[float, dict[str, float]] = {}
    pending: dict[str, float] = {}
    for row in steps:
        if "epoch" in row:
            epochs.setdefault(row["epoch"], {}).update(pending | row)
            pending = {}
        else:
            pending |= row
    return [epochs[epoch] for epoch in sorted(epochs)]


def _version(file: Path) -> int:
    try:
        return int(file.parent.name.removeprefix("version_"))
    except ValueError as error:
        raise InputError(f"expected a folder version_N with a number N, got {file.parent}") from error


def _rows(file: Path) -> list[dict[str, float]]:
    """Return the filled cells of each row, without an unfinished last line."""
    try:
        lines = file.read_text(encoding="utf-8").splitlines(keepends=True)
        whole = [line for line in lines if line.endswith("\n")]
        rows = [{name: float(cell) for name, cell in row.items() if cell} for row in csv.DictReader(whole)]
    except (OSError, ValueError, TypeError) as error:
        raise InputError(f"the log {file} is damaged ({error}); remove it to go without") from error
    if any("step" not in row for row in rows):
        raise InputError(f"expected the column step filled in every row of {file}")
    return rows


def _expect(file: Path, command: str) -> None:
    if not file.is_file():
        raise InputError(f"{file} is missing; make it with: {command}")


def _plain(value: object) -> object:
    if isinstance(value, np.generic | np.ndarray):
        return value.tolist()
    raise TypeError(f"{type(value).__name__} has no place in {RESULT}")
