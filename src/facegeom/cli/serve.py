"""``facegeom serve``: the analyzer behind HTTP, with a page for people."""

from ipaddress import ip_address
from typing import TYPE_CHECKING, Annotated

import typer

from facegeom.cli.options import Device

if TYPE_CHECKING:
    import socket


def serve(
    host: Annotated[str, typer.Option(help="Address to listen at; the default is this machine alone.")] = (
        "127.0.0.1"
    ),
    port: Annotated[int, typer.Option(min=0, max=65535, help="Port; 0 takes a free one.")] = 8000,
    max_mb: Annotated[float, typer.Option(min=0.001, help="Largest upload, 10^6 bytes.")] = 20,
    max_megapixels: Annotated[float, typer.Option(min=0.001, help="Largest photo, 10^6 pixels.")] = 25,
    queue: Annotated[int, typer.Option(min=1, help="Photos in work at once; more are refused.")] = 64,
    batch: Annotated[int, typer.Option(min=1, help="Photos that a worker takes at once.")] = 16,
    timeout: Annotated[float, typer.Option(min=1, help="Seconds for an upload, and for its answer.")] = 30,
    device: Device = "cpu",
    workers: Annotated[
        int | None,
        typer.Option(min=1, help="Processes with networks; by default one a core, up to 4."),
    ] = None,
    threads: Annotated[
        int | None, typer.Option(min=1, help="Threads of each; by default they share the cores.")
    ] = None,
) -> None:
    """Serve the analyzer over HTTP, and a page at / for people.

    Photos are kept in memory only, for as long as their answer takes. There
    is no login: whoever reaches the address may use it. Stop with Ctrl+C;
    what is in work is finished first.

    Example: facegeom serve --port 8000
    """
    from facegeom.serve.crew import hired, sizes
    from facegeom.serve.run import listen, run
    from facegeom.serve.settings import Settings

    limits = Settings(round(max_mb * 1e6), round(max_megapixels * 1e6), queue, batch, timeout_s=timeout)
    count, each = sizes(device, workers, threads)
    with listen(host, port) as door, hired(count, device, each) as crew:
        typer.echo(f"facegeom serves at {_address(door)}; stop with Ctrl+C")
        if not ip_address(door.getsockname()[0]).is_loopback:
            typer.secho("others may reach it, and there is no login", fg="yellow", err=True)
        run(crew, limits, door)


def _address(door: "socket.socket") -> str:
    host, port = door.getsockname()[:2]
    return f"http://[{host}]:{port}/" if ":" in host else f"http://{host}:{port}/"
