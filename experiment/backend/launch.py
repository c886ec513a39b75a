"""Where the training runs: XLA (TPU, or its CPU stand-in), CUDA or the CPU, behind one interface.

`launch` chooses, starts the ranks and calls a function with a `Backend` in each. What a backend is made of stands
in plain_torch.py and xla.py, the only modules that know torch.distributed and torch_xla; the latter
is imported when its backend is used and not before. The training loop asks for `device`, `rank`, `world_size`,
`is_main`, `autocast`, `wrap_loader`, `step`, `all_reduce`, `sync` and so on, and never what it runs on.
"""

import contextlib
import importlib.metadata
import os
import re
import sys
import traceback
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch

from ecg_generator_with_train_src.common.errors import InputError
from experiment.backend.prefetch import prefetched

DEVICE_CHOICES = ("auto", "tpu", "xla-cpu", "cuda", "cpu")
_PJRT_OF = {"tpu": "TPU", "xla-cpu": "CPU"}
# Both make torch_xla round weights and sums as well; here they are a wish for bf16, which autocast fulfils.
_BF16_VARIABLES = ("XLA_USE_BF16", "XLA_DOWNCAST_BF16")
EXIT_BAD_INPUT, EXIT_INTERRUPTED = 2, 130  # as command_line.run has them


@dataclass(frozen=True)
class LaunchOptions:
    """What the command line and the configuration ask for."""

    device: str = "auto"  # one of DEVICE_CHOICES
    precision: str = "auto"  # auto, fp32 or bf16
    num_cores: int | None = None  # of this host, under XLA; None: all
    spmd: bool = False  # under XLA: one process drives all cores
    compile: bool = False  # under plain torch: torch.compile
    cache_dir: Path | None = None  # of XLA's compiled programs
    bf16_on_cpu: bool = False  # auto is bf16 on a CPU that multiplies it in hardware: enough to predict with


@dataclass(frozen=True)
class Choice:
    """What to run on, decided before any device is touched."""

    kind: str  # tpu, xla-cpu, cuda or cpu
    why: str
    bf16_wish: bool | None  # what the environment says of bf16; None: nothing


