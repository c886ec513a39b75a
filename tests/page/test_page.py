"""Traces on the page: pixels worked out by hand, and the ideal trace that goes with them."""

import json

import cv2
import numpy as np
import pandas as pd
import pytest

from ecg_generator_with_train_src.common.errors import InputError
from ecg_generator_with_train_src.page.page import (
    PageDescription,
    draw_traces,
    leads_without_trace,
    opacity_to_mask,
    read_page_description,
    trace_points,
)
from ecg_generator_with_train_src.page.records import LEADS

from helpers import competition_gaps, record_of, waves_mv

PX_PER_S, PX_PER_MV = 196.850, 78.740
X0_PX = 118.110
ZERO_Y_PX = {"I": 708.333, "strip": 1534.711}
STRIP_ROWS = slice(1400, 1700)


def draw(page: PageDescription, table: pd.DataFrame, fs_hz: float) -> np.ndarray:
    """The opacity of the traces of a record of known values."""
    opacity, cut = draw_traces(page.model_copy(update={"fs_hz": fs_hz}), record_of(table, fs_hz))
    assert cut == ()
    assert opacity.dtype == np.uint8
    return opacity


def beats_mv(time_s: np.ndarray, peak_mv: float) -> np.ndarray:
    """A beat a second, 50 ms wide at its foot: up to the peak and 40 % of it below."""
    phase_s = time_s % 1.0 - 0.5
    return peak_mv * (np.exp(-((phase_s / 0.012) ** 2)) - 0.4 * np.exp(-(((phase_s - 0.03) / 0.012) ** 2)))


# --- pixels by hand


@pytest.fixture(scope="module")
def step_opacity(default_page) -> np.ndarray:
    """Lead I at 500 Hz: 0 mV up to sample 499, 1 mV from sample 500 (1.0 s) on."""
    step = np.where(np.arange(5000) < 500, 0.0, 1.0)
    return draw(default_page, waves_mv(500, I=step), 500)


def test_rows_of_a_level_trace_by_hand(step_opacity):
    """The pen is 0.75 pt = 2.0833 px: at 0 mV (y = 708.333) it inks 707.292-709.375, at 1 mV (y = 629.593)
    628.552-630.635. Row r is the band from r to r + 1: shares 0.708, 1, 0.375 and 0.448, 1, 0.635."""
    at_half_second = step_opacity[700:717, 216]  # x = 118.110 + 0.5 * 196.850 = 216.5
    expected = np.zeros(17)
    expected[7:10] = np.array([0.708, 1, 0.375]) * 255
    np.testing.assert_allclose(at_half_second, expected, atol=1)
    at_one_and_a_half = step_opacity[622:638, 413]  # x = 413.4
    expected = np.zeros(16)
    expected[6:9] = np.array([0.448, 1, 0.635]) * 255
    np.testing.assert_allclose(at_one_and_a_half, expected, atol=1)


def test_mask_rows_of_a_level_trace_by_hand(step_opacity):
    mask = opacity_to_mask(step_opacity)
    assert (np.flatnonzero(mask[600:800, 216]) + 600).tolist() == [707, 708]
    assert (np.flatnonzero(mask[600:800, 413]) + 600).tolist() == [629, 630]


def test_columns_of_a_step_by_hand(step_opacity):
    """The step goes from (314.567, 708.333) to (314.961, 629.593): at half its height, y = 669, the pen inks
    x = 313.72 to 315.81: column 313 by 0.28, 314 wholly, 315 by 0.81."""
    np.testing.assert_allclose(step_opacity[669, 312:318] / 255, [0, 0.28, 1, 0.81, 0, 0], atol=0.09)
    mask = opacity_to_mask(step_opacity)
    assert (np.flatnonzero(mask[669, 250:400]) + 250).tolist() == [314, 315]
    assert mask[630:708, 314].all()  # unbroken from one level to the other


def test_a_trace_starts_and_ends_with_its_samples(step_opacity):
    """Sample 0 stands at x = 118.110 and sample 1249 at 609.843; the round pen reaches 1.04 px further, in their rows
    0.965 and 0.99 px on average: column 117 is inked by 0.855 and column 610 by 0.83."""
    np.testing.assert_allclose(step_opacity[708, 115:119] / 255, [0, 0, 0.855, 1], atol=0.05)
    np.testing.assert_allclose(step_opacity[629, 608:613] / 255, [1, 1, 0.83, 0, 0], atol=0.05)


