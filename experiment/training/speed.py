"""How fast a run trains: crops a second, the share of the device's peak, and the share of time it waits for data."""

import time
from collections.abc import Iterator
from dataclasses import dataclass
from typing import TypeVar

from experiment.backend.backend import Backend
from experiment.backend.peak import Peak
from experiment.config import Config
from experiment.network.arithmetic import step_flop

Item = TypeVar("Item")


@dataclass
class Span:
    """Some training steps: their duration, and how much of it passed before their batches came."""

    steps: int = 0
    seconds: float = 0.0
    waiting_s: float = 0.0

    def steps_per_s(self) -> float:
        """Mean speed; 0 without a step."""
        return self.steps / self.seconds if self.seconds else 0.0


@dataclass(frozen=True)
class StepWork:
    """What a step does: the crops of all devices, the operations of one device, and what that device does at most."""

    crops: int
    flop: float
    peak: Peak | None

    def rates(self, span: Span) -> dict[str, float]:
        """What is logged of some steps; nothing if there are none, and no share of a peak that is not known.

        >>> StepWork(16, 2e9, Peak(1e11, "measured")).rates(Span(steps=10, seconds=5.0, waiting_s=1.0))
        {'crops_per_s': 32.0, 'peak_share': 0.04, 'waiting_share': 0.2}
        """
        if not span.steps:
            return {}
        rates = {"crops_per_s": round(self.crops * span.steps_per_s(), 2)}
        if self.peak:
            rates["peak_share"] = round(self.flop * span.steps_per_s() / self.peak.flop_per_s, 4)
        return rates | {"waiting_share": round(span.waiting_s / span.seconds, 4)}

    def describe(self) -> str:
        """One line on the step and the peak."""
        step = f"a step is {self.flop / 1e9:.1f} GFLOP of convolutions on each device"
        if self.peak is None:
            return f"{step}; the device's peak is not known"
        return f"{step}; the peak is {self.peak.flop_per_s / 1e12:.2f} TFLOP/s ({self.peak.source})"


def work_of_a_step(config: Config, backend: Backend) -> StepWork:
    """What a step costs at the backend's precision; rank 0 alone measures its device, since it alone logs."""
    crops, peak = config.data.batch_size, backend.peak() if backend.is_main else None
    return StepWork(crops * backend.all_devices, step_flop(config.model, crops, config.data.crop_size), peak)


class Clock:
    """Training speed. Validation is left out, and so is every step in which something was compiled."""

    def __init__(self):
        self.whole, self.validation_s = Span(), 0.0
        self._lap, self._waiting_s = Span(), 0.0
        self._since: float | None = None
        self._warm = False
        self._compilations = 0

    def watched(self, batches: Iterator[Item]) -> Iterator[Item]:
        """The same batches; the time until each one comes is counted as waiting."""
        while True:
            start_s = time.perf_counter()
            try:
                batch = next(batches)
            except StopIteration:
                return
            self._waiting_s = time.perf_counter() - start_s
            yield batch

    def count_step(self, backend: Backend) -> None:
        """Note that one more step was handed to the device."""
        if not self._warm or backend.compilations() != self._compilations:
            backend.sync()
            self._warm, self._compilations = True, backend.compilations()
        elif self._since is not None:
            self._add(1, time.perf_counter() - self._since, self._waiting_s)
        self._since = time.perf_counter()

    def device_is_done(self) -> None:
        """Note that the device, which may lag behind, has finished the steps counted so far."""
        if self._since is not None:
            self._add(0, time.perf_counter() - self._since, 0.0)
            self._since = time.perf_counter()

    def pause(self) -> None:
        """Note that what follows is not training."""
        self._since = None

    def lap(self) -> Span:
        """The steps since this was last asked."""
        lap, self._lap = self._lap, Span()
        return lap

    def time_left_s(self, steps: int, validations: int) -> float:
        """Estimated time for this many steps and validations."""
        return steps / (self.whole.steps_per_s() or float("inf")) + validations * self.validation_s

    def _add(self, steps: int, seconds: float, waiting_s: float) -> None:
        for span in (self.whole, self._lap):
            span.steps += steps
            span.seconds += seconds
            span.waiting_s += waiting_s


def speed_words(line: dict[str, float]) -> str:
    """The rates of a line of the log, as they are printed.

    >>> speed_words({"crops_per_s": 32.0, "peak_share": 0.041, "waiting_share": 0.2, "compilations": 3})
    '32.0 crops/s, 4% of the peak, 20% waiting for data, 3 compilations'
    """
    words = [f"{line['crops_per_s']:.1f} crops/s"] if "crops_per_s" in line else []
    words += [f"{line['peak_share']:.0%} of the peak"] if "peak_share" in line else []
    words += [f"{line['waiting_share']:.0%} waiting for data"] if "waiting_share" in line else []
    words += [f"{line['compilations']} compilations"] if line["compilations"] else []
    return ", ".join(words)


def clock_time(seconds: float) -> str:
    """A duration as m:ss, or as h:mm:ss from an hour on."""
    minutes, seconds = divmod(round(seconds), 60)
    hours = minutes // 60
    return f"{hours}:{minutes % 60:02d}:{seconds:02d}" if hours else f"{minutes}:{seconds:02d}"
