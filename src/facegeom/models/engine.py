"""Inference sessions of ONNX Runtime, which only this module and ``devices`` import."""

import os
import re
from pathlib import Path
from typing import Any
from weakref import WeakSet

import numpy as np
import numpy.typing as npt

from facegeom.errors import FacegeomError, InputError, WeightsError, shown
from facegeom.models import devices, weights
from facegeom.parallel import free_cores, side_by_side

BATCH = 32
"""Crops in one call of a network, by default."""

LEAST_BATCH = 8
"""Fewer are not divided among the cores."""

MAX_THREADS = 1024
"""Most threads of one call; the runtime starts them all."""


class Engine:
    """A network on one device. Safe to call from many threads; survives pickling and fork.

    The session opens in the constructor, and again in a forked child, where the parent's threads are gone.

    Args:
        path: the ONNX file.
        device: one of :data:`facegeom.models.devices.DEVICES`.
        threads: threads of one call, at most ``MAX_THREADS``; None for one thread, and many crops are divided
            among the cores.

    Raises:
        InputError: an unknown device, one that this ONNX Runtime does not offer, or no number of threads.
        WeightsError: the file cannot be loaded, or is one that ships and has changed.
    """

    def __init__(self, path: Path, device: str = "cpu", threads: int | None = None) -> None:
        is_number = isinstance(threads, (int, np.integer)) and not isinstance(threads, bool)
        if threads is not None and not (is_number and 1 <= threads <= MAX_THREADS):
            raise InputError(
                f"threads: expected a whole number from 1 to {MAX_THREADS}, got {shown(threads)}"
            )
        self.path, self.device = path, devices.resolve(device)
        self.threads = None if threads is None else int(threads)
        self._session: Any = self._open()
        _engines.add(self)

    def __call__(
        self, batch: npt.NDArray[np.uint8 | np.float32], **others: npt.NDArray[np.float32]
    ) -> list[npt.NDArray[np.float32]]:
        """Run a batch and return the outputs in the manifest's order.

        Args:
            batch: the first input, for most networks (N, H, W, 3) uint8 RGB; the manifest describes others.
            others: further inputs (N, ...) by name.
        """
        if self._session is None:
            self._session = self._open()
        try:
            return list(self._session.run(None, {self._first: batch, **others}))
        except Exception as error:  # ONNX Runtime's errors share no base but Exception
            if isinstance(error, MemoryError) or re.search("alloc|out of memory", str(error), re.IGNORECASE):
                raise MemoryError(f"the network {self.path.name}") from error
            raise FacegeomError(f"the network {self.path.name} failed: {shown(str(error), 300)}") from error

    def batched(
        self,
        crops: npt.NDArray[np.uint8 | np.float32],
        size: int = BATCH,
        outputs: int | None = None,
        **others: npt.NDArray[np.float32],
    ) -> list[npt.NDArray[np.float32]]:
        """Run any number of crops or other first inputs (N, ...), N > 0, at most ``size`` in a call.

        Of several outputs only the first ``outputs`` are kept; None keeps all.
        """

        def run(start: int) -> list[npt.NDArray[np.float32]]:
            part = slice(start, start + size)
            return self(crops[part], **{name: each[part] for name, each in others.items()})[:outputs]

        divided = self.threads is None and self.device == "cpu" and len(crops) > LEAST_BATCH
        if divided:
            size = min(size, max(LEAST_BATCH, -(-len(crops) // free_cores())))
        if len(crops) <= size:
            return self(crops, **others)[:outputs]
        starts = range(0, len(crops), size)
        parts = side_by_side(run, starts) if divided else map(run, starts)
        return [np.concatenate(each) for each in zip(*parts, strict=True)]

    @property
    def outputs(self) -> tuple[str, ...]:
        """Names of the outputs, in order."""
        if self._session is None:
            self._session = self._open()
        return tuple(output.name for output in self._session.get_outputs())

    def __getstate__(self) -> dict[str, Any]:
        return {"path": self.path, "device": self.device, "threads": self.threads}

    def __setstate__(self, state: dict[str, Any]) -> None:
        self.__init__(**state)  # type: ignore[misc]

    def _open(self) -> Any:
        import onnxruntime  # here, so that importing facegeom stays quick

        providers = devices.providers(self.device)
        options = onnxruntime.SessionOptions()
        options.enable_mem_pattern = self.device != "directml"  # which cannot use it
        options.intra_op_num_threads = self.threads or 1
        options.log_severity_level = 3
        # Several networks take turns: threads spin while they wait within a call, and hold no core after it.
        options.add_session_config_entry("session.force_spinning_stop", "1")
        try:
            content = self.path.read_bytes()
            weights.check(self.path, content)
            session = onnxruntime.InferenceSession(content, options, providers=providers)
        except WeightsError:
            raise
        except Exception as error:  # ONNX Runtime's errors share no base but Exception
            raise WeightsError(f"cannot load the network {self.path}: {error}") from error
        devices.check_started(self.device, session.get_providers())
        self._first = session.get_inputs()[0].name
        return session


_engines: WeakSet[Engine] = WeakSet()
_parent_sessions: list[Any] = []


def _drop_parent_sessions() -> None:
    """Drop the sessions but keep them alive: destroying one would wait for threads that fork did not copy."""
    for engine in _engines:
        _parent_sessions.append(engine._session)
        engine._session = None


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_drop_parent_sessions)
