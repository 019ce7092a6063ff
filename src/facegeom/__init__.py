"""facegeom: one photo in, the geometry of every face out.

>>> from facegeom import FaceAnalyzer
>>> faces = FaceAnalyzer()("photo.jpg")  # doctest: +SKIP
"""

from facegeom.analyzer import FaceAnalyzer, analyze
from facegeom.errors import FacegeomError, ImageError, InputError, OutputError, WeightsError
from facegeom.head_pose import HeadPoseDetector, PoseDetector
from facegeom.results import Face, Faces, Pose, Poses

__all__ = [
    "Face",
    "FaceAnalyzer",
    "FacegeomError",
    "Faces",
    "HeadPoseDetector",
    "ImageError",
    "InputError",
    "OutputError",
    "Pose",
    "PoseDetector",
    "Poses",
    "WeightsError",
    "__version__",
    "analyze",
]

__version__ = "0.2.0"
