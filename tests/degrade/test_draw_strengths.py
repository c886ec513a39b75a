"""Degraded pages: the record, its replay, and labels that keep to the analytically warped trace."""

from dataclasses import replace

import cv2
import numpy as np
import pytest
from scipy.spatial import cKDTree

from ecg_generator_with_train_src.common.classes import BACKGROUND, GRID, IGNORED, WAVEFORM
from ecg_generator_with_train_src.common.image_files import read_ink_alpha
from ecg_generator_with_train_src.common.random_stream import random_stream
from ecg_generator_with_train_src.degrade.apply import degrade, place_points
from ecg_generator_with_train_src.degrade.draw_strengths import (
    Degradation,
    sample_degradation,
    sample_effects,
)
from ecg_generator_with_train_src.degrade.optics import light_field
from ecg_generator_with_train_src.degrade.printing import print_page
from ecg_generator_with_train_src.degrade.profiles import LASER_SHARE, PROFILES, Choice, Count
from ecg_generator_with_train_src.degrade.strengths import Effects
from ecg_generator_with_train_src.page.compose import compose
from ecg_generator_with_train_src.page.grid import draw_grid, draw_grid_mask, horizontal_lines, vertical_lines
from ecg_generator_with_train_src.page.layouts import PageSetup
from ecg_generator_with_train_src.page.page import trace_points
from ecg_generator_with_train_src.page.records import read_record
from ecg_generator_with_train_src.page.stroke import lay_over, stroke
from ecg_generator_with_train_src.page_map import PageMap, place_on_image

PEN_PX = 2.083


@pytest.fixture(scope="module")
def page(default_page):
    return default_page


@pytest.fixture(scope="module")
def composed(page, rendered):
    ink = read_ink_alpha(rendered / "wave_images" / f"{page.name}.png")
    return compose(page, ink, draw_grid(page.geometry.paper), draw_grid_mask(page.geometry.paper))


def record_of(page, profile, seed=0, photo_size_px=2600):
    return sample_degradation(
        random_stream(seed, profile, "test"), profile, page.geometry.paper, photo_size_px
    )


def flat_record(page, homography=None, size=None, **effects):
    """A degradation of known geometry."""
    paper = page.geometry.paper
    width_px, height_px = size or (paper.width_px, paper.height_px)
    page_map = PageMap(
        homography=homography or np.eye(3).tolist(),
        width_px=width_px,
        height_px=height_px,
        px_per_mm=paper.px_per_mm,
    )
    return Degradation(profile="scan_color", effects=Effects(**effects), page_map=page_map, texture_seed=3)


def run(page, composed, degradation):
    return degrade(composed, page.geometry.paper, PEN_PX, degradation)


def test_sampled_values_stay_within_the_table():
    for profile, variants in PROFILES.items():
        tables = [table for _, table in variants]
        for seed in range(60):
            drawn = sample_effects(np.random.default_rng(seed), profile)
            assert any(all(allowed(name, drawn, table) for name in Effects.model_fields) for table in tables)


def allowed(name, drawn, table):
    """Whether an effect has a value that the table lets it have."""
    value, default = getattr(drawn, name), Effects.model_fields[name].default
    entry = table.get(name)
    if entry is None:
        return value == default
    if isinstance(entry, Choice):
        return value in entry.values
    whole = not isinstance(entry, Count) or value == int(value)
    return (value == default and entry.chance < 1) or (whole and entry.low <= value <= entry.high)


def test_photos_of_prints_take_each_of_their_tables_as_often_as_it_says():
    for profile in ("photo_print", "photo_stained", "photo_damaged"):
        laser = [sample_effects(np.random.default_rng(seed), profile).toner > 0 for seed in range(400)]
        assert abs(np.mean(laser) - LASER_SHARE) < 0.08


