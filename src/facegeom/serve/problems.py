"""What goes wrong, as an answer: ``application/problem+json`` (RFC 9457)."""

from collections.abc import Mapping
from http import HTTPStatus
from typing import Any

from fastapi import FastAPI, Request, Response
from fastapi.exceptions import RequestValidationError
from pydantic import BaseModel, Field
from starlette.exceptions import HTTPException

from facegeom.errors import ImageError
from facegeom.serve.refusals import RefusedError, failed

MEDIA_TYPE = "application/problem+json"


class Problem(BaseModel):
    """Why a request was not answered."""

    title: str = Field(description="The meaning of the status code.")
    status: int = Field(description="The status code.")
    detail: str = Field(description="What was expected, what came, what to do.")


def problem(status: int, detail: str, headers: Mapping[str, str] | None = None) -> Response:
    """The answer for a status code."""
    body = Problem(title=HTTPStatus(status).phrase, status=status, detail=detail)
    return Response(body.model_dump_json(), status, headers, MEDIA_TYPE)


def documented(*statuses: int) -> dict[int | str, dict[str, Any]]:
    """The statuses as OpenAPI's answers."""
    content = {MEDIA_TYPE: {"schema": {"$ref": "#/components/schemas/Problem"}}}
    return {status: {"description": HTTPStatus(status).phrase, "content": content} for status in statuses}


def add_handlers(app: FastAPI) -> None:
    """Turn every error of a request into a :class:`Problem`."""
    for kind in (RefusedError, ImageError, HTTPException, RequestValidationError, Exception):
        app.add_exception_handler(kind, _answer)


def _answer(request: Request, error: Exception) -> Response:
    if isinstance(error, RefusedError):
        return problem(error.status, error.detail, error.headers)
    if isinstance(error, ImageError):
        return problem(422, str(error))
    if isinstance(error, RequestValidationError):
        return problem(422, "; ".join(_wrong(**fault) for fault in error.errors()))
    if isinstance(error, HTTPException):
        return problem(
            error.status_code, f"{request.method} {request.url.path}: {error.detail}", error.headers
        )
    return problem(500, failed().detail)  # the server logs the error itself


def _wrong(loc: tuple[str | int, ...], msg: str, **more: Any) -> str:
    """One fault of the options, in words."""
    return f"{loc[-1]}: {msg[:1].lower()}{msg[1:]}, got {more.get('input')!r}"
