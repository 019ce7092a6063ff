"""Tell who is who from frame to frame: motion, size and shape of a face, and the best joint assignment."""

from dataclasses import dataclass
from math import exp

import numpy as np
import numpy.typing as npt

from facegeom.geometry.placement import fit_canonical_head

FloatArray = npt.NDArray[np.floating]

VELOCITY_S = 0.1
"""Time constant of the low-pass on a face's velocity."""

COAST_S = 0.5
"""A face that is not seen slows down with this time constant."""

MAX_DISTANCE_SIZES, DRIFT_SIZES_PER_S = 1.0, 1.0
"""A lost face is expected within this distance of its predicted place, in box sizes, plus the drift."""

MAX_SIZE_RATIO = 2.0
"""A lost face comes back at most so many times larger or smaller."""

SHAPE_WEIGHT = 5.0
"""Weight of the difference of two shapes, in parts of the head's size, beside distances in box sizes."""

UPRIGHT_DEG = 25.0
"""A crop is rotated anew when its face is rolled by more than this against it …"""

ROLL_STEP_DEG = 30.0
"""… to a multiple of this: between such steps crops, and so jitter, are as for an upright face."""

_FOREHEAD, _CHIN = 10, 152  # points of the mesh


@dataclass(frozen=True, eq=False)
class Track:
    """A face that is tracked, or was and is remembered.

    Attributes:
        id: its track id.
        box_xyxy: (4,) its last box, pixels.
        mesh_px: (478, 3) its last mesh.
        roll_deg: its last roll in the image, degrees clockwise.
        crop_roll_deg: roll of its crop.
        time_s: time of the last frame that shows it.
        velocity: (2,) of its centre, pixels per second.
    """

    id: int
    box_xyxy: FloatArray
    mesh_px: FloatArray
    roll_deg: float
    crop_roll_deg: float
    time_s: float
    velocity: FloatArray

    @classmethod
    def started(cls, track_id: int, box_xyxy: FloatArray, mesh_px: FloatArray, time_s: float) -> "Track":
        """Return the track of a face that was just detected."""
        roll_deg, at_rest = float(roll_in_image(mesh_px)), np.zeros(2)
        return cls(track_id, box_xyxy, mesh_px, roll_deg, _crop_roll(roll_deg, 0.0), time_s, at_rest)

    def continued(
        self, box_xyxy: FloatArray, mesh_px: FloatArray, time_s: float, free: bool = True
    ) -> "Track":
        """Return the track with the face as the next frame shows it; it learns the motion of a free face."""
        velocity, step_s = self.velocity, time_s - self.time_s
        roll_deg = float(roll_in_image(mesh_px))
        if free and step_s > 0:
            moved = (centre(box_xyxy) - centre(self.box_xyxy)) / step_s
            velocity = velocity + (1 - exp(-step_s / VELOCITY_S)) * (moved - velocity)
        crop_roll_deg = _crop_roll(roll_deg, self.crop_roll_deg)
        return Track(self.id, box_xyxy, mesh_px, roll_deg, crop_roll_deg, time_s, velocity)

    def predicted_box(self, time_s: float) -> FloatArray:
        """Return the box (4,) where the face is expected at a time: it goes on and slows down."""
        travelled_s = COAST_S * (1 - exp(-max(0.0, time_s - self.time_s) / COAST_S))
        return np.asarray(self.box_xyxy + np.tile(self.velocity * travelled_s, 2))

    def distance(self, box_xyxy: FloatArray, time_s: float) -> float:
        """Return how far a box (4,) lies from the expected one, in sizes of the larger; inf out of reach."""
        expected = self.predicted_box(time_s)
        own, other = size(expected), size(box_xyxy)
        apart = float(np.linalg.norm(centre(box_xyxy) - centre(expected))) / max(own, other)
        reach = MAX_DISTANCE_SIZES + DRIFT_SIZES_PER_S * (time_s - self.time_s)
        is_near = apart <= reach and max(own, other) <= MAX_SIZE_RATIO * min(own, other)
        return apart if is_near else np.inf

    def cost(self, box_xyxy: FloatArray, mesh_px: FloatArray, time_s: float) -> float:
        """Return how badly a face fits this track, in box sizes: place, size and shape; inf out of reach."""
        apart = self.distance(box_xyxy, time_s)
        if np.isinf(apart):
            return apart
        ratio = abs(np.log(size(box_xyxy) / size(self.box_xyxy)))
        return float(apart + ratio + SHAPE_WEIGHT * shape_difference(self.mesh_px, mesh_px))


