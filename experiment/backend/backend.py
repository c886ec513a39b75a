"""What the training loop asks of the device it runs on, and what every backend shares.

A backend is a file of its own beside this one (plain_torch.py, xla.py) with a class derived from Backend and a function
that starts its ranks; launch.py lists it and chooses. The training loop asks for `device`, `rank`, `world_size`,
`is_main`, `autocast`, `wrap_loader`, `step`, `all_reduce`, `sync` and so on, and never what it runs on.
"""

import contextlib
import importlib.metadata
import os
import sys
import traceback
from collections.abc import Callable, Iterator
from pathlib import Path

import torch

from ecg_generator_with_train_src.common.command_line import EXIT_FAULT, EXIT_INTERRUPTED, EXIT_USAGE
from ecg_generator_with_train_src.common.errors import InputError
from experiment.backend.options import DeviceChoice
from experiment.backend.peak import Peak
from experiment.backend.prefetch import prefetched


class Backend:
    """One rank and its device: a rank is a process, or on TPU v2 and v3 a thread.

    This is `rank` of `world_size` ranks, of which `ranks_here` run on this host. `devices` is how many devices this
    rank feeds, which is more than one under SPMD alone. `precision`, fp32 or bf16, may be changed between two steps.
    """

    rank, world_size, ranks_here, devices = 0, 1, 1, 1
    kind: str
    device: torch.device
    device_name: str
    precision: str
    description: str  # one line: the device, the precision, and why it is this one
    _seen_precision, _compiled, _undue = None, 0, 0

    @property
    def is_main(self) -> bool:
        """Whether this rank prints and writes files."""
        return self.rank == 0

    @property
    def all_devices(self) -> int:
        """How many devices all ranks have together."""
        return self.world_size * self.devices

    def described(self, choice: DeviceChoice, why: str) -> str:
        """The line that names device and precision, and `why` it is this precision."""
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
        """Overwrite the tensors, which are on the device, with those of rank 0."""
        if self.world_size > 1:
            for tensor in tensors:
                tensor.copy_(self.all_reduce(tensor if self.is_main else torch.zeros_like(tensor)))
            self.step()

    def broadcast_bytes(self, data: bytes | None) -> bytes:
        """The `data` of rank 0, on every rank; that of the others is ignored."""
        if self.world_size == 1:
            return data
        size = torch.tensor(len(data) if self.is_main else 0, dtype=torch.int32).to(self.device)
        values = torch.zeros(int(self.all_reduce(size).cpu()), dtype=torch.int32)
        if self.is_main:
            values += torch.frombuffer(bytearray(data), dtype=torch.uint8)
        return bytes(self.all_reduce(values.to(self.device)).cpu().to(torch.uint8).numpy())

    def autocast(self) -> contextlib.AbstractContextManager:
        """A context in which the network computes in this rank's precision. Weights and sums stay in fp32."""
        if self.precision == "fp32":
            return contextlib.nullcontext()
        return torch.autocast(self.device.type, dtype=torch.bfloat16)

    def wrap_loader(self, batches: Iterator[dict], count: int | None = None) -> Iterator[dict]:
        """The batches on the device; a thread fetches them ahead. An error of the loader is raised here.

        Raises RuntimeError if there are not `count` of them.
        """
        with contextlib.closing(prefetched(batches, self._fetched, count)) as ready:
            for batch in ready:
                yield self._uploaded(batch)

    def upload(self, batch: dict) -> dict:
        """A single batch on the device."""
        return self._uploaded(self._fetched(batch))

    def to_host(self, tensors: dict[str, torch.Tensor]) -> dict[str, torch.Tensor]:
        """Copies in CPU memory."""
        return {name: tensor.detach().to("cpu", copy=True).contiguous() for name, tensor in tensors.items()}

    def compilations(self) -> int:
        """Programs compiled so far in this process; 0 where nothing is counted."""
        return 0

    def peak(self) -> Peak | None:
        """The most operations a second of one device in this rank's precision; None where it is not known."""
        return None

    def fallbacks(self) -> list[str]:
        """Operations that were not run on the device because it lacks them."""
        return []

    def end_epoch(self) -> None:
        """Note the end of an epoch: a later one at the same precision does nothing new and should compile nothing."""
        compiled = self.compilations()
        if self._seen_precision == self.precision:
            self._undue += compiled - self._compiled
        self._seen_precision, self._compiled = self.precision, compiled

    def compilation_report(self) -> str | None:
        """One line on what was compiled and what was not run on the device; None if compilations are not counted."""
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
        """Called in the loader's thread: what can be done before the step asks for the batch."""
        return batch

    def _uploaded(self, batch: dict) -> dict:
        """Called in the step's thread: what remains to be done."""
        return batch


def run_rank(function: Callable[..., int], backend: Backend, arguments: tuple) -> int:
    """Call `function(backend, *arguments)` after rank 0 has printed what runs where; return its exit code."""
    if backend.is_main:
        # one write, so that no line of another rank falls between the text and its end
        print(f"{backend.description}\n", end="", flush=True)
    return function(backend, *arguments)


def end_rank(rank: int, error: BaseException, outcome: Path | None = None) -> None:
    """Print why this rank fails, and end its process without waiting for anything.

    The exit code is also written to the file `outcome`, if given, for a parent process that cannot see it. An
    unforeseen exception is a fault of the program: its stack trace is printed, and the exit code is EXIT_FAULT.
    """
    if isinstance(error, KeyboardInterrupt):
        code = EXIT_INTERRUPTED
    elif isinstance(error, InputError):
        print(f"error: {error}", file=sys.stderr)
        code = EXIT_USAGE
    else:
        print(f"rank {rank}:\n{''.join(traceback.format_exception(error))}", file=sys.stderr, end="")
        code = EXIT_FAULT
    if outcome is not None:
        outcome.write_text(str(code))
    sys.stdout.flush()
    sys.stderr.flush()
    os._exit(code)


def resolve_precision(
    asked: str, choice: DeviceChoice, can_bf16: bool, prefer_bf16: bool = False
) -> tuple[str, str]:
    """The precision, fp32 or bf16, and why it is this one. An explicit wish wins over the environment.

    `asked` is auto, fp32 or bf16. With auto, XLA uses bf16 exactly when XLA_USE_BF16 is 1 or true; CUDA uses it if
    the device can (`can_bf16`); and a CPU uses it if it multiplies bf16 in hardware and the caller says that bf16 is
    precise enough (`prefer_bf16`). Raises InputError if bf16 is asked for where the device has none.
    """
    if asked == "bf16" and not can_bf16:
        raise InputError(f"precision: bf16, but this device ({choice.kind}) has none; use auto or fp32")
    if asked != "auto":
        if choice.bf16_wish is not None and choice.bf16_wish != (asked == "bf16"):
            return asked, f"precision: {asked} in the configuration wins over XLA_USE_BF16"
        return asked, "as configured"
    if choice.is_xla:
        said = {None: "not set", True: "set", False: "off"}[choice.bf16_wish]
        return "bf16" if choice.bf16_wish else "fp32", f"XLA_USE_BF16 is {said}"
    if choice.kind == "cpu" and prefer_bf16:
        return "bf16", "this CPU multiplies it in hardware; --precision fp32 for single precision"
    return "bf16" if choice.kind == "cuda" and can_bf16 else "fp32", "auto"


def torch_versions() -> dict[str, str]:
    """Versions of torch and, where it is installed, torch_xla."""
    found = {"torch": torch.__version__}
    with contextlib.suppress(importlib.metadata.PackageNotFoundError):
        found["torch_xla"] = importlib.metadata.version("torch_xla")
    return found
