"""MediaPipe Face Mesh as a teacher: runs under an interpreter of its own, knows nothing of facegeom.

``python mediapipe_worker.py PICTURES.txt OUT.npz``: one picture per line. The face nearest to the
middle of each picture is meshed twice, as it is and mirrored, so that the caller can measure how much
the teacher agrees with itself. MediaPipe 0.10.21 wants numpy < 2 and an old protobuf; that is why
it lives in a separate environment (see ``facegeom.lab.teachers.mediapipe``).
"""

import sys

import cv2
import mediapipe
import numpy as np
from mediapipe.python.solutions import face_mesh, face_mesh_connections

POINTS = 478


def central_mesh(mesher, picture_rgb):
    """Mesh (478, 3) in pixels, pixel centres at integers, of the face nearest to the middle; None if none."""
    height, width = picture_rgb.shape[:2]
    answer = mesher.process(picture_rgb).multi_face_landmarks
    if not answer:
        return None
    meshes = np.array([[(p.x, p.y, p.z) for p in face.landmark] for face in answer], np.float32)
    distance = np.linalg.norm(meshes[:, :, :2].mean(axis=1) - 0.5, axis=1)
    mesh = meshes[distance.argmin()] * (width, height, width)
    mesh[:, :2] -= 0.5  # MediaPipe's frame spans [0, 1] from edge to edge
    return mesh


def main(list_file, out_file):
    with open(list_file, encoding="utf-8") as lines:
        files = [line.rstrip("\n") for line in lines]
    mesh = np.full((len(files), POINTS, 3), np.nan, np.float32)
    mirrored = mesh.copy()
    with face_mesh.FaceMesh(
        static_image_mode=True, refine_landmarks=True, max_num_faces=3, min_detection_confidence=0.3
    ) as mesher:
        for index, file in enumerate(files):
            picture = cv2.imread(file, cv2.IMREAD_COLOR)
            if picture is None:
                raise SystemExit(f"cannot read the picture {file}")
            rgb = cv2.cvtColor(picture, cv2.COLOR_BGR2RGB)
            for target, view in ((mesh, rgb), (mirrored, np.ascontiguousarray(rgb[:, ::-1]))):
                found = central_mesh(mesher, view)
                if found is not None:
                    target[index] = found
            print(index + 1, flush=True)
    edges = np.array(sorted(face_mesh_connections.FACEMESH_TESSELATION), np.int16)
    np.savez(out_file, mesh=mesh, mirrored=mirrored, edges=edges, version=mediapipe.__version__)


if __name__ == "__main__":
    main(*sys.argv[1:])
