"""Processors that ONNX Runtime can use here: found, chosen, and explained where they are missing."""

import logging
from functools import cache
from importlib.metadata import PackageNotFoundError, version
from typing import NamedTuple

from facegeom.errors import InputError, shown

_log = logging.getLogger(__name__)


class _Device(NamedTuple):
    provider: str
    needs: str


_DEVICES = {
    "cpu": _Device("CPUExecutionProvider", "onnxruntime"),
    "cuda": _Device(
        "CUDAExecutionProvider", "an NVIDIA GPU and the extra [gpu], pip install 'facegeom[gpu]'"
    ),
    "coreml": _Device("CoreMLExecutionProvider", "macOS, where onnxruntime brings it"),
    "directml": _Device("DmlExecutionProvider", "Windows and pip install onnxruntime-directml"),
    "openvino": _Device(
        "OpenVINOExecutionProvider", "the extra [openvino], pip install 'facegeom[openvino]'"
    ),
}
DEVICES = ("auto", *_DEVICES)
"""Names of devices. "auto" is the first of :data:`AUTO` that works here, else the CPU."""

AUTO = ("cuda", "directml")
"""The others are only used when they are named: OpenVINO was slower than the CPU's default where it was
measured (docs/devices.md), CoreML was not measured."""

EIGHT_BITS = ("cpu", "openvino")
"""Devices on which the eight-bit networks are faster."""

_PACKAGES = ("onnxruntime-gpu", "onnxruntime-openvino", "onnxruntime-directml")


def resolve(device: str) -> str:
    """Return the name of a device, with "auto" resolved.

    Raises:
        InputError: an unknown device.
    """
    if not (isinstance(device, str) and device in DEVICES):
        raise InputError(f"device: expected one of {', '.join(DEVICES)}, got {shown(device)}")
    return _best() if device == "auto" else device


def providers(device: str) -> list[str]:
    """Return ONNX Runtime's execution providers for a device, the CPU last.

    Raises:
        InputError: this ONNX Runtime has none for the device.
    """
    import onnxruntime

    wanted, cpu = _DEVICES[device].provider, _DEVICES["cpu"].provider
    if wanted not in onnxruntime.get_available_providers():
        raise InputError(
            f"device {device!r}: this ONNX Runtime has no {wanted}; it needs {_DEVICES[device].needs}"
            f"{_hidden_by()}. Or use device='cpu'"
        )
    return [wanted] if wanted == cpu else [wanted, cpu]


def check_started(device: str, started: list[str]) -> None:
    """Raise an InputError if a session runs without the provider of its device."""
    wanted = _DEVICES[device].provider
    if wanted not in started:
        raise InputError(
            f"device {device!r}: {wanted} is installed but did not start; check the processor, its driver and"
            " libraries (ONNX Runtime's messages above say what is missing), or use device='cpu'"
        )


def _hidden_by() -> str:
    """Explain packages that hide each other's files: all of them are the module onnxruntime."""
    found = [name for name in ("onnxruntime", *_PACKAGES) if _is_installed(name)]
    if len(found) < 2:
        return ""
    remedy = f"pip uninstall -y {' '.join(found)}, then pip install the one that you want"
    return f". {' and '.join(found)} are both installed and hide each other: {remedy}"


def _is_installed(package: str) -> bool:
    try:
        return bool(version(package))
    except PackageNotFoundError:
        return False


@cache
def _best() -> str:
    """Return the first device of :data:`AUTO` on which the smallest network runs, else "cpu"."""
    import onnxruntime

    from facegeom.models import weights

    offered = onnxruntime.get_available_providers()
    for device in AUTO:
        provider = _DEVICES[device].provider
        if provider not in offered:
            continue
        options = onnxruntime.SessionOptions()
        options.log_severity_level = 4  # that there is no GPU is no news
        try:
            session = onnxruntime.InferenceSession(str(weights.path("pnet")), options, [provider])
        except Exception as error:  # whatever a driver raises: the device does not work
            _log.debug("device %r does not work: %s", device, error)
            continue
        if provider in session.get_providers():
            return device
    return "cpu"