def test_up_is_up_and_four_hertz_are_four_waves_a_second(default_page):
    time_s = np.arange(2500) / 250
    wave = 0.5 * np.sin(2 * np.pi * 4 * time_s)
    mask = opacity_to_mask(draw(default_page, waves_mv(250, V4=wave), 250))
    x0_px = 118.110 + 7.5 * PX_PER_S
    for period in range(3):
        peak_x = int(x0_px + (period + 0.25) / 4 * PX_PER_S)
        trough_x = int(x0_px + (period + 0.75) / 4 * PX_PER_S)
        assert np.flatnonzero(mask[600:800, peak_x]).mean() + 600.5 == pytest.approx(708.333 - 39.37, abs=1)
        assert np.flatnonzero(mask[600:800, trough_x]).mean() + 600.5 == pytest.approx(708.333 + 39.37, abs=1)


def test_the_mask_is_set_exactly_from_half_coverage_on():
    opacity = np.arange(256, dtype=np.uint8)[None]
    mask = opacity_to_mask(opacity)
    assert mask.dtype == np.uint8
    assert mask[0].tolist() == [0] * 128 + [255] * 128  # 128 / 255 is the first level above a half


# --- gaps


def test_a_gap_in_the_signal_is_a_gap_in_the_trace(default_page):
    """Lead II without values from sample 2000 (4 s) to 2499 at 500 Hz: ink ends 1.04 px behind sample 1999
    (x = 905.116) and starts again 1.04 px before sample 2500 (x = 1102.360)."""
    table = waves_mv(500)
    table.loc[2000:2499, "II"] = np.nan
    strip = draw(default_page, table, 500)[STRIP_ROWS]
    whole = draw(default_page, waves_mv(500), 500)[STRIP_ROWS]
    assert not strip[:, 907:1101].any()
    assert whole[:, 907:1101].any(axis=0).all()
    np.testing.assert_array_equal(strip[:, :904], whole[:, :904])
    np.testing.assert_array_equal(strip[:, 1105:], whole[:, 1105:])
    assert strip[:, 905].any()
    assert strip[:, 1102].any()


def test_a_sample_between_two_gaps_is_a_dot(default_page):
    """Sample 2250 (4.5 s, x = 1003.935) alone inks a disc of 2.08 px: 3.41 px² about it."""
    table = waves_mv(500, II=np.full(5000, 0.5) * np.where(np.arange(5000) < 9, -1, 1))
    table.loc[2000:2249, "II"] = table.loc[2251:2500, "II"] = np.nan
    strip = draw(default_page, table, 500)[STRIP_ROWS, 907:1101] / 255
    assert strip.sum() == pytest.approx(np.pi * (2.0833 / 2) ** 2, rel=0.04)
    y, x = np.nonzero(strip)
    assert abs(x + 907.5 - 1003.935).max() < 1.55
    assert abs(y + 1400.5 - (1534.711 - 0.5 * PX_PER_MV)).max() < 1.55


@pytest.mark.parametrize("fs_hz", [50, 128, 250, 500, 1000, 1025, 2000])
def test_no_gap_inside_a_lead_at_any_rate(default_page, fs_hz):
    """Steep beats of 2 mV: the strip's mask is one connected piece from its first column to its last."""
    time_s = np.arange(10 * fs_hz) / fs_hz
    table = waves_mv(fs_hz, II=beats_mv(time_s, 2.0), III=0.01 * np.sin(time_s))
    mask = opacity_to_mask(draw(default_page, table, fs_hz))[1330:]
    pieces, labels = cv2.connectedComponents(mask, connectivity=4)
    assert pieces == 2  # the background and one piece
    inked = np.flatnonzero(labels.any(axis=0))
    last_px = X0_PX + (10 - 1 / fs_hz) * PX_PER_S
    assert (inked[0], inked[-1]) == (pytest.approx(118, abs=1), pytest.approx(last_px, abs=2))
    assert len(inked) == inked[-1] - inked[0] + 1


# --- exactness


def test_the_ink_of_beats_is_centred_on_the_curve(default_page):
    """How far the centroid of a column's ink lies from the nearest point of the ideal curve, over a whole strip."""
    fs_hz = 500
    time_s = np.arange(10 * fs_hz) / fs_hz
    signal_mv = beats_mv(time_s, 1.2) + 0.1 * np.sin(2 * np.pi * 0.8 * time_s)
    opacity = draw(default_page, waves_mv(fs_hz, II=signal_mv), fs_hz)
    strip = opacity[STRIP_ROWS].astype(float)
    columns = np.arange(125, 2080)
    rows = np.arange(1400, 1700)[:, None] + 0.5
    centre_px = (strip[:, columns] * rows).sum(axis=0) / strip[:, columns].sum(axis=0)
    fine_s = np.arange(0, 10, 1e-5)
    x_px = X0_PX + fine_s * PX_PER_S
    y_px = ZERO_Y_PX["strip"] - np.interp(fine_s, time_s, signal_mv) * PX_PER_MV
    near = np.searchsorted(x_px, columns[:, None] + 0.5) + np.arange(-1500, 1501)  # 3 px to each side
    distance_px = np.hypot(x_px[near] - columns[:, None] - 0.5, y_px[near] - centre_px[:, None]).min(axis=1)
    assert np.median(distance_px) <= 0.1
    assert np.percentile(distance_px, 95) <= 0.5
    assert distance_px.max() <= 2.0833 / 2  # in the tip of a beat, where both flanks are one stroke


