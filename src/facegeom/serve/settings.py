"""What a service may spend on its callers."""

from dataclasses import dataclass, fields

from facegeom.errors import InputError


@dataclass(frozen=True)
class Settings:
    """Limits of a service.

    Attributes:
        max_bytes: of one upload, headers of its parts included.
        max_pixels: of one photo, width times height.
        queue: photos that may be in work at once; more are refused with 503.
        batch: photos that go through the networks together.
        timeout_s: longest time for an upload, and for its answer, seconds.

    Raises:
        InputError: a limit below its least value.
    """

    max_bytes: int = 20_000_000
    max_pixels: int = 25_000_000
    queue: int = 64
    batch: int = 16
    timeout_s: float = 30.0

    def __post_init__(self) -> None:
        for field in fields(self):
            value = getattr(self, field.name)
            if not value >= 1:
                raise InputError(f"{field.name}: expected at least 1, got {value!r}")
