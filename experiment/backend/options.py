"""The kinds of device, and what is asked for and chosen among them. Needs no torch."""

from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True)
class Kind:
    """How one kind of device is driven."""

    module: str  # the module of its backend
    starter: str  # the function of that module that starts the ranks
    pjrt_device: str | None = None  # the value of PJRT_DEVICE that chooses it; None: XLA does not drive it


_PLAIN_TORCH = ("experiment.backend.plain_torch", "start_plain_torch")
_XLA = ("experiment.backend.xla", "start_xla")
KINDS = {
    "tpu": Kind(*_XLA, pjrt_device="TPU"),
    "xla-cpu": Kind(*_XLA, pjrt_device="CPU"),
    "cuda": Kind(*_PLAIN_TORCH),
    "cpu": Kind(*_PLAIN_TORCH),
}
DEVICE_CHOICES = ("auto", *KINDS)


@dataclass(frozen=True)
class LaunchOptions:
    """What the command line and the configuration ask for."""

    device: str = "auto"  # one of DEVICE_CHOICES
    precision: str = "auto"  # auto, fp32 or bf16
    num_cores: int | None = None  # how many cores of this host XLA uses; None: all
    spmd: bool = False  # XLA only: one process drives all cores
    compile: bool = False  # plain torch only: torch.compile the network
    cache_dir: Path | None = None  # where XLA keeps its compiled programs
    bf16_on_cpu: bool = (
        False  # precision auto is bf16 on a CPU that multiplies it in hardware; enough to predict
    )


@dataclass(frozen=True)
class DeviceChoice:
    """What to run on, decided before any device is touched."""

    kind: str  # a key of KINDS: tpu, xla-cpu, cuda or cpu
    why: str
    bf16_wish: bool | None  # whether the environment asks for bf16; None: it says nothing
    pjrt_device: str | None = None  # the value of PJRT_DEVICE for a device that XLA drives; None: plain torch

    @property
    def is_xla(self) -> bool:
        """Whether XLA drives the device."""
        return self.pjrt_device is not None
