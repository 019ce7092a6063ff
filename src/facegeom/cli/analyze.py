"""``facegeom analyze``: photos in, geometry files out."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from importlib.resources import as_file, files
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

import typer

from facegeom.cli.options import Device, Fov, MaxFaces, MinFace, MinScore, Threads
from facegeom.cli.over_photos import over_photos
from facegeom.cli.photos import Photo, collect

if TYPE_CHECKING:
    from facegeom.analyzer import FaceAnalyzer

_DEMO = "astronaut.jpg"


def analyze(
    sources: Annotated[
        list[Path] | None,
        typer.Argument(metavar="PHOTO|DIR", show_default=False, help="Photos, and folders to search."),
    ] = None,
    out: Annotated[Path, typer.Option("--out", "-o", metavar="OUT", help="Folder for the results.")] = Path(
        "out"
    ),
    formats: Annotated[
        str,
        typer.Option(
            "--format", help="What to write, with commas: json, overlay, obj, ply, glb, depth, surface."
        ),
    ] = "json,overlay,obj,glb",
    min_face: MinFace = None,
    max_faces: MaxFaces = None,
    min_score: MinScore = None,
    device: Device = "cpu",
    threads: Threads = None,
    fov: Fov = None,
    pose_net: Annotated[
        Literal["face", "fpnet"],
        typer.Option(help="Whose rotation: the face network's, or FPNet's, the cascade's third stage."),
    ] = "face",
    depth_from: Annotated[
        Literal["mesh", "network"] | None,
        typer.Option(help="Where the formats depth and surface come from; by default what measured best."),
    ] = None,
    detector: Annotated[
        Literal["onepass", "cascade"],
        typer.Option(help="What finds the faces: one network over the photo, or P-Net and R-Net."),
    ] = "onepass",
    demo: Annotated[
        bool, typer.Option("--demo", help="Analyse the portrait that ships with facegeom.")
    ] = False,
) -> None:
    """Find the faces of photos and write their geometry.

    Writes OUT/PHOTO.json, OUT/PHOTO.overlay.jpg, and for each face
    OUT/PHOTO.0.obj and OUT/PHOTO.0.glb; with the format depth
    OUT/PHOTO.0.depth.png, with surface OUT/PHOTO.0.surface.glb and
    OUT/PHOTO.0.points.ply. A folder is searched with its sub-folders, whose
    names are kept under OUT. A photo that cannot be read is reported and does
    not stop the rest; the exit code is then 1.

    Example: facegeom analyze holiday.jpg album/ -o out --format json,overlay
    """
    from facegeom.export.files import make_folder

    kinds = _formats(formats)
    options = {"min_face": min_face, "max_faces": max_faces, "min_score": min_score, "threads": threads}
    options["fov_deg"] = fov
    with _photos(sources or [], demo) as photos:
        make_folder(out)
        given: dict[str, Any] = {name: value for name, value in options.items() if value is not None}
        if {"depth", "surface"} & set(kinds):
            given["depth"] = depth_from or True
        analyzer = _analyzer(device, {**given, "pose_net": pose_net, "detector": detector})
        over_photos(photos, lambda photo: _analyze_one(photo, analyzer, out, kinds), "analyzing", out)


def _formats(text: str) -> list[str]:
    """Names of formats, each once, in the order given."""
    from facegeom.export import FORMATS

    kinds = list(dict.fromkeys(part.strip() for part in text.split(",")))
    unknown = [kind for kind in kinds if kind not in FORMATS]
    if unknown:
        raise typer.BadParameter(
            f"expected some of {','.join(FORMATS)}, got {text!r}", param_hint="'--format'"
        )
    return kinds


@contextmanager
def _photos(sources: list[Path], demo: bool) -> Iterator[list[Photo]]:
    """The photos to work on; the demo picture is a file only as long as this lasts."""
    from facegeom.image.reading import ENDINGS

    if not sources and not demo:
        raise typer.BadParameter("expected photos or folders, got none; try --demo", param_hint="'PHOTO|DIR'")
    with as_file(files("facegeom") / "data" / _DEMO) as portrait:
        yield collect([*sources, *([portrait] if demo else [])], ENDINGS)


def _analyzer(device: str, options: dict[str, Any]) -> "FaceAnalyzer":
    from facegeom.analyzer import FaceAnalyzer

    return FaceAnalyzer(device=device, **options)


def _analyze_one(photo: Photo, analyzer: "FaceAnalyzer", out: Path, kinds: list[str]) -> int:
    """Write the files of one photo; the number of its faces."""
    from facegeom.image import reading

    image = reading.read(photo.path)
    fov_deg = analyzer.fov_deg or reading.fov_deg(photo.path)
    faces = replace(analyzer(image, fov_deg), file=photo.name)
    faces.save(out, kinds, image=image, name=photo.stem)
    return len(faces)
