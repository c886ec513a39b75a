"""Real pages: where a drawn page lies in a scan or photo of it, whether that is believed, and what is labelled."""

import cv2
import numpy as np
import pytest

from ecg_generator_with_train_src.common.classes import BACKGROUND, GRID, IGNORED, WAVEFORM
from ecg_generator_with_train_src.common.errors import InputError
from ecg_generator_with_train_src.common.image_files import read_ink_alpha
from ecg_generator_with_train_src.common.random_stream import random_stream
from ecg_generator_with_train_src.degrade.apply import degrade, place_points
from ecg_generator_with_train_src.degrade.draw_strengths import sample_degradation
from ecg_generator_with_train_src.page.compose import compose
from ecg_generator_with_train_src.page.grid import draw_grid, draw_grid_mask
from ecg_generator_with_train_src.page.page import draw_traces, trace_points
from ecg_generator_with_train_src.page.records import read_record
from ecg_generator_with_train_src.register.coarse import place_coarsely
from ecg_generator_with_train_src.register.registration import label_page, register_page

from helpers import evenly_fed

PEN_PX = 2.083


def drawn(page, record):
    opacity, _ = draw_traces(page, record)
    return compose(page, opacity, draw_grid(page.geometry.paper), draw_grid_mask(page.geometry.paper))


@pytest.fixture(scope="module")
def record(default_page, sample_records):
    return read_record(sample_records / "sample0_0000" / "sample0_0000.csv", default_page.fs_hz)


@pytest.fixture(scope="module")
def page_image(default_page, rendered):
    ink = read_ink_alpha(rendered / "wave_images" / f"{default_page.name}.png")
    paper = default_page.geometry.paper
    return compose(default_page, ink, draw_grid(paper), draw_grid_mask(paper))


def degraded(page, composed, profile, seed, photo_size_px=1800):
    paper = page.geometry.paper
    rng = random_stream(seed, profile, "register")
    degradation = evenly_fed(sample_degradation(rng, profile, paper, photo_size_px))
    return degrade(composed, paper, PEN_PX, degradation), degradation.page_map


def errors_px(registration, record, page, page_map):
    """Distance of the registered trace from where it truly is, in pixels of the image, inside it."""
    found = place_points(trace_points(registration.page, record), registration.page_map)
    true = place_points(trace_points(page, record), page_map)
    inside = (true.x_px > 0) & (true.x_px < page_map.width_px)
    inside &= (true.y_px > 0) & (true.y_px < page_map.height_px)
    return np.hypot(found.x_px - true.x_px, found.y_px - true.y_px)[inside]


@pytest.mark.parametrize(("profile", "seed"), [("photo_damaged", 2), ("scan_bw", 3)])
def test_the_registered_trace_lies_on_the_true_one(profile, seed, default_page, page_image, record):
    image, page_map = degraded(default_page, page_image, profile, seed)
    registration = register_page(image.image, record)
    assert registration.page.setup.pulse == "left"
    errors = errors_px(registration, record, default_page, page_map)
    assert np.median(errors) < 0.25
    assert np.quantile(errors, 0.99) < 0.8
    assert registration.quality.trace_seen > 0.9

    labels = label_page(registration, record)
    assert labels.classes.shape == labels.coverage.shape == image.classes.shape
    known = (labels.classes != IGNORED) & (image.classes != IGNORED)
    ours, true = labels.classes[known] == WAVEFORM, image.classes[known] == WAVEFORM
    assert 2 * (ours & true).sum() / (ours.sum() + true.sum()) > 0.9


def test_a_page_scanned_upside_down_without_a_pulse(page_without_pulse, record):
    composed = drawn(page_without_pulse, record)
    image, page_map = degraded(page_without_pulse, composed, "scan_color", 4)
    registration = register_page(np.ascontiguousarray(image.image[::-1, ::-1]), record)
    assert registration.page.setup.pulse == "none"
    height, width = image.image.shape[:2]
    found = place_points(trace_points(registration.page, record), registration.page_map)
    true = place_points(trace_points(page_without_pulse, record), page_map)
    errors = np.hypot(width - found.x_px - true.x_px, height - found.y_px - true.y_px)
    assert np.quantile(errors, 0.99) < 0.8


