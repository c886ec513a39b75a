"""Meters: losses that are not counted are left out, and sums may be taken up again."""

import pytest
import torch

from experiment.backend.launch import choose
from experiment.backend.options import LaunchOptions
from experiment.backend.plain_torch import TorchBackend
from experiment.training.meters import Meter, summary


@pytest.fixture
def backend() -> TorchBackend:
    return TorchBackend(choose("cpu"), LaunchOptions("cpu"))


def filled(backend) -> Meter:
    """Two images, of which the second has no finite loss; the first is labelled rightly."""
    meter = Meter(backend.device)
    labels = torch.tensor([[[0, 1], [2, 255]], [[0, 0], [0, 0]]], dtype=torch.uint8)
    logits = torch.nn.functional.one_hot(labels.long().clamp(max=2), 3).permute(0, 3, 1, 2).float()
    meter.add(torch.tensor([0.5, torch.nan]), torch.tensor([1.0, 0.0]), logits, labels)
    return meter


def test_what_is_not_counted_has_no_part_in_the_mean(backend):
    result = filled(backend).result(backend)
    assert result["loss"] == 0.5
    assert result["dice"] == {"background": 1.0, "grid": 1.0, "waveform": 1.0}


def test_a_meter_goes_on_with_the_sums_of_another(backend):
    meter = filled(backend)
    other = Meter(backend.device)
    other.resume(meter.sums(backend))
    assert other.result(backend) == meter.result(backend)


def test_lines_are_printed_for_people():
    line = {"loss": 0.5, "dice": {"grid": 0.25}, "lr": 3e-3}
    assert summary(line) == "loss 0.5000 dice grid 0.2500 lr 0.003"