class Backend:
    """One rank: a process, or on TPU v2 and v3 a thread, with its device.

    `rank` of `world_size` ranks, `ranks_here` of them on this host; `devices` is how many devices this rank feeds
    (several under SPMD alone). `precision`, fp32 or bf16, may be changed between two steps.
    """

    rank, world_size, ranks_here, devices = 0, 1, 1, 1
    kind: str
    device: torch.device
    device_name: str
    precision: str
    description: str  # device, precision and why, in one line
    _seen_precision, _compiled, _undue = None, 0, 0

    @property
    def is_main(self) -> bool:
        """Whether this rank prints and writes files."""
        return self.rank == 0

    @property
    def all_devices(self) -> int:
        """Devices of all ranks together."""
        return self.world_size * self.devices

    def described(self, choice: Choice, why: str) -> str:
        """Device and precision, and `why` it is this precision."""
        device = f"device {self.kind} ({choice.why}): {self.device_name}"
        return f"{device}; precision {self.precision} ({why})"

    def seed(self, seed: int) -> None:
        """Seed all random numbers of this rank."""
        torch.manual_seed(seed)

    def prepare(self, model: torch.nn.Module) -> torch.nn.Module:
        """The model on the device, with the weights of rank 0 on every rank."""
        model = self._moved(model)
        self.broadcast([*model.parameters(), *model.buffers()])
        return model

    @torch.no_grad()
    def broadcast(self, tensors: list[torch.Tensor]) -> None:
        """Give the tensors, all on the device, rank 0's values in place."""
        if self.world_size > 1:
            for tensor in tensors:
                tensor.copy_(self.all_reduce(tensor if self.is_main else torch.zeros_like(tensor)))
            self.step()

    def broadcast_bytes(self, data: bytes | None) -> bytes:
        """What rank 0 gives, on every rank; the others' `data` is not looked at."""
        if self.world_size == 1:
            return data
        size = torch.tensor(len(data) if self.is_main else 0, dtype=torch.int32).to(self.device)
        values = torch.zeros(int(self.all_reduce(size).cpu()), dtype=torch.int32)
        if self.is_main:
            values += torch.frombuffer(bytearray(data), dtype=torch.uint8)
        return bytes(self.all_reduce(values.to(self.device)).cpu().to(torch.uint8).numpy())

    def autocast(self) -> contextlib.AbstractContextManager:
        """The precision of the network's forward pass. Weights and sums stay in fp32."""
        if self.precision == "fp32":
            return contextlib.nullcontext()
        return torch.autocast(self.device.type, dtype=torch.bfloat16)

    def wrap_loader(self, batches: Iterator[dict], count: int | None = None) -> Iterator[dict]:
        """The batches, on the device, fetched ahead by a thread. An error of the loader is raised here.

        Raises RuntimeError if there are not `count` of them.
        """
        with contextlib.closing(prefetched(batches, self._fetched, count)) as ready:
            for batch in ready:
                yield self._uploaded(batch)

    def upload(self, batch: dict) -> dict:
        """A single batch, on the device."""
        return self._uploaded(self._fetched(batch))

    def to_host(self, tensors: dict[str, torch.Tensor]) -> dict[str, torch.Tensor]:
        """Copies in CPU memory."""
        return {name: tensor.detach().to("cpu", copy=True).contiguous() for name, tensor in tensors.items()}

    def compilations(self) -> int:
        """Programs compiled so far in this process; 0 where nothing is counted."""
        return 0

    def fallbacks(self) -> list[str]:
        """Operations that were not run on the device because it lacks them."""
        return []

    def end_epoch(self) -> None:
        """All that a run does has been done once: compilations of a later epoch, at the same precision, are not due."""
        compiled = self.compilations()
        if self._seen_precision == self.precision:
            self._undue += compiled - self._compiled
        self._seen_precision, self._compiled = self.precision, compiled

    def compilation_report(self) -> str | None:
        """One line on what was compiled and what was not run on the device; None if nothing is counted."""
        if not (compiled := self.compilations()):
            return None
        line = f"compilations: {compiled}, {self._undue or 'none'} after the first epoch"
        if self._undue:
            line = f"warning: {line}, where none was due: a shape or a constant changes from step to step"
        if fallbacks := self.fallbacks():
            line += f"; warning: run on the CPU, not the device: {', '.join(fallbacks)}"
        return line

    def step(self) -> None:
        """Mark the end of a step."""

    def all_reduce(self, tensor: torch.Tensor) -> torch.Tensor:
        """The sum over all ranks."""
        raise NotImplementedError

    def sync(self) -> None:
        """Wait until the device has done everything, and for all ranks."""
        raise NotImplementedError

    def _moved(self, model: torch.nn.Module) -> torch.nn.Module:
        raise NotImplementedError

    def _fetched(self, batch: dict) -> dict:
        """In the loader's thread: all that can be done before the step asks for the batch."""
        return batch

    def _uploaded(self, batch: dict) -> dict:
        """In the step's thread: what remains to be done."""
        return batch


def launch(options: LaunchOptions, function: Callable[..., int], *arguments: Any) -> int:
    """Choose a backend and call `function(backend, *arguments)` in each rank; return its exit code.

    Function and arguments may be sent to other processes by pickle, and on TPU the function runs in a thread that
    is not the main one: it cannot install signal handlers. With several ranks, one that fails prints why and ends
    its process at once, so that the others do not wait for it. Raises InputError if the device is missing, an
    option does not fit it, or torch and torch_xla do not belong together.
    """
    choice = choose(options.device)
    if choice.kind in _PJRT_OF:
        if options.compile:
            raise InputError(f"{choice.why}: --compile is for cuda and cpu; XLA compiles by itself")
        from experiment.backend import xla  # torch_xla, after the bf16 variables are gone

        return xla.launch(choice, options, function, arguments)
    if options.spmd:
        raise InputError(f"{choice.why}: --spmd is for XLA; torchrun starts several ranks of plain torch")
    from experiment.backend import plain_torch

    return plain_torch.launch(choice, options, function, arguments)


