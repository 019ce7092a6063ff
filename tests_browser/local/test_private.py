"""The switch "Keep the photo on this device": the same answer, and nothing of the photo leaves the page."""

import json
import urllib.request
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image
from playwright.sync_api import Page, Request, expect

from facegeom import FaceAnalyzer
from facegeom.serve.pages import DEMO, model_data

PATIENCE_MS = 120_000
HALF_A_PIXEL = HALF_A_DEGREE = 0.5

# The longest that the page's own thread was busy while a photo was analysed, and the whole time, ms.
_LONGEST_STALL = """async () => {
  const { analyze } = await import("/static/local/analyze.js");
  const blob = await (await fetch("/demo.jpg")).blob();
  await analyze(blob);
  let [longest, done, last] = [0, false, performance.now()];
  const begun = last;
  const answer = analyze(blob).then(() => { done = true; });
  while (!done) {
    await new Promise((resolve) => setTimeout(resolve, 0));
    longest = Math.max(longest, performance.now() - last);
    last = performance.now();
  }
  await answer;
  return [longest, last - begun];
}"""


@pytest.fixture
def requests(page: Page) -> list[Request]:
    """What the page and its worker ask the service for."""
    made: list[Request] = []
    page.on("request", lambda request: made.append(request))
    return made


@pytest.fixture
def private_page(page: Page) -> Page:
    """The page with the switch on."""
    page.get_by_label("Keep the photo on this device").check()
    return page


@pytest.fixture(scope="module")
def photos(tmp_path_factory: pytest.TempPathFactory) -> list[Path]:
    """The portrait and a collage of two of it, at several sizes and in both formats."""
    folder = tmp_path_factory.mktemp("photos")
    images = {
        "one.jpg": portrait(512),
        "large.png": portrait(1100),
        "two.jpg": collage(400),
        "small-two.png": collage(250),
    }
    for name, image in images.items():
        image.save(folder / name, quality=90)
    return [folder / name for name in images]


def portrait(side: int) -> Image.Image:
    return Image.open(DEMO).convert("RGB").resize((side, side), Image.Resampling.LANCZOS)


