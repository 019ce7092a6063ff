"""ONNX Runtime behind one small class: the only module that imports it."""

import os
from pathlib import Path
from typing import Any
from weakref import WeakSet

import numpy as np
import numpy.typing as npt

from facegeom.errors import InputError, WeightsError

_PROVIDERS = {"cpu": ["CPUExecutionProvider"], "cuda": ["CUDAExecutionProvider", "CPUExecutionProvider"]}


class Engine:
    """A network on one device. Safe to call from many threads; survives pickling and fork.

    The session is opened at once, and again in a forked child, where the parent's threads are gone.

    Args:
        path: of the ONNX file.
        device: "cpu" or "cuda".
        threads: of one call; None for all cores.

    Raises:
        InputError: an unknown device, or one that this ONNX Runtime does not offer.
        WeightsError: the file cannot be loaded.
    """

    def __init__(self, path: Path, device: str = "cpu", threads: int | None = None) -> None:
        if device not in _PROVIDERS:
            raise InputError(f"device: expected one of {', '.join(_PROVIDERS)}, got {device!r}")
        self.path, self.device, self.threads = path, device, threads
        self._session: Any = self._open()
        _engines.add(self)

    def __call__(self, batch: npt.NDArray[np.uint8 | np.float32]) -> list[npt.NDArray[np.float32]]:
        """Run a batch, (N, H, W, 3) uint8 RGB but for ``depth2``; the outputs in the manifest's order."""
        return list(self._opened().run(None, {"pictures": batch}))

    @property
    def outputs(self) -> tuple[str, ...]:
        """Names of the outputs, in order."""
        return tuple(output.name for output in self._opened().get_outputs())

    def __getstate__(self) -> dict[str, Any]:
        return {"path": self.path, "device": self.device, "threads": self.threads}

    def __setstate__(self, state: dict[str, Any]) -> None:
        self.__init__(**state)  # type: ignore[misc]

    def _opened(self) -> Any:
        if self._session is None:
            self._session = self._open()
        return self._session

    def _open(self) -> Any:
        import onnxruntime  # here, so that importing facegeom stays quick

        providers = _PROVIDERS[self.device]
        if providers[0] not in onnxruntime.get_available_providers():
            raise InputError(
                f"device {self.device!r}: this ONNX Runtime has no {providers[0]}; "
                "install onnxruntime-gpu in place of onnxruntime, or use device='cpu'"
            )
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = self.threads or 0
        options.log_severity_level = 3
        # Several networks take turns: threads wait spinning during a call, but hold no core after it.
        options.add_session_config_entry("session.force_spinning_stop", "1")
        try:
            session = onnxruntime.InferenceSession(str(self.path), options, providers=providers)
        except Exception as error:  # ONNX Runtime's errors share no base but Exception
            raise WeightsError(f"cannot load the network {self.path}: {error}") from error
        return session


_engines: WeakSet[Engine] = WeakSet()
_sessions_of_the_parent: list[Any] = []


def _leave_the_parents_sessions() -> None:
    """Forget them but keep them alive: to destroy one would wait for threads that did not come along."""
    for engine in _engines:
        _sessions_of_the_parent.append(engine._session)
        engine._session = None


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_leave_the_parents_sessions)
