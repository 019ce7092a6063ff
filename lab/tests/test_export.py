"""Export: every network answers alike in Torch and ONNX Runtime; checkpoints and the manifest."""

import hashlib
import json
from pathlib import Path
from typing import get_args, get_type_hints

import numpy as np
import onnxruntime
import pytest
import torch
from torch import nn

from facegeom.errors import InputError
from facegeom.image.pyramid import Pyramid
from facegeom.models import fpnet
from facegeom.models.engine import Engine
from facegeom_lab.cli import training
from facegeom_lab.export import FLOATS_OF_FREE, INPUTS, NETWORKS, export, runtime_network, to_onnx
from facegeom_lab.networks.cascade import FPNet


def trained(name: str) -> nn.Module:
    """Return the network with random weights and statistics."""
    torch.manual_seed(4)
    net = NETWORKS[name]()
    for part in net.modules():
        if isinstance(part, nn.BatchNorm2d):
            part.running_mean.normal_(0, 0.2)
            part.running_var.uniform_(0.5, 2)
    return net.eval()


def checkpoint(path: Path, net: nn.Module) -> Path:
    torch.save({"state_dict": {f"net.{key}": value for key, value in net.state_dict().items()}}, path)
    return path


@pytest.mark.parametrize("name", NETWORKS)
@pytest.mark.parametrize("count", [1, 3])
def test_torch_against_onnx(name: str, count: int, tmp_path: Path) -> None:
    net = trained(name)
    module, example, outputs = runtime_network(name, net)
    (tmp_path / "network.onnx").write_bytes(to_onnx(name, net))
    batch, *others = (
        (torch.rand(count, *each.shape[1:]) * (1 if each.is_floating_point() else 255)).to(each.dtype)
        for each in (example if isinstance(example, tuple) else (example,))
    )
    with torch.no_grad():
        expected = module(batch, *others)
    inputs = dict(zip(INPUTS.get(name, ("pictures",))[1:], others, strict=True))
    found = Engine(tmp_path / "network.onnx")(
        batch.numpy(), **{key: each.numpy() for key, each in inputs.items()}
    )
    assert len(found) == len(outputs)
    for one, other in zip(found, expected, strict=True):
        atol = 2e-5 * max(1.0, float(other.abs().max()))
        np.testing.assert_allclose(one, other.numpy(), atol=atol, rtol=1e-3)


@pytest.mark.parametrize("size_hw", [(12, 12), (57, 200)])
def test_pnet_takes_any_size(size_hw: tuple[int, int], tmp_path: Path) -> None:
    net = trained("pnet")
    (tmp_path / "pnet.onnx").write_bytes(to_onnx("pnet", net))
    picture = torch.randint(0, 256, (1, *size_hw, 3), dtype=torch.uint8)
    with torch.no_grad():
        expected = runtime_network("pnet", net)[0](picture)
    for one, other in zip(Engine(tmp_path / "pnet.onnx")(picture.numpy()), expected, strict=True):
        np.testing.assert_allclose(one, other.numpy(), atol=2e-5, rtol=1e-3)


def test_an_exported_fpnet_fits_the_runtime(tmp_path: Path) -> None:
    (tmp_path / "mine.onnx").write_bytes(to_onnx("fpnet", FPNet().eval()))
    image = Pyramid(np.full((60, 80, 3), (9, 0, 0), np.uint8))
    heads = fpnet.FPNet.load(tmp_path / "mine.onnx")([image], [np.array([[0.0, 0, 48, 48]])])[0]
    assert FPNet.WINDOW == fpnet.WINDOW_PX and heads.rotation.shape == (1, 3, 3)
    np.testing.assert_allclose(np.linalg.det(heads.rotation.astype(np.float64)), 1, atol=1e-5)


@pytest.mark.parametrize("name", NETWORKS)
def test_export_leaves_the_network_as_it_was(name: str) -> None:
    net = trained(name)
    before = {key: value.clone() for key, value in net.state_dict().items()}
    to_onnx(name, net)
    assert net.state_dict().keys() == before.keys()
    assert all(torch.equal(value, before[key]) for key, value in net.state_dict().items())


def test_export_writes_the_file_and_its_hash(tmp_path: Path) -> None:
    other = {"sha256": "kept", "data": "é"}
    (tmp_path / "manifest.json").write_text(
        json.dumps({"rnet": {"sha256": "old", "data": "a"}, "pnet": other})
    )
    net = trained("rnet")
    target = export("rnet", checkpoint(tmp_path / "last.ckpt", net), tmp_path)
    assert target == tmp_path / "rnet.onnx"
    entries = json.loads((tmp_path / "manifest.json").read_text())
    digest = hashlib.sha256(target.read_bytes()).hexdigest()
    assert entries == {"rnet": {"sha256": digest, "data": "a"}, "pnet": other}
    session = onnxruntime.InferenceSession(str(target), providers=["CPUExecutionProvider"])
    assert [output.name for output in session.get_outputs()] == ["score", "offsets"]


def test_export_without_a_manifest(tmp_path: Path) -> None:
    export("pnet", checkpoint(tmp_path / "last.ckpt", trained("pnet")), tmp_path / "new")
    assert [file.name for file in (tmp_path / "new").iterdir()] == ["pnet.onnx"]


def test_same_weights_give_the_same_file() -> None:
    assert to_onnx("rnet", trained("rnet")) == to_onnx("rnet", trained("rnet"))


def test_unknown_network(tmp_path: Path) -> None:
    with pytest.raises(
        InputError, match=r"expected one of .*onepass, pnet, rnet, fpnet, eyes-free, .*, got 'onet'"
    ):
        export("onet", tmp_path / "last.ckpt", tmp_path)


def test_the_command_takes_every_network() -> None:
    (kind, *_) = get_args(get_type_hints(training.export, include_extras=True)["network"])
    assert sorted(get_args(kind)) == sorted((*NETWORKS, *FLOATS_OF_FREE))
