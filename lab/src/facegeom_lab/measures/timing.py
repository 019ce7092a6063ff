"""Times of two systems on the same inputs, interleaved so that drifts of the machine hit both."""

import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from statistics import median
from typing import Any, Protocol

import numpy as np

from facegeom_lab.measures.tables import Cell

Timer = Callable[[Path, int, int], list[float]]
"""Takes an array file or photo, counted calls and warm-up calls; returns milliseconds per counted call."""


class TimedPeer(Protocol):
    """A peer that measures its own calls, in a process of its own."""

    def time_ms(
        self, model: str, array: Path, repetitions: int, warm: int, options: Mapping[str, Any]
    ) -> list[float]:
        """Return milliseconds per counted call."""


@dataclass(frozen=True)
class Pair:
    """Times of both systems on one photo.

    Attributes:
        ours_ms: median over both of our time blocks, milliseconds.
        peer_ms: median over both of the peer's.
        one_face_each: whether both systems find exactly one face.
    """

    ours_ms: float
    peer_ms: float
    one_face_each: bool = True

    @property
    def ratio(self) -> float:
        """Our time over the peer's."""
        return self.ours_ms / self.peer_ms


def interleaved(ours: Timer, peer: Timer, array: Path, repetitions: int, warm: int) -> Pair:
    """Time blocks in the order ours, peer, peer, ours; never both at once.

    Args:
        ours: our timer.
        peer: the peer's.
        array: .npy file of an RGB image (H, W, 3) uint8, or a photo's file, which is decoded in each call.
        repetitions: counted calls in each block.
        warm: uncounted calls at the start of each block.
    """
    first = ours(array, repetitions, warm)
    others = peer(array, repetitions, warm) + peer(array, repetitions, warm)
    return Pair(median(first + ours(array, repetitions, warm)), median(others))


def summarize_pairs(pairs: Sequence[Pair]) -> tuple[Cell, ...]:
    """Return our median time, the peer's, the median, lowest and highest ratio, and the number of photos."""
    if not pairs:
        return None, None, None, None, None, 0
    ratios = [pair.ratio for pair in pairs]
    times = median(pair.ours_ms for pair in pairs), median(pair.peer_ms for pair in pairs)
    return (*times, median(ratios), min(ratios), max(ratios), len(pairs))


def calls_ms(function: Callable[[], object], repetitions: int, warm: int) -> list[float]:
    """Return milliseconds of each of ``repetitions`` calls after ``warm`` uncounted ones."""
    for _ in range(warm):
        function()
    times = []
    for _ in range(repetitions):
        start = time.perf_counter()
        function()
        times.append((time.perf_counter() - start) * 1e3)
    return times


def array_timer(analyze: Callable[[Any], object]) -> Timer:
    """Return our timer for decoded arrays, in this process."""

    def timer(array: Path, repetitions: int, warm: int) -> list[float]:
        image = np.load(array)
        return calls_ms(lambda: analyze(image), repetitions, warm)

    return timer


def path_timer(analyze: Callable[[Any], object]) -> Timer:
    """Return our timer for files, in this process."""

    def timer(file: Path, repetitions: int, warm: int) -> list[float]:
        return calls_ms(lambda: analyze(file), repetitions, warm)

    return timer


def peer_timer(peer: TimedPeer, model: str, options: Mapping[str, Any]) -> Timer:
    """Return a peer's timer, measured inside its own process."""

    def timer(array: Path, repetitions: int, warm: int) -> list[float]:
        return peer.time_ms(model, array, repetitions, warm, options)

    return timer
