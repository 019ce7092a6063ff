"""Teachers of rotations see faces as the runtime does."""

import numpy as np

from facegeom.geometry.boxes import square
from facegeom.image.crop import crop_images
from facegeom.image.pyramid import Pyramid
from facegeom.models import face
from facegeom_lab.teachers.pose import FaceTeacher


def test_the_face_network_teaches_from_the_crops_of_the_runtime() -> None:
    """A large face at the photo's corner: reduced in steps, and black beyond the photo."""
    image = np.random.default_rng(0).integers(60, 255, (700, 700, 3), np.uint8)
    squares = np.array([[-80.0, -80.0, 420.0, 420.0]])
    seen: list[np.ndarray] = []
    teacher = FaceTeacher()
    teacher.engine = lambda crops: seen.append(crops) or [None, None, np.zeros((1, 6))]  # type: ignore[assignment]
    teacher(image, squares, np.full((1, 3, 3), np.nan))
    expected = crop_images(
        [Pyramid(image)], [square(squares, face.CROP_SCALE)], face.CROP_PX, face.REDUCING_GAP, face.OUTSIDE
    )
    np.testing.assert_array_equal(seen[0], expected)
    assert (seen[0][0, :20, :20] == 0).all()
