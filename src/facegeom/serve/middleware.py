"""What applies to every request: error responses, security headers, metrics for Prometheus."""

import re
import time
from collections.abc import Mapping, Sequence
from ipaddress import ip_address
from typing import Any

from fastapi import FastAPI, Request, Response
from fastapi.exceptions import RequestValidationError
from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, ProcessCollector, generate_latest
from starlette.datastructures import Headers, MutableHeaders
from starlette.exceptions import HTTPException
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from facegeom.errors import ImageError
from facegeom.serve.problems import MEDIA_TYPE, RefusedError, internal_error, problem_json
from facegeom.serve.work import Options

METRICS_MEDIA_TYPE = "text/plain; version=0.0.4; charset=utf-8"

_SECONDS = (0.005, 0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1, 2, 5, 10, 30)
_PHOTOS = (1, 2, 4, 8, 16, 32, 64)
_POLICY = {
    "default-src": "'none'",
    "script-src": "'self' 'wasm-unsafe-eval' {scripts}",
    "style-src": "'self'",
    "img-src": "'self' blob: data:",
    "media-src": "blob:",
    "connect-src": "'self' blob: data:",
    "worker-src": "'self' blob:",
    "base-uri": "'none'",
    "form-action": "'none'",
    "frame-ancestors": "'none'",
}


def add_error_handlers(app: FastAPI) -> None:
    """Turn every error of a request into a :class:`~facegeom.serve.problems.Problem`."""
    for kind in (RefusedError, ImageError, HTTPException, RequestValidationError, Exception):
        app.add_exception_handler(kind, _error_response)


def _error_response(request: Request, error: Exception) -> Response:
    status, detail = 500, internal_error().detail  # the server logs other errors itself
    headers: Mapping[str, str] | None = None
    if isinstance(error, RefusedError):
        status, detail, headers = error.status, error.detail, error.headers
    elif isinstance(error, ImageError):
        status, detail = 422, str(error)
    elif isinstance(error, RequestValidationError):
        status, detail = 422, "; ".join(_invalid_option(**fault) for fault in error.errors())
    elif isinstance(error, HTTPException):
        status, headers = error.status_code, error.headers
        detail = f"{request.method} {request.url.path}: {error.detail}"
    return Response(problem_json(status, detail), status, headers, MEDIA_TYPE)


def _invalid_option(loc: tuple[str | int, ...], msg: str, **more: Any) -> str:
    """Return one fault of pydantic's validation as "name: what was expected, what came"."""
    if more["type"] == "extra_forbidden":
        return f"expected options among {', '.join(Options.model_fields)}, got {loc[-1]!r}"
    return f"{loc[-1]}: {msg[:1].lower()}{msg[1:]}, got {more.get('input')!r}"


def security_headers(scripts: str = "") -> dict[str, str]:
    """Return headers against other hosts' content, guessed media types, and frames.

    ``scripts`` are the inline scripts that the content security policy allows ('sha256-…').
    """
    policy = "; ".join(f"{name} {value}" for name, value in _POLICY.items())
    return {
        "Content-Security-Policy": policy.format(scripts=scripts).strip(),
        "Cross-Origin-Embedder-Policy": "require-corp",
        "Cross-Origin-Opener-Policy": "same-origin",
        "Cross-Origin-Resource-Policy": "same-origin",
        "Permissions-Policy": "camera=(self), microphone=(), geolocation=()",
        "Referrer-Policy": "no-referrer",
        "X-Content-Type-Options": "nosniff",
    }


class SecurityHeaders:
    """ASGI middleware that adds headers to every response."""

    def __init__(self, app: ASGIApp, headers: Mapping[str, str]) -> None:
        self.app, self.headers = app, headers

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Run the application; add the headers when its response starts."""

        async def send_with_headers(message: Message) -> None:
            if message["type"] == "http.response.start":
                MutableHeaders(scope=message).update(self.headers)
            await send(message)

        await self.app(scope, receive, send_with_headers if scope["type"] == "http" else send)


class HeadAsGet:
    """ASGI middleware that answers HEAD, which load balancers send, as GET; the server drops the body."""

    def __init__(self, app: ASGIApp) -> None:
        self.app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Run the application."""
        is_head = scope["type"] == "http" and scope["method"] == "HEAD"
        await self.app({**scope, "method": "GET"} if is_head else scope, receive, send)


class KnownHosts:
    """ASGI middleware that refuses requests to a name of another host.

    A web page may let a name of its own point at this machine, and so read what the service answers (DNS
    rebinding). It cannot do so for an address or for "localhost".
    """

    def __init__(self, app: ASGIApp, names: Sequence[str]) -> None:
        self.app, self.names = app, {"localhost", *(name.lower() for name in names)}

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Run the application, or refuse the request with status 421."""
        host = Headers(scope=scope).get("host", "localhost") if scope["type"] == "http" else "localhost"
        if self._is_known(host):
            await self.app(scope, receive, send)
            return
        detail = f"Host: expected an address or a name given with --allow-host, got {host[:100]!r}"
        await Response(problem_json(421, detail), 421, media_type=MEDIA_TYPE)(scope, receive, send)

    def _is_known(self, host: str) -> bool:
        name, _, _ = host.rpartition(":") if re.search(r":\d*$", host) else (host, "", "")
        if "*" in self.names or name.lower().rstrip(".") in self.names:
            return True
        try:
            ip_address(name.strip("[]"))
        except ValueError:
            return False
        return True


class Metrics:
    """Metrics of one service, in a registry of their own."""

    def __init__(self) -> None:
        self.registry = CollectorRegistry()
        ProcessCollector(registry=self.registry)
        place: dict[str, Any] = {"registry": self.registry}
        self.requests = Counter("facegeom_requests_total", "Responses by status code.", ["code"], **place)
        self.seconds = Histogram(
            "facegeom_request_seconds", "From request to response.", buckets=_SECONDS, **place
        )
        self.in_work = Gauge("facegeom_photos_in_work", "Photos that wait or are analysed.", **place)
        self.batch = Histogram("facegeom_batch_photos", "Photos analysed together.", buckets=_PHOTOS, **place)
        self.faces = Counter("facegeom_faces_total", "Faces found.", **place)

    def text(self) -> bytes:
        """Return all metrics in Prometheus' text format."""
        return generate_latest(self.registry)


class RequestCounter:
    """ASGI middleware that counts and times the requests to one path."""

    def __init__(self, app: ASGIApp, metrics: Metrics, path: str) -> None:
        self.app, self.metrics, self.path = app, metrics, path

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Run the application; a response that never starts counts as 500."""
        if scope["type"] != "http" or scope["path"] != self.path:
            await self.app(scope, receive, send)
            return
        code, started = 500, time.perf_counter()

        async def send_and_note_status(message: Message) -> None:
            nonlocal code
            code = message.get("status", code)
            await send(message)

        try:
            await self.app(scope, receive, send_and_note_status)
        finally:
            self.metrics.requests.labels(code).inc()
            self.metrics.seconds.observe(time.perf_counter() - started)
