"""The application: its routes. The server that runs it is in ``server``."""

import asyncio
import gc
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from importlib.metadata import version
from typing import Annotated, Any

from fastapi import APIRouter, FastAPI, Query, Request, Response
from fastapi.responses import PlainTextResponse
from starlette.types import ASGIApp, Receive, Scope, Send

from facegeom.serve import api_page, openapi, pages
from facegeom.serve.batching import Service
from facegeom.serve.formats import FORMATS, choose_format
from facegeom.serve.limits import HeldBytes, Settings
from facegeom.serve.middleware import (
    METRICS_MEDIA_TYPE,
    HeadAsGet,
    KnownHosts,
    Metrics,
    RequestCounter,
    SecurityHeaders,
    add_error_handlers,
    security_headers,
)
from facegeom.serve.problems import RefusedError
from facegeom.serve.work import Options, Task, TaskFunction
from facegeom.worker_pool import resident_bytes, return_free_memory

_PIECE, _KEPT_BYTES = 1 << 16, 10_000_000


class Application(FastAPI):
    """FastAPI with the routes, limits and workers of the service."""

    def __init__(self, workers: Sequence[TaskFunction], settings: Settings) -> None:
        super().__init__(
            title="facegeom",
            summary="One photo in, the geometry of every face out.",
            version=version("facegeom"),
            docs_url=None,  # these pages load scripts from another host; /docs is that of api_page
            redoc_url=None,
            lifespan=self._lifespan,
        )
        self.workers, self.settings, self.metrics = workers, settings, Metrics()
        self.service: Service
        self.security_headers = security_headers(pages.inline_scripts())
        self.add_middleware(RequestCounter, metrics=self.metrics, path="/v1/analyze")
        self.add_middleware(KnownHosts, names=settings.hosts)
        self.add_middleware(HeadAsGet)
        add_error_handlers(self)
        self.include_router(router)
        self.include_router(api_page.router)
        pages.add_page(self)

    @asynccontextmanager
    async def _lifespan(self, app: FastAPI) -> AsyncIterator[None]:
        self.service = Service(self.workers, self.settings, self.metrics)
        gc.collect()
        gc.freeze()  # else a collection goes over all modules, and all requests wait for a quarter second
        small = asyncio.ensure_future(_stay_small())
        try:
            yield
        finally:
            small.cancel()
            gc.unfreeze()
            self.service.close()

    def build_middleware_stack(self) -> ASGIApp:
        """Return the application with all middleware; the headers are outermost, for every error, too."""
        return SecurityHeaders(super().build_middleware_stack(), self.security_headers)

    def openapi(self) -> dict[str, Any]:
        """Return the OpenAPI document with the schemas of the responses; it is built once."""
        if self.openapi_schema is None:
            schemas = super().openapi().setdefault("components", {}).setdefault("schemas", {})
            schemas.update(openapi.components())
        return super().openapi()


async def _stay_small() -> None:
    """Return the memory of former uploads to the system."""
    most = resident_bytes() + _KEPT_BYTES
    while True:
        await asyncio.sleep(2)
        if resident_bytes() > most and return_free_memory() > most:
            gc.collect()  # errors and the uploads that their frames hold
            return_free_memory()


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
    held = HeldBytes(service.bytes)
    try:
        upload = await service.uploads.receive(request, held)
        task = Task(upload.content, options.model_copy(update={"format": format_name}), upload.file)
        del upload
        with service.slots.take():
            body = await _analyze(service, task)
        held.replace(len(body))
    except BaseException:
        held.release()
        raise
    headers = {"Cache-Control": "no-store", "Vary": "Accept"}
    return _HeldResponse(held, body, media_type=FORMATS[format_name].media_type, headers=headers)


async def _analyze(service: Service, task: Task) -> bytes:
    limit = service.settings.timeout_s
    try:
        return await asyncio.wait_for(service.analyze(task), limit)
    except asyncio.TimeoutError as error:
        detail = f"the analysis took longer than {limit:g} s, the limit; try again"
        raise RefusedError(504, detail) from error


class _HeldResponse(Response):
    """A response that is sent in pieces, as fast as the client reads, and whose bytes are then released."""

    def __init__(self, held: HeldBytes, content: bytes, **more: Any) -> None:
        super().__init__(content, **more)
        self._held = held

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        try:
            await send(
                {"type": "http.response.start", "status": self.status_code, "headers": self.raw_headers}
            )
            for start in range(0, max(1, len(self.body)), _PIECE):
                piece = self.body[start : start + _PIECE]
                more = start + _PIECE < len(self.body)
                await send({"type": "http.response.body", "body": piece, "more_body": more})
                await asyncio.sleep(0)  # others, and the news that the client has gone
        finally:
            self._held.release()


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
