"""Tables as Markdown and JSON."""

import json
from pathlib import Path

import pytest

from facegeom.errors import InputError, OutputError
from facegeom_lab.measures.tables import Report, RunningReport, Table, percent

TABLE = Table("Title", "How.", ("a", "b"), [("x", 1.234), (2, None)])


def test_markdown() -> None:
    expected = ["## Title", "", "How.", "", "| a | b |", "| --- | --- |", "| x | 1.23 |", "| 2 | - |"]
    assert TABLE.markdown().splitlines() == expected


def test_report_is_saved_in_both_forms(tmp_path: Path) -> None:
    Report("Run", {"date": "today"}, [TABLE]).save(tmp_path / "new", "speed")
    stored = json.loads((tmp_path / "new" / "speed.json").read_text())
    assert stored["tables"][0]["rows"] == [["x", 1.234], [2, None]]
    assert stored["about"] == {"date": "today"}
    assert "- date: today" in (tmp_path / "new" / "speed.md").read_text()


def test_new_tables_are_added_and_old_ones_stay(tmp_path: Path) -> None:
    other = Table("Other", "", ("a",), [(1,)])
    Report("Run", {"date": "today", "versions": "1"}, [TABLE, other]).save(tmp_path, "speed")
    again = Table("Title", "Otherwise.", ("a",), [(5,)])
    part = Report("Run", {"date": "tomorrow", "versions": "2"}, [again, Table("New", "", ("b",), [])])
    both = part.added_to(tmp_path, "speed")
    assert [table.title for table in both.tables] == ["Title", "Other", "New"]
    assert both.tables[0] == again and both.tables[1] == other
    assert both.about == {"date": "today", "versions": "1", "Title": "tomorrow, 2", "New": "tomorrow, 2"}
    assert part.added_to(tmp_path / "none", "speed") is part
    (tmp_path / "speed.json").write_text("[]")
    with pytest.raises(InputError, match="expected a saved report"):
        part.added_to(tmp_path, "speed")


def test_a_folder_that_cannot_be_made_is_an_output_error(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(OutputError, match="cannot make the folder"):
        Report("Run", {}, []).save(tmp_path / "file", "speed")


def test_a_running_report_is_saved_after_each_section(tmp_path: Path) -> None:
    """A run that fails leaves its sections beside older tables; one that ends replaces them."""

    def titles() -> list[str]:
        return [each["title"] for each in json.loads((tmp_path / "speed.json").read_text())["tables"]]

    Report("Run", {"date": "today"}, [Table("Old", "", (), []), Table("Title", "", (), [])]).save(
        tmp_path, "speed"
    )
    shown: list[str] = []
    running = RunningReport(
        "Run", {"date": "later"}, tmp_path, "speed", lambda table: shown.append(table.title)
    )
    running.add(TABLE)
    assert titles() == ["Old", "Title"] and "| x | 1.23 |" in (tmp_path / "speed.md").read_text()
    running.save(Table("Quiet", "", ("a",), [(1,)]))
    running.save(Table("Quiet", "", ("a",), [(1,), (2,)]))
    assert titles() == ["Old", "Title", "Quiet"] and shown == ["Title"]
    assert running.finish(keep=True).tables == [TABLE, Table("Quiet", "", ("a",), [(1,), (2,)])]
    assert titles() == ["Old", "Title", "Quiet"]
    running.finish()
    assert titles() == ["Title", "Quiet"]


def test_a_running_report_refuses_other_files_at_once(tmp_path: Path) -> None:
    (tmp_path / "speed.json").write_text("[]")
    with pytest.raises(InputError, match="expected a saved report"):
        RunningReport("Run", {}, tmp_path, "speed")


def test_an_interrupted_write_keeps_the_old_report(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    Report("Run", {}, [TABLE]).save(tmp_path, "speed")
    before = {file.name: file.read_bytes() for file in tmp_path.iterdir()}

    def interrupt(file: Path, *args: object, **options: object) -> None:
        file.open("w").close()
        raise KeyboardInterrupt

    with monkeypatch.context() as patch, pytest.raises(KeyboardInterrupt):
        patch.setattr(Path, "write_bytes", interrupt)
        patch.setattr(Path, "write_text", interrupt)
        Report("Run", {}, []).save(tmp_path, "speed")
    assert {file.name: file.read_bytes() for file in tmp_path.iterdir()} == before


@pytest.mark.parametrize(("part", "whole", "expected"), [(1, 4, 25.0), (0, 3, 0.0), (0, 0, None)])
def test_percent(part: int, whole: int, expected: float | None) -> None:
    assert percent(part, whole) == expected
