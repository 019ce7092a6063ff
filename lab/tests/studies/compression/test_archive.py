from collections.abc import Callable

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from facegeom.errors import InputError
from facegeom_lab.studies.compression.archive import decode, encode

Encodings = Callable[[bytes], dict[str, str]]


def _same(content: bytes, state: dict[str, torch.Tensor]) -> None:
    found, _ = decode(content)
    assert list(found) == list(state)
    for name, tensor in state.items():
        assert found[name].dtype == tensor.dtype
        assert found[name].shape == tensor.shape
        assert found[name].numpy().tobytes() == tensor.numpy().tobytes()


def test_any_tensor_comes_back(small: torch.nn.Module, encodings: Encodings) -> None:
    state = small.state_dict() | {"whole": torch.arange(5), "none": torch.zeros(0, 3), "one": torch.tensor(2)}
    content = encode(state)
    _same(content, state)
    assert set(encodings(content).values()) == {"raw"}


def test_signs_take_one_bit_each(encodings: Encodings) -> None:
    signs = torch.from_numpy(np.random.default_rng(0).choice([-0.25, 0.25], (64, 100)).astype(np.float32))
    signs[3] *= 7
    content = encode({"w": signs})
    _same(content, {"w": signs})
    assert encodings(content) == {"w": "signs"}
    assert len(content) < 64 * 100 / 8 + 64 * 4 + 200


@settings(max_examples=25)
@given(st.integers(0, 2**31), st.floats(0, 1), st.integers(1, 300))
def test_few_values_and_many_zeros_come_back(seed: int, zeros: float, values: int) -> None:
    rng = np.random.default_rng(seed)
    table = np.append(rng.standard_normal(values), [-0.0, np.inf]).astype(np.float32)
    array = np.where(rng.random((65, 71)) < zeros, np.float32(0), rng.choice(table, (65, 71)))
    _same(encode({"w": torch.from_numpy(array)}), {"w": torch.from_numpy(array)})


def test_damaged_files_are_refused() -> None:
    content = encode({"w": torch.ones(80, 80)})
    for damaged in (content[:-1], content[:40] + b"\0" + content[41:], b"nothing", b""):
        with pytest.raises(InputError, match="whole file"):
            decode(damaged)
