"""The dense mesh's network: the body without its last stage, and the head."""

from pathlib import Path

import pytest
import timm
import torch

from facegeom_lab.networks.backbones import Regressor, normalise
from facegeom_lab.networks.mesh478 import MESH, MeshBody, MeshHead


@pytest.fixture(scope="module")
def body() -> MeshBody:
    """With normalisation that has seen pictures."""
    torch.manual_seed(3)
    body = MeshBody().train()
    body(frames(4))
    return body.eval()


def frames(count: int, size_px: int = 64) -> torch.Tensor:
    return torch.randint(0, 256, (count, 3, size_px, size_px), dtype=torch.uint8)


@pytest.mark.parametrize("size_px", [64, 96])
def test_body_shapes(body: MeshBody, size_px: int) -> None:
    with torch.inference_mode():
        assert body(frames(2, size_px)).shape == (2, MeshBody.CHANNELS, size_px // 32, size_px // 32)


def test_the_body_is_the_network_without_its_last_stage(body: MeshBody) -> None:
    whole = timm.create_model("tf_efficientnetv2_b0", num_classes=0).eval()
    whole.load_state_dict(body.net.state_dict())
    pictures = frames(2)
    with torch.inference_mode():
        expected = whole.forward_features(normalise(pictures))
        torch.testing.assert_close(whole.bn2(whole.conv_head(body(pictures))), expected)


def test_a_body_from_another_training(tmp_path: Path) -> None:
    net = Regressor("efficientnetv2b0", MESH, dimensions=3)
    state = {f"net.{name}": value for name, value in net.state_dict().items()}
    torch.save({"state_dict": state}, tmp_path / "best.ckpt")
    body = MeshBody(str(tmp_path / "best.ckpt"))
    given = net.body.state_dict()
    assert all(torch.equal(value, given[name]) for name, value in body.net.state_dict().items())


@pytest.mark.parametrize(("size_px", "channels"), [(64, 8), (256, 3)])
def test_head_answers_meshes_within_the_frame(size_px: int, channels: int) -> None:
    torch.manual_seed(4)
    cells = size_px // 32
    answer = MeshHead(size_px, channels).eval()(50 * torch.randn(3, MeshBody.CHANNELS, cells, cells))
    assert answer.shape == (3, MESH, 3)
    assert answer.min() >= 0 and answer.max() <= 1 and answer.std() > 0.1


def test_head_is_the_published_one() -> None:
    """Normalisation, depthwise and pointwise convolution with ReLU, dense layer with sigmoid."""
    head = MeshHead(256, 64)
    kinds = ["BatchNorm2d", "Conv2d", "Conv2d", "ReLU", "Flatten", "Linear", "Sigmoid", "Unflatten"]
    assert [type(part).__name__ for part in head] == kinds
    assert head[1].groups == head[1].in_channels == MeshBody.CHANNELS
    assert (head[5].in_features, head[5].out_features) == (64 * 8 * 8, 3 * 478)
