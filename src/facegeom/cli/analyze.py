"""``facegeom analyze``: write the geometry of the faces in photos."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from importlib.resources import as_file, files
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

import typer

from facegeom.cli.options import Device, Fov, MaxFaces, MinFace, MinScore, Out, Threads, without_none
from facegeom.cli.photos import InputPhoto, collect_photos, process_photos

if TYPE_CHECKING:
    from facegeom.analyzer import FaceAnalyzer

_DEMO_PHOTO = "astronaut.jpg"


def analyze(
    sources: Annotated[
        list[Path] | None,
        typer.Argument(metavar="PHOTO|DIR", show_default=False, help="Photos, and folders of photos."),
    ] = None,
    out: Out = Path("out"),
    formats: Annotated[
        str,
        typer.Option(
            "--format",
            help="Formats to write, separated by commas: json, overlay, obj, ply, glb, depth, surface.",
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
        typer.Option(help="Network that predicts the head's rotation: the face network, or FPNet."),
    ] = "face",
    depth_from: Annotated[
        Literal["mesh", "network"] | None,
        typer.Option(help="Source of depth and surface; by default the more accurate one."),
    ] = None,
    detector: Annotated[
        Literal["onepass", "cascade"],
        typer.Option(help="Face detector: one network on the whole photo, or the cascade P-Net, R-Net."),
    ] = "onepass",
    demo: Annotated[
        bool, typer.Option("--demo", help="Analyze the portrait that ships with facegeom.")
    ] = False,
) -> None:
    """Find the faces in photos and write their geometry.

    Writes OUT/PHOTO.json, OUT/PHOTO.overlay.jpg, and for each face
    OUT/PHOTO.0.obj and OUT/PHOTO.0.glb. The format depth adds
    OUT/PHOTO.0.depth.png; surface adds OUT/PHOTO.0.surface.glb and
    OUT/PHOTO.0.points.ply. A folder is searched with its sub-folders, and
    OUT gets the same sub-folders. A photo that cannot be read is reported and
    the others are still analyzed; the exit code is then 1.

    Example: facegeom analyze holiday.jpg album/ -o out --format json,overlay
    """
    from facegeom.export.files import make_folder

    kinds = _parse_formats(formats)
    with _find_photos(sources or [], demo) as photos:
        make_folder(out)
        options = without_none(
            {
                "min_face": min_face,
                "max_faces": max_faces,
                "min_score": min_score,
                "threads": threads,
                "fov_deg": fov,
            }
        )
        if {"depth", "surface"} & set(kinds):
            options["depth"] = depth_from or True
        analyzer = _analyzer(device, {**options, "pose_net": pose_net, "detector": detector})
        process_photos(photos, lambda photo: _analyze_photo(photo, analyzer, out, kinds), "analyzing", out)


def _parse_formats(text: str) -> list[str]:
    """Return the names of the formats, each once, in the order given."""
    from facegeom.results.saving import FORMATS

    kinds = list(dict.fromkeys(part.strip() for part in text.split(",")))
    unknown = [kind for kind in kinds if kind not in FORMATS]
    if unknown:
        raise typer.BadParameter(
            f"expected some of {','.join(FORMATS)}, got {text!r}", param_hint="'--format'"
        )
    return kinds


@contextmanager
def _find_photos(sources: list[Path], demo: bool) -> Iterator[list[InputPhoto]]:
    """Yield the photos to analyze; the demo photo is a file only inside the ``with`` block."""
    from facegeom.image.reading import ENDINGS

    if not sources and not demo:
        raise typer.BadParameter("expected photos or folders, got none; try --demo", param_hint="'PHOTO|DIR'")
    with as_file(files("facegeom") / "data" / _DEMO_PHOTO) as portrait:
        yield collect_photos([*sources, *([portrait] if demo else [])], ENDINGS)


def _analyzer(device: str, options: dict[str, Any]) -> "FaceAnalyzer":
    """Load the networks; a function of its own, so that tests can replace it."""
    from facegeom.analyzer import FaceAnalyzer

    return FaceAnalyzer(device=device, **options)


def _analyze_photo(photo: InputPhoto, analyzer: "FaceAnalyzer", out: Path, kinds: list[str]) -> int:
    """Write the files of one photo; return the number of its faces."""
    from facegeom.image.photo import open_photo

    opened = open_photo(photo.path)
    faces = replace(analyzer(opened), file=photo.name)
    faces.save(out, kinds, image=opened.pyramid.pixels, name=photo.stem)
    return len(faces)
