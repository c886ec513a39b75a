"""Measure what the input costs the training loop, and how far a step is from the device's peak."""

import itertools
import time
from pathlib import Path

import numpy as np

from ecg_generator_with_train_src.dataset.format import read_dataset_info
from experiment.backend.launch import launch
from experiment.backend.options import LaunchOptions
from experiment.backend.prefetch import DEPTH
from experiment.benchmarks.commands import REPEATS
from experiment.config import load_config
from experiment.training.speed import StepWork, work_of_a_step
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
        work, ratio = work_of_a_step(config, backend), float(np.median(np.array(step_s) / np.array(loop_s)))
        print(
            f"train: {work.crops / np.median(loop_s):.1f} crops/s with real data, {work.crops / np.median(step_s):.1f} "
            f"on one cached batch of {work.crops} crops of {config.data.crop_size} px: ratio {ratio:.2f}"
        )
        report_matrix_work(work, float(np.median(step_s)))
    return 0


def train_s(trainer, meter, batches) -> float:
    """Seconds that a step on each of the batches takes together."""
    trainer.backend.sync()
    start_s = time.perf_counter()
    for batch in batches:
        trainer.train_step(batch, meter)
    trainer.backend.sync()
    return time.perf_counter() - start_s


def report_matrix_work(work: StepWork, step_s: float) -> None:
    """Print the step's time, and where the peak is known that time relative to its convolutions at the peak."""
    print(work.describe())
    times = f", {step_s * work.peak.flop_per_s / work.flop:.1f} times that at the peak" if work.peak else ""
    print(f"a step takes {step_s * 1e3:.1f} ms{times}")
