"""Backbones of timm: they build, predict, start from a checkpoint, keep frozen blocks; the dense mesh."""

from pathlib import Path

import pytest
import timm
import torch
from torch import nn

from facegeom.errors import InputError
from facegeom_lab.evaluation.cost import parameters
from facegeom_lab.networks import backbones
from facegeom_lab.networks.backbones import (
    BACKBONES,
    MESH,
    MeshBackbone,
    MeshHead,
    Regressor,
    create,
    first_blocks,
    normalise,
)

MILLIONS = {
    "resnet18": 11.7,
    "mobilenetv2": 3.5,
    "efficientnetb0": 5.3,
    "mobilenetv3": 5.5,
    "mobilevit": 5.6,
    "efficientnetv2b0": 7.1,
}
"""Parameters with the 1000 classes of ImageNet, as published."""


def crops(count: int, size_px: int = 64) -> torch.Tensor:
    return torch.randint(0, 256, (count, 3, size_px, size_px), dtype=torch.uint8)


def saved(net: torch.nn.Module, path: Path) -> Path:
    """Write a checkpoint as the trainings do."""
    torch.save({"state_dict": {f"net.{name}": value for name, value in net.state_dict().items()}}, path)
    return path


@pytest.mark.parametrize("name", BACKBONES)
def test_the_networks_are_those_of_the_articles(name: str) -> None:
    with torch.device("meta"):
        net = create(name, 1000)
    assert round(parameters(net) / 1e6, 1) == MILLIONS[name]


@pytest.mark.parametrize("name", BACKBONES)
def test_every_backbone_predicts_and_starts_from_another_training(name: str, tmp_path: Path) -> None:
    torch.manual_seed(0)
    first = Regressor(name, points=6, dimensions=3).eval()
    with torch.inference_mode():
        assert first(crops(2)).shape == (2, 6, 3)
    second = Regressor(name, points=5, pretrained=str(saved(first, tmp_path / "best.ckpt")))
    before, after = first.state_dict(), second.state_dict()
    other = [key for key in after if before[key].shape != after[key].shape]
    last = second.body.default_cfg["classifier"]
    assert other == [f"body.{last}.weight", f"body.{last}.bias"]
    assert all(torch.equal(before[key], after[key]) for key in after if key not in other)
    with torch.inference_mode():
        assert second.eval()(crops(1)).shape == (1, 5, 2)


def test_the_last_layer_begins_anew(tmp_path: Path) -> None:
    """Also where its shape fits."""
    first = Regressor("mobilenetv3", 5)
    second = Regressor("mobilenetv3", 5, pretrained=str(saved(first, tmp_path / "best.ckpt")))
    last = "body.classifier.weight"
    assert not torch.equal(first.state_dict()[last], second.state_dict()[last])


def test_another_networks_checkpoint_is_refused(tmp_path: Path) -> None:
    other = saved(Regressor("mobilenetv2", 5), tmp_path / "best.ckpt")
    with pytest.raises(
        InputError, match=r"best\.ckpt does not hold this backbone: \d+ weights differ, first "
    ):
        Regressor("mobilenetv3", 5, pretrained=str(other))
    nothing = saved(torch.nn.Linear(2, 2), tmp_path / "linear.ckpt")
    with pytest.raises(InputError, match=r"linear\.ckpt does not hold this backbone"):
        Regressor("mobilenetv3", 5, pretrained=str(nothing))
    with pytest.raises(InputError, match=r"none\.ckpt, found nothing; train first"):
        Regressor("mobilenetv3", 5, pretrained=str(tmp_path / "none.ckpt"))


def test_an_unknown_backbone() -> None:
    with pytest.raises(InputError, match=r"one of the backbones resnet18, .*mobilevit.*, got 'vgg'"):
        create("vgg", 10)


