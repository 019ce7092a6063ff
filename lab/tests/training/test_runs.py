"""What a run folder says about itself."""

from dataclasses import dataclass
from pathlib import Path

import pytest
import yaml

from facegeom.errors import InputError
from facegeom_lab.training.runs import RECIPE, read_recipe, save_recipe


@dataclass(frozen=True)
class Settings:
    """Of some training."""

    loss: str = "wing"
    rate: float = 1e-6
    batch: int = 16
    fast: bool = False


def test_settings_come_back(tmp_path: Path) -> None:
    run = tmp_path / "runs" / "one"
    save_recipe(run, "one", "small", Settings())
    assert read_recipe(run) == {
        **{"recipe": "one", "kind": "small"},
        **{"loss": "wing", "rate": 1e-6, "batch": 16, "fast": False},
    }
    assert (run / RECIPE).read_text().startswith("recipe: one\nkind: small\nloss: wing\n")


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
