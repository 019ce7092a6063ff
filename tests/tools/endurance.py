"""Analyze photos again and again: the memory must not grow, the answers must not change.

    python tests/tools/endurance.py [--count 100000] [--threads 1]

Photos are the packaged portrait at several sizes, a wall, and damaged files; a part of them goes through
``batch``, ``at``, drawing and JSON. Prints the memory that the process holds after each twentieth, and fails
if it grows by more than 5 % in the second half, or if an answer differs from the first one. Many threads fill
their allocators' pools for some thousand analyses.
"""

import argparse
import gc
import hashlib
import json
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from importlib.resources import files
from io import BytesIO
from itertools import cycle, islice
from pathlib import Path

import numpy as np
from PIL import Image

from facegeom import FaceAnalyzer, FacegeomError, Faces

MOST_GROWTH = 0.05


def photos() -> list[bytes]:
    """Return encoded photos of several sizes and formats, and damaged ones."""
    encoded = []
    with Image.open(str(files("facegeom") / "data" / "astronaut.jpg")) as portrait:
        for kind, side in (("JPEG", 192), ("PNG", 160), ("WEBP", 256), ("JPEG", 512)):
            stream = BytesIO()
            portrait.resize((side, side)).save(stream, kind)
            encoded.append(stream.getvalue())
    stream = BytesIO()
    Image.new("RGB", (300, 200), "white").save(stream, "JPEG")
    return [*encoded, stream.getvalue(), encoded[0][:700], encoded[1][:300], b"words"]


def answer(analyzer: FaceAnalyzer, photo: bytes, number: int) -> str:
    """Return a hash of what one of several ways gives for a photo."""
    try:
        faces = analyzer.batch([photo, photo])[1] if number % 5 == 0 else analyzer(photo)
        if number % 7 == 0 and len(faces):
            faces.draw(photo)
            Faces.from_dict(json.loads(json.dumps(faces.to_dict())))
            analyzer.at(photo, faces.box_xyxy)
    except FacegeomError as error:
        return str(error)
    return hashlib.sha256(np.concatenate([faces.mesh_px, faces.mesh_mm]).tobytes()).hexdigest()


def resident_bytes() -> int:
    """Return the memory that the process holds."""
    gc.collect()
    return int(Path("/proc/self/statm").read_text().split()[1]) * 4096


def run(count: int, threads: int) -> list[int]:
    """Analyze so many photos; return the memory after each twentieth."""
    analyzer, sources = FaceAnalyzer(threads=1), photos()
    expected = [answer(analyzer, photo, 1) for photo in sources]
    held = []
    with ThreadPoolExecutor(threads) as pool:
        numbers = iter(range(count))
        for _ in range(20):
            chosen = list(islice(numbers, max(1, count // 20)))
            turn = list(islice(cycle(sources), len(chosen)))
            found = list(pool.map(partial(answer, analyzer), turn, chosen))
            wrong = [each for each, right in zip(found, cycle(expected), strict=False) if each != right]
            if wrong:
                raise SystemExit(f"{len(wrong)} answers differ from the first ones, such as {wrong[0]}")
            held.append(resident_bytes())
            print(f"{held[-1] / 1e6:.1f} MB", flush=True)
    return held


def main() -> None:
    """Run the command."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--count", type=int, default=100_000)
    parser.add_argument("--threads", type=int, default=1)
    given = parser.parse_args()
    held = run(given.count, given.threads)
    growth = held[-1] / held[9] - 1
    print(f"{given.count:,} analyses in {given.threads} threads: {growth:+.1%}, no answer differs")
    raise SystemExit(growth > MOST_GROWTH)


if __name__ == "__main__":
    main()
