"""Pulses, separators and text of the default page, where the competition has them."""

import numpy as np
import pytest

from ecg_generator_with_train_src.common.errors import InputError
from ecg_generator_with_train_src.page.compose import compose
from ecg_generator_with_train_src.page.furniture import Furniture, QrLabel, Text
from ecg_generator_with_train_src.page.page import PageDescription

COLUMN_STARTS_PX = (610, 1102, 1594)
ZERO_Y_PX = (708.333, 991.667, 1275.000, 1534.711)


def printed(page: PageDescription, fs_hz: float = 500) -> np.ndarray:
    """Where furniture is: background on a page that is line everywhere."""
    shape = page.geometry.height_px, page.geometry.width_px
    page = page.model_copy(update={"fs_hz": fs_hz})
    white = np.full((*shape, 3), 255, np.uint8)
    return compose(page, np.zeros(shape, np.uint8), white, np.full(shape, 255, np.uint8)).classes == 0


@pytest.fixture(scope="module")
def with_pulse(default_page) -> np.ndarray:
    return printed(default_page)


@pytest.mark.parametrize("zero_y_px", ZERO_Y_PX)
def test_a_pulse_is_one_millivolt_high(with_pulse, zero_y_px):
    """Its plateau 78.740 px above 0 mV, drawn 3.125 px wide (1.125 pt): half covered rows only."""
    top_px = zero_y_px - 78.740
    rows = np.arange(int(top_px) - 20, int(top_px) + 20)
    share = np.clip(np.minimum(rows + 1, top_px + 1.5625) - np.maximum(rows, top_px - 1.5625), 0, 1)
    np.testing.assert_array_equal(with_pulse[rows, 98], share >= 0.5)


def test_a_pulse_is_a_fifth_of_a_second_wide_and_ends_at_time_zero(with_pulse):
    """At half its height: two flanks, 39.37 px apart, the right one within two samples (0.8 px) of x = 118.110."""
    inked = np.flatnonzero(with_pulse[669, :300])
    left, right = inked[inked < 98], inked[inked > 98]
    assert 3 <= len(left) <= 4
    assert 3 <= len(right) <= 4
    assert right.mean() - left.mean() == pytest.approx(39.37, abs=0.6)
    assert right.mean() + 0.5 == pytest.approx(118.11, abs=1.0)


def test_a_page_without_a_pulse_has_none(page_without_pulse):
    """Of the rows' left parts, names stand below the zero lines; above them nothing does."""
    page = printed(page_without_pulse)
    for zero_y_px in ZERO_Y_PX:
        assert not page[int(zero_y_px) - 100 : int(zero_y_px) + 30, :560].any()


def test_separators_stand_where_leads_start_and_are_an_eighth_inch_high_on_each_side(with_pulse):
    """6.25 px wide about the snapped start: 606.875 to 613.125 is columns 607 to 612; ±27.6 px about 708.5."""
    for start_px in COLUMN_STARTS_PX:
        columns = np.flatnonzero(with_pulse[700, start_px - 20 : start_px + 20]) + start_px - 20
        assert columns.tolist() == list(range(start_px - 3, start_px + 3))
        rows = np.flatnonzero(with_pulse[660:738, start_px]) + 660
        assert rows.tolist() == list(range(681, 736))
    assert not with_pulse[1500:1560, 200:2190].any()  # the rhythm strip has none


def test_lead_names_stand_below_the_start_of_every_lead(with_pulse):
    for zero_y_px in ZERO_Y_PX[:3]:
        for start_px in (118, *COLUMN_STARTS_PX):
            below = with_pulse[int(zero_y_px) + 30 : int(zero_y_px) + 58]
            assert below[:, start_px : start_px + 20].any()
            assert not below[:, start_px - 40 : start_px - 4].any()
    assert with_pulse[1565:1592, 118:160].any()


def test_names_of_leads_are_legible_and_differ(with_pulse):
    """aVR, aVL and aVF, one under the other, are three different pictures of about the same width."""

    def name(zero_y_px: float, start_px: int) -> np.ndarray:
        return with_pulse[int(zero_y_px) + 30 : int(zero_y_px) + 58, start_px + 4 : start_px + 100]

    avr, avl, avf = (name(zero_y_px, 610) for zero_y_px in ZERO_Y_PX[:3])
    for one, other in ((avr, avl), (avl, avf), (avr, avf)):
        assert (one != other).any()
    inked = [np.flatnonzero(picture.any(axis=0))[-1] for picture in (avr, avl, avf)]
    assert max(inked) - min(inked) < 12
    assert min(inked) > 30


def test_header_and_footer_are_printed_and_speak_of_the_record(default_page, with_pulse):
    texts = [text.text for text in default_page.furniture.texts]
    assert any("sample0_0000" in text for text in texts)
    assert {"25mm/s", "10mm/mV"} <= set(texts)
    assert with_pulse[:160].sum() > 2000
    assert with_pulse[1640:1690].sum() > 300
    for text in default_page.furniture.texts:
        x_px, y_px = int(text.x_mm * 7.874), int(text.y_mm * 7.874)
        assert with_pulse[y_px - 22 : y_px + 1, x_px : x_px + 30].any(), text


def test_furniture_beyond_the_edge_is_cut(default_page):
    texts = default_page.furniture.texts
    edges = [(-10.0, 3.0), (276.0, 100.0), (100.0, -1.0), (100.0, 217.0), (400.0, 400.0)]
    moved = [texts[0].model_copy(update={"x_mm": x_mm, "y_mm": y_mm}) for x_mm, y_mm in edges]
    furniture = default_page.furniture.model_copy(update={"texts": tuple(moved)})
    page = printed(default_page.model_copy(update={"furniture": furniture}))
    assert page.shape == (1700, 2200)
    assert page[780:790, 2170:].any()


def test_print_that_is_larger_than_any_page_is_refused_before_it_is_drawn(default_page):
    finer = default_page.geometry.model_copy(update={"px_per_mm_x": 100.0, "px_per_mm_y": 100.0})
    text = Text(text="W" * 500, x_mm=1, y_mm=1, points=72)
    label = QrLabel(text="17", x_mm=1, y_mm=1, size_mm=200)
    for furniture, said in (
        (Furniture(texts=(text,)), "the text 'WWWW"),
        (Furniture(qr_label=label), "the QR label is "),
    ):
        page = default_page.model_copy(update={"furniture": furniture, "geometry": finer})
        with pytest.raises(InputError, match=f"{said}.* pixels large; render the page again"):
            printed(page)


def test_print_too_small_to_be_seen_is_drawn_as_well(default_page):
    text = Text(text="17", x_mm=100, y_mm=100, points=1e-300)
    page = default_page.model_copy(update={"furniture": Furniture(texts=(text,), lead_names=None)})
    assert printed(page).shape == (1700, 2200)
