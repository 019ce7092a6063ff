"""The benchmark's progress bars, on stderr so that tables on stdout stay clean."""

from collections.abc import Iterable, Sequence
from typing import TypeVar

from rich.console import Console
from rich.progress import track as rich_track

Item = TypeVar("Item")


def track(items: Sequence[Item], description: str) -> Iterable[Item]:
    """The items, with a bar."""
    return rich_track(items, description, console=Console(stderr=True))
