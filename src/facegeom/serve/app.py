"""The application: its routes, and the server that runs it."""

import asyncio
import signal
import socket
from collections.abc import AsyncIterator, Coroutine, Sequence
from contextlib import asynccontextmanager
from importlib.metadata import version
from typing import Annotated, Any, TypeVar

import uvicorn
from fastapi import APIRouter, FastAPI, Query, Request, Response
from fastapi.responses import PlainTextResponse

from facegeom.errors import InputError
from facegeom.serve import openapi, pages
from facegeom.serve.batching import Service
from facegeom.serve.formats import FORMATS, choose_format
from facegeom.serve.limits import Settings
from facegeom.serve.middleware import (
    METRICS_MEDIA_TYPE,
    Metrics,
    RequestCounter,
    SecurityHeaders,
    add_error_handlers,
)
from facegeom.serve.problems import RefusedError
from facegeom.serve.uploads import receive
from facegeom.serve.work import Options, Task, TaskFunction

Value = TypeVar("Value")


class Application(FastAPI):
    """FastAPI with the routes, limits and workers of the service."""

    def __init__(self, workers: Sequence[TaskFunction], settings: Settings) -> None:
        super().__init__(
            title="facegeom",
            summary="One photo in, the geometry of every face out.",
            version=version("facegeom"),
            docs_url=None,  # these pages load scripts from another host
            redoc_url=None,
            lifespan=self._lifespan,
        )
        self.workers, self.settings, self.metrics = workers, settings, Metrics()
        self.service: Service
        self.add_middleware(RequestCounter, metrics=self.metrics, path="/v1/analyze")
        self.add_middleware(SecurityHeaders, scripts=pages.inline_scripts())
        add_error_handlers(self)
        self.include_router(router)
        self.include_router(pages.router)
        self.mount("/static", pages.PageFiles(directory=pages.STATIC))

    @asynccontextmanager
    async def _lifespan(self, app: FastAPI) -> AsyncIterator[None]:
        self.service = Service(self.workers, self.settings, self.metrics)
        try:
            yield
        finally:
            self.service.close()

    def openapi(self) -> dict[str, Any]:
        """Return the OpenAPI document with the schemas of the responses; it is built once."""
        if self.openapi_schema is None:
            schemas = super().openapi().setdefault("components", {}).setdefault("schemas", {})
            schemas.update(openapi.components())
        return super().openapi()


router = APIRouter()


@router.post(
    "/v1/analyze",
    response_class=Response,
    responses=openapi.FACES_RESPONSE
    | openapi.error_responses(400, 404, 406, 408, 413, 415, 422, 500, 503, 504),
    openapi_extra={"requestBody": openapi.PHOTO_BODY},
)
async def analyze(request: Request, options: Annotated[Options, Query()]) -> Response:
    """Find the faces of one photo."""
    service: Service = request.app.service
    format_name = choose_format(options.format, request.headers.get("accept", ""))
    limit = service.settings.timeout_s
    with service.slots.take():
        upload = await _within(limit, receive(request, service.settings.max_bytes), 408, "upload")
        task = Task(upload.content, options.model_copy(update={"format": format_name}), upload.file)
        body = await _within(limit, service.analyze(task), 504, "analysis")
    headers = {"Cache-Control": "no-store", "Vary": "Accept"}
    return Response(body, media_type=FORMATS[format_name].media_type, headers=headers)


async def _within(seconds: float, work: Coroutine[Any, Any, Value], status: int, what: str) -> Value:
    """Wait for the work; after ``seconds`` cancel it and refuse the request with ``status``."""
    try:
        return await asyncio.wait_for(work, seconds)
    except asyncio.TimeoutError as error:
        raise RefusedError(
            status, f"the {what} took longer than {seconds:g} s, the limit; try again"
        ) from error


@router.get("/v1/health")
async def health(request: Request) -> openapi.Health:
    """Return the state and the limits of the service."""
    limits: Settings = request.app.settings
    return openapi.Health(
        status="ok", version=request.app.version, max_bytes=limits.max_bytes, max_pixels=limits.max_pixels
    )


@router.get("/v1/schema", response_class=Response, responses=openapi.SCHEMA_RESPONSE)
async def schema() -> Response:
    """Return the JSON schema of the faces."""
    return Response(openapi.faces_schema(), media_type="application/json")


@router.get("/v1/topology")
async def shared_topology() -> openapi.Topology:
    """Return triangles, lines and mirror maps, the same for every face."""
    return openapi.face_topology()


@router.get("/metrics", response_class=PlainTextResponse)
async def metrics(request: Request) -> Response:
    """Return the metrics for Prometheus."""
    return Response(request.app.metrics.text(), media_type=METRICS_MEDIA_TYPE)


def listen(host: str, port: int) -> socket.socket:
    """Return a socket that listens at a name or address; port 0 is a free one.

    Raises:
        InputError: the address is in use, or not of this machine.
    """
    try:
        family = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)[0][0]
        return socket.create_server((host, port), family=family, backlog=1024)
    except OSError as error:
        raise InputError(
            f"cannot listen at {host}, port {port}: {error.strerror}; choose another --host or --port"
        ) from error


def run(workers: Sequence[TaskFunction], settings: Settings, listener: socket.socket) -> None:
    """Serve at a listening socket until SIGINT or SIGTERM; requests in work are finished first."""
    config = uvicorn.Config(
        Application(workers, settings),
        log_level="warning",
        access_log=False,
        server_header=False,
        ws="none",
        timeout_graceful_shutdown=int(settings.timeout_s) + 1,
    )
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, _ignore)  # uvicorn handles the signals, and raises them again when it has ended
    uvicorn.Server(config).run(sockets=[listener])


def _ignore(number: int, frame: object) -> None:
    """Ignore a signal."""
