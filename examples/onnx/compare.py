"""Compare facegeom.onnx with Python on photos: largest difference in pixels, and time in alternating runs.

facegeom export onnx -o facegeom.onnx
python examples/onnx/compare.py facegeom.onnx PHOTO...
"""

import sys
import time
from statistics import median
from typing import Any

import numpy as np
import onnxruntime

from facegeom import FaceAnalyzer
from facegeom.image.reading import read

RUNS = 7


def main(path: str, photos: list[str]) -> None:
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = 1  # processor time says the same on a busy machine
    session = onnxruntime.InferenceSession(path, options, providers=["CPUExecutionProvider"])
    analyzer = FaceAnalyzer(threads=1)
    names = [each.name for each in session.get_outputs()]
    ratios, apart = [], []
    for photo in photos:
        image = read(photo)
        seconds: dict[str, list[float]] = {"python": [], "onnx": []}
        for _ in range(RUNS):
            start = time.process_time()
            faces = analyzer(image)
            middle = time.process_time()
            found: dict[str, Any] = dict(zip(names, session.run(None, {"image": image}), strict=True))
            seconds["onnx"].append(time.process_time() - middle)
            seconds["python"].append(middle - start)
        python_ms, onnx_ms = (median(seconds[name]) * 1e3 for name in ("python", "onnx"))
        ratios.append(onnx_ms / python_ms)
        line = f"{photo}: {python_ms:.1f} ms in Python, {onnx_ms:.1f} ms in ONNX, ratio {ratios[-1]:.2f}"
        if len(faces) != len(found["scores"]) or not len(faces):
            print(f"{line}; {len(faces)} and {len(found['scores'])} faces")
            continue
        between = np.abs(found["mesh_px"][:, None] - faces.mesh_px)[..., :2].max(axis=(2, 3), initial=0)
        each = between.min(axis=0, initial=np.inf)  # equally sure faces may change places
        apart += each.tolist()
        print(f"{line}; {len(faces)} faces, mesh apart by at most {each.max(initial=0):.2f} px")
    within = np.mean(np.array(apart) <= 0.5) if apart else 1.0
    print(
        f"median ratio {median(ratios):.2f}; {len(apart)} faces, {within:.1%} within half a pixel,", end=" "
    )
    print(f"median {median(apart or [0]):.2f} px, largest {max(apart or [0]):.2f} px")


if __name__ == "__main__":
    main(sys.argv[1], sys.argv[2:])
