"""``facegeom detect``: photos in, the same photos with the directions of their heads out."""

from collections.abc import Iterable
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from facegeom.cli.options import Fov, Threads
from facegeom.cli.over_photos import over_photos
from facegeom.cli.photos import Photo, collect
from facegeom.errors import InputError, OutputError
from facegeom.export.pictures import FORMATS, encode

if TYPE_CHECKING:
    from facegeom.head_pose import PoseDetector
    from facegeom.results import Pose


def detect(
    source: Annotated[Path, typer.Argument(metavar="SRC", help="A photo, or a folder of them.")],
    target: Annotated[Path, typer.Argument(metavar="DEST", help="A picture's file, or a folder.")],
    face_pose_net: Annotated[
        Path | None,
        typer.Option(
            "--face-pose-net",
            "--face_pose_net",
            metavar="W",
            show_default=False,
            help="ONNX file of an FPNet of your own; by default the one that ships.",
        ),
    ] = None,
    cuda: Annotated[bool, typer.Option("--cuda", help="Run on the GPU (needs onnxruntime-gpu).")] = False,
    min_face: Annotated[
        float | None,
        typer.Option(
            "--min-face",
            "--min_face",
            min=1,
            metavar="PX",
            help="Smallest face, pixels of the photo; by default a share of it.",
        ),
    ] = None,
    min_score: Annotated[
        float | None,
        typer.Option("--min-score", "--min_score", min=0, max=1, help="Least score of a face, 0 to 1."),
    ] = None,
    threads: Threads = None,
    fov: Fov = None,
) -> None:
    """Find faces by the cascade P-Net, R-Net, FPNet and draw where each head points.

    Draws the box and the head's axes: x red, y green, along the nose blue.
    A photo's angles are printed, too. A folder is searched with its
    sub-folders, whose names are kept under DEST. A photo that cannot be read
    is reported and does not stop the rest; the exit code is then 1.

    Example: facegeom detect album/ directions/
    """
    from facegeom.head_pose import MIN_SCORE, PoseDetector
    from facegeom.image.reading import ENDINGS

    targets = _targets(collect([source], ENDINGS), source, target)
    detector = PoseDetector(
        min_face=min_face,
        min_score=MIN_SCORE if min_score is None else min_score,
        face_pose_net=face_pose_net,
        device="cuda" if cuda else "cpu",
        threads=threads,
        fov_deg=fov,
    )
    told = not source.is_dir()
    over_photos(
        list(targets), lambda photo: _draw(photo, targets[photo], detector, told), "detecting", target
    )


def _written_before(photo: Photo, source: Path, target: Path) -> bool:
    """What an earlier run has left in a folder among the photos is not read again."""
    searched, folder = source.resolve(), target.resolve()
    return searched in folder.parents and folder in photo.path.resolve().parents


def _targets(photos: Iterable[Photo], source: Path, target: Path) -> dict[Photo, Path]:
    """The file that each photo is drawn into.

    Raises:
        InputError: no photo is left.
        OutputError: a photo would be overwritten, or the file's format is not written.
    """
    into_folder = source.is_dir() or target.is_dir() or not target.suffix
    targets = {
        photo: _in_folder(target, photo.name) if into_folder else _file(target)
        for photo in photos
        if not _written_before(photo, source, target)
    }
    if not targets:
        raise InputError(f"expected photos in {str(source)!r} beside those in {str(target)!r}, found none")
    taken = {photo.path.resolve() for photo in targets}
    for file in targets.values():
        if file.resolve() in taken:
            raise OutputError(f"{str(file)!r} is one of the photos; give another DEST")
    return targets


def _in_folder(folder: Path, name: str) -> Path:
    """The photo's own name; a JPEG where pictures are not written in its format."""
    path = folder / name
    return path if path.suffix.lower() in FORMATS else path.with_suffix(".jpg")


def _file(target: Path) -> Path:
    if target.suffix.lower() not in FORMATS:
        raise OutputError(
            f"expected DEST to be a folder or a picture ending in {' '.join(FORMATS)}, got {str(target)!r}"
        )
    return target


def _draw(photo: Photo, target: Path, detector: "PoseDetector", told: bool) -> int:
    """Write one picture; the number of its faces."""
    from facegeom.export.files import write
    from facegeom.image import reading

    image = reading.read(photo.path)
    poses = detector(image, detector.fov_deg or reading.fov_deg(photo.path))
    write(target, encode(poses.draw(image), target.suffix.lower()))
    for pose in poses if told else ():
        typer.echo(_line(pose))
    return len(poses)


def _line(pose: "Pose") -> str:
    box = " ".join(f"{edge:.0f}" for edge in pose.box_xyxy)
    named = {"yaw": pose.yaw_deg, "pitch": pose.pitch_deg, "roll": pose.roll_deg}
    angles = ", ".join(f"{name} {round(angle, 1) + 0.0:.1f}°" for name, angle in named.items())  # no -0.0
    return f"{angles}, score {pose.score:.2f}, box {box}"
