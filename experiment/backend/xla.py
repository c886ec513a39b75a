"""torch_xla: TPU, or XLA's CPU stand-in. Uses only names that both the 2.5 and the 2.9 line have.

One rank a core, started by torch_xla.launch; or `--spmd`: one process whose arrays are spread over all cores.
Between ranks on XLA:CPU collectives hang, so there one rank is all there is, and `--spmd` the way to several devices.
Import this module after the bf16 variables are gone from the environment.
"""

import os
import tempfile
import threading
from collections.abc import Callable
from concurrent.futures.process import BrokenProcessPool
from pathlib import Path

import numpy as np
import torch
import torch_xla
import torch_xla.core.xla_model as xm
import torch_xla.debug.metrics as met
import torch_xla.distributed.spmd as xs
import torch_xla.runtime as xr
from torch_xla._internal import tpu

from ecg_generator_with_train_src.common.errors import InputError
from experiment.backend.launch import Backend, Choice, LaunchOptions, end_rank, resolve_precision, run_rank

_cache_lock = threading.Lock()
# Reading a number is counted among the operations that the device lacks.
_NO_FALLBACKS = {"aten::_local_scalar_dense"}


def launch(choice: Choice, options: LaunchOptions, function: Callable[..., int], arguments: tuple) -> int:
    """Call `function(backend, *arguments)` in each rank; no device is touched before."""
    cores, line = resolve_cores(options.num_cores, cores_here(choice.kind, options))
    if line:
        print(line, flush=True)
    call = (choice, options, function, arguments)
    if options.spmd and cores > 1:
        xr.use_spmd()
        return _rank(*call)
    if cores > 1:
        return launch_ranks(*call)
    results: list[int] = []
    torch_xla.launch(_only_rank, (results, call), debug_single_process=True)
    return results[0]


def resolve_cores(asked: int | None, here: int) -> tuple[int, str | None]:
    """How many of the `here` cores of this host are used, all or one, and a line if that is not what was asked."""
    if asked is None or asked == here:
        return here, None
    if asked == 1:
        return 1, None
    return here, f"{asked} cores asked for, this host drives {here}: using {here}"


def cores_here(kind: str, options: LaunchOptions) -> int:
    """How many cores this host drives, found without touching one.

    XLA:CPU drives one; under `--spmd` as many as CPU_NUM_DEVICES says, or else as are asked for.
    """
    if kind == "tpu":
        return max(tpu.num_local_processes(), 1) * _cores_per_chip()
    if not options.spmd:
        os.environ.pop("CPU_NUM_DEVICES", None)
        return 1
    number = os.environ.setdefault("CPU_NUM_DEVICES", str(options.num_cores or 1))
    if not number.isdecimal() or int(number) < 1:
        raise InputError(f"CPU_NUM_DEVICES={number}: is no number of devices")
    return int(number)


def _cores_per_chip() -> int:
    try:
        return tpu.num_logical_cores_per_chip()
    except Exception:  # whatever asking the metadata server may raise; only the number printed hangs on it
        return 1


def launch_ranks(
    choice: Choice, options: LaunchOptions, function: Callable[..., int], arguments: tuple
) -> int:
    """One rank a core, in processes (and on TPU v2 and v3 two threads each) that torch_xla.launch starts."""
    with tempfile.TemporaryDirectory() as folder:
        outcome = Path(folder) / "exit_code"
        try:
            torch_xla.launch(_one_of_several, (outcome, (choice, options, function, arguments)))
        except BrokenProcessPool:  # a rank has ended its process, and has said why
            return int(outcome.read_text()) if outcome.is_file() else 1
        return int(outcome.read_text())


def _only_rank(_: int, results: list[int], call: tuple) -> None:
    results.append(_rank(*call))


def _one_of_several(rank: int, outcome: Path, call: tuple) -> None:
    try:
        outcome.write_text(str(_rank(*call)))  # the same number from every rank
    except BaseException as error:
        end_rank(rank, error, outcome)


