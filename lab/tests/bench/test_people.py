"""Groups of people: luminance of a face, who belongs to which group, and the same heads in other tones."""

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from facegeom.geometry import topology
from facegeom.geometry.rotation import rotation_from_angles
from facegeom.results import Faces
from facegeom_lab.bench.accuracy import people
from facegeom_lab.bench.accuracy.people import PAINTED, _groups, _Labelled, luminance
from facegeom_lab.bench.context import Bench
from facegeom_lab.bench.rotation.rendered import RenderedHeads
from facegeom_lab.datasets.published.pack import LabelledPhoto
from facegeom_lab.synth.appearance import SKIN_RAMP

HEAD = topology.canonical68_mm()[:, :2].astype(np.float64) + 100


@pytest.mark.parametrize(("grey", "expected"), [(0, 0), (119, 50), (255, 100)])
def test_luminance_is_that_inside_the_outline(tmp_path: Path, grey: int, expected: float) -> None:
    """A grey of 119 has L* 50; what lies outside of the face does not count."""
    pixels = np.full((240, 240, 3), 255 - grey, np.uint8)
    low, high = np.floor(HEAD.min(axis=0)).astype(int), np.ceil(HEAD.max(axis=0)).astype(int)
    pixels[low[1] : high[1] + 1, low[0] : high[0] + 1] = grey
    Image.fromarray(pixels).save(tmp_path / "a.png")
    photo = LabelledPhoto(tmp_path / "a.png", "x", 1, landmarks_px=HEAD[None])
    assert luminance(photo) == pytest.approx([expected], abs=1)


def test_every_face_is_in_one_group_of_each_kind() -> None:
    rng = np.random.default_rng(0)
    light, yaw, pitch = rng.uniform(0, 100, 90), rng.uniform(-80, 80, 90), rng.uniform(-40, 40, 90)
    groups = _groups(_Labelled(np.zeros((90, 2)), light, yaw, pitch), np.quantile(light, [1 / 3, 2 / 3]))
    for kind in ("luminance", "yaw", "pitch"):
        assert (sum(chosen.astype(int) for (by, _), chosen in groups.items() if by == kind) == 1).all()
    assert [int(chosen.sum()) for (by, _), chosen in groups.items() if by == "luminance"] == [30, 30, 30]
    assert (pitch[groups["pitch", "up, beyond 10°"]] > 10).all()


def test_the_head_under_lifted_points_is_lifted() -> None:
    """The sign by which faces are called up and down."""
    lifted = topology.canonical68_mm().astype(np.float64) @ rotation_from_angles(0, 20, 0).T
    faces = _Labelled(np.zeros((1, 2)), np.zeros(1), *people.angles(lifted[None, :, :2]))
    assert _groups(faces, np.array([1, 2]))["pitch", "up, beyond 10°"].all()


def test_photos_and_painted_heads(
    pack: Path,
    tmp_path: Path,
    make_analyzer: Callable[[], Callable[..., Faces]],
    analyzer_nme: float,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """The fake analyzer errs equally on all photos, and finds no face in dark ones: the last tone."""
    val = Bench(pack, tmp_path, make_analyzer(), {}).scene_sets()["val scenes"][0]
    photos = []
    for number in range(2 * len(SKIN_RAMP)):
        path = tmp_path / f"{number}.png"
        Image.new("RGB", (64, 48), (20 if number >= 2 * len(SKIN_RAMP) - 2 else 200,) * 3).save(path)
        photos.append(replace(val, path=path))
    eyes = np.tile(np.eye(3), (len(photos), 1, 1))
    heads = RenderedHeads(photos, eyes, eyes, np.zeros((len(photos), 3)))
    monkeypatch.setattr(people, "render_heads", lambda *_: heads)
    by_photo, painted = people.people(Bench(pack, tmp_path, make_analyzer(), {}), replace(PAINTED, count=2))
    rows = [row for row in by_photo.rows if row[1] == "luminance"]
    assert sum(int(str(row[-1])) for row in rows) == 4
    assert [row[3] for row in rows if row[-1]] == pytest.approx(
        [analyzer_nme] * sum(bool(r[-1]) for r in rows)
    )
    assert [row[-2] for row in painted.rows] == [100.0] * (len(SKIN_RAMP) - 1) + [0.0]
    assert painted.rows[1][2] == pytest.approx(analyzer_nme) and painted.rows[1][3:5] == (0.0, 0.0)
    assert painted.rows[-1][2:8] == (None,) * 6


def test_each_head_is_drawn_in_every_tone() -> None:
    scenes = list(replace(PAINTED, count=3).scenes())
    assert [scene["tone"] for _, scene in scenes] == np.repeat(np.arange(len(SKIN_RAMP)), 3).tolist()
    first, again = scenes[1], scenes[4]
    assert first[0].random() == again[0].random() and (first[1]["seen"] == again[1]["seen"]).all()
