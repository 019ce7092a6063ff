"""``facegeom analyze``: photos in, geometry files out."""

import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from importlib.resources import as_file, files
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

import typer

from facegeom.cli.photos import Photo, collect
from facegeom.errors import FacegeomError

if TYPE_CHECKING:
    from rich.progress import Progress

    from facegeom.analyzer import FaceAnalyzer

_DEMO = "astronaut.jpg"


@dataclass
class _Tally:
    """What a run has done so far."""

    photos: int = 0
    faces: int = 0
    failed: int = 0

    def summary(self, seconds: float, out: Path) -> str:
        photos = f"{self.photos} photo{'s' * (self.photos != 1)}"
        found = f"{self.faces} face{'s' * (self.faces != 1)}"
        rate = self.photos / max(seconds, 1e-9)
        return f"{photos}, {found}, {self.failed} failed, {rate:.1f} photos/s; files in {out}"


def analyze(
    sources: Annotated[
        list[Path] | None,
        typer.Argument(metavar="PHOTO|DIR", show_default=False, help="Photos, and folders to search."),
    ] = None,
    out: Annotated[Path, typer.Option("--out", "-o", metavar="OUT", help="Folder for the results.")] = Path(
        "out"
    ),
    formats: Annotated[
        str, typer.Option("--format", help="What to write, with commas: json, overlay, obj, ply, glb.")
    ] = "json,overlay,obj,glb",
    min_face: Annotated[
        float | None,
        typer.Option(
            min=1, metavar="PX", help="Smallest face, pixels of the photo; by default a share of it."
        ),
    ] = None,
    max_faces: Annotated[int | None, typer.Option(min=1, help="Keep the best faces only.")] = None,
    min_score: Annotated[
        float | None, typer.Option(min=0, max=1, help="Least score of a face, 0 to 1.")
    ] = None,
    device: Annotated[Literal["cpu", "cuda"], typer.Option(help="Where the networks run.")] = "cpu",
    threads: Annotated[int | None, typer.Option(min=1, help="Threads of the networks.")] = None,
    fov: Annotated[
        float | None,
        typer.Option(
            min=1,
            max=179,
            metavar="DEG",
            help="Angle of view across the longer side, for distances; by default the photo's EXIF, else 50.",
        ),
    ] = None,
    demo: Annotated[
        bool, typer.Option("--demo", help="Analyse the portrait that ships with facegeom.")
    ] = False,
) -> None:
    """Find the faces of photos and write their geometry.

    Writes OUT/PHOTO.json, OUT/PHOTO.overlay.jpg, and for each face
    OUT/PHOTO.0.obj and OUT/PHOTO.0.glb. A folder is searched with its
    sub-folders, whose names are kept under OUT. A photo that cannot be read
    is reported and does not stop the rest; the exit code is then 1.

    Example: facegeom analyze holiday.jpg album/ -o out --format json,overlay
    """
    from facegeom.export.files import make_folder

    kinds = _formats(formats)
    options = {"min_face": min_face, "max_faces": max_faces, "min_score": min_score, "threads": threads}
    options["fov_deg"] = fov
    with _photos(sources or [], demo) as photos:
        make_folder(out)
        analyzer = _analyzer(device, {name: value for name, value in options.items() if value is not None})
        started = time.perf_counter()
        tally = _run(photos, analyzer, out, kinds)
    typer.echo(tally.summary(time.perf_counter() - started, out))
    if tally.failed:
        raise typer.Exit(1)


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
    from facegeom.imaging import ENDINGS

    if not sources and not demo:
        raise typer.BadParameter("expected photos or folders, got none; try --demo", param_hint="'PHOTO|DIR'")
    with as_file(files("facegeom") / "data" / _DEMO) as portrait:
        yield collect([*sources, *([portrait] if demo else [])], ENDINGS)


def _analyzer(device: str, options: dict[str, Any]) -> "FaceAnalyzer":
    from facegeom.analyzer import FaceAnalyzer

    return FaceAnalyzer(device=device, **options)


def _run(photos: list[Photo], analyzer: "FaceAnalyzer", out: Path, kinds: list[str]) -> _Tally:
    tally = _Tally()
    with _progress() as progress:
        for photo in progress.track(photos, description="analyzing"):
            tally.photos += 1
            try:
                tally.faces += _analyze_one(photo, analyzer, out, kinds)
            except FacegeomError as error:
                tally.failed += 1
                progress.console.print(f"failed: {error}", style="red", markup=False, soft_wrap=True)
    return tally


def _analyze_one(photo: Photo, analyzer: "FaceAnalyzer", out: Path, kinds: list[str]) -> int:
    """Write the files of one photo; the number of its faces."""
    from facegeom import imaging

    image = imaging.read(photo.path)
    fov_deg = analyzer.fov_deg or imaging.fov_deg(photo.path)
    faces = replace(analyzer(image, fov_deg), file=photo.name)
    faces.save(out, kinds, image=image, name=photo.stem)
    return len(faces)


def _progress() -> "Progress":
    """A bar on stderr, shown in a terminal only."""
    from rich.console import Console
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

    console = Console(stderr=True)
    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
    return Progress(*columns, console=console, transient=True, disable=not console.is_terminal)
