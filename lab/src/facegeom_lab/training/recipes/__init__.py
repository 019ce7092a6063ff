"""Recipes: one typed YAML file for each training; unknown keys are refused.

A recipe may begin with ``extends: NAME`` and then state only what differs. ``kind`` names its task, a key of
``facegeom_lab.training.trainers.TRAINERS``.
"""

from collections.abc import Mapping
from importlib.resources import files
from typing import Any, TypeVar, get_type_hints

import yaml

from facegeom.errors import InputError

Recipe = TypeVar("Recipe")


def names() -> list[str]:
    """List the recipes in the package."""
    folder = files("facegeom_lab.training.recipes")
    return sorted(item.name[: -len(".yaml")] for item in folder.iterdir() if item.name.endswith(".yaml"))


def kind(name: str) -> str:
    """Return the kind of a recipe.

    Raises:
        InputError: for an unknown recipe.
    """
    return str(values(name)["kind"])


def load(recipe_type: type[Recipe], name: str, **overrides: object) -> Recipe:
    """Load the recipe ``name`` as a ``recipe_type``, a dataclass.

    ``overrides`` that are not None replace its values.

    Raises:
        InputError: for an unknown recipe, an unknown or missing key, or a value of the wrong type.
    """
    chosen = values(name)
    chosen.pop("kind")
    chosen.update({key: value for key, value in overrides.items() if value is not None})
    known = get_type_hints(recipe_type)
    unknown = sorted(set(chosen) - set(known))
    if unknown:
        raise InputError(f"recipe {name}: unknown keys {unknown}; known are {sorted(known)}")
    missing = sorted(set(known) - set(chosen))
    if missing:
        raise InputError(f"recipe {name}: missing keys {missing}")
    for key, value in chosen.items():
        if not _fits(value, known[key]):
            raise InputError(f"recipe {name}: {key} must be {known[key].__name__}, got {value!r}")
    return recipe_type(**chosen)


def check_keys(name: str, overrides: Mapping[str, object]) -> None:
    """Refuse keys that the recipe has not: its file states every key, so nothing else need be imported.

    Raises:
        InputError: for an unknown recipe or key.
    """
    known = sorted(set(values(name)) - {"kind"})
    if unknown := sorted(set(overrides) - set(known)):
        raise InputError(f"recipe {name}: unknown keys {unknown}; known are {known}")


def values(name: str) -> dict[str, Any]:
    """Read all values of a recipe, those that it inherits among them, and its ``kind``.

    Raises:
        InputError: for an unknown recipe, or one without a kind.
    """
    source = files("facegeom_lab.training.recipes") / f"{name}.yaml"
    if not source.is_file():
        raise InputError(f"expected one of the recipes {', '.join(names())}, got {name!r}")
    own = yaml.safe_load(source.read_text(encoding="utf-8"))
    base = own.pop("extends", None)
    every = values(base) | own if base else own
    if "kind" not in every:
        raise InputError(f"recipe {name}: expected the key kind, the training that it is for")
    return every


def _fits(value: object, wanted: type) -> bool:
    if wanted is float:
        return isinstance(value, int | float) and not isinstance(value, bool)
    return isinstance(value, wanted) and (wanted is bool or not isinstance(value, bool))
