"""Write what every door of facegeom answers, and compare two such folders to the byte.

Only public names and commands are used, so the same script runs on two versions:

    python tests/tools/golden.py write OUT [--photos DIR]      with the one version installed
    python tests/tools/golden.py write OUT2 [--photos DIR]     with the other one
    python tests/tools/golden.py compare OUT OUT2

Photos are the packaged portrait, crops and copies of it made here, and those of ``--photos``. Answers are
stored as they come: JSON, meshes, pictures, Parquet tables, bodies of HTTP answers.
"""

import argparse
import contextlib
import filecmp
import io
import json
import os
import shutil
import socket
import subprocess
import sys
import time
import urllib.request
from collections.abc import Callable, Iterator
from importlib.resources import files
from pathlib import Path

import numpy as np
from PIL import Image

FORMATS = "json,overlay,obj,ply,glb,depth,surface"
OPTIONS: dict[str, dict[str, object]] = {
    "default": {},
    "float32": {"weights": "float32"},
    "cascade": {"detector": "cascade"},
    "fpnet": {"pose_net": "fpnet"},
    "wide": {"fov_deg": 80.0},
    "small": {"min_face": 14},
    "large": {"min_face": 60, "max_faces": 2},
    "doubtful": {"min_score": 0.3},
    "depth-mesh": {"depth": "mesh"},
    "depth-network": {"depth": "network"},
}
COMMANDS: dict[str, list[str]] = {
    "default": [],
    "options": ["--min-face", "24", "--max-faces", "3", "--min-score", "0.5", "--fov", "35"],
    "cascade": ["--detector", "cascade", "--pose-net", "fpnet"],
    "network": ["--depth-from", "network", "--format", "json,depth,surface"],
}
ENVIRONMENT = os.environ | {"PYTHONHASHSEED": "0", "COLUMNS": "100", "NO_COLOR": "1"}


def write(out: Path, extra: Path | None) -> None:
    """Write every door's answers into an empty folder."""
    out.mkdir(parents=True)
    photos = _photos(out / "photos", extra)
    for door in (_python, _analyze, _detect, _batch, _video, _serve):
        started = time.perf_counter()
        door(photos, out / door.__name__.strip("_"))
        print(f"{door.__name__.strip('_')}: {time.perf_counter() - started:.0f} s", flush=True)


def _photos(folder: Path, extra: Path | None) -> list[Path]:
    folder.mkdir()
    portrait = Image.open(str(files("facegeom") / "data" / "astronaut.jpg")).convert("RGB")
    exif = Image.Exif()
    exif[0x0112] = 6
    exif.get_ifd(0x8769)[0xA405] = 85
    portrait.save(folder / "portrait.jpg", quality=95)
    portrait.transpose(Image.Transpose.ROTATE_90).save(folder / "turned.jpg", quality=95, exif=exif)
    portrait.resize((2999, 2999)).save(folder / "large.jpg", quality=90)
    portrait.convert("L").save(folder / "grey.png")
    portrait.crop((60, 0, 300, 400)).save(folder / "cut.webp", lossless=True)
    Image.new("RGB", (320, 200), "green").save(folder / "nobody.png")
    for path in sorted(extra.iterdir()) if extra else []:
        shutil.copy(path, folder)
    return sorted(folder.iterdir())


def _python(photos: list[Path], out: Path) -> None:
    from facegeom import FaceAnalyzer, PoseDetector

    for name, options in OPTIONS.items():
        analyzer = FaceAnalyzer(threads=1, **options)
        answers = {path.name: analyzer(path) for path in photos}
        _store(out / name / "paths", answers)
        if name != "default":
            continue
        _store(out / name / "bytes", {path.name: analyzer(path.read_bytes()) for path in photos})
        _store(out / name / "pillow", {path.name: analyzer(Image.open(path)) for path in photos})
        _store(out / name / "arrays", {path.name: analyzer(np.asarray(Image.open(path))) for path in photos})
        _store(out / name / "fov", {path.name: analyzer(path, fov_deg=28.0) for path in photos})
        _store(out / name / "batch", dict(zip([p.name for p in photos], analyzer.batch(photos), strict=True)))
        places = {path: answers[path.name].box_xyxy for path in photos if len(answers[path.name])}
        _store(out / name / "at", {path.name: analyzer.at(path, boxes) for path, boxes in places.items()})
    poses = PoseDetector(threads=1)
    told = {p.name: [v.tolist() for v in (a.box_xyxy, a.score, a.rotation)] for p, a in _each(poses, photos)}
    _json(out / "poses.json", told)


def _each(call: Callable, photos: list[Path]) -> Iterator[tuple]:
    return ((path, call(path)) for path in photos)


def _store(folder: Path, answers: dict) -> None:
    for name, faces in answers.items():
        arrays = ("box_xyxy", "score", "landmarks_px", "landmarks_confidence", "mesh_px", "mesh_confidence")
        arrays += ("mesh_mm", "rotation", "translation_mm")
        told = {key: getattr(faces, key).tolist() for key in arrays}
        if faces.depth is not None:
            told["depth"] = [[d.z_mm.tolist(), d.image_from_depth.tolist()] for d in faces.depth]
        size = {"width": faces.width, "height": faces.height}
        _json(folder / f"{name}.json", told | size)


def _json(path: Path, content: object) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(content))


