"""The face network: shapes, folding, and what the runtime's form adds."""

import copy

import pytest
import torch

from facegeom.models.face import CROP_PX
from facegeom_lab.networks.blocks import fold
from facegeom_lab.networks.face import OUTPUTS, FaceNet, FaceNetForExport

SHAPES = {
    "score_logit": (),
    "box": (4,),
    "rotation6d": (6,),
    "landmarks": (68, 2),
    "mesh": (478, 3),
    "landmarks_log_scale": (68,),
    "mesh_log_scale": (478,),
}


@pytest.fixture(scope="module")
def net() -> FaceNet:
    """Return a network whose normalisation has statistics."""
    torch.manual_seed(2)
    net = FaceNet().train()
    for _ in range(3):
        net(crops(4))
    return net.eval()


def crops(count: int) -> torch.Tensor:
    return torch.randint(0, 256, (count, 3, CROP_PX, CROP_PX)).float()


@pytest.mark.parametrize("count", [1, 3])
def test_shapes(net: FaceNet, count: int) -> None:
    answer = net(crops(count))
    assert {name: tuple(value.shape) for name, value in answer.items()} == {
        name: (count, *shape) for name, shape in SHAPES.items()
    }


def test_folded_network_is_the_same_function(net: FaceNet) -> None:
    pictures = crops(2)
    expected, found = net(pictures), fold(copy.deepcopy(net))(pictures)
    for name, value in expected.items():
        torch.testing.assert_close(found[name], value, atol=1e-5, rtol=1e-4)


def test_answers_do_not_depend_on_the_batch(net: FaceNet) -> None:
    pictures = crops(3)
    torch.testing.assert_close(net(pictures)["mesh"][1:2], net(pictures[1:2])["mesh"], atol=1e-5, rtol=1e-4)


def test_runtime_form(net: FaceNet) -> None:
    pictures = crops(2)
    raw = net(pictures)
    found = dict(zip(OUTPUTS, FaceNetForExport(net)(pictures.permute(0, 2, 3, 1).byte()), strict=True))
    torch.testing.assert_close(found["score"], raw["score_logit"].sigmoid())
    for name in ("box", "rotation6d", "landmarks", "mesh"):
        torch.testing.assert_close(found[name], raw[name])
    for name in ("landmarks", "mesh"):
        torch.testing.assert_close(found[f"{name}_scale"], raw[f"{name}_log_scale"].exp())


def test_every_weight_learns(net: FaceNet) -> None:
    student = copy.deepcopy(net).train()
    sum(value.pow(2).sum() for value in student(crops(2)).values()).backward()
    assert all(weight.grad is not None and weight.grad.abs().sum() > 0 for weight in student.parameters())
