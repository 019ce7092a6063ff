"""Progress bars on stderr, so that stdout holds only the tables."""

from collections.abc import Iterable, Sequence
from typing import TypeVar

from rich.console import Console
from rich.progress import track as rich_track

Item = TypeVar("Item")


def track(items: Sequence[Item], description: str) -> Iterable[Item]:
    """Iterate over the items with a progress bar."""
    return rich_track(items, description, console=Console(stderr=True))
