"""``facegeom analyze``: write the geometry of the faces in photos."""

from collections.abc import Iterator, Sequence
from dataclasses import replace
from importlib.resources import as_file, files
from math import hypot
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

import typer

from facegeom.cli import options
from facegeom.cli.photos import (
    Collection,
    InputPhoto,
    Process,
    angles_text,
    collect_photos,
    count_noun,
    process_photos,
)
from facegeom.errors import InputError

if TYPE_CHECKING:
    from facegeom.analyzer import FaceAnalyzer
    from facegeom.results import Faces

_DEMO_PHOTO = "astronaut.jpg"
_FORMATS = "json,overlay,obj,glb"
_NO_FOLDERS = (".json", ".jpg", ".jpeg", ".png", ".obj", ".ply", ".glb", ".csv", ".parquet", ".zip")
"""Endings that mean a file; a folder is hardly called so."""

_SHOWN_FILES = 12


def analyze(
    sources: Annotated[
        list[Path] | None,
        typer.Argument(
            metavar="PHOTO|DIR",
            parser=options.some_path,
            show_default=False,
            help='Photos, folders of photos, and quoted patterns such as "photos/*.jpg".',
        ),
    ] = None,
    out: Annotated[
        Path,
        typer.Option(
            "--out",
            "-o",
            metavar="OUT",
            parser=options.some_path,
            help="Folder for the results, made if needed; or, for one photo, the .json file to write.",
        ),
    ] = Path("out"),
    formats: Annotated[
        str | None,
        typer.Option(
            "--format",
            show_default=_FORMATS,
            help="Formats, separated by commas: json, csv, overlay, obj, ply, glb, aligned, depth, surface.",
        ),
    ] = None,
    min_face: options.MinFace = None,
    max_faces: options.MaxFaces = None,
    min_score: options.MinScore = None,
    device: options.Device = "cpu",
    threads: options.Threads = None,
    fov: options.Fov = None,
    pose_net: options.PoseNet = "face",
    depth_from: Annotated[
        Literal["mesh", "network"] | None,
        typer.Option(show_default="mesh", help="Source of depth and surface; the mesh is the faster one."),
    ] = None,
    detector: options.DetectorName = "onepass",
    weights: options.Weights = None,
    orientation: options.OrientationName = "exif",
    timeout: options.Timeout = 120.0,
    template: Annotated[
        Literal["arcface", "ffhq", "box"] | None,
        typer.Option(show_default="arcface", help="Where eyes and mouth lie in aligned crops."),
    ] = None,
    crop_size: Annotated[
        int | None,
        typer.Option(
            min=1,
            max=2048,
            metavar="PX",
            show_default="112",
            help="Side of aligned crops; FFHQ's are 1024.",
        ),
    ] = None,
    demo: Annotated[
        bool, typer.Option("--demo", help="Analyze the portrait that ships with facegeom.")
    ] = False,
) -> None:
    """Find the faces in photos and write their geometry.

    Writes OUT/PHOTO.json, OUT/PHOTO.overlay.jpg, and for each face
    OUT/PHOTO.0.obj and OUT/PHOTO.0.glb. With --format the named ones alone: csv
    is OUT/PHOTO.csv, a line with the 68 points for each face; depth is
    OUT/PHOTO.0.depth.png; surface is OUT/PHOTO.0.surface.glb and
    OUT/PHOTO.0.points.ply; aligned is OUT/PHOTO.0.aligned.png. A folder is
    searched with its sub-folders, and OUT gets the same sub-folders. Of photos
    in one folder that differ in the ending only, the first by name gives
    PHOTO, the others keep their ending: IMG_1.json for IMG_1.jpg,
    IMG_1.png.json for IMG_1.png. A photo that cannot be read or takes too long
    is reported and the others are still analyzed; the exit code is then 1. Of a
    single photo the faces and files are listed.

    Example: facegeom analyze holiday.jpg album/ -o out --format json,overlay
    """
    from facegeom.export.files import make_folder

    kinds = _parse_formats(_FORMATS if formats is None else formats)
    _check_used("--depth-from", depth_from, ("depth", "surface"), kinds)
    _check_used("--template", template, ("aligned",), kinds)
    _check_used("--crop-size", crop_size, ("aligned",), kinds)
    if not sources and not demo:
        raise typer.BadParameter("expected photos or folders, got none; try --demo", param_hint="'PHOTO|DIR'")
    with as_file(files("facegeom") / "data" / _DEMO_PHOTO) as portrait:
        found = collect_photos([*(sources or []), *([portrait] if demo else [])])
        name = _file_name(out, found)
        if name is not None:
            kinds, out = (["json"] if formats is None else kinds), out.parent
        make_folder(out)
        given = options.without_none(
            {
                "min_face": min_face,
                "max_faces": max_faces,
                "min_score": min_score,
                "threads": threads,
                "fov_deg": fov,
                "weights": weights,
                "orientation": orientation,
                "pose_net": pose_net,
                "detector": detector,
            }
        )
        if {"depth", "surface"} & set(kinds):
            given["depth"] = depth_from or True
        crop = options.without_none({"size": crop_size, "template": template})
        saving = {"formats": kinds, **crop}
        work = {"device": device, "options": given, "out": out, "name": name, "saving": saving}
        process_photos(found, "facegeom.cli.analyze:process", work, "analyzing", out, timeout)


