"""Helpers of the adapters: find, read and check the files of a set; divide a set into splits."""

import zlib
from collections import Counter
from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np

from facegeom.errors import InputError
from facegeom_lab.datasets.records import DatasetInfo

TEST_FOLD, VAL_FOLD = 0, 1
"""Folds held out as test and validation split, of sets that are published without one; see :func:`fold`."""

Shape = tuple[int | None, ...]


def check_split(split: str | None, info: DatasetInfo) -> None:
    """Raise InputError unless the split is one of the set's, or None for all."""
    if split is not None and split not in info.splits:
        raise InputError(
            f"expected one of {', '.join(info.splits)} as the split of {info.title}, got {split!r}"
        )


def require(path: Path, info: DatasetInfo) -> Path:
    """Return the path.

    Raises:
        InputError: it does not exist.
    """
    return locate(path.parent, (path.name,), info)


def locate(root: Path, paths: Sequence[str], info: DatasetInfo) -> Path:
    """Return the first of several paths below the root that exists.

    Raises:
        InputError: none exists; the message names the first, and where to obtain the set.
    """
    for path in paths:
        if (root / path).exists():
            return root / path
    others = f" (nor {' nor '.join(paths[1:])} there)" if len(paths) > 1 else ""
    raise InputError(
        f"expected {Path(paths[0]).name!r} of {info.title} at {root / paths[0]}, found nothing{others}; "
        f"give the folder into which the set was unpacked, as described in docs/data.md; it is obtained "
        f"from {info.url}"
    )


def base(root: Path, name: str) -> Path:
    """Return the set's own folder: the subfolder of that name if there is one, else the root."""
    return root / name if (root / name).is_dir() else root


def damaged(place: Path | str, expected: str, got: str, info: DatasetInfo) -> InputError:
    """Return the error for a damaged file of the set; the caller raises it."""
    return InputError(f"{place}: expected {expected}, got {got}; get {info.title} again from {info.url}")


def lines(path: Path, info: DatasetInfo) -> list[str]:
    """Return the lines of a text file of the set, without empty ones at the end.

    Raises:
        InputError: the file is missing or not a text.
    """
    try:
        return require(path, info).read_text(encoding="utf-8").rstrip().splitlines()
    except (OSError, UnicodeDecodeError) as error:
        raise damaged(path, "a text file", str(error), info) from error


def numbers(fields: Sequence[str], count: int, place: str, info: DatasetInfo) -> np.ndarray:
    """Parse the fields of a line.

    Args:
        fields: the texts of the numbers.
        count: of numbers expected.
        place: file and line, for the error.
        info: of the set, for the error.

    Returns:
        (count,) float64.

    Raises:
        InputError: another count, or a field is not a finite number.
    """
    try:
        values = np.array([float(field) for field in fields])
    except ValueError as error:
        raise damaged(place, f"{count} numbers", str(error), info) from error
    if len(values) != count or not np.isfinite(values).all():
        raise damaged(place, f"{count} numbers", f"{len(values)}: {' '.join(fields)[:60]!r}", info)
    return values


def face_names(photos: Sequence[str]) -> list[str]:
    """Return a unique name for each face, given its photo, with ``#0``, ``#1``… for several in a photo."""
    totals, seen = Counter(photos), Counter[str]()
    names = []
    for photo in photos:
        names.append(f"{photo}#{seen[photo]}" if totals[photo] > 1 else photo)
        seen[photo] += 1
    return names


def fold(name: str) -> int:
    """Return the fold of a photo or person, 0 to 9, by the checksum of the name: the same everywhere."""
    return zlib.crc32(name.encode()) % 10


def read_mat(file: Path, shapes: Mapping[str, Shape], info: DatasetInfo) -> dict[str, np.ndarray]:
    """Read variables of a MATLAB file of version 5 as float64.

    Args:
        file: of the set.
        shapes: of the wanted variables; None stands for any length.
        info: of the set, for the errors.

    Raises:
        InputError: the file is missing or damaged, or a variable is missing, of another shape, not finite.
    """
    from scipy.io import loadmat
    from scipy.io.matlab import MatReadError

    names = list(shapes)
    try:
        content = loadmat(require(file, info), variable_names=names)
        arrays = {name: np.asarray(content[name], np.float64) for name in names}
    except KeyError as error:
        raise damaged(file, f"the variables {', '.join(names)}", f"none named {error}", info) from error
    except (OSError, ValueError, TypeError, EOFError, NotImplementedError, zlib.error, MatReadError) as error:
        raise damaged(file, f"a MATLAB file with {', '.join(names)}", str(error), info) from error
    for name, array in arrays.items():
        _check_variable(file, name, array, shapes[name], info)
    return arrays


def _check_variable(file: Path, name: str, array: np.ndarray, shape: Shape, info: DatasetInfo) -> None:
    fits = array.ndim == len(shape) and all(b in (None, a) for a, b in zip(array.shape, shape, strict=True))
    if not fits:
        wanted = " x ".join("?" if length is None else str(length) for length in shape)
        raise damaged(f"{file}: {name}", wanted, " x ".join(map(str, array.shape)), info)
    if not np.isfinite(array).all():
        raise damaged(f"{file}: {name}", "finite numbers", "NaN or infinity", info)
