"""What a page of a PDF draws, as it is shown."""

import numpy as np
import pytest

from ecg_generator_with_train_src.common import pdf_drawing
from ecg_generator_with_train_src.common.pdf_drawing import drawing_of

from pdf_files import write_pdf

MM = 25.4 / 72  # a point


def lines_of(path) -> list[list[list[float]]]:
    """The lines of a page in points from the upper left corner."""
    return [(stroke.points_mm / MM).round(3).tolist() for stroke in drawing_of(path, 0).strokes]


def test_lines_come_in_order_with_their_pens(tmp_path):
    content = "1 0 0 RG 2 w 10 20 m 30 20 l 30 50 l S 0 G 0 0 m 9 0 l 5 5 m 6 6 l 7 8 l h 1 1 2 3 re S"
    drawing = drawing_of(write_pdf(tmp_path / "a.pdf", content, (200, 100)), 0)
    assert (drawing.width_mm, drawing.height_mm) == (pytest.approx(200 * MM), pytest.approx(100 * MM))
    assert [stroke.pen for stroke in drawing.strokes] == [(255, 0, 0, 706), *[(0, 0, 0, 706)] * 3]
    assert lines_of(tmp_path / "a.pdf") == [
        [[10, 80], [30, 80], [30, 50]],
        [[0, 100], [9, 100]],
        [[5, 95], [6, 94], [7, 92], [5, 95]],
        [[1, 99], [3, 99], [3, 96], [1, 96], [1, 99]],
    ]


def test_what_is_not_seen_is_left_out(tmp_path):
    content = "0 0 m 9 9 l n 1 1 1 RG 0 0 m 9 9 l S 0 G 0 0 9 9 re f 3 3 m S 0 0 m 5 0 l S"
    assert lines_of(write_pdf(tmp_path / "a.pdf", content, (200, 100))) == [[[0, 100], [5, 100]]]


def test_bends_are_straight_pieces_on_the_curve(tmp_path):
    (line,) = lines_of(write_pdf(tmp_path / "a.pdf", "0 0 m 0 30 60 30 60 0 c S", (200, 100)))
    assert line[0] == [0, 100] and line[-1] == [60, 100] and len(line) == 9
    assert line[4] == [30, pytest.approx(100 - 22.5)]  # the middle of the curve


@pytest.mark.parametrize(
    ("rotate", "expected"),
    [
        (0, [[10, 80], [40, 80]]),
        (90, [[20, 10], [20, 40]]),
        (180, [[190, 20], [160, 20]]),
        (270, [[80, 190], [80, 160]]),
    ],
)
def test_places_are_those_of_the_page_as_it_is_shown(tmp_path, rotate, expected):
    path = write_pdf(tmp_path / "a.pdf", "10 20 m 40 20 l S", (200, 100), rotate=rotate)
    assert lines_of(path) == [expected]
    shown = (200, 100) if rotate % 180 == 0 else (100, 200)
    drawing = drawing_of(path, 0)
    assert (drawing.width_mm / MM, drawing.height_mm / MM) == (
        pytest.approx(shown[0]),
        pytest.approx(shown[1]),
    )
    back = drawing.turned(rotate // 90)
    assert (back.strokes[0].points_mm / MM).round(3).tolist() == [[10, 80], [40, 80]]


def test_lines_within_forms_are_where_the_form_is_drawn(tmp_path):
    path = write_pdf(tmp_path / "a.pdf", "q 1 0 0 1 30 40 cm /Fm Do Q", (200, 100), form="1 w 0 0 m 5 5 l S")
    assert lines_of(path) == [[[30, 60], [40, 50]]]
    assert drawing_of(path, 0).strokes[0].pen[3] == 706  # the pen is twice as wide too


def test_letters_and_their_places(tmp_path):
    path = write_pdf(tmp_path / "a.pdf", "BT /F 10 Tf 20 50 Td (II) Tj 0 -30 Td (V1) Tj ET", (200, 100))
    drawing = drawing_of(path, 0)
    assert drawing.text.split() == ["II", "V1"]
    places = dict(zip(drawing.text, drawing.letters_mm / MM, strict=True))
    # Helvetica's I is 2.78 wide and 7.2 high at 10 points; the second one stands
    np.testing.assert_allclose(places["I"], [20 + 1.5 * 2.78, 100 - 50 - 3.6], atol=0.4)
    assert 20 < places["V"][0] < places["1"][0] < 34
    assert places["V"][1] == pytest.approx(100 - 20 - 3.6, abs=0.4)


def test_a_page_of_very_many_points_is_not_taken_apart(tmp_path, monkeypatch):
    monkeypatch.setattr(pdf_drawing, "MOST_POINTS", 3)
    path = write_pdf(tmp_path / "a.pdf", "0 0 m 5 5 l S 0 0 m 5 5 l S", (200, 100))
    assert drawing_of(path, 0).strokes == ()
