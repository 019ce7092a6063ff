"""The page as a user works with it."""

from collections.abc import Callable
from io import BytesIO
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image
from playwright.sync_api import Page, expect

from facegeom import FaceAnalyzer, Faces
from facegeom.geometry.camera import DEFAULT_FOV_DEG
from facegeom.options import SearchOptions
from facegeom.serve.pages import DEMO

PARTS = ("box", "contours", "points", "mesh", "axes", "gaze")
PINK = (255, 102, 230)
RAMP = ((255, 48, 48), (255, 214, 64), (64, 255, 128))  # confidence 0, 1/2, 1
TIMES, MINUS = "\u00d7", "\u2212"

_PIXELS = """([id, points]) => {
  const canvas = document.getElementById(id);
  const { width, height } = canvas;
  const { data } = canvas.getContext("2d").getImageData(0, 0, width, height);
  const place = (value) => Math.floor(((value + 0.5) * width) / 512);
  return points.map(([x, y]) => {
    const start = 4 * (place(y) * width + place(x));
    return [...data.slice(start, start + 3)];
  });
}"""
_DROP = """async (address) => {
  const blob = await (await fetch(address)).blob();
  const data = new DataTransfer();
  data.items.add(new File([blob], "dropped.jpg", { type: "image/jpeg" }));
  document.body.dispatchEvent(new DragEvent("drop", { dataTransfer: data, bubbles: true, cancelable: true }));
}"""
_PASTE = """async (address) => {
  const blob = await (await fetch(address)).blob();
  const data = new DataTransfer();
  data.items.add(new File([blob], "pasted.jpg", { type: "image/jpeg" }));
  document.body.dispatchEvent(new ClipboardEvent("paste", { clipboardData: data, bubbles: true }));
}"""


def show_only(page: Page, *names: str) -> None:
    for name in PARTS:
        page.set_checked(f"#show-{name}", name in names)


def colours(page: Page, points: Any) -> np.ndarray:
    """Return the colours (K, 3) of the drawn photo at points of the example."""
    return np.array(page.evaluate(_PIXELS, ["photo", np.asarray(points, float).tolist()]), float)


def test_start(page: Page, screenshot: Callable[[str], None]) -> None:
    expect(page.locator("h1")).to_have_text("facegeom")
    expect(page.get_by_role("button", name="Choose a photo")).to_be_visible()
    expect(page.locator("#head")).to_be_hidden()
    screenshot("empty")


def test_points_lie_on_the_face(
    example: Page, expected_faces: Faces, screenshot: Callable[[str], None]
) -> None:
    screenshot("example")
    points, confidence = expected_faces.landmarks_px[0], expected_faces.landmarks_confidence[0]
    show_only(example)
    bare = colours(example, points)
    show_only(example, "points")
    drawn = colours(example, points)
    expected = np.stack(
        [np.interp(confidence, (0, 0.5, 1), channel) for channel in zip(*RAMP, strict=True)], 1
    )
    assert np.abs(drawn - expected).max() < 25
    assert np.abs(bare - expected).max(axis=1).min() > 30  # the photo alone has no such colours there


@pytest.mark.parametrize("name", PARTS[:-1])
def test_each_part_can_be_switched(example: Page, expected_faces: Faces, name: str) -> None:
    left, top, right, bottom = expected_faces.box_xyxy[0]
    grid = [(x, y) for x in np.arange(left - 3, right + 25, 1.5) for y in np.arange(top - 3, bottom + 3, 1.5)]
    show_only(example)
    bare = colours(example, grid)
    show_only(example, name)
    assert (np.abs(colours(example, grid) - bare).max(axis=1) > 15).mean() > 0.004
    show_only(example)
    np.testing.assert_allclose(colours(example, grid), bare, atol=2)


def test_angles_are_shown(example: Page, expected_faces: Faces) -> None:
    face = expected_faces[0]
    for row, angle in zip(
        ("Yaw", "Pitch", "Roll"), (face.yaw_deg, face.pitch_deg, face.roll_deg), strict=True
    ):
        sign = MINUS if angle < 0 else "+"
        expect(example.locator("#angles > div", has_text=row)).to_contain_text(f"{sign}{abs(angle):.1f}°")


