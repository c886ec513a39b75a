"""What is seen of lines against a field that is kept on a lattice."""

import numpy as np

from experiment.reading.lattice import STEP_PX, lattice_px, on_every_pixel, turned_back


def test_every_pixel_is_turned_back_by_the_field_between_the_points_of_the_lattice():
    rng = np.random.default_rng(0)
    level = rng.normal(size=(50, 70)).astype(np.float32)  # cells at the lower and the right edge are cut off
    x_px, y_px = lattice_px(level.shape)
    turns = np.add.outer(y_px / 9, x_px / 7) + rng.normal(size=(7, 9)) - 1000
    pointers = np.exp(-2j * np.pi * on_every_pixel(turns))
    whole = np.pad(level, ((0, 6), (0, 2))) * pointers
    cells = whole.reshape(7, STEP_PX, 9, STEP_PX).mean(axis=(1, 3))
    np.testing.assert_allclose(turned_back(level, turns), cells, atol=2e-6)


def test_a_plane_of_a_single_cell_has_one_pointer():
    found = turned_back(np.ones((3, 8), np.float32), np.array([[0.25]]))
    np.testing.assert_allclose(found, [[-1j * 24 / 64]], atol=1e-7)
