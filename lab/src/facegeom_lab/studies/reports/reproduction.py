"""The page of the reproduction: runs, tables, figures and comparisons, as Markdown with images."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from functools import partial
from pathlib import Path

from matplotlib.figure import Figure

from facegeom.errors import InputError
from facegeom.export.files import write
from facegeom_lab.evaluation.run import RESULT
from facegeom_lab.studies.compression import report as compression_report
from facegeom_lab.studies.head_pose import report as pose_report
from facegeom_lab.studies.head_pose import study as pose_study
from facegeom_lab.studies.reports import figures, tables
from facegeom_lab.studies.reports.comparison import difference, sentence
from facegeom_lab.studies.reports.published import Landmarks, Published, load
from facegeom_lab.studies.reports.runs import (
    ABLATED,
    HEATMAP,
    KEYPOINTS,
    LOSSES,
    MESH,
    NOTEBOOK,
    TREES,
    WING_UNIT,
    Run,
    Runs,
    ablation_run,
    collect,
    network_run,
)
from facegeom_lab.studies.reports.style import render
from facegeom_lab.training.provenance import page_lines

POSES, COMPRESSION = "pose-study", "compress"
"""Folders of the studies among the runs."""

FILE, PRETRAINING, FIGURES = "reproduction.md", "pretraining.md", "figures"
JITTER = ("no-rotation-colour", "no-rotation-colour-jitter")  # they differ in the box jitter only

_INTRODUCTION = """\
# Reproduction

Measured figures beside the published ones. *Ours* comes from the runs of this laboratory, *published* from
the works named below; a dash stands where there is no figure. Intervals are 95 % bootstrap intervals over the
test faces: they say how far another set of faces could move a difference, not how far another start of the
training could."""

_PRETRAINING = """\
# Pretrained backbones

