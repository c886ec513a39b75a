"""The speed of a run: what is counted as training and as waiting, and what a log line says of it."""

import itertools
import json
import time

import pytest

from experiment.backend.launch import choose
from experiment.backend.options import LaunchOptions
from experiment.backend.peak import Peak
from experiment.backend.plain_torch import TorchBackend
from experiment.training.speed import Clock, Span, StepWork, clock_time, speed_words

from small_runs import train_on_cpu


@pytest.fixture
def backend() -> TorchBackend:
    return TorchBackend(choose("cpu"), LaunchOptions("cpu"))


class Ticks:
    """A clock that stands still until it is told how long something took."""

    def __init__(self, monkeypatch):
        self.now_s = 100.0
        monkeypatch.setattr(time, "perf_counter", lambda: self.now_s)

    def slow(self, count: int, seconds: float):
        """Items that each take so long to come."""
        for number in range(count):
            self.now_s += seconds
            yield number


def test_a_clock_tells_waiting_from_work_and_leaves_the_first_step_out(backend, monkeypatch):
    ticks, clock = Ticks(monkeypatch), Clock()
    for _ in clock.watched(ticks.slow(4, 0.5)):
        ticks.now_s += 1.5
        clock.count_step(backend)
    ticks.now_s += 1.0  # the device finishes what it was given
    clock.device_is_done()
    assert clock.whole == clock.lap() == Span(steps=3, seconds=3 * 2.0 + 1.0, waiting_s=1.5)
    assert clock.lap() == Span()
    clock.pause()
    ticks.now_s += 1000  # a validation
    for _ in clock.watched(ticks.slow(2, 0.25)):
        clock.count_step(backend)
    assert clock.lap() == Span(steps=1, seconds=0.25, waiting_s=0.25)
    assert clock.whole == Span(steps=4, seconds=7.25, waiting_s=1.75)
    clock.validation_s = 10.0
    assert clock.time_left_s(8, 2) == 8 / (4 / 7.25) + 20


def test_a_step_in_which_something_was_compiled_is_left_out(backend, monkeypatch):
    ticks, clock, counts = Ticks(monkeypatch), Clock(), itertools.chain([1, 1, 1, 2, 2, 2, 2])
    monkeypatch.setattr(backend, "compilations", lambda: next(counts))
    for _ in clock.watched(ticks.slow(5, 1.0)):
        clock.count_step(backend)
    assert clock.whole.steps == 3


def test_a_clock_without_steps_has_no_speed():
    assert Span().steps_per_s() == 0 and Clock().time_left_s(10, 0) == 0
    assert StepWork(16, 1e9, Peak(1e12, "measured")).rates(Span()) == {}


def test_a_peak_that_is_not_known_has_no_share():
    work = StepWork(8, 3e9, None)
    assert work.rates(Span(2, 4.0, 0.0)) == {"crops_per_s": 4.0, "waiting_share": 0.0}
    assert work.describe().endswith(
        "3.0 GFLOP of convolutions on each device; the device's peak is not known"
    )
    assert speed_words({"crops_per_s": 4.0, "waiting_share": 0.0, "compilations": 0}) == (
        "4.0 crops/s, 0% waiting for data"
    )


def test_durations_are_printed_for_people():
    seconds = (0, 61.4, 3600, 7325)
    assert [clock_time(each) for each in seconds] == ["0:00", "1:01", "1:00:00", "2:02:05"]


def test_log_and_output_of_a_run_show_its_speed(tiny_dataset, tmp_path, capsys):
    assert train_on_cpu(tiny_dataset, tmp_path, run__epochs=1, run__log_every=4) == 0
    line, _ = map(json.loads, (tmp_path / "small/metrics.jsonl").read_text().splitlines())
    assert line["crops_per_s"] > 0 and line["compilations"] == 0
    assert 0 <= line["waiting_share"] <= 1
    output = capsys.readouterr().out
    # 55,808 operations for each block of 4x4 pixels, as tests/network/test_arithmetic.py counts them
    flop, blocks = 4 * 64 * 55_808, 4 * 64
    assert (
        f"a step is {(3 * flop - blocks * 6912) / 1e9:.1f} GFLOP of convolutions on each device; the peak is"
        in output
    )
    assert "TFLOP/s (measured: products of 1024x1024 matrices in fp32)" in output
    (progress,) = [text for text in output.splitlines() if text.startswith("epoch 1/1 step 4/4")]
    assert f"{line['crops_per_s']:.1f} crops/s, {line['peak_share']:.0%} of the peak, " in progress
    assert f"{line['waiting_share']:.0%} waiting for data ETA " in progress
