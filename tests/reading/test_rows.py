"""Rows are found where traces run level in most columns, whatever else stands on the page."""

import numpy as np
import pytest

from ecg_generator_with_train_src.page.geometry import PX_PER_MM
from experiment.reading.rows import find_rows

KNOWN = (3, 4, 6, 7, 12)


def ink_of(rows_mm: list[float], height_mm: float = 210, width_mm: float = 260) -> np.ndarray:
    """Rows that swing by 2 mm, with a spike of 15 mm every 20 mm."""
    ink = np.zeros((round(height_mm * PX_PER_MM), round(width_mm * PX_PER_MM)), np.float32)
    for number, row_mm in enumerate(rows_mm):
        for column in range(80, ink.shape[1] - 40):
            x_mm = column / PX_PER_MM
            y = round((row_mm + np.sin(x_mm / 9 + number)) * PX_PER_MM)
            high = round(15 * PX_PER_MM) if column % 157 < 3 else 0
            ink[y - high : y + 3, column] = 1
    return ink


@pytest.mark.parametrize(
    "rows_mm",
    [
        [97, 133, 169, 202],  # the competition's
        [40, 75, 110],
        [25, 69, 116, 143],  # a strip close below its block
        list(np.arange(20, 195, 28.0)),
        list(np.arange(25, 198, 14.5)),
    ],
)
def test_rows_are_found_where_they_run(rows_mm):
    rows = find_rows(ink_of(rows_mm), KNOWN)
    np.testing.assert_allclose(rows.zero_y_px / PX_PER_MM, rows_mm, atol=1.0)
    assert (rows.share > 0.7).all()


def test_handwriting_and_a_table_edge_are_no_rows():
    ink = ink_of([97, 133, 169, 202])
    ink[60:64, 300:1300] = 1
    ink[330:334, 200:700] = 1
    rows = find_rows(ink, KNOWN)
    np.testing.assert_allclose(rows.zero_y_px / PX_PER_MM, [97, 133, 169, 202], atol=1.0)


def test_rows_of_a_second_ecg_below_are_counted():
    rows = find_rows(ink_of([40, 70, 100, 180, 210, 240], height_mm=280), range(1, 15))
    assert len(rows.share) + rows.further == 6
    assert rows.further > 0
    assert find_rows(ink_of([40, 70, 100]), range(1, 15)).further == 0


def test_a_row_between_others_may_be_mostly_hidden():
    ink = ink_of([97, 133, 169, 202])
    ink[round(115 * PX_PER_MM) : round(150 * PX_PER_MM), 700:] = 0
    assert len(find_rows(ink, KNOWN).share) == 4


def test_a_page_that_shows_fewer_rows_than_asked_for_has_none():
    assert find_rows(ink_of([60, 100, 140]), {12}) is None
    assert find_rows(np.zeros((100, 100), np.float32), KNOWN) is None


def test_noise_has_no_rows():
    noise = np.random.default_rng(0).random((200, 260), np.float32)
    assert find_rows(noise, KNOWN) is None