def centre(box_xyxy: FloatArray) -> FloatArray:
    """Return the centre (2,) of a box (4,)."""
    return np.asarray((box_xyxy[:2] + box_xyxy[2:]) / 2)


def size(box_xyxy: FloatArray) -> float:
    """Return the longer side of a box (4,)."""
    return float((box_xyxy[2:] - box_xyxy[:2]).max())


def roll_in_image(mesh_px: FloatArray) -> FloatArray:
    """Return the roll (...,), degrees clockwise, of meshes (..., 478, 3): from the forehead to the chin."""
    down = mesh_px[..., _CHIN, :2] - mesh_px[..., _FOREHEAD, :2]
    return np.asarray(np.rad2deg(np.arctan2(-down[..., 0], down[..., 1])))


def angle_between_deg(first: npt.ArrayLike, second: npt.ArrayLike) -> FloatArray:
    """Return the differences of directions, degrees in [0, 180]."""
    return np.asarray(np.abs((np.subtract(first, second, dtype=np.float64) + 180) % 360 - 180))


def _crop_roll(roll_deg: float, before_deg: float) -> float:
    """Return the roll of the next crop of a face: that of the last crop as long as it is near enough."""
    if angle_between_deg(roll_deg, before_deg) <= UPRIGHT_DEG:
        return before_deg
    return round(roll_deg / ROLL_STEP_DEG) * ROLL_STEP_DEG % 360


def shape_difference(first_px: FloatArray, second_px: FloatArray) -> float:
    """Return the root mean square distance of two meshes (478, 3), aligned, in parts of the head's size."""
    meshes = np.stack([first_px, second_px]).astype(np.float64)
    fit = fit_canonical_head(meshes)
    shapes = fit.undo(meshes)
    extent = np.sqrt(shapes.var(axis=1).sum(axis=1).mean())
    return float(np.sqrt(((shapes[0] - shapes[1]) ** 2).sum(axis=1).mean()) / max(float(extent), 1e-9))


def assign(costs: FloatArray) -> list[tuple[int, int]]:
    """Return the pairs (row, column) of the assignment with most pairs and, among these, least cost.

    Costs (N, M) are non-negative; inf for pairs that must not be. Kuhn, "The Hungarian method for the
    assignment problem", 1955, by shortest augmenting paths.
    """
    rows, columns = costs.shape
    if not rows or not columns:
        return []
    if rows > columns:
        return sorted((row, column) for column, row in assign(costs.T))
    forbidden = ~np.isfinite(costs)
    cost = np.where(forbidden, 1 + 2 * (rows + 1) * costs[~forbidden].max(initial=1.0), costs)
    row_price, column_price = np.zeros(rows + 1), np.zeros(columns + 1)
    row_of = np.full(columns + 1, -1)  # the last column is the start of each path
    for row in range(rows):
        row_of[columns] = row
        current, shortest = columns, np.full(columns, np.inf)
        previous, done = np.full(columns, columns), np.zeros(columns + 1, bool)
        while row_of[current] != -1:
            done[current] = True
            from_row = row_of[current]
            reduced = cost[from_row] - row_price[from_row] - column_price[:columns]
            better = ~done[:columns] & (reduced < shortest)
            shortest[better], previous[better] = reduced[better], current
            nearest = int(np.where(done[:columns], np.inf, shortest).argmin())
            step = shortest[nearest]
            row_price[row_of[done]] += step
            column_price[done] -= step
            shortest[~done[:columns]] -= step
            current = nearest
        while current != columns:
            row_of[current], current = row_of[previous[current]], previous[current]
    pairs = [(int(row_of[column]), column) for column in range(columns) if row_of[column] != -1]
    return sorted((row, column) for row, column in pairs if not forbidden[row, column])
