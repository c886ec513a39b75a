"""Traces, grids and words among what a PDF's page draws."""

import numpy as np
import pytest

from ecg_generator_with_train_src.common.pdf_drawing import Drawing, Stroke
from experiment.reading.drawn_traces import (
    is_mark,
    is_trace,
    joined,
    printed_text,
    quarter_turns,
    ruled_paper,
)

BLACK, RED = (0, 0, 0, 100), (255, 0, 0, 100)


def wave(points: int = 100, length_mm: float = 60.0) -> np.ndarray:
    x_mm = np.linspace(10, 10 + length_mm, points)
    return np.stack([x_mm, 50 + np.sin(x_mm)], axis=1)


def grid_of(
    apart_mm: float, first_mm: tuple[float, float] = (7.3, 20.1), lines: int = 60
) -> list[np.ndarray]:
    """Lines of a grid, the upright ones first."""
    at_mm = apart_mm * np.arange(lines)
    upright = [np.array([[first_mm[0] + at, 10.0], [first_mm[0] + at, 190.0]]) for at in at_mm]
    return [*upright, *(np.array([[10.0, first_mm[1] + at], [250.0, first_mm[1] + at]]) for at in at_mm)]


def page(text: str = "", letters_mm=(), strokes=()) -> Drawing:
    return Drawing(279.4, 215.9, tuple(strokes), text, np.array(letters_mm, float).reshape(-1, 2))


def typed(*words: tuple[str, float, float]) -> Drawing:
    """A page of words, each from a place (x, y) on, a letter a millimetre, with a line's end between them."""
    letters, places = "", []
    for word, x_mm, y_mm in words:
        letters += word + "\n"
        places += [(x_mm + k, y_mm) for k in range(len(word))] + [(0, 0)]
    return page(letters, places)


def test_pieces_that_go_on_from_one_another_with_one_pen_are_one_line():
    line = wave()
    pieces = [Stroke(line[:40], BLACK), Stroke(line[39:70], BLACK), Stroke(line[69:], BLACK)]
    (whole,) = joined(pieces)
    np.testing.assert_array_equal(whole, line)
    pieces[1] = pieces[1]._replace(pen=RED)
    assert [len(part) for part in joined(pieces)] == [40, 31, 31]
    assert len(joined([Stroke(line[:40], BLACK), Stroke(line[41:], BLACK)])) == 2


@pytest.mark.parametrize(
    ("line", "found"),
    [
        (wave(), True),
        (wave()[::-1], True),
        (wave(points=19), False),  # as few points as a frame or a pulse
        (wave(length_mm=14), False),
        (wave()[:, ::-1], False),  # it runs down the page
        (np.concatenate([wave(), wave()[::-1]]), False),  # there and back, as outlines do
    ],
)
def test_what_is_a_trace(line, found):
    assert is_trace(line) == found


def test_marks_are_neither_specks_nor_frames_nor_traces():
    sizes = {0.9: False, 1.0: True, 25.0: True, 26.0: False}
    assert {size: bool(is_mark(np.array([[0, 0], [0, size]]))) for size in sizes} == sizes
    assert not is_mark(wave(length_mm=20))


@pytest.mark.parametrize(("apart_mm", "size"), [(1.0, 1.0), (0.94, 0.94), (5.0, 1.0), (4.7, 0.94)])
def test_the_grid_says_how_large_the_paper_is_drawn(apart_mm, size):
    found = ruled_paper([*grid_of(apart_mm), wave()])
    assert found.size == pytest.approx(size)
    assert (found.left_mm, found.top_mm) == (pytest.approx(7.3), pytest.approx(20.1))


def test_stronger_lines_over_others_and_lines_left_out_change_nothing():
    lines = [line for k, line in enumerate(grid_of(1.0)) if k % 7 != 3] + grid_of(5.0, lines=12)
    assert ruled_paper(lines).size == pytest.approx(1.0)


def test_lines_that_are_no_grid():
    assert ruled_paper(grid_of(2.0)) is None  # not how paper is ruled
    assert ruled_paper(grid_of(1.0, lines=9)) is None
    assert ruled_paper(grid_of(1.0)[:60]) is None  # in one direction alone
    assert ruled_paper(grid_of(1.0)[:60] + grid_of(1.1)[60:]) is None
    uneven_mm = np.cumsum(np.random.default_rng(0).uniform(0.5, 1.5, 60))
    moved = zip(grid_of(0.0), [*uneven_mm, *uneven_mm], strict=True)
    assert ruled_paper([line + at_mm for line, at_mm in moved]) is None


def test_names_and_scales_in_the_text():
    text = printed_text(
        typed(
            ("I", 20, 30),
            ("AVR", 20, 60),
            ("-aVR", 20, 90),
            ("V3r", 80, 30),
            ("Lead II:", 150, 30),
            ("25 mm/s", 20, 200),
            ("Limb: 10 mm/mV", 60, 200),
            ("Chest: 5,0mm/mV", 90, 200),
        )
    )
    assert [name.lead for name in text.names] == ["I", "aVR", "-aVR", "V3R", "II"]
    assert (text.names[1].x_px, text.names[1].y_px) == (21, 60)  # the middle of three letters
    assert [(s.quantity, s.value, s.of) for s in text.scales] == [
        ("mm/s", 25.0, "all"),
        ("mm/mV", 10.0, "limb"),
        ("mm/mV", 5.0, "chest"),
    ]


def test_other_words_are_no_names():
    text = printed_text(typed(("VIII", 0, 0), ("V10", 0, 9), ("i", 0, 18), ("III-b", 0, 27), ("aVRs", 0, 36)))
    assert text.names == ()


def test_scales_that_contradict_one_another_are_left_out():
    text = printed_text(typed(("25 mm/s", 0, 0), ("50 mm/s", 0, 9), ("10 mm/mV", 0, 18)))
    assert [scale.quantity for scale in text.scales] == ["mm/mV"]


@pytest.mark.parametrize("turns", range(4))
def test_a_page_is_turned_until_names_or_other_text_or_its_traces_run_to_the_right(turns):
    traces = [Stroke(wave(), BLACK)]
    for upright in (typed(("aVR", 20, 60), ("I", 5, 5)), typed(("Report", 9, 9)), page(strokes=traces)):
        assert quarter_turns(upright) == 0
        assert quarter_turns(upright.turned(-turns)) == turns


def test_lead_names_outweigh_text_along_an_edge():
    edge = "Confidential"
    letters_mm = [(20, 60), (21, 60), *[(5, 100 + k) for k in range(len(edge))]]
    assert quarter_turns(page("V1" + edge, letters_mm)) == 1  # V1Confidential is one word: no name
    letters_mm.insert(2, (0, 0))
    assert quarter_turns(page("V1 " + edge, letters_mm)) == 0
