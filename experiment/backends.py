"""Where the training runs: XLA (TPU, or its CPU stand-in), CUDA or the CPU, behind one interface.

The only module that knows torch_xla and torch.distributed. torch_xla is imported when its backend is used and
not before. The training loop asks a backend for `device`, `rank`, `world_size`, `is_main`, `autocast`,
`wrap_loader`, `step`, `all_reduce`, `sync` and `to_host`, and never what it is.
"""

import contextlib
import importlib.metadata
import os
import re
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from ecg_generator_with_train_src.errors import InputError

DEVICE_CHOICES = ("auto", "tpu", "xla-cpu", "cuda", "cpu")
_PJRT_OF = {"tpu": "TPU", "xla-cpu": "CPU"}
# Both make torch_xla round weights and sums as well; here they are a wish for bf16, which autocast fulfils.
_BF16_VARIABLES = ("XLA_USE_BF16", "XLA_DOWNCAST_BF16")


@dataclass(frozen=True)
class Choice:
    """What to run on, decided before any device is touched."""

    kind: str  # tpu, xla-cpu, cuda or cpu
    why: str
    bf16_wish: bool  # the environment asks for bf16


def launch(device: str, precision: str, function: Callable[..., Any], *arguments: Any) -> Any:
    """Choose a backend, print the choice and return `function(backend, *arguments)`.

    `device` is one of DEVICE_CHOICES, `precision` auto, fp32 or bf16. Raises InputError if the device is
    missing or torch and torch_xla do not belong together.
    """
    choice = choose(device)
    backend = _XlaBackend(choice, precision) if choice.kind in _PJRT_OF else _TorchBackend(choice, precision)
    if backend.is_main:
        print(backend.description, flush=True)
    return function(backend, *arguments)


def choose(device: str) -> Choice:
    """The kind of device for `--device`, without touching one. Raises InputError for one that is missing."""
    kind, why = _kind_of(device)
    if kind in _PJRT_OF:
        check_torch_xla()
        os.environ["PJRT_DEVICE"] = _PJRT_OF[kind]
    if kind == "tpu" and not _tpu_devices():
        raise InputError(
            f"{why}, but this machine has no TPU (no /dev/accel* or /dev/vfio/*): try --device auto"
        )
    if kind == "cuda" and not torch.cuda.is_available():
        raise InputError(f"{why}, but torch {torch.__version__} finds no CUDA device: try --device auto")
    return Choice(kind, why, _take_bf16_wish())


def _kind_of(device: str) -> tuple[str, str]:
    if device != "auto":
        return device, f"--device {device}"
    pjrt = os.environ.get("PJRT_DEVICE")
    for kind, name in _PJRT_OF.items():
        if pjrt == name:
            return kind, f"PJRT_DEVICE={pjrt}"
    if pjrt:
        raise InputError(f"PJRT_DEVICE={pjrt}: only TPU and CPU are supported; unset it for plain torch")
    if torch.cuda.is_available():
        return "cuda", "PJRT_DEVICE is not set and a GPU is there"
    return "cpu", "PJRT_DEVICE is not set and no GPU is there"


def _tpu_devices() -> list[Path]:
    devices = Path("/dev")
    return [*devices.glob("accel*"), *devices.glob("vfio/[0-9]*")]


def _take_bf16_wish() -> bool:
    values = [os.environ.pop(name, "") for name in _BF16_VARIABLES]
    return any(value.lower() in ("1", "true") for value in values)


def check_torch_xla() -> None:
    """Raise InputError, with the command that mends it, unless torch_xla is there and of torch's own line."""
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


def _resolve_precision(asked: str, automatic: str, choice: Choice) -> tuple[str, str]:
    """(precision, why): what is asked for explicitly wins over the environment."""
    if asked == "auto":
        return automatic, "auto"
    if choice.bf16_wish and asked != "bf16":
        return asked, f"precision: {asked} in the configuration wins over XLA_USE_BF16"
    return asked, "as configured"


