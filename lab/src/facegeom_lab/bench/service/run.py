"""``facegeom bench serve``: the service beside the analyzer alone, under steady load, and overloaded."""

import json
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from io import BytesIO
from pathlib import Path
from typing import Any

from PIL import Image

from facegeom.analyzer import FaceAnalyzer
from facegeom.image import reading
from facegeom_lab.bench.service.load import LoadResult, generate_load, percentile_ms
from facegeom_lab.bench.service.process import SAMPLES, MemoryMonitor, Service, running_service
from facegeom_lab.bench.speed.photos import enlarge, single_face_scenes
from facegeom_lab.measures.about import about
from facegeom_lab.measures.tables import Cell, Report, RunningReport, Table

TOLERANCE = 0.05
"""Largest difference of a number between two equal responses: the last digits depend on the photos that
share a batch."""

_OVERLOAD_QUEUE = 16
_OVERLOAD_CLIENTS = 64

_PHOTOS = (
    "Scenes of `val` and `test` with exactly one labelled face, enlarged to a longer side of 640 px, JPEG of "
    "quality 90. "
)
_THROUGHPUT = _PHOTOS + (
    "Encoded photo in, whole result out. Analyzer: FaceAnalyzer.batch over the photos in one process. "
    "Service: `facegeom serve` in a process of its own, responses as JSON, {clients} clients on the same "
    "machine, each sending the next request as soon as it has a response. Default settings, warm, time "
    "blocks of {seconds:g} s in the order analyzer, service, service, analyzer; never both at once."
)
_STEADY_LOAD = (
    "{photos}Evenly spaced requests at {load:g} of the service's throughput, by {clients} clients, for "
    "{minutes:g} minutes. Times count from when a request was due; `p99 sent` from when it was sent, late "
    "when all clients wait, or the machine pauses. Longest pause: of a task that sleeps beside the "
    "clients. Memory: resident set, median of the second and of the last tenth of the time. Responses are "
    "compared with the analyzer's: no number may differ by more than 0.05."
)
_OVERLOAD = _PHOTOS + (
    "`facegeom serve --queue {queue}` and {clients} clients, each sending the next request as soon as it has "
    "a response, or 50 ms after a 503. Responses are compared as above."
)


@dataclass(frozen=True)
class ServiceConfig:
    """How much is measured.

    Attributes:
        photos: number of different photos.
        clients: concurrent clients.
        seconds: length of a time block.
        minutes: length of the steady load; 0 for none.
        load: rate of the steady load, as a fraction of the throughput.
        overload: whether to measure more requests than the service can take.
    """

    photos: int = 24
    clients: int = 16
    seconds: float = 10.0
    minutes: float = 0.0
    load: float = 0.8
    overload: bool = True


def run_service(
    data: Path, out: Path, config: ServiceConfig, show: Callable[[Table], object] = lambda table: None
) -> Report:
    """Measure, save ``out/serve.md`` and ``out/serve.json``, and return the report.

    Args:
        data: the data pack.
        out: folder of the results.
        config: how much to measure.
        show: called with each table as soon as it is measured.

    Raises:
        InputError: data is missing.
        ProcessError: the service failed.
    """
    analyzer, photos = FaceAnalyzer(), encoded_photos(data, config.photos)
    report = RunningReport("facegeom bench serve", about(analyzer, ()), out, "serve", show)
    with running_service() as service:
        rates = measure_throughput(analyzer, service, photos, config)
        report.add(throughput_table(rates, config))
        if config.minutes:
            report.add(steady_load(analyzer, service, photos, config, config.load * rates.service))
    if config.overload:
        with running_service("--queue", str(_OVERLOAD_QUEUE)) as service:
            report.add(overload(analyzer, service, photos, config))
    return report.finish()


def encoded_photos(data: Path, count: int) -> list[bytes]:
    """Return JPEG files of single-face scenes, enlarged to 640 px."""
    return [_jpeg(enlarge(reading.read(scene.path))) for scene in single_face_scenes(data, count)]


def _jpeg(image: Any) -> bytes:
    stream = BytesIO()
    Image.fromarray(image).save(stream, "JPEG", quality=90)
    return stream.getvalue()


@dataclass(frozen=True)
class Rates:
    """Throughput of both sides.

    Attributes:
        analyzer: photos per second of FaceAnalyzer.batch.
        service: photos per second of the service.
        result: the responses of the service.
    """

    analyzer: float
    service: float
    result: LoadResult


def measure_throughput(
    analyzer: FaceAnalyzer, service: Service, photos: Sequence[bytes], config: ServiceConfig
) -> Rates:
    """Measure time blocks in the order analyzer, service, service, analyzer; never both at once."""
    analyzer.batch(photos)
    generate_load(service.port, photos, config.clients, min(2.0, config.seconds))
    first = analyzer_rate(analyzer, photos, config.seconds)
    result = generate_load(service.port, photos, config.clients, 2 * config.seconds)
    second = analyzer_rate(analyzer, photos, config.seconds)
    return Rates((first + second) / 2, result.rate, result)


