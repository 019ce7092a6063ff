"""Photos that fail, take long, show no face, or come together."""

from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image
from playwright.sync_api import Page, expect

from facegeom.serve.pages import DEMO

TIMES = "\u00d7"


def test_a_bad_file_is_explained(page: Page, console_errors: list[str], tmp_path: Path, couple: Path) -> None:
    bad, alert, status = tmp_path / "notes.jpg", page.get_by_role("alert"), page.locator("#status")
    bad.write_text("no photo")
    page.set_input_files("#file", bad)
    expect(alert).to_have_text(
        "notes.jpg was not analyzed: not a picture in a known format but text, which is not supported. "
        "Convert it to JPEG or PNG."
    )
    expect(page.locator("#drop")).to_be_visible()
    page.set_input_files("#file", couple)
    expect(status).to_contain_text("2 faces found")
    expect(alert).to_be_hidden()
    page.set_input_files("#file", bad)  # the last result stays
    expect(alert).to_contain_text("notes.jpg was not analyzed")
    expect(status).to_have_text(f"Still shown: couple.jpg. 2 faces found in 1024 {TIMES} 512 pixels.")
    expect(page.locator("#faces input")).to_have_count(2)
    assert len(console_errors) == 2 and all("422" in error for error in console_errors)
    console_errors.clear()


def test_service_does_not_answer(page: Page, console_errors: list[str]) -> None:
    page.route("**/v1/analyze*", lambda route: route.abort())
    page.click("#demo")
    expect(page.get_by_role("alert")).to_contain_text("The service does not answer")
    console_errors.clear()


def test_a_photo_can_be_cancelled(example: Page, couple: Path) -> None:
    held: list[Any] = []
    example.route("**/v1/analyze*", lambda route: held.append(route))  # the service never answers
    example.set_input_files("#file", couple)
    example.click("#cancel")
    expect(example.locator("#status")).to_contain_text("Cancelled. Still shown: example.jpg. One face found")
    expect(example.locator("#cancel")).to_be_hidden()
    expect(example.get_by_role("alert")).to_be_hidden()
    assert len(held) == 1


def test_uploads_show_percent(page: Page, tmp_path: Path) -> None:
    noise = np.random.default_rng(3).integers(0, 256, (600, 700, 3), np.uint8)
    Image.fromarray(noise).save(tmp_path / "noise.png")  # 1.3 MB
    network = page.context.new_cdp_session(page)
    slow = {"offline": False, "latency": 0, "downloadThroughput": -1, "uploadThroughput": 500_000}
    network.send("Network.emulateNetworkConditions", slow)
    page.evaluate("""() => {
      globalThis.said = [];
      const status = document.getElementById("status");
      new MutationObserver(() => said.push(status.textContent)).observe(status, { childList: true });
    }""")
    page.set_input_files("#file", tmp_path / "noise.png")
    expect(page.locator("#status")).to_contain_text("found in")
    texts = page.evaluate("said")
    percents = [int(text.split()[-2]) for text in texts if text.startswith("Sending the photo")]
    assert percents == sorted(percents) and len(set(percents)) > 2
    expect(page.locator("#bar")).to_be_hidden()


def test_no_face(page: Page, tmp_path: Path) -> None:
    Image.new("RGB", (300, 200), "teal").save(tmp_path / "wall.png")
    page.set_input_files("#file", tmp_path / "wall.png")
    expect(page.locator("#status")).to_contain_text(f"No face found in 300 {TIMES} 200 pixels")
    expect(page.locator("#photo")).to_be_visible()
    expect(page.locator("#head")).to_be_hidden()
    page.get_by_text("GLB", exact=True).click()
    expect(page.locator("#download")).to_be_disabled()


def test_one_click_looks_for_smaller_faces(page: Page, tmp_path: Path) -> None:
    scene = Image.new("RGB", (2000, 1500), (96, 110, 124))
    scene.paste(Image.open(DEMO).resize((60, 60), Image.Resampling.LANCZOS), (300, 200))
    scene.save(tmp_path / "far.png")
    page.set_input_files("#file", tmp_path / "far.png")
    expect(page.locator("#status")).to_contain_text("Faces below 30 pixels were not looked for")
    page.click("#smaller")
    expect(page.locator("#status")).to_contain_text("One face found")
    expect(page.locator("#smaller")).to_be_hidden()


def test_a_service_that_looks_for_no_smaller_faces_says_so(
    page: Page, console_errors: list[str], tmp_path: Path
) -> None:
    Image.new("RGB", (4000, 3000), (96, 110, 124)).save(tmp_path / "wall.png")
    page.set_input_files("#file", tmp_path / "wall.png")
    expect(page.locator("#status")).to_contain_text("Faces below 60 pixels were not looked for")
    page.click("#smaller")
    expect(page.locator("#status")).to_contain_text("Faces below 32 pixels were not looked for")
    page.click("#smaller")
    expect(page.get_by_role("alert")).to_contain_text("This service looks for no smaller faces")
    assert len(console_errors) == 2 and all("422" in error for error in console_errors)
    console_errors.clear()


def test_several_photos(page: Page, couple: Path, tmp_path: Path, console_errors: list[str]) -> None:
    (tmp_path / "notes.jpg").write_text("no photo")
    page.set_input_files("#file", [couple, tmp_path / "notes.jpg", DEMO])
    photos = page.get_by_role("radiogroup", name="Photo to show").get_by_role("radio")
    expect(photos).to_have_count(2)
    expect(page.get_by_role("alert")).to_contain_text("notes.jpg was not analyzed")
    expect(page.locator("#status")).to_contain_text("2 faces found")
    photos.first.focus()
    page.keyboard.press("ArrowRight")
    expect(page.locator("#status")).to_contain_text("One face found")
    expect(page.get_by_role("radio", name="astronaut.jpg, 1 face")).to_be_checked()
    page.evaluate("document.querySelector('#photos input:checked').dataset.old = ''")
    with page.expect_response("**/v1/analyze*"):
        page.evaluate(
            "document.querySelector('#min_score').dispatchEvent(new Event('change', { bubbles: true }))"
        )
    expect(page.locator("#photos input[data-old]")).to_have_count(0)  # the list was made anew
    expect(page.get_by_role("radio", name="astronaut.jpg, 1 face")).to_be_focused()
    console_errors.clear()
