"""Merging part files; reading rows with pandas, Polars and DuckDB, as the example does."""

import hashlib
import sys
from collections.abc import Callable
from pathlib import Path

import pyarrow.parquet as pq
import pytest

from facegeom.batch.input_index import Record
from facegeom.batch.merge import merge
from facegeom.batch.output import Output
from facegeom.batch.rows import Row, encode
from facegeom.errors import InputError
from facegeom.results import Faces

sys.path.insert(0, str(Path(__file__).parents[2] / "examples"))

import batch_rows

YAWS_DEG = [(-60, 10), (5,), (), (45,), (0, 31)]


@pytest.fixture
def finished(tmp_path: Path, make_faces: Callable[..., Faces]) -> Path:
    """Return a run of ten part files with keys in no order, an error and photos without a face."""
    output = Output(str(tmp_path / "run"))
    for part in range(10):
        rows = [Row(f"{(7 * part) % 10}/bad.jpg", None, None, "bad")]
        for number, yaws in enumerate(YAWS_DEG):
            faces = [make_faces(angles_deg=(yaw, 0, 0)) for yaw in yaws]
            joined = faces[0] if len(faces) == 1 else Faces.empty(9, 9)
            rows.append(Row(f"{(7 * part) % 10}/{number}.jpg", None, joined))
        content = encode(rows, True, {"part": part, "piece": 0, "inputs": ""})
        digest = hashlib.sha256(content).hexdigest()
        record = Record(part, 0, True, len(rows), 2, 1, len(content), digest, "")
        output.write(record.file, content)
        output.add(record)
    return tmp_path / "run"


def test_few_large_sorted_files(finished: Path, tmp_path: Path) -> None:
    size = sum(path.stat().st_size for path in (finished / "parts").iterdir()) / 2**20
    assert size < 1
    (merged,) = merge(str(finished), str(tmp_path / "rows"))
    assert merged == ("rows-0000000.parquet", 60)
    table = pq.ParquetFile(tmp_path / "rows/rows-0000000.parquet")
    keys = table.read(["key"])["key"].to_pylist()
    assert keys == sorted(keys) and len(set(keys)) == 60
    key = table.metadata.row_group(0).column(0).statistics
    assert (key.min, key.max) == (keys[0], keys[-1])
    before = pq.read_table(finished / "parts").sort_by("key").replace_schema_metadata()
    assert table.read().replace_schema_metadata() == before


def test_files_of_an_earlier_merge_go(finished: Path, tmp_path: Path) -> None:
    rows = tmp_path / "rows"
    rows.mkdir()
    for name in ("rows-0000001.parquet", "rows-0000007.parquet", "rows-mine.parquet"):
        (rows / name).write_bytes(b"old")
    list(merge(str(finished), str(rows)))
    assert sorted(path.name for path in rows.iterdir()) == ["rows-0000000.parquet", "rows-mine.parquet"]


def test_what_cannot_be_merged(finished: Path, tmp_path: Path) -> None:
    with pytest.raises(InputError, match="threads: expected a whole number"):
        list(merge(str(tmp_path), str(tmp_path / "out"), threads=0))
    with pytest.raises(InputError, match="found no rows"):
        list(merge(str(tmp_path / "nowhere"), str(tmp_path / "rows")))
    (finished / "parts/part-0000003.parquet").unlink()
    with pytest.raises(InputError, match=r"part-0000003\.parquet is not as it was written"):
        list(merge(str(finished), str(tmp_path / "rows")))


@pytest.mark.parametrize("reader", sorted(batch_rows.READERS.keys() - {"spark"}))  # Spark needs Java
@pytest.mark.parametrize("folder", ["run/parts", "rows"])
def test_readers(finished: Path, tmp_path: Path, reader: str, folder: str) -> None:
    list(merge(str(finished), str(tmp_path / "rows")))
    found = sorted(batch_rows.READERS[reader](str(tmp_path / folder)))
    assert [key for key, _ in found] == [f"{part}/3.jpg" for part in range(10)]
    assert all(abs(yaw - 45) < 0.1 for _, yaw in found)
