"""Faces of whole photos with people's points, cropped as the runtime crops them."""

from pathlib import Path

import numpy as np
import torch
from PIL import Image
from torch.utils.data import Dataset

from facegeom.image.crop import cut
from facegeom.models.face import CROP_PX, REDUCING_GAP
from facegeom_lab.datasets.published.pack import scenes
from facegeom_lab.datasets.training.face_crops import random_square


class SceneFaces(Dataset):
    """Crops (3, 128, 128) uint8 and the 68 points in crop units, the same every time.

    Args:
        data: the data pack.
        split: train, val or test.
        seed: of the squares, which are off as a detector's are.
        strength: of that, in (0, 1].
    """

    def __init__(self, data: Path, split: str, seed: int = 0, strength: float = 1.0) -> None:
        self.faces = [
            (data / "scenes" / entry["file"], np.array(face["landmarks68"], np.float64))
            for entry in scenes(data, split)
            for face in entry["faces"]
            if "landmarks68" in face
        ]
        self.seed, self.strength = seed, strength

    def __len__(self) -> int:
        return len(self.faces)

    def __getitem__(self, index: int) -> dict[str, torch.Tensor]:
        file, landmarks = self.faces[index]
        rng = np.random.default_rng((self.seed, index))
        box = random_square(rng, landmarks, self.strength)
        with Image.open(file) as photo:
            crop = cut(photo.convert("RGB"), box[None], CROP_PX, REDUCING_GAP)[0]
        points = (landmarks - (box[:2] + box[2:]) / 2) / (box[2] - box[0])
        return {
            "crop": torch.from_numpy(crop).permute(2, 0, 1),
            "landmarks": torch.as_tensor(points, dtype=torch.float32),
        }
