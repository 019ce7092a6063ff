"""The browser's tracker and smoothing equal facegeom.video, frame by frame."""

import base64
import io
import json
from dataclasses import replace
from typing import Any

import numpy as np
from PIL import Image
from playwright.sync_api import Page

from facegeom import FaceAnalyzer
from facegeom.models.face import NEAR
from facegeom.serve.pages import DEMO, model_data
from facegeom.video import matching, smoothing, tracking

UPRIGHT_PX, ROLLED_PX = 0.5, 1.5
"""Largest differences; the canvas samples rolled crops, and each frame starts from the last."""

_FOLLOW = """async ([frames, times]) => {
  const { follow } = await import("/static/local/analyze.js");
  const answers = [];
  for (const [index, text] of frames.entries()) {
    const bytes = Uint8Array.from(atob(text), (letter) => letter.charCodeAt(0));
    const picture = await createImageBitmap(new Blob([bytes]), { colorSpaceConversion: "none" });
    const { answer, picture: back } = await follow(picture, { timeS: times[index], restart: index === 0 });
    back.close();
    answers.push(answer);
  }
  return JSON.stringify(answers);
}"""
_CONSTANTS = """async () => {
  const { TRACKING } = await import("/static/local/tracker.js");
  const { SMOOTHING } = await import("/static/local/smoothing.js");
  return [TRACKING, SMOOTHING];
}"""

_SMOOTH = """async ([faces, times, settings, canonicalMm]) => {
  const { FaceSmoother } = await import("/static/local/smoothing.js");
  const { Camera } = await import("/static/local/camera.js");
  const smoother = new FaceSmoother({ faceNet: { settings }, canonicalMm });
  const camera = new Camera(480, 360, 50);
  return faces.map((face, index) => smoother.smooth([face], [0], times[index], camera)[0].mesh);
}"""


def frame(roll_deg: float, right_px: float) -> Image.Image:
    """Return the portrait's head in 480 x 360 pixels, rolled and moved; nothing beyond 900 pixels."""
    portrait = Image.open(DEMO).convert("RGB").rotate(-roll_deg, Image.Resampling.BICUBIC, center=(225, 130))
    return portrait.transform(
        (480, 360),
        Image.Transform.AFFINE,
        (0.6, 0, 85 - 0.6 * right_px, 0, 0.6, 25),
        Image.Resampling.BICUBIC,
    )


def followed(page: Page, frames: list[Image.Image], times: list[float]) -> list[dict[str, Any]]:
    def encoded(image: Image.Image) -> str:
        stream = io.BytesIO()
        image.save(stream, "PNG")
        return base64.b64encode(stream.getvalue()).decode("ascii")

    answers: list[dict[str, Any]] = json.loads(page.evaluate(_FOLLOW, [list(map(encoded, frames)), times]))
    return answers


def test_constants_are_those_of_the_runtime(module_page: Page) -> None:
    ours, smooth = module_page.evaluate(_CONSTANTS)
    assert ours == {
        name: getattr(tracking, name, None) or getattr(matching, name)
        for name in (
            *(
                "DETECT_EVERY",
                "KEEP_SCORE",
                "MIN_SIDE_PX",
                "MATCH_IOU",
                "MAX_ROLL_STEP_DEG",
                "SEARCH_S",
                "RETRY_S",
            ),
            *("UPRIGHT_DEG", "ROLL_STEP_DEG"),
        )
    }
    settings, shares = smoothing.SmoothingSettings(), smooth.pop("share")
    names = ("NOISE_LEVEL", "NOISE_LEVELS", "NOISE_LEVEL_S", "UNEVEN_STEPS", "CONFIDENCES", "RESET_AFTER_S")
    expected = vars(settings) | {name: getattr(smoothing, name) for name in names}
    assert smooth == {
        name: list(value) if isinstance(value, tuple) else value for name, value in expected.items()
    }
    starts = dict(landmarks=0, mesh=68, box=546, rotation=548, gaze=550, expression=552)
    assert shares == {name: float(f"{smoothing._SHARE[start]:g}") for name, start in starts.items()}


