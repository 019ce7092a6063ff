"""Options that several commands share, and stand-ins for commands that are not installed."""

from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any, Literal, TypeAlias

import typer

from facegeom.errors import InputError
from facegeom.geometry.camera import MAX_FOV_DEG, MIN_FOV_DEG

CONTEXT_SETTINGS: dict[str, Any] = {"help_option_names": ["-h", "--help"]}
"""Settings of every Typer application: ``-h`` beside ``--help``."""


def some_path(text: str) -> Path:
    """Return an argument as a path; whether it can be read turns out, and is told, when it is read.

    Raises:
        BadParameter: an empty text, which would mean the current folder: a variable without a value.
    """
    if not str(text):
        raise typer.BadParameter("expected a path, got an empty text")
    return Path(text)


_FOLDER = "Folder for the results; made if needed."
Out: TypeAlias = Annotated[Path, typer.Option("--out", "-o", parser=some_path, metavar="OUT", help=_FOLDER)]
_FACE: dict[str, Any] = {
    "min": 1,
    "metavar": "PX",
    "show_default": "5.5 % of the longer side, at least 12",
    "help": "Height of the smallest face to look for, pixels.",
}
_CLOSEST = (
    "where something hints at smaller ones, 1.5 %, at least 20; else 5.5 % of the longer side, at least 12"
)
MinFace: TypeAlias = Annotated[float | None, typer.Option(**_FACE | {"show_default": _CLOSEST})]
MaxFaces: TypeAlias = Annotated[
    int | None, typer.Option(min=1, help="Keep at most this many faces, the best ones.")
]
_SCORE: dict[str, Any] = {"min": 0, "max": 1, "help": "Lowest score of a face, from 0 to 1."}
MinScore: TypeAlias = Annotated[float | None, typer.Option(show_default="0.9", **_SCORE)]
MinHead: TypeAlias = Annotated[float | None, typer.Option("--min-face", "--min_face", **_FACE)]
MinHeadScore: TypeAlias = Annotated[
    float | None, typer.Option("--min-score", "--min_score", show_default="0.7", **_SCORE)
]
Device: TypeAlias = Annotated[
    Literal["auto", "cpu", "cuda", "coreml", "directml", "openvino"],
    typer.Option(help="Where the networks run; auto takes a GPU where one works, else the CPU."),
]
Threads: TypeAlias = Annotated[
    int | None, typer.Option(min=1, help="Threads of a network call; by default one, many faces use all.")
]
Timeout: TypeAlias = Annotated[
    float,
    typer.Option(
        min=1,
        max=1e6,
        metavar="S",
        help="Longest time for a photo, seconds; it is then left out, with a reason.",
    ),
]
_FOV: dict[str, Any] = {
    "min": MIN_FOV_DEG,
    "max": MAX_FOV_DEG,
    "metavar": "DEG",
    "help": "Angle of view across the longer side. Distances, millimetres and the rotation in the camera"
    " frame depend on it; the angles do not, except that a known wide lens is corrected.",
}
Fov: TypeAlias = Annotated[float | None, typer.Option(show_default="the photo's EXIF, else 50", **_FOV)]
VideoFov: TypeAlias = Annotated[float | None, typer.Option(show_default="50", **_FOV)]
CameraName: TypeAlias = Annotated[
    str | None,
    typer.Option(metavar="N", help="A camera instead of IN: its number from 0, or its name on Windows."),
]
Smooth: TypeAlias = Annotated[bool, typer.Option(help="Smooth points, mesh, pose and box over time.")]
DetectEvery: TypeAlias = Annotated[
    int, typer.Option(min=1, metavar="K", help="Look for new faces every K frames.")
]
_NEW = "Lowest score of a new face, from 0 to 1."
NewScore: TypeAlias = Annotated[float | None, typer.Option(show_default="0.9", **_SCORE | {"help": _NEW})]
Weights: TypeAlias = Annotated[
    Literal["float32", "int8", "free"] | None,
    typer.Option(
        show_default="int8 on a CPU, float32 on a GPU",
        help="Variant of the networks; int8 is faster on a CPU and a little less accurate. "
        "free: the set that products may use (`facegeom weights`).",
    ),
]
PoseNet: TypeAlias = Annotated[
    Literal["face", "fpnet"],
    typer.Option(help="Network that predicts the head's rotation: the face network, or FPNet."),
]
DetectorName: TypeAlias = Annotated[
    Literal["onepass", "cascade"],
    typer.Option(help="Face detector: one network on the whole photo, or the cascade P-Net, R-Net."),
]
OrientationName: TypeAlias = Annotated[
    Literal["exif", "auto"],
    typer.Option(
        help="Which way up photos are: as EXIF says, or tried in all four turns where no face is sure."
    ),
]


def without_none(options: Mapping[str, Any]) -> dict[str, Any]:
    """Return the options that were given: those that are not None."""
    return {name: value for name, value in options.items() if value is not None}


def add_stand_in(app: typer.Typer, name: str, purpose: str, needs: str) -> None:
    """Add a command that only says what it is for and what to install, in its help and when it is run."""
    advice = f"needs {needs}"

    @app.command(
        name,
        help=f"{purpose} This {advice}".replace("[", r"\["),  # rich reads plain brackets as a style
        context_settings={"ignore_unknown_options": True, "allow_extra_args": True},
    )
    def refuse() -> None:
        raise InputError(f"facegeom {name} {advice}")
