"""How many operations on numbers a device does at most in a second: measured on a CPU or GPU, from a table for TPUs.

A training step is compared with it: what share of the peak the step's convolutions reach says whether a faster input,
a larger batch or another network would use the device better.
"""

import re
import time
from collections.abc import Callable
from dataclasses import dataclass

import torch

SIDES = {"cpu": 1024, "cuda": 8192}  # of the measured products: large enough to fill the device
MEASURED_S = 0.2
LEAST_PRODUCTS = 3

# Of a chip, in bf16, as Google's page of each version states it: docs.cloud.google.com/tpu/docs/v2, v3, v4, v5e, v5p,
# v6e and tpu7x. The keys are accelerator types without their number of cores, v5e's as the machine calls it.
TPU_TFLOPS = {"v2": 45, "v3": 123, "v4": 275, "v5litepod": 197, "v5p": 459, "v6e": 918, "tpu7x": 2307}
DEVICES_OF_A_CHIP = {"v2": 2, "v3": 2, "tpu7x": 2}  # on the others, a chip is one device


@dataclass(frozen=True)
class Peak:
    """The most operations a second of one device, and where the number is from."""

    flop_per_s: float
    source: str


def measured_peak(device: torch.device, precision: str, wait: Callable[[], None]) -> Peak:
    """The fastest of some products of square matrices; `wait` returns once the device has done everything.

    On CUDA, fp32 means what convolutions compute in: TF32 where torch allows it for them.
    """
    side = SIDES[device.type]
    matrix = torch.rand(side, side, device=device).to(
        torch.bfloat16 if precision == "bf16" else torch.float32
    )
    allowed = torch.backends.cuda.matmul.allow_tf32
    torch.backends.cuda.matmul.allow_tf32 = torch.backends.cudnn.allow_tf32
    try:
        fastest_s = _fastest_s(lambda: torch.mm(matrix, matrix), wait)
    finally:
        torch.backends.cuda.matmul.allow_tf32 = allowed
    return Peak(2 * side**3 / fastest_s, f"measured: products of {side}x{side} matrices in {precision}")


def _fastest_s(multiply: Callable[[], object], wait: Callable[[], None]) -> float:
    multiply()
    wait()
    durations_s: list[float] = []
    while len(durations_s) < LEAST_PRODUCTS or sum(durations_s) < MEASURED_S:
        start_s = time.perf_counter()
        multiply()
        wait()
        durations_s.append(time.perf_counter() - start_s)
    return min(durations_s)


def tpu_peak(accelerator_type: str) -> Peak | None:
    """The peak of one device of a TPU such as `v3-8` or `v6e-1`; None for a version that the table lacks.

    >>> tpu_peak("v3-8").flop_per_s / 1e12
    61.5
    """
    version = re.match(r"[^-]*", accelerator_type)[0]
    if version not in TPU_TFLOPS:
        return None
    flop_per_s = 1e12 * TPU_TFLOPS[version] / DEVICES_OF_A_CHIP.get(version, 1)
    return Peak(flop_per_s, f"Google's figure for a device of TPU {version} in bf16")
