"""The peak of a device: measured where it can be, and looked up for a TPU."""

import pytest
import torch

from experiment.backend.peak import LEAST_PRODUCTS, measured_peak, tpu_peak


def test_the_fastest_product_counts():
    waits = []
    peak = measured_peak(torch.device("cpu"), "fp32", lambda: waits.append(1))
    assert peak.source == "measured: products of 1024x1024 matrices in fp32"
    assert len(waits) > LEAST_PRODUCTS  # one more, before anything is timed
    assert 1e8 < peak.flop_per_s < 1e15


@pytest.mark.parametrize(
    ("accelerator_type", "tflop_per_s"),
    [("v2-8", 22.5), ("v4-8", 275), ("v5litepod-4", 197), ("v6e-1", 918), ("tpu7x-8", 1153.5)],
)
def test_a_tpu_is_looked_up(accelerator_type, tflop_per_s):
    assert tpu_peak(accelerator_type).flop_per_s == tflop_per_s * 1e12


def test_an_unknown_tpu_has_no_peak():
    assert tpu_peak("v9-8") is None and tpu_peak("") is None
