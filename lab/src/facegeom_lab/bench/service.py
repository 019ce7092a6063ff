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
from facegeom.export import faces_json
from facegeom.image import reading
from facegeom_lab.bench.load import Tally, press
from facegeom_lab.bench.served import SAMPLES, Served, Watch, served
from facegeom_lab.bench.speed import enlarge, select
from facegeom_lab.measures.about import about
from facegeom_lab.measures.tables import Cell, Report, Table

PIXELS = 0.05
"""Two answers for one photo are the same if no number differs by more: which photos share a call of the
networks changes the last digits."""

_OVERLOAD_QUEUE = 16
_OVERLOAD_CLIENTS = 64

_PHOTOS = (
    "Scenes of `val` and `test` with exactly one labelled face, enlarged to a longer side of 640 px, JPEG of "
    "quality 90. "
)
_THROUGHPUT = _PHOTOS + (
    "Encoded photo in, whole answer out. Analyzer: FaceAnalyzer.batch over the photos in one process. "
    "Service: `facegeom serve` in a process of its own, answers as JSON, {clients} clients on the same "
    "machine, each asking again as soon as it is answered. Default settings, warm, time blocks of "
    "{seconds:g} s in the order analyzer, service, service, analyzer; never both at once."
)
_SOAK = _PHOTOS + (
    "Evenly spaced requests at {load:g} of the service's throughput above, by {clients} clients, for "
    "{minutes:g} minutes; times count from when a request was due. Memory: resident set, median of the "
    "second and of the last tenth of the time. Answers are compared with the analyzer's: no number may "
    "differ by more than 0.05."
)
_OVERLOAD = _PHOTOS + (
    "`facegeom serve --queue {queue}` and {clients} clients, each asking again as soon as it is answered, or "
    "50 ms after a 503. Answers are compared as above."
)


@dataclass(frozen=True)
class Effort:
    """How much is measured.

    Attributes:
        photos: different photos.
        clients: that ask at once.
        seconds: of a time block.
        minutes: of the soak; 0 for none.
        load: of the soak, share of the throughput.
        overload: whether to go beyond the throughput.
    """

    photos: int = 24
    clients: int = 16
    seconds: float = 10.0
    minutes: float = 0.0
    load: float = 0.8
    overload: bool = True


def run_service(
    data: Path, out: Path, effort: Effort, show: Callable[[Table], object] = lambda table: None
) -> Report:
    """Measure, save ``out/serve.md`` and ``out/serve.json``, and return the report.

    Args:
        data: the data pack.
        out: folder of the results.
        effort: how much to measure.
        show: called with each table as soon as it is there.

    Raises:
        InputError: data is missing.
        ProcessError: the service failed.
    """
    analyzer, photos = FaceAnalyzer(), encoded(data, effort.photos)
    tables: list[Table] = []
    with served() as service:
        rates = throughput(analyzer, service, photos, effort)
        tables.append(throughput_table(rates, effort))
        show(tables[-1])
        if effort.minutes:
            tables.append(soak(analyzer, service, photos, effort, effort.load * rates.service))
            show(tables[-1])
    if effort.overload:
        with served("--queue", str(_OVERLOAD_QUEUE)) as service:
            tables.append(overload(analyzer, service, photos, effort))
            show(tables[-1])
    report = Report("facegeom bench serve", about(analyzer, ()), tables)
    report.save(out, "serve")
    return report


def encoded(data: Path, count: int) -> list[bytes]:
    """The photos as JPEG files."""
    return [_jpeg(enlarge(reading.read(picture.path))) for picture in select(data, count)]


def _jpeg(image: Any) -> bytes:
    stream = BytesIO()
    Image.fromarray(image).save(stream, "JPEG", quality=90)
    return stream.getvalue()


@dataclass(frozen=True)
class Rates:
    """Photos a second of the analyzer and of the service, and the service's answers."""

    analyzer: float
    service: float
    tally: Tally


def throughput(analyzer: FaceAnalyzer, service: Served, photos: Sequence[bytes], effort: Effort) -> Rates:
    """Time blocks in the order analyzer, service, service, analyzer; never both at once."""
    analyzer.batch(photos)
    press(service.port, photos, effort.clients, min(2.0, effort.seconds))
    first = analyzer_rate(analyzer, photos, effort.seconds)
    tally = press(service.port, photos, effort.clients, 2 * effort.seconds)
    second = analyzer_rate(analyzer, photos, effort.seconds)
    return Rates((first + second) / 2, tally.rate, tally)


