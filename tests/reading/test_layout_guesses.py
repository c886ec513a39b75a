"""What speaks for a layout: beats, relations and copies of leads without any print, and printed names."""

from dataclasses import replace

import numpy as np
import pytest

from ecg_generator_with_train_src.page.geometry import PX_PER_MM
from ecg_generator_with_train_src.page.layouts import parse_layout
from experiment.reading.layout_evidence import (
    Evidence,
    bars_of_rows,
    names_below,
    places_of,
    unexplained_names,
)
from experiment.reading.layout_guesses import guesses, possible_columns
from experiment.reading.printed_text import NO_TEXT, PrintedName, PrintedText
from experiment.reading.rectify import RectifiedPage
from experiment.reading.rows import find_rows

START_PX, LENGTH_PX = 160.0, 250 * PX_PER_MM
ROW_PX = 190


def lead_mm(label: str, time_mm: np.ndarray) -> np.ndarray:
    """Heights of a lead whose beats have a shape of their own; limb leads fit together."""
    sign, label = (-1, label[1:]) if label.startswith("-") else (1, label)
    beat = (time_mm % 21.7) - 6

    def wave(height: float, at: float, width: float) -> np.ndarray:
        return height * np.exp(-np.square((beat - at) / width))

    one = wave(5, 0, 0.6) - wave(2, 1.5, 0.7) + wave(2, 7, 1.5)
    two = wave(8, 0.4, 0.6) - wave(1, -1.2, 0.5) + wave(3, 7.5, 1.8)
    limb = {
        "I": one,
        "II": two,
        "III": two - one,
        "aVR": -(one + two) / 2,
        "aVL": one - two / 2,
        "aVF": two - one / 2,
    }
    if label in limb:
        return sign * limb[label]
    number = int(label[1])
    return wave(number, 0, 0.5) - wave(9 - 1.5 * number, 1.6, 0.8) + wave(1 + number / 3, 6, 1.2)


def page_of(words: str, order: str = "standard") -> RectifiedPage:
    """Rows of a layout's leads, drawn two pixels thick."""
    layout = parse_layout(words)
    ink = np.zeros(((layout.row_count + 1) * ROW_PX, round(START_PX + LENGTH_PX) + 160), np.float32)
    for place in places_of(layout, order, START_PX, LENGTH_PX):
        columns = np.arange(round(place.left_px), round(place.right_px))
        height_mm = lead_mm(place.label, (columns - START_PX) / PX_PER_MM)
        y_px = np.rint((place.row + 1) * ROW_PX - height_mm * PX_PER_MM).astype(int)
        before = np.concatenate([y_px[:1], y_px[:-1]])
        for x, top, bottom in zip(columns, np.minimum(y_px, before), np.maximum(y_px, before), strict=True):
            ink[top : bottom + 2, x] = 1
    blank = np.zeros_like(ink)
    return RectifiedPage(
        ink, blank, 200 * ink, np.zeros((*ink.shape, 3), np.uint8), 0, 0, np.zeros((1, 1, 2))
    )


def with_moved_strip(words: str) -> RectifiedPage:
    """A page of three rows and a strip that shows other moments than they do."""
    page = page_of(words)
    ink = page.ink.copy()
    strip = slice(round(3.5 * ROW_PX), None)
    ink[strip] = np.roll(ink[strip], 60, axis=1) * (np.arange(ink.shape[1]) > START_PX)
    return RectifiedPage(ink, page.grid, 200 * ink, page.image, 0, 0, page.to_image)


def evidence_of(page: RectifiedPage, text: PrintedText) -> Evidence:
    rows = find_rows(page.ink, range(1, 15))
    return Evidence(bars_of_rows(page, rows), rows, START_PX, LENGTH_PX, text)


def likeliest(page: RectifiedPage, text: PrintedText = NO_TEXT):
    return guesses(evidence_of(page, text))[0]


def names(words: str, order: str = "standard", above_px: float = 70) -> PrintedText:
    places = places_of(parse_layout(words), order, START_PX, LENGTH_PX)
    found = [
        PrintedName(place.label, place.left_px + 20, (place.row + 1) * ROW_PX - above_px, 0.9)
        for place in places
    ]
    return PrintedText(tuple(found), ())


@pytest.mark.parametrize("order", ["standard", "cabrera"])
@pytest.mark.parametrize("words", ["3x4", "3x4+II", "3x4+V1", "3x4+V1,II,V5", "6x2", "6x2+II", "12x1", "4x3"])
def test_signals_alone_tell_the_layout(words, order):
    guess = likeliest(page_of(words, order))
    assert (guess.layout.name, guess.lead_order) == (words, order)


def test_rows_of_limb_leads_are_told_by_their_relations():
    assert likeliest(page_of("6x1")).layout.name == "rows:I,II,III,aVR,aVL,aVF"


def test_each_half_of_rows_of_limb_leads_fits_together_and_of_two_columns_one_alone():
    rows, block = (
        places_of(parse_layout(words), "standard", START_PX, LENGTH_PX)
        for words in ("rows:I,II,III,aVR,aVL,aVF", "6x2")
    )
    of_rows, of_block = (evidence_of(page_of(words), NO_TEXT) for words in ("6x1", "6x2"))
    assert of_rows.relations(rows) - of_rows.relations(block) > 5
    assert of_block.relations(block) - of_block.relations(rows) > 4


