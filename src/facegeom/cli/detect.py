"""``facegeom detect``: draw the head poses on photos."""

import logging
from pathlib import Path
from typing import Annotated, Any

import typer

from facegeom.cli import options
from facegeom.cli.photos import (
    Collection,
    InputPhoto,
    Process,
    angles_text,
    collect_photos,
    process_photos,
)
from facegeom.errors import InputError, OutputError
from facegeom.export.files import write
from facegeom.export.images import FORMATS, encode, fitted

_log = logging.getLogger(__name__)
_SOURCE = "A photo, a folder of photos, or a quoted pattern."


def detect(
    source: Annotated[Path, typer.Argument(parser=options.some_path, metavar="SRC", help=_SOURCE)],
    target: Annotated[
        Path, typer.Argument(parser=options.some_path, metavar="DEST", help="An image file, or a folder.")
    ],
    face_pose_net: Annotated[
        Path | None,
        typer.Option(
            "--face-pose-net",
            "--face_pose_net",
            metavar="W",
            show_default=False,
            help="ONNX file of your own FPNet; by default the one that ships.",
        ),
    ] = None,
    cuda: Annotated[bool, typer.Option("--cuda", help="The same as --device cuda.")] = False,
    device: options.Device = "cpu",
    min_face: options.MinHead = None,
    max_faces: options.MaxFaces = None,
    min_score: options.MinHeadScore = None,
    threads: options.Threads = None,
    fov: options.Fov = None,
    orientation: options.OrientationName = "exif",
    timeout: options.Timeout = 120.0,
) -> None:
    """Find faces with the cascade P-Net, R-Net, FPNet and draw their head poses.

    Draws each face's box and the head's axes: x red, y green, z, along the
    nose, blue. Prints the angles if SRC is a single photo. A folder is
    searched with its sub-folders, and DEST gets the same sub-folders. A photo
    that cannot be read is reported and the others are still processed; the
    exit code is then 1.

    Example: facegeom detect album/ directions/
    """
    found = collect_photos([source])
    targets = _choose_targets(found, source, target)
    given = {
        "min_face": min_face,
        "max_faces": max_faces,
        "min_score": min_score,
        "threads": threads,
        "fov_deg": fov,
        "face_pose_net": face_pose_net,
        "orientation": orientation,
    }
    chosen = Collection(list(targets), found.problems)
    work = {
        "options": {"device": "cuda" if cuda else device, **options.without_none(given)},
        "targets": targets,
        "print_angles": len(targets) == 1 and not source.is_dir(),
    }
    process_photos(
        chosen, "facegeom.cli.detect:process", work, "detecting", target, timeout, details_first=True
    )


def process(options: dict[str, Any], targets: dict[InputPhoto, Path], print_angles: bool) -> Process:
    """Load the networks; return the function that draws a photo's heads."""
    from facegeom.head_pose import PoseDetector

    detector = PoseDetector(**options)

    def draw(photo: InputPhoto) -> tuple[int, list[str]]:
        poses = detector(photo.path)
        file, ending = targets[photo], targets[photo].suffix.lower()
        picture, note = fitted(poses.draw(photo.path), ending)
        write(file, encode(picture, ending))
        if note:
            _log.warning("%r: %s", str(file), note)
        boxes = (" ".join(f"{edge:.0f}" for edge in pose.box_xyxy) for pose in poses)
        lines = (
            f"{angles_text(pose)}, score {pose.score:.2f}, box {box}"
            for pose, box in zip(poses, boxes, strict=True)
        )
        return len(poses), list(lines) if print_angles else []

    return draw


def _choose_targets(found: Collection, source: Path, target: Path) -> dict[InputPhoto, Path]:
    """Return the output file of each photo, without those of an earlier run: in DEST, a folder inside SRC."""
    several = source.is_dir() or len(found.photos) + len(found.problems) > 1
    into_folder = several or target.is_dir() or not target.suffix
    folder = target.resolve()
    inside = source.resolve() in folder.parents
    targets = {
        photo: _path_in_folder(target, photo) if into_folder else target
        for photo in found.photos
        if not (inside and folder in photo.path.resolve().parents)
    }
    if not targets and not found.problems:
        raise InputError(f"expected photos in {str(source)!r} beside those in {str(target)!r}, found none")
    inputs = {photo.path.resolve() for photo in targets}
    written: set[Path] = set()
    for file in targets.values():
        if file.suffix.lower() not in FORMATS:
            endings = " ".join(FORMATS)
            raise OutputError(
                f"expected DEST to be a folder or an image ending in {endings}, got {str(file)!r}"
            )
        if file.resolve() in inputs:
            raise OutputError(f"{str(file)!r} is one of the photos; give another DEST")
        if file in written:
            raise OutputError(f"two photos would be written as {str(file)!r}; rename one")
        written.add(file)
    return targets


def _path_in_folder(folder: Path, photo: InputPhoto) -> Path:
    """Return the photo's name in the folder, with the ending ".jpg" if its format cannot be written.

    The ending replaces the photo's own, or follows it where another photo differs in the ending only.
    """
    path = folder / photo.name
    if path.suffix.lower() in FORMATS:
        return path
    return path.with_name(path.name + ".jpg") if photo.shares_stem else path.with_suffix(".jpg")
