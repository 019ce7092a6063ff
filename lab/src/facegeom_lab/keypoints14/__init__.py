"""The compact task: 14 points of one tightly cropped face, by two functions.

>>> from facegeom_lab.keypoints14 import SHIPPED, detect, train_detector
>>> train_detector("train/gt.csv", "train/images")  # writes facepoints_model.ckpt
>>> detect("facepoints_model.ckpt", "test/images")["00000.jpg"]  # x1, y1, …, x14, y14
"""

from facegeom_lab.keypoints14.detection import detect
from facegeom_lab.keypoints14.network import SHIPPED
from facegeom_lab.keypoints14.train import train_detector

__all__ = ["SHIPPED", "detect", "train_detector"]
