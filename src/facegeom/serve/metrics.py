"""What Prometheus reads at ``/metrics``."""

import time

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, ProcessCollector, generate_latest
from starlette.types import ASGIApp, Message, Receive, Scope, Send

MEDIA_TYPE = "text/plain; version=0.0.4; charset=utf-8"

_SECONDS = (0.005, 0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1, 2, 5, 10, 30)
_PHOTOS = (1, 2, 4, 8, 16, 32, 64)


class Metrics:
    """The numbers of one service, in a registry of their own."""

    def __init__(self) -> None:
        self.registry = registry = CollectorRegistry()
        ProcessCollector(registry=registry)
        self.requests = Counter(
            "facegeom_requests_total", "Answers by status code.", ("code",), registry=registry
        )
        self.seconds = Histogram(
            "facegeom_request_seconds", "From request to answer.", buckets=_SECONDS, registry=registry
        )
        self.in_work = Gauge(
            "facegeom_photos_in_work", "Photos that wait or are analysed.", registry=registry
        )
        self.batch = Histogram(
            "facegeom_batch_photos", "Photos analysed together.", buckets=_PHOTOS, registry=registry
        )
        self.faces = Counter("facegeom_faces_total", "Faces found.", registry=registry)

    def answered(self, code: int, seconds: float) -> None:
        """Count one request for an analysis."""
        self.requests.labels(code).inc()
        self.seconds.observe(seconds)

    def text(self) -> bytes:
        """All numbers in Prometheus' text format."""
        return generate_latest(self.registry)


class Counting:
    """Counts the answers of one path.

    Args:
        app: the application.
        numbers: where to.
        path: whose answers are counted.
    """

    def __init__(self, app: ASGIApp, numbers: Metrics, path: str) -> None:
        self.app, self.numbers, self.path = app, numbers, path

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Run the application; an answer that never starts counts as 500."""
        if scope["type"] != "http" or scope["path"] != self.path:
            await self.app(scope, receive, send)
            return
        code, started = 500, time.perf_counter()

        async def send_and_look(message: Message) -> None:
            nonlocal code
            code = message.get("status", code)
            await send(message)

        try:
            await self.app(scope, receive, send_and_look)
        finally:
            self.numbers.answered(code, time.perf_counter() - started)
