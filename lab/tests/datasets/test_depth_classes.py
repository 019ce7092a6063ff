"""Classes of depth behind the nose tip."""

import numpy as np

from facegeom_lab.datasets.depth_classes import CLASSES, to_classes


def test_classes_are_counted_from_the_nose_tip() -> None:
    depth = np.array([-200, -80, -76.1, -75.9, 0, 3.9, 4, 119, 500, 50])
    face = np.array([True] * 9 + [False])
    assert to_classes(depth, face).tolist() == [1, 1, 1, 2, 21, 21, 22, 50, 50, 0]


def test_count_of_classes() -> None:
    assert CLASSES == 51