@pytest.mark.parametrize("above_px", [70, -50])
@pytest.mark.parametrize(
    "words", ["3x4+V6", "rows:V1,V2,V3,V4,V5,V6", "rows:V4,II", "2x6", "3x4+V1,II,V6", "rows:aVF,V2,I"]
)
def test_names_above_or_below_their_rows_tell_the_rest(words, above_px):
    assert likeliest(page_of(words), names(words, above_px=above_px)).layout.name == words


def test_a_strip_that_copies_no_lead_is_not_named():
    assert likeliest(with_moved_strip("3x4+V1")).layout.name == "3x4+?"


def test_a_strip_of_other_moments_is_of_the_lead_that_is_printed_beside_it():
    page = with_moved_strip("3x4+II")
    assert likeliest(page).layout.name == "3x4+?"
    assert likeliest(page, names("3x4+II")).layout.name == "3x4+II"
    different = evidence_of(page, NO_TEXT).unlikenesses(parse_layout("3x4+?"), "standard", 3)
    assert different["II"] > 0.5
    assert (
        evidence_of(page_of("3x4+II"), NO_TEXT).unlikenesses(parse_layout("3x4+?"), "standard", 3)["II"]
        < 0.05
    )


def test_an_r_behind_a_name_is_easily_overlooked_but_not_read_into_it():
    found = names("rows:V3R,V4R,V7").names
    seen = (replace(found[0], lead="V3"), *found[1:])
    page = page_of("rows:V3,V4,V5")
    assert likeliest(page, PrintedText(seen, ())).layout.name == "rows:V3R,V4R,V7"
    assert likeliest(page, names("rows:V3,V4,V6")).layout.name == "rows:V3,V4,V6"


def test_names_of_other_electrodes_at_the_usual_leads_are_noticed():
    text, page = names("3x4"), page_of("3x4")
    right = tuple(
        replace(name, lead=f"{name.lead}R" if name.lead in ("V3", "V4") else name.lead) for name in text.names
    )
    for printed, unexplained in ((text.names, []), (right, ["V3R", "V4R"])):
        evidence = evidence_of(page, PrintedText(printed, ()))
        assert sorted(unexplained_names(evidence, parse_layout("3x4"), "standard", 0.7)) == unexplained


def test_rows_that_are_all_named_at_their_starts_alone_have_one_column():
    page, text = page_of("6x2"), names("6x2")
    limb = tuple(name for name in text.names if not name.lead.startswith("V"))
    evidence = evidence_of(page, PrintedText(limb, ()))
    block, rows = (
        places_of(parse_layout(words), "standard", START_PX, LENGTH_PX) for words in ("6x2", "6x1")
    )
    assert evidence.names(rows) - evidence.names(block) > 5
    assert evidence_of(page, text).names(block) > evidence_of(page, text).names(rows)


def test_columns_of_unequal_width_are_noticed_from_names():
    page, text = page_of("3x4"), names("3x4")
    rows = find_rows(page.ink, range(1, 15))
    shifted = [
        replace(name, x_px=name.x_px + (90 if name.lead in ("V1", "V2", "V3") else 0)) for name in text.names
    ]
    for printed, differ in ((text, False), (PrintedText(tuple(shifted), ()), True)):
        evidence = Evidence(bars_of_rows(page, rows), rows, START_PX, LENGTH_PX, printed)
        assert evidence.columns_differ(parse_layout("3x4"), "standard") == differ


def test_a_separator_within_a_lead_is_noticed():
    page = page_of("3x4")
    rows = find_rows(page.ink, range(1, 15))
    bars = np.zeros((3, page.ink.shape[1]))
    for at_px, differ in ((START_PX + LENGTH_PX / 2, False), (START_PX + LENGTH_PX / 2 + 80, True)):
        at = bars.copy()
        at[:, round(at_px)] = 0.4
        evidence = Evidence(at, rows, START_PX, LENGTH_PX)
        assert evidence.columns_differ(parse_layout("3x4"), "standard") == differ


def test_beats_like_a_separator_are_none_where_names_stand_in_all_columns():
    page, text = page_of("3x4"), names("3x4")
    rows = find_rows(page.ink, range(1, 15))
    bars = np.zeros((3, page.ink.shape[1]))
    bars[:, round(START_PX + LENGTH_PX / 2 + 80)] = 0.4
    left = tuple(name for name in text.names if name.lead not in ("V1", "V2", "V3"))
    for printed, differ in ((text, False), (PrintedText(left, ()), True)):
        evidence = Evidence(bars, rows, START_PX, LENGTH_PX, printed)
        assert evidence.columns_differ(parse_layout("3x4"), "standard") == differ


def test_the_columns_that_pages_with_so_many_rows_may_have():
    assert possible_columns(4) == {1, 3, 4}
    assert possible_columns(12) == {1}


def test_a_name_below_the_last_row_is_noticed():
    text, page = names("3x4+II"), page_of("3x4+II")
    evidence = evidence_of(page, text)
    zero_y_px = evidence.rows.zero_y_px
    below = replace(text.names[-1], lead="V5", y_px=float(2 * zero_y_px[-1] - zero_y_px[-2]))
    for printed, found in ((text.names, []), ((*text.names, below), ["V5"])):
        evidence = evidence_of(page, PrintedText(printed, ()))
        assert names_below(evidence, parse_layout("3x4+II"), "standard", 0.7) == found
