"""``facegeom bench attacks``: what another client of the service notices of attacks."""

import asyncio
import json
import subprocess
import sys
import tempfile
import time
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from io import BytesIO
from pathlib import Path
from typing import Any

from PIL import Image

from facegeom.analyzer import FaceAnalyzer
from facegeom.serve.pages import DEMO
from facegeom_lab.bench.service.attacks import (
    ATTACKS,
    FORM,
    MEGABYTE,
    Target,
    many_fields,
    post_tiny_chunks,
    scan_bomb,
)
from facegeom_lab.bench.service.load import LoadResult, generate_load
from facegeom_lab.bench.service.process import MemoryMonitor, Service, running_service
from facegeom_lab.bench.service.run import ServiceConfig, steady_load, wrong_responses
from facegeom_lab.bench.speed.processes import descendants
from facegeom_lab.measures.about import about
from facegeom_lab.measures.tables import Cell, Report, RunningReport, Table

DESCRIPTORS = 1024
"""Open files that the attacked service may have: the usual limit of a login."""

_MODULE = "facegeom_lab.bench.service.attacks"
_CLIENTS = 8
_RATE = 8.0
_SETTLE_S = 2.0
_STOP_TIMEOUT_S = 60.0
_SAMPLE_S = 0.1

_PROTOCOL = (
    "Each attack meets a fresh `facegeom serve` with {descriptors} descriptors, on the same machine. Another "
    "client sends the packaged portrait {rate:g} times a second, for {rest:g} s before and after the attack "
    "and for {seconds:g} s during it; times count from when a request was due. Wrong: responses that differ "
    "from the analyzer's. Longest pause: of a task that sleeps beside the client, during the attack. Main: "
    "processor time of the main process, of one core. Memory: resident set of all processes. Log: what the "
    "service printed. Stop: seconds from SIGTERM, during a second attack, until every process had ended."
)
_COSTS = "Mean of ten requests after a first one, in turn, by the system's clock of processor time (10 ms)."
_PORTRAITS = "The packaged portrait in twelve sizes from 400 to 840 px. "
_KILLS = "One worker, chosen by chance, is killed by signal 9 every second: "
_COLUMNS = (
    *("attack", "attacker's answers", "200", "503", "other", "wrong", "p50 at rest, ms", "p99 at rest, ms"),
    *("p50, ms", "p99, ms", "slowest 503, ms", "longest pause, ms", "main, %"),
    *("p99 after, ms", "memory before, MB", "most, MB", "after, MB"),
    *("log, kB", "stop, s"),
)


@dataclass(frozen=True)
class AttackConfig:
    """How much is measured.

    Attributes:
        names: of the attacks.
        seconds: length of each attack.
        rest_s: seconds of measurement before and after each.
        minutes: length of the steady load, and again of that with kills; 0 for none.
    """

    names: Sequence[str] = tuple(ATTACKS)
    seconds: float = 20.0
    rest_s: float = 10.0
    minutes: float = 0.0


def run_attacks(
    out: Path, config: AttackConfig, show: Callable[[Table], object] = lambda table: None
) -> Report:
    """Run the attacks one after the other, save ``out/attacks.md`` and ``out/attacks.json``.

    Args:
        out: folder of the results.
        config: how much to measure.
        show: called with the table of each attack as soon as it is measured.

    Raises:
        ProcessError: the service failed.
    """
    analyzer, rows = FaceAnalyzer(), []
    report = RunningReport("facegeom bench attacks", about(analyzer, ()), out, "attacks", show)
    protocol = _PROTOCOL.format(
        descriptors=DESCRIPTORS, rate=_RATE, rest=config.rest_s, seconds=config.seconds
    )
    for name in config.names:
        rows.append(measure(analyzer, name, config))
        show(Table("Attacks", protocol, _COLUMNS, rows[-1:]))
        report.save(Table("Attacks", protocol, _COLUMNS, rows))
    report.add(costs())
    for kills in (False, True) if config.minutes else ():
        report.add(endurance(analyzer, config.minutes, kills))
    return report.finish()


def measure(analyzer: FaceAnalyzer, name: str, config: AttackConfig) -> tuple[Cell, ...]:
    """Measure one attack on a fresh service and return its row of the table."""
    photos = [DEMO.read_bytes()]
    options: dict[str, Any] = dict(descriptors=DESCRIPTORS, codes=(0, 1))  # 1: ended by its own deadline
    with tempfile.TemporaryFile() as log, running_service(log=log, **options) as service:
        generate_load(service.port, photos, 2 * _CLIENTS, _SETTLE_S)
        rest = _client(service, photos, config.rest_s)
        before = service.memory_mb()
        with (
            MemoryMonitor(service, _SAMPLE_S) as memory,
            _attacker(name, service, config.seconds) as attacker,
        ):
            busy = -service.processor_s()
            during = _client(service, photos, config.seconds)
            busy += service.processor_s()
            attacked = _codes(attacker)
        time.sleep(_SETTLE_S)
        later = _client(service, photos, config.rest_s)
        after = service.memory_mb()
        with _attacker(name, service, _STOP_TIMEOUT_S) as attacker:
            time.sleep(_SETTLE_S)
            stopped_s = _stop(service)
            attacker.kill()
        printed = log.seek(0, 2)
    results = (rest, during, later)
    wrong = sum(wrong_responses(analyzer, photos, each) for each in results)
    return (
        *(name, attacked, during.codes[200], during.codes[503]),
        during.codes.total() - during.codes[200] - during.codes[503],
        *(wrong, rest.percentile_ms(0.5), rest.percentile_ms(0.99)),
        *(during.percentile_ms(0.5), during.percentile_ms(0.99), 1e3 * max(during.refused_s, default=0.0)),
        *(1e3 * during.longest_pause_s, 100 * busy / during.lasted),
        *(later.percentile_ms(0.99), before, memory.most_mb(), after, printed / 1e3, stopped_s),
    )


