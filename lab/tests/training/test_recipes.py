"""Recipes: those that ship fit their types and say what was published; everything else is refused."""

from dataclasses import asdict, dataclass
from importlib import import_module
from pathlib import Path

import pytest

from facegeom.errors import InputError
from facegeom_lab.training import recipes
from facegeom_lab.training.tasks.face import FaceRecipe
from facegeom_lab.training.tasks.landmarks import LandmarksRecipe
from facegeom_lab.training.trainers import TRAINERS

PUBLISHED = {
    "pretrained": "hub",
    "frozen_blocks": 0,
    "wing_width": 15,
    "wing_curvature": 3,
    "size_px": 224,
    "margin": 0.1,
    "truth_share": 0.5,
    "jitter": 0.05,
    "turn_deg": 35,
    "batch": 16,
    "learning_rate": 1e-3,
    "warmup_from": 1e-5,
    "warmup_epochs": 3,
    "patience": 4,
    "factor": 0.25,
    "stop_at_rate": 1e-6,
}
BACKBONES = ("resnet18", "mobilenetv2", "efficientnetb0", "mobilenetv3", "mobilevit")
ABLATIONS: dict[str, dict[str, object]] = {
    "no-warmup": {"warmup_epochs": 0},
    "frozen": {"frozen_blocks": 3},
    "not-pretrained": {"pretrained": "none", "warmup_epochs": 0},
    "detector-only": {"truth_share": 0},
    "no-rotation-colour": {"turn_deg": 0, "colour": 0},
    "no-rotation-colour-jitter": {"turn_deg": 0, "colour": 0, "jitter": 0},
}


NOTEBOOK: dict[str, dict[str, object]] = {
    "frozen": {"frozen_blocks": 2, "live_statistics": True},
    "detector-only": {"truth_share": 0},
    "no-rotation-colour": {"turn_deg": 0, "colour": 0},
    "no-rotation-colour-jitter": {"turn_deg": 0, "colour": 0, "jitter": 0},
}


@pytest.mark.parametrize("name", recipes.names())
def test_every_recipe_fits_its_kind(name: str) -> None:
    assert recipes.kind(name) in TRAINERS
    module, recipe_type = TRAINERS[recipes.kind(name)]
    recipe = recipes.load(getattr(import_module(module), recipe_type), name)
    assert all(isinstance(value, (int, float, str, list)) for value in asdict(recipe).values())


@pytest.mark.parametrize("loss", ["mse", "wing", "wing-unit"])
@pytest.mark.parametrize("backbone", BACKBONES)
def test_key_points_as_published(backbone: str, loss: str) -> None:
    values = asdict(recipes.load(LandmarksRecipe, f"landmarks106-{backbone}-{loss}"))
    assert values.items() >= (PUBLISHED | {"backbone": backbone, "loss": loss}).items()
    assert values["colour"] > 0


@pytest.mark.parametrize("name", ABLATIONS)
def test_what_the_ablations_do_otherwise(name: str) -> None:
    plain = asdict(recipes.load(LandmarksRecipe, "landmarks106-mobilenetv3-mse"))
    changed = asdict(recipes.load(LandmarksRecipe, f"landmarks106-mobilenetv3-mse-{name}"))
    assert {key: value for key, value in changed.items() if value != plain[key]} == ABLATIONS[name]


def test_no_other_key_point_recipes() -> None:
    names = [name for name in recipes.names() if recipes.kind(name) == "landmarks"]
    assert len(names) == len(BACKBONES) * 3 + len(ABLATIONS) + 1 + len(NOTEBOOK)


@pytest.mark.parametrize("name", NOTEBOOK)
def test_what_the_notebook_does_otherwise(name: str) -> None:
    as_is = "landmarks106-mobilenetv3-mse"
    plain = asdict(recipes.load(LandmarksRecipe, as_is))
    changed = asdict(recipes.load(LandmarksRecipe, f"{as_is}-notebook{name and '-'}{name}"))
    expected = {"jitter": 0.15, "detector": "hog"} | NOTEBOOK[name]
    assert {key: value for key, value in changed.items() if value != plain[key]} == expected


def test_overrides() -> None:
    plain = recipes.load(FaceRecipe, "face")
    changed = recipes.load(FaceRecipe, "face", steps=7, learning_rate=1, batch=None)
    assert (changed.steps, changed.learning_rate, changed.batch) == (7, 1, plain.batch)


def test_unknown_recipe() -> None:
    for ask in (recipes.kind, lambda name: recipes.load(FaceRecipe, name)):
        with pytest.raises(InputError, match=r"expected one of the recipes 6drepnet, body, .*, got 'onet'"):
            ask("onet")


def test_unknown_key() -> None:
    with pytest.raises(InputError, match=r"unknown keys \['step'\]; known are .*'steps'"):
        recipes.load(FaceRecipe, "face", step=7)
    with pytest.raises(InputError, match="unknown keys"):
        recipes.load(FaceRecipe, "detector")


@pytest.mark.parametrize(
    ("key", "value"),
    [
        *(("batch", 1.5), ("batch", "7"), ("batch", True), ("seed", [1])),
        *(("learning_rate", "fast"), ("learning_rate", False)),
        *(("loss", 1), ("loss", True)),
    ],
)
def test_wrong_type(key: str, value: object) -> None:
    with pytest.raises(InputError, match=f"{key} must be (int|float|str), got"):
        recipes.load(LandmarksRecipe, "landmarks106-mobilenetv3-mse", **{key: value})


@dataclass(frozen=True)
class LargerRecipe(FaceRecipe):
    """Asks for a key that the file lacks."""

    heads: int


def test_missing_key() -> None:
    with pytest.raises(InputError, match=r"missing keys \['heads'\]"):
        recipes.load(LargerRecipe, "face")


@dataclass(frozen=True)
class Small:
    """Of the files below."""

    size: int
    share: float
    fast: bool


@pytest.fixture
def book(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Replace the package's recipes by a folder."""
    (tmp_path / "plain.yaml").write_text("kind: small\nsize: 3\nshare: 0.5\nfast: true\n")
    (tmp_path / "half.yaml").write_text("extends: plain\nshare: 0.25\n")
    (tmp_path / "quarter.yaml").write_text("extends: half\nsize: 1\nfast: false\n")
    monkeypatch.setattr(recipes, "files", lambda package: tmp_path)
    return tmp_path


def test_a_recipe_states_what_differs(book: Path) -> None:
    assert recipes.names() == ["half", "plain", "quarter"]
    assert recipes.load(Small, "half") == Small(3, 0.25, True)
    assert recipes.load(Small, "quarter") == Small(1, 0.25, False)
    assert {recipes.kind(name) for name in recipes.names()} == {"small"}


def test_a_bool_is_no_number_and_a_number_no_bool(book: Path) -> None:
    for key, value in (("size", True), ("share", True), ("fast", 1)):
        with pytest.raises(InputError, match=f"recipe half: {key} must be (int|float|bool), got {value}"):
            recipes.load(Small, "half", **{key: value})


def test_faulty_files(book: Path) -> None:
    (book / "kindless.yaml").write_text("size: 3\n")
    with pytest.raises(InputError, match="recipe kindless: expected the key kind"):
        recipes.kind("kindless")
    (book / "orphan.yaml").write_text("extends: nobody\n")
    with pytest.raises(InputError, match="got 'nobody'"):
        recipes.load(Small, "orphan")
