"""Worker processes: requests and replies with arrays, errors with their last output, starting again."""

import sys
from pathlib import Path

import numpy as np
import pytest

from facegeom_lab.external import process
from facegeom_lab.external.environments import ExternalError
from facegeom_lab.external.process import WorkerProcess

PYTHON = Path(sys.executable)

WORKER = """
import os, sys
import colorsys

print("packages print when they are imported")


def double(**options):
    def run(image):
        print("and when they are called", flush=True)
        if options.get("broken"):
            raise RuntimeError("the model is broken")
        if options.get("exits"):
            print("out of memory", file=sys.stderr)
            os._exit(3)
        return image * 2
    return run, lambda output, width, height: {"image": output, "size": [width, height]}


MODELS, VERSIONS, ABOUT = {"double": double}, {"fake": "1.0"}, {"file": colorsys.__file__}
"""


@pytest.fixture
def worker(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> WorkerProcess:
    """Return a worker whose script is named like the module that it imports."""
    monkeypatch.setattr(process, "WORKERS", tmp_path)
    (tmp_path / "colorsys.py").write_text(WORKER, encoding="utf-8")
    return WorkerProcess("colorsys", PYTHON)


def find(worker: WorkerProcess, image: object, **options: bool) -> dict:
    return worker.ask(op="find", model="double", array=image, options=options)


def test_arrays_travel_both_ways(worker: WorkerProcess, tmp_path: Path) -> None:
    image = np.arange(24, dtype=np.uint8).reshape(2, 4, 3)
    np.save(tmp_path / "image.npy", image)
    with worker:
        for source in (image, image[:, ::-1][:, ::-1], str(tmp_path / "image.npy")):
            reply = find(worker, source)
            assert reply["image"].dtype == np.uint8 and reply["size"] == [4, 2]
            np.testing.assert_array_equal(reply["image"], image * 2)


def test_a_script_does_not_hide_the_package_of_its_name(worker: WorkerProcess, tmp_path: Path) -> None:
    with worker:
        about = worker.ask(op="about")
    assert about["versions"]["fake"] == "1.0"
    assert about["rss_mb"] is None or about["rss_mb"] > 1
    assert not Path(about["file"]).is_relative_to(tmp_path)


def test_a_failing_request_is_shown_and_the_worker_goes_on(worker: WorkerProcess) -> None:
    image = np.ones((1, 1, 3), np.uint8)
    with worker:
        with pytest.raises(ExternalError, match=r"colorsys failed:\n(.|\n)*the model is broken"):
            find(worker, image, broken=True)
        with pytest.raises(ExternalError, match="KeyError: 'triple'"):
            worker.ask(op="load", model="triple")
        assert find(worker, image)["image"].max() == 2


def test_a_process_that_stopped_is_started_again(worker: WorkerProcess) -> None:
    image = np.ones((1, 1, 3), np.uint8)
    with worker:
        with pytest.raises(
            ExternalError, match=r"stopped with exit code 3; its last output:\n(.|\n)*out of memory"
        ):
            find(worker, image, exits=True)
        assert find(worker, image)["image"].max() == 2


def test_closing_ends_a_process_that_is_not_done(worker: WorkerProcess) -> None:
    worker.start()
    worker.close()
    worker.close()
    with worker:
        assert worker.ask(op="load", model="double") == {}


def test_a_script_that_fails_is_shown_with_its_last_output(worker: WorkerProcess, tmp_path: Path) -> None:
    (tmp_path / "colorsys.py").write_text("raise SystemExit('no such library')", encoding="utf-8")
    with pytest.raises(ExternalError, match="no such library"), worker:
        worker.ask(op="about")


def test_a_missing_interpreter_is_named(tmp_path: Path) -> None:
    with pytest.raises(ExternalError, match="nowhere"), WorkerProcess("mtcnn", tmp_path / "nowhere"):
        pass
