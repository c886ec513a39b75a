"""PDFs that hold their traces as curves: the signals are the file's own numbers."""

import itertools
import json
from dataclasses import replace

import numpy as np
import pandas as pd
import pytest

from ecg_generator_with_train_src.common.errors import InputError
from ecg_generator_with_train_src.common.page_files import read_single_page
from ecg_generator_with_train_src.common.pdf_drawing import drawing_of
from ecg_generator_with_train_src.page.layouts import PageSetup, parse_layout
from ecg_generator_with_train_src.page.records import LEADS
from experiment.labelling.page_probability import PageProbability
from experiment.labelling.result_names import PageFile
from experiment.reading.digitize_pages import DigitizeOptions, digitize_pages
from experiment.reading.find_layout import ReadingOptions
from experiment.reading.printed_text import NO_TEXT
from experiment.reading.read_drawing import read_any_page, read_drawing
from experiment.reading.read_page import without_filled
from experiment.reading.sampling_rates import SamplingRates
from known_pages import FS_HZ, heart_mv, page_of

from pdf_files import write_pdf

POINT_MM = 25.4 / 72
LEFT_MM, TOP_MM, WIDE_MM, HIGH_MM = (
    5.3,
    20.7,
    265.0,
    180.0,
)  # the grid, which need not start at a whole millimetre
START_MM = LEFT_MM + 10  # time zero
ROWS_MM = [TOP_MM + 25 + 37 * row for row in range(4)]
BLOCK = [LEADS[row::3] for row in range(3)]


def line(*points_mm, height_mm: float = 215.9) -> str:
    """Operators that draw a line through points (x, y) in mm from the page's upper left corner."""
    places = [f"{x / POINT_MM:.4f} {(height_mm - y) / POINT_MM:.4f}" for x, y in points_mm]
    return f"{places[0]} m " + " ".join(f"{place} l" for place in places[1:]) + " S\n"


def text(words: str, x_mm: float, y_mm: float) -> str:
    return f"BT /F 9 Tf {x_mm / POINT_MM:.3f} {(215.9 - y_mm) / POINT_MM:.3f} Td ({words}) Tj ET\n"


def grid() -> str:
    """Lines 1 mm apart."""
    right, bottom = LEFT_MM + WIDE_MM, TOP_MM + HIGH_MM
    upright = [line((x, TOP_MM), (x, bottom)) for x in LEFT_MM + np.arange(WIDE_MM + 1)]
    level = [line((LEFT_MM, y), (right, y)) for y in TOP_MM + np.arange(HIGH_MM + 1)]
    return "q 1 0.6 0.6 RG 0.2 w\n" + "".join(upright + level) + "Q\n"


def trace(signal_mv: np.ndarray, start_mm: float, zero_mm: float, pieces: int = 1) -> str:
    """The curve of a signal at FS_HZ, 25 mm/s and 10 mm/mV, in one path or several that go on from one another."""
    x_mm = start_mm + 25 * np.arange(len(signal_mv)) / FS_HZ
    points = np.stack([x_mm, zero_mm - 10 * signal_mv], axis=1)
    cuts = np.linspace(0, len(points) - 1, pieces + 1).astype(int)
    return "".join(line(*points[a : b + 1]) for a, b in itertools.pairwise(cuts))


def usual_page(pieces: int = 1, names: bool = True) -> str:
    """Operators of three rows of four leads and a strip of II, with names and scales as text."""
    heart = heart_mv()
    parts = []
    for row, leads in enumerate(BLOCK):
        for column, lead in enumerate(leads):
            start_s, start_mm = 2.5 * column, START_MM + 62.5 * column
            own = heart[lead][round(start_s * FS_HZ) : round((start_s + 2.5) * FS_HZ) + 1].to_numpy()
            parts.append(trace(own, start_mm, ROWS_MM[row], pieces))
            parts.append(text(lead, start_mm + 2, ROWS_MM[row] - 12) if names else "")
    parts.append(trace(heart["II"].to_numpy(), START_MM, ROWS_MM[3], pieces))
    if names:
        parts += [
            text("II", START_MM + 2, ROWS_MM[3] - 12),
            text("25 mm/s  10 mm/mV", START_MM, TOP_MM + HIGH_MM + 5),
        ]
    return "q 0.5 w\n" + "".join(parts) + "Q\n"


def seen_of(path) -> PageProbability:
    """A page of which a network saw nothing but its picture, as it stands."""
    image = read_single_page(path)
    shape = image.shape[:2]
    nothing = np.zeros((3, *shape), np.float32)
    seen = PageProbability(nothing, image, np.eye(3), shape, 7.874, 0, 0.0, 0.0, (), text=NO_TEXT)
    return replace(seen, drawing=drawing_of(path, 0))


