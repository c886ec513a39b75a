"""The default page, where the competition has it: canvas coordinates of every lead."""

import itertools
import re

import numpy as np
import pytest
from pydantic import ValidationError

from ecg_generator_with_train_src.common.errors import InputError
from ecg_generator_with_train_src.page.layouts import LAYOUTS, Layout, PageSetup, parse_layout
from ecg_generator_with_train_src.page.page import PageDescription
from ecg_generator_with_train_src.page.records import LEADS

ROWS = (("I", "aVR", "V1", "V4"), ("II", "aVL", "V2", "V5"), ("III", "aVF", "V3", "V6"), ("II",))
ZERO_Y_PX = (708.333, 991.667, 1275.000, 1534.711)
WITH_PULSE_X_PX = (118.110, 610.236, 1102.362, 1594.488)
WITHOUT_PULSE_X_PX = (78.740, 570.866, 1062.992, 1555.118)
HALF_OF_THE_LAST_DIGIT = 0.0006


def expected(columns_x_px) -> list[tuple]:
    """(lead, start s, end s, x of its start, y of 0 mV), row by row."""
    quarters = [
        (lead, 2.5 * column, 2.5 * (column + 1), columns_x_px[column], zero_y_px)
        for leads, zero_y_px in zip(ROWS[:3], ZERO_Y_PX[:3], strict=True)
        for column, lead in enumerate(leads)
    ]
    return [*quarters, ("II", 0.0, 10.0, columns_x_px[0], ZERO_Y_PX[3])]


def check(page: PageDescription, columns_x_px) -> None:
    placed = [
        (place.lead, place.start_s, place.end_s, place.x0_px, place.zero_y_px) for place in page.placements
    ]
    assert len(placed) == 13
    for found, wanted in zip(placed, expected(columns_x_px), strict=True):
        assert found[:3] == wanted[:3]
        assert found[3:] == pytest.approx(wanted[3:], abs=HALF_OF_THE_LAST_DIGIT)
    for place in page.placements:
        assert place.px_per_s == pytest.approx(196.850, abs=HALF_OF_THE_LAST_DIGIT)
        assert place.px_per_mv == pytest.approx(78.740, abs=HALF_OF_THE_LAST_DIGIT)


def test_the_sheet_is_letter_paper_at_200_dpi(default_page):
    geometry = default_page.geometry
    assert (geometry.width_px, geometry.height_px) == (2200, 1700)
    assert geometry.px_per_mm_x == geometry.px_per_mm_y == pytest.approx(7.874, abs=HALF_OF_THE_LAST_DIGIT)
    assert (geometry.paper_speed_mm_s, geometry.gain_mm_mv) == (25, 10)


def test_every_lead_stands_where_the_competition_has_it_behind_a_pulse(default_page):
    check(default_page, WITH_PULSE_X_PX)


def test_pages_without_a_pulse_start_five_millimetres_earlier(page_without_pulse):
    check(page_without_pulse, WITHOUT_PULSE_X_PX)


def test_columns_follow_without_a_gap_and_end_where_the_rhythm_strip_ends(default_page):
    first_row, strip = default_page.placements[:4], default_page.placements[-1]
    for left, right in itertools.pairwise(first_row):
        assert left.x_px_of_s(left.end_s) == pytest.approx(right.x0_px, abs=1e-9)
    assert first_row[3].x_px_of_s(10.0) == pytest.approx(2086.614, abs=HALF_OF_THE_LAST_DIGIT)
    assert strip.x_px_of_s(10.0) == pytest.approx(2086.614, abs=HALF_OF_THE_LAST_DIGIT)


def spans_shown(samples: int, **setup) -> dict[str, tuple[int, int]]:
    """First and last sample + 1 of each lead that a page at 100 Hz shows, without gaps between."""
    shown = PageSetup(**setup).shown(100, samples)
    there = {lead: np.flatnonzero(column) for lead, column in zip(LEADS, shown.T, strict=True)}
    assert all((np.diff(rows) == 1).all() for rows in there.values())
    return {lead: (int(rows[0]), int(rows[-1]) + 1) for lead, rows in there.items()}


