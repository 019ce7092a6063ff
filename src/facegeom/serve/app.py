"""The application: its routes, and what they answer."""

import asyncio
from collections.abc import AsyncIterator, Coroutine, Sequence
from contextlib import asynccontextmanager
from importlib.metadata import version
from typing import Annotated, Any, Literal, TypeVar

from fastapi import APIRouter, FastAPI, Query, Request, Response
from fastapi.responses import PlainTextResponse
from pydantic import BaseModel

from facegeom.serve import metrics, model_data, openapi, pages, topology
from facegeom.serve.formats import FORMATS, choose
from facegeom.serve.headers import SecurityHeaders
from facegeom.serve.options import Options
from facegeom.serve.problems import add_handlers, documented
from facegeom.serve.refusals import RefusedError
from facegeom.serve.service import Service
from facegeom.serve.settings import Settings
from facegeom.serve.uploads import receive
from facegeom.serve.work import Task, Work

Answer = TypeVar("Answer")


class Application(FastAPI):
    """FastAPI with facegeom's schemas in its description.

    Args:
        crew: the workers, as :class:`Service` has them.
        settings: limits.
    """

    def __init__(self, crew: Sequence[Work], settings: Settings) -> None:
        super().__init__(
            title="facegeom",
            summary="One photo in, the geometry of every face out.",
            version=version("facegeom"),
            docs_url=None,  # these pages load scripts from another host
            redoc_url=None,
            lifespan=self._life,
        )
        self.crew, self.settings, self.metrics = crew, settings, metrics.Metrics()
        self.service: Service
        self.add_middleware(metrics.Counting, numbers=self.metrics, path="/v1/analyze")
        self.add_middleware(SecurityHeaders, scripts=pages.inline_scripts())
        add_handlers(self)
        self.include_router(router)
        self.include_router(pages.router)
        self.include_router(model_data.router)
        self.mount("/static", pages.PageFiles(directory=pages.STATIC))

    @asynccontextmanager
    async def _life(self, app: FastAPI) -> AsyncIterator[None]:
        self.service = Service(self.crew, self.settings, self.metrics)
        try:
            yield
        finally:
            self.service.close()

    def openapi(self) -> dict[str, Any]:
        """The description, made once."""
        if self.openapi_schema is None:
            schemas = super().openapi().setdefault("components", {}).setdefault("schemas", {})
            schemas.update(openapi.components())
        return super().openapi()


class Health(BaseModel):
    """That the service is there, and what it takes."""

    status: Literal["ok"]
    version: str
    max_bytes: int
    max_pixels: int


router = APIRouter()


@router.post(
    "/v1/analyze",
    response_class=Response,
    responses=openapi.ANSWER | documented(400, 404, 406, 408, 413, 415, 422, 500, 503, 504),
    openapi_extra={"requestBody": openapi.BODY},
)
async def analyze(request: Request, options: Annotated[Options, Query()]) -> Response:
    """Find the faces of one photo."""
    service: Service = request.app.service
    form = choose(options.format, request.headers.get("accept", ""))
    limit = service.settings.timeout_s
    with service.slots.one():
        upload = await _within(limit, receive(request, service.settings.max_bytes), 408, "upload")
        task = Task(upload.content, options.look(), form, options.face, upload.file)
        body = await _within(limit, service.answer(task), 504, "analysis")
    headers = {"Cache-Control": "no-store", "Vary": "Accept"}
    return Response(body, media_type=FORMATS[form].media_type, headers=headers)


async def _within(seconds: float, work: Coroutine[Any, Any, Answer], status: int, what: str) -> Answer:
    try:
        return await asyncio.wait_for(work, seconds)
    except asyncio.TimeoutError as error:
        raise RefusedError(
            status, f"the {what} took longer than {seconds:g} s, the limit; try again"
        ) from error


@router.get("/v1/health")
async def health(request: Request) -> Health:
    """Whether the service is there, and what it takes."""
    limits: Settings = request.app.settings
    return Health(
        status="ok", version=request.app.version, max_bytes=limits.max_bytes, max_pixels=limits.max_pixels
    )


@router.get("/v1/schema", response_class=Response, responses=openapi.SCHEMA)
async def schema() -> Response:
    """The JSON schema of an answer."""
    return Response(openapi.faces_schema(), media_type="application/json")


@router.get("/v1/topology")
async def shared_topology() -> topology.Topology:
    """How the points of an answer hang together: the same for every face."""
    return topology.shared()


@router.get("/metrics", response_class=PlainTextResponse)
async def numbers(request: Request) -> Response:
    """The service's numbers, for Prometheus."""
    return Response(request.app.metrics.text(), media_type=metrics.MEDIA_TYPE)