def test_a_laser_prints_dark_major_lines_no_minor_ones_and_whole_black_ink(page, composed):
    laser = Effects(toner=0.9, halftone=0.6, pale_lost=0.25, solid=0.5)
    printed = print_page(composed.image.copy(), laser, page.geometry.paper, np.random.default_rng(0))
    darkness = 255.0 - printed
    columns, rows = vertical_lines(page.geometry.paper), horizontal_lines(page.geometry.paper)
    empty = slice(150, 420)  # grid alone stands here
    major = darkness[empty, columns.major[3:-3]]
    assert major[..., 0].mean() > 130 and major.mean() > 150  # the red line takes red light too
    assert major[..., 1].std() > 15  # dots
    between_majors = np.setdiff1d(np.arange(150, 420), np.add.outer(rows.major, [-1, 0, 1]))
    assert darkness[between_majors][:, columns.minor[10:-10]].mean() < 3
    assert (darkness[composed.coverage == 255].min(axis=-1) > 200).all()


def test_a_laser_print_without_colour_is_ragged_at_its_edges_alone():
    """Dots are for what is coloured: black and the paper are what they were but for a pixel where they meet."""
    drawn = np.full((60, 200, 3), 255, np.uint8)
    drawn[20:24] = 0
    laser = Effects(toner=1.0, halftone=0.8, pale_lost=0.1, solid=0.5)
    paper = PageSetup().paper()
    printed = print_page(drawn.copy(), laser, paper, np.random.default_rng(1))
    inside = np.r_[0:19, 21:23, 25:60]
    np.testing.assert_array_equal(printed[inside], drawn[inside])
    assert printed[[20, 23]].max() < 60


def test_every_profile_differs_from_page_to_page_and_chances_are_kept():
    for profile in PROFILES:
        assert len({sample_effects(np.random.default_rng(seed), profile) for seed in range(30)}) == 30
    shadows = [sample_effects(np.random.default_rng(seed), "photo_print").shadows > 0 for seed in range(400)]
    assert 0.4 < np.mean(shadows) < 0.6
    turns = [sample_effects(np.random.default_rng(seed), "photo_print").quarter_turns for seed in range(400)]
    assert set(turns) == {0, 1, 2, 3}


@pytest.mark.parametrize("profile", PROFILES)
def test_replaying_the_record_gives_the_same_bytes(page, composed, profile):
    record = record_of(page, profile)
    before = composed.image.copy()
    first = run(page, composed, record)
    again = run(page, composed, Degradation.model_validate_json(record.model_dump_json()))
    for ours, theirs in zip(vars(first).values(), vars(again).values(), strict=True):
        np.testing.assert_array_equal(ours, theirs)
    np.testing.assert_array_equal(composed.image, before)  # nothing wrote into what was given


def test_sizes_are_those_of_scanners_and_phones(page):
    for profile in PROFILES:
        page_map = record_of(page, profile, photo_size_px=1600).page_map
        size = page_map.width_px, page_map.height_px
        assert size in ([(2132, 1652)] if profile.startswith("scan") else [(1600, 1200), (1200, 1600)])


def test_without_effects_the_labels_are_the_clean_pages(page, composed):
    made = run(page, composed, flat_record(page))
    np.testing.assert_array_equal(made.classes == WAVEFORM, composed.classes == WAVEFORM)
    assert (made.classes == composed.classes).mean() > 0.9995  # pixels that furniture covers by just a half
    np.testing.assert_array_equal(made.coverage, composed.coverage)
    assert np.abs(made.image.astype(int) - composed.image).max() <= 1


def test_outside_the_page_and_where_paper_is_lost_the_label_is_ignored(page, composed):
    moved = [[1.0, 0.0, 100.0], [0.0, 1.0, 50.0], [0.0, 0.0, 1.0]]
    made = run(page, composed, flat_record(page, moved))
    assert (made.classes[:50] == IGNORED).all() and (made.classes[:, :100] == IGNORED).all()
    assert not (made.classes[50:, 100:] == IGNORED).any()
    torn = run(page, composed, flat_record(page, tears=4, holes=4))
    lost = torn.classes == IGNORED
    assert 0.0005 < lost.mean() < 0.3
    assert not torn.coverage[lost].astype(int).max() >= 128
    kept = ~lost
    np.testing.assert_array_equal(torn.classes[kept] == WAVEFORM, (composed.classes == WAVEFORM)[kept])


