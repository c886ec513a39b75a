"""From perfect planes of a page to its layout and its twelve leads."""

from dataclasses import replace

import numpy as np
import pytest

from ecg_generator_with_train_src.common.classes import GRID
from ecg_generator_with_train_src.common.errors import InputError
from ecg_generator_with_train_src.page.geometry import PX_PER_MM
from ecg_generator_with_train_src.page.layouts import LAYOUTS, PageSetup, parse_layout
from ecg_generator_with_train_src.page.records import LEADS
from experiment.labelling.page_probability import PageProbability
from experiment.reading.find_layout import ReadingOptions, find_layout
from experiment.reading.output_files import signals_csv
from experiment.reading.paper_field import fit_paper
from experiment.reading.read_leads import read_leads
from experiment.reading.read_page import NO_GRID, TURNED, flat_page, further_leads, read_page
from experiment.reading.rectify import rectify
from experiment.scoring.signal_metric import score_db, score_signals
from known_pages import FS_HZ, heart_mv, page_of


def found_on(setup: PageSetup):
    seen = page_of(setup)
    return find_layout(rectify(seen.probability, seen.image, fit_paper(seen.probability[GRID])))


@pytest.mark.parametrize("name", LAYOUTS)
def test_every_layout_is_recognised(name):
    found = found_on(PageSetup(layout=LAYOUTS[name]))
    assert found.setup.layout.name == name
    assert found.setup.pulse == "left"
    assert not found.warnings
    assert abs(found.end_x_px - found.start_x_px - 250 * 7.874) < 8


@pytest.mark.parametrize("fs_hz", [250, 256, 500, 512, 1000, 1025])
def test_at_every_sampling_rate_beats_stand_in_their_place_up_to_the_last_sample(fs_hz):
    """At 1025 Hz, a quarter of a record is no whole number of samples."""
    signal_mv = read_page(page_of(PageSetup(), fs_hz), fs_hz, ReadingOptions()).signal_mv
    shown = PageSetup().shown(fs_hz, 10 * fs_hz)
    assert (np.isfinite(signal_mv) == shown).all()
    for lead, truth_mv, read_mv, there in zip(
        LEADS, heart_mv(fs_hz).to_numpy().T, signal_mv.T, shown.T, strict=True
    ):
        truth_mv, error_mv = truth_mv[there], (read_mv - truth_mv)[there]
        slope_mv_s = np.gradient(truth_mv) * fs_hz
        late_s = -(error_mv @ slope_mv_s) / (slope_mv_s @ slope_mv_s)
        assert abs(late_s) < 0.0003, lead  # 0.06 px
        assert abs(error_mv[-1]) < 0.02, lead
        assert np.sqrt(np.mean(error_mv**2)) < 0.01, lead


@pytest.mark.parametrize(
    "changes",
    [
        {"pulse": "none"},
        {"separators": False},
        {"gain_mm_mv": 5.0},
        {"gain_mm_mv": 20.0},
        {"paper_speed_mm_s": 50.0},
        {"pulse": "right"},
    ],
)
def test_speed_gain_and_pulse_are_found(changes):
    setup = PageSetup(**changes)
    found = found_on(setup).setup
    assert (found.layout.name, found.pulse) == (setup.layout.name, setup.pulse)
    assert (found.gain_mm_mv, found.paper_speed_mm_s) == (setup.gain_mm_mv, setup.paper_speed_mm_s)
    assert found.separators == setup.separators


def flattened(setup: PageSetup):
    seen = page_of(setup)
    return rectify(seen.probability, seen.image, fit_paper(seen.probability[GRID]))


def test_a_picture_without_a_grid_is_read_at_a_scale_that_is_told_and_refused_else():
    seen = page_of(PageSetup())
    bare = seen.probability * np.array([1, 0, 1], np.float32)[:, None, None]
    bare[0] += seen.probability[GRID]
    bare = replace(seen, probability=bare)
    options = ReadingOptions(layout=parse_layout("3x4+II"), paper_speed_mm_s=25.0, gain_mm_mv=10.0)
    with pytest.raises(InputError, match="--px-per-mm says the scale of a picture without a grid"):
        read_page(bare, FS_HZ, options)
    reading = read_page(replace(bare, scale_is_told=True), FS_HZ, options)
    assert reading.verdict.status == "check" and NO_GRID in reading.verdict.reasons
    with_grid = read_page(seen, FS_HZ, options)
    assert np.sqrt(np.nanmean(np.square(reading.signal_mv - with_grid.signal_mv))) < 0.05


def test_the_commonest_layout_with_evenly_spaced_rows_is_no_other():
    evenly = LAYOUTS["3x4+II"].model_copy(update={"zero_lines": ()})
    found = find_layout(flattened(PageSetup(layout=evenly, separators=False, pulse="none")))
    assert found.setup.layout.name == "3x4+II"


