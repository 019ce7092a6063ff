"""What a run folder says about itself: ``recipe.yaml``."""

from dataclasses import asdict
from pathlib import Path
from typing import Any

import yaml

from facegeom.errors import InputError
from facegeom.export.files import write

RECIPE = "recipe.yaml"


def save_recipe(out: Path, name: str, kind: str, recipe: Any) -> None:
    """Write ``out/recipe.yaml``, or check that a run that goes on has the same recipe.

    Raises:
        InputError: the folder holds the run of another recipe, or a damaged one.
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
    """The settings of a run, with its ``recipe`` and ``kind``.

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
