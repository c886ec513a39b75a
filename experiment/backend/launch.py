"""Chooses where the network runs, and starts its ranks there: XLA (TPU, or its CPU stand-in), CUDA or the CPU.

`launch` chooses and calls a function with a Backend in each rank. plain_torch.py and xla.py, which alone import
torch.distributed and torch_xla, are imported when they are chosen and not before. A new kind of device is one entry
in options.KINDS, and a file of its own if none of the backends can drive it.
"""

import importlib
import importlib.metadata
import os
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch

from ecg_generator_with_train_src.common.errors import InputError
from experiment.backend.options import KINDS, DeviceChoice, LaunchOptions

# torch_xla would obey both by rounding weights and sums as well. Here they only ask for autocast to bf16.
_BF16_VARIABLES = ("XLA_USE_BF16", "XLA_DOWNCAST_BF16")


def launch(options: LaunchOptions, function: Callable[..., int], *arguments: Any) -> int:
    """Choose a backend and call `function(backend, *arguments)` in each rank; return its exit code.

    Function and arguments may be sent to other processes by pickle. On TPU the function runs in a thread that is not
    the main one, so it cannot install signal handlers. If one of several ranks fails, it prints why and ends its
    process at once, so that the others do not wait for it. Raises InputError if the device is missing, if an option
    does not fit it, or if torch and torch_xla do not belong together.
    """
    choice = choose(options.device)
    if choice.is_xla and options.compile:
        raise InputError(f"{choice.why}: --compile is for cuda and cpu; XLA compiles by itself")
    if options.spmd and not choice.is_xla:
        raise InputError(f"{choice.why}: --spmd is for XLA; torchrun starts several ranks of plain torch")
    kind = KINDS[choice.kind]
    # torch_xla reads the environment when it is imported: by now choose has taken the bf16 variables out of it.
    start = getattr(importlib.import_module(kind.module), kind.starter)
    return start(choice, options, function, arguments)


def choose(device: str) -> DeviceChoice:
    """What `--device` chooses; no device is touched. Raises InputError if the device is missing."""
    kind, why = asked_kind(device)
    pjrt_device = KINDS[kind].pjrt_device
    if pjrt_device is not None:
        check_torch_xla()
        os.environ["PJRT_DEVICE"] = pjrt_device
    if kind == "tpu" and not tpu_device_files():
        raise InputError(
            f"{why}, but this machine has no TPU (no /dev/accel* or /dev/vfio/*): "
            "unset PJRT_DEVICE, or give --device cuda or cpu"
        )
    if kind == "cuda" and not torch.cuda.is_available():
        raise InputError(f"{why}, but torch {torch.__version__} finds no CUDA device: try --device auto")
    return DeviceChoice(kind, why, _take_bf16_wish(), pjrt_device)


def asked_kind(device: str) -> tuple[str, str]:
    """The kind of device that `--device` or the environment asks for, and why it is that one.

    Raises InputError if PJRT_DEVICE names a device that is not supported.
    """
    if device != "auto":
        return device, f"--device {device}"
    pjrt = os.environ.get("PJRT_DEVICE")
    if pjrt:
        for name, kind in KINDS.items():
            if pjrt == kind.pjrt_device:
                return name, f"PJRT_DEVICE={pjrt}"
        known = " and ".join(kind.pjrt_device for kind in KINDS.values() if kind.pjrt_device)
        raise InputError(f"PJRT_DEVICE={pjrt}: only {known} are supported; unset it for plain torch")
    if torch.cuda.is_available():
        return "cuda", "PJRT_DEVICE is not set and a GPU is there"
    return "cpu", "PJRT_DEVICE is not set and no GPU is there"


def tpu_device_files() -> list[Path]:
    """The files that stand for this machine's TPU chips; none without a TPU."""
    devices = Path("/dev")
    return [*devices.glob("accel*"), *devices.glob("vfio/[0-9]*")]


def _take_bf16_wish() -> bool | None:
    values = [os.environ.pop(name, "") for name in _BF16_VARIABLES]
    return any(value.lower() in ("1", "true") for value in values) if any(values) else None


def check_torch_xla() -> None:
    """Raise InputError, with the command that mends it, unless torch_xla is installed in torch's minor version."""
    line = _minor(importlib.metadata.version("torch"))
    try:
        xla_line = _minor(importlib.metadata.version("torch_xla"))
    except importlib.metadata.PackageNotFoundError as error:
        raise InputError(f"torch_xla is not installed: pip install 'torch_xla~={line}.0'") from error
    if line != xla_line:
        raise InputError(
            f"torch {line} and torch_xla {xla_line} do not work together: "
            f"pip install 'torch~={xla_line}.0' 'torch_xla~={xla_line}.0' torchvision"
        )


def _minor(version: str) -> str:
    match = re.match(r"\d+\.\d+", version)
    return match.group() if match else version
