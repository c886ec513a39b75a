"""A network that is ready to run, whatever runs it, and how its page is brought to sides that it takes."""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

import numpy as np

RUNTIMES = ("auto", "openvino", "torch")


@dataclass(frozen=True)
class Network:
    """Calling it maps RGB images (N, H, W, 3) uint8 to probabilities (N, classes, h, w) float32.

    H and W are multiples of `multiple`. Batches of `batch` images are fastest, from `at_once` threads that share the
    network. Where `one_shape` is true, each further shape of images costs a compilation.
    """

    run: Callable[[np.ndarray], np.ndarray]
    multiple: int = 1
    batch: int = 1
    at_once: int = 1
    one_shape: bool = False

    def __call__(self, images: np.ndarray) -> np.ndarray:
        """The probabilities of some images."""
        return self.run(images)


class Runtime(Protocol):
    """What runs networks: `kind` is the device, tpu, xla-cpu, cuda or cpu."""

    kind: str

    def load(self, kind: str, weights: Path, in_tiles: bool = False) -> Network:
        """The network of a weights file; `kind` is the name of its shape, a key of network.loaders.LOADERS. What looks
        at pages `in_tiles` may look at several side by side.

        Raises InputError if the file is missing, damaged or of another shape.
        """


@dataclass(frozen=True)
class RuntimeOptions:
    """What the command line asks for."""

    runtime: str = "auto"  # one of RUNTIMES
    device: str = "auto"  # one of backend.options.DEVICE_CHOICES
    precision: str = "auto"  # auto, fp32 or bf16; auto is bf16 where the hardware multiplies it
    num_threads: int | None = None  # that a CPU uses for a network; None: all its cores
