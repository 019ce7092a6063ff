"""A second visit: choices are remembered, the page works without the server, and says so."""

from collections.abc import Callable
from typing import Any

from playwright.sync_api import Browser, Page, expect

TIMEOUT_MS = 120_000

_READY = "async () => { await navigator.serviceWorker.ready; }"
_KEPT = """() => new Promise((done) => {
  navigator.serviceWorker.addEventListener("message", ({ data }) => data === "networks kept" && done());
  navigator.serviceWorker.startMessages();
  navigator.serviceWorker.ready.then(({ active }) => active.postMessage("keep networks"));
})"""


def test_switches_are_remembered(page: Page) -> None:
    page.click("#demo")
    expect(page.locator("#status")).to_contain_text("One face found")
    page.check("#show-mesh")
    page.uncheck("#show-axes")
    page.click("#skin")
    page.locator("#formats").get_by_text("PLY", exact=True).click()
    page.reload()
    page.click("#demo")
    expect(page.locator("#status")).to_contain_text("One face found")
    expect(page.locator("#show-mesh")).to_be_checked()
    expect(page.locator("#show-axes")).not_to_be_checked()
    expect(page.locator("#show-contours")).to_be_checked()
    expect(page.locator("#skin")).to_have_attribute("aria-pressed", "false")
    expect(page.get_by_role("radio", name="PLY")).to_be_checked()


def test_a_second_visit_works_offline(browser: Browser, start_service: Callable[..., Any]) -> None:
    address, end = start_service()
    page = browser.new_page(base_url=address)
    page.set_default_timeout(TIMEOUT_MS)
    page.goto("/")
    page.evaluate(_READY)
    page.get_by_label("on this device").check()
    page.click("#demo")
    expect(page.locator("#status")).to_contain_text("One face found")
    page.evaluate(_KEPT)
    end()
    page.goto("/")
    page.click("#demo")
    expect(page.locator("#status")).to_contain_text("One face found")
    expect(page.locator("#expression > div")).not_to_have_count(0)
    page.get_by_label("by the service").check()  # the page is there, the service is not
    page.click("#demo")
    expect(page.get_by_role("alert")).to_contain_text("The service does not answer")
    expect(page.locator("#status")).to_contain_text("Still shown: example.jpg")
    page.close()


def test_a_server_that_has_gone(browser: Browser, start_service: Callable[..., Any]) -> None:
    address, end = start_service()
    page = browser.new_page(base_url=address, service_workers="block")
    page.goto("/")
    end()
    page.click("#demo")
    expect(page.get_by_role("alert")).to_contain_text("The service does not answer. Check that it still runs")
    page.close()


def test_a_visit_loads_little_twice(page: Page) -> None:
    """Files whose address holds the version come from the browser's cache; the first visit has them all."""
    with page.expect_response("**/three.core.min.js") as last:
        page.click("#demo")
    last.value.finished()
    page.reload()
    page.click("#demo")
    expect(page.locator("#expression > div")).not_to_have_count(0)
    loaded = page.evaluate(
        "performance.getEntriesByType('resource').map((each) => [each.name, each.transferSize])"
    )
    static = {name: size for name, size in loaded if "/static/" in name}
    assert len(static) > 10 and not any(static.values()), static  # no byte came over the network