def test_lines_of_gaze(example: Page, expected_faces: Faces) -> None:
    face = expected_faces[0]
    assert face.gaze is not None and face.gaze_confidence is not None
    size = np.ptp(face.mesh_px[:, :2], axis=0).max()
    tips = face.mesh_px[[468, 473], :2] + 0.4 * size * (face.gaze @ face.rotation.T)[:, :2]
    show_only(example)
    bare = colours(example, tips)
    show_only(example, "gaze")
    expected = bare + (np.array(PINK) - bare) * face.gaze_confidence[:, None]
    assert np.abs(colours(example, tips) - expected).max() < 25


def test_gaze_and_expression_are_shown(example: Page, expected_faces: Faces) -> None:
    face = expected_faces[0]
    for row, angle in (("Yaw", face.gaze_yaw_deg), ("Pitch", face.gaze_pitch_deg)):
        sign = MINUS if angle < 0 else "+"
        expect(example.locator("#gaze > div", has_text=row)).to_contain_text(f"{sign}{abs(angle):.1f}°")
    coefficients = sorted(face.coefficients.values(), reverse=True)
    large = [value for value in coefficients if round(value, 4) >= 0.1][:10]
    values = example.locator("#expression dd:last-child")
    expect(values).to_have_count(len(large))
    assert [float(text) for text in values.all_text_contents()] == pytest.approx(large, abs=0.0051)
    button = example.get_by_role("button", name="All coefficients")
    button.focus()
    example.keyboard.press("Space")
    expect(values).to_have_count(51)  # the tongue is not measured
    smile = example.locator("#expression > div", has_text="Mouth smile left")
    expect(smile).to_contain_text(f"{face.coefficients['mouthSmileLeft']:.2f}")
    expect(button).to_have_attribute("aria-pressed", "true")


def test_distance_and_angle_of_view_are_shown(page: Page, analyzer: FaceAnalyzer, tmp_path: Path) -> None:
    exif = Image.Exif()
    exif.get_ifd(0x8769)[0xA405] = 85  # focal length for 35 mm film
    Image.open(DEMO).save(tmp_path / "tele.jpg", exif=exif, quality=92)
    near, facts = np.linalg.norm(analyzer(DEMO).translation_mm) / 1000, page.locator("#facts")
    page.click("#demo")
    expect(facts).to_contain_text(f"{near:.2f} m")
    expect(facts).to_contain_text("50°, assumed")
    page.set_input_files("#file", tmp_path / "tele.jpg")
    expect(facts).to_contain_text("20.4°, from the photo")
    page.click("#search summary")
    page.fill("#fov_deg", "90")
    page.press("#fov_deg", "Enter")
    expect(facts).to_contain_text("90°, as set")


def test_only_settings_of_the_user_are_sent(page: Page) -> None:
    with page.expect_request("**/v1/analyze*") as request:
        page.click("#demo")
    assert request.value.url.endswith("/v1/analyze?")
    expect(page.locator("#status")).to_contain_text("One face found")  # now changes are sent
    assert page.get_attribute("#fov_deg", "placeholder") == f"from the photo, else {DEFAULT_FOV_DEG:g}°"
    assert page.get_attribute("#min_score", "placeholder") == f"{SearchOptions().min_score:g}"
    page.click("#search summary")
    with page.expect_request("**/v1/analyze*") as request:
        page.select_option("#orientation", "auto")
    assert request.value.url.endswith("/v1/analyze?orientation=auto")
    with page.expect_request("**/v1/analyze*") as request:
        page.fill("#min_score", "0.35")
        page.press("#min_score", "Enter")
    assert request.value.url.endswith("/v1/analyze?min_score=0.35&orientation=auto")
    page.fill("#min_score", "2")  # out of its range: marked, and not sent
    with page.expect_request("**/v1/analyze*") as request:
        page.press("#min_score", "Enter")
    assert request.value.url.endswith("/v1/analyze?orientation=auto")
    expect(page.locator("#status")).to_contain_text("One face found")


def test_a_photo_that_stands_on_its_side(page: Page, tmp_path: Path) -> None:
    Image.open(DEMO).rotate(90).save(tmp_path / "aside.png")
    page.click("#search summary")
    page.select_option("#orientation", "auto")
    page.set_input_files("#file", tmp_path / "aside.png")
    expect(page.locator("#status")).to_contain_text("One face found")
    expect(page.locator("#status")).to_contain_text("turned by 90°")


