"""Studios: light of panoramas, what people wear, sets from free sources alone."""

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from facegeom.errors import InputError, OutputError
from facegeom_lab.synth import generate
from facegeom_lab.synth.appearance import find_masks
from facegeom_lab.synth.lights import make_probe, probe_backdrop, probe_light, read_probes
from facegeom_lab.synth.mesh import ellipsoid, plain
from facegeom_lab.synth.model import HeadModel
from facegeom_lab.synth.rasterise import vertex_normals
from facegeom_lab.synth.scene import render
from facegeom_lab.synth.shade import harmonic_basis, shade
from facegeom_lab.synth.wardrobe import Studio, dress, hat, hood, mask

UNIFORM = np.full((64, 128, 3), 0.7, np.float32)


def sunny() -> np.ndarray:
    """Return a dim place with a sun straight behind the camera: direction -z, the middle column."""
    panorama = np.full((128, 256, 3), 0.2, np.float32)
    panorama[62:66, 126:130] = 400
    return panorama


def test_light_from_everywhere_is_the_same_on_all_sides() -> None:
    probe = make_probe(UNIFORM)
    assert probe.directions.shape == (0, 3)
    normals = np.random.default_rng(0).standard_normal((50, 3))
    normals /= np.linalg.norm(normals, axis=1, keepdims=True)
    np.testing.assert_allclose(harmonic_basis(normals) @ probe.harmonics, 1, atol=0.02)


def test_a_sun_becomes_a_lamp() -> None:
    probe = make_probe(sunny())
    assert len(probe.directions) == 1
    assert probe.directions[0] @ [0, 0, -1] > 0.99
    assert probe.colours[0].mean() > 1


def test_light_turns_with_its_lamps() -> None:
    panorama = np.full((64, 128, 3), 0.1, np.float32)
    panorama[10:25, 20:50] = 0.35  # too dim for a lamp, brightest at one side
    panorama[30:34, 62:66] = 60
    probe = make_probe(panorama)
    light, _ = probe_light(np.random.default_rng(4), probe)
    turned = light.harmonics
    assert turned is not None
    around = np.random.default_rng(1).standard_normal((400, 3))
    around /= np.linalg.norm(around, axis=1, keepdims=True)
    before, after = (harmonic_basis(around) @ each[:, 1] for each in (probe.harmonics, turned))
    angle = [
        np.dot(around[values.argmax()], lamp)
        for values, lamp in ((before, probe.directions[0]), (after, light.directions[0]))
    ]
    assert abs(angle[0] - angle[1]) < 0.15  # the brightest side keeps its place beside the lamp


def test_a_backdrop_shows_the_place_behind_the_head() -> None:
    behind = np.full((64, 128, 3), 0.05, np.float32)
    behind[:, :20] = behind[:, -20:] = 1  # column 0: straight ahead of the camera
    probe = make_probe(behind)
    view = probe_backdrop(np.random.default_rng(0), probe, 0.0, (40, 30))
    assert view.shape == (30, 40, 3)
    assert view.min() > 0.3 * view.max()


def test_no_probes(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="expected light probes"):
        read_probes(tmp_path)


def test_harmonics_light_the_side_they_come_from() -> None:
    panorama = np.full((64, 128, 3), 0.02, np.float32)
    panorama[:32] = 1
    probe = make_probe(panorama)
    vertices, triangles = ellipsoid([0, 0, 0], [50, 50, 50])
    light, _ = probe_light(np.random.default_rng(0), probe)
    ball = plain(vertices, triangles, (0.5, 0.5, 0.5))
    bright = shade(ball, light, np.eye(3)).mean(axis=1)
    up = -vertex_normals(ball.vertices, triangles)[:, 1]
    assert bright[up > 0.7].mean() > 2 * bright[up < -0.7].mean()


def test_a_meter_sets_the_exposure() -> None:
    probe = make_probe(UNIFORM)
    vertices, triangles = ellipsoid([0, 0, 0], [50, 50, 50])
    light, _ = probe_light(np.random.default_rng(0), probe)
    ball = plain(vertices, triangles, (0.1, 0.1, 0.1))
    once, twice = (shade(ball, light, np.eye(3), exposure=lambda *_, f=factor: f) for factor in (1.0, 2.0))
    np.testing.assert_allclose(twice, 2 * once, rtol=1e-5)


