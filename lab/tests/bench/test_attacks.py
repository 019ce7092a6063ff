"""Attacks on a real service: what each is answered, and that the service is as before."""

import asyncio
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from facegeom.serve.pages import DEMO
from facegeom_lab.bench.service.attacks import ATTACKS, run, scan_bomb
from facegeom_lab.bench.service.hostile import DESCRIPTORS, AttackConfig, run_attacks
from facegeom_lab.bench.service.load import generate_load
from facegeom_lab.bench.service.process import Service, running_service
from facegeom_lab.bench.speed.processes import descendants

ANSWERS = {
    "scans": {422},
    "boundaries": {400},
    "half_headers": set(),
    "slow_bodies": {408},
    "endless_bodies": {413},
    "tiny_chunks": {400},
    "large_uploads": {200},
    "large_photos": {200},
    "slow_readers": {200},
    "foreign_hosts": {421},
    "broken_photos": {413, 422},
    "worker_kills": {9},
}
"""Status codes that each attack may meet, beside 503 and a closed connection."""

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def service() -> Iterator[Service]:
    limits = ("--wait", "600", "--timeout", "600")  # a busy machine is no failure
    with running_service("--workers", "2", *limits, descriptors=DESCRIPTORS, codes=(0, 1)) as service:
        yield service


@pytest.mark.parametrize("name", ATTACKS)
def test_the_service_outlives(service: Service, name: str) -> None:
    attacked = asyncio.run(run(name, service.port, service.pid, 4.0))
    assert set(attacked.codes) <= ANSWERS[name] | {503, 0}
    end = time.monotonic() + 120
    while True:  # what is left of the attack is answered first
        result = generate_load(service.port, [DEMO.read_bytes()], clients=1, seconds=0.5)
        if set(result.codes) == {200} or time.monotonic() > end:
            break
    assert set(result.codes) == {200} and len(result.bodies[0]) == 1
    while len(descendants(service.pid)) != 2 and time.monotonic() < end:
        time.sleep(0.1)
    assert len(descendants(service.pid)) == 2


def test_the_bomb_is_small_and_has_thousands_of_scans() -> None:
    bomb = scan_bomb()
    assert len(bomb) <= 220_000 and bomb.count(b"\xff\xda") > 2000


def test_the_whole_run(tmp_path: Path) -> None:
    config = AttackConfig(["foreign_hosts"], seconds=1.0, rest_s=0.5, minutes=0.02)
    report = run_attacks(tmp_path, config)
    titles = ["Attacks", "Processor time of the main process", "Steady load", "Steady load with kills"]
    assert [table.title for table in report.tables] == titles and len(report.tables[1].rows) == 5
    attack, _, steady, kills = (
        dict(zip(table.columns, table.rows[0], strict=True)) for table in report.tables
    )
    assert attack["attack"] == "foreign_hosts" and "421" in str(attack["attacker's answers"])
    assert attack["other"] == attack["wrong"] == steady["wrong answers"] == kills["wrong answers"] == 0
    assert steady["other errors"] == kills["other errors"] == 0
    assert (tmp_path / "attacks.md").is_file()
