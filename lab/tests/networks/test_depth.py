"""The depth networks: shapes, expected depth, the residual, folding."""

import copy

import numpy as np
import torch

from facegeom_lab.datasets.depth_classes import CLASSES, NEAREST_MM, STEP_MM, to_classes
from facegeom_lab.networks.blocks import fold
from facegeom_lab.networks.depth import (
    DepthClasses,
    DepthMillimetres,
    full_size_depth,
    mean_depth,
    stage_two_input,
)
from facegeom_lab.training.tasks.depth1 import depth_to_class, top_accuracies

SMALL = (8, 8, 8)


def test_sizes() -> None:
    pictures = torch.rand(2, 3, 160, 160) * 255
    logits = DepthClasses(SMALL, 8)(pictures)
    assert logits.shape == (2, CLASSES, 80, 80)
    answer = full_size_depth(logits)
    assert answer.shape == (2, 160, 160)
    both = stage_two_input(pictures, answer)
    assert both.shape == (2, 2, 160, 160)
    assert DepthMillimetres(SMALL)(both).shape == (2, 80, 80)
    assert DepthMillimetres(SMALL, two_stages=False)(pictures).shape == (2, 80, 80)


def test_a_sure_class_is_its_middle() -> None:
    logits = torch.full((1, CLASSES, 4, 4), -50.0)
    logits[:, 21] = 50
    expected = NEAREST_MM + STEP_MM * 20.5
    torch.testing.assert_close(mean_depth(logits), torch.full((1, 4, 4), expected))
    torch.testing.assert_close(full_size_depth(logits), torch.full((1, 8, 8), expected))


def test_grey_is_luminance() -> None:
    pictures = torch.zeros(1, 3, 2, 2)
    pictures[0, 1] = 100
    torch.testing.assert_close(stage_two_input(pictures, torch.ones(1, 2, 2))[0, 0], torch.full((2, 2), 58.7))


def test_stage_two_adds_to_the_answer() -> None:
    net = DepthMillimetres(SMALL).eval()
    torch.nn.init.zeros_(net.measure.weight)
    torch.nn.init.zeros_(net.measure.bias)
    answer = torch.arange(160.0).repeat(1, 160, 1)
    told = net(stage_two_input(torch.rand(1, 3, 160, 160) * 255, answer))
    torch.testing.assert_close(told[0, 0], torch.arange(0.5, 160, 2))


def test_folding_keeps_the_function() -> None:
    torch.manual_seed(1)
    net = DepthClasses(SMALL, 8).eval()
    pictures = torch.rand(1, 3, 160, 160) * 255
    torch.testing.assert_close(fold(copy.deepcopy(net))(pictures), net(pictures), atol=1e-4, rtol=1e-3)


def test_classes_agree_with_the_runtimes() -> None:
    depth = torch.tensor([[-200.0, -80, -0.1, 0, 3.9, 500, float("nan")]])
    expected = to_classes(np.nan_to_num(depth.numpy()), np.isfinite(depth.numpy()))
    np.testing.assert_array_equal(depth_to_class(depth).numpy(), expected)


def test_top_accuracies() -> None:
    truth = torch.tensor([[[0, 3, 3, 3]]])
    logits = torch.zeros(1, CLASSES, 1, 4)
    logits[0, 3, 0, 1] = 9  # right
    logits[0, [7, 8, 3], 0, 2] = torch.tensor([9.0, 8, 7])  # third
    logits[0, [7, 8, 9], 0, 3] = torch.tensor([9.0, 8, 7])  # wrong
    first, three = top_accuracies(logits, truth)
    torch.testing.assert_close(first, torch.tensor([1 / 3]))
    torch.testing.assert_close(three, torch.tensor([2 / 3]))
