"""OpenVINO runs networks on the CPU, from their ONNX files.

On a CPU that multiplies bfloat16 it takes half the time of ONNX Runtime, which has no such products, and less than
torch; on other CPUs it takes a fifth more than ONNX Runtime.
"""

import functools
import importlib
import os
import queue
import sys
import threading
from pathlib import Path

import numpy as np

from ecg_generator_with_train_src.common.command_line import available_cores
from ecg_generator_with_train_src.common.errors import InputError
from experiment.network.onnx_note import onnx_beside, read_note
from experiment.runtime.network import Network

_ALONE = threading.Lock()
_PRECISIONS = {"bf16": "bf16", "fp32": "f32"}  # ours, and as OpenVINO calls them


class OpenVinoCpu:
    """The CPU, with so many threads, all cores by default; `precision` is auto, fp32 or bf16."""

    kind = "cpu"

    def __init__(self, precision: str = "auto", num_threads: int | None = None):
        openvino = _openvino()
        self._core = openvino.Core()
        can_bf16 = "BF16" in self._core.get_property("CPU", "OPTIMIZATION_CAPABILITIES")
        if precision == "bf16" and not can_bf16:
            raise InputError("--precision bf16: this CPU has no products of bf16; use auto or fp32")
        self.precision = ("bf16" if can_bf16 else "fp32") if precision == "auto" else precision
        self.num_threads = num_threads or available_cores()
        version = ".".join(openvino.__version__.split("-")[0].split(".")[:2])
        self.description = (
            f"runtime openvino {version} (no GPU is used): CPU, {self.num_threads} threads; "
            f"precision {self.precision} ({'auto' if precision == 'auto' else 'as asked for'})"
        )

    def load(self, kind: str, weights: Path, in_tiles: bool = False) -> Network:
        """The network of the ONNX file beside a weights file. Raises InputError if there is none or it is damaged.

        Tiles are looked at side by side, each by one thread: they need not wait for each other, which takes a fifth
        less time than all threads at one tile, and half of it on a busy machine.
        """
        path, at_once = onnx_beside(weights), self.num_threads if in_tiles else 1
        settings = {
            "INFERENCE_PRECISION_HINT": _PRECISIONS[self.precision],
            "INFERENCE_NUM_THREADS": self.num_threads,
            "NUM_STREAMS": at_once,
            "ENABLE_CPU_PINNING": False,  # other processes may need these cores as well
        }
        try:
            compiled = self._core.compile_model(path, "CPU", settings)
        except (RuntimeError, ValueError) as error:
            what = str(error).partition("\n")[0]
            raise InputError(
                f"{path}: not an ONNX file of {kind} ({what}); --runtime torch does without it"
            ) from error
        idle = queue.SimpleQueue()
        for _ in range(at_once):
            idle.put(compiled.create_infer_request())

        def run(images: np.ndarray) -> np.ndarray:
            _check_process()
            request = idle.get()
            try:
                return request.infer([np.ascontiguousarray(images)])[0].copy()
            finally:
                idle.put(request)

        return Network(run, read_note(path).multiple, at_once=at_once)


@functools.cache
def _process() -> int:
    """The process that OpenVINO was first used in."""
    return os.getpid()


def _check_process() -> None:
    """Raise RuntimeError in a process that was forked off after OpenVINO was used: there it would crash, or wait for
    threads that are gone."""
    if _process() != os.getpid():
        raise RuntimeError(
            "this process was forked off after OpenVINO was used, which does not survive that: use processes that "
            'multiprocessing.get_context("spawn") starts, or fork them before the first page is read'
        )


def _openvino():
    """The package, without two parts that it does without: openvino_telemetry tells Google Analytics of each start, and
    openvino.tools.ovc, which converts models, takes longer to import than all the rest.

    Two threads that take their first array from it at the same time wait for each other for ever, as it initialises
    itself then. So that is done here, by one thread.
    """
    for part in ("openvino_telemetry", "openvino.tools.ovc"):
        sys.modules.setdefault(part, None)
    openvino = importlib.import_module("openvino")
    with _ALONE:
        _check_process()
        openvino.Tensor(np.zeros(1, np.float32)).data  # noqa: B018
    return openvino
