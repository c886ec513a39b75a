"""Plain torch: CUDA devices or CPUs, one rank a process; several ranks, on one host or more, under torchrun.

What is particular to a device stands in `_PROCESS_GROUPS` and in the accelerator's module of torch (torch.cuda):
another torch device that talks through torch.distributed needs a line there and nothing elsewhere.
"""

import os
import sys
from collections.abc import Callable

import torch
import torch.distributed as dist

from experiment.backend.launch import Backend, Choice, LaunchOptions, end_rank, resolve_precision, run_rank

_PROCESS_GROUPS = {"cpu": "gloo", "cuda": "nccl"}


def launch(choice: Choice, options: LaunchOptions, function: Callable[..., int], arguments: tuple) -> int:
    """Call `function(backend, *arguments)` as the rank that torchrun's environment names, or as the only one.

    One of several ranks on CPUs ends its process with the exit code instead of returning it.
    """
    distributed = "RANK" in os.environ and "WORLD_SIZE" in os.environ
    if choice.kind != "cpu":
        torch.get_device_module(choice.kind).set_device(int(os.environ.get("LOCAL_RANK", 0)))
    if distributed:
        return _one_of_several(choice, options, function, arguments)
    if (asked := options.num_cores or 1) > 1:
        print(
            f"{asked} cores asked for, plain torch drives 1 device a process: using 1; torchrun starts several"
        )
    return run_rank(function, TorchBackend(choice, options), arguments)


def _one_of_several(
    choice: Choice, options: LaunchOptions, function: Callable[..., int], arguments: tuple
) -> int:
    try:
        dist.init_process_group(_PROCESS_GROUPS[choice.kind])
        result = run_rank(function, TorchBackend(choice, options), arguments)
        dist.barrier()
    except BaseException as error:  # the others may wait in a collective: torchrun ends them
        end_rank(int(os.environ["RANK"]), error)
    if choice.kind != "cpu":
        dist.destroy_process_group()
        return result
    sys.stdout.flush()
    sys.stderr.flush()
    os._exit(result)  # at once: taking gloo's connections down may hang, on the 2.5 line, once a peer is gone


class TorchBackend(Backend):
    """One CUDA device or CPU, in a process group if there is one.

    Gradients are averaged by the training loop, all in one `all_reduce` after the backward pass, instead of by
    DistributedDataParallel: the sums are the same, the weights start as rank 0's either way, and the step's guard
    sees the reduced gradient before it is used. DDP would hide the exchange behind the backward pass, but that is
    a few MB here.
    """

    def __init__(self, choice: Choice, options: LaunchOptions):
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
        if self._module is not None:
            self._module.synchronize()
        if self.world_size > 1:
            dist.barrier()

    def _moved(self, model: torch.nn.Module) -> torch.nn.Module:
        model = model.to(self.device, memory_format=torch.channels_last)
        if self._compile:
            model.compile(fullgraph=True)  # in place: names of weights stay as they are
        return model

    def _fetched(self, batch: dict) -> dict:
        if self._module is None:
            return batch
        self._module.set_device(self.device)  # else a thread starts on device 0
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