def test_several_faces(
    page: Page, analyzer: FaceAnalyzer, couple: Path, screenshot: Callable[[str], None]
) -> None:
    page.set_input_files("#file", couple)
    expect(page.locator("#faces input")).to_have_count(2)
    angle = page.locator("#angles > div").first
    for index, face in enumerate(analyzer(couple)):
        if index:
            page.locator("#faces input").first.focus()
            page.keyboard.press("ArrowRight")
        expect(angle).to_contain_text(f"{abs(face.yaw_deg):.1f}°")
    page.click("#close")
    screenshot("faces")
    page.click("#whole")
    box = page.locator("#photo").bounding_box()
    assert box is not None
    left, top, right, bottom = (analyzer(couple).box_xyxy[0] / 1024 * box["width"]).tolist()
    page.mouse.click(box["x"] + (left + right) / 2, box["y"] + (top + bottom) / 2)
    expect(page.locator("#faces input").first).to_be_checked()


def test_the_head_rotates_by_keys_and_by_mouse(example: Page) -> None:
    head = example.locator("#head-canvas")
    before = head.screenshot()
    head.focus()
    for _ in range(4):
        example.keyboard.press("ArrowLeft")
    turned = head.screenshot()
    example.keyboard.press("Home")
    example.locator("#choose").focus()
    assert similar(head.screenshot(), before) and not similar(turned, before)
    box = head.bounding_box()
    assert box is not None
    example.mouse.move(box["x"] + 150, box["y"] + 100)
    example.mouse.down()
    example.mouse.move(box["x"] + 220, box["y"] + 110, steps=3)
    example.mouse.up()
    assert not similar(head.screenshot(), before)
    example.click("#home")
    example.click("#skin")
    assert not similar(head.screenshot(), before)


def similar(one: bytes, other: bytes) -> bool:
    first, second = (np.asarray(Image.open(BytesIO(image)).convert("L"), float) for image in (one, other))
    return bool(np.abs(first - second).mean() < 0.5)


def test_by_keyboard_alone(page: Page, expected_faces: Faces) -> None:
    for _ in range(3):
        page.keyboard.press("Tab")
    expect(page.locator("#demo")).to_be_focused()
    page.keyboard.press("Tab")
    expect(page.locator("#where-service")).to_be_focused()
    page.keyboard.press("ArrowUp")
    expect(page.locator("#where-here")).to_be_checked()
    page.keyboard.press("ArrowDown")
    page.keyboard.press("Shift+Tab")
    page.keyboard.press("Enter")
    expect(page.locator("#status")).to_contain_text("One face found")
    before = colours(page, expected_faces.landmarks_px[0])
    page.locator("#show-points").focus()
    page.keyboard.press("Space")
    expect(page.locator("#show-points")).to_be_checked()
    assert np.abs(colours(page, expected_faces.landmarks_px[0]) - before).max() > 30


@pytest.mark.parametrize("script", [_DROP, _PASTE])
def test_dropped_and_pasted(page: Page, origin: str, script: str) -> None:
    page.evaluate(script, f"{origin}demo.jpg")
    expect(page.locator("#status")).to_contain_text("One face found")


def test_search_settings(example: Page) -> None:
    example.click("#search summary")
    example.fill("#min_score", "1")
    example.press("#min_score", "Enter")
    expect(example.locator("#status")).to_contain_text("No face found")


def test_phone(example: Page, screenshot: Callable[[str], None]) -> None:
    """A phone shows photo and 3D at once, and scrolls by a finger on either."""
    example.set_viewport_size({"width": 390, "height": 844})
    expect(example.locator("#photo")).to_have_css("width", "329px")  # 39 % of the height
    assert example.evaluate("document.documentElement.scrollWidth") == 390
    for part in ("#photo", "#head-canvas"):
        expect(example.locator(part)).to_be_in_viewport(ratio=1)
        assert "pan-y" in example.evaluate(f"getComputedStyle(document.querySelector('{part}')).touchAction")
    screenshot("phone")


def test_dark(example: Page, screenshot: Callable[[str], None]) -> None:
    light = example.evaluate("getComputedStyle(document.body).backgroundColor")
    example.emulate_media(color_scheme="dark")
    assert light != "rgb(20, 24, 26)"
    expect(example.locator("body")).to_have_css("background-color", "rgb(20, 24, 26)")
    screenshot("dark")


def test_everything_has_a_name(example: Page) -> None:
    tree = example.locator("body").aria_snapshot()
    for name in ("textbox", "checkbox", "button", "combobox", "spinbutton", "switch"):
        assert f"- {name}\n" not in tree, f"a {name} without a name"
    assert 'application "The face in 3D"' in tree and 'radio "on this device"' in tree
