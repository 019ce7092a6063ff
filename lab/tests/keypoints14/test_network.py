"""The file of a network: small, tensors alone; anything else is refused."""

import hashlib
import pickle
from pathlib import Path

import pytest
import torch

from facegeom.errors import InputError
from facegeom_lab.export import read_manifest
from facegeom_lab.keypoints14 import detect
from facegeom_lab.keypoints14.network import (
    SHIPPED,
    KeypointNet,
    TrainingCost,
    load_network,
    load_training_cost,
    save_network,
)
from facegeom_lab.training import recipes

COST = TrainingCost(epochs=3, samples=24, train_seconds=1.5, val_error=9.0)


@pytest.fixture
def model(tmp_path: Path) -> Path:
    torch.manual_seed(0)
    net = KeypointNet(48)
    net.mean += torch.tensor([0.1, 0.2, 0.3])
    save_network(tmp_path / "model.ckpt", net.state_dict(), COST)
    return tmp_path / "model.ckpt"


def test_there_and_back(model: Path) -> None:
    net = load_network(model)
    torch.manual_seed(0)
    plain = KeypointNet(48)
    assert int(net.input_px) == 48 and not net.training
    torch.testing.assert_close(net.mean, torch.tensor([127.6, 127.7, 127.8]))
    for name, parameter in plain.named_parameters():
        torch.testing.assert_close(net.get_parameter(name), parameter.half().float())
    assert load_training_cost(model) == COST
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
    save_network(tmp_path / "model.ckpt", KeypointNet(side).state_dict(), COST)
    with pytest.raises(InputError, match=f"expected images of 16 to 1024 pixels a side .*, got {side}"):
        load_network(tmp_path / "model.ckpt")


def test_a_state_of_lightning_has_no_training_cost(tmp_path: Path) -> None:
    state = {f"net.{name}": value for name, value in KeypointNet().state_dict().items()}
    torch.save({"state_dict": state}, tmp_path / "model.ckpt")
    load_network(tmp_path / "model.ckpt")
    with pytest.raises(InputError, match="has no training cost"):
        load_training_cost(tmp_path / "model.ckpt")


def test_the_network_that_ships() -> None:
    assert SHIPPED.stat().st_size < 4e6
    assert int(load_network(SHIPPED).input_px) == 96
    cost = load_training_cost(SHIPPED)
    assert cost.epochs > 0 and cost.samples > 0 and cost.val_error < 5


def test_the_manifest_describes_the_network_that_ships() -> None:
    entry = read_manifest(SHIPPED.parent)["keypoints14"]
    assert entry["file"] == SHIPPED.name
    assert entry["sha256"] == hashlib.sha256(SHIPPED.read_bytes()).hexdigest()
    assert {"input", "outputs", "recipe", "data", "licence", "accuracy"} <= set(entry)
    assert entry["recipe"] == "facegeom lab train keypoints14" and "keypoints14" in recipes.names()


def test_the_model_card_names_the_file_that_ships() -> None:
    repository = Path(__file__).parents[3]
    card = repository / read_manifest(SHIPPED.parent)["keypoints14"]["accuracy"].removeprefix("see ")
    text = card.read_text(encoding="utf-8")
    assert f"lab/src/facegeom_lab/keypoints14/{SHIPPED.name}" in text
    assert (repository / "lab/src/facegeom_lab/keypoints14" / SHIPPED.name).is_file()


@pytest.mark.parametrize("side", [32, 96, 100])
def test_network(side: int) -> None:
    net = KeypointNet(side).eval()
    answer = net(torch.rand(2, 3, side, side) * 255)
    assert answer.shape == (2, 14, 2) and int(net.input_px) == side


def test_network_normalises_by_its_statistics() -> None:
    torch.manual_seed(0)
    net, picture = KeypointNet(32).eval(), torch.rand(1, 3, 32, 32) * 255
    before = net(picture)
    net.mean += 10
    net.std *= 2
    torch.testing.assert_close(net((picture - 127.5) * 2 + 137.5), before, atol=1e-5, rtol=1e-4)
