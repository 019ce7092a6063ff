"""Training of the score alone: what it learns, what stays, how parts are weighed."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from torch.utils.data import TensorDataset

from facegeom.errors import InputError
from facegeom_lab.networks.checkpoint import network_from_checkpoint
from facegeom_lab.networks.face import FaceNet
from facegeom_lab.training import recipes
from facegeom_lab.training.tasks import face_score
from facegeom_lab.training.tasks.face import save_final
from facegeom_lab.training.tasks.face_score import FaceScoreRecipe, Judged, fit_score, seen
from facegeom_lab.training.trainers import Inputs

RECIPE = recipes.load(FaceScoreRecipe, "face-score")


class Crops(TensorDataset):
    """Noise; the bright crops, every second one, are faces."""

    def __init__(self, count: int) -> None:
        generator = torch.Generator().manual_seed(2)
        self.face = (torch.arange(count) % 2).float()
        noise = torch.randint(0, 100, (count, 3, 128, 128), generator=generator)
        super().__init__((noise + 150 * self.face[:, None, None, None]).to(torch.uint8), self.face)

    def __getitem__(self, index: int) -> dict[str, torch.Tensor]:
        crop, face = super().__getitem__(index)
        return {"crop": crop, "face": face}


def test_learns_the_score_and_keeps_the_geometry() -> None:
    torch.manual_seed(0)
    net, crops = FaceNet().eval(), Crops(48)
    pictures = crops.tensors[0][:6].float()
    with torch.no_grad():
        before = net(pictures)
    fit_score(net, seen(net, [crops], [1.0], workers=0), replace(RECIPE, epochs=20, batch=16))
    with torch.no_grad():
        after = net(pictures)
    np.testing.assert_array_equal(after["score_logit"] > 0, crops.face[:6] == 1)
    for name in before.keys() - {"score_logit"}:
        torch.testing.assert_close(after[name], before[name], rtol=0, atol=0)


def test_the_crops_of_a_part_share_its_weight() -> None:
    data = seen(FaceNet().eval(), [Crops(12), Crops(4)], [0.75, 0.25], workers=0)
    assert isinstance(data, Judged) and data.maps.shape == (16, 128, 8, 8)
    np.testing.assert_allclose(data.weight, [0.75 / 12] * 12 + [0.25 / 4] * 4)


def test_needs_a_network(training_pack: object, tmp_path: Path) -> None:
    with pytest.raises(InputError, match="--start"):
        face_score.train(RECIPE, Inputs(training_pack.data, tmp_path, labels=training_pack.labels))


def test_trains_on_the_pack(training_pack: object, tmp_path: Path) -> None:
    torch.manual_seed(0)
    start = save_final(FaceNet(), tmp_path)
    inputs = Inputs(
        training_pack.data,
        tmp_path / "run",
        labels=training_pack.labels,
        rendered=training_pack.rendered,
        start=start,
        workers=0,
    )
    inputs.out.mkdir()
    final = face_score.train(replace(RECIPE, epochs=1, batch=8), inputs)
    before, after = (network_from_checkpoint(file, FaceNet()) for file in (start, final))
    pairs = zip(before.state_dict().items(), after.state_dict().values(), strict=True)
    changed = {name.split(".")[0] for (name, old), new in pairs if not torch.equal(old, new)}
    assert changed == {"judge"}
