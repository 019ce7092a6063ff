"""The photo on the page: zoom, pan, points that can be read, layers that follow the size of a face."""

import re
from pathlib import Path

import numpy as np
from PIL import Image
from playwright.sync_api import Page, expect

from facegeom import FaceAnalyzer, Faces
from facegeom.serve.pages import DEMO

SCALE = 653.0 / 512  # CSS pixels for one of the example: 76 % of 860 pixels


def hover(page: Page, x: float, y: float) -> None:
    """Move the mouse to a point of the example that is shown whole."""
    page.hover("#photo", position={"x": (x + 0.5) * SCALE, "y": (y + 0.5) * SCALE})


def reading(page: Page) -> tuple[str, list[float]]:
    """Return the first line of what is shown of a point, and its pixels."""
    name, place, *_ = (page.text_content("#tip") or "").split("\n")
    return name, [float(number) for number in re.findall(r"[\d.]+", place)]


def test_points_can_be_read(example: Page, expected_faces: Faces) -> None:
    face = expected_faces[0]
    hover(example, *face.landmarks_px[8].tolist())  # the chin
    expect(example.locator("#tip")).to_be_visible()
    name, place = reading(example)
    assert name == "Point 8 of 68" and np.abs(face.landmarks_px[8] - place).max() < 0.1
    expect(example.locator("#tip")).to_contain_text(f"confidence {face.landmarks_confidence[8]:.2f}")
    hover(example, 20, 500)
    expect(example.locator("#tip")).to_be_hidden()


def test_points_can_be_read_by_keys(example: Page, expected_faces: Faces) -> None:
    example.focus("#photo")
    for _ in range(3):
        example.keyboard.press(".")
    assert reading(example)[0] == "Point 2 of 68"
    example.keyboard.press(",")
    assert reading(example)[0] == "Point 1 of 68"
    example.keyboard.press("Escape")
    expect(example.locator("#tip")).to_be_hidden()


def test_close_up_and_keys(example: Page, expected_faces: Faces) -> None:
    left, top, right, bottom = expected_faces.box_xyxy[0]
    middle = np.array([left + right, top + bottom]) / 2
    example.focus("#photo")
    example.keyboard.press("f")
    example.hover("#photo", position={"x": 327, "y": 327})  # the middle of the canvas
    _, place = reading(example)
    assert np.abs(middle - place).max() < 8
    example.keyboard.press("ArrowRight")
    example.hover("#photo", position={"x": 326, "y": 327})
    _, moved = reading(example)
    assert 5 < moved[0] - place[0] < 40
    example.keyboard.press("0")
    example.hover("#photo", position={"x": 327, "y": 327})
    expect(example.locator("#tip")).to_be_hidden()  # there is no face in the middle of the whole photo


def test_drag_and_wheel(example: Page) -> None:
    box = example.locator("#photo").bounding_box()
    assert box is not None
    middle = (box["x"] + box["width"] / 2, box["y"] + box["height"] / 2)
    example.mouse.move(*middle)
    example.keyboard.down("Control")
    example.mouse.wheel(0, -300)
    example.keyboard.up("Control")
    expect(example.locator("#photo")).to_have_class("zoomed")
    before = example.locator("#photo").screenshot()
    example.mouse.down()
    example.mouse.move(middle[0] + 60, middle[1] + 40, steps=3)
    example.mouse.up()
    assert example.locator("#photo").screenshot() != before
    example.click("#whole")
    expect(example.locator("#photo")).not_to_have_class("zoomed")
    example.mouse.move(*middle)
    example.evaluate("globalThis.scrolled = new Promise((done) => addEventListener('scroll', done)), 0")
    example.mouse.wheel(0, 200)  # a plain wheel scrolls the page
    example.evaluate("scrolled.then(() => true)")
    expect(example.locator("#photo")).not_to_have_class("zoomed")


def test_points_are_drawn_on_the_chosen_face_alone(
    page: Page, analyzer: FaceAnalyzer, tmp_path: Path
) -> None:
    portrait = np.asarray(Image.open(DEMO))[:320, 60:380]
    Image.fromarray(np.concatenate([portrait, portrait[:, ::-1]], axis=1)).save(tmp_path / "two.png")
    faces = analyzer(tmp_path / "two.png")
    page.set_input_files("#file", tmp_path / "two.png")
    expect(page.locator("#faces input")).to_have_count(2)
    for name in ("box", "contours", "points", "mesh", "axes", "gaze"):
        page.set_checked(f"#show-{name}", False)
    bare = [colours(page, points) for points in faces.landmarks_px]
    page.set_checked("#show-points", True)
    drawn = [colours(page, points) for points in faces.landmarks_px]
    changes = [np.abs(one - other).max(axis=1) for one, other in zip(bare, drawn, strict=True)]
    assert np.median(changes[0]) > 40 and changes[1].max() < 3


def test_layers_are_left_out_of_small_faces(page: Page, tmp_path: Path) -> None:
    scene = Image.new("RGB", (1200, 900), (96, 110, 124))
    scene.paste(Image.open(DEMO).resize((120, 120), Image.Resampling.LANCZOS), (500, 300))
    scene.save(tmp_path / "small.png")
    page.set_input_files("#file", tmp_path / "small.png")
    expect(page.locator("#status")).to_contain_text("One face found")
    page.set_checked("#show-points", True)
    page.set_checked("#show-mesh", True)
    with_layers = page.locator("#photo").screenshot()
    page.set_checked("#show-points", False)
    page.set_checked("#show-mesh", False)
    assert page.locator("#photo").screenshot() == with_layers  # too small for them
    page.click("#close")
    close = page.locator("#photo").screenshot()
    page.set_checked("#show-points", True)
    assert page.locator("#photo").screenshot() != close


_COLOURS = """(points) => {
  const canvas = document.getElementById("photo");
  const scale = canvas.width / 640;
  const { data } = canvas.getContext("2d").getImageData(0, 0, canvas.width, canvas.height);
  return points.map(([x, y]) => {
    const start = 4 * (Math.floor((y + 0.5) * scale) * canvas.width + Math.floor((x + 0.5) * scale));
    return [...data.slice(start, start + 3)];
  });
}"""


def colours(page: Page, points: np.ndarray) -> np.ndarray:
    """Return the drawn colours (K, 3) at points of a photo that is 640 pixels wide."""
    return np.array(page.evaluate(_COLOURS, points.tolist()), float)
