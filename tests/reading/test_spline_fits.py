"""Smooth fields through measurements on a lattice."""

import numpy as np

from experiment.reading.lattice import lattice_px
from experiment.reading.spline_fits import FieldValues, SplineFits

X_PX, Y_PX = lattice_px((400, 560))
SMOOTH = np.add.outer(np.sin(Y_PX / 120), np.square(X_PX / 300))


def test_a_fit_solves_the_normal_equations():
    fits = SplineFits(X_PX, Y_PX, knot_px=80.0, bending=0.05)
    rng = np.random.default_rng(0)
    weights, values = rng.random(SMOOTH.shape), rng.normal(size=SMOOTH.shape)
    found = fits._fitted([FieldValues(fits.down, fits.across, values, weights)], [weights])
    down, across = fits.down.values, fits.across.values
    splines = np.einsum("yi,xj->yxij", down, across).reshape(values.size, -1)
    bends = [np.diff(np.eye(size), 2, axis=0) for size in fits.shape]
    bending = np.kron(bends[0].T @ bends[0], np.eye(fits.shape[1]))
    bending += np.kron(np.eye(fits.shape[0]), bends[1].T @ bends[1])
    normal = splines.T @ (weights.reshape(-1, 1) * splines) + 0.05 * weights.sum() / len(bending) * bending
    np.testing.assert_allclose(
        found.ravel(), np.linalg.solve(normal, splines.T @ (weights * values).ravel()), atol=1e-5
    )


def test_a_field_is_found_from_its_slopes_but_for_a_constant():
    fits = SplineFits(X_PX, Y_PX, knot_px=80.0, bending=0.0)
    along_x = np.broadcast_to(2 * X_PX / 300**2, SMOOTH.shape) * 80
    along_y = np.broadcast_to(np.cos(Y_PX / 120)[:, None] / 120, SMOOTH.shape) * 80
    everywhere = np.ones(SMOOTH.shape)
    slopes = [
        FieldValues(fits.down, fits.across_slope, along_x, everywhere),
        FieldValues(fits.down_slope, fits.across, along_y, everywhere),
    ]
    off = fits.values(fits.robust(slopes)) - SMOOTH
    assert np.ptp(off) < 1e-3


def test_measurements_far_off_are_left_aside():
    fits = SplineFits(X_PX, Y_PX, knot_px=80.0, bending=0.0)
    values = SMOOTH.copy()
    values[20:24, 30:36] += 3.0
    measured = FieldValues(fits.down, fits.across, values, np.ones(values.shape))
    assert np.abs(fits.values(fits.robust([measured])) - SMOOTH).max() < 0.02
