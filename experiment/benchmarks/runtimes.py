"""What a tile costs by each of the runtimes, on quiet cores and beside other programs that keep the cores busy."""

import contextlib
import os
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import numpy as np

from ecg_generator_with_train_src.common.command_line import available_cores
from experiment.labelling.network_flags import checkpoint_of, load_predictor
from experiment.labelling.predictor import Predictor
from experiment.runtime.choose import one_blas_thread, runtime_here
from experiment.runtime.network import RuntimeOptions

REPEATS = 7  # in turns
SIZE_PX = (992, 1952)  # of an image of eight tiles
# A program that keeps a core busy until its parent ends, however that happens
BUSY = "import os, sys\nwhile os.getppid() == int(sys.argv[1]): pass"


def benchmark_runtimes(checkpoint: Path | None) -> None:
    """Print what a tile costs by OpenVINO and by torch, each in the precision that it chooses on this CPU, and how many
    times as long torch takes."""
    with one_blas_thread():
        predictors = [_predictor(name, checkpoint) for name in ("openvino", "torch")]
        _print_tile_times("quiet cores", *predictors)
        with busy_processes(available_cores()):
            _print_tile_times(f"{available_cores()} other busy processes", *predictors)


def _predictor(runtime: str, checkpoint: Path | None) -> Predictor:
    weights = checkpoint_of(checkpoint)
    return load_predictor(runtime_here(RuntimeOptions(runtime, "cpu"), [weights]), weights)


def _print_tile_times(where: str, openvino: Predictor, torch: Predictor) -> None:
    spent_s = [[_tile_s(predictor) for predictor in (openvino, torch)] for _ in range(REPEATS)]
    openvino_s, torch_s = np.median(spent_s, axis=0)
    print(
        f"{where}: a tile takes {1000 * openvino_s:.1f} ms by openvino, {1000 * torch_s:.1f} ms by torch: "
        f"ratio {torch_s / openvino_s:.2f}"
    )


def _tile_s(predictor: Predictor) -> float:
    """Seconds a tile of looking at an image."""
    look = predictor.look(np.zeros((*SIZE_PX, 3), np.uint8))
    tiles, start_s = len(look.unseen), time.perf_counter()
    look.at_all()
    return (time.perf_counter() - start_s) / tiles


@contextlib.contextmanager
def busy_processes(number: int) -> Iterator[None]:
    """Meanwhile so many other processes keep a core busy each."""
    with contextlib.ExitStack() as after:
        for _ in range(number):
            process = subprocess.Popen([sys.executable, "-c", BUSY, str(os.getpid())])
            after.callback(process.wait)
            after.callback(process.kill)
        yield
