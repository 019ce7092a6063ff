import pytest
import torch

from facegeom.errors import InputError
from facegeom.lab.compress.networks import NETWORKS, create
from facegeom.lab.evaluate.cost import multiply_adds, parameters

MILLIONS = {  # parameters, multiply-adds
    "vgg-s": (31.7, 370),
    "squeezenet": (0.727, 42.8),
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


def test_unknown_networks_are_refused() -> None:
    with pytest.raises(InputError, match="vgg-s"):
        create("vgg")