def test_the_centre_of_a_smooth_trace_is_exact_to_half_a_pixel_everywhere(default_page):
    time_s = np.arange(10000) / 1000
    slow = 0.6 * np.sin(2 * np.pi * 1.2 * time_s) + 0.2 * np.sin(2 * np.pi * 2.3 * time_s)
    strip = draw(default_page, waves_mv(1000, II=slow), 1000)[1330:].astype(float)
    columns = np.arange(125, 2080)
    centre_px = (strip[:, columns] * (np.arange(1330, 1700)[:, None] + 0.5)).sum(axis=0) / strip[
        :, columns
    ].sum(axis=0)
    ideal_px = ZERO_Y_PX["strip"] - PX_PER_MV * np.interp((columns + 0.5 - X0_PX) / PX_PER_S, time_s, slow)
    error_px = np.abs(centre_px - ideal_px)
    assert np.median(error_px) <= 0.1
    assert np.percentile(error_px, 99.9) <= 0.5


def test_truth_points_are_the_samples_at_their_places(default_page):
    """By hand: lead I's sample 250 at 500 Hz (0.5 s) of 0.3 mV stands at (216.535, 684.711)."""
    table = waves_mv(500, I=np.where(np.arange(5000) == 250, 0.3, 0.0))
    points = trace_points(default_page.model_copy(update={"fs_hz": 500}), record_of(table, 500))
    assert len(points.x_px) == 4 * 5000  # three rows of quarters and the strip
    first_row = (points.row == 0) & (points.lead == LEADS.index("I"))
    assert first_row.sum() == 1250
    at = np.flatnonzero(first_row)[250]
    assert points.time_s[at] == pytest.approx(0.5)
    assert (points.x_px[at], points.y_px[at]) == (
        pytest.approx(216.535, abs=0.002),
        pytest.approx(708.333 - 0.3 * 78.740, abs=0.002),
    )
    assert [np.unique(points.lead[points.row == row]).tolist() for row in range(4)] == [
        [LEADS.index(lead) for lead in sorted(leads, key=LEADS.index)]
        for leads in (
            ("I", "aVR", "V1", "V4"),
            ("II", "aVL", "V2", "V5"),
            ("III", "aVF", "V3", "V6"),
            ("II",),
        )
    ]


def test_truth_leaves_gaps_out(default_page):
    table = waves_mv(500)
    table.loc[2000:2499, "II"] = np.nan
    points = trace_points(default_page.model_copy(update={"fs_hz": 500}), record_of(table, 500))
    strip_s = points.time_s[points.row == 3]
    assert len(strip_s) == 4500
    assert not ((strip_s > 3.999) & (strip_s < 4.999)).any()
    assert np.isfinite(points.y_px).all()


# --- what is drawn of what is there


def test_full_leads_and_the_competitions_gaps_give_the_same_ink(default_page):
    for fs_hz, quarters in ((500, (0, 1250, 2500, 3750, 5000)), (1025, (0, 2562, 5125, 7687, 10250))):
        full = waves_mv(fs_hz)
        np.testing.assert_array_equal(
            draw(default_page, full, fs_hz), draw(default_page, competition_gaps(full, quarters), fs_hz)
        )


def test_only_the_shown_quarter_of_a_lead_is_drawn(default_page):
    full = waves_mv(500)
    elsewhere = full.copy()
    elsewhere.loc[1250:, "I"] = 99.0
    elsewhere.loc[:7499, "V6"] = elsewhere["V6"].where(elsewhere.index >= 3750, -99.0)
    np.testing.assert_array_equal(draw(default_page, full, 500), draw(default_page, elsewhere, 500))


