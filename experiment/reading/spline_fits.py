"""Smooth fields on a lattice: robust least squares fits of tensor products of cubic B-splines.

A spline overlaps its three neighbours on either side along each axis. So the normal equations are a band, and a row of
the lattice counts in four rows of splines only.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from scipy.interpolate import BSpline
from scipy.linalg import solveh_banded

from experiment.reading.lattice import STEP_PX

OVERLAP = 4  # a cubic B-spline overlaps itself and the next three
REWEIGHTINGS = 4
SURE = 0.3  # measurements of at least this weight tell how far the others may be off
SOME = 2  # every second one along both axes tells that well enough


@dataclass(frozen=True)
class Basis:
    """The values of splines (points, splines) at points along an axis, and their products with the next ones."""

    values: np.ndarray
    products: np.ndarray  # (points, OVERLAP, splines): of splines i and i + k, 0 beyond the last

    @classmethod
    def of(cls, values: np.ndarray) -> "Basis":
        """The basis of some values."""
        products = np.zeros((len(values), OVERLAP, values.shape[1]))
        for ahead in range(OVERLAP):
            kept = values.shape[1] - ahead
            products[:, ahead, :kept] = values[:, :kept] * values[:, ahead:]
        return cls(values, products)


@dataclass(frozen=True)
class FieldValues:
    """Values (rows, columns) that were measured of a field, or of its slope, and how much each counts, 0 to 1."""

    down: Basis
    across: Basis
    values: np.ndarray
    weights: np.ndarray


class SplineFits:
    """Fits on a lattice of points, with knots so far apart, and second differences of so much weight relative to the
    data."""

    def __init__(self, x_px: np.ndarray, y_px: np.ndarray, knot_px: float, bending: float):
        self.across, self.across_slope = _bases(x_px, knot_px)
        self.down, self.down_slope = _bases(y_px, knot_px)
        self.shape = self.down.values.shape[1], self.across.values.shape[1]
        self.bending = bending * _bending(self.shape)

    def values(self, coefficients: np.ndarray) -> np.ndarray:
        """The field (rows, columns) on the lattice."""
        return self.down.values @ coefficients @ self.across.values.T

    def robust(self, measured: Sequence[FieldValues]) -> np.ndarray:
        """Coefficients that fit measurements; those far off the fit are left aside (Tukey's weights)."""
        coefficients = self._fitted(measured, [each.weights for each in measured])
        for _ in range(REWEIGHTINGS - 1):
            weights = [each.weights * _not_far_off(each, coefficients) for each in measured]
            coefficients = self._fitted(measured, weights)
        return coefficients

    def _fitted(self, measured: Sequence[FieldValues], weights: Sequence[np.ndarray]) -> np.ndarray:
        products, right, total = np.zeros_like(self.bending), np.zeros(self.shape), 0.0
        for each, weight in zip(measured, weights, strict=True):
            products += _products(each.down, each.across, weight)
            right += each.down.values.T @ (weight * each.values) @ each.across.values
            total += weight.sum()
        products += total / right.size * self.bending
        products[0, :, 0] += 1e-9 * total
        return solveh_banded(_band(products), right.ravel(), lower=True).reshape(self.shape)


def _bases(at_px: np.ndarray, knot_px: float) -> tuple[Basis, Basis]:
    """Values, and slopes per knot, of cubic B-splines over the span of the points."""
    length = at_px[-1] + STEP_PX / 2
    pieces = max(round(length / knot_px), 2)
    knots = np.linspace(0, length, pieces + 1)
    knots = np.concatenate(
        [knots[0] + (knots[1] - knots[0]) * np.arange(-3, 0), knots, length * (1 + np.arange(1, 4) / pieces)]
    )
    spline = BSpline(knots, np.eye(pieces + 3), 3)
    return Basis.of(spline(at_px)), Basis.of(spline.derivative()(at_px) * knot_px)


# Sums of products of two tensor splines are kept as (OVERLAP, splines down, OVERLAP, splines across): of splines (i, k)
# and (i + a, k + b), which are the same as those of (i, k + b) and (i + a, k).


def _products(down: Basis, across: Basis, weights: np.ndarray) -> np.ndarray:
    """The sums over all points of weights (rows, columns) times products of two splines."""
    rows = weights @ across.products.reshape(len(across.products), -1)
    sums = down.products.reshape(len(down.products), -1).T @ rows
    return sums.reshape(*down.products.shape[1:], *across.products.shape[1:])


def _bending(shape: tuple[int, int]) -> np.ndarray:
    """The same for the sum of squared second differences along both axes."""
    sums = np.zeros((OVERLAP, shape[0], OVERLAP, shape[1]))
    down, across = (np.diff(np.eye(size), 2, axis=0) for size in shape)
    for ahead in range(OVERLAP):
        sums[ahead, : shape[0] - ahead, 0] += np.diag(down.T @ down, ahead)[:, None]
        sums[0, :, ahead, : shape[1] - ahead] += np.diag(across.T @ across, ahead)
    return sums


def _band(products: np.ndarray) -> np.ndarray:
    """The lower band of the matrix of these products, its splines counted row by row."""
    _, rows, _, columns = products.shape
    band = np.zeros(((OVERLAP - 1) * (columns + 1) + 1, rows, columns))
    for down in range(OVERLAP):
        for across in range(OVERLAP):
            kept = products[down, :, across, : columns - across]
            band[down * columns + across, :, : columns - across] += kept
            if down and across:
                band[down * columns - across, :, across:] += kept
    return band.reshape(len(band), -1)


def _not_far_off(measured: FieldValues, coefficients: np.ndarray) -> np.ndarray:
    """Tukey's weights of measurements, by how far they are off a fit."""
    off = np.abs(measured.values - measured.down.values @ coefficients @ measured.across.values.T)
    some = measured.weights[::SOME, ::SOME] > SURE
    scale = 4 * 1.48 * np.median(off[::SOME, ::SOME][some]) + 1e-6 if some.any() else np.inf
    return np.square(np.clip(1 - np.square(off / scale), 0, 1))