def test_what_a_page_shows_of_each_lead():
    quarters = {lead: (250 * (k // 3), 250 * (k // 3) + 250) for k, lead in enumerate(LEADS)}
    assert spans_shown(1000) == {**quarters, "II": (0, 1000)}
    assert spans_shown(1000, layout=LAYOUTS["3x4"]) == quarters
    halves = {lead: (500 * (k // 6), 500 * (k // 6) + 500) for k, lead in enumerate(LEADS)}
    assert spans_shown(1000, layout=LAYOUTS["6x2"]) == halves
    eighths = {lead: (first // 2, last // 2) for lead, (first, last) in quarters.items()}
    assert spans_shown(1000, paper_speed_mm_s=50) == {**eighths, "II": (0, 500)}
    assert spans_shown(1000, row_s=5.0) == {**eighths, "II": (0, 500)}
    together = dict.fromkeys(LEADS, (0, 250))
    assert spans_shown(1000, layout=LAYOUTS["3x4"], simultaneous=True) == together


@pytest.mark.parametrize(
    ("words", "rows", "name"),
    [
        ("3x4+II", [*ROWS], "3x4+II"),
        ("3x4+ii,v1", [*ROWS, ("V1",)], "3x4+II,V1"),
        ("2x6", [LEADS[::2], LEADS[1::2]], "2x6"),
        ("12x1+II", [*((lead,) for lead in LEADS), ("II",)], "12x1+II"),
        ("rows:V3R,-AVR,V7", [("V3R",), ("-aVR",), ("V7",)], "rows:V3R,-aVR,V7"),
        ("1x1", [("II",)], "rows:II"),
        ("3x1+V1", [("I",), ("II",), ("III",), ("V1",)], "rows:I,II,III,V1"),
    ],
)
def test_layouts_in_words(words, rows, name):
    layout = parse_layout(words)
    assert layout.leads_of_rows("standard") == rows
    assert (layout.name, layout.row_count) == (name, len(rows))
    assert parse_layout(layout.name) == layout
    assert not set(layout.file_name) & set('\\/:*?"<>|,')


@pytest.mark.parametrize("words", ["no", "3x", "3x5", "0x12", "3x4+", "3x4+V10", "rows:", "rows:I,,II", "4"])
def test_other_words_are_no_layout(words):
    with pytest.raises(InputError, match=re.escape(words)):
        parse_layout(words)


@pytest.mark.parametrize(
    ("words", "said"),
    [
        ("9" * 5000 + "x1", "99999999999999999999…: no layout"),
        ("rows:" + ",".join(["I"] * 25), "has 25 rows or strips, more than 24"),
        ("3x4+" + ",".join(["I"] * 25), "has 25 rows or strips, more than 24"),
        ("8x1+" + ",".join(["I"] * 17), "has 25 rows or strips, more than 24"),
    ],
)
def test_more_rows_than_any_page_has_are_no_layout(words, said):
    with pytest.raises(InputError, match=said) as refused:
        parse_layout(words)
    assert len(str(refused.value)) < 300


@pytest.mark.parametrize(
    "damage",
    [
        {"zero_lines": (0.5,)},
        {"zero_lines": (0.1, 0.2, 0.3, 1e300)},
        {"row_leads": ("I", "II")},
        {"rhythm_leads": ("II",) * 25, "zero_lines": ()},
    ],
)
def test_a_layout_whose_parts_do_not_fit_is_none(damage):
    values = LAYOUTS["3x4+II"].model_dump()
    assert Layout.model_validate(values) == LAYOUTS["3x4+II"]
    with pytest.raises(ValidationError):
        Layout.model_validate(values | damage)


def test_chest_leads_may_have_a_gain_of_their_own():
    setup = PageSetup(layout=parse_layout("rows:III,V1"), gain_mm_mv=10, chest_gain_mm_mv=5)
    limb, chest = setup.placements(setup.page_on(setup.paper()))
    assert limb.px_per_mv == 2 * chest.px_per_mv == pytest.approx(78.740, abs=HALF_OF_THE_LAST_DIGIT)
