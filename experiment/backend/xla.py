"""torch_xla drives a TPU, or XLA's stand-in for one on the CPU. Only names that torch_xla 2.5 and 2.9 share are used.

torch_xla.launch starts one rank per core; with `--spmd`, one process spreads its arrays over all cores instead.
Exchanges between several ranks hang on XLA:CPU, so there is only one rank there, and `--spmd` for several devices.
Import this module after launch.choose has taken the bf16 variables out of the environment.
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

from ecg_generator_with_train_src.common.command_line import EXIT_FAULT
from ecg_generator_with_train_src.common.errors import InputError
from experiment.backend.backend import Backend, end_rank, resolve_precision, run_rank
from experiment.backend.options import DeviceChoice, LaunchOptions
from experiment.backend.peak import Peak, tpu_peak

_cache_lock = threading.Lock()
# torch_xla counts the reading of a number among the operations that the device lacks.
_NO_FALLBACKS = {"aten::_local_scalar_dense"}


def start_xla(
    choice: DeviceChoice, options: LaunchOptions, function: Callable[..., int], arguments: tuple
) -> int:
    """Call `function(backend, *arguments)` in each rank and return its exit code; only ranks touch a device."""
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
    """How many of this host's `here` cores are used (all or one), and a line to print if that is not what was asked."""
    if asked is None or asked == here:
        return here, None
    if asked == 1:
        return 1, None
    return here, f"{asked} cores asked for, this host drives {here}: using {here}"


def cores_here(kind: str, options: LaunchOptions) -> int:
    """How many cores this host drives, without touching one.

    XLA:CPU drives one; under `--spmd` it drives as many as CPU_NUM_DEVICES says, or else as are asked for. Raises
    InputError if CPU_NUM_DEVICES is not a number of devices.
    """
    if kind == "tpu":
        return max(tpu.num_local_processes(), 1) * _cores_per_chip()
    if not options.spmd:
        os.environ.pop("CPU_NUM_DEVICES", None)
        return 1
    number = os.environ.setdefault("CPU_NUM_DEVICES", str(options.num_cores or 1))
    if not number.isdecimal() or int(number) < 1:
        raise InputError(
            f"CPU_NUM_DEVICES={number}: is not a number of devices; give one from 1, or unset it"
        )
    return int(number)


def _cores_per_chip() -> int:
    try:
        return tpu.num_logical_cores_per_chip()
    except (
        Exception
    ):  # asking the metadata server may raise anything, and only a printed number depends on it
        return 1


def _accelerator_type() -> str:
    """Such as `v3-8`; empty if the machine does not say."""
    try:
        return tpu.get_tpu_env()["ACCELERATOR_TYPE"] or ""
    except Exception:  # as above: a share of the peak is left out of the log
        return ""


def launch_ranks(
    choice: DeviceChoice, options: LaunchOptions, function: Callable[..., int], arguments: tuple
) -> int:
    """Start one rank per core, in processes of torch_xla.launch (with two threads each on TPU v2 and v3)."""
    with tempfile.TemporaryDirectory() as folder:
        outcome = Path(folder) / "exit_code"
        try:
            torch_xla.launch(_one_of_several, (outcome, (choice, options, function, arguments)))
        except BrokenProcessPool:  # a rank has printed why it fails and ended its process, or was killed
            return int(outcome.read_text()) if outcome.is_file() else EXIT_FAULT
        return int(outcome.read_text())


def _only_rank(_: int, results: list[int], call: tuple) -> None:
    results.append(_rank(*call))


def _one_of_several(rank: int, outcome: Path, call: tuple) -> None:
    try:
        outcome.write_text(str(_rank(*call)))  # every rank writes the same number
    except BaseException as error:
        end_rank(rank, error, outcome)


def _rank(
    choice: DeviceChoice, options: LaunchOptions, function: Callable[..., int], arguments: tuple
) -> int:
    if choice.kind == "tpu" and options.cache_dir is not None:  # XLA:CPU cannot read back what it has written
        open_cache(options.cache_dir)
    return run_rank(function, XlaBackend(choice, options), arguments)


def open_cache(folder: Path) -> None:
    """Keep compiled programs for the next start, in a subfolder of `folder` for this process alone.

    A program whose file is damaged, since its writer was killed, is compiled anew. Call this before anything is
    computed.
    """
    with _cache_lock:  # two ranks that are threads of one process share a cache
        path = folder / f"torch_xla-{torch_xla.__version__}-{xr.device_type()}" / str(xr.process_index())
        if os.environ.get("XLA_PERSISTENT_CACHE_PATH") != str(path):
            path.mkdir(parents=True, exist_ok=True)
            xr.initialize_cache(str(path), readonly=False)


class XlaBackend(Backend):
    """One XLA device, or under SPMD all devices of this host as if they were one."""

    def __init__(self, choice: DeviceChoice, options: LaunchOptions):
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
            raise InputError(
                "--spmd: drives the cores of one host only; leave it out to train on several hosts"
            )
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
        """The sum over all ranks. Under SPMD there is one rank, and XLA itself sums over the devices."""
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

    def peak(self) -> Peak | None:
        """Google's figure for this TPU; None on XLA:CPU, or if the machine does not say which TPU it has."""
        return tpu_peak(_accelerator_type()) if self.kind == "tpu" else None

    def fallbacks(self) -> list[str]:
        """Operations that were run on the CPU because torch_xla has no program for them."""
        return sorted({name for name in met.counter_names() if name.startswith("aten::")} - _NO_FALLBACKS)

    def _moved(self, model: torch.nn.Module) -> torch.nn.Module:
        return model.to(self.device)

    def _fetched(self, batch: dict) -> dict:
        """The batch on the device; under SPMD its first axis is spread over the devices."""
        return {key: self._sent(value) for key, value in batch.items()}

    def _sent(self, value: torch.Tensor) -> torch.Tensor:
        if self._mesh is None:
            return xm.send_cpu_data_to_device([value], self.device)[0]
        spec = xs.ShardingSpec(self._mesh, ("batch", *(None,) * (value.dim() - 1)))
        return xm.send_cpu_data_to_device([value], self.device, spec)[0]
