"""``facegeom lab``: from photos to weights, one command per step."""

from collections.abc import Callable
from typing import Any

import typer

from facegeom.cli.options import CONTEXT_SETTINGS
from facegeom_lab.cli import data, keypoints14, studies, training

COMMANDS: dict[str, dict[str, Callable[..., Any]]] = {
    "Data": {
        "label": data.label,
        "label-folder": data.label_folder,
        "inspect": data.inspect,
        "canonical": data.canonical,
        "placement": data.placement,
        "synth": data.synth,
        "backs": data.backs,
        "expressions": data.expressions,
        "profile": data.profile,
        "fit": data.fit,
        "build-pose-set": data.build_pose_set,
        "mine": data.mine,
    },
    "Training": {
        "train": training.train,
        "recipes": training.recipes,
        "evaluate": training.evaluate,
        "evaluate-pose": training.evaluate_pose,
        "export": training.export,
        "quantise": training.quantise,
        "fuse-free": training.fuse_free,
    },
    "Studies": {
        "reproduce": studies.reproduce,
        "report": studies.report_reproduction,
        "compress": studies.compress,
        "compress-study": studies.compress_study,
        "report-compression": studies.report_compression,
        "pose-study": studies.pose_study,
        "pose-report": studies.report_pose,
        "report-depth": studies.report_depth,
        "depth-sheet": studies.depth_sheet,
    },
}
"""The commands by their names, under the headings of the help."""

app = typer.Typer(
    help="Label, render, train, measure and export the networks.",
    no_args_is_help=True,
    context_settings=CONTEXT_SETTINGS,
)
for _heading, _commands in COMMANDS.items():
    for _name, _function in _commands.items():
        app.command(_name, rich_help_panel=_heading)(_function)
app.add_typer(keypoints14.app, name="keypoints14", rich_help_panel="Studies")