@pytest.mark.parametrize("scale", [0.3, 0.45, 0.7, 0.9])
def test_lines_stay_whole_when_the_page_is_small_in_the_image(page, composed, scale):
    paper = page.geometry.paper
    size = round(paper.width_px * scale), round(paper.height_px * scale)
    made = run(page, composed, flat_record(page, np.diag([scale, scale, 1.0]).tolist(), size))
    empty = slice(round(110 * scale), round(400 * scale))  # grid alone stands here
    assert (made.classes[empty] == GRID).mean(axis=1).max() > 0.9
    share = (made.classes == WAVEFORM).any(axis=0)[round(200 * scale) : round(2000 * scale)]
    assert share.all()  # every column shows the trace


@pytest.mark.parametrize("profile", PROFILES)
@pytest.mark.parametrize("seed", [0, 1])
def test_labels_keep_to_the_analytically_warped_trace(page, composed, sample_records, profile, seed):
    """Each lead's drawn polyline, placed point by point; the label's boundary against the pen's radius there."""
    record = record_of(page, profile, seed)
    made = run(page, composed, record)
    height, width = made.classes.shape
    signal = read_record(sample_records / page.record / f"{page.record}.csv", page.fs_hz)
    row, column = np.nonzero(made.classes == WAVEFORM)
    page_x, page_y = record.page_map.page_of_image(column + 0.5, row + 0.5)
    # distance of every labelled pixel's centre from the ideal polyline, in page px; 0 within the pen
    outside = distance_from_polyline(page, signal, page_x, page_y) - PEN_PX / 2
    scale = np.sqrt(width * height / (page.geometry.width_px * page.geometry.height_px))
    assert np.median(np.maximum(outside, 0) * scale) <= 0.5
    assert np.percentile(outside * scale, 99) <= 1.0
    # and every ideal point that is in the image and on paper is labelled, or within a pixel of a label
    points = place_points(trace_points(page, signal), record.page_map)
    inside = (points.x_px > 2) & (points.x_px < width - 2) & (points.y_px > 2) & (points.y_px < height - 2)
    at_x, at_y = points.x_px[inside].astype(int), points.y_px[inside].astype(int)
    paper_here = made.classes[at_y, at_x] != IGNORED
    near = np.zeros(at_x.shape, bool)
    for right in (-1, 0, 1):
        for down in (-1, 0, 1):
            near |= made.classes[at_y + down, at_x + right] == WAVEFORM
    assert near[paper_here].mean() > 0.995
    hit = made.classes[at_y, at_x] == WAVEFORM
    assert hit[paper_here].mean() > 0.97


def distance_from_polyline(page, signal, x_px, y_px):
    """Distance to the nearest segment of any lead's trace, page px, from a fine grid of points along them."""
    dense = []
    for place in page.placements:
        samples = place.samples(page.fs_hz)
        values = signal.lead_mv(place.lead)[samples]
        number = np.flatnonzero(np.isfinite(values))
        x, y = place.x_px_of_s((samples.start + number) / page.fs_hz), place.y_px_of_mv(values[number])
        along = np.concatenate([[0], np.cumsum(np.hypot(np.diff(x), np.diff(y)))])
        steps = np.arange(0, along[-1], 0.25)
        dense.append(np.column_stack([np.interp(steps, along, x), np.interp(steps, along, y)]))
    return cKDTree(np.concatenate(dense)).query(np.column_stack([x_px, y_px]))[0]


