"""Camera and video files, followed live in the browser."""

import json
from collections.abc import Callable
from pathlib import Path

import av
import numpy as np
import pytest
from PIL import Image
from playwright.sync_api import Page, Request, expect

from facegeom import Faces
from facegeom.serve.pages import DEMO

# The track of the camera ends as if it were unplugged: a script's own stop() makes no event.
_UNPLUG = """() => {
  const [track] = document.getElementById("video").srcObject.getTracks();
  track.stop();
  track.dispatchEvent(new Event("ended"));
}"""
_NEVER = "() => { navigator.mediaDevices.getUserMedia = () => new Promise(() => {}); }"
_DENIED = """() => {
  navigator.mediaDevices.getUserMedia = async () => { throw new DOMException("no", "NotAllowedError"); };
}"""


@pytest.fixture
def posts(page: Page) -> list[str]:
    """Return the addresses that the page sends something to."""
    sent: list[str] = []
    page.on("request", lambda request: sent.append(request.url) if is_post(request) else None)
    return sent


def is_post(request: Request) -> bool:
    return request.method == "POST"


@pytest.fixture
def live_page(page: Page, posts: list[str]) -> Page:
    """Return the page that follows the camera in the browser."""
    page.get_by_label("on this device").check()
    page.click("#camera")
    expect(page.locator("#rate")).to_be_visible()
    expect(page.locator("#angles > div")).to_have_count(3)
    return page


def test_camera_is_followed(live_page: Page, posts: list[str], screenshot: Callable[[str], None]) -> None:
    expect(live_page.locator("#status")).to_have_text("Live: every frame stays on this device.")
    expect(live_page.locator("#video")).to_be_hidden()  # the frames are drawn with their faces
    expect(live_page.locator("#photo")).to_be_visible()
    roll = live_page.locator("#angles > div").nth(2)
    before = roll.text_content() or ""
    expect(roll).not_to_have_text(before)  # the head moves
    screenshot("live")
    live_page.click("#leave")
    expect(live_page.locator("#status")).to_contain_text("One face found in 640 \u00d7 480 pixels")
    expect(live_page.locator("#rate")).to_be_hidden()
    assert live_page.evaluate("document.getElementById('video').srcObject") is None
    with live_page.expect_download() as download:
        live_page.click("#download")
    saved = json.loads(Path(download.value.path()).read_text())
    assert len(Faces.from_dict(saved)) == 1
    assert posts == []


def test_a_photo_is_taken_while_live(live_page: Page, posts: list[str]) -> None:
    live_page.click("#snap")
    expect(live_page.locator("#status")).to_contain_text("One face found in")
    expect(live_page.locator("#shutter")).to_be_hidden()
    assert posts == []


def test_a_photo_replaces_the_camera(live_page: Page) -> None:
    live_page.set_input_files("#file", DEMO)
    expect(live_page.locator("#status")).to_contain_text("One face found in 512 \u00d7 512 pixels")
    expect(live_page.locator("#shutter")).to_be_hidden()
    assert live_page.evaluate("document.getElementById('video').srcObject") is None


def test_a_camera_that_is_unplugged(live_page: Page) -> None:
    live_page.evaluate(_UNPLUG)
    expect(live_page.get_by_role("alert")).to_contain_text("The camera has ended: it was unplugged")
    expect(live_page.get_by_role("alert")).to_contain_text("The last picture is kept")
    expect(live_page.locator("#shutter")).to_be_hidden()
    expect(live_page.locator("#photo")).to_be_visible()


def test_photo_for_the_service(page: Page) -> None:
    page.click("#camera")
    expect(page.locator("#video")).to_be_visible()
    page.click("#snap")
    expect(page.locator("#status")).to_contain_text("found in")
    expect(page.locator("#video")).to_be_hidden()
    assert page.evaluate("document.getElementById('video').srcObject") is None


def test_waiting_for_permission(page: Page) -> None:
    page.evaluate(_NEVER)
    page.click("#camera")
    expect(page.locator("#status")).to_contain_text("Waiting for the camera: answer the browser's question")
    page.click("#cancel")
    expect(page.locator("#status")).to_have_text("Cancelled. ")
    expect(page.locator("#cancel")).to_be_hidden()


def test_a_camera_that_is_not_allowed(page: Page) -> None:
    page.evaluate(_DENIED)
    page.click("#camera")
    expect(page.get_by_role("alert")).to_contain_text("The camera was not allowed. Allow it in the browser's")
    expect(page.locator("#shutter")).to_be_hidden()


def test_a_video_file(page: Page, posts: list[str], moving_head: list[Image.Image], tmp_path: Path) -> None:
    with av.open(str(tmp_path / "head.webm"), "w") as container:
        stream = container.add_stream("libvpx", rate=15)
        stream.width, stream.height, stream.pix_fmt = 640, 480, "yuv420p"
        for image in moving_head[:20]:
            container.mux(stream.encode(av.VideoFrame.from_ndarray(np.asarray(image), format="rgb24")))
        container.mux(stream.encode())
    page.set_input_files("#file", tmp_path / "head.webm")
    expect(page.locator("#shutter")).to_be_hidden()  # the video has ended
    expect(page.locator("#status")).to_contain_text("One face found in 640 \u00d7 480 pixels")
    assert posts == []


def test_a_video_that_cannot_be_played(page: Page, tmp_path: Path) -> None:
    (tmp_path / "notes.mp4").write_text("no video")
    page.set_input_files("#file", tmp_path / "notes.mp4")
    expect(page.get_by_role("alert")).to_contain_text(
        "notes.mp4 was not analyzed: this browser cannot play it"
    )
    expect(page.get_by_role("alert")).to_contain_text("Convert it to WebM or MP4")