def _command(out: Path, *words: object) -> None:
    out.mkdir(parents=True, exist_ok=True)
    run = [sys.executable, "-m", "facegeom", *map(str, words)]
    done = subprocess.run(run, capture_output=True, text=True, cwd=out, env=ENVIRONMENT)
    if done.returncode not in (0, 1):
        raise SystemExit(f"{' '.join(run)} failed: {done.stderr}")


def _analyze(photos: list[Path], out: Path) -> None:
    for name, words in COMMANDS.items():
        formats = [] if "--format" in words else ["--format", FORMATS]
        target = out / name
        _command(target, "analyze", *_relative(photos, target), "-o", ".", "--threads", 1, *formats, *words)


def _relative(photos: list[Path], start: Path) -> list[str]:
    return [os.path.relpath(path, start) for path in photos]


def _detect(photos: list[Path], out: Path) -> None:
    folder = os.path.relpath(photos[0].parent, out)
    _command(out, "detect", folder, "drawn", "--threads", 1)


def _batch(photos: list[Path], out: Path) -> None:
    folder = os.path.relpath(photos[0].parent, out)
    _command(out, "batch", folder, "-o", "run", "--workers", 1, "--part-size", 4)
    _command(out, "batch", folder, "-o", "small", "--workers", 2, "--no-mesh", "--min-face", 30)
    for run in ("run", "small"):
        for path in (out / run).iterdir():
            if path.is_file():  # settings of the run, which may name other versions
                path.unlink()


def _video(photos: list[Path], out: Path) -> None:
    import av

    out.mkdir(parents=True)
    picture = Image.open(photos[0].parent / "portrait.jpg")
    with av.open(str(out / "clip.mp4"), "w") as container:
        stream = container.add_stream("mpeg4", rate=25, options={"qscale": "3"})
        stream.width, stream.height, stream.pix_fmt = 320, 320, "yuv420p"
        for index in range(40):
            frame = picture.rotate(index / 4).crop((60 + 2 * index, 0, 380 + 2 * index, 320))
            container.mux(stream.encode(av.VideoFrame.from_image(frame)))
        container.mux(stream.encode(None))
    _command(out, "video", "clip.mp4", "-o", "smooth", "--threads", 1)
    _command(out, "video", "clip.mp4", "-o", "raw", "--threads", 1, "--no-smooth", "--detect-every", 7)


def _serve(photos: list[Path], out: Path) -> None:
    with _service() as address:
        for path in photos:
            for form in ("json", "overlay", "png", "glb", "obj", "ply"):
                for name, query in {"default": "", "options": "&min_face=24&max_faces=3&fov_deg=35"}.items():
                    body = _post(f"{address}/v1/analyze?format={form}{query}", path)
                    target = out / name / f"{path.name}.{form}"
                    target.parent.mkdir(parents=True, exist_ok=True)
                    target.write_bytes(body)
        for name in ("v1/topology", "v1/schema", "model.json"):
            target = out / name.replace("/", "-")
            target.write_bytes(urllib.request.urlopen(f"{address}/{name}").read())


@contextlib.contextmanager
def _service() -> Iterator[str]:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    words = ["serve", "--port", str(port), "--workers", "1", "--threads", "1"]
    process = subprocess.Popen([sys.executable, "-m", "facegeom", *words], stdout=subprocess.PIPE)
    try:
        process.stdout.readline()  # it says when it is there
        for _ in range(100):
            with contextlib.suppress(OSError):
                urllib.request.urlopen(f"http://127.0.0.1:{port}/v1/health").read()
                break
            time.sleep(0.1)
        yield f"http://127.0.0.1:{port}"
    finally:
        process.terminate()
        process.wait()


def _post(url: str, path: Path) -> bytes:
    request = urllib.request.Request(url, path.read_bytes(), {"Content-Type": "application/octet-stream"})
    try:
        return urllib.request.urlopen(request).read()
    except urllib.error.HTTPError as error:
        return f"{error.code}\n".encode() + error.read()


def compare(first: Path, second: Path) -> int:
    """Print what differs; the number of files that do."""
    named = [{p.relative_to(root) for p in root.rglob("*") if p.is_file()} for root in (first, second)]
    lone = sorted(named[0] ^ named[1])
    both = sorted(named[0] & named[1])
    unlike = [path for path in both if not filecmp.cmp(first / path, second / path, shallow=False)]
    stream = io.StringIO()
    for path in lone:
        print(f"only in one: {path}", file=stream)
    for path in unlike:
        print(f"differs: {path}", file=stream)
    print(stream.getvalue(), end="")
    print(f"{len(both)} files compared, {len(unlike)} differ, {len(lone)} are in one folder only")
    return len(lone) + len(unlike)


def main() -> None:
    """Read the arguments."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    commands = parser.add_subparsers(dest="command", required=True)
    writing = commands.add_parser("write")
    writing.add_argument("out", type=Path)
    writing.add_argument("--photos", type=Path)
    comparing = commands.add_parser("compare")
    comparing.add_argument("first", type=Path)
    comparing.add_argument("second", type=Path)
    given = parser.parse_args()
    if given.command == "write":
        write(given.out.resolve(), given.photos)
    else:
        sys.exit(1 if compare(given.first, given.second) else 0)


if __name__ == "__main__":
    main()
