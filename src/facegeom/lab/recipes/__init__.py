"""Recipes: one YAML file for each thing that the laboratory makes, typed, unknown keys refused."""

from importlib.resources import files
from typing import TypeVar, get_type_hints

import yaml

from facegeom.errors import InputError

Recipe = TypeVar("Recipe")


def names() -> list[str]:
    """The recipes that come with the package."""
    folder = files("facegeom.lab.recipes")
    return sorted(item.name[: -len(".yaml")] for item in folder.iterdir() if item.name.endswith(".yaml"))


def load(kind: type[Recipe], name: str, **overrides: object) -> Recipe:
    """The recipe ``name`` as a ``kind`` (a dataclass); ``overrides`` that are not None replace its values.

    Raises:
        InputError: for an unknown recipe, an unknown or missing key, or a value of the wrong type.
    """
    source = files("facegeom.lab.recipes") / f"{name}.yaml"
    if not source.is_file():
        raise InputError(f"expected one of the recipes {', '.join(names())}, got {name!r}")
    values = yaml.safe_load(source.read_text(encoding="utf-8"))
    values.update({key: value for key, value in overrides.items() if value is not None})
    known = get_type_hints(kind)
    unknown = sorted(set(values) - set(known))
    if unknown:
        raise InputError(f"recipe {name}: unknown keys {unknown}; known are {sorted(known)}")
    missing = sorted(set(known) - set(values))
    if missing:
        raise InputError(f"recipe {name}: missing keys {missing}")
    for key, value in values.items():
        wanted = known[key]
        if not isinstance(value, wanted) and not (wanted is float and isinstance(value, int)):
            raise InputError(f"recipe {name}: {key} must be {wanted.__name__}, got {value!r}")
    return kind(**values)
