"""The page of the reproduction, of all runs and of one: its text and its figures."""

import hashlib
from collections.abc import Callable
from pathlib import Path

import pytest

from facegeom.errors import InputError, OutputError
from facegeom_lab.studies.reports import figures, reproduction
from facegeom_lab.studies.reports.published import load
from facegeom_lab.studies.reports.reproduction import expected, report, report_all
from facegeom_lab.studies.reports.style import log_scale, panels, render

WriteRuns = Callable[..., Path]
FIGURES = {
    *("3-02-learning-rate", "3-03-curves-resnet18", "3-04-curves-mobilenetv2", "3-05-curves-efficientnetb0"),
    *("3-06-curves-mobilenetv3", "3-08-curves-mobilevit", "3-09-error-against-cost", "3-10-losses"),
    *("3-11-curves-wing", "3-12-losses-compared", "error-distributions", "region-errors"),
}


@pytest.fixture(scope="module")
def whole(write_runs: WriteRuns, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Write the report of all runs."""
    root = tmp_path_factory.mktemp("report")
    return report([write_runs(root / "runs")], root / "out")


def test_all_figures_are_there(whole: Path) -> None:
    files = {file.name: file.stat().st_size for file in (whole.parent / "figures").iterdir()}
    assert set(files) == {f"{name}.{ending}" for name in FIGURES for ending in ("png", "svg")}
    assert min(files.values()) > 4000


def test_the_text_shows_them_all_and_nothing_is_missing(whole: Path) -> None:
    text = whole.read_text(encoding="utf-8")
    for name in FIGURES:
        assert f"(figures/{name}.png)](figures/{name}.svg)" in text
    assert "Not run" not in text and "not run" not in text
    for number in ("3.1 to 3.5", "3.6", "3.7"):
        assert f"## Table{'s' * (' to ' in number)} {number}" in text


def test_the_text_says_which_way_the_runs_point(whole: Path) -> None:
    lines = whole.read_text(encoding="utf-8").splitlines()
    said = {title: line for line in lines if line.startswith("- **") for title in [line.split("**")[1]]}
    assert len(said) == 6 + 1 + 4 + 5 + 5  # the notebook's four, two units of Wing
    assert said["not pretrained, no warm-up"].endswith("Published: +0.0093. The same direction.")
    assert said["box from the detector only"].endswith("**The opposite direction.**")
    assert said["no warm-up"].endswith("do not settle it.")
    assert "Published: +0.0108" in said["of these, no box jitter alone"]
    assert said["ResNet18, Wing instead of the squared error"].endswith("Better.")


def test_one_run_is_enough_and_the_rest_is_said_to_be_missing(write_runs: WriteRuns, tmp_path: Path) -> None:
    finished, begun = "keypoints14", "mesh478-efficientnetv2b0"
    root = write_runs(tmp_path / "runs", finished, begun)
    (root / begun / "result.json").unlink()
    (root / "body-resnet18").mkdir()
    (root / "body-resnet18" / "recipe.yaml").write_text("")  # nothing is ever measured of a body
    text = report([root], tmp_path / "out").read_text(encoding="utf-8")
    assert f"Without a result yet: {begun}." in text
    missing = [run for run in expected(load().landmarks) if run not in (finished, begun)]
    assert f"Not run: {', '.join(missing)}." in text
    assert "body-resnet18" not in text
    assert "*Figure 3.3: ResNet18, squared error*: no run for it." in text
    assert "- **no warm-up**: not run (landmarks106-mobilenetv3-mse-no-warmup" in text
    drawn = {file.stem for file in (tmp_path / "out" / "figures").iterdir()}
    assert drawn == {"3-09-error-against-cost", "3-10-losses", "3-12-losses-compared"}


def test_a_text_about_the_runs(write_runs: WriteRuns, tmp_path: Path) -> None:
    root, about = write_runs(tmp_path / "runs", "keypoints14"), tmp_path / "about.md"
    about.write_text("## What differs\n\nEverything: größer.\n", encoding="utf-8")
    text = report([root], tmp_path / "out", about).read_text(encoding="utf-8")
    assert text.index("# Reproduction") < text.index("größer.") < text.index("Not run")
    with pytest.raises(InputError, match=r"expected a Markdown text at .*none\.md"):
        report([root], tmp_path / "other", tmp_path / "none.md")
    assert not (tmp_path / "other").exists()


def test_a_drawn_again_figure_is_the_same_to_the_byte(tmp_path: Path) -> None:
    digests = []
    for name in ("first", "second"):
        assert render(figures.loss_functions, tmp_path, name)
        digests.append(
            [
                hashlib.sha256((tmp_path / f"{name}.{ending}").read_bytes()).hexdigest()
                for ending in ("png", "svg")
            ]
        )
    assert digests[0] == digests[1]


def test_nothing_to_draw_writes_nothing(tmp_path: Path) -> None:
    assert not render(lambda: None, tmp_path, "none")
    assert not list(tmp_path.iterdir())


def test_a_place_that_cannot_be_written_is_an_output_error(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(OutputError, match="cannot"):
        render(figures.loss_functions, tmp_path / "file", "losses")


def test_no_runs_are_an_input_error(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="found none"):
        report([tmp_path], tmp_path / "out")


@pytest.mark.parametrize(
    ("values", "scale"),
    [((0.1, 0.15), "linear"), ((0.0, 0.5), "linear"), ((0.1, 0.5), "log"), ((0.01, 5.0), "log")],
)
def test_logarithmic_axes_need_a_range_and_have_numbers(values: tuple[float, float], scale: str) -> None:
    _, (axes,) = panels(1)
    axes.plot(values)
    log_scale(axes, "y")
    assert axes.get_yscale() == scale
    low, high = axes.get_ylim()
    shown = [tick for tick in axes.yaxis.get_major_locator()() if low <= tick <= high]
    assert len(shown) >= 3


def test_one_command_writes_the_pages_of_all_studies(
    write_runs: WriteRuns, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    runs, out = write_runs(tmp_path / "runs", "keypoints14", "body-resnet18"), tmp_path / "docs"
    assert report_all([runs], out) == [out / "reproduction.md", out / "pretraining.md"]
    learned = (out / "pretraining.md").read_text()
    assert "| resnet18 | close | 96 | 65,536 |" in learned and "**Out of date**" in learned  # no stamp
    for place in ("pose-study/study.json", "compress/vgg-s/result.json"):
        (runs / place).parent.mkdir(parents=True)
        (runs / place).write_text("{}")
    for module, page in ((reproduction.pose_report, "p.md"), (reproduction.compression_report, "c.md")):
        monkeypatch.setattr(module, "report", lambda folder, out, page=page: out / page)
    assert [file.name for file in report_all([runs], out)][2:] == ["p.md", "c.md"]
