"""A worker script under an interpreter of its own, asked over pipes."""

import subprocess
import tempfile
from pathlib import Path
from types import TracebackType
from typing import IO, Any, TypeVar, cast

from facegeom_lab.external import protocol
from facegeom_lab.external.environments import ExternalError

WORKERS = Path(__file__).parent / "workers"

AnyWorker = TypeVar("AnyWorker", bound="WorkerProcess")


class WorkerProcess:
    """A process that answers the requests of :mod:`facegeom_lab.external.protocol`.

    It starts at the beginning of a ``with`` block, or with the first request, and ends with the block. A
    process that has stopped is started again by the next request.

    Attributes:
        name: of the worker script, ``workers/NAME.py``.
        python: the interpreter.
    """

    def __init__(self, name: str, python: Path) -> None:
        self.name, self.python = name, python
        self._process: subprocess.Popen[bytes] | None = None
        self._output: IO[bytes] | None = None

    def start(self) -> None:
        """Start the process and return at once; the first reply comes when its packages are loaded.

        Raises:
            ExternalError: the interpreter cannot be started.
        """
        # Isolated (-I): neither PYTHONPATH nor the script's folder is searched for packages.
        command = [str(self.python), "-I", protocol.__file__, str(WORKERS / f"{self.name}.py")]
        self._output = tempfile.TemporaryFile()  # noqa: SIM115 - closed by close()
        try:
            self._process = subprocess.Popen(
                command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=self._output
            )
        except OSError as error:
            self.close()
            raise ExternalError(f"cannot start {self.name} with {self.python}: {error}") from error

    def ask(self, **request: Any) -> dict[str, Any]:
        """Send a request and wait for the reply.

        Args:
            **request: ``op`` and its fields, ready for JSON; arrays go as they are.

        Raises:
            ExternalError: the request failed (with the worker's traceback), or the process cannot be started
                or has stopped (with its last output).
        """
        if self._process is None:
            self.start()
        process = cast("subprocess.Popen[bytes]", self._process)
        try:
            protocol.send(cast(IO[bytes], process.stdin), request)
            reply = protocol.receive(cast(IO[bytes], process.stdout))
        except (EOFError, BrokenPipeError):
            raise self._stopped(process) from None
        if "error" in reply:
            raise ExternalError(f"{self.name} failed:\n{reply['error']}")
        return reply

    def close(self) -> None:
        """End the process."""
        if self._process is not None:
            self._process.kill()
            self._process.communicate()
            self._process = None
        if self._output is not None:
            self._output.close()
            self._output = None

    def _stopped(self, process: "subprocess.Popen[bytes]") -> ExternalError:
        code, output = process.wait(), cast(IO[bytes], self._output)
        output.seek(0)
        last = output.read().decode(errors="replace")[-2000:]
        self.close()
        return ExternalError(f"{self.name} stopped with exit code {code}; its last output:\n{last}")

    def __enter__(self: AnyWorker) -> AnyWorker:
        self.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()
