"""Why a request is not answered."""

from collections.abc import Mapping
from typing import Any

from facegeom.errors import FacegeomError


class RefusedError(FacegeomError):
    """A request that is not answered.

    Args:
        status: of the answer.
        detail: what was expected, what came, what to do.
        headers: of the answer.
    """

    def __init__(self, status: int, detail: str, headers: Mapping[str, str] | None = None) -> None:
        super().__init__(detail)
        self.status, self.detail, self.headers = status, detail, dict(headers or {})

    def __reduce__(self) -> tuple[Any, ...]:
        """How it comes from a worker process."""
        return type(self), (self.status, self.detail, self.headers)


def failed() -> RefusedError:
    """The answer when the fault is the service's own."""
    return RefusedError(500, "the service has failed; its log says why")
