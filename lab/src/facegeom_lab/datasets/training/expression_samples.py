"""Samples of the expression network: rendered heads with known coefficients and gaze, as they are analyzed.

Image ``i`` of a set takes all random numbers from one generator, as in :mod:`facegeom_lab.synth.generate`:
the splits ``train`` and ``test`` share no person and no background.
"""

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any, NamedTuple, cast

import numpy as np
from tqdm import tqdm

from facegeom.analyzer import FaceAnalyzer
from facegeom.errors import InputError
from facegeom.geometry.boxes import face_box, iou
from facegeom.geometry.gaze import gaze_from_angles
from facegeom.geometry.placement import in_canonical_frame
from facegeom.geometry.rotation import rotation_to_line_of_sight
from facegeom.geometry.schemes import ARKIT52
from facegeom.models.expression import ExpressionNet, Motion
from facegeom.results import Faces
from facegeom_lab.files import save_npz
from facegeom_lab.synth.generate import MODEL_FILE, generator, load_backgrounds, load_studio
from facegeom_lab.synth.model import Floats, HeadModel, arkit_coefficients, load_model, mirrored_names
from facegeom_lab.synth.motion import sample_motion
from facegeom_lab.synth.scene import Image, Sample, render
from facegeom_lab.synth.wardrobe import Studio

SHARD, FACES_PREFIX = 500, "expression_faces_"
SIZE_PX = 256
YAW_DEG, PITCH_DEG, ROLL_DEG = (-50.0, 50.0), (-30.0, 30.0), (-25.0, 25.0)
SAME_FACE_IOU = 0.5

TRUSTED_FITS = {
    *("jawOpen", "mouthSmile", "eyeBlink", "browOuterUp", "browDown", "mouthUpperUp", "mouthLowerDown"),
    *("eyeLookIn", "eyeLookOut", "eyeLookUp", "eyeLookDown"),
}
FIT_TRUST = 0.3
"""What a fit to a real face says of other shapes counts less: it explains the person's own features by
them. `mouthRollUpper` is above 0.1 in 59 % of the fits, `noseSneer` in 53 %, `jawForward` in 43 %."""


@dataclass(frozen=True)
class ExpressionSamples:
    """N faces: what the analyzer says of each, and the truth.

    Attributes:
        points_mm: (N, 478, 3) mesh in the canonical head's frame and size.
        rotation: (N, 3, 3) as seen, predicted.
        expression: (N, 52) true coefficients by :data:`facegeom.geometry.schemes.ARKIT52`.
        gaze_seen: (N, 2, 3) true directions of the right and the left eye, frame of the line of sight.
        true_rotation: (N, 3, 3) as seen.
        features: (N, 1632) of what the regions' networks see.
    """

    points_mm: Floats
    rotation: Floats
    expression: Floats
    gaze_seen: Floats
    true_rotation: Floats
    features: Floats

    def __len__(self) -> int:
        return len(self.points_mm)

    def __getitem__(self, chosen: "slice | np.ndarray") -> "ExpressionSamples":
        return ExpressionSamples(*(getattr(self, f.name)[chosen] for f in fields(self)))

    @classmethod
    def stacked(cls, rows: Sequence[tuple[Floats, ...]]) -> "ExpressionSamples":
        """Join the values of single faces.

        Raises:
            InputError: there are none.
        """
        if not rows:
            raise InputError("expected faces that are found, found none")
        return cls(*(np.stack(column).astype(np.float32) for column in zip(*rows, strict=True)))

    @classmethod
    def concatenate(cls, parts: Sequence["ExpressionSamples"]) -> "ExpressionSamples":
        """Join several sets into one."""
        return cls(**{f.name: np.concatenate([getattr(part, f.name) for part in parts]) for f in fields(cls)})


def rendered_samples(
    model: HeadModel,
    backgrounds: Sequence[Image],
    numbers: Iterable[int],
    seed: int,
    split: str,
    studio: Studio | None = None,
) -> Iterator[Sample]:
    """Render the heads of some numbers of a set, in a studio if there is one."""
    for number in numbers:
        yield render(
            generator(seed, number, split),
            model,
            backgrounds,
            SIZE_PX,
            yaw_deg=YAW_DEG,
            pitch_deg=PITCH_DEG,
            roll_deg=ROLL_DEG,
            expressions=sample_motion,
            studio=studio,
        )


class Truth(NamedTuple):
    """What a rendered head does: coefficients (52,), directions of its eyes (2, 3) and rotation as seen."""

    expression: Floats
    gaze_seen: Floats
    rotation: Floats


def truth_of(sample: Sample, model: HeadModel) -> Truth:
    """Return what a rendered head does."""
    if sample.expression is None:
        raise InputError("expected a sample with its expression, got one without")
    seen = rotation_to_line_of_sight(sample.translation_mm).T @ sample.rotation
    look = gaze_from_angles(*model.look_deg(sample.expression).T)
    return Truth(arkit_coefficients(sample.expression, model.expression_names), look @ seen.T, seen)


def mirrored(truth: Truth) -> Truth:
    """Return what the head does in a mirror."""
    flip = np.array([-1, 1, 1])
    return Truth(
        truth.expression[mirrored_names()],
        truth.gaze_seen[::-1] * flip,
        truth.rotation * np.outer(flip, flip),
    )


class View(NamedTuple):
    """A picture (H, W, 3), the 68 points of a face in it (68, 2), and what the face does."""

    image: Image
    marks: Floats
    truth: Truth


def mirror_image(view: View) -> View:
    """Return a view as a mirror shows it."""
    marks = view.marks * (-1, 1) + (view.image.shape[1] - 1, 0)
    return View(np.ascontiguousarray(view.image[:, ::-1]), marks, mirrored(view.truth))


