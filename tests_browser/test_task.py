"""The web page of docs/tasks.md, made by the commands as they are printed."""

import os
import re
import socket
import subprocess
import sys
from pathlib import Path

from playwright.sync_api import Browser

from facegeom.serve.pages import DEMO

ROOT = Path(__file__).parents[1]


def test_the_web_page_works_as_printed(browser: Browser, tmp_path: Path) -> None:
    """Only the port is another one, as somebody may be using it."""
    task = (ROOT / "docs" / "tasks.md").read_text(encoding="utf-8").partition("## A face on a web page")[2]
    commands = re.search(r"^```sh\n(.*?)^```$", task, re.MULTILINE | re.DOTALL)
    assert commands is not None
    *make, serve = commands[1].splitlines()
    for name in ("npm", "src", "LICENSE"):
        (tmp_path / name).symlink_to(ROOT / name)
    (tmp_path / "photo.jpg").write_bytes(DEMO.read_bytes())
    environment = os.environ | {
        "PATH": os.pathsep.join([str(Path(sys.executable).parent), os.environ["PATH"]]),
        "PYTHONPATH": os.pathsep.join(sys.path),
    }
    subprocess.run(
        ["bash", "-euo", "pipefail", "-c", "\n".join(make)], check=True, cwd=tmp_path, env=environment
    )
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    server = subprocess.Popen(serve.replace("8001", str(port)).split(), cwd=tmp_path, env=environment)
    try:
        page = browser.new_page()
        requests: list[str] = []
        page.on("request", lambda request: requests.append(request.url))
        for _ in range(600):
            with socket.socket() as probe:
                if probe.connect_ex(("127.0.0.1", port)) == 0:
                    break
            page.wait_for_timeout(100)
        page.goto(f"http://127.0.0.1:{port}/")
        found = page.wait_for_function("document.querySelector('facegeom-view')?.faces", timeout=240_000)
        (face,) = found.json_value()
        assert abs(face["pose"]["yaw_deg"]) < 10 and 150 < face["box_xyxy"][0] < 200
        own = (f"http://127.0.0.1:{port}/", "blob:", "data:")
        assert requests and all(url.startswith(own) for url in requests)
        page.close()
    finally:
        server.terminate()
        server.wait()