def process(
    device: str, options: dict[str, Any], out: Path, name: str | None, saving: dict[str, Any]
) -> Process:
    """Load the networks; return the function that writes a photo's geometry."""
    analyzer = _analyzer(device, options)

    def write(photo: InputPhoto) -> tuple[int, list[str]]:
        faces = replace(analyzer(photo.path), file=photo.name)
        written = faces.save(out, image=photo.path, name=name or photo.stem, **saving)
        return len(faces), list(_details(faces, written))

    return write


def _file_name(out: Path, found: Collection) -> str | None:
    """Return the name of the output files where OUT is a .json file for a single photo; None for a folder."""
    ending = out.suffix.lower()
    if out.is_dir() or ending not in _NO_FOLDERS or (ending != ".json" and out.exists()):
        return None
    if ending != ".json" or len(found.photos) != 1:
        raise InputError(
            f"-o: expected a folder, or a .json file for a single photo, got {str(out)!r} for"
            f" {count_noun(len(found.photos), 'photo')}; give a folder and choose with --format"
        )
    return out.stem


def _parse_formats(text: str) -> list[str]:
    """Return the names of the formats, each once, in the order given."""
    from facegeom.results.saving import FORMATS

    kinds = list(dict.fromkeys(part.strip() for part in text.split(",")))
    if not set(kinds) <= set(FORMATS):
        raise typer.BadParameter(
            f"expected some of {','.join(FORMATS)}, got {text!r}", param_hint="'--format'"
        )
    return kinds


def _check_used(option: str, value: object, formats: Sequence[str], kinds: Sequence[str]) -> None:
    """Refuse an option that no format of the output would follow."""
    if value is not None and not set(formats) & set(kinds):
        raise typer.BadParameter(
            f"expected --format with {' or '.join(formats)}, which alone follow it, got {','.join(kinds)}",
            param_hint=f"'{option}'",
        )


def _analyzer(device: str, options: dict[str, Any]) -> "FaceAnalyzer":
    """Load the networks; a function of its own, so that tests can replace it."""
    from facegeom.analyzer import FaceAnalyzer

    return FaceAnalyzer(device=device, **options)


def _details(faces: "Faces", files: list[Path]) -> Iterator[str]:
    """Yield a line for each face of a photo, and one with the files written."""
    for number, face in enumerate(faces):
        box = " ".join(f"{edge:.0f}" for edge in face.box_xyxy)
        distance = f"distance {hypot(*face.translation_mm.tolist()):.0f} mm"
        view = f"angle of view {faces.fov_deg:.0f}°, {faces.fov_source}"
        yield f"face {number}: score {face.score:.2f}, box {box}, {angles_text(face)}, {distance} ({view})"
    if faces.turned_deg:
        yield f"found with the photo turned by {faces.turned_deg}° clockwise"
    if faces.min_face_px:
        yield f"faces below {faces.min_face_px:.0f} px were not looked for (--min-face)"
    more = len(files) - _SHOWN_FILES
    yield "wrote " + ", ".join(map(str, files[:_SHOWN_FILES])) + (f" and {more} more" if more > 0 else "")
