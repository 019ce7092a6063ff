import numpy as np
import pytest
import torch

from facegeom.errors import InputError
from facegeom_lab.evaluation.cost import multiply_adds, parameters
from facegeom_lab.studies.compression import cp
from facegeom_lab.studies.compression.methods import CP_FACTOR, CP_POINTWISE
from facegeom_lab.studies.compression.networks import NETWORKS, create

MILLIONS = {  # parameters, multiply-adds
    "vgg-s": (31.7, 370),
    "squeezenet": (0.7325, 42.8),
    "tiny-darknet": (0.914, 85.7),
    "thin": (0.156, 18.2),
}


@pytest.mark.parametrize("name", NETWORKS)
def test_networks_give_eight_logits_at_the_stated_cost(name: str) -> None:
    net = create(name).eval()
    x = torch.randn(1, 3, 96, 96)
    with torch.no_grad():
        assert net(x).shape == (1, 8)
    assert parameters(net) / 1e6 == pytest.approx(MILLIONS[name][0], rel=0.01)
    assert multiply_adds(net, x) / 1e6 == pytest.approx(MILLIONS[name][1], rel=0.01)


@pytest.mark.parametrize("name", ["squeezenet", "vgg-s"])
def test_cp_of_the_study_needs_a_third_of_the_multiply_adds(
    name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    def ones(kernel: np.ndarray, rank: int) -> list[np.ndarray]:
        return [np.ones((side, rank)) for side in kernel.shape]

    monkeypatch.setattr(cp, "als", ones)  # the cost does not hang on the values
    net = create(name).eval()
    x = torch.zeros(1, 3, 96, 96)
    before = multiply_adds(net, x)
    assert before / multiply_adds(cp.decompose(net, CP_FACTOR, CP_POINTWISE), x) >= 3


def test_unknown_networks_are_refused() -> None:
    with pytest.raises(InputError, match="vgg-s"):
        create("vgg")
