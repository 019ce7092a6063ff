"""Damage photos, videos, JSON and weights with a sense of their structure, and read them.

    python tests/tools/fuzz.py [--count 20000] [--seed 1] [--targets photo,video,json,weights] [--finds DIR]

Each input must end in a result or an error of facegeom, within 2 s of processor time and 500 MB of memory
beyond what a process with the libraries takes. Inputs are read in worker processes, so that one that kills
its process is a find, too. Finds are stored; those that were mended lie in ``tests/corpus``, where pytest
reads them again. The same seed gives the same inputs.
"""

import argparse
import json
import multiprocessing
import os
import resource
import sys
import tempfile
import time
import warnings
import zlib
from collections import Counter
from collections.abc import Callable, Iterator
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
from damage import faces_json, mutations, networks, photos, videos

from facegeom import Faces
from facegeom.errors import FacegeomError
from facegeom.image import reading
from facegeom.image.reading import FaceSize
from facegeom.models import weights
from facegeom.models.engine import Engine

MOST_S, MOST_BYTES = 2.0, 500_000_000
MAX_PIXELS = 1_000_000
"""Larger photos are refused in these runs: 100 million pixels take longer than 2 s when they are sound."""

CHUNK = 100


def read_photo(data: bytes, number: int) -> None:
    """Read a photo in one of several ways."""
    if number % 3 == 0:
        reading.header_size_wh(data)
    decoded = reading.decode(data, FaceSize(float(1 << number % 5)) if number % 2 else None)
    pixels = decoded.pixels
    assert pixels.dtype == np.uint8 and pixels.ndim == 3 and pixels.shape[2] == 3 and pixels.size
    assert decoded.fov_deg is None or 1 <= decoded.fov_deg <= 160


def read_video(data: bytes, number: int) -> None:
    from facegeom.video.reading import open_video

    with tempfile.NamedTemporaryFile(suffix=".mp4") as file:
        file.write(data)
        file.flush()
        with open_video(file.name) as video:
            for count, frame in enumerate(video):
                assert frame.pixels.ndim == 3
                if count > 200:
                    break


def read_json(data: bytes, number: int) -> None:
    try:
        content = json.loads(data)
    except (ValueError, RecursionError):
        return  # what json raises is not ours
    faces = Faces.from_dict(content)
    faces.to_rows(True)
    assert len(faces.to_dict()["faces"]) == len(faces)
    faces.draw(
        np.zeros((faces.height, faces.width, 3), np.uint8)
    ) if faces.width * faces.height < 1e6 else None


def read_network(data: bytes, number: int) -> None:
    """Load a file in the place of one that ships; half of the bytes are whole, which must be noticed."""
    path = weights.path("rnet")
    weights.check(path, data)
    Engine(path)(np.zeros((1, 24, 24, 3), np.uint8))


TARGETS: dict[str, tuple[Callable[[], dict[str, bytes]], Callable[[bytes, int], None], float]] = {
    "photo": (photos, read_photo, 0.7),
    "video": (videos, read_video, 0.1),
    "json": (faces_json, read_json, 0.1),
    "weights": (networks, read_network, 0.1),
}
"""Samples, reader, and share of the inputs."""


def outcome_of(target: str, data: bytes, number: int) -> str:
    """Read an input; return what came of it: "read", the class of an error, or what is wrong."""
    started, before = time.process_time(), _peak_bytes()
    try:
        TARGETS[target][1](data, number)
        outcome = "read"
    except FacegeomError as error:
        assert str(error)
        outcome = type(error).__name__
    except Exception as error:
        return f"FIND raised {type(error).__name__}: {error}"[:200]
    took, grown = time.process_time() - started, _peak_bytes() - before
    if took > MOST_S:
        return f"FIND took {took:.1f} s"
    return f"FIND took {grown >> 20} MB" if grown > MOST_BYTES else outcome


def _peak_bytes() -> int:
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss << 10


@cache
def samples(target: str) -> dict[str, bytes]:
    return TARGETS[target][0]()


def _run_chunk(target: str, seed: int, begin: int, end: int, results: Any, current: Any) -> None:
    reading.MAX_PIXELS = MAX_PIXELS
    warnings.simplefilter("ignore")
    os.dup2(os.open(os.devnull, os.O_WRONLY), 2)  # libtiff says much about damaged files
    for number, (name, data) in enumerate(mutations(samples(target), seed)):
        if begin <= number < end:
            current.value = number
            results.put((number, name, outcome_of(target, data, number)))
        elif number >= end:
            return


def run(target: str, count: int, seed: int) -> Iterator[tuple[str, str, bytes]]:
    """Yield outcome, name and content of every input, read in worker processes."""
    samples(target)
    context = multiprocessing.get_context("fork")
    for chunk in range(0, count, CHUNK):
        begin, end = chunk, min(count, chunk + CHUNK)
        content = dict(enumerate(data for _, data in _few(mutations(samples(target), seed + chunk), CHUNK)))
        begin, end = 0, end - begin
        while begin < end:
            results, current = context.SimpleQueue(), context.Value("q", begin)
            arguments = (target, seed + chunk, begin, end, results, current)
            process = context.Process(target=_run_chunk, args=arguments)
            process.start()
            process.join(60 * MOST_S + CHUNK)
            killed = process.is_alive()
            process.kill()
            process.join()
            while not results.empty():
                number, name, outcome = results.get()
                yield outcome, name, content[number]
            if process.exitcode == 0:
                break
            number = int(current.value)
            how = "never ended" if killed else f"ended its process ({process.exitcode})"
            yield f"FIND {how}", "?", content[number]
            begin = number + 1


def _few(stream: Iterator[Any], count: int) -> Iterator[Any]:
    return (each for _, each in zip(range(count), stream, strict=False))


def main() -> None:
    """Run the command."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--count", type=int, default=20_000)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--targets", default=",".join(TARGETS))
    parser.add_argument("--finds", type=Path, default=Path("out/finds"))
    given = parser.parse_args()
    found = 0
    targets = given.targets.split(",")
    total = sum(TARGETS[target][2] for target in targets)
    for target in targets:
        outcomes: Counter[str] = Counter()
        for outcome, name, data in run(target, round(given.count * TARGETS[target][2] / total), given.seed):
            outcomes[outcome if not outcome.startswith("FIND") else "FIND"] += 1
            if outcome.startswith("FIND"):
                found += 1
                given.finds.mkdir(parents=True, exist_ok=True)
                path = given.finds / f"{target}-{zlib.crc32(data):08x}"
                path.write_bytes(data)
                print(f"{path}: {name}, {outcome}", file=sys.stderr)
        print(
            f"{target}: {sum(outcomes.values()):,} inputs, "
            + ", ".join(f"{n:,} {k}" for k, n in outcomes.items())
        )
    raise SystemExit(1 if found else 0)


if __name__ == "__main__":
    main()
