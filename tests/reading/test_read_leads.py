"""Where a lead starts under the flank of a calibration pulse."""

import numpy as np
import pytest

from ecg_generator_with_train_src.common.errors import InputError
from ecg_generator_with_train_src.page.geometry import PX_PER_MM
from experiment.reading.layout_evidence import SEPARATOR_MM
from experiment.reading.read_leads import _blank_bar, _has_ink, _risen_from_level, _start
from experiment.reading.trace_decoding import Nodes
from experiment.reading.trace_tracking import Track

LEVEL_PX, HIDDEN_PX = 100.0, 6


def track_of(y_px: np.ndarray) -> Track:
    """A track from column 0 on whose first columns have no ink."""
    return Track(0, y_px, (np.arange(len(y_px)) >= HIDDEN_PX).astype(float))


def test_under_a_flank_a_steep_stroke_rises_from_the_leads_level():
    columns = np.arange(200)
    spike = np.where(columns < 12, np.linspace(40, LEVEL_PX, 200 - 188)[np.minimum(columns, 11)], LEVEL_PX)
    nodes = Nodes(0.5, 1.0, 150)
    held = np.full(150, 77.0)
    found = _risen_from_level(track_of(spike), nodes, held)
    by_hand = LEVEL_PX + (spike[HIDDEN_PX] - LEVEL_PX) * np.arange(HIDDEN_PX) / HIDDEN_PX
    np.testing.assert_allclose(found[:HIDDEN_PX], by_hand)
    assert (found[HIDDEN_PX:] == 77.0).all()


def test_a_gentle_start_stays_where_it_was_seen_first():
    gentle = LEVEL_PX - 20 * np.exp(-np.arange(200) / 60)
    held = np.full(150, 77.0)
    assert (_risen_from_level(track_of(gentle), Nodes(0.5, 1.0, 150), held) == 77.0).all()


def test_a_lead_beyond_the_page_is_refused():
    with pytest.raises(InputError, match="beyond the page's edge"):
        _start(track_of(np.full(200, LEVEL_PX)), Nodes(210.5, 1.0, 50))


def test_scraps_of_faint_ink_are_what_handwriting_leaves_and_a_short_dip_is_not():
    columns = np.arange(300)
    ink = np.full(300, 0.9)
    ink[80:140] = np.where(columns[80:140] % 3 == 0, 0.3, 0.05)
    ink[200:206] = 0.25
    inked = _has_ink(Track(0, np.full(300, LEVEL_PX), ink), columns + 0.5)
    assert not inked[95:125].any()
    assert inked[:70].all()
    assert inked[150:].all()


def test_a_separator_is_cleared_and_a_stroke_that_goes_on_beyond_it_stays():
    zero_px, half_px = 100, round(SEPARATOR_MM * PX_PER_MM)
    ink = np.zeros((200, 40), np.float32)
    ink[zero_px - half_px : zero_px + half_px, 17:20] = 1
    ink[zero_px - half_px - 12 : zero_px, 21:23] = 1  # a QRS complex rises beside it, 1.5 mm beyond its end
    expected = ink.copy()
    expected[:, 17:20] = 0
    _blank_bar(ink, 20.0, float(zero_px), SEPARATOR_MM, SEPARATOR_MM)
    np.testing.assert_array_equal(ink, expected)
