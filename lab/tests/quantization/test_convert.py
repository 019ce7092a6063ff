"""Smaller forms of a network predict nearly the same."""

import numpy as np
import onnx
import pytest
import torch
from onnx import numpy_helper
from torch import nn

from facegeom.errors import InputError
from facegeom.models import weights as shipped
from facegeom_lab.export import onnx_bytes
from facegeom_lab.quantization.convert import (
    byte_input,
    correct_bias,
    halve,
    output_convolutions,
    pack_pixels,
    prune,
    pruned,
    quantise,
)
from facegeom_lab.quantization.onnx_costs import onnx_outputs


class _Net(nn.Module):
    """Bytes in, two outputs of very different size out."""

    def __init__(self, conv_head: bool = False) -> None:
        super().__init__()
        self.body = nn.Sequential(nn.Conv2d(3, 16, 3, 2, 1), nn.ReLU(), nn.Conv2d(16, 24, 3, 2, 1), nn.ReLU())
        self.conv_head = conv_head
        self.head = nn.Conv2d(24, 5, 1) if conv_head else nn.Linear(24 * 64, 5)

    def forward(self, pictures: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        x = self.body((pictures.permute(0, 3, 1, 2).float() - 127.5) / 64)
        y = self.head(x).mean(dim=(2, 3)) if self.conv_head else self.head(x.flatten(1))
        return y[:, :1] * 0.001, y[:, 1:]


def _onnx(net: nn.Module) -> bytes:
    example = torch.zeros(2, 32, 32, 3, dtype=torch.uint8)
    return onnx_bytes(net.eval(), example, ("small", "large"), {"pictures": {0: "n"}})


@pytest.fixture(scope="module")
def model() -> bytes:
    torch.manual_seed(0)
    return _onnx(_Net())


@pytest.fixture(scope="module")
def crops() -> np.ndarray:
    return np.random.default_rng(0).integers(0, 256, (64, 32, 32, 3), dtype=np.uint8)


def _kinds(model: bytes) -> list[str]:
    return [node.op_type for node in onnx.load_from_string(model).graph.node]


def test_bytes_go_into_the_first_convolution_as_they_are(model: bytes, crops: np.ndarray) -> None:
    moved = byte_input(model)
    assert not {"Cast", "Sub", "Div"} & set(_kinds(moved))
    for before, after in zip(onnx_outputs(model, crops), onnx_outputs(moved, crops), strict=True):
        assert np.abs(before - after).max() < 0.02 * np.abs(before).max()  # the rim alone differs
    assert byte_input(moved) == moved


@pytest.mark.parametrize("portable", [True, False])
@pytest.mark.parametrize("conv_head", [True, False])
def test_eight_bits_answer_nearly_the_same(crops: np.ndarray, portable: bool, conv_head: bool) -> None:
    torch.manual_seed(0)
    net = _onnx(_Net(conv_head))
    small = quantise(net, crops, portable)
    weights = {t.name: onnx.numpy_helper.to_array(t) for t in onnx.load_from_string(small).graph.initializer}
    bytes_ = [w for w in weights.values() if w.dtype == np.int8 and w.ndim > 1]
    assert len(bytes_) == (2 if conv_head else 3)
    assert max(np.abs(w).max() for w in bytes_) == (64 if portable else 127)
    assert _kinds(small)[:1] != ["Cast"] and "QuantizeLinear" in _kinds(small)
    if portable:  # full bytes overflow on processors without dot products of bytes
        for before, after in zip(onnx_outputs(net, crops), onnx_outputs(small, crops), strict=True):
            assert np.abs(before - after).mean() < 0.05 * np.abs(before).mean()


@pytest.mark.parametrize(("floats", "quantised"), [((0, 0), 3), ((1, 0), 2), ((0, 2), 1), ((2, 1), 0)])
def test_first_and_last_layers_stay_floats(
    model: bytes, crops: np.ndarray, floats: tuple[int, int], quantised: int
) -> None:
    made = quantise(model, crops, floats=floats)
    graph = onnx.load_from_string(made).graph
    kinds = {tensor.name: tensor.data_type for tensor in graph.initializer}
    dequantised = {
        node.output[0] for node in graph.node if node.op_type == "DequantizeLinear" and node.input[0] in kinds
    }
    layers = [node for node in graph.node if node.op_type in ("Conv", "Gemm")]
    assert len(layers) == 3 and sum(node.input[1] in dequantised for node in layers) == quantised


def test_answering_convolutions_are_found() -> None:
    torch.manual_seed(0)
    assert output_convolutions(onnx.load_from_string(_onnx(_Net())).graph) == []
    (name,) = output_convolutions(onnx.load_from_string(_onnx(_Net(conv_head=True))).graph)
    assert "head" in name


def test_sixteen_bits_take_half_the_room(model: bytes, crops: np.ndarray) -> None:
    half = halve(model)
    assert len(half) < 0.7 * len(model)
    for before, after in zip(onnx_outputs(model, crops), onnx_outputs(half, crops), strict=True):
        np.testing.assert_allclose(before, after, atol=5e-3 * np.abs(before).max())


def test_calibration_needs_images(model: bytes) -> None:
    with pytest.raises(InputError, match="got none"):
        quantise(model, np.zeros((0, 32, 32, 3), np.uint8))


def test_the_mean_answer_is_the_float_networks(model: bytes, crops: np.ndarray) -> None:
    small = quantise(model, crops)
    for before, after in zip(onnx_outputs(model, crops), onnx_outputs(small, crops), strict=True):
        shift = np.abs((after - before).mean(axis=0))
        assert (shift < 0.15 * np.abs(after - before).mean(axis=0)).all()
    assert onnx.load_from_string(correct_bias(model, model, crops)) == onnx.load_from_string(model)


def test_the_smallest_weights_become_zeros_and_biases_stay() -> None:
    content = shipped.path("rnet").read_bytes()
    before, after = (
        {
            tensor.name: numpy_helper.to_array(tensor)
            for tensor in onnx.load_from_string(each).graph.initializer
        }
        for each in (content, prune(content, 0.4))
    )
    for name, values in before.items():
        if values.ndim < 2:
            np.testing.assert_array_equal(after[name], values)
            continue
        gone = after[name] == 0
        assert gone.mean() == pytest.approx(0.4, abs=0.02)
        np.testing.assert_array_equal(after[name][~gone], values[~gone])
        assert np.abs(values[gone]).max() <= np.abs(values[~gone]).min()
    assert list(pruned(content)) == ["pruned30", "pruned50"]


def test_pixels_are_packed_without_a_change_of_the_outputs() -> None:
    torch.manual_seed(0)
    example, names = torch.zeros(2, 32, 32, 3, dtype=torch.uint8), {0: "n", 1: "h", 2: "w"}
    net = onnx_bytes(_Net(conv_head=True).eval(), example, ("small", "large"), {"pictures": names})
    images = np.random.default_rng(1).integers(0, 256, (32, 30, 30, 3), dtype=np.uint8)
    plain = quantise(net, images)  # of a width that is no multiple of four
    packed = pack_pixels(plain)
    assert _kinds(plain).count("Reshape") == 0 and _kinds(packed).count("Reshape") == 2
    assert quantise(net, images[:, :28, :28]) == pack_pixels(quantise(net, images[:, :28, :28]))
    for size in (20, 32):
        part = np.random.default_rng(2).integers(0, 256, (3, size, size, 3), dtype=np.uint8)
        for before, after in zip(onnx_outputs(plain, part), onnx_outputs(packed, part), strict=True):
            np.testing.assert_array_equal(before, after)


def test_other_first_layers_are_not_packed(model: bytes) -> None:
    assert pack_pixels(model) == model
