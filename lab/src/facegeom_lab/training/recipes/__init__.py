"""Recipes: one typed YAML file for each training; unknown keys are refused.

A recipe may begin with ``extends: NAME`` and then state only what differs. ``kind`` names its task, a key of
``facegeom_lab.training.trainers.TRAINERS``.
"""

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
    return str(_values(name)["kind"])


def load(recipe_type: type[Recipe], name: str, **overrides: object) -> Recipe:
    """Load the recipe ``name`` as a ``recipe_type``, a dataclass.

    ``overrides`` that are not None replace its values.

    Raises:
        InputError: for an unknown recipe, an unknown or missing key, or a value of the wrong type.
    """
    values = _values(name)
    values.pop("kind")
    values.update({key: value for key, value in overrides.items() if value is not None})
    known = get_type_hints(recipe_type)
    unknown = sorted(set(values) - set(known))
    if unknown:
        raise InputError(f"recipe {name}: unknown keys {unknown}; known are {sorted(known)}")
    missing = sorted(set(known) - set(values))
    if missing:
        raise InputError(f"recipe {name}: missing keys {missing}")
    for key, value in values.items():
        if not _fits(value, known[key]):
            raise InputError(f"recipe {name}: {key} must be {known[key].__name__}, got {value!r}")
    return recipe_type(**values)


def _values(name: str) -> dict[str, Any]:
    source = files("facegeom_lab.training.recipes") / f"{name}.yaml"
    if not source.is_file():
        raise InputError(f"expected one of the recipes {', '.join(names())}, got {name!r}")
    values = yaml.safe_load(source.read_text(encoding="utf-8"))
    base = values.pop("extends", None)
    values = _values(base) | values if base else values
    if "kind" not in values:
        raise InputError(f"recipe {name}: expected the key kind, the training that it is for")
    return values


def _fits(value: object, wanted: type) -> bool:
    if wanted is float:
        return isinstance(value, int | float) and not isinstance(value, bool)
    return isinstance(value, wanted) and (wanted is bool or not isinstance(value, bool))