def test_coverage_is_what_a_pen_would_draw_at_the_warped_places(page, composed):
    """Turned by 3 degrees: coverage of a quiet stretch against the exact stroke through the placed points."""
    angle = np.deg2rad(3.0)
    turned = [[np.cos(angle), -np.sin(angle), 60.0], [np.sin(angle), np.cos(angle), 0.0], [0.0, 0.0, 1.0]]
    paper = page.geometry.paper
    drawn = np.zeros(composed.coverage.shape, np.float32)
    x_px = np.linspace(300, 1700, 700)
    y_px = 600 + 20 * np.sin(x_px / 40)
    lay_over(drawn, stroke(x_px, y_px, PEN_PX, drawn.shape))
    own = replace(composed, coverage=np.rint(drawn * 255).astype(np.uint8))
    record = flat_record(page, turned, (paper.width_px, paper.height_px))
    made = run(page, own, record)
    expected = np.zeros_like(drawn)
    placed = place_on_image(record.page_map, x_px, y_px)
    lay_over(expected, stroke(*placed, PEN_PX, drawn.shape))
    ours, exact = made.coverage >= 128, expected >= 0.5
    assert 2 * (ours & exact).sum() / (ours.sum() + exact.sum()) > 0.96
    weight = made.coverage.sum(axis=0, dtype=float)
    used = slice(420, 1600)
    centre = (made.coverage * (np.arange(drawn.shape[0])[:, None] + 0.5)).sum(axis=0)[used] / weight[used]
    height_of = np.interp(np.arange(drawn.shape[1])[used] + 0.5, placed[0], placed[1])
    assert np.median(np.abs(centre - height_of)) < 0.05


def test_classes_are_the_four(page, composed):
    made = run(page, composed, record_of(page, "photo_damaged"))
    assert set(np.unique(made.classes)) <= {BACKGROUND, GRID, WAVEFORM, IGNORED}


def test_black_and_white_scans_have_no_colour_and_turn_the_grid_dark(page, composed):
    for seed in range(3):
        image = run(page, composed, record_of(page, "scan_bw", seed)).image
        assert (np.ptp(image.astype(int), axis=2) <= 4).all()


def test_a_margin_is_white_paper_round_the_page_and_changes_no_label(page, composed):
    moved = [[0.9, 0.0, 110.0], [0.0, 0.9, 85.0], [0.0, 0.0, 1.0]]
    plain = run(page, composed, flat_record(page, moved, camera="phone"))
    sheet = run(page, composed, flat_record(page, moved, camera="phone", margin_mm=8.0))
    np.testing.assert_array_equal(sheet.classes, plain.classes)
    np.testing.assert_array_equal(sheet.coverage, plain.coverage)
    margin_px = 8 * page.geometry.paper.px_per_mm * 0.9
    left, top = 110 - margin_px, 85 - margin_px
    assert (sheet.image[int(top) + 3 : 82, 300:1800] > 235).all()
    assert (sheet.image[200:1500, int(left) + 3 : 107] > 235).all()
    assert (sheet.image[: int(top) - 3, 300:1800].mean(axis=(0, 1)) < 225).all()  # the desk


def test_shadows_take_a_hue_only_where_light_is_missing(page):
    record = flat_record(page, shadows=1, shadow_depth=0.4, shadow_tint=0.3)
    light = light_field(record.page_map, record.effects, np.random.default_rng(2))
    dark = light[..., 1] < 0.85 * light[..., 1].max()
    assert 0.05 < dark.mean() < 0.95
    hue = light[..., 0] / light[..., 2]
    assert hue[dark].min() > hue[~dark].min() and hue.max() > 1.08
    np.testing.assert_allclose(hue[light[..., 1] == light[..., 1].max()], 1, atol=0.02)


def test_a_binned_sensor_sees_no_colour_in_black_lines_where_a_mosaic_does(page, composed):
    quiet = slice(600, 1500)
    black = replace(composed, image=cv2.merge([255 - composed.coverage] * 3))
    spread = {}
    for sensor in ("mosaic", "binned"):
        made = run(page, black, flat_record(page, camera="phone", noise=1.0, sensor=sensor))
        spread[sensor] = np.ptp(made.image[quiet, 300:1800].astype(int), axis=2).max()
    assert spread["binned"] <= 2 < 30 < spread["mosaic"]


def test_threshold_gives_two_levels(page, composed):
    for tone in ("threshold", "dither", "halftone"):
        image = run(page, composed, flat_record(page, tone=tone, threshold=0.8)).image
        assert set(np.unique(image)) == {0, 255}
