"""Texas 3D Face Recognition Database: 1,149 frontal portraits of 118 people with range images, by stereo.

Gupta et al., "Texas 3D Face Recognition Database", SSIAI 2010.

Layout: ``PreprocessedImages/Clean_0001_001_20050912120022_Portrait.png`` and the same with ``_Range.png``,
751 x 501; the second field is the person. Both images are aligned to the pixel, in parallel projection: a
pixel is 0.32 mm wide, a grey level of the range image 0.32 mm deep; 255 is nearest, 0 is unknown.
"""

from functools import partial
from pathlib import Path

import numpy as np
from PIL import Image, UnidentifiedImageError

from facegeom_lab.datasets.published.common import TEST_FOLD, base, check_split, damaged, fold, require
from facegeom_lab.datasets.records import DatasetInfo, FaceRecord, photo_reader

INFO = DatasetInfo(
    name="texas3dfrd",
    title="Texas 3D Face Recognition Database",
    url="https://live.ece.utexas.edu/research/texas3dfr/",
    terms="research and education only, not commercial",
    scheme="ibug68",
    splits=("train", "test"),
)

STEP_MM = 0.32
"""Size of a pixel, and of a grey level."""

PORTRAIT, RANGE = "_Portrait.png", "_Range.png"


def records(root: Path, split: str | None = None) -> list[FaceRecord]:
    """Read the portraits with depth; no points. The set has no splits: a tenth of the people is test.

    Depth is measured from the plane one grey level before 255: parallel projection has no camera position.

    Args:
        root: the folder of ``PreprocessedImages``, or that folder.
        split: train, test, or None for both.

    Raises:
        InputError: another split; images are missing.
    """
    check_split(split, INFO)
    folder = base(root, "PreprocessedImages")
    portraits = sorted(require(folder, INFO).glob(f"*{PORTRAIT}"))
    if not portraits:
        require(folder / f"Clean_0001_001_20050912120022{PORTRAIT}", INFO)
    found = [_record(portrait) for portrait in portraits]
    return [record for record in found if split in (None, record.split)]


def _record(portrait: Path) -> FaceRecord:
    ranges = require(portrait.with_name(portrait.name.replace(PORTRAIT, RANGE)), INFO)
    fields = portrait.name.split("_")
    if len(fields) < 4:
        raise damaged(portrait, "a name as Clean_0001_001_20050912120022_Portrait.png", portrait.name, INFO)
    return FaceRecord(
        name=portrait.name,
        read=photo_reader(portrait),
        split="test" if fold(fields[1]) == TEST_FOLD else "train",
        depth=partial(read_range, ranges),
        source=INFO.name,
    )


def read_range(file: Path) -> np.ndarray:
    """Read the depth (H, W) float32 in millimetres, 0 where unknown; smaller is nearer.

    Raises:
        InputError: the image is damaged.
    """
    try:
        with Image.open(file) as image:
            grey = np.asarray(image.convert("L"), np.float32)
    except (OSError, UnidentifiedImageError) as error:
        raise damaged(file, "a grey image", str(error), INFO) from error
    return np.where(grey > 0, (256 - grey) * STEP_MM, 0).astype(np.float32)
