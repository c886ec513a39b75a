"""Lines that are made wider."""

import numpy as np
import pytest

from ecg_generator_with_train_src.page.coverage import widened


@pytest.mark.parametrize("by_px", [0.0, 0.25, 1.0, 2.5])
def test_a_line_gains_its_widening_on_each_side(by_px):
    line = np.zeros((21, 21), np.uint8)
    line[:, 10] = 200
    across = widened(line, by_px)[10].astype(float) / 200
    assert across.sum() == pytest.approx(1 + 2 * by_px, abs=0.02)
    assert np.array_equal(across, across[::-1])
