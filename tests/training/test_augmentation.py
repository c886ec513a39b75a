"""Training crops: labels follow the picture through every change."""

import cv2
import numpy as np
import pytest

from ecg_generator_with_train_src.common.classes import GRID, IGNORED, WAVEFORM
from ecg_generator_with_train_src.page.stroke import stroke
from experiment.training.augmentation import (
    PLAIN_CHANCE,
    SCALE_CHANCE,
    SCALES,
    Page,
    augment,
    draw_scale,
    resize_page,
)

SIZE = 128


def slope(x_px: np.ndarray, size: float) -> np.ndarray:
    """A gentle curve across a window of `size`."""
    return size * (0.5 + 0.2 * np.sin(2 * np.pi * x_px / size))


def window(size: int) -> Page:
    """A curve on a grid of one-pixel lines, dark on white."""
    x_px = np.linspace(0, size, 400)
    coverage = np.zeros((size, size), np.uint8)
    strip = stroke(x_px, slope(x_px, size), 3.0, coverage.shape)
    coverage[strip.window] = np.rint(strip.coverage * 255)
    label = np.zeros((size, size), np.uint8)
    label[4::8] = GRID
    image = np.where(label[..., None] == GRID, np.uint8((255, 180, 180)), np.uint8(255))
    label[coverage >= 128] = WAVEFORM
    label[:, : size // 8] = IGNORED
    return Page(np.minimum(image, 255 - coverage[..., None]), label, coverage)


@pytest.mark.parametrize("scale", [0.6, 0.8, 1.0, 1.25, 1.6])
def test_a_scaled_crop_has_its_curve_where_it_belongs(scale):
    page = resize_page(window(round(SIZE / scale)), SIZE)
    assert page.label.shape == page.coverage.shape == page.image.shape[:2] == (SIZE, SIZE)
    columns = np.arange(SIZE // 8 + 2, SIZE - 2)
    weight = page.coverage[:, columns].astype(float)
    centre_px = (weight * (np.arange(SIZE)[:, None] + 0.5)).sum(axis=0) / weight.sum(axis=0)
    assert np.abs(centre_px - slope(columns + 0.5, SIZE)).max() < 0.3
    assert ((page.coverage >= 128) == (page.label == WAVEFORM))[:, columns].all()
    lines = (page.label[:, -1] == GRID).sum()
    assert lines >= 0.9 * len(range(4, round(SIZE / scale), 8))  # none is lost when shrunk
    assert (page.label[:, : SIZE // 8 - 1] == IGNORED).all()


def test_changes_leave_the_label_on_the_dark_pixels():
    for seed in range(30):
        page = augment(np.random.default_rng(seed), window(SIZE), SIZE)
        ink = page.image.astype(float).mean(axis=2)
        assert ink[page.label == WAVEFORM].mean() < ink[page.label == 0].mean() - 30


def test_the_stream_alone_decides():
    given = window(SIZE)
    crops = [augment(np.random.default_rng(seed), given, SIZE) for seed in (*range(20), *range(20))]
    for first, again in zip(crops[:20], crops[20:], strict=True):
        assert all(np.array_equal(a, b) for a, b in zip(first, again, strict=True))
    assert len({crop.image.tobytes() for crop in crops}) > 10


def test_half_of_the_crops_keep_their_picture():
    given = window(SIZE)
    turned = {given.image[::down, ::right].tobytes() for down in (1, -1) for right in (1, -1)}
    crops = [augment(np.random.default_rng(seed), given, SIZE) for seed in range(400)]
    plain = np.mean([crop.image.tobytes() in turned for crop in crops])
    assert plain == pytest.approx(PLAIN_CHANCE, abs=0.08)


def test_a_page_is_not_changed_by_its_crops():
    given = window(SIZE)
    for seed in range(20):
        augment(np.random.default_rng(seed), given, SIZE)
    assert np.array_equal(given.image, window(SIZE).image)  # the page itself stays as it is


def test_half_of_the_scales_are_the_networks_the_others_cover_their_range_evenly_in_proportion():
    rng = np.random.default_rng(0)
    scales = np.array([draw_scale(rng) for _ in range(8000)])
    assert np.mean(scales == 1) == pytest.approx(1 - SCALE_CHANCE, abs=0.02)
    others = scales[scales != 1]
    assert SCALES[0] <= others.min() < 0.76 and 1.34 < others.max() <= SCALES[1]
    assert np.median(others) == pytest.approx(np.sqrt(SCALES[0] * SCALES[1]), rel=0.02)


def test_flips_keep_picture_and_labels_together():
    given = window(SIZE)
    turned = {
        tuple(
            np.flatnonzero((augment(np.random.default_rng(seed), given, SIZE).label == IGNORED).all(axis=0))[
                [0, -1]
            ]
        )
        for seed in range(20)
    }
    assert turned == {(0, SIZE // 8 - 1), (SIZE - SIZE // 8, SIZE - 1)}
    assert cv2.flip(given.label, 1)[0, -1] == IGNORED