@pytest.mark.parametrize("pulse", ["left", "none"])
def test_the_rendered_page_itself_lies_where_it_was_drawn(pulse, request, record):
    page = request.getfixturevalue("default_page" if pulse == "left" else "page_without_pulse")
    composed = drawn(page, record)
    registration = register_page(composed.image, record)
    assert registration.is_as_drawn
    assert registration.page.setup.pulse == pulse
    np.testing.assert_allclose(registration.page_map.homography, np.eye(3), atol=1e-9)
    assert registration.px_per_mm == pytest.approx(page.geometry.px_per_mm)
    labels = label_page(registration, record)
    np.testing.assert_array_equal(labels.classes == WAVEFORM, composed.classes == WAVEFORM)
    differs = labels.classes != composed.classes
    header = round(19 * page.geometry.px_per_mm)
    assert not differs[header:].any()  # only the header's text is not known
    points = trace_points(page, record)
    np.testing.assert_allclose(labels.points.x_px, points.x_px, atol=1e-3)


def test_another_records_page_is_refused(page_image, sample_records):
    path = sorted(sample_records.glob("*/*.csv"))[1]
    other = read_record(path)
    with pytest.raises(InputError, match="the traces"):
        register_page(page_image.image, other)


def test_a_picture_of_something_else_is_refused(record):
    rng = np.random.default_rng(0)
    picture = cv2.GaussianBlur(rng.integers(0, 255, (300, 400, 3), np.uint8), (0, 0), 3)
    with pytest.raises(InputError, match="not found"):
        register_page(picture, record)
    with pytest.raises(InputError, match="not found"):
        register_page(np.full((300, 400, 3), 255, np.uint8), record)


def test_nothing_is_taught_about_a_trace_that_the_image_does_not_show(default_page, page_image, record):
    image = page_image.image.copy()
    points = trace_points(default_page, record)
    (place,) = [place for place in default_page.placements if place.lead == "V5"]
    gone = slice(int(place.x0_px) + 100, int(place.x0_px) + 200)
    image[:, gone] = draw_grid(default_page.geometry.paper)[:, gone]
    labels = label_page(register_page(image, record), record)
    columns = np.arange(gone.start + 20, gone.stop - 20)
    drawn_here = page_image.classes[:, columns] == WAVEFORM
    assert drawn_here.any()
    assert (labels.classes[:, columns][drawn_here] == IGNORED).all()
    before = slice(gone.start - 100, gone.start - 20)
    np.testing.assert_array_equal(
        labels.classes[:, before] == WAVEFORM, page_image.classes[:, before] == WAVEFORM
    )
    assert len(labels.points.x_px) == len(points.x_px)


def test_header_text_hides_lines_and_a_label_covers_the_grid(default_page, page_image, record):
    paper = default_page.geometry.paper
    image = page_image.image.copy()
    px = paper.px_per_mm
    label = slice(round(5 * px), round(30 * px)), slice(round(240 * px), round(265 * px))
    image[label] = 255
    cv2.putText(image, "known to nobody", (900, 120), cv2.FONT_HERSHEY_SIMPLEX, 1.2, (0, 0, 0), 3)
    classes = label_page(register_page(image, record), record).classes
    inner = slice(round(11 * px), round(24 * px)), slice(round(246 * px), round(259 * px))
    assert (classes[inner] == BACKGROUND).all()
    dark = (image.max(axis=2) < 60) & (draw_grid_mask(paper) > 0)
    text = slice(80, 130), slice(900, 1250)
    assert dark[text].sum() > 200
    assert (classes[text][dark[text]] == IGNORED).mean() > 0.9
    assert (classes[text] == GRID).mean() > 0.1


def test_a_mirrored_page_is_not_found(page_image):
    mirrored = np.ascontiguousarray(page_image.image[:, ::-1])
    assert place_coarsely(mirrored, page_image.coverage) is None
