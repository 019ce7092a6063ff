"""The depth map as a picture of 16 bits, and what its numbers mean."""

from io import BytesIO
from math import floor
from typing import Any

import numpy as np
from PIL import Image

from facegeom.depth.depth_map import DepthMap

UNIT_MM = 0.01
"""One step of the picture; its 65,535 steps span 65 cm, several times a head."""


def offset_mm(depth: DepthMap) -> float:
    """What a value of 0 would stand for: a whole number of millimetres before the nearest point."""
    return float(floor(depth.z_mm[depth.mask].min()) - 1) if depth.mask.any() else 0.0


def encode(depth: DepthMap) -> bytes:
    """PNG, grey, 16 bits: z in the camera frame is value · UNIT_MM + offset_mm; 0 where no face is."""
    steps = np.rint((depth.z_mm - offset_mm(depth)) / UNIT_MM)
    values = np.where(depth.mask, np.clip(steps, 1, 65535), 0).astype(np.uint16)
    stream = BytesIO()
    Image.fromarray(values).save(stream, "PNG")
    return stream.getvalue()


def described(depth: DepthMap, file: str) -> dict[str, Any]:
    """The entry of the JSON of a face for the picture ``file``."""
    matrix = np.round(depth.image_from_depth, 6).tolist()
    return {"file": file, "unit_mm": UNIT_MM, "offset_mm": offset_mm(depth), "image_from_depth": matrix}
