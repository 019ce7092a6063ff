"""Peers in interpreters of their own: making the environment, starting the worker, asking it."""

import json
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import IO, Any, cast

from facegeom.errors import FacegeomError, InputError

WORKERS = Path(__file__).parent / "workers"


class PeerError(FacegeomError):
    """A peer's environment could not be made, or its worker failed; the message carries its own words."""


@dataclass(frozen=True)
class PeerKind:
    """What a peer is made of: requirements, those to install without their own pins, the worker script."""

    requirements: tuple[str, ...]
    unpinned: tuple[str, ...]
    worker: Path


KINDS: Mapping[str, PeerKind] = {
    # 0.10.21 is the last release that carries its models
    "mediapipe": PeerKind(("mediapipe==0.10.21",), (), WORKERS / "mediapipe_peer.py"),
    # its own pins (numpy < 2, torch < 2.3, Pillow 10.2) exclude current interpreters
    "mtcnn": PeerKind(
        ("torch", "torchvision", "numpy", "pillow", "requests", "tqdm"),
        ("facenet-pytorch==2.6.0",),
        WORKERS / "mtcnn_peer.py",
    ),
    "dlib": PeerKind(("dlib-bin", "numpy"), (), WORKERS / "dlib_peer.py"),  # dlib alone has to be compiled
}


def kind(name: str) -> PeerKind:
    """The peer called ``name``; an unknown name raises InputError."""
    if name not in KINDS:
        raise InputError(f"expected a peer among {', '.join(KINDS)}, got {name!r}")
    return KINDS[name]


def default_directory(name: str) -> Path:
    """Where the environment of a peer is kept unless the caller says otherwise."""
    return Path.home() / ".cache" / "facegeom" / "peers" / name


def ensure_environment(name: str, directory: Path | None = None) -> Path:
    """The interpreter of a peer's virtual environment, made on the first call (needs a package index).

    Raises:
        InputError: the peer is unknown.
        PeerError: venv or pip failed; the message ends with what they printed.
    """
    wanted = kind(name)
    home = directory or default_directory(name)
    python = home / ("Scripts/python.exe" if sys.platform == "win32" else "bin/python")
    record = home / "facegeom-peer.json"
    contents = json.dumps([wanted.requirements, wanted.unpinned])
    if not (record.is_file() and record.read_text() == contents):
        _run(sys.executable, "-m", "venv", str(home))
        _run(str(python), "-m", "pip", "install", *wanted.requirements)
        if wanted.unpinned:
            _run(str(python), "-m", "pip", "install", "--no-deps", *wanted.unpinned)
        record.write_text(contents)
    return python


def _run(*command: str) -> None:
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode:
        raise PeerError(f"`{' '.join(command)}` failed:\n{(done.stdout + done.stderr)[-2000:]}")


class Peer:
    """A running worker. Use as a context manager; it ends with the block.

    Attributes:
        name: of :data:`KINDS`.
        versions: package name to version, as the worker's interpreter reports them.
    """

    def __init__(self, name: str, python: Path) -> None:
        self.name = name
        self._log = tempfile.TemporaryFile("w+", encoding="utf-8", errors="replace")  # noqa: SIM115 - closed by close()
        try:
            self._process = subprocess.Popen(
                [str(python), str(kind(name).worker)],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=self._log,
                encoding="utf-8",
            )
        except OSError as error:
            raise PeerError(f"cannot start {name} with {python}: {error}") from error
        self._requests = cast(IO[str], self._process.stdin)
        self._replies = cast(IO[str], self._process.stdout)
        self.versions: dict[str, str] = self.ask(op="about")["versions"]

    def ask(self, **request: Any) -> dict[str, Any]:
        """Send one request of ``workers/protocol.py`` and wait for its reply; a failure raises PeerError."""
        try:
            self._requests.write(json.dumps(request) + "\n")
            self._requests.flush()
            line = self._replies.readline()
        except BrokenPipeError:
            line = ""
        if not line:
            raise PeerError(f"{self.name} ended without an answer:\n{self._last_words()}")
        reply: dict[str, Any] = json.loads(line)
        if "error" in reply:
            raise PeerError(f"{self.name} failed:\n{reply['error']}")
        return reply

    def time_ms(
        self, model: str, array: Path, repetitions: int, warm: int, options: Mapping[str, Any] | None = None
    ) -> list[float]:
        """Milliseconds of ``repetitions`` calls on the array of a .npy file after ``warm`` others."""
        reply = self.ask(
            op="time",
            model=model,
            array=str(array),
            repetitions=repetitions,
            warm=warm,
            options=dict(options or {}),
        )
        return [float(value) for value in reply["milliseconds"]]

    def _last_words(self) -> str:
        self._process.wait(timeout=10)
        self._log.seek(0)
        return self._log.read()[-2000:]

    def close(self) -> None:
        """End the worker."""
        self._requests.close()
        self._replies.close()
        self._process.wait(timeout=30)
        self._log.close()

    def __enter__(self) -> "Peer":
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()


@contextmanager
def started(peers: Mapping[str, Path | None]) -> Iterator[dict[str, Peer]]:
    """The peers' workers by name, running inside the block."""
    for name in peers:
        kind(name)
    with ExitStack() as stack:
        yield {
            name: stack.enter_context(Peer(name, python or ensure_environment(name)))
            for name, python in peers.items()
        }