def read(path, fs_hz: float = FS_HZ, **known):
    return read_any_page(seen_of(path), fs_hz, ReadingOptions(**known))


def expected_mv(fs_hz: float = FS_HZ) -> np.ndarray:
    """What the page shows of each lead (samples, 12), NaN elsewhere."""
    heart = heart_mv()
    at_s = np.arange(round(10 * fs_hz)) / fs_hz
    full = np.stack([np.interp(at_s, np.arange(len(heart)) / FS_HZ, heart[lead]) for lead in LEADS], axis=1)
    for column in range(4):
        hidden = (at_s < 2.5 * column - 1e-9) | (at_s >= 2.5 * (column + 1) - 1e-9)
        for row in range(3):
            if BLOCK[row][column] != "II":
                full[hidden, LEADS.index(BLOCK[row][column])] = np.nan
    return full


def largest_error_mv(reading, fs_hz: float = FS_HZ) -> float:
    """Of all leads, each about its median: a PDF does not say where 0 mV is."""
    expected = expected_mv(fs_hz)
    assert np.array_equal(np.isnan(expected), np.isnan(reading.signal_mv))
    off = reading.signal_mv - expected
    return float(np.nanmax(np.abs(off - np.nanmedian(off, axis=0))))


@pytest.mark.parametrize(("pieces", "fs_hz"), [(1, FS_HZ), (25, 500.0)])
def test_the_files_own_numbers_come_back(tmp_path, pieces, fs_hz):
    reading = read(write_pdf(tmp_path / "a.pdf", grid() + usual_page(pieces)), fs_hz)
    assert reading.traces_from == "curves of the PDF"
    assert (reading.verdict.status, reading.found.setup.layout.name) == ("sure", "3x4+II")
    assert (reading.found.speed_from, reading.found.gain_from) == ("print", "print")
    # flanks climb some 60 mV a second: a shift of 1 ms would be seen as 0.06 mV
    assert largest_error_mv(reading, fs_hz) < 1e-3


def test_a_page_drawn_smaller_and_sideways_in_a_form(tmp_path):
    # the form is drawn at twice its size; 0.45 of that makes 0.9 of the paper's, turned to the left
    turned = "q 0 0.45 -0.45 0 600 20 cm /Fm Do Q"
    path = write_pdf(tmp_path / "a.pdf", turned, (612.0, 792.0), form=grid() + usual_page())
    reading = read(path)
    assert reading.traces_from == "curves of the PDF"
    assert (reading.seen.quarter_turns, reading.seen.rotation_deg) == (3, -90.0)
    assert reading.seen.pitch_px == pytest.approx(0.9 * 200 / 25.4, rel=1e-3)
    assert reading.verdict.status == "sure"
    assert largest_error_mv(reading) < 2e-3


def test_a_page_that_a_pdf_shows_turned(tmp_path):
    turned = "0 1 -1 0 612 0 cm\n" + grid() + usual_page()  # turned to the left, and shown turned back
    reading = read(write_pdf(tmp_path / "a.pdf", turned, (612.0, 792.0), rotate=90))
    assert (reading.seen.quarter_turns, reading.seen.image.shape[:2]) == (
        0,
        (1695, 2198),
    )  # less 0.3 and 0.7 mm beside whole ones
    assert largest_error_mv(reading) < 1e-3


def pulses() -> str:
    """Boxes of 1 mV and 0.2 s left of each row, each drawn side by side."""
    parts = []
    for zero_mm in ROWS_MM:
        corners = [(7.0, 0.0), (8.0, 0.0), (8.0, 10.0), (13.0, 10.0), (13.0, 0.0), (14.0, 0.0)]
        corners = [(x_mm, zero_mm - up_mm) for x_mm, up_mm in corners]
        parts += [line(*pair) for pair in itertools.pairwise(corners)]
    return "q 0.1 w\n" + "".join(parts) + "Q\n"


def test_pulses_tell_the_scale_where_there_is_no_grid(tmp_path):
    reading = read(write_pdf(tmp_path / "a.pdf", pulses() + usual_page(names=False)))
    assert (reading.found.speed_from, reading.found.gain_from) == ("pulse", "pulse")
    assert reading.found.setup.layout.name == "3x4+II"
    assert largest_error_mv(reading) < 1e-3


