"""Plain torch drives CUDA devices and CPUs: one rank per process. torchrun starts several, on one host or more.

What differs from device to device stands in `_PROCESS_GROUPS` and in torch's module for it, such as torch.cuda.
"""

import os
import sys
from collections.abc import Callable

import torch
import torch.distributed as dist

from experiment.backend.backend import Backend, end_rank, resolve_precision, run_rank
from experiment.backend.options import DeviceChoice, LaunchOptions
from experiment.backend.peak import Peak, measured_peak

_PROCESS_GROUPS = {"cpu": "gloo", "cuda": "nccl"}


def start_plain_torch(
    choice: DeviceChoice, options: LaunchOptions, function: Callable[..., int], arguments: tuple
) -> int:
    """Call `function(backend, *arguments)` as the rank that torchrun's environment names, or as the only rank.

    Returns the exit code; but if this is one of several ranks on CPUs, it ends the process with that code.
    """
    distributed = "RANK" in os.environ and "WORLD_SIZE" in os.environ
    if choice.kind != "cpu":
        torch.get_device_module(choice.kind).set_device(int(os.environ.get("LOCAL_RANK", 0)))
    if distributed:
        return _one_of_several(choice, options, function, arguments)
    if (asked := options.num_cores or 1) > 1:
        print(
            f"{asked} cores asked for, plain torch drives 1 device per process: using 1; torchrun starts several"
        )
    return run_rank(function, TorchBackend(choice, options), arguments)


def _one_of_several(
    choice: DeviceChoice, options: LaunchOptions, function: Callable[..., int], arguments: tuple
) -> int:
    try:
        dist.init_process_group(_PROCESS_GROUPS[choice.kind])
        result = run_rank(function, TorchBackend(choice, options), arguments)
        dist.barrier()
    except BaseException as error:  # the other ranks may be waiting for this one: torchrun ends them
        end_rank(int(os.environ["RANK"]), error)
    if choice.kind != "cpu":
        dist.destroy_process_group()
        return result
    sys.stdout.flush()
    sys.stderr.flush()
    # Python's own end would close gloo's connections, which with torch 2.5 may hang once another rank is gone.
    os._exit(result)


class TorchBackend(Backend):
    """One CUDA device or CPU, in torch's process group if there is one.

    The training loop averages gradients in one `all_reduce` after the backward pass, instead of
    DistributedDataParallel: the sums are the same, all ranks start with the weights of rank 0 either way, and the
    optimizer sees the averaged gradient before it is used. DDP would overlap the exchange with the backward pass, but
    here it is only a few MB.
    """

    def __init__(self, choice: DeviceChoice, options: LaunchOptions):
        if dist.is_initialized():
            self.rank, self.world_size = dist.get_rank(), dist.get_world_size()
            self.ranks_here = int(os.environ.get("LOCAL_WORLD_SIZE", self.world_size))
        self.kind, self._compile = choice.kind, options.compile
        self.device = torch.device(choice.kind)
        self._module = None
        if choice.kind != "cpu":
            self._module = torch.get_device_module(choice.kind)
            self.device = torch.device(choice.kind, self._module.current_device())
        can_bf16 = choice.kind != "cuda" or torch.cuda.is_bf16_supported(including_emulation=False)
        prefer_bf16 = options.bf16_on_cpu and _cpu_multiplies_bf16()
        self.precision, why = resolve_precision(options.precision, choice, can_bf16, prefer_bf16)
        name = self._module.get_device_name() if self._module else _cpu_name()
        self.device_name = f"{self.world_size} ranks, {name}" if self.world_size > 1 else name
        self.description = self.described(choice, why)

    def all_reduce(self, tensor: torch.Tensor) -> torch.Tensor:
        """The sum over all ranks."""
        if self.world_size > 1:
            tensor = tensor.clone()
            dist.all_reduce(tensor)
        return tensor

    def sync(self) -> None:
        """Wait until the device has done everything, and for all ranks."""
        self._wait()
        if self.world_size > 1:
            dist.barrier()

    def compilations(self) -> int:
        """Graphs that torch.compile has compiled so far in this process; 0 without --compile."""
        if not self._compile:
            return 0
        from torch._dynamo.utils import counters  # slow to import, and only torch.compile needs it

        return counters["stats"]["unique_graphs"]

    def peak(self) -> Peak:
        """The speed of matrix products on this device."""
        return measured_peak(self.device, self.precision, self._wait)

    def _wait(self) -> None:
        if self._module is not None:
            self._module.synchronize()

    def _moved(self, model: torch.nn.Module) -> torch.nn.Module:
        model = model.to(self.device, memory_format=torch.channels_last)
        if self._compile:
            model.compile(fullgraph=True)  # in place: names of weights stay as they are
        return model

    def _fetched(self, batch: dict) -> dict:
        if self._module is None:
            return batch
        self._module.set_device(self.device)  # a new thread starts on device 0
        return {key: value.pin_memory() for key, value in batch.items()}

    def _uploaded(self, batch: dict) -> dict:
        return {key: _laid_out(value.to(self.device, non_blocking=True)) for key, value in batch.items()}


def _laid_out(value: torch.Tensor) -> torch.Tensor:
    return value.contiguous(memory_format=torch.channels_last) if value.dim() == 4 else value


def _cpu_name() -> str:
    return f"{torch.get_num_threads()} threads"


def _cpu_multiplies_bf16() -> bool:
    """Whether the CPU has instructions for products of bf16 (AVX-512 BF16 or AMX)."""
    questions = ("_is_avx512_bf16_supported", "_is_amx_tile_supported")
    return any(getattr(torch.cpu, question, lambda: False)() for question in questions)