class _TorchBackend:
    """Plain torch on one CUDA device or the CPU."""

    rank, world_size, is_main = 0, 1, True

    def __init__(self, choice: Choice, precision: str):
        self.kind = choice.kind
        self.device = torch.device(choice.kind)
        can_bf16 = choice.kind == "cuda" and torch.cuda.is_bf16_supported()
        self.precision, why = _resolve_precision(precision, "bf16" if can_bf16 else "fp32", choice)
        self.device_name = torch.cuda.get_device_name() if choice.kind == "cuda" else _cpu_name()
        self.description = (
            f"device {choice.kind} ({choice.why}): {self.device_name}; precision {self.precision} ({why})"
        )

    def seed(self, seed: int) -> None:
        """Seed all random numbers of this process."""
        torch.manual_seed(seed)

    def prepare(self, model: torch.nn.Module) -> torch.nn.Module:
        """Move the model here, in the layout that is fast here."""
        return model.to(self.device, memory_format=torch.channels_last)

    def autocast(self) -> contextlib.AbstractContextManager:
        """The precision of the network's forward pass."""
        return _autocast(self.kind, self.precision)

    def wrap_loader(self, batches: Iterable[dict]) -> Iterator[dict]:
        """The batches, on the device. An error of the loader is raised here."""
        for batch in batches:
            yield {key: value.to(self.device, non_blocking=True) for key, value in batch.items()}

    def step(self) -> None:
        """Mark the end of a step."""

    def all_reduce(self, tensor: torch.Tensor) -> torch.Tensor:
        """The sum over all ranks."""
        return tensor

    def sync(self) -> None:
        """Wait until the device has done everything, and for all ranks."""
        if self.kind == "cuda":
            torch.cuda.synchronize()

    def to_host(self, tensors: dict[str, torch.Tensor]) -> dict[str, torch.Tensor]:
        """Copies in CPU memory."""
        return _host_copies(tensors)


class _XlaBackend:
    """torch_xla on one device. Uses only names that both the 2.5 and the 2.9 line have."""

    rank, world_size, is_main = 0, 1, True

    def __init__(self, choice: Choice, precision: str):
        import torch_xla  # after the bf16 variables are gone from the environment
        import torch_xla.core.xla_model
        import torch_xla.runtime

        self._xla = torch_xla
        self.kind = choice.kind
        try:
            self.device = torch_xla.device()
        except RuntimeError as error:
            reason = " ".join(str(error).split())[:300]
            raise InputError(f"{choice.why}: torch_xla cannot open the device: {reason}") from error
        self.precision, why = _resolve_precision(precision, "bf16" if choice.bf16_wish else "fp32", choice)
        if why == "auto":
            why = f"XLA_USE_BF16 is {'set' if choice.bf16_wish else 'not set'}"
        self.device_name = f"{torch_xla.runtime.device_type()} through torch_xla {torch_xla.__version__}"
        self.description = (
            f"device {choice.kind} ({choice.why}): {self.device_name}; precision {self.precision} ({why})"
        )

    def seed(self, seed: int) -> None:
        """Seed all random numbers of this process and its device."""
        torch.manual_seed(seed)
        self._xla.manual_seed(seed)

    def prepare(self, model: torch.nn.Module) -> torch.nn.Module:
        """Move the model here; XLA chooses layouts itself."""
        return model.to(self.device)

    def autocast(self) -> contextlib.AbstractContextManager:
        """The precision of the network's forward pass."""
        return _autocast("xla", self.precision)

    def wrap_loader(self, batches: Iterable[dict]) -> Iterator[dict]:
        """The batches, on the device. An error of the loader is raised here."""
        for batch in batches:
            yield {key: value.to(self.device) for key, value in batch.items()}

    def step(self) -> None:
        """Hand the step's graph to the device."""
        self._xla.sync()

    def all_reduce(self, tensor: torch.Tensor) -> torch.Tensor:
        """The sum over all ranks."""
        return tensor

    def sync(self) -> None:
        """Wait until the device has done everything, and for all ranks."""
        self._xla.sync()
        self._xla.core.xla_model.wait_device_ops()

    def to_host(self, tensors: dict[str, torch.Tensor]) -> dict[str, torch.Tensor]:
        """Copies in CPU memory."""
        return _host_copies(tensors)


Backend = _TorchBackend | _XlaBackend


def _autocast(device_type: str, precision: str) -> contextlib.AbstractContextManager:
    if precision == "fp32":
        return contextlib.nullcontext()
    return torch.autocast(device_type, dtype=torch.bfloat16)


def _host_copies(tensors: dict[str, torch.Tensor]) -> dict[str, torch.Tensor]:
    return {name: tensor.detach().to("cpu", copy=True).contiguous() for name, tensor in tensors.items()}


def _cpu_name() -> str:
    return f"{torch.get_num_threads()} threads"


def versions() -> dict[str, str]:
    """Versions of torch and, where it is installed, torch_xla."""
    found = {"torch": torch.__version__}
    with contextlib.suppress(importlib.metadata.PackageNotFoundError):
        found["torch_xla"] = importlib.metadata.version("torch_xla")
    return found
