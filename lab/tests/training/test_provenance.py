"""Where figures come from: stamps of runs, and pages that would tell of runs older than today's recipes."""

import json
import re
from pathlib import Path
from typing import Any

import pytest

from facegeom.errors import InputError
from facegeom_lab.training import provenance
from facegeom_lab.training.provenance import (
    DETECTORS,
    current_hash,
    lines_of,
    page_lines,
    recipe_stamp,
    stamp,
)

DOCS = Path(__file__).parents[3] / "docs"
PAGES = ("reproduction.md", "pretraining.md", "pose-study.md", "compression.md", "experiments.md")
"""Pages of figures that the studies write, and those of the eight-bit networks."""


def stamps_on(page: str) -> list[dict[str, Any]]:
    """Return the stamps in the comments of a page."""
    return [json.loads(found) for found in re.findall(r"<!-- figures of (\{.*\}) -->", page)]


@pytest.mark.parametrize("page", [name for name in PAGES if (DOCS / name).is_file()])
def test_a_page_of_figures_is_of_todays_recipes_or_says_that_it_is_not(page: str) -> None:
    text = (DOCS / page).read_text(encoding="utf-8")
    stamps = stamps_on(text)
    assert stamps, f"{page} must say commit and date of its runs; write it by its report command"
    for about in stamps:
        if about["stale"]:
            assert "**Out of date**" in text and all(commit in text for commit in about["commits"])
            continue
        changed = [key for key, value in about["hashes"].items() if current_hash(key) != value]
        assert about["hashes"] and not changed, (
            f"{page} shows runs of commit {about['commits']}, and {', '.join(changed)} have changed since: "
            "run them again, or write the page again by its report command, which then says so"
        )


def test_every_page_of_a_study_is_looked_at() -> None:
    studies = Path(provenance.__file__).parents[1] / "studies"
    written = {
        name
        for file in studies.rglob("report*.py")
        for name in re.findall(r'"([a-z-]+\.md)"', file.read_text(encoding="utf-8"))
    } | {"reproduction.md", "pretraining.md"}
    assert written - {"depth.md", "report.md"} <= set(PAGES)


def test_a_stamp_of_a_recipe() -> None:
    about = recipe_stamp("fpnet")
    assert set(about["hashes"]) == {"recipe fpnet", *DETECTORS}
    assert re.fullmatch(r"\d{4}-\d\d-\d\d", about["date"]) and re.fullmatch(
        r"([0-9a-f]{10}\+?)?", about["commit"]
    )
    assert all(re.fullmatch("[0-9a-f]{12}", value) for value in about["hashes"].values())


def test_hashes_follow_what_they_name(monkeypatch: pytest.MonkeyPatch) -> None:
    before = current_hash("recipe fpnet-published")
    assert (
        before != current_hash("recipe fpnet")
        and current_hash("recipe none") == current_hash("weights x") == ""
    )
    assert current_hash("code keypoints14/task.py") != current_hash("code keypoints14")
    values = provenance.recipes.values
    monkeypatch.setattr(provenance.recipes, "values", lambda name: values(name) | {"batch": 65})
    assert current_hash("recipe fpnet-published") != before
    with pytest.raises(InputError, match="expected recipe, weights or code and a name, got 'poem x'"):
        current_hash("poem x")


def test_a_page_of_todays_runs(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(provenance, "commit", lambda: "0123456789")
    one, other = stamp(["recipe fpnet"]), stamp(["recipe body"]) | {"date": "2026-01-02"}
    text = page_lines({"a": one | {"date": "2026-01-01"}, "b": other})
    assert text.startswith("Runs of 2026-01-01 to 2026-01-02, commit 0123456789.\n<!-- figures of {")
    (about,) = stamps_on(text)
    assert not about["stale"] and set(about["hashes"]) == {"recipe fpnet", "recipe body"}


def test_a_page_of_older_runs_says_so() -> None:
    changed = stamp(["recipe fpnet"])
    changed["hashes"]["recipe fpnet"] = "0" * 12
    text = page_lines({"a": changed, "b": {}})
    assert "**Out of date**" in text and "recipe fpnet" in text and "b (a run without a stamp)" in text
    assert stamps_on(text)[0]["stale"]
    nothing = lines_of({"commits": [], "dates": [], "hashes": {}, "stale": ""})
    assert nothing.startswith("Runs of unknown dates, commit unknown.")