def found_faces(
    views: Iterable[View], analyze: Callable[[Image], Faces]
) -> Iterator[tuple[Truth, Faces, int]]:
    """Yield what the faces do that are found, each with the faces of its picture and its own number."""
    for image, marks, truth in views:
        faces = analyze(image)
        overlap = iou(faces.box_xyxy, face_box(marks)[None])[:, 0] if len(faces) else ()
        if len(overlap) and max(overlap) >= SAME_FACE_IOU:
            yield truth, faces, int(np.argmax(overlap))


def views_of(samples: Iterable[Sample], model: HeadModel) -> Iterator[View]:
    """Yield the views of rendered heads."""
    for sample in samples:
        yield View(sample.image, sample.landmarks_px, truth_of(sample, model))


def analyzed(views: Iterable[View], analyzer: FaceAnalyzer) -> ExpressionSamples:
    """Analyze views and their mirror images; keep the faces that are found.

    Raises:
        InputError: none is found.
    """
    seen = Recorder()
    seen.stand_in(analyzer)
    both = (each for view in views for each in (view, mirror_image(view)))
    found = found_faces(both, analyzer)
    return ExpressionSamples.stacked([seen.sample(faces, number, truth) for truth, faces, number in found])


def observer(free: bool) -> FaceAnalyzer:
    """Return the analyzer, of the default or of the free set, for what the expression network will see."""
    return FaceAnalyzer(threads=1, weights="free" if free else None)


class Recorder:
    """Stands for an analyzer's expression network and keeps what it would see of the last photo."""

    features: Floats

    def stand_in(self, analyzer: FaceAnalyzer) -> None:
        """Take the place of the expression network; the analyzer's own answers are zeros from then on."""
        analyzer.expression_net = cast(ExpressionNet, self)

    def __call__(
        self, features: Sequence[Floats], meshes_mm: Sequence[Floats], _: Sequence[Floats]
    ) -> list[Motion]:
        """Keep the features; answer with zeros."""
        (self.features,), count = features, len(meshes_mm[0])
        return [Motion(np.zeros((count, len(ARKIT52))), np.zeros((count, 2, 3)), np.zeros((count, 2)))]

    def sample(self, faces: Faces, number: int, truth: Truth) -> tuple[Floats, ...]:
        """Return the values of :class:`ExpressionSamples` for one face of the last photo."""
        face = faces[number]
        points = in_canonical_frame(face.mesh_mm[None])[0]
        return (points, face.rotation, *truth, self.features[number])


def make_samples(
    data: Path, count: int, out: Path, seed: int = 0, split: str = "train", free: bool = False
) -> list[Path]:
    """Render and analyze a set; finished shards ``expression_0000.npz`` … of ``out`` are kept.

    A free set is made of free sources alone, and analyzed by the free weights.
    """
    analyzer, model = observer(free), load_model(data / MODEL_FILE)
    studio = None
    if free:
        backgrounds, studio = load_studio(data, split)
    else:
        backgrounds = load_backgrounds(data / "backgrounds", split)
    shards = [out / f"expression_{start // SHARD:04d}.npz" for start in range(0, count, SHARD)]
    with tqdm(total=count, desc=f"{split} heads", unit="head") as bar:
        for shard, start in zip(shards, range(0, count, SHARD), strict=True):
            numbers = range(start, min(start + SHARD, count))
            if not shard.is_file():
                heads = rendered_samples(model, backgrounds, numbers, seed, split, studio)
                save_samples(shard, analyzed(views_of(_counted(heads, bar), model), analyzer))
            else:
                bar.update(len(numbers))
    return shards


def _counted(heads: Iterator[Sample], bar: Any) -> Iterator[Sample]:
    for head in heads:
        yield head
        bar.update()


def save_samples(path: Path, samples: ExpressionSamples) -> None:
    """Write a shard."""
    save_npz(path, **{f.name: getattr(samples, f.name) for f in fields(samples)})


def trust_in(is_rendered: bool) -> Floats:
    """Return how far the coefficients (52,) of rendered heads, or those fitted to real faces, are true."""
    fitted = [name.removesuffix("Left").removesuffix("Right") in TRUSTED_FITS for name in ARKIT52]
    return np.where(np.array(fitted) | is_rendered, 1, FIT_TRUST).astype(np.float32)


def read_samples(folder: Path, held_out: float) -> tuple[ExpressionSamples, Floats, ExpressionSamples]:
    """Read the shards of a folder: samples for training, and for validation rendered heads alone.

    Args:
        folder: of the shards.
        held_out: share of each shard of rendered heads, its last ones, that is for validation.

    Returns:
        Samples for training, the trust (N, 52) in their coefficients, samples for validation.

    Raises:
        InputError: there is no shard, or none of rendered heads.
    """
    parts, checks, trust = list[ExpressionSamples](), list[ExpressionSamples](), list[Floats]()
    for shard in sorted(folder.glob("expression_*.npz")):
        with np.load(shard) as arrays:
            samples = ExpressionSamples(**{f.name: arrays[f.name] for f in fields(ExpressionSamples)})
        is_rendered = not shard.name.startswith(FACES_PREFIX)
        known = len(samples) - round(held_out * len(samples)) * is_rendered
        parts.append(samples[:known])
        trust.append(np.tile(trust_in(is_rendered), (known, 1)))
        checks += [samples[known:]] if is_rendered else []
    if not checks:
        raise InputError(
            f"expected expression_0000.npz … in {str(folder)!r}; make them by `facegeom lab expressions`"
        )
    training, validation = map(ExpressionSamples.concatenate, (parts, checks))
    return training, np.concatenate(trust), validation
