"""MATLAB files of the data sets, of version 5: arrays of known shapes."""

import zlib
from collections.abc import Mapping
from pathlib import Path

import numpy as np

from facegeom_lab.datasets.published.layout import DatasetInfo, damaged, require

Shape = tuple[int | None, ...]


def read_mat(file: Path, shapes: Mapping[str, Shape], info: DatasetInfo) -> dict[str, np.ndarray]:
    """Variables of a file as float64.

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
        _check(file, name, array, shapes[name], info)
    return arrays


def _check(file: Path, name: str, array: np.ndarray, shape: Shape, info: DatasetInfo) -> None:
    fits = array.ndim == len(shape) and all(b in (None, a) for a, b in zip(array.shape, shape, strict=True))
    if not fits:
        wanted = " x ".join("?" if length is None else str(length) for length in shape)
        raise damaged(f"{file}: {name}", wanted, " x ".join(map(str, array.shape)), info)
    if not np.isfinite(array).all():
        raise damaged(f"{file}: {name}", "finite numbers", "NaN or infinity", info)
