"""Labelled pictures of the face network: the data pack's faces, rendered heads."""

from pathlib import Path

import numpy as np

from facegeom.geometry import topology
from facegeom.geometry.camera import Camera
from facegeom.geometry.rotation import geodesic_deg, rotation_to_line_of_sight
from facegeom_lab.datasets.training.face_labels import FaceLabels, real_faces, rendered_faces


def test_real_faces(training_pack: object) -> None:
    pictures, table = real_faces(training_pack.data, training_pack.labels, "train")
    assert len(pictures) == len(table) == 10  # the one that the teacher doubts is left out
    heads = training_pack.heads[:10]
    for index, head in enumerate(heads):
        masked = index >= 8
        by_hand = head.landmarks + (0 if masked else 1)  # people's points where there are some
        np.testing.assert_allclose(table.landmarks[index], by_hand, atol=1e-4)
        assert (table.landmarks_weight[index] == (0.25 if masked else 1)).all()
        assert table.rotation_weight[index] == (0.3 if masked else 1)
        assert (table.mesh_weight[index] == np.float32(table.rotation_weight[index])).all()
        assert geodesic_deg(table.rotation[index], head.rotation) < 4  # seen from far away, not from 1 m
    assert len(real_faces(training_pack.data, training_pack.labels, "val")[0]) == 4


def test_black_border_is_removed(training_pack: object) -> None:
    first, second = real_faces(training_pack.data, training_pack.labels, "train")[0][:2]
    assert first.shape == (160, 160, 4)
    assert (first[:, :20, 3] == 0).all() and (first[5:-5, 25:-5, 3] == 255).all()
    assert (second[5:-5, 5:-5, 3] == 255).all()


def test_rendered_faces(training_pack: object) -> None:
    shards = sorted(training_pack.rendered.glob("*.npz"))
    pictures, table = rendered_faces(shards * 2)
    assert len(pictures) == len(table) == 6 and pictures[0].shape == (160, 160, 3)
    assert (table.mesh_weight == 0).all()
    frontal, turned = table.landmarks_weight[1], table.landmarks_weight[2]
    assert (frontal == 0.5).all()
    np.testing.assert_allclose(turned[:17], [0] * 8 + [0.15] * 9)  # of the jaw, what is seen, a little
    assert (turned[17:] == 0.5).all()


def test_rendered_meshes_lie_where_the_camera_sees_them(tmp_path: Path, training_pack: object) -> None:
    with np.load(next(training_pack.rendered.glob("*.npz"))) as arrays:
        shard = dict(arrays)
    camera, shard["fov_deg"] = Camera(160, 160, 40.0), np.full(3, 40, np.float32)
    mesh_mm = topology.canonical_mm() + np.array([30, -20, 500.0])
    np.savez(tmp_path / "meshes.npz", **shard, mesh_mm=np.stack([mesh_mm] * 3))
    _, table = rendered_faces([tmp_path / "meshes.npz"])
    np.testing.assert_allclose(table.mesh[0, :, :2], camera.project(mesh_mm), atol=1e-3)
    assert np.abs(table.mesh[..., 2].mean(axis=1)).max() < 1e-4
    scale = camera.focal_px / mesh_mm[:, 2].mean()
    np.testing.assert_allclose(np.ptp(table.mesh[0, :, 2]), scale * np.ptp(mesh_mm[:, 2]), rtol=1e-5)
    eyes, oval = table.mesh_weight[0, [33, 133, 159]], table.mesh_weight[0, [10, 152, 234]]
    assert eyes.min() > 2 * oval.max() > 0  # the teacher's outline follows what is seen, no place of the head


def test_rendered_rotation_is_that_of_the_crop(tmp_path: Path, training_pack: object) -> None:
    """A head beside the camera's axis that looks along the line of sight looks straight in its crop."""
    with np.load(next(training_pack.rendered.glob("*.npz"))) as arrays:
        shard = dict(arrays)
    shard["translation"] = np.array([[300.0, -100, 900]] * 3)
    shard["rotation"] = rotation_to_line_of_sight(shard["translation"])
    np.savez(tmp_path / "aside.npz", **shard)
    _, table = rendered_faces([tmp_path / "aside.npz"])
    np.testing.assert_allclose(table.rotation, np.tile(np.eye(3), (3, 1, 1)), atol=1e-9)


def test_one_table_out_of_two(training_pack: object) -> None:
    train, val = (
        real_faces(training_pack.data, training_pack.labels, split)[1] for split in ("train", "val")
    )
    both = FaceLabels.concatenate([train, val])
    assert len(both) == 14
    np.testing.assert_array_equal(both.rotation[10:], val.rotation)
    np.testing.assert_array_equal(both.landmarks_weight[:10], train.landmarks_weight)