def test_a_moving_and_rolling_face(module_page: Page, analyzer: FaceAnalyzer) -> None:
    steps = range(10)
    frames, times = [frame(6 * step, 4 * step) for step in steps], [step / 30 for step in steps]
    answers = followed(module_page, frames, times)
    track, smooth = tracking.FaceTracker(analyzer), smoothing.FaceSmoother()
    for image, time_s, answer in zip(frames, times, answers, strict=True):
        expected = smooth(track(np.asarray(image), time_s), time_s)
        assert answer["ids"] == expected.ids.tolist() == [0]
        face, ours = answer["faces"][0], expected.faces[0]
        within_px = UPRIGHT_PX if abs(ours.roll_deg) < 20 else ROLLED_PX
        for values, others in (
            (face["box_xyxy"], ours.box_xyxy),
            (face["landmarks"]["ibug68"], ours.landmarks_px),
            (face["mesh_px"], ours.mesh_px),
        ):
            np.testing.assert_allclose(values, others, rtol=0, atol=within_px)
        np.testing.assert_allclose(face["pose"]["rotation"], ours.rotation, atol=0.03 * within_px)
        np.testing.assert_allclose(face["gaze"]["eyes"], ours.gaze, atol=0.03 * within_px)
        np.testing.assert_allclose(list(face["expression"].values()), ours.expression, atol=0.06 * within_px)
    assert abs(ours.roll_deg) > 50  # the crop was rolled


def test_noise_is_learned_from_uneven_steps(module_page: Page, analyzer: FaceAnalyzer) -> None:
    base, draw = analyzer(np.asarray(frame(0, 0))), np.random.default_rng(0)
    eyes_px = np.linalg.norm(base.mesh_px[0, 33, :2] - base.mesh_px[0, 263, :2])
    scale_px = np.tile([0.001, 0.01, 0.02, 0.5], 120)[:478] * eyes_px  # the first and last beyond all bounds
    confidence = -np.expm1(-NEAR * eyes_px / scale_px)[None]
    times = np.cumsum([0, 1, 1, 2, 1, 3, 2, 8, 1, 1, 0.5, 1]) / 30
    noise = draw.normal(0, 0.4, (len(times), *base.mesh_px.shape))
    noise[:, :, [33, 263]] = 0  # the eye corners, of whose distance confidences are fractions
    meshes = [base.mesh_px + each + [20 * time, 0, 0] for each, time in zip(noise, times, strict=True)]
    faces = [replace(base, mesh_px=mesh, mesh_confidence=confidence) for mesh in meshes]
    data, smooth = model_data(), smoothing.FaceSmoother()
    given = [
        {
            "box": each.box_xyxy[0].tolist(),
            "rotation": each.rotation[0].tolist(),
            "landmarks": each.landmarks_px[0].tolist(),
            "landmarksScale": [0.01 * float(eyes_px)] * 68,
            "mesh": each.mesh_px[0].tolist(),
            "meshScale": scale_px.tolist(),
            "gaze": [[0, 0, -1]] * 2,
            "expression": [0] * 52,
        }
        for each in faces
    ]
    answers = module_page.evaluate(_SMOOTH, [given, times.tolist(), data["face"], data["canonical_mm"]])
    for each, time_s, answer in zip(faces, times.tolist(), answers, strict=True):
        expected = smooth(tracking.TrackedFaces(np.zeros(1, int), each), time_s).faces.mesh_px[0]
        np.testing.assert_allclose(answer, expected, rtol=0, atol=0.002)


def test_a_lost_face_gets_a_new_number(module_page: Page) -> None:
    empty = Image.new("RGB", (480, 360), (96, 110, 124))
    frames = [frame(0, 0), empty, empty, frame(0, 0), Image.new("RGB", (300, 200))]
    answers = followed(module_page, frames, [0.0, 0.03, 0.06, 0.09, 0.12])
    assert [answer["ids"] for answer in answers] == [[0], [], [], [1], []]