def analyzer_rate(analyzer: FaceAnalyzer, photos: Sequence[bytes], seconds: float) -> float:
    """Return photos per second through FaceAnalyzer.batch."""
    started, done = time.perf_counter(), 0
    while time.perf_counter() - started < seconds:
        done += len(analyzer.batch(photos))
    return done / (time.perf_counter() - started)


def throughput_table(rates: Rates, config: ServiceConfig) -> Table:
    """Tabulate the throughput of the service beside the analyzer's."""
    result = rates.result
    row: tuple[Cell, ...] = (
        *(rates.analyzer, rates.service, 100 * rates.service / rates.analyzer),
        *(result.percentile_ms(0.5), result.percentile_ms(0.99), result.codes.total(), _not_200(result)),
    )
    columns = (
        *("analyzer, photos/s", "service, photos/s", "service, %", "p50, ms", "p99, ms"),
        *("requests", "not 200"),
    )
    protocol = _THROUGHPUT.format(clients=config.clients, seconds=config.seconds)
    return Table("Throughput", protocol, columns, [row])


def steady_load(
    analyzer: FaceAnalyzer,
    service: Service,
    photos: Sequence[bytes],
    config: ServiceConfig,
    rate: float,
    about_photos: str = _PHOTOS,
) -> Table:
    """Measure evenly spaced requests for ``config.minutes``.

    Args:
        analyzer: whose results the responses must equal.
        service: under load.
        photos: encoded images.
        config: how much to measure.
        rate: requests per second.
        about_photos: sentence about the photos, for the protocol.
    """
    seconds = 60 * config.minutes
    with MemoryMonitor(service, seconds / SAMPLES) as memory:
        result = generate_load(service.port, photos, config.clients, seconds, rate)
    before, after = memory.early_mb(), memory.late_mb()
    growth = None if before is None or after is None else 100 * (after / before - 1)
    row: tuple[Cell, ...] = (
        *(rate, result.rate, result.percentile_ms(0.5), result.percentile_ms(0.99)),
        *(percentile_ms(result.service_s, 0.99), 1e3 * result.longest_pause_s, result.codes.total()),
        *(result.codes[503], _not_200(result) - result.codes[503], wrong_responses(analyzer, photos, result)),
        *(before, after, growth),
    )
    columns = (
        *("asked, photos/s", "answered, photos/s", "p50, ms", "p99, ms", "p99 sent, ms", "longest pause, ms"),
        *("requests", "503", "other errors"),
        *("wrong answers", "memory early, MB", "memory late, MB", "growth, %"),
    )
    protocol = _STEADY_LOAD.format(
        photos=about_photos, load=config.load, clients=config.clients, minutes=config.minutes
    )
    return Table("Steady load", protocol, columns, [row])


def overload(
    analyzer: FaceAnalyzer, service: Service, photos: Sequence[bytes], config: ServiceConfig
) -> Table:
    """Measure more requests than the service can take."""
    result = generate_load(service.port, photos, _OVERLOAD_CLIENTS, config.seconds)
    row: tuple[Cell, ...] = (
        *(result.codes.total(), result.codes[200], result.codes[503]),
        *(_not_200(result) - result.codes[503], wrong_responses(analyzer, photos, result)),
        *(result.rate, result.percentile_ms(0.99)),
    )
    columns = (
        *("requests", "200", "503", "other codes", "wrong answers", "answered, photos/s"),
        "p99 of 200, ms",
    )
    protocol = _OVERLOAD.format(queue=_OVERLOAD_QUEUE, clients=_OVERLOAD_CLIENTS)
    return Table("Overload", protocol, columns, [row])


def wrong_responses(analyzer: FaceAnalyzer, photos: Sequence[bytes], result: LoadResult) -> int:
    """Count the distinct responses that differ from the analyzer's results."""
    expected = [faces.to_dict() for faces in analyzer.batch(photos)]
    return sum(
        not nearly_equal(json.loads(body), expected[photo])
        for photo, bodies in result.bodies.items()
        for body in bodies
    )


def nearly_equal(response: Any, expected: Any) -> bool:
    """Return whether two JSON documents are equal, their numbers within :data:`TOLERANCE`."""
    if isinstance(expected, dict):
        return response.keys() == expected.keys() and all(
            nearly_equal(response[key], expected[key]) for key in expected
        )
    if isinstance(expected, list):
        return len(response) == len(expected) and all(map(nearly_equal, response, expected))
    if isinstance(expected, float):
        return bool(abs(response - expected) <= TOLERANCE)
    return bool(response == expected)


def _not_200(result: LoadResult) -> int:
    return result.codes.total() - result.codes[200]
