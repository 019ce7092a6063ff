"""Training of the one-pass detector: what it is asked for, its losses, a run on a generated pack."""

import math
from pathlib import Path

import pytest
import torch

from facegeom_lab.networks.checkpoint import network_from_checkpoint
from facegeom_lab.networks.onepass import OnePassNet, cell_centres
from facegeom_lab.training import recipes
from facegeom_lab.training.tasks import onepass
from facegeom_lab.training.tasks.onepass import OnePassRecipe, box_loss, focal_loss, make_targets
from facegeom_lab.training.trainers import Inputs

NAN4 = [math.nan] * 4


def boxes(*squares: tuple[float, float, float]) -> torch.Tensor:
    """(1, 3, 4) squares of middles and sides, the rest NaN."""
    known = [[x - side / 2, y - side / 2, x + side / 2, y + side / 2] for x, y, side in squares]
    return torch.tensor([known + [NAN4] * (3 - len(known))])


def test_the_cell_of_the_middle_is_the_peak() -> None:
    wanted = make_targets(boxes((30.0, 50.0, 40.0), (100.0, 20.0, 16.0)), 12, 16, smallest_px=9)
    assert wanted.faces == 2
    assert torch.nonzero(wanted.score[0] > 0.999).tolist() == [[2, 12], [6, 3]]
    assert bool(wanted.known.all())


def test_boxes_decode_to_the_face() -> None:
    wanted = make_targets(boxes((30.0, 50.0, 40.0), (100.0, 20.0, 16.0)), 12, 16, smallest_px=9)
    side = 40 * torch.exp(wanted.boxes[0, 2])
    middle = cell_centres(12, 16) + (wanted.boxes[0, :2] * side).permute(1, 2, 0)
    for row, column, x, y, size in (
        (6, 3, 30.0, 50.0, 40.0),
        (5, 4, 30.0, 50.0, 40.0),
        (2, 12, 100.0, 20.0, 16.0),
    ):
        torch.testing.assert_close(middle[row, column], torch.tensor([x, y]), atol=1e-4, rtol=0)
        assert float(side[row, column]) == pytest.approx(size, rel=1e-5)


@pytest.mark.parametrize("face", [(-4.0, 40.0, 60.0), (40.0, 130.0, 80.0), (60.0, 60.0, 8.0)])
def test_faces_outside_or_too_small_are_not_judged(face: tuple[float, float, float]) -> None:
    wanted = make_targets(boxes(face), 12, 16, smallest_px=9)
    assert wanted.faces == 0 and float(wanted.score.max()) == 0
    assert bool((~wanted.known).any()) and bool(wanted.known.any())


def test_what_is_not_sure_is_neither_face_nor_background() -> None:
    pair = boxes((30.0, 50.0, 40.0), (100.0, 40.0, 16.0))
    wanted = make_targets(pair, 12, 16, smallest_px=9, sure=torch.tensor([[True, False, False]]))
    assert wanted.faces == 1 and torch.nonzero(wanted.score[0] > 0.999).tolist() == [[6, 3]]
    assert not bool(wanted.known[0, 4, 12]) and bool(wanted.known[0, 9, 12])


def test_a_picture_without_faces() -> None:
    wanted = make_targets(boxes(), 12, 16, smallest_px=9)
    assert (
        wanted.faces == 0 and bool(wanted.known.all()) and not wanted.score.any() and not wanted.boxes.any()
    )


def test_losses_vanish_for_the_right_answer_only() -> None:
    wanted = make_targets(boxes((30.0, 50.0, 40.0)), 12, 16, smallest_px=9)
    right = torch.where(wanted.score > 0.999, 12.0, -12.0)
    assert float(focal_loss(right, wanted)) < 1e-6
    assert float(focal_loss(-right, wanted)) > 10
    assert float(box_loss(wanted.boxes, wanted)) == 0
    assert float(box_loss(wanted.boxes + 0.1, wanted)) == pytest.approx(0.1 - 0.025, rel=1e-4)


def test_what_is_not_judged_costs_nothing() -> None:
    wanted = make_targets(boxes((60.0, 60.0, 8.0)), 12, 16, smallest_px=9)
    claims = torch.where(wanted.known, -12.0, 12.0)
    assert float(focal_loss(claims, wanted)) < 1e-6


@pytest.mark.slow
def test_training_makes_a_network(training_pack: object, tmp_path: object) -> None:
    recipe = recipes.load(
        OnePassRecipe,
        "onepass",
        steps=4,
        batch=4,
        size_px=96,
        largest_px=60,
        samples_per_epoch=8,
        ema_decay=0.5,
    )
    inputs = Inputs(
        training_pack.data,
        tmp_path,
        labels=training_pack.labels,
        rendered=training_pack.rendered,
        workers=0,  # torch ends workers that a busy machine does not let end within seconds
    )
    net = network_from_checkpoint(onepass.train(recipe, inputs), OnePassNet())
    answer = net.eval()(torch.zeros(1, 3, 64, 64))
    assert all(bool(torch.isfinite(part).all()) for part in answer)


def test_final_weights_are_blended_with_the_initial_ones(tmp_path: Path) -> None:
    nets = OnePassNet(), OnePassNet()
    files = []
    for index, net in enumerate(nets):
        state = {f"net.{name}": value for name, value in net.state_dict().items()}
        files.append(tmp_path / f"{index}.ckpt")
        torch.save({"state_dict": state}, files[-1])
    final = onepass.blended(files[1], Inputs(tmp_path, tmp_path, start=files[0]), 0.25)
    mixed = network_from_checkpoint(final, OnePassNet()).answer.weight
    torch.testing.assert_close(mixed, 0.25 * nets[0].answer.weight + 0.75 * nets[1].answer.weight)
