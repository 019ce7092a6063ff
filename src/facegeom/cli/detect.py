"""``facegeom detect``: draw the head poses on photos."""

from collections.abc import Iterable
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from facegeom.cli.options import Fov, Threads
from facegeom.cli.photos import InputPhoto, collect_photos, process_photos
from facegeom.errors import InputError, OutputError
from facegeom.export.images import FORMATS, encode

if TYPE_CHECKING:
    from facegeom.head_pose import PoseDetector
    from facegeom.results import Pose


def detect(
    source: Annotated[Path, typer.Argument(metavar="SRC", help="A photo, or a folder of photos.")],
    target: Annotated[Path, typer.Argument(metavar="DEST", help="An image file, or a folder.")],
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
    cuda: Annotated[bool, typer.Option("--cuda", help="Run on the GPU; needs onnxruntime-gpu.")] = False,
    min_face: Annotated[
        float | None,
        typer.Option(
            "--min-face",
            "--min_face",
            min=1,
            metavar="PX",
            help="Smallest face height in pixels; by default a fraction of the image size.",
        ),
    ] = None,
    min_score: Annotated[
        float | None,
        typer.Option("--min-score", "--min_score", min=0, max=1, help="Lowest score of a face, from 0 to 1."),
    ] = None,
    threads: Threads = None,
    fov: Fov = None,
) -> None:
    """Find faces with the cascade P-Net, R-Net, FPNet and draw their head poses.

    Draws each face's box and the head's axes: x red, y green, z, along the
    nose, blue. Prints the angles if SRC is a single photo. A folder is
    searched with its sub-folders, and DEST gets the same sub-folders. A photo
    that cannot be read is reported and the others are still processed; the
    exit code is then 1.

    Example: facegeom detect album/ directions/
    """
    from facegeom.head_pose import MIN_SCORE, PoseDetector
    from facegeom.image.reading import ENDINGS

    targets = _choose_targets(collect_photos([source], ENDINGS), source, target)
    detector = PoseDetector(
        min_face=min_face,
        min_score=MIN_SCORE if min_score is None else min_score,
        face_pose_net=face_pose_net,
        device="cuda" if cuda else "cpu",
        threads=threads,
        fov_deg=fov,
    )
    print_angles = not source.is_dir()
    process_photos(
        list(targets),
        lambda photo: _draw_photo(photo, targets[photo], detector, print_angles),
        "detecting",
        target,
    )


def _is_output(photo: InputPhoto, source: Path, target: Path) -> bool:
    """Return whether a photo is an output of an earlier run: in DEST, a folder inside SRC."""
    searched, folder = source.resolve(), target.resolve()
    return searched in folder.parents and folder in photo.path.resolve().parents


def _choose_targets(photos: Iterable[InputPhoto], source: Path, target: Path) -> dict[InputPhoto, Path]:
    """Return the output file of each photo.

    Raises:
        InputError: no photo is left.
        OutputError: a photo would be overwritten, or the output format is not supported.
    """
    into_folder = source.is_dir() or target.is_dir() or not target.suffix
    targets = {
        photo: _path_in_folder(target, photo.name) if into_folder else _check_suffix(target)
        for photo in photos
        if not _is_output(photo, source, target)
    }
    if not targets:
        raise InputError(f"expected photos in {str(source)!r} beside those in {str(target)!r}, found none")
    inputs = {photo.path.resolve() for photo in targets}
    for file in targets.values():
        if file.resolve() in inputs:
            raise OutputError(f"{str(file)!r} is one of the photos; give another DEST")
    return targets


def _path_in_folder(folder: Path, name: str) -> Path:
    """Return the photo's name in the folder, with the suffix ".jpg" if its format cannot be written."""
    path = folder / name
    return path if path.suffix.lower() in FORMATS else path.with_suffix(".jpg")


def _check_suffix(target: Path) -> Path:
    """Return the path if its format can be written."""
    if target.suffix.lower() not in FORMATS:
        raise OutputError(
            f"expected DEST to be a folder or an image ending in {' '.join(FORMATS)}, got {str(target)!r}"
        )
    return target


def _draw_photo(photo: InputPhoto, target: Path, detector: "PoseDetector", print_angles: bool) -> int:
    """Write one photo with its head poses; return the number of its faces."""
    from facegeom.export.files import write
    from facegeom.image.photo import open_photo

    opened = open_photo(photo.path)
    poses = detector(opened)
    write(target, encode(poses.draw(opened.pyramid.pixels), target.suffix.lower()))
    for pose in poses if print_angles else ():
        typer.echo(_pose_line(pose))
    return len(poses)


def _pose_line(pose: "Pose") -> str:
    """Return the angles, score and box of a face as one line."""
    box = " ".join(f"{edge:.0f}" for edge in pose.box_xyxy)
    named = {"yaw": pose.yaw_deg, "pitch": pose.pitch_deg, "roll": pose.roll_deg}
    angles = ", ".join(f"{name} {round(angle, 1) + 0.0:.1f}°" for name, angle in named.items())  # no -0.0
    return f"{angles}, score {pose.score:.2f}, box {box}"
