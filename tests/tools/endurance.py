"""Analyze photos again and again, or a long video: the memory must not grow, the answers must not change.

    python tests/tools/endurance.py [--count 100000] [--threads 1]
    python tests/tools/endurance.py --frames 5000

Photos are the packaged portrait at several sizes, a wall, and damaged files; a part of them goes through
``batch``, ``at``, drawing and JSON. Prints the memory that the process holds after each twentieth, and fails
if it grows by more than 5 % in the second half, or if an answer differs from the first one. Many threads fill
their allocators' pools for some thousand analyses. A video shows one moving face, drawn and written again.
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
from tempfile import TemporaryDirectory

import numpy as np
from PIL import Image

from facegeom import FaceAnalyzer, FacegeomError, Faces

MOST_GROWTH = 0.05
PORTRAIT = str(files("facegeom") / "data" / "astronaut.jpg")


def photos() -> list[bytes]:
    """Return encoded photos of several sizes and formats, and damaged ones."""
    encoded = []
    with Image.open(PORTRAIT) as portrait:
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


def run_video(frames: int) -> list[int]:
    """Analyze a video of so many frames and write its overlay; return the memory after each twentieth.

    The face must be there in each frame, under its number; frames in which something else is taken for a
    face are told.
    """
    import av

    from facegeom.video import FrameAnalyzer, draw_overlay, open_video, open_writer

    held: list[int] = []
    with TemporaryDirectory() as folder, Image.open(PORTRAIT) as portrait:
        clip, photo = f"{folder}/clip.mp4", portrait.convert("RGB")
        with av.open(clip, "w") as container:
            stream = container.add_stream("mpeg4", rate=25, options={"qscale": "3"})
            stream.width, stream.height, stream.pix_fmt = 320, 320, "yuv420p"
            for index in range(frames):
                x = 60 + round(40 * np.sin(index / 20))
                image = photo.rotate(10 * np.sin(index / 15)).crop((x, 0, x + 320, 320))
                container.mux(stream.encode(av.VideoFrame.from_image(image)))
            container.mux(stream.encode(None))
        analyze = FrameAnalyzer(FaceAnalyzer(threads=1))
        with open_video(clip) as video, open_writer(Path(folder, "drawn.mp4"), video) as writer:
            for number, frame in enumerate(video.between(0.0, np.inf), start=1):
                tracked = analyze(frame)
                if 0 not in tracked.ids:
                    raise SystemExit(f"expected the face 0 in frame {number}, got {tracked.ids.tolist()}")
                if len(tracked.ids) > 1:
                    print(f"frame {number}: faces {tracked.ids.tolist()}", flush=True)
                writer.write(draw_overlay(frame, tracked), frame.time_s)
                if number % max(1, frames // 20) == 0:
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
    parser.add_argument("--frames", type=int, default=0, help="of a video, in place of photos")
    given = parser.parse_args()
    held = run_video(given.frames) if given.frames else run(given.count, given.threads)
    growth = held[-1] / held[9] - 1
    what = f"{given.frames:,} frames" if given.frames else f"{given.count:,} analyses"
    print(f"{what} in {given.threads} threads: {growth:+.1%}, no answer differs")
    raise SystemExit(growth > MOST_GROWTH)


if __name__ == "__main__":
    main()
