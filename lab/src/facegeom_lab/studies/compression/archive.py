"""The file of a compressed network: every tensor in the shortest encoding that restores it bit for bit.

- ``raw``: its bytes.
- ``signs``: one bit for each weight and one scale for each filter (BinaryNet, Binary-Weight-Network,
  XNOR-Net).
- ``shared``: few values, many zeros: the table, the gaps between weights that are not zero and their indices,
  both Huffman-coded (Han, Mao and Dally, "Deep compression", ICLR 2016, sections 2 to 4; gaps need no filler
  zeros here, since the code has a word for each gap that occurs).

Magic bytes, a checksum, a JSON header with names, shapes and encodings, then a stream for each tensor.
Nothing is unpickled.
"""

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from zlib import crc32

import numpy as np
import torch

from facegeom.errors import InputError
from facegeom_lab.studies import coding

MAGIC = b"fgnet001"
MAX_VALUES = 1 << 15
"""Longest table of the encoding ``shared``."""
MIN_CODED = 4096
"""Tensors of fewer numbers stay raw."""

State = Mapping[str, torch.Tensor]


@dataclass(frozen=True)
class _Encoding:
    """One way to store an array of floats.

    Attributes:
        write: array -> bytes, or None where the encoding does not fit.
        read: bytes and shape -> array.
    """

    write: Callable[[np.ndarray], bytes | None]
    read: Callable[[bytes, tuple[int, ...]], np.ndarray]


def encode(state: State, about: Mapping[str, object] | None = None) -> bytes:
    """Encode a network's tensors as a file.

    Args:
        state: tensors by name, as ``state_dict()`` returns them.
        about: stored in the header, JSON.
    """
    entries, streams = [], []
    for name, tensor in state.items():
        array = tensor.detach().cpu().contiguous().numpy()
        encoding, stream = _shortest(array)
        entries.append([name, encoding, str(array.dtype), list(array.shape)])
        streams.append(stream)
    header = json.dumps({"about": dict(about or {}), "tensors": entries}).encode()
    body = coding.join([header, *streams])
    return MAGIC + crc32(body).to_bytes(4, "little") + body


def decode(content: bytes) -> tuple[dict[str, torch.Tensor], dict[str, object]]:
    """Return the tensors given to :func:`encode`, bit for bit, and its ``about``.

    Raises:
        InputError: not such a file, or a damaged one.
    """
    body = content[len(MAGIC) + 4 :]
    if content[: len(MAGIC)] != MAGIC or crc32(body) != int.from_bytes(content[8:12], "little"):
        raise InputError("expected a whole file of `facegeom lab compress`; this is none, or it is damaged")
    header, *streams = coding.split(body)
    values = json.loads(header)
    state = {}
    for (name, encoding, dtype, shape), stream in zip(values["tensors"], streams, strict=True):
        if encoding == "raw":
            array = np.frombuffer(stream, dtype)
        else:
            array = ENCODINGS[encoding].read(stream, tuple(shape))
        state[name] = torch.from_numpy(array.reshape(shape).copy())
    return state, values["about"]


def _shortest(array: np.ndarray) -> tuple[str, bytes]:
    if array.dtype == np.float32 and array.size >= MIN_CODED and array.ndim > 1:
        for name, encoding in ENCODINGS.items():
            stream = encoding.write(array)
            if stream is not None and len(stream) < array.nbytes:
                return name, stream
    return "raw", array.tobytes()


def _write_signs(array: np.ndarray) -> bytes | None:
    rows = array.reshape(len(array), -1)
    scales = np.abs(rows[:, 0])
    if not (np.abs(rows) == scales[:, None]).all() or not scales.all():
        return None
    return scales.tobytes() + np.packbits(rows > 0).tobytes()


def _read_signs(stream: bytes, shape: tuple[int, ...]) -> np.ndarray:
    scales = np.frombuffer(stream[: 4 * shape[0]], np.float32)
    count = int(np.prod(shape))
    signs = np.unpackbits(np.frombuffer(stream[4 * shape[0] :], np.uint8), count=count).reshape(shape[0], -1)
    return np.where(signs > 0, scales[:, None], -scales[:, None]).reshape(shape)


def _write_shared(array: np.ndarray) -> bytes | None:
    bits = array.ravel().view(np.uint32)  # bit patterns, not numbers: -0.0 differs from 0.0
    places = np.flatnonzero(bits)
    sample = np.unique(bits[places[:: max(1, len(places) // (4 * MAX_VALUES))]])
    if len(sample) > MAX_VALUES:
        return None
    table, index = np.unique(bits[places], return_inverse=True)
    gaps = np.diff(places, prepend=-1)
    if len(table) > MAX_VALUES or len(np.unique(gaps)) > MAX_VALUES:
        return None
    return coding.join([table.tobytes(), coding.encode(gaps), coding.encode(index.astype(np.int64))])


def _read_shared(stream: bytes, shape: tuple[int, ...]) -> np.ndarray:
    table, gaps, index = coding.split(stream)
    bits = np.zeros(int(np.prod(shape)), np.uint32)
    bits[np.cumsum(coding.decode(gaps)) - 1] = np.frombuffer(table, np.uint32)[coding.decode(index)]
    return bits.view(np.float32).reshape(shape)


ENCODINGS = {"signs": _Encoding(_write_signs, _read_signs), "shared": _Encoding(_write_shared, _read_shared)}
"""In the order in which they are tried."""
