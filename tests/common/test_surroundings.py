"""The mean around each pixel is about what averaging every square of pixels gives, on planes of any size."""

import cv2
import numpy as np
import pytest

from ecg_generator_with_train_src.common.surroundings import REDUCED, mean_around


def smooth_noise(height: int, width: int) -> np.ndarray:
    noise = np.random.default_rng(0).normal(0, 1, (height, width)).astype(np.float32)
    noise = cv2.GaussianBlur(noise, (0, 0), 8)
    return noise / noise.std()


@pytest.mark.parametrize("side_px", [41, 63, 82, 161])
@pytest.mark.parametrize("shape", [(640, 800), (637, 803)])
def test_it_is_near_the_mean_of_every_square(shape, side_px):
    plane = smooth_noise(*shape)
    inside = slice(side_px, -side_px)
    off = (mean_around(plane, side_px) - cv2.blur(plane, (side_px, side_px)))[inside, inside]
    assert (
        np.abs(off).max() < 0.12
    )  # standard deviations of the plane; bilinear between squares of REDUCED pixels


@pytest.mark.parametrize("shape", [(64, 48), (100, 30), (9, 200), (3, 2), (1, 1)])
def test_an_even_plane_stays_as_it_is_however_small(shape):
    plane = np.full(shape, 0.25, np.float32)
    np.testing.assert_allclose(mean_around(plane, 41), plane, rtol=1e-6)


def test_a_point_counts_in_its_surroundings_and_nowhere_else():
    plane = np.zeros((400, 400), np.float32)
    plane[200, 200] = 1.0
    around = mean_around(plane, 5 * REDUCED)
    y, x = np.nonzero(around)
    assert max(np.abs(y - 200).max(), np.abs(x - 200).max()) <= 4 * REDUCED
    assert around.max() == pytest.approx(1 / (5 * REDUCED) ** 2)
    assert around.sum() == pytest.approx(1.0)