@pytest.mark.parametrize("error", [OSError("no route to host"), RuntimeError("no weights exist")])
def test_an_unreachable_hub(error: Exception, monkeypatch: pytest.MonkeyPatch) -> None:
    def unreachable(name: str, pretrained: bool, **options: object) -> torch.nn.Module:
        assert name == "mobilenetv3_large_100" and pretrained
        raise error

    monkeypatch.setattr(timm, "create_model", unreachable)
    monkeypatch.setattr(backbones, "_hub_answers", lambda: False)
    monkeypatch.setattr(backbones.constants, "HF_HUB_OFFLINE", False)
    with pytest.raises(
        InputError, match=f"mobilenetv3_large_100 cannot be reached .{error}.; set pretrained"
    ):
        create("mobilenetv3", 10, "hub")


@pytest.mark.parametrize("pretrained", ["none", "hub", "checkpoint"])
def test_the_hub_is_asked_only_when_wanted(
    pretrained: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    asked = []

    def create_model(name: str, pretrained: bool, num_classes: int, **options: object) -> torch.nn.Module:
        asked.append((pretrained, num_classes, options))
        return original(name, pretrained=False, num_classes=num_classes, **options)

    original = timm.create_model
    source = str(saved(Regressor("mobilenetv3", 5), tmp_path / "best.ckpt"))
    monkeypatch.setattr(backbones.timm, "create_model", create_model)
    monkeypatch.setattr(backbones, "_hub_answers", lambda: True)
    create("mobilenetv3", 10, source if pretrained == "checkpoint" else pretrained, drop_rate=0.1)
    assert asked == [(pretrained == "hub", 10, {"drop_rate": 0.1})]


@pytest.mark.parametrize("modes", [(), (True,), (False, True)], ids=["as built", "train", "eval and train"])
def test_frozen_blocks_keep_weights_and_statistics(modes: tuple[bool, ...]) -> None:
    torch.manual_seed(1)
    net = Regressor("mobilenetv3", 5, frozen_blocks=3)
    for mode in modes:
        net.train(mode)
    before = {name: value.clone() for name, value in net.state_dict().items()}
    optimizer = torch.optim.SGD([p for p in net.parameters() if p.requires_grad], 0.1)
    net(crops(4)).square().mean().backward()
    optimizer.step()
    same = {name for name, value in net.state_dict().items() if torch.equal(value, before[name])}
    frozen = ("body.conv_stem.", "body.bn1.", "body.blocks.0.", "body.blocks.1.")  # one block, and two
    assert {name for name in before if name.startswith(frozen)} <= same
    changing = [name for name in before if not name.startswith(frozen)]
    assert not same & {name for name in changing if name.endswith(("running_mean", "weight"))}


def test_nothing_is_frozen_by_default() -> None:
    net = Regressor("mobilenetv3", 5)
    assert all(parameter.requires_grad for parameter in net.parameters())
    assert all(part.training for part in net.modules())
    assert not any(part.training for part in Regressor("mobilenetv3", 5, frozen_blocks=2).eval().modules())


def test_the_article_counts_sixteen_blocks() -> None:
    with torch.device("meta"):
        net = create("mobilenetv3", 10)
    assert len(first_blocks(net, 16)) == 16 + 2  # with the stem and its normalisation
    for count in (-1, 17):
        with pytest.raises(InputError, match=f"frozen_blocks between 1 and 16 for this network, got {count}"):
            first_blocks(net, count)


@pytest.mark.parametrize("name", ["resnet18", "mobilevit"])
def test_a_network_without_such_blocks(name: str) -> None:
    with pytest.raises(InputError, match="frozen_blocks"):
        Regressor(name, 5, frozen_blocks=1)


@pytest.mark.parametrize("dtype", [torch.uint8, torch.float32])
def test_normalise(dtype: torch.dtype) -> None:
    """Black, white and a colour, worked out by hand with ImageNet's means and deviations."""
    colours = torch.tensor([[0, 0, 0], [255, 255, 255], [51, 102, 204]], dtype=dtype)
    told = normalise(colours[:, :, None, None].expand(3, 3, 2, 2))
    expected = [[-2.1179, -2.0357, -1.8044], [2.2489, 2.4286, 2.6400], [-1.2445, -0.2500, 1.7511]]
    torch.testing.assert_close(told[:, :, 1, 1], torch.tensor(expected), atol=1e-4, rtol=0)
    assert told.dtype == torch.float32 and told.is_contiguous(memory_format=torch.channels_last)


@pytest.fixture(scope="module")
def mesh_backbone() -> MeshBackbone:
    """With normalisation that has seen pictures."""
    torch.manual_seed(3)
    net = MeshBackbone().train()
    net(crops(4))
    return net.eval()


@pytest.mark.parametrize("size_px", [64, 96])
def test_mesh_backbone_shapes(mesh_backbone: MeshBackbone, size_px: int) -> None:
    with torch.inference_mode():
        assert mesh_backbone(crops(2, size_px)).shape == (
            2,
            MeshBackbone.CHANNELS,
            size_px // 32,
            size_px // 32,
        )


def test_the_mesh_backbone_is_the_network_without_its_last_stage(mesh_backbone: MeshBackbone) -> None:
    whole = timm.create_model("tf_efficientnetv2_b0", num_classes=0).eval()
    whole.load_state_dict(mesh_backbone.net.state_dict())
    pictures = crops(2)
    with torch.inference_mode():
        expected = whole.forward_features(normalise(pictures))
        torch.testing.assert_close(whole.bn2(whole.conv_head(mesh_backbone(pictures))), expected)


def test_a_mesh_backbone_from_another_training(tmp_path: Path) -> None:
    net = Regressor("efficientnetv2b0", MESH, dimensions=3)
    state = {f"net.{name}": value for name, value in net.state_dict().items()}
    torch.save({"state_dict": state}, tmp_path / "best.ckpt")
    body = MeshBackbone(str(tmp_path / "best.ckpt"))
    given = net.body.state_dict()
    assert all(torch.equal(value, given[name]) for name, value in body.net.state_dict().items())


@pytest.mark.parametrize(("size_px", "channels"), [(64, 8), (256, 3)])
def test_head_answers_meshes_within_the_frame(size_px: int, channels: int) -> None:
    torch.manual_seed(4)
    cells = size_px // 32
    answer = MeshHead(size_px, channels).eval()(50 * torch.randn(3, MeshBackbone.CHANNELS, cells, cells))
    assert answer.shape == (3, MESH, 3)
    assert answer.min() >= 0 and answer.max() <= 1 and answer.std() > 0.1


def test_head_is_the_published_one() -> None:
    """Normalisation, depthwise and pointwise convolution with ReLU, dense layer with sigmoid."""
    head = MeshHead(256, 64)
    kinds = ["BatchNorm2d", "Conv2d", "Conv2d", "ReLU", "Flatten", "Linear", "Sigmoid", "Unflatten"]
    assert [type(part).__name__ for part in head] == kinds
    assert head[1].groups == head[1].in_channels == MeshBackbone.CHANNELS
    assert (head[5].in_features, head[5].out_features) == (64 * 8 * 8, 3 * 478)


@pytest.mark.parametrize("live", [False, True])
def test_frozen_blocks_with_live_statistics(live: bool) -> None:
    """Their weights stay; in training they normalise by the batch, and in use by what they have seen."""
    net = Regressor("mobilenetv3", 2, frozen_blocks=2, live_statistics=live)
    stem = net.body.bn1
    assert stem.training == live and not stem.weight.requires_grad
    before = stem.running_mean.clone()
    net.train()(torch.rand(4, 3, 32, 32) * 255)
    assert torch.equal(stem.running_mean, before) != live
    assert not net.eval().body.bn1.training


def test_statistics_that_stay() -> None:
    """Learned blocks keep them until the next ``train``; frozen blocks follow their own setting."""
    net = Regressor("mobilenetv3", 2, frozen_blocks=2, live_statistics=True).train()
    net.keep_statistics()
    norms = [part for part in net.modules() if isinstance(part, nn.BatchNorm2d)]
    learned = [part.training for part in norms if part.weight.requires_grad]
    frozen = [part.training for part in norms if not part.weight.requires_grad]
    assert learned and not any(learned) and frozen and all(frozen)
    assert all(part.training for part in net.train().modules())
