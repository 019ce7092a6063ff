"""The file of a network: small, tensors alone; anything else is refused."""

import pickle
from pathlib import Path

import pytest
import torch

from facegeom.errors import InputError
from facegeom_lab.keypoints14 import detect
from facegeom_lab.keypoints14.network import KeypointNet
from facegeom_lab.keypoints14.weights import SHIPPED, Effort, load_effort, load_network, save_network

EFFORT = Effort(epochs=3, samples=24, train_seconds=1.5, val_error=9.0)


@pytest.fixture
def model(tmp_path: Path) -> Path:
    torch.manual_seed(0)
    net = KeypointNet(48)
    net.mean += torch.tensor([0.1, 0.2, 0.3])
    save_network(tmp_path / "model.ckpt", net.state_dict(), EFFORT)
    return tmp_path / "model.ckpt"


def test_there_and_back(model: Path) -> None:
    net = load_network(model)
    torch.manual_seed(0)
    plain = KeypointNet(48)
    assert int(net.input_px) == 48 and not net.training
    torch.testing.assert_close(net.mean, torch.tensor([127.6, 127.7, 127.8]))
    for name, parameter in plain.named_parameters():
        torch.testing.assert_close(net.get_parameter(name), parameter.half().float())
    assert load_effort(model) == EFFORT
    assert model.stat().st_size < 2.5e6


class Payload:
    """Unpickling it makes a file."""

    def __init__(self, place: Path) -> None:
        self.place = place

    def __reduce__(self) -> tuple:
        return Path.touch, (self.place,)


@pytest.mark.parametrize("how", [pickle.dump, torch.save])
def test_pickled_code_is_not_run(how: object, tmp_path: Path) -> None:
    file, trace = tmp_path / "evil.ckpt", tmp_path / "trace"
    with file.open("wb") as stream:
        how({"state_dict": Payload(trace)}, stream)
    with pytest.raises(InputError, match=r"expected a training's checkpoint at .*evil\.ckpt, tensors alone"):
        detect(file, tmp_path)
    assert not trace.exists()


@pytest.mark.parametrize("content", [b"", b"no network", b"PK\x03\x04 cut short"])
def test_damaged_file(content: bytes, tmp_path: Path) -> None:
    (tmp_path / "model.ckpt").write_bytes(content)
    with pytest.raises(InputError, match="expected a training's checkpoint at"):
        load_network(tmp_path / "model.ckpt")


def test_missing_file(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"expected a checkpoint at .*, found nothing"):
        load_network(tmp_path / "model.ckpt")


def test_another_network(tmp_path: Path) -> None:
    state = {f"net.{name}": value for name, value in torch.nn.Linear(2, 2).state_dict().items()}
    torch.save({"state_dict": state}, tmp_path / "model.ckpt")
    with pytest.raises(InputError, match="does not hold a KeypointNet"):
        load_network(tmp_path / "model.ckpt")


@pytest.mark.parametrize("side", [-5, 0, 100_000])
def test_senseless_side(side: int, tmp_path: Path) -> None:
    save_network(tmp_path / "model.ckpt", KeypointNet(side).state_dict(), EFFORT)
    with pytest.raises(InputError, match=f"expected pictures of 16 to 1024 pixels a side .*, got {side}"):
        load_network(tmp_path / "model.ckpt")


def test_a_state_of_lightning_says_nothing_of_the_effort(tmp_path: Path) -> None:
    state = {f"net.{name}": value for name, value in KeypointNet().state_dict().items()}
    torch.save({"state_dict": state}, tmp_path / "model.ckpt")
    load_network(tmp_path / "model.ckpt")
    with pytest.raises(InputError, match="says nothing of its training"):
        load_effort(tmp_path / "model.ckpt")


def test_the_network_that_ships() -> None:
    assert SHIPPED.stat().st_size < 4e6
    assert int(load_network(SHIPPED).input_px) == 96
    effort = load_effort(SHIPPED)
    assert effort.epochs > 0 and effort.samples > 0 and effort.val_error < 5