def analyzer_rate(analyzer: FaceAnalyzer, photos: Sequence[bytes], seconds: float) -> float:
    """Photos a second through FaceAnalyzer.batch."""
    started, done = time.perf_counter(), 0
    while time.perf_counter() - started < seconds:
        done += len(analyzer.batch(photos))
    return done / (time.perf_counter() - started)


def throughput_table(rates: Rates, effort: Effort) -> Table:
    """What the service reaches of the analyzer's throughput."""
    tally = rates.tally
    row: tuple[Cell, ...] = (
        *(rates.analyzer, rates.service, 100 * rates.service / rates.analyzer),
        *(tally.percentile_ms(0.5), tally.percentile_ms(0.99), tally.codes.total(), _others(tally)),
    )
    columns = (
        "analyzer, photos/s",
        "service, photos/s",
        "service, %",
        "p50, ms",
        "p99, ms",
        "requests",
        "not 200",
    )
    protocol = _THROUGHPUT.format(clients=effort.clients, seconds=effort.seconds)
    return Table("Throughput", protocol, columns, [row])


def soak(
    analyzer: FaceAnalyzer, service: Served, photos: Sequence[bytes], effort: Effort, rate: float
) -> Table:
    """Steady requests for minutes."""
    seconds = 60 * effort.minutes
    with Watch(service, seconds / SAMPLES) as watch:
        tally = press(service.port, photos, effort.clients, seconds, rate)
    before, after = watch.early_mb(), watch.late_mb()
    growth = None if before is None or after is None else 100 * (after / before - 1)
    row: tuple[Cell, ...] = (
        *(rate, tally.rate, tally.percentile_ms(0.5), tally.percentile_ms(0.99), tally.codes.total()),
        *(tally.codes[503], _others(tally) - tally.codes[503], wrong(analyzer, photos, tally)),
        *(before, after, growth),
    )
    columns = (
        *("asked, photos/s", "answered, photos/s", "p50, ms", "p99, ms", "requests", "503", "other errors"),
        *("wrong answers", "memory early, MB", "memory late, MB", "growth, %"),
    )
    protocol = _SOAK.format(load=effort.load, clients=effort.clients, minutes=effort.minutes)
    return Table("Steady load", protocol, columns, [row])


def overload(analyzer: FaceAnalyzer, service: Served, photos: Sequence[bytes], effort: Effort) -> Table:
    """More requests than the service takes."""
    tally = press(service.port, photos, _OVERLOAD_CLIENTS, effort.seconds)
    row: tuple[Cell, ...] = (
        *(tally.codes.total(), tally.codes[200], tally.codes[503], _others(tally) - tally.codes[503]),
        *(wrong(analyzer, photos, tally), tally.rate, tally.percentile_ms(0.99)),
    )
    columns = (
        "requests",
        "200",
        "503",
        "other codes",
        "wrong answers",
        "answered, photos/s",
        "p99 of 200, ms",
    )
    protocol = _OVERLOAD.format(queue=_OVERLOAD_QUEUE, clients=_OVERLOAD_CLIENTS)
    return Table("Overload", protocol, columns, [row])


def wrong(analyzer: FaceAnalyzer, photos: Sequence[bytes], tally: Tally) -> int:
    """Distinct answers that are not the analyzer's."""
    expected = [faces_json.to_dict(faces) for faces in analyzer.batch(photos)]
    return sum(
        not same(json.loads(body), expected[photo])
        for photo, bodies in tally.bodies.items()
        for body in bodies
    )


def same(answer: Any, expected: Any) -> bool:
    """Whether two JSON documents are equal but for :data:`PIXELS` in their numbers."""
    if isinstance(expected, dict):
        return answer.keys() == expected.keys() and all(same(answer[key], expected[key]) for key in expected)
    if isinstance(expected, list):
        return len(answer) == len(expected) and all(map(same, answer, expected))
    if isinstance(expected, float):
        return bool(abs(answer - expected) <= PIXELS)
    return bool(answer == expected)


def _others(tally: Tally) -> int:
    return tally.codes.total() - tally.codes[200]
