import pytest
import torch
from torch import nn

from facegeom_lab.studies.compression.early_exit import BranchyNet, add_branches, branchy_loss, entropy
from facegeom_lab.studies.compression.fitnets import TEMPERATURE, Hinted, hint_loss, knowledge_loss


def test_a_student_with_the_teachers_hint_has_no_loss(small: nn.Sequential, pictures: torch.Tensor) -> None:
    guided = nn.Sequential(nn.Conv2d(3, 4, 3, 4, 1))
    net = Hinted(guided, (4, 16))
    loss = hint_loss(small[:2])
    assert loss(net, pictures, None) > 0
    loss(net, pictures, None).backward()
    assert guided[0].weight.grad.abs().sum() > 0
    assert all(p.grad is None for p in small.parameters())
    assert loss(small[:2], pictures, None) == 0


def test_softened_answers_count_less_as_the_training_goes_on(
    small: nn.Sequential, pictures: torch.Tensor
) -> None:
    classes = torch.arange(6)
    student = nn.Sequential(nn.Flatten(), nn.Linear(768, 8))
    early, late = (knowledge_loss(small, lambda p=p: p)(student, pictures, classes) for p in (0.0, 1.0))
    logits = student(pictures)
    hard = nn.functional.cross_entropy(logits, classes)
    soft = torch.softmax(small.eval()(pictures) / TEMPERATURE, dim=1)
    torch.testing.assert_close(late, hard + nn.functional.cross_entropy(logits / TEMPERATURE, soft))
    torch.testing.assert_close(early - hard, 4 * (late - hard))


class _Count(nn.Module):
    calls = 0

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        self.calls += 1
        return x


def test_sure_inputs_leave_early_and_skip_the_rest() -> None:
    last = _Count()
    sure = nn.Linear(2, 2, bias=False)
    sure.weight.data = 10 * torch.eye(2)
    net = BranchyNet(nn.Sequential(nn.Identity(), last), [sure]).eval()
    net.thresholds.fill_(0.1)
    easy, hard = torch.tensor([[1.0, -1.0]]), torch.tensor([[0.01, 0.0]])
    torch.testing.assert_close(net(easy), 10 * easy)
    assert last.calls == 0
    torch.testing.assert_close(net(hard), hard)
    assert last.calls == 1
    together, number = net.with_exits(torch.cat([easy, hard]))
    assert number.tolist() == [0, 1]
    torch.testing.assert_close(together, torch.cat([10 * easy, hard]))


def test_thresholds_are_as_high_as_accuracy_allows() -> None:
    classes = torch.arange(100) % 2
    right = nn.functional.one_hot(classes, 2).float()
    unsure = (torch.arange(100) < 30)[:, None]
    branch = torch.where(unsure, 0.2 * (1 - right), 8 * right)  # wrong where it is unsure
    net = BranchyNet(nn.Sequential(nn.Identity(), nn.Identity()), [nn.Identity()])
    net.choose_thresholds(torch.stack([branch, 5 * right]), classes)
    assert entropy(8 * right)[0] < net.thresholds[0] < entropy(0.2 * right)[0]
    net.choose_thresholds(
        torch.stack([5 * (1 - right), 5 * right]), classes
    )  # surely wrong: nothing may leave
    assert net.thresholds[0] == 0


def test_every_exit_is_trained(small: nn.Sequential, pictures: torch.Tensor) -> None:
    net = add_branches(small, (8, 16))
    answers = net.exit_logits(pictures)
    assert [tuple(each.shape) for each in answers] == [(6, 8)] * 3
    branchy_loss(net, pictures, torch.arange(6)).backward()
    assert all(p.grad is not None for p in net.parameters())


def test_entropy_of_known_distributions() -> None:
    found = entropy(torch.tensor([[0.0, 0, 0, 0], [100, 0, 0, 0]]))
    assert found.tolist() == pytest.approx([1.3863, 0], abs=1e-3)
