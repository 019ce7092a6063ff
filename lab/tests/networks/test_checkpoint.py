"""Weights out of checkpoints: what is no checkpoint is refused, and no code in one is run."""

from pathlib import Path

import pytest
import torch

from facegeom.errors import InputError
from facegeom.models import weights
from facegeom_lab.export import to_onnx
from facegeom_lab.networks.cascade import PNet, RNet
from facegeom_lab.networks.checkpoint import initial_network, network_from_checkpoint, read_state
from facegeom_lab.networks.face import FaceNet
from facegeom_lab.networks.onepass import OnePassNet


def saved(path: Path, net: torch.nn.Module) -> Path:
    """As the trainings write it, beside tensors of another part."""
    state = {f"net.{key}": value for key, value in net.state_dict().items()}
    torch.save({"state_dict": state | {"average": torch.ones(2)}, "epoch": 3}, path)
    return path


def test_weights_come_back(tmp_path: Path) -> None:
    net = RNet()
    file = saved(tmp_path / "last.ckpt", net)
    loaded = network_from_checkpoint(file, RNet())
    assert not loaded.training
    own = loaded.state_dict()
    assert all(torch.equal(value, own[key]) for key, value in net.state_dict().items())
    assert set(read_state(file)) == {f"net.{key}" for key in own} | {"average"}


def test_what_ships_can_be_trained_on(tmp_path: Path) -> None:
    """The convolutions of an ONNX file are folded, those of the network are not: it answers the same."""
    shipped = weights.path("face")
    net = network_from_checkpoint(shipped, FaceNet())
    assert any(isinstance(part, torch.nn.BatchNorm2d) for part in net.modules())
    (tmp_path / "again.onnx").write_bytes(to_onnx("face", net))
    before, after = read_state(shipped), read_state(tmp_path / "again.onnx")
    assert before.keys() == after.keys()
    assert all(torch.allclose(after[name], value, atol=1e-6) for name, value in before.items())
    with pytest.raises(InputError, match=r"face\.onnx does not hold a RNet"):
        network_from_checkpoint(shipped, RNet())


@pytest.mark.parametrize("name", ["face", "onepass"])
def test_eight_bits_can_be_trained_on(name: str) -> None:
    """Kernels come back to half a step, that of the first layer out of its packed form."""
    before, after = (read_state(weights.path(name, variant)) for variant in ("float32", "int8"))
    kernels = {key: value for key, value in before.items() if key.endswith("weight")}
    assert kernels
    for key, value in kernels.items():
        rows, found = value.flatten(1), after[key].reshape(value.shape).flatten(1)
        assert bool(((found - rows).abs() <= 0.01 * rows.abs().amax(dim=1, keepdim=True)).all()), key
    net = {"face": FaceNet, "onepass": OnePassNet}[name]
    pictures = torch.rand(2, 3, 128, 128, generator=torch.Generator().manual_seed(1)) * 255
    answers = [
        network_from_checkpoint(weights.path(name, each), net())(pictures) for each in ("float32", "int8")
    ]
    first, second = (each["landmarks"] if name == "face" else each[1] for each in answers)
    assert float((first - second).abs().mean()) < 0.03 and float(first.std()) > 0.1


@pytest.mark.parametrize("folded", [False, True])
def test_a_training_begins_with_what_is_given(tmp_path: Path, folded: bool) -> None:
    shipped, pictures = weights.path("onepass"), torch.rand(2, 3, 64, 64) * 255
    net = initial_network(OnePassNet(), shipped, folded)
    assert net.training
    expected = network_from_checkpoint(shipped, OnePassNet())(pictures)
    again = network_from_checkpoint(saved(tmp_path / "last.ckpt", net), OnePassNet())  # unfolded
    for found in (net(pictures), again(pictures)):  # in training, too: no batch's own mean and deviation
        for answer, other in zip(found, expected, strict=True):
            torch.testing.assert_close(answer, other, atol=1e-3, rtol=1e-4)


@pytest.mark.parametrize("folded", [False, True])
def test_a_training_goes_on_with_the_normalisation_of_a_checkpoint(tmp_path: Path, folded: bool) -> None:
    checkpoint = saved(tmp_path / "last.ckpt", OnePassNet())
    net = initial_network(OnePassNet(), checkpoint, folded)
    assert folded != any(isinstance(part, torch.nn.BatchNorm2d) for part in net.modules())


class Malicious:
    """Would write a file when unpickled."""

    def __init__(self, proof: Path) -> None:
        self.proof = proof

    def __reduce__(self) -> tuple[object, ...]:
        return Path.touch, (self.proof,)


def test_pickled_objects_are_not_loaded(tmp_path: Path) -> None:
    torch.save({"state_dict": Malicious(tmp_path / "proof")}, tmp_path / "bad.ckpt")
    with pytest.raises(InputError, match=r"bad\.ckpt, tensors alone; it cannot be read"):
        read_state(tmp_path / "bad.ckpt")
    assert not (tmp_path / "proof").exists()


@pytest.mark.parametrize("content", [b"", b"words", b"PK\x03\x04 half an archive"])
def test_unreadable_checkpoint(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "bad.ckpt").write_bytes(content)
    with pytest.raises(InputError, match=r"bad\.ckpt.*cannot be read"):
        read_state(tmp_path / "bad.ckpt")


def test_unreadable_onnx(tmp_path: Path) -> None:
    (tmp_path / "bad.onnx").write_bytes(b"words")
    with pytest.raises(InputError, match=r"bad\.onnx; it cannot be read as ONNX"):
        read_state(tmp_path / "bad.onnx")


def test_missing_or_other_checkpoint(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"last\.ckpt, found nothing; train first"):
        read_state(tmp_path / "last.ckpt")
    with pytest.raises(InputError, match="does not hold a RNet"):
        network_from_checkpoint(saved(tmp_path / "other.ckpt", PNet()), RNet())
    for odd in ({"weights": torch.zeros(1)}, [torch.zeros(1)]):
        torch.save(odd, tmp_path / "odd.ckpt")
        with pytest.raises(InputError, match="no state_dict"):
            read_state(tmp_path / "odd.ckpt")
