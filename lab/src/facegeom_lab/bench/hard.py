"""Detection where it is hard: small, turned, masked and half covered faces."""

from collections.abc import Sequence

from facegeom_lab.bench.context import Bench
from facegeom_lab.bench.detection import found_share, systems
from facegeom_lab.bench.hard_pictures import half_covered, masked, profiled, small
from facegeom_lab.bench.rendered import HeadSet, heads
from facegeom_lab.datasets import pack_photos
from facegeom_lab.datasets.pack_photos import Picture
from facegeom_lab.measures.tables import Table

RENDERED = (
    HeadSet(seed=41, count=100, yaw_deg=(45, 80), pitch_deg=(-20, 20), roll_deg=(-20, 20)),
    HeadSet(seed=42, count=100, yaw_deg=(-80, -45), pitch_deg=(-20, 20), roll_deg=(-20, 20)),
)
PROFILED = ("helen", "lfpw", "portraits-color")

_PROTOCOL = (
    "Share of the faces that are found: IoU of at least 0.3, or the middle of the box inside the labelled "
    "one. Defaults throughout. narrow: labelled faces of 12 to 40 px in the scenes of `val` and AFW, as "
    "they are and at a third of their size. rendered: heads not trained on, in whole pictures, yaw 45° to "
    "80° to either side. profiled: `val` faces turned in 3D by facegeom's mesh to 45° to 80°, on held-out "
    "photos without a face. masked: `val` pictures of people with a mask, cut to the photo inside their "
    "black border. half covered: the scenes with the left, right, lower or upper half of each labelled "
    "face under a piece of a held-out photo. MTCNN proposed the boxes of the scenes: it is no fair judge "
    "of itself."
)


def hard(bench: Bench) -> list[Table]:
    """One table: a row per list and system."""
    rows = [
        (name, system, loose, labelled, boxes)
        for name, pictures in lists(bench).items()
        if pictures
        for system, answers in systems(bench, pictures)
        for _, loose, labelled, boxes in [found_share(answers, pictures)]
    ]
    return [Table("Detection: hard cases", _PROTOCOL, ("list", "system", "found, %", "faces", "boxes"), rows)]


def lists(bench: Bench) -> dict[str, Sequence[Picture]]:
    """The pictures of each list, made from the pack into the cache."""
    folder = bench.cache / "hard"
    scenes = [picture for pictures in bench.scene_sets().values() for picture in pictures]
    backgrounds = bench.backgrounds()
    faces = pack_photos.faces(bench.data, "val", PROFILED)
    return {
        "narrow, below 40 px": small(scenes, folder),
        "rendered, beyond 45°": [
            picture for half in RENDERED for picture in heads(bench.data, half, bench.cache).pictures
        ],
        "profiled, beyond 45°": list(profiled(faces, bench.ours(faces), backgrounds, folder)),
        "masked": list(masked(pack_photos.faces(bench.data, "val", ("masks",)), folder)),
        "half covered": list(half_covered(scenes, backgrounds, folder)),
    }
