"""Errors of a request, and their body: ``application/problem+json`` (RFC 9457)."""

from collections.abc import Mapping
from http import HTTPStatus
from typing import Any

from pydantic import BaseModel, Field

from facegeom.errors import FacegeomError

MEDIA_TYPE = "application/problem+json"


class RefusedError(FacegeomError):
    """A request that ends with an error status.

    Args:
        status: HTTP status code.
        detail: what was expected, what came, what to do.
        headers: further HTTP headers of the response.
    """

    def __init__(self, status: int, detail: str, headers: Mapping[str, str] | None = None) -> None:
        super().__init__(detail)
        self.status, self.detail, self.headers = status, detail, dict(headers or {})

    def __reduce__(self) -> tuple[Any, ...]:
        """Pickle all three arguments; an exception by default keeps only its message."""
        return type(self), (self.status, self.detail, self.headers)


def internal_error() -> RefusedError:
    """Return the error for a failure of the service itself."""
    return RefusedError(500, "the service has failed; its log says why")


class Problem(BaseModel):
    """Why a request failed."""

    title: str = Field(description="Meaning of the status code.")
    status: int = Field(description="HTTP status code.")
    detail: str = Field(description="What was expected, what came, what to do.")


def problem_json(status: int, detail: str) -> str:
    """Return the JSON of a :class:`Problem`."""
    return Problem(title=HTTPStatus(status).phrase, status=status, detail=detail).model_dump_json()
