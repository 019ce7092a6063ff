"""The methods by name: what each starts from, and how transformation and training alternate."""

from collections.abc import Callable
from dataclasses import dataclass

from torch import nn

from facegeom.errors import InputError
from facegeom_lab.studies.compression.binary import binary_net, binary_weights
from facegeom_lab.studies.compression.cp import decompose
from facegeom_lab.studies.compression.deep_compression import prune, remove_masks, share_weights
from facegeom_lab.studies.compression.early_exit import add_branches, branchy_loss
from facegeom_lab.studies.compression.fitnets import Hinted, hint_loss, knowledge_loss
from facegeom_lab.studies.compression.hashing import hash_weights
from facegeom_lab.studies.compression.networks import create, remove_parametrisations
from facegeom_lab.studies.compression.tensor_train import tensorise
from facegeom_lab.studies.compression.training import StageTrainer
from facegeom_lab.studies.compression.xnor import xnor_net

CP_FACTOR, CP_POINTWISE = 6.0, 2.0
"""Factor of fewer weights in each convolution wider than 1 x 1, and in the others; in all 3."""

KEEP_CONV, KEEP_LINEAR = 0.25, 0.06
HASHED_SHARE = 1 / 8
TT_RANK = 16
HINT_CHANNELS = (48, 256)
BRANCHES = (96, 256)

Make = Callable[[nn.Module, StageTrainer], nn.Module]


@dataclass(frozen=True)
class Method:
    """One way to a small or fast network.

    Attributes:
        title: for tables and figures.
        networks: the plain networks that it accepts; the first is the usual one.
        trained: whether it starts from such a network trained, else from a random one.
        make: (network, trainer) -> the network as it is stored, in evaluation mode.
        eight_bits: whether its ONNX file is quantised afterwards.
    """

    title: str
    networks: tuple[str, ...]
    trained: bool
    make: Make
    eight_bits: bool = False


def find(name: str) -> Method:
    """Return a method by name.

    Raises:
        InputError: an unknown name.
    """
    if name not in METHODS:
        raise InputError(f"expected one of the methods {', '.join(METHODS)}, got {name!r}")
    return METHODS[name]


def _plain(net: nn.Module, train: StageTrainer) -> nn.Module:
    return train(net)


def _cp(net: nn.Module, train: StageTrainer) -> nn.Module:
    return train(decompose(net, CP_FACTOR, CP_POINTWISE), rate=0.3)


def _deep_compression(net: nn.Module, train: StageTrainer) -> nn.Module:
    net = remove_masks(train(prune(net, KEEP_CONV, KEEP_LINEAR), 0.6, rate=0.3))
    return remove_parametrisations(train(share_weights(net), 0.4, rate=0.1))


def _fitnets(teacher: nn.Module, train: StageTrainer) -> nn.Module:
    student = create("thin")
    train(Hinted(student[0], HINT_CHANNELS), 0.3, hint_loss(teacher[:2]))
    return train(student, 0.7, knowledge_loss(teacher, train.progress))


def _hashed(net: nn.Module, train: StageTrainer) -> nn.Module:
    return train(hash_weights(net, HASHED_SHARE))


def _tensor_train(net: nn.Module, train: StageTrainer) -> nn.Module:
    return train(tensorise(net, TT_RANK))


def _binary_net(net: nn.Module, train: StageTrainer) -> nn.Module:
    return remove_parametrisations(train(binary_net(net)))


def _binary_weights(net: nn.Module, train: StageTrainer) -> nn.Module:
    return remove_parametrisations(train(binary_weights(net)))


def _xnor(net: nn.Module, train: StageTrainer) -> nn.Module:
    return remove_parametrisations(train(xnor_net(net)))


def _xnor_real(net: nn.Module, train: StageTrainer) -> nn.Module:
    return remove_parametrisations(train(xnor_net(net, binary_activations=False)))


def _branchy(net: nn.Module, train: StageTrainer) -> nn.Module:
    return train(add_branches(net, BRANCHES), loss=branchy_loss, rate=0.3)


def _untrained(net: nn.Module, train: StageTrainer) -> nn.Module:
    return net.eval()


METHODS = {
    "vgg-s": Method("VGG-S", ("vgg-s",), False, _plain),
    "squeezenet": Method("SqueezeNet 1.1", ("squeezenet",), False, _plain),
    "tiny-darknet": Method("Tiny Darknet", ("tiny-darknet",), False, _plain),
    "longer": Method("the same training again", ("vgg-s", "squeezenet", "tiny-darknet"), True, _plain),
    "deep-compression": Method("Deep Compression", ("vgg-s",), True, _deep_compression),
    "fitnets": Method("FitNets", ("vgg-s",), True, _fitnets),
    "hashednets": Method("HashedNets", ("vgg-s", "squeezenet"), False, _hashed),
    "cp": Method("CP decomposition", ("squeezenet", "vgg-s"), True, _cp),
    "tensor-train": Method("TensorNet", ("vgg-s",), True, _tensor_train),
    "binarynet": Method("BinaryNet", ("vgg-s",), False, _binary_net),
    "binary-weights": Method("Binary-Weight-Network", ("vgg-s",), False, _binary_weights),
    "xnor": Method("XNOR-Net", ("vgg-s",), False, _xnor),
    "xnor-real": Method("XNOR-Net without binary activations", ("vgg-s",), False, _xnor_real),
    "branchynet": Method("BranchyNet", ("vgg-s",), True, _branchy),
    "int8": Method("eight bits", ("vgg-s", "squeezenet", "tiny-darknet"), True, _untrained, eight_bits=True),
}
