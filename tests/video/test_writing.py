"""Overlay videos: colours, shape, sound and time as in the input; what is drawn."""

from collections.abc import Callable
from dataclasses import replace
from fractions import Fraction
from pathlib import Path

import av
import numpy as np
import pytest

from facegeom.results import Faces
from facegeom.video import Frame, TrackedFaces, draw_overlay, open_video, open_writer
from facegeom.video.writing import suffix_for

Film = Callable[..., Path]
EVEN = [index / 20 for index in range(20)]
STRIPES = np.array([(230, 30, 30), (30, 200, 30), (40, 60, 220), (240, 240, 240)], np.uint8)
TAGS = [
    *((1, 1, 1, 1), (6, 1, 6, 6), (9, 1, 9, 14), (1, 2, 1, 1), (6, 2, 6, 6)),
]
"""Matrix, range, primaries and transfer: BT.709, BT.601, BT.2020; full range."""


def stripes(index: int) -> np.ndarray:
    return STRIPES.repeat(48, axis=0)[None].repeat(96, axis=0)


def rewritten(path: Path, first_s: float = 0.0, end_s: float = np.inf) -> Path:
    """Write the frames of a video again, unchanged."""
    with open_video(path) as video:
        out = path.with_name(f"again{suffix_for(video)}")
        with open_writer(out, video) as writer:
            for frame in video.between(first_s, end_s):
                writer.write(frame.pixels, frame.time_s)
    return out


def stored(path: Path) -> tuple[tuple[int, ...], np.ndarray]:
    """Return the colour tags and the numbers of luma and chroma in the middle of each stripe."""
    with av.open(str(path)) as file:
        context = file.streams.video[0].codec_context
        tags = context.colorspace, context.color_range, context.color_primaries, context.color_trc
        planes = next(file.decode(video=0)).planes
        rows = [np.frombuffer(one, np.uint8).reshape(-1, one.line_size)[one.height // 2] for one in planes]
        widths = [one.width for one in planes]
    numbers = [row[width // 8 : width : width // 4] for row, width in zip(rows, widths, strict=True)]
    return tuple(int(tag) for tag in tags), np.stack(numbers).astype(int)


@pytest.mark.parametrize("tags", [*TAGS, None])
def test_colours_and_their_tags_are_those_of_the_source(
    film: Film, tmp_path: Path, tags: tuple[int, int, int, int] | None
) -> None:
    path = film(tmp_path / "a.mp4", EVEN, stripes, colours=tags)
    (tags_before, before), (tags_after, after) = stored(path), stored(rewritten(path))
    assert tags_after == tags_before and (tags is None or tags_after == tags)
    np.testing.assert_allclose(after, before, atol=3)


def test_pixels_that_are_not_square_are_shown_in_their_shape(film: Film, tmp_path: Path) -> None:
    path = film(tmp_path / "a.mp4", EVEN, stripes, pixel_ratio=Fraction(4, 3))
    with av.open(str(rewritten(path))) as file:
        stream = file.streams.video[0]
        assert (stream.width, stream.height) == (256, 96)
        assert stream.sample_aspect_ratio in (None, 1)


def sound_of(path: Path) -> tuple[str, list[tuple[float, bytes]]]:
    with av.open(str(path)) as file:
        stream = file.streams.audio[0]
        packets = [packet for packet in file.demux(stream) if packet.dts is not None]
        name = stream.codec_context.codec.canonical_name
        return name, [(float(packet.pts * packet.time_base), bytes(packet)) for packet in packets]


def test_mp3_stays_in_mp4(film: Film, tmp_path: Path) -> None:
    path = film(tmp_path / "a.mp4", EVEN, stripes, sound="libmp3lame")
    out = rewritten(path)
    assert out.suffix == ".mp4"
    (name, before), (name_after, after) = sound_of(path), sound_of(out)
    assert name == name_after == "mp3" and [data for _, data in before] == [data for _, data in after]


def test_a_part_has_the_sound_of_the_part(film: Film, tmp_path: Path) -> None:
    path = film(tmp_path / "a.mp4", EVEN, stripes, sound="aac")
    out = rewritten(path, 0.3, 0.7)
    with av.open(str(out)) as file:
        times = [frame.time for frame in file.decode(video=0)]
    np.testing.assert_allclose(times, np.arange(8) / 20, atol=1e-3)
    before, after = (dict(map(reversed, sound_of(each)[1])) for each in (path, out))
    assert 0.3 < len(after) * 1024 / 44_100 < 0.5
    for data, time_s in after.items():
        assert before[data] - time_s == pytest.approx(0.3, abs=2e-3)


def test_a_video_that_is_not_read_to_its_end_has_no_more_sound_than_pictures(
    film: Film, tmp_path: Path
) -> None:
    path = film(tmp_path / "a.mp4", EVEN, stripes, sound="aac")
    assert sound_of(rewritten(path, 0, 0.4))[1][-1][0] < 0.4 < 0.8 < sound_of(rewritten(path))[1][-1][0]


@pytest.mark.parametrize("side", [24, 100, 500])
def test_an_overlay_is_drawn_where_the_face_is(faces_at: Callable[..., Faces], side: int) -> None:
    pixels = np.full((900, 1200, 3), 90, np.uint8)
    faces = faces_at([[300.0, 250, 300 + side, 250 + side]], [0.97], (1200, 900))
    points = faces.mesh_px[:, :68, :2]
    faces = replace(faces, landmarks_px=points, landmarks_confidence=np.ones((1, 68)))
    drawn = draw_overlay(Frame(0, 0.0, pixels), TrackedFaces(np.array([4]), faces))
    assert (pixels == 90).all() and drawn.shape == pixels.shape and drawn.dtype == np.uint8
    y, x = np.nonzero((drawn != 90).any(axis=2))
    assert x.min() > 300 - side and x.max() < 300 + max(2 * side, 160)
    assert y.min() > 250 - max(side, 40) and y.max() < 250 + 2 * side
    edge = drawn[250 + side // 2, 298:303].astype(int)
    assert np.abs(edge - 90).max() > 40  # the box


def test_faces_at_and_beyond_the_edge_are_drawn(faces_at: Callable[..., Faces]) -> None:
    pixels = np.full((100, 120, 3), 90, np.uint8)
    faces = faces_at([[-30.0, -40, 50, 40], [500, 500, 560, 560]], [0.9, 0.9], (120, 100))
    drawn = draw_overlay(Frame(0, 0.0, pixels), TrackedFaces(np.array([0, 1]), faces))
    assert (drawn[:50, :60] != 90).any()


def test_a_frame_without_a_face_is_left_as_it_is(faces_at: Callable[..., Faces]) -> None:
    frame = Frame(0, 0.0, np.zeros((20, 30, 3), np.uint8))
    none = faces_at([[0.0, 0, 9, 9]], [0.9], (30, 20))[:0]
    assert draw_overlay(frame, TrackedFaces(np.zeros(0, np.intp), none)) is frame.pixels