def test_a_row_that_is_half_hidden_is_still_a_row():
    page = flattened(PageSetup())
    whole = find_layout(page)
    row_px = round(whole.zero_y_px[1])
    ink, middle = page.ink.copy(), round((whole.start_x_px + whole.end_x_px) / 2)
    ink[row_px - 120 : row_px + 120, middle:] = 0
    found = find_layout(replace(page, ink=ink))
    assert found.setup.layout.name == "3x4+II"
    np.testing.assert_allclose(found.zero_y_px, whole.zero_y_px, atol=1)


def test_rows_that_are_never_all_seen_in_one_column_are_found():
    page = flattened(PageSetup())
    whole = find_layout(page)
    ink = page.ink.copy()
    for column in range(0, ink.shape[1], 80):  # one row after the other is hidden
        hidden_px = round(whole.zero_y_px[column // 80 % 4])
        ink[hidden_px - 120 : hidden_px + 120, column : column + 80] = 0
    assert find_layout(replace(page, ink=ink)).setup.layout.name == "3x4+II"


def test_a_page_cut_off_on_the_right_keeps_what_is_left():
    page = flattened(PageSetup())
    whole = find_layout(page)
    cut_px = round(whole.start_x_px + 200 * PX_PER_MM)
    cut = replace(
        page, ink=page.ink[:, :cut_px], darkness=page.darkness[:, :cut_px], grid=page.grid[:, :cut_px]
    )
    found = find_layout(cut)
    assert found.setup.layout.name == "3x4+II"
    assert found.start_x_px == pytest.approx(whole.start_x_px, abs=0.5)
    assert "part of the page is missing" in found.warnings[0]
    leads = read_leads(cut.ink, found, FS_HZ)
    expected = {lead.place.label: lead for lead in read_leads(page.ink, whole, FS_HZ)}
    for lead in leads[:3]:  # I, aVR, V1
        noise_mv = lead.signal_mv - expected[lead.place.label].signal_mv
        assert np.abs(noise_mv).max() < 0.05


@pytest.mark.parametrize(("share", "said"), [(0.1, False), (0.4, True)])
def test_much_paper_that_stands_apart_is_said(share, said):
    seen = page_of(PageSetup())
    page = rectify(seen.probability, seen.image, fit_paper(seen.probability[GRID]))
    assert page.share_aside < 0.01
    warnings = find_layout(replace(page, share_aside=share)).warnings
    assert any("does it show another ECG?" in warning for warning in warnings) == said


def test_leads_that_a_cut_took_away_are_left_out_and_named():
    page = flattened(PageSetup())
    whole = find_layout(page)
    cut_px = round(whole.start_x_px + 150 * PX_PER_MM)
    cut = replace(
        page, ink=page.ink[:, :cut_px], darkness=page.darkness[:, :cut_px], grid=page.grid[:, :cut_px]
    )
    found = find_layout(cut, ReadingOptions(layout=LAYOUTS["3x4+II"]))
    assert found.warnings[-1] == "leads V4, V5, V6 beyond the page's edge: left out"
    assert [lead.place.label for lead in read_leads(cut.ink, found, FS_HZ)][:4] == ["I", "aVR", "V1", "II"]


@pytest.mark.parametrize("gap_px", [6, 40])
def test_specks_in_rows_are_refused_with_a_reason(gap_px):
    page = flattened(PageSetup())
    ink = np.zeros_like(page.ink)
    for row_px in (400, 700, 1000, 1300):
        ink[row_px : row_px + 2, 200:2000:gap_px] = 1
    with pytest.raises(InputError, match="where the rows start is not seen"):
        find_layout(replace(page, ink=ink))


def test_where_faint_ends_hide_where_time_starts_separators_tell():
    setup = PageSetup()
    seen = page_of(setup)
    start_px = found_on(setup).start_x_px
    whole = rectify(seen.probability, seen.image, fit_paper(seen.probability[GRID]))
    ink = whole.ink.copy()
    ink[:, : round(start_px + 11 * PX_PER_MM)] = 0
    ink[:, round(start_px + 245 * PX_PER_MM) :] = 0
    assert find_layout(replace(whole, ink=ink)).start_x_px == pytest.approx(start_px, abs=0.5)


def test_lines_across_rows_of_one_lead_are_no_separators():
    setup = PageSetup(layout=LAYOUTS["12x1"])
    seen = page_of(setup)
    start_px = found_on(setup).start_x_px
    page = rectify(seen.probability, seen.image, fit_paper(seen.probability[GRID]))
    darkness = page.darkness.copy()
    for line_mm in (250 / 4 + 5, 250 / 2 + 5, 250 * 3 / 4 + 5):
        at = round(start_px + line_mm * PX_PER_MM)
        darkness[:, at - 1 : at + 2] = 150
    assert find_layout(replace(page, darkness=darkness)).start_x_px == pytest.approx(start_px, abs=0.5)


@pytest.mark.parametrize("joined_mm", [5, 1.5])
@pytest.mark.parametrize("side", ["left", "right"])
def test_pulses_that_were_taken_for_traces_do_not_move_time_zero(side, joined_mm):
    setup = PageSetup(layout=LAYOUTS["12x1"], pulse=side)
    seen = page_of(setup)
    found = found_on(setup)
    page = rectify(seen.probability, seen.image, fit_paper(seen.probability[GRID]))
    ink = page.ink.copy()
    pulse_px = joined_mm * PX_PER_MM
    first_px = found.start_x_px - pulse_px if side == "left" else found.end_x_px
    for zero in found.zero_y_px:
        ink[round(zero) - 1 : round(zero) + 1, round(first_px) : round(first_px + pulse_px)] = 1
    again = find_layout(replace(page, ink=ink))
    assert again.start_x_px == pytest.approx(found.start_x_px, abs=0.5)
    assert again.setup.pulse == side


def snr_db(setup: PageSetup, options: ReadingOptions) -> tuple[float, object]:
    reading = read_page(page_of(setup), FS_HZ, options)
    truth_mv = heart_mv()[list(LEADS)].to_numpy()
    shown = setup.shown(FS_HZ, len(truth_mv))
    assert (np.isfinite(reading.signal_mv) == shown).all()
    truth_mv = np.where(shown, truth_mv, np.nan)
    return score_db([score_signals(truth_mv.T, reading.signal_mv.T, FS_HZ).ratio]), reading


def test_the_competitions_page_is_read_back():
    score, reading = snr_db(PageSetup(), ReadingOptions())
    assert score > 25
    assert np.nanmedian(reading.signal_mv[:, LEADS.index("V4")]) == pytest.approx(0, abs=0.05)
    assert min(lead.confidence for lead in reading.leads) > 0.6


def test_a_page_that_may_stand_on_its_head_is_read_the_way_in_which_its_leads_fit():
    upright = page_of(PageSetup())
    over = upright.upside_down()
    assert over.rotation_deg == -180
    height, width = upright.input_shape
    assert (over.to_input @ [10, 20, 1]).tolist() == [width - 10, height - 20, 1]
    asked = [replace(page, upright_chance=0.6) for page in (upright, over)]
    first, second = (read_page(page, FS_HZ, ReadingOptions()) for page in asked)
    assert np.array_equal(first.signal_mv, second.signal_mv, equal_nan=True)
    assert first.seen.rotation_deg == second.seen.rotation_deg == 0


def test_a_page_whose_limb_leads_do_not_fit_is_turned_over():
    upright = page_of(PageSetup())
    expected = read_page(upright, FS_HZ, ReadingOptions())
    assert TURNED not in expected.verdict.reasons
    taken_for_upright = replace(upright.upside_down(), upright_chance=0.9)
    reading = read_page(taken_for_upright, FS_HZ, ReadingOptions())
    assert np.array_equal(reading.signal_mv, expected.signal_mv, equal_nan=True)
    assert TURNED in reading.verdict.reasons


def test_a_page_that_certainly_stands_upright_is_not_turned_over():
    over = replace(page_of(PageSetup()).upside_down(), upright_chance=1.0)
    assert TURNED not in read_page(over, FS_HZ, ReadingOptions()).verdict.reasons


def test_cabrera_order_is_told_by_the_limb_leads():
    setup = PageSetup(layout=LAYOUTS["6x2"], lead_order="cabrera")
    score, reading = snr_db(setup, ReadingOptions())
    assert reading.found.setup.lead_order == "cabrera"
    assert score > 24


def test_a_layout_that_is_not_there_is_refused():
    with pytest.raises(InputError, match="no 12 rows as layout 12x1 has"):
        read_page(page_of(PageSetup()), FS_HZ, ReadingOptions(layout=LAYOUTS["12x1"]))


def test_a_page_without_grid_is_refused_and_a_flat_one_has_the_right_form():
    empty = PageProbability(
        np.zeros((3, 300, 400), np.float32),
        np.zeros((300, 400, 3), np.uint8),
        np.eye(3),
        (300, 400),
        7.9,
        0,
        0,
        0,
        (),
    )
    with pytest.raises(InputError, match="no grid is seen"):
        read_page(empty, FS_HZ, ReadingOptions())
    flat = flat_page(FS_HZ, None)
    assert flat.shape == (2500, 12)
    assert np.isfinite(flat).sum(axis=0).tolist() == [625, 2500, *[625] * 10]
    assert np.nanmax(np.abs(flat)) == 0


def test_leads_that_records_do_not_have_are_written_beside_the_twelve():
    drawn = page_of(PageSetup(layout=parse_layout("rows:II,V4,V5")))
    reading = read_page(drawn, FS_HZ, ReadingOptions(layout=parse_layout("rows:V3R,?,V5")))
    shown = [
        lead
        for lead, signal_mv in zip(LEADS, reading.signal_mv.T, strict=True)
        if np.isfinite(signal_mv).any()
    ]
    assert shown == ["V5"]
    ((name, signal_mv),) = further_leads(reading).items()
    noise_mv = signal_mv - heart_mv()["II"].to_numpy()
    assert name == "V3R" and np.abs(noise_mv - np.median(noise_mv)).max() < 0.1
    header = signals_csv(reading.signal_mv, further_leads(reading)).splitlines()[0]
    assert header == ",".join([*LEADS, "V3R"])
