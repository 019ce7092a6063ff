"""The engine: bad arguments; copies, threads and forked children give the same outputs."""

import multiprocessing
import pickle
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pytest

from facegeom import parallel
from facegeom.errors import InputError, WeightsError
from facegeom.models import weights
from facegeom.models.engine import BATCH, Engine

WINDOWS = np.random.default_rng(3).integers(0, 256, (5, 24, 24, 3), dtype=np.uint8)


@pytest.fixture
def engine() -> Engine:
    return Engine(weights.path("rnet"), threads=2)


def assert_equal(found: list[np.ndarray], expected: list[np.ndarray]) -> None:
    assert len(found) == len(expected)
    for one, other in zip(found, expected, strict=True):
        np.testing.assert_array_equal(one, other)


def test_outputs(engine: Engine) -> None:
    score, offsets = engine(WINDOWS)
    assert (score.shape, offsets.shape) == ((5,), (5, 4))
    assert score.dtype == offsets.dtype == np.float32
    np.testing.assert_allclose(engine(WINDOWS[2:3])[0], score[2:3], rtol=1e-4)


@pytest.mark.parametrize(("size", "counts"), [(2, [2, 2, 1]), (5, [5]), (BATCH, [5])])
def test_batches(engine: Engine, size: int, counts: list[int]) -> None:
    called: list[int] = []

    class Counted(Engine):
        def __call__(self, batch: np.ndarray) -> list[np.ndarray]:
            called.append(len(batch))
            return super().__call__(batch)

    found = Counted(engine.path, threads=2).batched(WINDOWS, size)
    assert called == counts and engine.outputs == ("score", "offsets")
    for one, other in zip(found, engine(WINDOWS), strict=True):
        np.testing.assert_allclose(one, other, rtol=1e-4, atol=1e-6)


def test_many_crops_are_divided_among_the_cores(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(parallel, "available_cores", lambda: 3)
    called: list[int] = []

    class Counted(Engine):
        def __call__(self, batch: np.ndarray) -> list[np.ndarray]:
            called.append(len(batch))
            return super().__call__(batch)

    crops = np.random.default_rng(4).integers(0, 256, (29, 24, 24, 3), dtype=np.uint8)
    default, one = Counted(weights.path("rnet")), Counted(weights.path("rnet"), threads=1)
    assert_equal(default.batched(crops), one.batched(crops))
    default.batched(crops[:7]), default.batched(crops[:9])
    assert sorted(called[:3]) == [9, 10, 10] and called[3:5] == [29, 7] and sorted(called[5:]) == [1, 8]


@pytest.mark.parametrize("device", ["gpu", "CPU", "", "cuda:0"])
def test_unknown_device(device: str) -> None:
    with pytest.raises(InputError, match=f"expected one of auto, cpu, .*openvino, got {device!r}"):
        Engine(weights.path("rnet"), device)


@pytest.mark.parametrize("content", [None, b"", b"not a network", "half"])
def test_missing_or_damaged_file(tmp_path: Path, content: bytes | str | None) -> None:
    file = tmp_path / "network.onnx"
    if content is not None:
        whole = weights.path("rnet").read_bytes()
        file.write_bytes(whole[: len(whole) // 2] if isinstance(content, str) else content)
    with pytest.raises(WeightsError, match=r"cannot load the network .*network\.onnx"):
        Engine(file)(WINDOWS)


@pytest.mark.parametrize("used", [False, True])
def test_pickled_copy(engine: Engine, used: bool) -> None:
    if used:
        engine(WINDOWS)
    copy = pickle.loads(pickle.dumps(engine))
    assert (copy.path, copy.device, copy.threads) == (engine.path, "cpu", 2)
    assert_equal(copy(WINDOWS), engine(WINDOWS))


@pytest.mark.parametrize("used", [False, True])
def test_eight_threads(engine: Engine, used: bool) -> None:
    expected = (engine if used else Engine(engine.path, threads=2))(WINDOWS)
    with ThreadPoolExecutor(8) as pool:
        for found in pool.map(engine, [WINDOWS] * 40):
            assert_equal(found, expected)


def test_forked_child(engine: Engine) -> None:
    expected = engine(WINDOWS)
    _in_the_child.append(engine)  # inherited, not pickled
    try:
        with multiprocessing.get_context("fork").Pool(1) as pool:
            found, same_session = pool.apply_async(_run_inherited, (id(engine._session),)).get(timeout=30)
    finally:
        _in_the_child.clear()
    assert_equal(found, expected)
    assert not same_session  # the parent's has lost its threads
    assert_equal(engine(WINDOWS), expected)


_in_the_child: list[Engine] = []


def _run_inherited(of_the_parent: int) -> tuple[list[np.ndarray], bool]:
    engine = _in_the_child.pop()
    return engine(WINDOWS), id(engine._session) == of_the_parent
