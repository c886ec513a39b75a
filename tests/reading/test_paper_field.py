"""Where on the paper each pixel lies: lines against fields near them, and the way there and back."""

import numpy as np

from ecg_generator_with_train_src.page.geometry import PX_PER_MM
from experiment.reading.lattice import lattice_px
from experiment.reading.paper_field import LinesSeen, fit_paper

SHAPE = (480, 640)


def bent_grid() -> np.ndarray:
    """Lines of paper that bulges by up to 8 px over 640."""
    y, x = np.indices(SHAPE) + 0.5
    x, y = x + 8 * np.sin(y / 150), y + 8 * np.sin(x / 190)
    return ((x % PX_PER_MM < 1.5) | (y % PX_PER_MM < 1.5)).astype(np.float32)


def test_lines_are_as_far_ahead_of_a_near_field_as_a_look_against_it_says():
    x_px = np.arange(640) + 0.5
    level = np.tile(np.cos(2 * np.pi * (x_px / 8 + 0.1)), (480, 1)).astype(
        np.float32
    )  # 0.1 lines ahead of x / 8
    at_px, _ = lattice_px(SHAPE)
    near, right = (np.tile(at_px / pitch_px, (60, 1)) for pitch_px in (8.2, 8.0))
    lines = LinesSeen.near(level, near)
    ahead = np.angle(lines.ahead_of(right, 0.8)) / (2 * np.pi)
    np.testing.assert_allclose(ahead[5:-5, 5:-5], 0.1, atol=0.01)
    looked = np.angle(LinesSeen.near(level, right).ahead_of(right, 0.8)) / (2 * np.pi)
    np.testing.assert_allclose(ahead[5:-5, 5:-5], looked[5:-5, 5:-5], atol=0.01)


def test_points_of_bent_paper_are_found_in_the_image():
    field = fit_paper(bent_grid())
    x_px, y_px = np.meshgrid(np.linspace(10, 630, 40), np.linspace(10, 470, 30))
    found_x, found_y = field.image_of_paper(*field.paper_of_image(x_px, y_px))
    np.testing.assert_allclose(found_x, x_px, atol=2e-3)
    np.testing.assert_allclose(found_y, y_px, atol=2e-3)


def test_a_field_is_the_same_whatever_the_number_of_threads(threads_of_opencv):
    fields = []
    for threads in (1, 2):
        threads_of_opencv(threads)
        fields.append(fit_paper(bent_grid()))
    at = np.linspace(20, 460, 50)
    for one, two in zip(*(field.paper_of_image(at, at) for field in fields), strict=True):
        np.testing.assert_array_equal(one, two)
