"""Compare the answers of this processor with those of others, which QEMU emulates, and both kinds of weights.

    python tests/tools/processors.py Haswell Nehalem [--qemu qemu-x86_64-static] [--photos DIR]

Haswell has AVX2 and no dot products of bytes (VNNI), Nehalem has SSE 4.2. The emulator is a hundred times
slower than the processor. Photos are copies of the packaged portrait made here, or those of ``--photos``.
"""

import argparse
import os
import subprocess
import sys
from importlib.resources import files
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np
from PIL import Image, ImageEnhance

from facegeom import FaceAnalyzer

Answers = dict[str, np.ndarray]
ARRAYS = ("box_xyxy", "score", "landmarks_px", "mesh_px", "mesh_confidence", "rotation", "translation_mm")
WEIGHTS = ("int8", "float32")


def photos(folder: Path | None) -> list[np.ndarray]:
    """Return the photos (H, W, 3) of a folder, or copies of the portrait: turned, dark, small, large, cut."""
    if folder:
        return [np.asarray(Image.open(path).convert("RGB")) for path in sorted(folder.iterdir())]
    portrait = Image.open(str(files("facegeom") / "data" / "astronaut.jpg")).convert("RGB")
    made = [portrait.rotate(angle) for angle in (0, 10, -20, 35)]
    made += [ImageEnhance.Brightness(portrait).enhance(factor) for factor in (0.3, 1.6)]
    made += [portrait.resize((side, side)) for side in (200, 1600)] + [portrait.crop((60, 0, 300, 400))]
    return [np.asarray(photo) for photo in made]


def write(out: Path, folder: Path | None) -> None:
    """Analyze the photos with both kinds of weights on the processor that runs this."""
    found = {}
    for weights in WEIGHTS:
        analyzer = FaceAnalyzer(threads=1, weights=weights)
        for number, photo in enumerate(photos(folder)):
            faces = analyzer(photo)
            found |= {f"{weights} {number} {name}": getattr(faces, name) for name in ARRAYS}
    np.savez(out, **found)


def compare(first: Answers, second: Answers, weights: tuple[str, str]) -> str:
    """Return a row of the table: largest differences over all faces of all photos."""
    eyes, worst, faces, count = [], np.zeros(5), 0, 0
    while f"{weights[0]} {count} score" in first:
        one, other = (
            {name: answers[f"{each} {count} {name}"] for name in ARRAYS}
            for answers, each in zip((first, second), weights, strict=True)
        )
        count += 1
        if len(one["score"]) != len(other["score"]):
            return f"{len(one['score'])} and {len(other['score'])} faces in photo {count}"
        faces += len(one["score"])
        width = np.linalg.norm(one["mesh_px"][:, 33, :2] - one["mesh_px"][:, 263, :2], axis=1)
        apart = np.linalg.norm(one["mesh_px"] - other["mesh_px"], axis=2) / width[:, None]
        eyes += apart.mean(axis=1).tolist()
        chord = np.linalg.norm(one["rotation"] - other["rotation"], axis=(1, 2)) / np.sqrt(8)
        changes = [100 * apart, np.rad2deg(2 * np.arcsin(chord))]  # exact for small angles, as no arccos is
        changes += [abs(one[name] - other[name]) for name in ("score", "box_xyxy", "translation_mm")]
        worst = np.maximum(worst, [each.max(initial=0) for each in changes])
    cells = [f"{100 * float(np.mean(eyes)):.2g}", *(f"{each:.2g}" for each in worst)]
    return " | ".join([str(faces), *cells])


def main() -> None:
    """Read the arguments; one process for each processor."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("processors", nargs="*", help="names of `qemu-x86_64-static -cpu help`")
    parser.add_argument("--qemu", default="qemu-x86_64-static")
    parser.add_argument("--photos", type=Path)
    parser.add_argument("--write", type=Path, help=argparse.SUPPRESS)
    given = parser.parse_args()
    if given.write:
        return write(given.write, given.photos)
    commands: dict[str, list[str]] = {"this": []}
    commands |= {name: [given.qemu, "-cpu", name] for name in given.processors}
    found = {}
    with TemporaryDirectory() as folder:
        for name, prefix in commands.items():
            out = Path(folder) / f"{name}.npz"
            options = ["--photos", str(given.photos)] if given.photos else []
            run = [*prefix, sys.executable, __file__, "--write", str(out), *options]
            done = subprocess.run(run, env=os.environ | {"OMP_NUM_THREADS": "1"}, stderr=subprocess.PIPE)
            if done.returncode:
                raise SystemExit(f"{' '.join(run)} failed: {done.stderr.decode()[-2000:]}")
            found[name] = dict(np.load(out))
    print("| compared | faces | mesh, mean, % | worst point, % | rotation, ° | score | box, px | place, mm |")
    print("|---|---|---|---|---|---|---|---|")
    for name in given.processors:
        for weights in WEIGHTS:
            row = compare(found["this"], found[name], (weights, weights))
            print(f"| {weights}: this processor, {name} | {row} |")
    print(f"| this processor: int8, float32 | {compare(found['this'], found['this'], WEIGHTS)} |")


if __name__ == "__main__":
    main()
