"""``facegeom bench``: accuracy and speed beside the peers. Needs the data pack."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

if TYPE_CHECKING:
    from facegeom_lab.measures.tables import Table

app = typer.Typer(help="Measure accuracy and speed beside other libraries.", no_args_is_help=True)

Data = Annotated[
    Path, typer.Option("--data", help="The data pack: faces/, scenes/, backgrounds/, the head model.")
]
Out = Annotated[
    Path, typer.Option("--out", "-o", help="Where the tables go, and the cache of the peers' answers.")
]
Peers = Annotated[
    str, typer.Option("--peers", help="Peers to measure beside facegeom, with commas; '' for none.")
]
Pythons = Annotated[
    list[str] | None,
    typer.Option(
        "--peer-python", help="NAME=PYTHON: a peer's interpreter; without it its environment is made."
    ),
]
OUT = Path("benchmarks/results")


@app.command()
def accuracy(
    data: Data,
    out: Out = OUT,
    peers: Peers = "mediapipe,mtcnn,dlib",
    peer_python: Pythons = None,
    only: Annotated[
        str,
        typer.Option(help="Sections with commas: detection, hard, end-to-end, mesh, confidence, rotation."),
    ] = "",
) -> None:
    """Detection, points, mesh, confidence and rotation, with default settings.

    Example: facegeom bench accuracy --data data --only detection,end-to-end
    """
    wanted = _interpreters(peers, peer_python or [])
    from facegeom.analyzer import FaceAnalyzer
    from facegeom_lab.bench.accuracy.run import run_accuracy

    run_accuracy(data, out, FaceAnalyzer(), wanted, _names(only), _show)
    typer.echo(f"saved {out / 'accuracy.md'} and {out / 'accuracy.json'}")


@app.command()
def speed(
    data: Data,
    out: Out = OUT,
    peers: Peers = "mediapipe,mtcnn,dlib",
    peer_python: Pythons = None,
    photos: Annotated[int, typer.Option(min=1, help="Photos to time.")] = 24,
    repetitions: Annotated[int, typer.Option(min=1, help="Counted calls in a time block.")] = 15,
) -> None:
    """One photo in, one answer out; memory, import and command times. Leave the machine alone meanwhile.

    Example: facegeom bench speed --data data -o results
    """
    wanted = _interpreters(peers, peer_python or [])
    from facegeom.analyzer import FaceAnalyzer
    from facegeom_lab.bench.speed.run import Effort, run_speed

    run_speed(data, out, FaceAnalyzer(), wanted, Effort(photos, repetitions), _show)
    typer.echo(f"saved {out / 'speed.md'} and {out / 'speed.json'}")


@app.command()
def serve(
    data: Data,
    out: Out = OUT,
    photos: Annotated[int, typer.Option(min=1, help="Different photos.")] = 24,
    clients: Annotated[int, typer.Option(min=1, help="Clients that ask at once.")] = 16,
    seconds: Annotated[float, typer.Option(min=0.5, help="Length of a time block.")] = 10,
    minutes: Annotated[float, typer.Option(min=0, help="Length of the steady load; 0 for none.")] = 0,
    load: Annotated[float, typer.Option(min=0.01, help="Of the steady load, share of the throughput.")] = 0.8,
    overload: Annotated[bool, typer.Option(help="Ask for more than the service takes.")] = True,
) -> None:
    """The service beside the analyzer alone. Leave the machine alone meanwhile.

    Example: facegeom bench serve --data data --minutes 10 --load 0.8
    """
    from facegeom_lab.bench.service.run import Effort, run_service

    run_service(data, out, Effort(photos, clients, seconds, minutes, load, overload), _show)
    typer.echo(f"saved {out / 'serve.md'} and {out / 'serve.json'}")


@app.command()
def batch(
    photos: Annotated[Path, typer.Argument(help="Folder of photos, to make all the others from.")],
    out: Out = OUT,
    engines: Annotated[str, typer.Option(help="Engines with commas: local, ray.")] = "local,ray",
    count: Annotated[int, typer.Option(min=60, help="Photos to analyse.")] = 5000,
    workers: Annotated[int, typer.Option(min=1, help="Of each engine.")] = 2,
    part_size: Annotated[int, typer.Option(min=1, help="Photos of a part.")] = 64,
    kills: Annotated[int, typer.Option(min=0, help="Of each engine; 0 leaves them out.")] = 20,
    seed: Annotated[int, typer.Option(min=0, help="Of the photos and of the kills.")] = 0,
    minutes: Annotated[float, typer.Option(min=0.1, help="Longest that one run may take.")] = 60,
) -> None:
    """Many photos: workers against one process alone, and what kills do. Leave the machine alone meanwhile.

    Example: facegeom bench batch album -o results
    """
    wanted = _names(engines)
    if not wanted or set(wanted) - {"local", "ray"}:
        raise typer.BadParameter(f"expected some of local, ray, got {engines!r}", param_hint="--engines")
    from facegeom_lab.bench.batch.run import Effort, run_batch

    run_batch(photos, out, wanted, Effort(count, workers, part_size, kills, seed, minutes), _show)
    typer.echo(f"saved {out / 'batch.md'} and {out / 'batch.json'}")


@app.command()
def video(
    out: Out = OUT,
    peers: Peers = "mediapipe",
    peer_python: Pythons = None,
    frames: Annotated[int, typer.Option(min=31, help="Frames of each clip.")] = 300,
    rounds: Annotated[int, typer.Option(min=1, help="Rounds of ours, peer, peer, ours.")] = 3,
) -> None:
    """One face through a clip: frames per second, jitter and lag. Leave the machine alone meanwhile.

    Example: facegeom bench video -o results
    """
    wanted = _interpreters(peers, peer_python or [])
    from facegeom.analyzer import FaceAnalyzer
    from facegeom_lab.bench.video.run import Effort, run_video_bench

    run_video_bench(out, FaceAnalyzer(), wanted, Effort(frames, rounds), _show)
    typer.echo(f"saved {out / 'video.md'} and {out / 'video.json'}")


@app.command()
def browser(
    out: Out = OUT,
    chromium: Annotated[
        Path | None, typer.Option(help="The browser's program; by default Playwright's own.")
    ] = None,
    calls: Annotated[int, typer.Option(min=1, help="Counted calls in a time block.")] = 15,
) -> None:
    """The networks in the service's page beside the analyzer. Leave the machine alone meanwhile.

    Example: facegeom bench browser --chromium /usr/bin/chromium
    """
    from facegeom.analyzer import FaceAnalyzer
    from facegeom_lab.bench.browser import run_browser

    run_browser(out, FaceAnalyzer(), chromium, calls, _show)
    typer.echo(f"saved {out / 'browser.md'} and {out / 'browser.json'}")


@app.command()
def rotation(
    data: Data,
    out: Out = OUT,
    peers: Peers = "mediapipe,mtcnn",
    peer_python: Pythons = None,
    face_pose_net: Annotated[
        Path | None, typer.Option(help="ONNX file of an FPNet; by default the one that ships.")
    ] = None,
    only: Annotated[str, typer.Option(help="Sections with commas: heads, turning, scenes, speed.")] = "",
    heads: Annotated[int, typer.Option(min=1, help="Rendered heads.")] = 400,
    turning: Annotated[int, typer.Option(min=1, help="Heads that turn, 161 pictures each.")] = 3,
    photos: Annotated[int, typer.Option(min=1, help="Photos to time.")] = 24,
    repetitions: Annotated[int, typer.Option(min=1, help="Counted calls in a time block.")] = 15,
) -> None:
    """The head's rotation by the face network, by FPNet, by peers; times. Leave the machine alone meanwhile.

    Example: facegeom bench rotation --data data --only heads,turning
    """
    wanted = _interpreters(peers, peer_python or [])
    from facegeom_lab.bench.rotation.run import Size, run_rotation
    from facegeom_lab.bench.speed.run import Effort

    size = Size(heads, turning, Effort(photos, repetitions))
    run_rotation(data, out, wanted, face_pose_net, size, _names(only), _show)
    typer.echo(f"saved {out / 'rotation.md'} and {out / 'rotation.json'}")


@app.command()
def depth(
    data: Data,
    labels: Annotated[Path, typer.Option(help="Mesh labels: the file of `facegeom lab label`.")] = Path(
        "runs/labels.npz"
    ),
    out: Out = OUT,
    methods: Annotated[str, typer.Option(help="Of mesh, network; with commas.")] = "mesh,network",
    peers: Peers = "mediapipe",
    peer_python: Pythons = None,
    heads: Annotated[int, typer.Option(min=1, help="Rendered heads.")] = 300,
    every: Annotated[int, typer.Option(min=1, help="Take every so many faces of val.")] = 4,
    photos: Annotated[int, typer.Option(min=1, help="Photos to time.")] = 12,
    repetitions: Annotated[int, typer.Option(min=1, help="Counted calls in a time block.")] = 15,
) -> None:
    """Depth maps of rendered heads and of real faces, and their times. Needs the extra `lab`.

    Example: facegeom bench depth --data data --labels runs/labels.npz -o results
    """
    wanted = _interpreters(peers, peer_python or [])
    from facegeom_lab.bench.depth.run import METHODS, Effort, run_depth

    chosen = _names(methods)
    if not chosen or set(chosen) - set(METHODS):
        raise typer.BadParameter(f"expected some of mesh, network, got {methods!r}", param_hint="--methods")
    run_depth(data, labels, out, chosen, wanted, Effort(heads, every, photos, repetitions), _show)
    typer.echo(f"saved {out / 'depth.md'} and {out / 'depth.json'}")


@app.command()
def summary(
    results: Annotated[Path, typer.Option(help="Folder of the saved results.")] = OUT,
    readme: Annotated[
        Path | None, typer.Option(help="File whose marked table is replaced; by default it is printed.")
    ] = None,
) -> None:
    """Make the table of the README from the saved runs of accuracy, depth, speed and video.

    Example: facegeom bench summary --readme README.md
    """
    from facegeom_lab.bench.summary import insert, markdown

    table = markdown(results)
    if readme is None:
        typer.echo(table)
    else:
        insert(readme, table)
        typer.echo(f"wrote {readme}")


def _names(listed: str) -> list[str]:
    return [name.strip() for name in listed.split(",") if name.strip()]


def _interpreters(peers: str, assignments: list[str]) -> dict[str, Path | None]:
    """Each wanted peer's interpreter, None where it is to be made."""
    given: dict[str, Path] = {}
    for assignment in assignments:
        name, sign, python = assignment.partition("=")
        if not (sign and python):
            raise typer.BadParameter(f"expected NAME=PYTHON, got {assignment!r}", param_hint="--peer-python")
        given[name] = Path(python)
    return {name: given.get(name) for name in _names(peers)}


def _show(table: "Table") -> None:
    typer.echo(table.markdown())
