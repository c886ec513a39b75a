"""Chooses what runs the networks: OpenVINO where only a CPU is there, torch for every other device.

A network trained here is a safetensors file, which torch reads. OpenVINO reads the ONNX file beside it, which
export_weights.py writes and which names the weights that it was made from.
"""

import importlib.util
import os
import shutil
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

from threadpoolctl import threadpool_limits

from ecg_generator_with_train_src.common.errors import InputError
from ecg_generator_with_train_src.common.picture_memory import keep_memory_for_pictures
from experiment.network.onnx_note import onnx_problem
from experiment.runtime.network import Runtime, RuntimeOptions


def run_networks(
    options: RuntimeOptions, weights: list[Path], function: Callable[..., int], *arguments: Any
) -> int:
    """Call `function(runtime, *arguments)` with a runtime for the networks of all `weights`; return its exit code.

    Prints which runtime it is, and why. Function and arguments may be sent to other processes by pickle. Raises
    InputError if what is asked for is not there.
    """
    keep_memory_for_pictures()
    with one_blas_thread():
        if problem := openvino_problem(options, weights):
            return _by_torch(options, problem, function, arguments)
        from experiment.runtime.openvino_cpu import OpenVinoCpu

        runtime = OpenVinoCpu(options.precision, options.num_threads)
        print(runtime.description, flush=True)
        return function(runtime, *arguments)


def one_blas_thread() -> "_OneBlasThread":
    """Meanwhile OpenBLAS has one thread: several that wait for small products take most of a busy machine.

    Threads may ask for it at the same time: its own number comes back when the last of them is done.
    """
    return _ONE_BLAS_THREAD


class _OneBlasThread:
    """Entered by the first that asks for it, and left with the last."""

    def __init__(self):
        self._lock, self._users, self._limits = threading.Lock(), 0, None

    def __enter__(self) -> None:
        with self._lock:
            self._limits = self._limits or threadpool_limits(1, user_api="blas")
            self._users += 1

    def __exit__(self, *_: object) -> None:
        with self._lock:
            self._users -= 1
            if not self._users:
                self._limits.restore_original_limits()
                self._limits = None


_ONE_BLAS_THREAD = _OneBlasThread()


def runtime_here(options: RuntimeOptions, weights: list[Path]) -> Runtime:
    """The same for a program that keeps its runtime: one in this process. Raises InputError for a TPU too."""
    if problem := openvino_problem(options, weights):
        _check_torch(problem)
        from experiment.runtime.torch_device import torch_here

        return torch_here(options)
    from experiment.runtime.openvino_cpu import OpenVinoCpu

    return OpenVinoCpu(options.precision, options.num_threads)


def openvino_problem(options: RuntimeOptions, weights: list[Path]) -> str | None:
    """Why torch is to run the networks; None if OpenVINO is. Raises InputError if OpenVINO is asked for and cannot."""
    if options.runtime == "torch":
        return "--runtime torch"
    problem = _other_device(options.device) or _missing(weights)
    if problem and options.runtime == "openvino":
        raise InputError(f"--runtime openvino: {problem}")
    return problem


def _other_device(device: str) -> str | None:
    if device not in ("auto", "cpu"):
        return f"--device {device}"
    if device == "auto" and os.environ.get("PJRT_DEVICE"):
        return f"PJRT_DEVICE={os.environ['PJRT_DEVICE']}"
    if device == "auto" and _gpu_is_there():
        return "a GPU is there"
    return None


def _missing(weights: list[Path]) -> str | None:
    if not importlib.util.find_spec("openvino"):
        return "openvino is not installed"
    return next(filter(None, map(onnx_problem, weights)), None)


def _gpu_is_there() -> bool:
    """Whether torch may find a CUDA device; asking torch itself would take two seconds where there is none."""
    driver = shutil.which("nvidia-smi") or Path("/dev/nvidiactl").exists()
    return bool(driver) and importlib.util.find_spec("torch") is not None


def _by_torch(options: RuntimeOptions, why: str, function: Callable[..., int], arguments: tuple) -> int:
    _check_torch(why)
    from experiment.runtime.torch_device import run_with_torch

    print(f"runtime torch ({why})", flush=True)
    return run_with_torch(options, function, arguments)


def _check_torch(why: str) -> None:
    if not importlib.util.find_spec("torch"):
        raise InputError(f"{why}: this needs torch, which is not installed: pip install -r requirements.txt")
