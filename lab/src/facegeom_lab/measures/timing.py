"""Times of two systems on the same arrays, interleaved so that drifts of the machine hit both."""

import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from statistics import median
from typing import Any

import numpy as np

from facegeom_lab.bench.peers import Peer

Timer = Callable[[Path, int, int], list[float]]
"""(array file or photo, repetitions, warm-up calls) to milliseconds per call."""


@dataclass(frozen=True)
class Pair:
    """Medians of one photo, milliseconds, each over both of the system's time blocks."""

    ours_ms: float
    peer_ms: float
    one_face_each: bool = True

    @property
    def ratio(self) -> float:
        """ours / peer."""
        return self.ours_ms / self.peer_ms


def interleaved(ours: Timer, peer: Timer, array: Path, repetitions: int, warm: int) -> Pair:
    """Time blocks in the order ours, peer, peer, ours; never both at once.

    Args:
        ours: our timer.
        peer: the other's.
        array: .npy file of an RGB picture (H, W, 3) uint8, or a photo's file, which is decoded in each call.
        repetitions: counted calls in each block.
        warm: uncounted calls at the start of each block.
    """
    first = ours(array, repetitions, warm)
    others = peer(array, repetitions, warm) + peer(array, repetitions, warm)
    return Pair(median(first + ours(array, repetitions, warm)), median(others))


def calls_ms(function: Callable[[], object], repetitions: int, warm: int) -> list[float]:
    """Milliseconds of each of ``repetitions`` calls after ``warm`` uncounted ones."""
    for _ in range(warm):
        function()
    times = []
    for _ in range(repetitions):
        start = time.perf_counter()
        function()
        times.append((time.perf_counter() - start) * 1e3)
    return times


def array_timer(analyze: Callable[[Any], object]) -> Timer:
    """Our timer: the decoded array in, the whole answer out, in this process."""

    def timer(array: Path, repetitions: int, warm: int) -> list[float]:
        picture = np.load(array)
        return calls_ms(lambda: analyze(picture), repetitions, warm)

    return timer


def path_timer(analyze: Callable[[Any], object]) -> Timer:
    """Our timer: a file in, the whole answer out, in this process."""

    def timer(file: Path, repetitions: int, warm: int) -> list[float]:
        return calls_ms(lambda: analyze(file), repetitions, warm)

    return timer


def peer_timer(peer: Peer, model: str, options: Mapping[str, Any]) -> Timer:
    """A peer's timer: measured inside its own process."""

    def timer(array: Path, repetitions: int, warm: int) -> list[float]:
        return peer.time_ms(model, array, repetitions, warm, options)

    return timer
