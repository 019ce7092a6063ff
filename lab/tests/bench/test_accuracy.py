"""The accuracy sections on a small pack, with a fake analyzer and fake peers."""

import json
from pathlib import Path
from typing import Any

import pytest

from facegeom.errors import InputError
from facegeom_lab.bench.accuracy import SECTIONS, choose, run_accuracy
from facegeom_lab.measures.tables import Table


@pytest.fixture(scope="module")
def tables(
    pack: Path,
    tmp_path_factory: pytest.TempPathFactory,
    make_analyzer: Any,
    fake_peers: dict[str, Path],
) -> dict[str, Table]:
    out = tmp_path_factory.mktemp("out")
    only = ["detection", "end-to-end", "mesh", "confidence"]
    report = run_accuracy(pack, out, make_analyzer(), fake_peers, only)
    assert len(json.loads((out / "accuracy.json").read_text())["tables"]) == len(report.tables)
    return {table.title: table for table in report.tables}


def test_detection(tables: dict[str, Table]) -> None:
    found = {row[:2]: row[2:] for row in tables["Detection: faces found"].rows}
    assert found["AFW scenes", "facegeom"] == (100.0, 100.0, 2, 2)
    assert found["val scenes", "MTCNN (facenet-pytorch)"][3] == 2
    assert len(found) == 10
    assert [row[1:] for row in tables["Detection: false boxes"].rows] == [(0, 0, 100, 0.0)] * 5


def test_end_to_end(tables: dict[str, Table], analyzer_nme: float) -> None:
    rows = {row[:2]: row[2:] for row in tables["End to end: 68 points"].rows}
    assert rows["AFW scenes", "facegeom"] == pytest.approx((*[analyzer_nme] * 3, 100, 2, 2), rel=1e-5)
    peer_nme, *_, found, labelled = rows["AFW scenes", "MediaPipe FaceMesh"]
    assert peer_nme < 0.1  # the fake mesh and the labels are the same everywhere: the map is exact
    assert (found, labelled) == (2, 2)


def test_mesh(tables: dict[str, Table]) -> None:
    rows = {row[0]: row[1:] for row in tables["Mesh against MediaPipe's"].rows}
    assert rows["helen and lfpw"][3:] == (3, 3, 3)
    assert rows["all"][3:] == (4, 4, 4)


def test_confidence(tables: dict[str, Table]) -> None:
    rows = {row[0]: row[1:] for row in tables["Confidence: error of the trusted half"].rows}
    assert rows["both"][3] == 4
    assert rows["both"][0] == pytest.approx(100, abs=1e-3)  # the fake errors are all the same


def test_without_peers_only_facegeom_is_measured(pack: Path, tmp_path: Path, analyzer: Any) -> None:
    report = run_accuracy(pack, tmp_path, analyzer, {}, ["detection", "mesh", "end-to-end"])
    assert [table.title for table in report.tables] == [
        "Detection: faces found",
        "Detection: false boxes",
        "End to end: 68 points",
    ]
    assert analyzer.calls == 4 + 100  # each picture once
    assert {row[1] for row in report.tables[0].rows} == {"facegeom"}


def test_sections_run_in_their_order() -> None:
    assert choose([]) == list(SECTIONS)
    assert choose(["mesh", "detection"]) == ["detection", "mesh"]


def test_an_unknown_section_is_named() -> None:
    with pytest.raises(InputError, match="got pose"):
        choose(["pose", "mesh"])
