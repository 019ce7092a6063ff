"""Small sets in the published layouts."""

from collections.abc import Callable
from contextlib import suppress
from itertools import islice
from pathlib import Path

import numpy as np
import pytest
from damage import mutations
from PIL import Image

from facegeom.errors import FacegeomError
from facegeom_lab.datasets.records import FaceRecord
from facegeom_lab.datasets.registry import load

WritePhoto = Callable[..., Path]
CheckRecords = Callable[[list[FaceRecord], str], None]
PHOTOS = (".jpg", ".png")


@pytest.fixture
def write_photo(tmp_path: Path) -> WritePhoto:
    """Write a tiny image below ``tmp_path``; images differ in their width."""

    def write(place: str, width: int = 12) -> Path:
        path = tmp_path / place
        path.parent.mkdir(parents=True, exist_ok=True)
        Image.new("RGB", (width, 10), (200, 150, 120)).save(path)
        return path

    return write


@pytest.fixture
def check_records() -> CheckRecords:
    """Check the records of an adapter: names, splits, shapes, readers."""
    from facegeom_lab.datasets.schemes import SCHEMES

    def check(records: list[FaceRecord], scheme: str) -> None:
        names = [record.name for record in records]
        assert len(set(names)) == len(names) > 0
        for record in records:
            assert record.split in ("train", "val", "test") and record.source
            assert record.scheme == (scheme if record.points is not None else "")
            if record.points is not None:
                assert record.points.shape == (SCHEMES[scheme].count, 2)
            if record.visible is not None:
                assert record.visible.shape == (SCHEMES[scheme].count,) and record.visible.dtype == bool
            if record.box_xyxy is not None:
                assert record.box_xyxy.shape == (4,) and (record.box_xyxy[2:] > record.box_xyxy[:2]).all()
            image = record.read()
            assert image.ndim == 3 and image.shape[2] == 3 and image.dtype == np.uint8

    return check


@pytest.fixture
def check_damaged() -> Callable[[str, Path], None]:
    """Damage the files of a set again and again: it is read, or an error of facegeom says why not."""

    def check(name: str, root: Path) -> None:
        contents = {str(path): path.read_bytes() for path in root.rglob("*") if path.is_file()}
        tables = {path: data for path, data in contents.items() if not path.endswith(PHOTOS)} or contents
        assert load(name, root)
        for path, data in islice(mutations(tables, 0), 40):
            Path(path).write_bytes(data)
            with suppress(FacegeomError):
                for record in load(name, root):
                    record.read()
            Path(path).write_bytes(tables[path])

    return check