The published networks start from ImageNet's weights, which have to be downloaded. Here a backbone learns from
faces instead: it regresses the 478-point mesh of a crop (`facegeom lab train body`, resumable; `facegeom lab
reproduce` runs it before the rows that start from it). This page says what each has learned, measured on
validation faces beside the mean mesh, which knows nothing of the picture."""

Draw = Callable[[], Figure | None]


def report(paths: Sequence[Path], out: Path, about: Path | None = None) -> Path:
    """Write ``out/reproduction.md`` and its figures from finished runs, and a page of pretrained backbones.

    Args:
        paths: run folders, or folders of them.
        out: folder to write into.
        about: Markdown to insert after the introduction: how these runs differ from the published ones.

    Returns:
        The Markdown file.

    Raises:
        InputError: no run, or a damaged one; ``about`` cannot be read.
        OutputError: the folder cannot be written.
    """
    runs, published = collect(paths), load()
    shown = {name: runs[name].stamp for name in expected(published.landmarks) if name in runs.finished}
    blocks = [
        _INTRODUCTION,
        page_lines(shown),
        *_read_text(about),
        *_missing(runs, published.landmarks),
        *_sections(runs, published, out / FIGURES),
    ]
    write(out / FILE, ("\n\n".join(block.strip() for block in blocks) + "\n").encode())
    bodies = {name: run for name, run in runs.finished.items() if "backbone" in run.result}
    if bodies:
        page = pretraining(bodies, partial(_figure, out / FIGURES))
        write(out / PRETRAINING, (page + "\n").encode())
    return out / FILE


def report_all(paths: Sequence[Path], out: Path, about: Path | None = None) -> list[Path]:
    """Write all pages of what ``facegeom lab reproduce`` made: :func:`report`, and those of its studies.

    Raises:
        InputError: as in :func:`report`; a study is damaged.
        OutputError: the folder cannot be written.
    """
    written = [report(paths, out, about)]
    if (out / PRETRAINING).is_file():
        written.append(out / PRETRAINING)
    for path in paths:
        if (path / POSES / pose_study.FILE).is_file():
            written.append(pose_report.report(path / POSES, out))
        if any((path / COMPRESSION).glob(f"*/{RESULT}")):
            written.append(compression_report.report(path / COMPRESSION, out))
    return written


def pretraining(bodies: Mapping[str, Run], figure: Callable[[str, str, Draw], str]) -> str:
    """Return the page of the pretrained backbones: what each has learned, and its learning curves."""
    stamps = page_lines({name: run.stamp for name, run in bodies.items()})
    blocks = [_PRETRAINING, stamps, tables.bodies(bodies).markdown()]
    for name, run in bodies.items():
        caption = f"Learning curve of {name}"
        blocks.append(figure(f"pretraining-{name}", caption, partial(figures.learning_curves, run)))
    return "\n\n".join(block.strip() for block in blocks)


def _read_text(about: Path | None) -> list[str]:
    if about is None:
        return []
    try:
        return [about.read_text(encoding="utf-8")]
    except (OSError, UnicodeDecodeError) as error:
        raise InputError(f"expected a Markdown text at {about}, which cannot be read: {error}") from error


def expected(published: Landmarks) -> list[str]:
    """Return the names of all runs that the report can show."""
    changed = [ablation_run(key) for key in (*published.ablations, NOTEBOOK)]
    changed += [ablation_run(f"{NOTEBOOK}-{key}") for key in tables.notebook_changes(published)]
    units = [network_run(key, WING_UNIT) for key in published.networks]
    return [*tables.network_runs(published), *units, *changed, MESH, KEYPOINTS, HEATMAP, TREES]


def _missing(runs: Runs, published: Landmarks) -> list[str]:
    missing = [name for name in expected(published) if name not in runs.finished]
    begun = [name for name in missing if name in runs.unfinished]
    listed = {"Without a result yet": begun, "Not run": [name for name in missing if name not in begun]}
    return [f"{title}: {', '.join(names)}." for title, names in listed.items() if names]


def _sections(runs: Runs, published: Published, folder: Path) -> Iterable[str]:
    study = published.landmarks
    yield tables.networks(runs, study).markdown()
    yield from _training_figures(runs, study, folder)
    yield _figure(
        *(folder, "3-09-error-against-cost", "Figure 3.9: error on the test faces against time and size"),
        partial(figures.error_against_cost, runs, study),
    )
    yield tables.ablations(runs, study).markdown()
    yield _bullets(_ablation_sentences(runs, study))
    yield tables.losses(runs, study).markdown()
    yield _bullets(_loss_sentences(runs, study))
    yield from _loss_figures(runs, study, folder)
    units = [network_run(key, WING_UNIT) for key in study.networks]
    yield tables.measures(runs, [*tables.network_runs(study), *units, HEATMAP, TREES]).markdown()
    yield from _distribution_figures(runs, study, folder)
    yield tables.methods(runs, study).markdown()
    yield tables.mesh(runs, published.mesh).markdown()
    yield tables.keypoints(runs, published.keypoints).markdown()


def _training_figures(runs: Runs, study: Landmarks, folder: Path) -> Iterable[str]:
    example = network_run(ABLATED, "mse")
    draw = partial(figures.learning_rate, runs[example])
    yield _figure(folder, "3-02-learning-rate", f"Figure 3.2: learning rate of {example}", draw)
    for key, network in study.networks.items():
        draw = partial(figures.learning_curves, runs[network_run(key, "mse")])
        name = f"3-{network.figure.removeprefix('3.').zfill(2)}-curves-{key}"
        yield _figure(folder, name, f"Figure {network.figure}: {network.title}, squared error", draw)


def _loss_figures(runs: Runs, study: Landmarks, folder: Path) -> Iterable[str]:
    yield _figure(folder, "3-10-losses", "Figure 3.10: Wing and the squared error", figures.loss_functions)
    caption = f"Figure 3.11: {study.networks[ABLATED].title}, Wing"
    draw = partial(figures.learning_curves, runs[network_run(ABLATED, "wing")])
    yield _figure(folder, "3-11-curves-wing", caption, draw)
    bars = partial(figures.losses_side_by_side, runs, study)
    yield _figure(folder, "3-12-losses-compared", "Figure 3.12: error on the test faces by loss", bars)


def _distribution_figures(runs: Runs, study: Landmarks, folder: Path) -> Iterable[str]:
    caption = (
        "Cumulative distribution of the errors of the test faces; upright line: the threshold of a failure"
    )
    draw = partial(figures.error_distributions, runs, study)
    yield _figure(folder, "error-distributions", caption, draw)
    draw = partial(figures.region_errors, runs, study)
    yield _figure(folder, "region-errors", "Error by region of the face, test faces", draw)


def _figure(folder: Path, name: str, caption: str, draw: Draw) -> str:
    """Return the figure as Markdown with a link to its SVG, or a line that says that there is no run."""
    if not render(draw, folder, name):
        return f"*{caption}*: no run for it."
    return f"[![{caption}]({FIGURES}/{name}.png)]({FIGURES}/{name}.svg)\n\n*{caption}*"


def _ablation_sentences(runs: Runs, study: Landmarks) -> Iterable[str]:
    base, as_is = runs[network_run(ABLATED, "mse")], study.networks[ABLATED]
    for key, training in study.ablations.items():
        yield _comparison(training.title, runs[ablation_run(key)], base, training.nme - as_is.nme)
    notebook = runs[ablation_run(NOTEBOOK)]
    for key in tables.notebook_changes(study):
        title, change = f"notebook: {study.ablations[key].title}", study.ablations[key].nme - as_is.nme
        yield _comparison(title, runs[ablation_run(f"{NOTEBOOK}-{key}")], notebook, change)
    with_jitter, without = (runs[ablation_run(key)] for key in JITTER)
    before, after = (study.ablations[key].nme for key in JITTER)
    yield _comparison("of these, no box jitter alone", without, with_jitter, after - before)


def _loss_sentences(runs: Runs, study: Landmarks) -> Iterable[str]:
    for key, network in study.networks.items():
        squared, wing = (runs[network_run(key, loss)] for loss in LOSSES)
        change = study.wing[key].nme - network.nme if key in study.wing else None
        yield _comparison(f"{network.title}, Wing instead of the squared error", wing, squared, change)
        unit = runs[network_run(key, WING_UNIT)]
        yield _comparison(f"{network.title}, Wing of ±1 instead of the squared error", unit, squared, change)


def _comparison(title: str, run: Run, base: Run, published_change: float | None) -> str:
    missing = [each.name for each in (run, base) if not each.finished]
    if missing:
        return f"**{title}**: not run ({', '.join(missing)})."
    found = difference(run, base)
    if found is None:
        return f"**{title}**: a run kept no errors of the test faces."
    return sentence(title, found, published_change)


def _bullets(lines: Iterable[str]) -> str:
    return "\n".join(f"- {line}" for line in lines)
