"""Differences between two trainings with bootstrap intervals over the faces."""

from dataclasses import dataclass

import numpy as np

from facegeom.errors import InputError
from facegeom_lab.studies.reports.runs import Run

ROUNDS = 4000
LEVEL = 0.95


@dataclass(frozen=True)
class Difference:
    """NME of a run minus that of a baseline on the same faces.

    Attributes:
        nme: of the run on the common faces.
        baseline: NME of the baseline.
        low: lower end of the interval of the difference.
        high: upper end.
        faces: number of common faces.
    """

    nme: float
    baseline: float
    low: float
    high: float
    faces: int

    @property
    def change(self) -> float:
        """The difference; positive is worse than the baseline."""
        return self.nme - self.baseline

    @property
    def significant(self) -> bool:
        """Whether the interval excludes zero."""
        return self.low > 0 or self.high < 0


def difference(run: Run, baseline: Run, split: str = "test") -> Difference | None:
    """Compare the inter-pupil errors of two runs face by face; None if one kept no errors.

    Raises:
        InputError: they have no face in common.
    """
    errors, others = run.face_errors("interpupil", split), baseline.face_errors("interpupil", split)
    if errors is None or others is None:
        return None
    pairs = np.array([(errors[name], others[name]) for name in errors if name in others]).reshape(-1, 2)
    pairs = pairs[~np.isnan(pairs).any(axis=1)]
    if not len(pairs):
        raise InputError(f"{run.name} and {baseline.name} have no {split} face in common")
    low, high = bootstrap_interval(pairs[:, 0] - pairs[:, 1])
    nme, before = pairs.mean(axis=0)
    return Difference(float(nme), float(before), low, high, len(pairs))


def bootstrap_interval(values: np.ndarray, rounds: int = ROUNDS, seed: int = 0) -> tuple[float, float]:
    """Return the ends of the 95 % bootstrap percentile interval of the mean (Efron, 1979).

    Args:
        values: (F,), one for each face; faces are drawn with replacement.
        rounds: number of resamples.
        seed: of the draws.
    """
    drawn = np.random.default_rng(seed).integers(0, len(values), (rounds, len(values)), dtype=np.int32)
    tail = (1 - LEVEL) / 2
    low, high = np.quantile(values[drawn].mean(axis=1), [tail, 1 - tail])
    return float(low), float(high)


def sentence(title: str, found: Difference, published_change: float | None) -> str:
    """Return a line of Markdown: the change, its interval, and whether the published change agrees."""
    ours = (
        f"**{title}**: NME {found.nme:.4f} against {found.baseline:.4f}, {found.change:+.4f} "
        f"({100 * found.change / found.baseline:+.1f} %; 95 % interval {found.low:+.4f} to "
        f"{found.high:+.4f}, {found.faces} faces)."
    )
    if published_change is None:
        return f"{ours} {verdict(found)}"
    return f"{ours} Published: {published_change:+.4f}. {_verdict_against(found, published_change)}"


def verdict(found: Difference) -> str:
    """Return a verdict on a difference of errors."""
    if not found.significant:
        return "The interval holds 0: these faces do not settle it."
    return "Worse." if found.change > 0 else "Better."


def _verdict_against(found: Difference, published_change: float) -> str:
    if not found.significant:
        same = "same" if found.change * published_change > 0 else "opposite"
        return f"The {same} direction, but the interval holds 0: these faces do not settle it."
    if found.change * published_change > 0:
        return "The same direction."
    return "**The opposite direction.**"
