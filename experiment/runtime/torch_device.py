"""Torch runs networks on any device that a backend drives, from their safetensors files."""

import threading
from collections.abc import Callable
from pathlib import Path

import numpy as np
import torch

from ecg_generator_with_train_src.common.errors import InputError
from experiment.backend.backend import Backend
from experiment.backend.launch import choose, launch
from experiment.backend.options import LaunchOptions
from experiment.network.loaders import LOADERS
from experiment.runtime.network import Network, RuntimeOptions

GPU_TILES = 8  # images a batch on a GPU; a CPU is fastest with one


def run_with_torch(options: RuntimeOptions, function: Callable[..., int], arguments: tuple) -> int:
    """Call `function(runtime, *arguments)` on the device that is asked for; return its exit code."""
    return launch(_launch_options(options), _on_backend, options.num_threads, function, arguments)


def torch_here(options: RuntimeOptions) -> "TorchDevice":
    """A device that plain torch drives in this process. Raises InputError if it is missing, or is XLA's."""
    choice = choose(options.device)
    if choice.is_xla:
        raise InputError(
            f"{choice.why}: only commands such as digitize.py run on XLA; give device cpu or cuda"
        )
    from experiment.backend.plain_torch import TorchBackend

    backend = TorchBackend(choice, _launch_options(options))
    _set_threads(backend, options.num_threads)
    return TorchDevice(backend)


def _launch_options(options: RuntimeOptions) -> LaunchOptions:
    return LaunchOptions(options.device, options.precision, bf16_on_cpu=True, num_cores=1)


def _on_backend(
    backend: Backend, num_threads: int | None, function: Callable[..., int], arguments: tuple
) -> int:
    _set_threads(backend, num_threads)
    return function(TorchDevice(backend), *arguments)


def _set_threads(backend: Backend, num_threads: int | None) -> None:
    if num_threads and backend.kind == "cpu":
        torch.set_num_threads(num_threads)


class TorchDevice:
    """The device of a backend."""

    def __init__(self, backend: Backend):
        self.backend, self.kind = backend, backend.kind

    def load(self, kind: str, weights: Path, in_tiles: bool = False) -> Network:
        """The network of a weights file, which looks at one batch at a time.

        Raises InputError if it is missing, damaged or of another shape.
        """
        return self.network(LOADERS[kind](weights))

    def network(self, model: torch.nn.Module) -> Network:
        """A model, which maps RGB images (N, 3, H, W) to logits, on the device."""
        model, backend = self.backend.prepare(model.eval()), self.backend
        one_at_a_time = threading.Lock()

        @torch.inference_mode()
        def run(images: np.ndarray) -> np.ndarray:
            pixels = torch.from_numpy(np.ascontiguousarray(images.transpose(0, 3, 1, 2)))
            with one_at_a_time:
                pixels = backend.upload({"image": pixels})["image"]
                with backend.autocast():
                    logits = model(pixels)
                probabilities = torch.softmax(logits.float(), dim=1)
                backend.step()
                return probabilities.cpu().numpy()

        batch = 1 if backend.device.type == "cpu" else GPU_TILES
        return Network(run, model.multiple, batch, one_shape=backend.device.type == "xla")
