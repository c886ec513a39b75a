"""Measure what the input costs the training loop, and how far a step is from the device's peak."""

import itertools
import time
from pathlib import Path

import numpy as np
import torch
from torch.utils.flop_counter import FlopCounterMode

from ecg_generator_with_train_src.dataset.format import read_dataset_info
from experiment.backend.launch import launch
from experiment.backend.options import LaunchOptions
from experiment.backend.prefetch import DEPTH
from experiment.benchmarks.commands import REPEATS, median_s
from experiment.config import load_config
from experiment.training.trainer import Trainer


def benchmark_train(config_path: Path, overrides: list[str], device: str, num_steps: int) -> None:
    """Time the training loop on real data, and the same step on one batch that stays on the device."""
    steps = f"run.steps_per_epoch={DEPTH + 1 + num_steps}"
    config = load_config(config_path, [*overrides, steps])
    launch(LaunchOptions(device, config.precision), measure_training, config, num_steps)


def measure_training(backend, config, num_steps: int) -> int:
    """Time several epochs on one rank, and after each as many steps on a cached batch."""
    trainer = Trainer(backend, config, read_dataset_info(Path(config.data.root)))
    meter = trainer.state.new_meter()
    batch = next(iter(backend.wrap_loader(trainer.source.train_batches(1))))
    train_s(trainer, meter, itertools.repeat(batch, num_steps))  # this compiles, and starts the workers
    loop_s, step_s = [], []
    for epoch in range(2, 2 + REPEATS):
        batches = backend.wrap_loader(trainer.source.train_batches(epoch), trainer.source.steps)
        train_s(trainer, meter, itertools.islice(batches, trainer.source.steps - num_steps))
        loop_s.append(train_s(trainer, meter, batches) / num_steps)
        step_s.append(train_s(trainer, meter, itertools.repeat(batch, num_steps)) / num_steps)
    if backend.is_main:
        images = config.data.batch_size * backend.all_devices
        ratio = float(np.median(np.array(step_s) / np.array(loop_s)))
        print(
            f"train: {images / np.median(loop_s):.1f} images/s with real data, {images / np.median(step_s):.1f} on one "
            f"cached batch of {images} crops of {config.data.crop_size} px: ratio {ratio:.2f}"
        )
        if backend.device.type in ("cpu", "cuda"):
            report_matrix_work(trainer, meter, batch, float(np.median(step_s)))
    return 0


def train_s(trainer, meter, batches) -> float:
    """Seconds that a step on each of the batches takes together."""
    trainer.backend.sync()
    start_s = time.perf_counter()
    for batch in batches:
        trainer.train_step(batch, meter)
    trainer.backend.sync()
    return time.perf_counter() - start_s


def report_matrix_work(trainer, meter, batch, step_s: float) -> None:
    """Print the step's time relative to that of its convolutions at the speed of one large matrix product."""
    with FlopCounterMode(display=False) as counter:
        trainer.train_step(batch, meter)
    device, size = trainer.backend.device, 1024 if trainer.backend.kind == "cpu" else 8192
    dtype = torch.bfloat16 if trainer.backend.precision == "bf16" else torch.float32
    matrix = torch.ones(size, size, device=device, dtype=dtype)

    def multiply() -> None:
        torch.mm(matrix, matrix)
        trainer.backend.sync()

    multiply()
    peak = 2 * size**3 / median_s(multiply)
    print(
        f"a step takes {step_s * 1e3:.1f} ms, {step_s * peak / counter.get_total_flops():.1f} times its "
        f"{counter.get_total_flops() / 1e9:.1f} GFLOP at the {peak / 1e12:.2f} TFLOP/s of a {size}x{size} product"
    )
