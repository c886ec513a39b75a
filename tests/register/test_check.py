"""What a straightened photo shows along the traces and in the header."""

import numpy as np
import pytest

from ecg_generator_with_train_src.common.classes import GRID
from ecg_generator_with_train_src.page.compose import compose
from ecg_generator_with_train_src.page.grid import GridStyle, draw_grid, draw_grid_mask
from ecg_generator_with_train_src.page.page import draw_traces
from ecg_generator_with_train_src.page.records import Record
from ecg_generator_with_train_src.register.check import _sampled
from ecg_generator_with_train_src.register.registration import _describe, label_page, register_page


@pytest.fixture(scope="module")
def record():
    return Record("known", 50.0, np.repeat(np.sin(np.arange(500) / 8)[:, None], 12, axis=1))


def test_major_lines_as_dark_as_ink_are_grid_in_the_header_too(record):
    page = _describe(record, "left")
    paper = page.geometry.paper
    laser = GridStyle(minor_rgb=(250, 250, 250), major_rgb=(60, 60, 60))
    opacity, _ = draw_traces(page, record)
    image = compose(page, opacity, draw_grid(paper, laser), draw_grid_mask(paper)).image
    labels = label_page(register_page(image, record), record)
    header = slice(10, round(40 * paper.px_per_mm))
    lines = draw_grid_mask(paper)[header, 10:-10] > 0
    assert (labels.classes[header, 10:-10][lines] == GRID).mean() > 0.95


def test_more_points_are_looked_up_than_opencv_takes_at_once():
    layer = np.arange(12, dtype=np.float32).reshape(3, 4)
    x_px, y_px = np.tile([0.5, 3.5, 1.0], 30_000), np.tile([0.5, 2.5, 1.5], 30_000)
    expected = np.tile(np.float32([0, 11, 4.5]), 30_000)
    np.testing.assert_array_equal(_sampled(layer, x_px, y_px), expected)
    columns = np.stack([x_px, x_px], axis=1), np.stack([y_px, y_px], axis=1)
    np.testing.assert_array_equal(_sampled(layer, *columns), np.stack([expected] * 2, axis=1))
    assert _sampled(layer, np.empty(0), np.empty(0)).shape == (0,)
