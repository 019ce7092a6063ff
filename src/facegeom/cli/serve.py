"""``facegeom serve``: serve the analyzer over HTTP, with a page for people."""

from ipaddress import ip_address
from typing import TYPE_CHECKING, Annotated, Literal

import typer

from facegeom.cli.options import DetectorName, Device, PoseNet, Weights

if TYPE_CHECKING:
    import socket


def serve(
    host: Annotated[str, typer.Option(help="Address to listen on; by default this machine only.")] = (
        "127.0.0.1"
    ),
    port: Annotated[int, typer.Option(min=0, max=65535, help="Port; 0 for any free port.")] = 8000,
    max_mb: Annotated[float, typer.Option(min=0.001, max=1e6, help="Largest upload, 10^6 bytes.")] = 20,
    max_megapixels: Annotated[
        float, typer.Option(min=0.001, max=1e6, help="Largest photo, 10^6 pixels.")
    ] = 25,
    queue: Annotated[int, typer.Option(min=1, help="Most photos in the queue; more are refused.")] = 64,
    batch: Annotated[int, typer.Option(min=1, help="Most photos in one batch of a worker.")] = 16,
    timeout: Annotated[
        float,
        typer.Option(min=1, max=1e6, help="Seconds that an upload may pause, and for its response."),
    ] = 30,
    wait: Annotated[
        float,
        typer.Option(min=0.05, max=1e6, help="Seconds in the queue after which a photo is refused with 503."),
    ] = 0.8,
    allow_host: Annotated[
        list[str] | None,
        typer.Option(
            help="Name by which clients ask, beside addresses and localhost; * for any. Repeatable."
        ),
    ] = None,
    private: Annotated[
        bool, typer.Option("--private", help="The page keeps photos in the browser, unless its user chooses.")
    ] = False,
    device: Device = "cpu",
    workers: Annotated[
        int | None, typer.Option(min=1, help="Worker processes; by default one per core, up to 4.")
    ] = None,
    threads: Annotated[
        int | None, typer.Option(min=1, help="Threads of each worker; by default the cores are divided.")
    ] = None,
    detector: DetectorName = "onepass",
    weights: Weights = None,
    pose_net: PoseNet = "face",
) -> None:
    """Serve the analyzer over HTTP, and a page at / for people.

    Photos are kept in memory only, until their response is sent. There is no
    login: whoever reaches the address can use it. Stop with Ctrl+C; photos
    in the queue get 3 seconds to be finished.

    Example: facegeom serve --port 8000
    """
    from facegeom.serve.limits import Settings
    from facegeom.serve.server import listen, run
    from facegeom.serve.workers import started_workers, workers_and_threads

    sizes = round(max_mb * 1e6), round(max_megapixels * 1e6)
    hosts = (host, *(allow_host or []))
    own: Literal["int8", "free"] = "free" if weights == "free" else "int8"  # of the page
    limits = Settings(*sizes, queue, batch, timeout, detector, wait, hosts, private, own)
    count, each = workers_and_threads(device, workers, threads)
    options = dict(device=device, threads=each, detector=detector, weights=weights, pose_net=pose_net)
    with listen(host, port) as listener, started_workers(count, options, timeout / 2) as started:
        typer.echo(f"facegeom serves at {_address(listener)}; stop with Ctrl+C")
        if not ip_address(listener.getsockname()[0]).is_loopback:
            typer.secho("others may reach it, and there is no login", fg="yellow", err=True)
        run(started, limits, listener)


def _address(listener: "socket.socket") -> str:
    host, port = listener.getsockname()[:2]
    return f"http://[{host}]:{port}/" if ":" in host else f"http://{host}:{port}/"
