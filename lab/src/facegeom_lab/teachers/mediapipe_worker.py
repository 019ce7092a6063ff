"""MediaPipe as a teacher of meshes: runs under an interpreter of its own, knows nothing of facegeom.

``python mediapipe_worker.py MOST [MODEL.task]`` finds at most so many faces a picture, by the Face Mesh
that is in the package, or by the Face Landmarker of a model file. MediaPipe 0.10.21 wants numpy < 2 and an
old protobuf; that is why it lives in a separate environment (see ``facegeom_lab.teachers.mesher``).

The first line on stdout is JSON: ``{"version", "edges": [[a, b], ...]}``. Then each request on stdin is a
line ``{"width", "height"}`` and the picture, RGB bytes; its answer a line ``{"plain": F, "mirrored": G}``
and F + G meshes of 478 x 3 float32: those of the picture as it is, those of its mirror image.
"""

import json
import os
import sys

import mediapipe
import numpy as np
from mediapipe.python.solutions import face_mesh, face_mesh_connections

POINTS = 478
LEAST_SCORE = 0.3


def solution(most):
    """The Face Mesh of the package: a function from a picture to the points of each face."""
    mesher = face_mesh.FaceMesh(
        static_image_mode=True,
        refine_landmarks=True,
        max_num_faces=most,
        min_detection_confidence=LEAST_SCORE,
    )
    return lambda rgb: [face.landmark for face in mesher.process(rgb).multi_face_landmarks or []]


def task(most, model):
    """The Face Landmarker of a ``.task`` file: the same function."""
    from mediapipe.tasks.python import BaseOptions, vision

    options = vision.FaceLandmarkerOptions(
        base_options=BaseOptions(model_asset_path=model),
        num_faces=most,
        min_face_detection_confidence=LEAST_SCORE,
        min_face_presence_confidence=LEAST_SCORE,
    )
    landmarker = vision.FaceLandmarker.create_from_options(options)
    rgb_format = mediapipe.ImageFormat.SRGB
    return lambda rgb: landmarker.detect(mediapipe.Image(image_format=rgb_format, data=rgb)).face_landmarks


def meshes(find, rgb):
    """(F, 478, 3) pixels, pixel centres at integers, z on the scale of x."""
    height, width = rgb.shape[:2]
    faces = [[(point.x, point.y, point.z) for point in face] for face in find(rgb)]
    found = np.array(faces, np.float32).reshape(-1, POINTS, 3)
    found *= (width, height, width)
    found[..., :2] -= 0.5  # MediaPipe's frame spans [0, 1] from edge to edge
    return found


def serve(find, requests, replies):
    """Answer until the requests end."""
    edges = sorted(face_mesh_connections.FACEMESH_TESSELATION)
    _reply(replies, {"version": mediapipe.__version__, "edges": edges})
    for line in iter(requests.readline, b""):
        size = json.loads(line)
        pixels = requests.read(size["width"] * size["height"] * 3)
        rgb = np.frombuffer(pixels, np.uint8).reshape(size["height"], size["width"], 3)
        plain, mirrored = meshes(find, rgb), meshes(find, np.ascontiguousarray(rgb[:, ::-1]))
        _reply(
            replies,
            {"plain": len(plain), "mirrored": len(mirrored)},
            plain.tobytes() + mirrored.tobytes(),
        )


def _reply(replies, head, body=b""):
    replies.write(json.dumps(head).encode() + b"\n" + body)
    replies.flush()


def main(most, model=None):
    replies = os.fdopen(os.dup(1), "wb")
    os.dup2(2, 1)  # whatever MediaPipe prints goes to stderr
    find = task(int(most), model) if model else solution(int(most))
    serve(find, sys.stdin.buffer, replies)


if __name__ == "__main__":
    main(*sys.argv[1:])
