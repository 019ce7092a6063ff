"""A clip for the other examples: the portrait's face, rotated like a head that looks around.

python examples/turning_head.py turning.mp4        # needs facegeom[video]
"""

import argparse
from collections.abc import Iterator
from fractions import Fraction
from importlib.resources import files
from pathlib import Path

import av
import numpy as np
from PIL import Image

from facegeom import Face, analyze
from facegeom.geometry.camera import Camera
from facegeom.geometry.rotation import rotation_from_angles
from facegeom.image.reading import read
from warp import filled, visible_triangles, warp

RATE = 10
YAW_KEYFRAMES = (
    (0, 0),
    (1, 0),
    (1.5, 35),
    (2.5, 35),
    (3, 0),
    (4.5, 0),
    (5, -40),
    (8, -40),
    (8.5, 0),
    (10, 0),
)
"""(time in seconds, yaw in degrees): a short glance aside, then a long one."""


def rotate_face(pixels: np.ndarray, face: Face, yaw_deg: float) -> np.ndarray:
    """Return the photo (H, W, 3), blurred, with its face in front, rotated about the head's centre."""
    height, width = pixels.shape[:2]
    photo = Image.fromarray(pixels)
    centre = face.translation_mm + face.camera_rotation @ (0, 0, 80)
    mesh_mm = (face.mesh_mm - centre) @ rotation_from_angles(yaw_deg, 0, 0).T + centre
    to_px = Camera(width, height).project(mesh_mm)
    visible = visible_triangles(np.column_stack([to_px, mesh_mm[:, 2]]), filled())
    layer = warp(photo, face.mesh_px[:, :2], to_px, photo.size, visible)
    image = photo.resize((64, 64)).resize(photo.size, Image.Resampling.BICUBIC)  # blurred
    image.paste(layer, (0, 0), layer)
    return np.asarray(image)


def frames(seconds: float = YAW_KEYFRAMES[-1][0]) -> Iterator[np.ndarray]:
    """Yield the clip's frames (H, W, 3), RATE per second."""
    portrait = Path(str(files("facegeom") / "data" / "astronaut.jpg"))
    pixels, face = read(portrait), analyze(portrait)[0]
    for index in range(round(seconds * RATE)):
        yield rotate_face(pixels, face, float(np.interp(index / RATE, *zip(*YAW_KEYFRAMES, strict=True))))


def write_clip(out: Path, seconds: float = YAW_KEYFRAMES[-1][0]) -> None:
    """Write the frames as a video."""
    with av.open(str(out), "w") as file:
        stream = file.add_stream("libx264", rate=RATE, options={"crf": "16"})
        stream.width, stream.height, stream.pix_fmt = 512, 512, "yuv420p"
        for index, pixels in enumerate(frames(seconds)):
            frame = av.VideoFrame.from_ndarray(pixels, format="rgb24")
            frame.pts, frame.time_base = index, Fraction(1, RATE)
            file.mux(stream.encode(frame))
        file.mux(stream.encode(None))


def main() -> None:
    """Write the clip to the path given on the command line."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("out", type=Path)
    write_clip(parser.parse_args().out)


if __name__ == "__main__":
    main()