def run_rank(function: Callable[..., int], backend: Backend, arguments: tuple) -> int:
    """`function(backend, *arguments)`, after rank 0 has said what runs where."""
    if backend.is_main:
        print(backend.description, flush=True)
    return function(backend, *arguments)


def end_rank(rank: int, error: BaseException, outcome: Path | None = None) -> None:
    """Say why this rank fails, and end its process without waiting for anything.

    `outcome` is a file for the exit code, where the parent process cannot see it.
    """
    if isinstance(error, KeyboardInterrupt):
        code = EXIT_INTERRUPTED
    elif isinstance(error, InputError):
        print(f"error: {error}", file=sys.stderr)
        code = EXIT_BAD_INPUT
    else:
        print(f"rank {rank}:\n{''.join(traceback.format_exception(error))}", file=sys.stderr, end="")
        code = 1
    if outcome is not None:
        outcome.write_text(str(code))
    sys.stdout.flush()
    sys.stderr.flush()
    os._exit(code)


def choose(device: str) -> Choice:
    """The kind of device for `--device`, without touching one. Raises InputError for one that is missing."""
    kind, why = _kind_of(device)
    if kind in _PJRT_OF:
        check_torch_xla()
        os.environ["PJRT_DEVICE"] = _PJRT_OF[kind]
    if kind == "tpu" and not _tpu_devices():
        raise InputError(
            f"{why}, but this machine has no TPU (no /dev/accel* or /dev/vfio/*): "
            "unset PJRT_DEVICE, or give --device cuda or cpu"
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


def _take_bf16_wish() -> bool | None:
    values = [os.environ.pop(name, "") for name in _BF16_VARIABLES]
    return any(value.lower() in ("1", "true") for value in values) if any(values) else None


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


def resolve_precision(
    asked: str, choice: Choice, can_bf16: bool, prefer_bf16: bool = False
) -> tuple[str, str]:
    """(precision, why). What is asked for explicitly wins over the environment.

    `auto` is bf16 on XLA exactly when XLA_USE_BF16 is 1 or true, on CUDA where `can_bf16`, and on a CPU where
    `prefer_bf16`: it multiplies bf16 in hardware, and that is enough.
    Raises InputError if bf16 is asked for where it cannot be had.
    """
    if asked == "bf16" and not can_bf16:
        raise InputError(f"precision: bf16, but this device ({choice.kind}) has none; use auto or fp32")
    if asked != "auto":
        if choice.bf16_wish is not None and choice.bf16_wish != (asked == "bf16"):
            return asked, f"precision: {asked} in the configuration wins over XLA_USE_BF16"
        return asked, "as configured"
    if choice.kind in _PJRT_OF:
        said = {None: "not set", True: "set", False: "off"}[choice.bf16_wish]
        return "bf16" if choice.bf16_wish else "fp32", f"XLA_USE_BF16 is {said}"
    if choice.kind == "cpu" and prefer_bf16:
        return "bf16", "this CPU multiplies it in hardware; --precision fp32 for single precision"
    return "bf16" if choice.kind == "cuda" and can_bf16 else "fp32", "auto"


def versions() -> dict[str, str]:
    """Versions of torch and, where it is installed, torch_xla."""
    found = {"torch": torch.__version__}
    with contextlib.suppress(importlib.metadata.PackageNotFoundError):
        found["torch_xla"] = importlib.metadata.version("torch_xla")
    return found