def _rank(choice: Choice, options: LaunchOptions, function: Callable[..., int], arguments: tuple) -> int:
    if choice.kind == "tpu" and options.cache_dir is not None:  # XLA:CPU cannot read what it has written
        open_cache(options.cache_dir)
    return run_rank(function, XlaBackend(choice, options), arguments)


def open_cache(folder: Path) -> None:
    """Keep compiled programs in `folder`, in a place of this process's own, for the next start.

    A file that a kill has torn is compiled anew. Call before anything is computed.
    """
    with _cache_lock:  # two threads of a process share a cache
        path = folder / f"torch_xla-{torch_xla.__version__}-{xr.device_type()}" / str(xr.process_index())
        if os.environ.get("XLA_PERSISTENT_CACHE_PATH") != str(path):
            path.mkdir(parents=True, exist_ok=True)
            xr.initialize_cache(str(path), readonly=False)


class XlaBackend(Backend):
    """A device of XLA, or under SPMD all of this host's as if they were one."""

    def __init__(self, choice: Choice, options: LaunchOptions):
        self.kind = choice.kind
        try:
            self.device = torch_xla.device()
        except RuntimeError as error:
            reason = " ".join(str(error).split())[:300]
            raise InputError(f"{choice.why}: torch_xla cannot open the device: {reason}") from error
        self._mesh = None
        if xr.is_spmd():
            self._spread()
        else:
            self.rank, self.world_size = xr.global_ordinal(), xr.world_size()
            self.ranks_here = min(xr.local_device_count(), self.world_size)
        self.precision, why = resolve_precision(options.precision, choice, can_bf16=True)
        name = f"{xr.device_type()} through torch_xla {torch_xla.__version__}"
        cores = f"{self.all_devices} cores{' by SPMD' if self._mesh else ''}, "
        self.device_name = cores + name if self.all_devices > 1 else name
        self.description = self.described(choice, why)

    def _spread(self) -> None:
        if xr.process_count() > 1:
            raise InputError("--spmd: is for one host; leave it out to train on several")
        self.devices = xr.global_runtime_device_count()
        self._mesh = xs.Mesh(np.arange(self.devices), (self.devices,), ("batch",))

    def seed(self, seed: int) -> None:
        """Seed all random numbers of this rank and its device."""
        torch.manual_seed(seed)
        torch_xla.manual_seed(seed)

    def step(self) -> None:
        """Hand the step's graph to the device."""
        torch_xla.sync()

    def all_reduce(self, tensor: torch.Tensor) -> torch.Tensor:
        """The sum over all ranks. Under SPMD there is one, and XLA itself sums over devices."""
        return xm.all_reduce(xm.REDUCE_SUM, tensor) if self.world_size > 1 else tensor

    def sync(self) -> None:
        """Wait until the device has done everything, and for all ranks."""
        torch_xla.sync()
        xm.wait_device_ops()
        if self.world_size > 1:
            self.all_reduce(torch.zeros(1, device=self.device)).cpu()

    def compilations(self) -> int:
        """Programs compiled so far in this process."""
        return met.counter_value("UncachedCompile") or 0

    def fallbacks(self) -> list[str]:
        """Operations that were run on the CPU because torch_xla has no program for them."""
        return sorted({name for name in met.counter_names() if name.startswith("aten::")} - _NO_FALLBACKS)

    def _moved(self, model: torch.nn.Module) -> torch.nn.Module:
        return model.to(self.device)

    def _fetched(self, batch: dict) -> dict:
        """On the device already, spread over its first axis under SPMD."""
        return {key: self._sent(value) for key, value in batch.items()}

    def _sent(self, value: torch.Tensor) -> torch.Tensor:
        if self._mesh is None:
            return xm.send_cpu_data_to_device([value], self.device)[0]
        spec = xs.ShardingSpec(self._mesh, ("batch", *(None,) * (value.dim() - 1)))
        return xm.send_cpu_data_to_device([value], self.device, spec)[0]
