"""Recipes: those that ship fit their types; everything else is refused."""

from dataclasses import asdict, dataclass

import pytest

from facegeom.errors import InputError
from facegeom.lab import recipes
from facegeom.lab.tasks.detector import DetectorRecipe
from facegeom.lab.tasks.face import FaceRecipe

KINDS = {"detector": DetectorRecipe, "face": FaceRecipe}


def test_every_recipe_has_its_kind() -> None:
    assert recipes.names() == sorted(KINDS)


@pytest.mark.parametrize("name", KINDS)
def test_recipes_that_ship(name: str) -> None:
    recipe = recipes.load(KINDS[name], name)
    assert all(isinstance(value, (int, float)) and value > 0 for value in asdict(recipe).values())


def test_overrides() -> None:
    plain = recipes.load(FaceRecipe, "face")
    changed = recipes.load(FaceRecipe, "face", steps=7, learning_rate=1, batch=None)
    assert (changed.steps, changed.learning_rate, changed.batch) == (7, 1, plain.batch)


def test_unknown_recipe() -> None:
    with pytest.raises(InputError, match="expected one of the recipes detector, face, got 'body'"):
        recipes.load(FaceRecipe, "body")


def test_unknown_key() -> None:
    with pytest.raises(InputError, match=r"unknown keys \['step'\]; known are .*'steps'"):
        recipes.load(FaceRecipe, "face", step=7)
    with pytest.raises(InputError, match="unknown keys"):
        recipes.load(FaceRecipe, "detector")


@pytest.mark.parametrize(
    ("key", "value"), [("steps", 1.5), ("steps", "7"), ("learning_rate", "fast"), ("seed", [1])]
)
def test_wrong_type(key: str, value: object) -> None:
    with pytest.raises(InputError, match=f"{key} must be (int|float), got"):
        recipes.load(FaceRecipe, "face", **{key: value})


@dataclass(frozen=True)
class LargerRecipe(FaceRecipe):
    """Asks for a key that the file lacks."""

    heads: int


def test_missing_key() -> None:
    with pytest.raises(InputError, match=r"missing keys \['heads'\]"):
        recipes.load(LargerRecipe, "face")