def costs() -> Table:
    """Measure the processor time that single requests take of the main process."""
    photo, bomb, fields = DEMO.read_bytes(), scan_bomb(), many_fields()
    requests: dict[str, Callable[[Target], Awaitable[None]]] = {
        "the packaged portrait": lambda target: target.post(photo),
        "a JPEG file of thousands of scans, 0.2 MB": lambda target: target.post(bomb),
        "a form of 330,000 fields, 19 MB": lambda target: target.post(fields, FORM),
        "a body of 300,000 chunks of a byte, 1.8 MB": post_tiny_chunks,
        "a photo of 20 MB": lambda target: target.post(photo + bytes(20 * MEGABYTE - len(photo))),
    }
    rows: list[tuple[Cell, ...]] = []
    with running_service("--wait", "60", codes=(0, 1)) as service:
        for name, request in requests.items():
            asyncio.run(_repeat(request, Target(service.port, service.pid), 1))  # it loads modules
            target, busy = Target(service.port, service.pid), -service.processor_s()
            asyncio.run(_repeat(request, target, 10))
            rows.append((name, 100 * (busy + service.processor_s()), _listed(target.codes)))
    return Table("Processor time of the main process", _COSTS, ("request", "ms", "answers"), rows)


async def _repeat(request: Callable[[Target], Awaitable[None]], target: Target, times: int) -> None:
    for _ in range(times):
        await request(target)


def endurance(analyzer: FaceAnalyzer, minutes: float, kills: bool) -> Table:
    """Measure a steady load at 0.8 of the throughput, or at 0.4 while a worker is killed every second."""
    config = ServiceConfig(minutes=minutes, load=0.4 if kills else 0.8)
    photos = [_jpeg(side) for side in range(400, 880, 40)]
    with running_service() as service:
        generate_load(service.port, photos, config.clients, _SETTLE_S)
        rate = generate_load(service.port, photos, config.clients, config.seconds).rate
        killer = _attacker("worker_kills", service, 60 * minutes) if kills else None
        table = steady_load(analyzer, service, photos, config, config.load * rate, _PORTRAITS)
        if killer:
            killed = _codes(killer)
            return replace(
                table, title="Steady load with kills", protocol=f"{table.protocol} {_KILLS}{killed}."
            )
    return table


def _jpeg(side: int) -> bytes:
    stream = BytesIO()
    Image.open(DEMO).resize((side, side)).save(stream, "JPEG", quality=90)
    return stream.getvalue()


def _client(service: Service, photos: Sequence[bytes], seconds: float) -> LoadResult:
    return generate_load(service.port, photos, _CLIENTS, seconds, _RATE)


def _attacker(name: str, service: Service, seconds: float) -> "subprocess.Popen[bytes]":
    """Start an attack and wait until it begins."""
    command = (sys.executable, "-m", _MODULE, name, str(service.port), str(service.pid), str(seconds))
    attacker = subprocess.Popen(command, stdout=subprocess.PIPE)
    assert attacker.stdout is not None  # it was asked for
    attacker.stdout.readline()  # it is ready
    return attacker


def _codes(attacker: "subprocess.Popen[bytes]") -> str:
    """Wait for the end of an attack and return the status codes that it met."""
    output, _ = attacker.communicate()
    codes = json.loads(output)["codes"] if output else {}
    return _listed(codes)


def _listed(codes: Mapping[Any, int]) -> str:
    return ", ".join(f"{count:,} x {code}" for code, count in sorted(codes.items())) or "none"


def _stop(service: Service) -> float:
    """Send SIGTERM and return the seconds until the service and all its processes have ended."""
    pids, started = [service.pid, *descendants(service.pid)], time.monotonic()
    service.process.terminate()
    while time.monotonic() < started + _STOP_TIMEOUT_S:
        if service.process.poll() is not None and not any(map(_runs, pids)):
            break
        pids += descendants(service.pid)
        time.sleep(0.02)
    return time.monotonic() - started


def _runs(pid: int) -> bool:
    """Return whether a process exists and is not a zombie."""
    try:
        return Path(f"/proc/{pid}/stat").read_text(encoding="utf-8").rpartition(")")[2].split()[0] != "Z"
    except (FileNotFoundError, ProcessLookupError):
        return False