@pytest.mark.parametrize("size", [1.0, 0.9])
def test_a_grid_that_is_a_picture_tells_how_large_the_page_is_drawn(tmp_path, size):
    width_px, height_px = 2200, 1640  # 275 x 205 mm
    y, x = np.mgrid[0:height_px, 0:width_px]
    grey = np.full(x.shape, 255, np.uint8)
    grey[(x % 8 == 0) | (y % 8 == 0)] = 200
    place = f"{275 / POINT_MM:.3f} 0 0 {205 / POINT_MM:.3f} 0 20 cm"
    content = f"{size} 0 0 {size} 0 0 cm q {place} /Im Do Q " + usual_page()
    path = write_pdf(tmp_path / "a.pdf", content, picture=(width_px, height_px, grey.tobytes()))
    seen = seen_of(path)
    seen.probability[1] = np.abs(seen.image[..., 0].astype(int) - 200) < 40  # the network sees the grid
    reading = read_any_page(seen, FS_HZ, ReadingOptions())
    assert reading.verdict.status == "sure"
    assert reading.seen.pitch_px == pytest.approx(8, rel=2e-3)  # PDFium puts pictures' edges on whole pixels
    if size == 1.0:
        assert largest_error_mv(reading) < 1e-3


def test_names_alone_make_a_page_to_check(tmp_path):
    reading = read(write_pdf(tmp_path / "a.pdf", usual_page()))
    assert reading.verdict.status == "check"
    assert any("the PDF's own size is taken" in reason for reason in reading.verdict.reasons)


def test_curves_that_nothing_says_are_an_ecgs_are_left_aside(tmp_path):
    seen = seen_of(write_pdf(tmp_path / "a.pdf", usual_page(names=False)))
    with pytest.raises(InputError, match="neither grid nor pulse nor lead names"):
        read_drawing(seen.drawing, seen, FS_HZ, ReadingOptions())


def test_a_page_far_larger_than_paper_is_left_aside(tmp_path):
    seen = seen_of(write_pdf(tmp_path / "a.pdf", usual_page(), (2880.0, 2880.0)))  # 40 inches wide and high
    with pytest.raises(InputError, match="a page of 1016 x 1016 mm is larger than any paper"):
        read_drawing(seen.drawing, seen, FS_HZ, ReadingOptions())


def test_a_pdf_without_curves_is_read_as_it_is_drawn_and_says_so(tmp_path):
    drawing = drawing_of(write_pdf(tmp_path / "a.pdf", grid()), 0)
    known = ReadingOptions(layout=parse_layout("3x4+II"), paper_speed_mm_s=25.0, gain_mm_mv=10.0)
    reading = read_any_page(replace(page_of(PageSetup()), drawing=drawing), FS_HZ, known)
    assert reading.traces_from == "picture, for its paths hold no traces"
    assert reading.found.setup.layout.name == "3x4+II"


def test_a_gap_in_a_curve_is_listed_and_left_out_if_that_is_asked(tmp_path):
    strip = heart_mv()["II"].to_numpy()
    parts = [trace(strip[:1000], START_MM, ROWS_MM[0]), trace(strip[1250:], START_MM + 125, ROWS_MM[0])]
    parts += [text("II", START_MM + 2, ROWS_MM[0] - 12), text("25 mm/s 10 mm/mV", START_MM, TOP_MM + 100)]
    path = write_pdf(tmp_path / "a.pdf", grid() + "".join(parts))
    reading = read(path, layout=parse_layout("rows:II"))
    (lead,) = reading.leads
    ((start_s, end_s),) = lead.gaps_s
    assert (start_s, end_s) == (pytest.approx(4.008), pytest.approx(4.988))  # a curve's ends hold for 0.2 mm
    off = without_filled(reading)[:, 1] - strip
    assert np.isnan(off[1002:1248]).all()
    assert np.nanmax(np.abs(off - np.nanmedian(off))[[*range(1000), *range(1250, 2500)]]) < 1e-3


def test_digitize_says_where_the_traces_are_from(tmp_path, capsys):
    path = write_pdf(tmp_path / "page.PDF", grid() + usual_page())
    seen = replace(seen_of(path), drawing=None)
    work = DigitizeOptions(tmp_path / "out", ReadingOptions(), num_workers=1)
    files, rates = [PageFile(path, "page")], SamplingRates(FS_HZ, {}, {})
    assert digitize_pages(lambda image, rotation_deg: seen, work, files, rates) == 0
    assert "page-p1: traces from the curves of the PDF\n" in capsys.readouterr().err
    about = json.loads((tmp_path / "out" / "page-p1.json").read_text())
    assert (about["traces_from"], about["status"]) == ("curves of the PDF", "sure")
    signals = pd.read_csv(tmp_path / "out" / "page-p1.csv")
    expected = expected_mv()
    np.testing.assert_allclose(signals["V1"].to_numpy(), expected[:, LEADS.index("V1")], atol=1e-3)