def collage(side: int) -> Image.Image:
    """Two portraits, one tilted, one smaller."""
    sheet = Image.new("RGB", (2 * side + 40, side + 60), (90, 110, 130))
    sheet.paste(portrait(side).rotate(-12, Image.Resampling.BICUBIC), (0, 30))
    sheet.paste(portrait(side * 2 // 3), (side + 40, 0))
    return sheet


def test_same_answers_and_nothing_sent(
    private_page: Page, requests: list[Request], analyzer: FaceAnalyzer, origin: str, photos: list[Path]
) -> None:
    before = answered(origin)
    for photo in photos:
        found, expected = saved_answer(private_page, photo), analyzer(photo).to_dict()
        assert found["image"] == expected["image"] | {"file": photo.name}
        assert len(found["faces"]) == len(expected["faces"]) == (2 if "two" in photo.name else 1)
        for ours, theirs in zip(found["faces"], expected["faces"], strict=True):
            assert_close(ours, theirs)
    assert_nothing_sent(requests, origin)
    assert answered(origin) == before


def saved_answer(page: Page, photo: Path) -> dict[str, Any]:
    """What the page's button JSON saves for a photo."""
    height = Image.open(photo).height  # tells the photos of this test apart
    page.set_input_files("#file", photo)
    expect(page.locator("#status")).to_contain_text(f" {height} pixels", timeout=PATIENCE_MS)
    with page.expect_download() as download:
        page.click("#save-json")
    answer: dict[str, Any] = json.loads(Path(download.value.path()).read_text())
    return answer


def assert_close(ours: dict[str, Any], theirs: dict[str, Any]) -> None:
    for one, other in [
        (ours["box_xyxy"], theirs["box_xyxy"]),
        (ours["landmarks"]["ibug68"], theirs["landmarks"]["ibug68"]),
        (ours["mesh_px"], theirs["mesh_px"]),
    ]:
        np.testing.assert_allclose(one, other, rtol=0, atol=HALF_A_PIXEL)
    for angle in ("yaw_deg", "pitch_deg", "roll_deg"):
        assert abs(ours["pose"][angle] - theirs["pose"][angle]) < HALF_A_DEGREE


def assert_nothing_sent(requests: list[Request], origin: str) -> None:
    """Files of the page were fetched by their bare names, and that is all."""
    sent = [request for request in requests if request.url.startswith(origin)]
    addresses = {request.url for request in sent}
    assert f"{origin}weights/face.int8.onnx" in addresses  # the worker's requests are seen too
    assert {request.method for request in sent} == {"GET"}
    assert not [request.url for request in sent if request.post_data_buffer or "?" in request.url]
    assert not [address for address in addresses if "analyze" in address and not address.endswith(".js")]


def answered(origin: str) -> str:
    """How many analyses the service has answered, as it counts them itself."""
    with urllib.request.urlopen(f"{origin}metrics") as answer:
        lines = answer.read().decode().splitlines()
    return next(line for line in lines if line.startswith("facegeom_request_seconds_count"))


def test_switched_on_and_off_with_a_photo_on_the_page(page: Page, requests: list[Request]) -> None:
    switch, status = page.get_by_label("Keep the photo on this device"), page.locator("#status")
    expect(page.locator("#where-note")).to_contain_text("To this service")
    switch.check()
    expect(page.locator("#where-note")).to_contain_text("Nowhere")
    page.click("#demo")
    expect(status).to_contain_text("One face found", timeout=PATIENCE_MS)
    switch.uncheck()
    expect(page.locator("#where-note")).to_contain_text("To this service")
    page.wait_for_timeout(300)
    assert not [request.url for request in requests if request.method == "POST"]
    with page.expect_request("**/v1/analyze*", timeout=PATIENCE_MS):
        page.click("#demo")


def test_size_of_the_download_is_true(private_page: Page) -> None:
    megabytes = round(sum(model_data()["bytes"].values()) / 1e6)
    expect(private_page.locator("#where-note")).to_contain_text(f"{megabytes} MB")


def test_page_stays_responsive(page: Page) -> None:
    longest, whole = page.evaluate(_LONGEST_STALL)
    assert longest < 0.25 * whole


def test_progress_is_shown(page: Page) -> None:
    page.evaluate("""() => {
      globalThis.said = [];
      const status = document.getElementById("status");
      new MutationObserver(() => said.push(status.textContent)).observe(status, { childList: true });
    }""")
    page.get_by_label("Keep the photo on this device").check()
    page.click("#demo")
    expect(page.locator("#status")).to_contain_text("One face found", timeout=PATIENCE_MS)
    shares = [
        int(text.split()[-2]) for text in page.evaluate("said") if text.startswith("Loading the networks")
    ]
    assert shares == sorted(shares) and shares[-1] == 100 and len(set(shares)) > 5


def test_an_unreadable_file_is_explained(private_page: Page, tmp_path: Path) -> None:
    (tmp_path / "notes.jpg").write_text("no photo")
    private_page.set_input_files("#file", tmp_path / "notes.jpg")
    alert = private_page.get_by_role("alert")
    expect(alert).to_contain_text("This browser cannot read the picture", timeout=PATIENCE_MS)


def test_without_webassembly(page: Page, requests: list[Request]) -> None:
    page.add_init_script("delete globalThis.WebAssembly")
    page.reload()
    page.get_by_label("Keep the photo on this device").check()
    page.click("#demo")
    expect(page.get_by_role("alert")).to_contain_text("This browser has no WebAssembly")
    assert not [request.url for request in requests if request.method == "POST"]


def test_a_download_that_fails_is_tried_again(private_page: Page, complaints: list[str]) -> None:
    private_page.route("**/*.wasm", lambda route: route.abort())
    private_page.click("#demo")
    expect(private_page.get_by_role("alert")).to_contain_text("Cannot load", timeout=PATIENCE_MS)
    complaints.clear()
    private_page.unroute("**/*.wasm")
    private_page.click("#demo")
    expect(private_page.locator("#status")).to_contain_text("One face found", timeout=PATIENCE_MS)


def test_a_worker_that_does_not_start(private_page: Page, complaints: list[str]) -> None:
    private_page.route("**/onepass.js", lambda route: route.abort())
    private_page.click("#demo")
    expect(private_page.get_by_role("alert")).to_contain_text("The analysis on this device stopped")
    complaints.clear()
