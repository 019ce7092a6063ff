"""Aligned crops of all faces in photos: a sheet with a row for each face and a column for each template.

python examples/aligned_crops.py src/facegeom/data/astronaut.jpg -o crops.jpg
"""

import argparse
from pathlib import Path

import numpy as np
from PIL import Image, ImageDraw

from facegeom import FaceAnalyzer
from facegeom.results.crops import AlignedCrop

SIZE = 224
MINE = SIZE * np.array([(0.35, 0.3), (0.65, 0.3), (0.5, 0.46), (0.38, 0.62), (0.62, 0.62)])
TEMPLATES = ("arcface", "ffhq", "box", MINE)


def marked(crop: AlignedCrop) -> Image.Image:
    """Return the crop with its eyes, nose tip and mouth corners."""
    picture = Image.fromarray(crop.pixels)
    pen = ImageDraw.Draw(picture)
    for x, y in crop.points_px:
        pen.ellipse((x - 2, y - 2, x + 2, y + 2), fill=(0, 255, 120))
    return picture


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("photos", type=Path, nargs="+")
    parser.add_argument("-o", "--out", type=Path, required=True, help="sheet to write")
    arguments = parser.parse_args()
    analyzer, rows = FaceAnalyzer(), []
    for faces in map(analyzer, arguments.photos):
        by_template = [faces.aligned(size=SIZE, template=template) for template in TEMPLATES]
        for crops in zip(*by_template, strict=True):
            rows.append(np.hstack([np.asarray(marked(crop)) for crop in crops]))
    if not rows:
        raise SystemExit("no face in these photos")
    Image.fromarray(np.vstack(rows)).save(arguments.out, quality=92)


if __name__ == "__main__":
    main()
