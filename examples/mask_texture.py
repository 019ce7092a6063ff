"""Face paint: draw a tiger's face in code and lay it over the faces of a photo or a video.

python examples/mask_texture.py src/facegeom/data/astronaut.jpg -o tiger.jpg
python examples/mask_texture.py talk.mp4 -o tiger.mp4        # needs facegeom[video]
python examples/mask_texture.py photo.jpg --texture painted.png -o painted.jpg
"""

import argparse
from pathlib import Path

import numpy as np
from PIL import Image, ImageDraw, ImageFilter

from facegeom import Face, analyze
from facegeom.image.reading import ENDINGS, read
from warp import TEXTURE_PX, texture_px, visible_triangles, warp

Colour = tuple[int, int, int, int]
ORANGE, WHITE, BLACK = (240, 130, 20, 215), (255, 248, 235, 225), (20, 12, 8, 235)
STRIPES = (  # broad end, pointed end, width; u from the middle outwards; in fractions of the texture
    ((0.0, 0.02), (0.0, 0.24), 0.06),
    ((0.075, 0.03), (0.055, 0.2), 0.05),
    ((0.18, 0.06), (0.11, 0.22), 0.055),
    ((0.29, 0.12), (0.18, 0.22), 0.055),
    ((0.39, 0.22), (0.26, 0.27), 0.045),
    ((0.41, 0.43), (0.17, 0.47), 0.06),
    ((0.41, 0.55), (0.19, 0.54), 0.06),
    ((0.39, 0.68), (0.24, 0.62), 0.06),
    ((0.34, 0.8), (0.2, 0.7), 0.06),
    ((0.22, 0.91), (0.14, 0.79), 0.06),
)
WHISKERS = ((0.085, 0.64), (0.12, 0.66), (0.11, 0.69), (0.155, 0.68))
EYE, WING, UNDER_NOSE = (33, 133, 159, 145), 64, 2  # points of the mesh


def tiger() -> Image.Image:
    """Draw the texture (RGBA), symmetric, with eyes and nose where the mesh has them."""
    points = texture_px() / TEXTURE_PX
    sheet = Image.new("RGBA", (TEXTURE_PX, TEXTURE_PX), ORANGE)
    pen = ImageDraw.Draw(sheet)
    eye, wing, under_nose = points[list(EYE)].mean(axis=0), points[WING], points[UNDER_NOSE]
    _patch(pen, (0.5, 0.88), (0.11, 0.055), WHITE)
    for side in (-1, 1):
        _patch(pen, (0.5 + side * (0.5 - eye[0]), eye[1] - 0.03), (0.12, 0.075), WHITE)
        _patch(pen, (0.5 + side * 0.09, 0.655), (0.125, 0.075), WHITE)
        for (u, v), (tip_u, tip_v), width in STRIPES:
            corners = [(u - width / 2, v - width / 2), (u + width / 2, v + width / 2), (tip_u, tip_v)]
            pen.polygon([_to_px(side * u, v) for u, v in corners], BLACK)
        for u, v in WHISKERS:
            _patch(pen, (0.5 + side * u, v), (0.008, 0.008), BLACK)
    _patch(pen, (0.5, under_nose[1] - 0.045), (0.45 - wing[0], 0.04), BLACK)
    return sheet.filter(ImageFilter.GaussianBlur(4))


def _to_px(u: float, v: float) -> tuple[float, float]:
    """Return the pixel of a point, u from the middle of the face, v from the top of the texture."""
    return TEXTURE_PX * (0.5 + u), TEXTURE_PX * v


def _patch(
    pen: ImageDraw.ImageDraw, middle: tuple[float, float], half: tuple[float, float], colour: Colour
) -> None:
    """Draw an ellipse; its middle and half axes are fractions of the texture."""
    (x, y), (width, height) = middle, half
    pen.ellipse([TEXTURE_PX * edge for edge in (x - width, y - height, x + width, y + height)], fill=colour)


def lay_over(pixels: np.ndarray, face: Face, texture: Image.Image) -> np.ndarray:
    """Return the photo (H, W, 3) with the texture on a face, lit as in the photo."""
    height, width = pixels.shape[:2]
    layer = warp(texture, texture_px(), face.mesh_px[:, :2], (width, height), visible_triangles(face.mesh_px))
    paint = np.asarray(layer, np.float32)
    opacity = paint[..., 3:] / 255
    if not opacity.any():
        return pixels
    grey = np.asarray(Image.fromarray(pixels).convert("L"), np.float32)[..., None]
    light = (grey / np.average(grey, weights=opacity)) ** 0.8
    return np.clip(pixels * (1 - opacity) + paint[..., :3] * light * opacity, 0, 255).astype(np.uint8)


def paint_photo(source: Path, out: Path, texture: Image.Image) -> None:
    """Paint all faces of a photo."""
    pixels = read(source)
    for face in analyze(source):
        pixels = lay_over(pixels, face, texture)
    Image.fromarray(pixels).save(out, quality=92)


def paint_video(source: Path, out: Path, texture: Image.Image) -> None:
    """Paint all faces of a video; keep its sound."""
    from facegeom.video import FrameAnalyzer, open_video, open_writer

    analyze_frame = FrameAnalyzer()
    with open_video(source) as video, open_writer(out, video) as writer:
        for frame in video:
            pixels = frame.pixels
            for face in analyze_frame(frame).faces:
                pixels = lay_over(pixels, face, texture)
            writer.write(pixels, frame.time_s)


def main() -> None:
    """Paint the photo or video given on the command line."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("source", type=Path, help="a photo or a video")
    parser.add_argument(
        "-o", "--out", type=Path, required=True, help="painted photo (.jpg) or video (.mp4) to write"
    )
    parser.add_argument(
        "--texture", type=Path, help="your own, painted on the picture of `facegeom export uv`"
    )
    arguments = parser.parse_args()
    own = arguments.texture and Image.open(arguments.texture).convert("RGBA")
    texture = own.resize((TEXTURE_PX, TEXTURE_PX)) if own else tiger()
    paint = paint_photo if arguments.source.suffix.lower() in ENDINGS else paint_video
    paint(arguments.source, arguments.out, texture)


if __name__ == "__main__":
    main()
