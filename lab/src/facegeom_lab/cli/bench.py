"""``facegeom bench``: measure accuracy and speed beside other libraries, the peers."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from facegeom.cli.options import CONTEXT_SETTINGS, Weights
from facegeom_lab.cli.options import LABELS, Data, Labels, Seed

if TYPE_CHECKING:
    from facegeom_lab.measures.tables import Table

app = typer.Typer(
    help="Measure accuracy and speed beside other libraries.",
    no_args_is_help=True,
    context_settings=CONTEXT_SETTINGS,
)

Out = Annotated[
    Path, typer.Option("--out", "-o", help="Folder of the tables and of the peers' cached predictions.")
]
Peers = Annotated[
    str, typer.Option("--peers", help="Libraries to compare with, separated by commas; '' for none.")
]
Pythons = Annotated[
    list[str] | None,
    typer.Option(
        "--peer-python", help="NAME=PYTHON: interpreter of a peer; by default its environment is installed."
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
        typer.Option(
            help="Sections, separated by commas: detection, hard, crowds, cut, poor, groups, end-to-end, "
            "mesh, eyes, motions, expression, stability, people, confidence, aligned, rotation."
        ),
    ] = "",
    weights: Weights = None,
) -> None:
    """Measure detection, points, mesh, confidence and rotation with default settings.

    The free set's tables lie in OUT/free.

    Example: facegeom bench accuracy --data data --only detection,end-to-end

    Example: facegeom bench accuracy --data data --weights free --peers '' --only detection,end-to-end,mesh
    """
    wanted = _interpreters(peers, peer_python or [])
    from facegeom.analyzer import FaceAnalyzer
    from facegeom_lab.bench.accuracy.run import run_accuracy

    sections = _split_names(only)
    if weights == "free":
        out = out / "free"
    networks = FaceAnalyzer(weights=weights)
    run_accuracy(data, out, networks, wanted, sections, _print_table, weights or "default")
    typer.echo(f"saved {out / 'accuracy.md'} and {out / 'accuracy.json'}")


@app.command()
def speed(
    data: Data,
    out: Out = OUT,
    peers: Peers = "mediapipe,mtcnn,dlib",
    peer_python: Pythons = None,
    photos: Annotated[int, typer.Option(min=1, help="Photos to time.")] = 24,
    repetitions: Annotated[int, typer.Option(min=1, help="Timed calls in each block.")] = 15,
) -> None:
    """Measure the time of one photo, of imports and commands, and memory. Needs an idle machine.

    Example: facegeom bench speed --data data -o results
    """
    wanted = _interpreters(peers, peer_python or [])
    from facegeom.analyzer import FaceAnalyzer
    from facegeom_lab.bench.speed.run import SpeedConfig, run_speed

    run_speed(data, out, FaceAnalyzer(), wanted, SpeedConfig(photos, repetitions), _print_table)
    typer.echo(f"saved {out / 'speed.md'} and {out / 'speed.json'}")


@app.command()
def serve(
    data: Data,
    out: Out = OUT,
    photos: Annotated[int, typer.Option(min=1, help="Number of different photos.")] = 24,
    clients: Annotated[int, typer.Option(min=1, help="Concurrent clients.")] = 16,
    seconds: Annotated[float, typer.Option(min=0.5, help="Length of each timed block.")] = 10,
    minutes: Annotated[float, typer.Option(min=0, help="Length of the steady load test; 0 for none.")] = 0,
    load: Annotated[float, typer.Option(min=0.01, help="Steady load as a fraction of the throughput.")] = 0.8,
    overload: Annotated[bool, typer.Option(help="Test a load above the throughput, too.")] = True,
) -> None:
    """Measure the HTTP service beside the analyzer alone. Needs an idle machine.

    Example: facegeom bench serve --data data --minutes 10 --load 0.8
    """
    from facegeom_lab.bench.service.run import ServiceConfig, run_service

    run_service(data, out, ServiceConfig(photos, clients, seconds, minutes, load, overload), _print_table)
    typer.echo(f"saved {out / 'serve.md'} and {out / 'serve.json'}")


@app.command()
def attacks(
    out: Out = OUT,
    only: Annotated[str, typer.Option(help="Attacks, separated by commas; by default all.")] = "",
    seconds: Annotated[float, typer.Option(min=1, help="Length of each attack.")] = 20,
    rest: Annotated[float, typer.Option(min=1, help="Seconds measured before and after each.")] = 10,
    minutes: Annotated[float, typer.Option(min=0, help="Length of two steady loads; 0 for none.")] = 0,
) -> None:
    """Attack the HTTP service, and measure what another client notices. Needs an idle machine.

    Example: facegeom bench attacks --only scans,slow_bodies -o results
    """
    from facegeom_lab.bench.service.attacks import ATTACKS
    from facegeom_lab.bench.service.hostile import AttackConfig, run_attacks

    names = _split_names(only) or list(ATTACKS)
    if unknown := set(names) - set(ATTACKS):
        expected = f"expected some of {', '.join(ATTACKS)}, got {', '.join(sorted(unknown))}"
        raise typer.BadParameter(expected, param_hint="--only")
    run_attacks(out, AttackConfig(names, seconds, rest, minutes), _print_table)
    typer.echo(f"saved {out / 'attacks.md'} and {out / 'attacks.json'}")


@app.command()
def batch(
    photos: Annotated[Path, typer.Argument(help="Folder of photos; the run's photos are made from them.")],
    out: Out = OUT,
    engines: Annotated[str, typer.Option(help="Engines, separated by commas: local, ray.")] = "local,ray",
    count: Annotated[int, typer.Option(min=60, help="Photos to make.")] = 5000,
    repeat: Annotated[int, typer.Option(min=1, help="How often the engines go over them.")] = 1,
    workers: Annotated[int, typer.Option(min=1, help="Worker processes of each engine.")] = 2,
    part_size: Annotated[int, typer.Option(min=1, help="Photos in each file of results.")] = 64,
    kills: Annotated[int, typer.Option(min=0, help="Kills of each engine; 0 for none.")] = 20,
    seed: Seed = 0,
    minutes: Annotated[float, typer.Option(min=0.1, help="Time limit of each run.")] = 60,
    listed: Annotated[int, typer.Option(min=1, help="Files that the section scale lists.")] = 1_000_000,
    megabytes: Annotated[float, typer.Option(min=1, help="Size of each shard in the store.")] = 400,
    only: Annotated[
        str,
        typer.Option(
            help="Sections, separated by commas: throughput, kills, merged, shards, loose, outages, scale; "
            "by default the first two."
        ),
    ] = "",
) -> None:
    """Measure batch throughput beside a single process, and recovery from kills. Needs an idle machine.

    Example: facegeom bench batch album -o results

    Example: facegeom bench batch album --only shards,loose,outages
    """
    wanted = _split_names(engines)
    if not wanted or set(wanted) - {"local", "ray"}:
        raise typer.BadParameter(f"expected some of local, ray, got {engines!r}", param_hint="--engines")
    from facegeom_lab.bench.batch.run import BatchConfig, run_batch

    config = BatchConfig(count, repeat, workers, part_size, kills, seed, minutes, listed, megabytes)
    run_batch(photos, out, wanted, config, _split_names(only), _print_table)
    typer.echo(f"saved {out / 'batch.md'} and {out / 'batch.json'}")


@app.command()
def video(
    out: Out = OUT,
    peers: Peers = "mediapipe",
    peer_python: Pythons = None,
    frames: Annotated[int, typer.Option(min=31, help="Frames of each clip.")] = 300,
    rounds: Annotated[int, typer.Option(min=1, help="Rounds; each measures ours, peer, peer, ours.")] = 3,
) -> None:
    """Measure frames per second, jitter and lag on clips of one face. Needs an idle machine.

    Example: facegeom bench video -o results
    """
    wanted = _interpreters(peers, peer_python or [])
    from facegeom.analyzer import FaceAnalyzer
    from facegeom_lab.bench.video.run import VideoConfig, run_video_bench

    run_video_bench(out, FaceAnalyzer(), wanted, VideoConfig(frames, rounds), _print_table)
    typer.echo(f"saved {out / 'video.md'} and {out / 'video.json'}")


@app.command()
def live(
    out: Out = OUT, frames: Annotated[int, typer.Option(min=1, help="Frames of the clip.")] = 300
) -> None:
    """Measure frames per second and the time from a frame to its packets. Needs an idle machine.

    Example: facegeom bench live -o results
    """
    from facegeom.analyzer import FaceAnalyzer
    from facegeom_lab.bench.video.live import run_live_bench

    run_live_bench(out, FaceAnalyzer(), frames, _print_table)
    typer.echo(f"saved {out / 'live.md'} and {out / 'live.json'}")


@app.command()
def browser(
    out: Out = OUT,
    chromium: Annotated[
        Path | None, typer.Option(help="Executable of the browser; by default Playwright's own.")
    ] = None,
    calls: Annotated[int, typer.Option(min=1, help="Timed calls in each block.")] = 15,
) -> None:
    """Measure the networks in the service's page beside the analyzer. Needs an idle machine.

    Example: facegeom bench browser --chromium /usr/bin/chromium
    """
    from facegeom.analyzer import FaceAnalyzer
    from facegeom_lab.bench.browser import run_browser

    run_browser(out, FaceAnalyzer(), chromium, calls, _print_table)
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
    only: Annotated[
        str,
        typer.Option(help="Sections by comma: heads, turning, scenes, speed, frontal, wide, turned."),
    ] = "",
    heads: Annotated[int, typer.Option(min=1, help="Rendered heads.")] = 400,
    turning: Annotated[int, typer.Option(min=1, help="Heads that turn, 161 images each.")] = 3,
    photos: Annotated[int, typer.Option(min=1, help="Photos to time.")] = 24,
    repetitions: Annotated[int, typer.Option(min=1, help="Timed calls in each block.")] = 15,
    frontal: Annotated[int, typer.Option(min=1, help="Persons who look into the lens, 45 images each.")] = 24,
    wide: Annotated[
        int, typer.Option(min=1, help="Heads of each kind before wide lenses, 9 images each.")
    ] = 60,
) -> None:
    """Measure head rotations of the face network, FPNet and peers, and times. Needs an idle machine.

    Example: facegeom bench rotation --data data --only heads,turning
    """
    wanted = _interpreters(peers, peer_python or [])
    from facegeom_lab.bench.rotation.run import RotationConfig, run_rotation

    config = RotationConfig(heads, turning, photos, repetitions, frontal=frontal, wide=wide)
    run_rotation(data, out, wanted, face_pose_net, config, _split_names(only), _print_table)
    typer.echo(f"saved {out / 'rotation.md'} and {out / 'rotation.json'}")


@app.command()
def depth(
    data: Data,
    labels: Labels = LABELS,
    out: Out = OUT,
    methods: Annotated[
        str, typer.Option(help="Methods, separated by commas: mesh, network.")
    ] = "mesh,network",
    peers: Peers = "mediapipe",
    peer_python: Pythons = None,
    heads: Annotated[int, typer.Option(min=1, help="Rendered heads.")] = 300,
    every: Annotated[int, typer.Option(min=1, help="Take only every N-th face of val.")] = 4,
    photos: Annotated[int, typer.Option(min=1, help="Photos to time.")] = 12,
    repetitions: Annotated[int, typer.Option(min=1, help="Timed calls in each block.")] = 15,
) -> None:
    """Measure depth maps of rendered heads and of real faces, and times. Needs an idle machine.

    Example: facegeom bench depth --data data --labels runs/labels.npz -o results
    """
    wanted = _interpreters(peers, peer_python or [])
    from facegeom_lab.bench.depth.run import METHODS, DepthConfig, run_depth

    chosen = _split_names(methods)
    if not chosen or set(chosen) - set(METHODS):
        raise typer.BadParameter(f"expected some of mesh, network, got {methods!r}", param_hint="--methods")
    run_depth(data, labels, out, chosen, wanted, DepthConfig(heads, every, photos, repetitions), _print_table)
    typer.echo(f"saved {out / 'depth.md'} and {out / 'depth.json'}")


@app.command()
def summary(
    results: Annotated[Path, typer.Option(help="Folder of the results.")] = OUT,
    readme: Annotated[
        Path | None,
        typer.Option(help="File whose marked table is replaced; by default the table is printed."),
    ] = None,
) -> None:
    """Make the table of docs/measured.md from the results of accuracy, depth, speed and video.

    Example: facegeom bench summary --readme docs/measured.md
    """
    from facegeom_lab.bench.summary import insert, markdown

    table = markdown(results)
    if readme is None:
        typer.echo(table)
    else:
        insert(readme, table)
        typer.echo(f"wrote {readme}")


def _split_names(listed: str) -> list[str]:
    return [name.strip() for name in listed.split(",") if name.strip()]


def _interpreters(peers: str, assignments: list[str]) -> dict[str, Path | None]:
    """Return the interpreter of each wanted peer; None if its environment is to be installed."""
    given: dict[str, Path] = {}
    for assignment in assignments:
        name, sign, python = assignment.partition("=")
        if not (sign and python):
            raise typer.BadParameter(f"expected NAME=PYTHON, got {assignment!r}", param_hint="--peer-python")
        given[name] = Path(python)
    return {name: given.get(name) for name in _split_names(peers)}


def _print_table(table: "Table") -> None:
    typer.echo(table.markdown())
