"""Which photo is to blame when workers die."""

from collections import Counter
from typing import NamedTuple

PATIENCE = 2
"""Deaths on a part before its photos are watched one by one; deaths on a photo before it is left out."""


class Attempt(NamedTuple):
    """How to try a part.

    Attributes:
        careful: report each photo before it is begun.
        skip: places in the part of photos that killed their worker.
    """

    careful: bool
    skip: frozenset[int]


class Ledger:
    """Counts how often each part was begun, so that one photo cannot kill workers for ever.

    A worker that is killed for no fault of its photo costs nothing but the time: only a part that has lost
    ``PATIENCE`` workers is watched, and only a photo that loses as many again is left out.
    """

    def __init__(self) -> None:
        self._entered: Counter[int] = Counter()
        self._begun: dict[int, int] = {}
        self._blamed: dict[int, Counter[int]] = {}

    def enter(self, part: int) -> Attempt:
        """A worker begins the part; if one did before, that one has died."""
        if (photo := self._begun.pop(part, None)) is not None:
            self._blamed.setdefault(part, Counter())[photo] += 1
        careful = self._entered[part] >= PATIENCE
        self._entered[part] += 1
        blamed = self._blamed.get(part, Counter())
        return Attempt(careful, frozenset(photo for photo, deaths in blamed.items() if deaths >= PATIENCE))

    def begin(self, part: int, photo: int) -> None:
        """A watched worker begins a photo of the part."""
        self._begun[part] = photo

    def leave(self, part: int) -> None:
        """The part is done."""
        for book in (self._entered, self._begun, self._blamed):
            book.pop(part, None)