def test_a_mask_covers_the_mouth_but_not_the_eyes() -> None:
    vertices, _ = ellipsoid([0, 10, 80], [80, 110, 85], 60, 90)
    marks = np.zeros((68, 3), np.float32)
    marks[[0, 16]] = [(-70, 20, 80), (70, 20, 80)]
    marks[8], marks[28], marks[33] = (0, 95, 0), (0, 5, -5), (0, 35, -8)
    worn = mask(np.random.default_rng(2), vertices, marks)
    front = worn.vertices[np.abs(worn.vertices[:, 0]) < 10]
    assert front[:, 1].min() > -5
    near = vertices[(np.abs(vertices[:, 0]) < 6) & (np.abs(vertices[:, 1] - 60) < 6)]
    assert front[np.abs(front[:, 1] - 60) < 8][:, 2].max() < near[:, 2].min() + 3


@pytest.mark.parametrize("seed", range(4))
def test_hats_and_hoods_leave_the_face_open(seed: int) -> None:
    rng = np.random.default_rng(seed)
    for worn in (*hat(rng), hood(rng)):
        assert np.isfinite(worn.vertices).all()
        assert worn.triangles.max() < len(worn.vertices)
        low = worn.vertices[(worn.vertices[:, 2] < 0) & (np.abs(worn.vertices[:, 0]) < 40)]
        assert (low[:, 1] < 0).all()


def test_a_dressed_person_keeps_her_shape(ball_head: HeadModel) -> None:
    masks = find_masks(ball_head)
    for seed in range(12):
        head = plain(ball_head.neutral_mm.copy(), ball_head.triangles, (0.5, 0.5, 0.5))
        marks = ball_head.neutral_mm[ball_head.landmarks]
        dress(np.random.default_rng(seed), head, ball_head.neutral_mm, marks, masks.skin)
        np.testing.assert_array_equal(head.vertices, ball_head.neutral_mm)
        assert head.albedo.min() > 0


@pytest.fixture
def studio() -> Studio:
    return Studio([make_probe(UNIFORM), make_probe(sunny())])


def test_a_picture_of_a_studio(ball_head: HeadModel, photos: list[np.ndarray], studio: Studio) -> None:
    first, again, plain_one = (
        render(np.random.default_rng(7), ball_head, photos, 64, studio=each)
        for each in (studio, studio, None)
    )
    np.testing.assert_array_equal(first.image, again.image)
    assert first.identity is not None and first.identity.shape == (3,)
    assert not np.array_equal(first.image, plain_one.image)


def test_shards_of_a_studio_hold_the_coefficients(
    ball_head: HeadModel, photos: list[np.ndarray], studio: Studio, tmp_path: Path
) -> None:
    (shard,) = generate.synthesise(ball_head, photos, 2, tmp_path, size=48, studio=studio)
    with np.load(shard) as arrays:
        assert arrays["identity"].shape == (2, 3) and arrays["expression"].shape == (2, 2)
    with pytest.raises(OutputError, match="choose another folder"):
        generate.synthesise(ball_head, photos, 2, tmp_path, size=48)


def test_a_free_set_reads_free_sources_alone(
    ball_head: HeadModel, studio: Studio, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = tmp_path / "data" / "free" / "backgrounds"
    folder.mkdir(parents=True)
    for number in range(11):
        Image.new("RGB", (64, 64), (number, 0, 0)).save(folder / f"flowers_{number:04d}.jpg")
    monkeypatch.setattr(generate, "load_model", lambda _: ball_head)
    monkeypatch.setattr(generate, "read_probes", lambda _: studio.probes)
    assert len(generate.run(tmp_path / "data", 1, tmp_path / "heads", size=48, free=True)) == 1
    with pytest.raises(InputError, match="leave out the Basel Face Model"):
        generate.run(tmp_path / "data", 1, tmp_path / "b", size=48, free=True, model=tmp_path / "bfm.h5")
    generate.render_backs(tmp_path / "data", tmp_path / "backs.npz", 2)
    with np.load(tmp_path / "backs.npz") as arrays:
        assert arrays["crops"].shape == (2, 128, 128, 3)