def test_a_lead_without_values_where_the_page_shows_it_is_left_out_and_the_others_stay(default_page):
    full, without = waves_mv(500), waves_mv(500)
    without.loc[2500:3749, "V2"] = np.nan
    page = default_page.model_copy(update={"fs_hz": 500})
    assert leads_without_trace(page, record_of(full, 500)) == ()
    assert leads_without_trace(page, record_of(without, 500)) == ("V2",)
    all_points, points = (trace_points(page, record_of(table, 500)) for table in (full, without))
    others = all_points.lead != LEADS.index("V2")
    np.testing.assert_array_equal(points.y_px, all_points.y_px[others])
    opacity, _ = draw_traces(page, record_of(without, 500))
    assert (opacity <= draw_traces(page, record_of(full, 500))[0]).all()
    row, column = (np.floor(at[~others][20:-20]).astype(int) for at in (all_points.y_px, all_points.x_px))
    assert not opacity[row, column].any()


def test_a_record_without_values_where_the_page_shows_any_lead_is_refused(default_page):
    table = pd.DataFrame(np.full((5000, 12), np.nan), columns=LEADS)
    page = default_page.model_copy(update={"fs_hz": 500})
    for function in (draw_traces, trace_points):
        with pytest.raises(InputError, match="has no values where this layout shows its leads"):
            function(page, record_of(table, 500))


def test_what_leaves_the_page_is_cut_and_named(default_page):
    """8.9 mV above row I (y = 708) is 7 px below the top edge; 9.1 mV is 8 px off the page."""
    page = default_page.model_copy(update={"fs_hz": 500})
    spike = np.where(np.arange(5000) == 600, 1.0, 0.0)
    inside = waves_mv(500, I=8.9 * spike)
    opacity, cut = draw_traces(page, record_of(inside, 500))
    assert cut == ()
    assert not opacity[:5].any()
    outside = waves_mv(500, I=9.1 * spike, II=-2.2 * spike)  # 1534.7 + 173.2 = 1707.9: below the bottom edge
    opacity, cut = draw_traces(page, record_of(outside, 500))
    assert set(cut) == {"I", "II"}
    assert opacity[0, 340:370].max() == 255
    assert opacity[-1, 340:370].max() == 255
    assert opacity.shape == (1700, 2200)


def test_a_signal_that_leaves_its_row_overlaps_the_next(default_page):
    spike = np.where(np.arange(5000) == 300, 1.0, 0.0)
    table = waves_mv(500, I=-4 * spike)  # 708 + 315 = 1023: beyond row II at 992
    assert draw(default_page, table, 500)[1015, 230:242].max() == 255


# --- descriptions


def test_a_page_description_comes_back_as_it_was(default_page, tmp_path):
    (tmp_path / "a.page.json").write_text(default_page.model_dump_json(indent=2))
    assert read_page_description(tmp_path / "a.page.json") == default_page


@pytest.mark.parametrize("content", [b"", b"{}", b"[1]", b'{"name": "a"', b"\xff\xfe\x00"])
def test_a_description_that_is_none_is_refused_by_name(tmp_path, content):
    (tmp_path / "a.page.json").write_bytes(content)
    with pytest.raises(InputError, match=r"a\.page\.json: ") as caught:
        read_page_description(tmp_path / "a.page.json")
    assert "\n" not in str(caught.value)


def test_an_unknown_field_in_a_description_is_refused_by_name(tmp_path, default_page):
    text = default_page.model_dump_json().replace('"seed":', '"sed": 1, "seed":', 1)
    (tmp_path / "a.page.json").write_text(text)
    with pytest.raises(InputError, match="sed"):
        read_page_description(tmp_path / "a.page.json")


@pytest.mark.parametrize(
    ("place", "value", "said"),
    [
        (("start_s",), 1e300, "start_s: "),
        (("style", "pen_points"), 72, "the pen is 200 px wide, more than 50"),
        (("geometry", "paper_speed_mm_s"), 500, ""),
        (("geometry", "px_per_mm_x"), 100, "rows are 500000 px long, more than 50000"),
        (("style", "ink_rgb"), [2**63, 0, 0], "style.ink_rgb.0: "),
        (("style", "grid", "paper_rgb"), [-1, 0, 0], "style.grid.paper_rgb.0: "),
        (("furniture", "texts"), [{"text": "", "x_mm": 0, "y_mm": 0}] * 201, "furniture.texts: "),
    ],
)
def test_what_no_page_has_is_refused_before_it_is_drawn(tmp_path, default_page, place, value, said):
    values = default_page.model_dump(mode="json")
    values["geometry"]["paper_speed_mm_s"] = 500 if place[-1] == "px_per_mm_x" else 25
    inner = values
    for name in place[:-1]:
        inner = inner[name]
    inner[place[-1]] = value
    path = tmp_path / "a.page.json"
    path.write_text(json.dumps(values))
    if not said:
        assert read_page_description(path).geometry.paper_speed_mm_s == value
        return
    with pytest.raises(InputError, match=rf"a\.page\.json: .*{said}.*render the page again"):
        read_page_description(path)
