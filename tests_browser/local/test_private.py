"""The choice "Analyze on this device": same result, and the photo does not leave the page."""

import gzip
import json
import urllib.request
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image
from playwright.sync_api import Browser, Page, Request, Route, expect

from facegeom import FaceAnalyzer
from facegeom.serve.pages import DEMO, RUNTIME, model_data, model_files

TIMEOUT_MS = 120_000
HALF_A_PIXEL = HALF_A_DEGREE = 0.5

# Number of faces that are found, and what the page's own thread has loaded by then.
_LOADED = """async () => {
  const { analyze } = await import("/static/local/analyze.js");
  const { faces } = await analyze(await (await fetch("/demo.jpg")).blob());
  return [faces.length, performance.getEntriesByType("resource").map((each) => each.name)];
}"""


@pytest.fixture
def requests(page: Page) -> list[Request]:
    """Return the requests of the page and its worker."""
    made: list[Request] = []
    page.on("request", lambda request: made.append(request))
    return made


@pytest.fixture
def private_page(page: Page) -> Page:
    """Return the page with the choice made."""
    page.get_by_label("on this device").check()
    return page


@pytest.fixture(scope="module")
def photos(tmp_path_factory: pytest.TempPathFactory) -> list[Path]:
    """Save the portrait and a collage of two portraits, in several sizes and two formats."""
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
    """Return an image of two portraits, one tilted, one smaller."""
    sheet = Image.new("RGB", (2 * side + 40, side + 60), (90, 110, 130))
    sheet.paste(portrait(side).rotate(-12, Image.Resampling.BICUBIC), (0, 30))
    sheet.paste(portrait(side * 2 // 3), (side + 40, 0))
    return sheet


def test_same_results_and_nothing_sent(
    private_page: Page, requests: list[Request], analyzer: FaceAnalyzer, origin: str, photos: list[Path]
) -> None:
    before = analyses(origin)
    for photo in photos:
        found, expected = saved_faces(private_page, photo), analyzer(photo).to_dict()
        assert found["image"] == expected["image"] | {"file": photo.name}
        assert len(found["faces"]) == len(expected["faces"]) == (2 if "two" in photo.name else 1)
        for ours, theirs in zip(found["faces"], expected["faces"], strict=True):
            assert_close(ours, theirs)
    assert_nothing_sent(requests, origin)
    assert analyses(origin) == before


def saved_faces(page: Page, photo: Path) -> dict[str, Any]:
    """Return the JSON that the page saves for a photo."""
    height = Image.open(photo).height  # differs between the photos of this test
    page.set_input_files("#file", photo)
    expect(page.locator("#status")).to_contain_text(f" {height} pixels")
    with page.expect_download() as download:
        page.click("#download")
    saved: dict[str, Any] = json.loads(Path(download.value.path()).read_text())
    return saved


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
    """Check that the only requests are GETs of the page's files, without a query."""
    sent = [request for request in requests if request.url.startswith(origin)]
    addresses = {request.url for request in sent}
    assert f"{origin}{model_files()['face']}" in addresses  # the worker's requests are seen too
    assert {request.method for request in sent} == {"GET"}
    assert not [request.url for request in sent if request.post_data_buffer or "?" in request.url]
    assert not [address for address in addresses if "analyze" in address and not address.endswith(".js")]


def analyses(origin: str) -> str:
    """Return the service's metric of how many analyses it was asked for."""
    with urllib.request.urlopen(f"{origin}metrics") as response:
        lines = response.read().decode().splitlines()
    return next(line for line in lines if line.startswith("facegeom_request_seconds_count"))


def test_chosen_and_changed_with_a_photo_on_the_page(page: Page, requests: list[Request]) -> None:
    here, service = page.get_by_label("on this device"), page.get_by_label("by the service")
    status, note = page.locator("#status"), page.locator("#where-note")
    expect(service).to_be_checked()
    expect(note).to_contain_text("Photos go to this service")
    here.check()
    expect(note).to_contain_text("Photos and video stay here")
    page.click("#demo")
    expect(status).to_contain_text("One face found")
    service.check()
    expect(note).to_contain_text("Photos go to this service")
    expect(page.locator("#cancel")).to_be_hidden()  # nothing is in work
    assert not [request.url for request in requests if request.method == "POST"]
    with page.expect_request("**/v1/analyze*"):
        page.click("#demo")


def test_the_choice_is_remembered(page: Page, requests: list[Request]) -> None:
    page.get_by_label("on this device").check()
    page.reload()
    expect(page.get_by_label("on this device")).to_be_checked()
    page.click("#demo")
    expect(page.locator("#status")).to_contain_text("One face found")
    assert not [request.url for request in requests if request.method == "POST"]


def test_the_service_may_make_it_the_default(browser: Browser, start_service: Callable[..., Any]) -> None:
    page = browser.new_page(base_url=start_service(private=True)[0])
    page.goto("/")
    expect(page.get_by_label("on this device")).to_be_checked()
    page.get_by_label("by the service").check()
    page.reload()
    expect(page.get_by_label("by the service")).to_be_checked()  # what the user chose counts more
    page.close()


def test_size_of_the_download(private_page: Page) -> None:
    sizes = model_data()["bytes"] | {"runtime": len(gzip.compress(RUNTIME.read_bytes(), 6))}
    megabytes = round(sum(sizes.values()) / 1e6)
    expect(private_page.locator("#where-note")).to_contain_text(f"{megabytes} MB")


def test_page_stays_responsive(page: Page) -> None:
    """A worker runs the networks: the page's own thread loads neither them nor WebAssembly."""
    count, loaded = page.evaluate(_LOADED)
    assert count == 1 and len(page.workers) == 1
    assert any(name.endswith("/analyze.js") for name in loaded)
    assert not [name for name in loaded if name.endswith((".onnx", ".wasm"))]


def test_progress_is_shown(page: Page) -> None:
    page.evaluate("""() => {
      globalThis.shown = [];
      const status = document.getElementById("status");
      new MutationObserver(() => shown.push(status.textContent)).observe(status, { childList: true });
    }""")
    page.get_by_label("on this device").check()
    page.click("#demo")
    expect(page.locator("#status")).to_contain_text("One face found")
    percentages = [
        int(text.split()[-2]) for text in page.evaluate("shown") if text.startswith("Loading the networks")
    ]
    assert percentages == sorted(percentages) and percentages[-1] == 100 and len(set(percentages)) > 5


def test_an_unreadable_file_is_explained(private_page: Page, tmp_path: Path) -> None:
    (tmp_path / "notes.jpg").write_text("no photo")
    private_page.set_input_files("#file", tmp_path / "notes.jpg")
    alert = private_page.get_by_role("alert")
    expect(alert).to_contain_text(
        "notes.jpg was not analyzed: this browser cannot read the picture", timeout=TIMEOUT_MS
    )


def test_without_webassembly(page: Page, requests: list[Request]) -> None:
    page.add_init_script("delete globalThis.WebAssembly")
    page.reload()
    page.get_by_label("on this device").check()
    page.click("#demo")
    expect(page.get_by_role("alert")).to_contain_text("This browser has no WebAssembly")
    assert not [request.url for request in requests if request.method == "POST"]


def test_a_download_that_fails_is_tried_again(private_page: Page, console_errors: list[str]) -> None:
    private_page.route("**/*.wasm", lambda route: route.abort())
    private_page.click("#demo")
    expect(private_page.get_by_role("alert")).to_contain_text("Cannot load")
    console_errors.clear()
    private_page.unroute("**/*.wasm")
    private_page.click("#demo")
    expect(private_page.locator("#status")).to_contain_text("One face found")


def test_a_page_older_than_the_service_says_so(private_page: Page) -> None:
    def newer(route: Route) -> None:
        answer = route.fetch()
        route.fulfill(response=answer, json={**answer.json(), "version": "0123456789ab"})

    private_page.route("**/model.json", newer)
    private_page.click("#demo")
    expect(private_page.get_by_role("alert")).to_contain_text("Reload the page")


def test_a_worker_that_does_not_start(private_page: Page, console_errors: list[str]) -> None:
    private_page.route("**/detector.js", lambda route: route.abort())
    private_page.click("#demo")
    expect(private_page.get_by_role("alert")).to_contain_text("The analysis on this device stopped")
    console_errors.clear()
