"""The depth map as a 16-bit image, and its scale."""

from io import BytesIO
from math import floor
from typing import Any

import numpy as np
from PIL import Image

from facegeom.depth.depth_map import DepthMap

UNIT_MM = 0.01
"""One step of the image; its 65,535 steps span 65 cm, several times a head."""


def offset_mm(depth: DepthMap) -> float:
    """Return the depth of value 0: a whole number of millimetres before the nearest point."""
    return float(floor(depth.z_mm[depth.mask].min()) - 1) if depth.mask.any() else 0.0


def encode(depth: DepthMap) -> bytes:
    """Encode as 16-bit grey PNG: z in the camera frame is value · UNIT_MM + offset_mm; 0 where no face is."""
    steps = np.rint((depth.z_mm - offset_mm(depth)) / UNIT_MM)
    values = np.where(depth.mask, np.clip(steps, 1, 65535), 0).astype(np.uint16)
    stream = BytesIO()
    Image.fromarray(values).save(stream, "PNG")
    return stream.getvalue()


def describe(depth: DepthMap, file: str) -> dict[str, Any]:
    """Return the entry for the image ``file`` in the JSON of a face."""
    matrix = np.round(depth.image_from_depth, 6).tolist()
    return {"file": file, "unit_mm": UNIT_MM, "offset_mm": offset_mm(depth), "image_from_depth": matrix}
