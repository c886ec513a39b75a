"""Edges taken from the picture: exact where its colours tell ink from paper and grid, the network's word elsewhere."""

import cv2
import numpy as np
import pytest

from experiment.labelling.crisp_edges import with_crisp_edges

PAPER, LINES, PEN = (250, 248, 245), (240, 170, 175), (20, 25, 30)
SIDE = 128


def drawn(scale: int = 1) -> tuple[np.ndarray, np.ndarray]:
    """A wave of a 2.4 px pen on a grid, `scale` times as large: the pen's coverage, and the picture of it."""
    fine = 8
    side, x = SIDE * scale, np.arange(SIDE * scale * fine)
    y = side * fine * (0.5 + 0.2 * np.sin(x / (side * fine) * 12))
    away = np.abs(np.arange(side * fine)[:, None] - y) / np.sqrt(1 + np.gradient(y) ** 2)
    coverage = cv2.resize(
        (away < 1.2 * scale * fine).astype(np.float32), (side, side), interpolation=cv2.INTER_AREA
    )
    picture = np.full((side, side, 3), PAPER, np.float32)
    picture[:: 8 * scale] = picture[:, :: 8 * scale] = LINES
    picture += coverage[..., None] * (np.array(PEN, np.float32) - picture)
    return coverage, np.rint(picture).astype(np.uint8)


def said(coverage: np.ndarray) -> np.ndarray:
    """What a network makes of a coverage that sees the trace and wavers about its edges."""
    wavering = np.random.default_rng(1).normal(0, 0.2, coverage.shape).astype(np.float32)
    seen = cv2.GaussianBlur(coverage, (0, 0), 0.5)
    return np.clip(seen + wavering * (seen > 0.05), 0, 1)


def dice(probability: np.ndarray, coverage: np.ndarray) -> float:
    predicted, true = probability >= 0.45, coverage >= 0.5
    return 2 * (predicted & true).sum() / (predicted.sum() + true.sum())


def test_on_a_crisp_page_the_edges_are_the_pictures():
    coverage, picture = drawn()
    probability = with_crisp_edges(said(coverage), picture, picture)
    assert dice(said(coverage), coverage) < 0.92
    assert dice(probability, coverage) > 0.98


def test_a_larger_picture_has_edges_as_sharp_as_its_own():
    coverage, picture = drawn(scale=3)
    small, seen = (
        cv2.resize(plane, (SIDE, SIDE), interpolation=cv2.INTER_AREA) for plane in (coverage, picture)
    )
    plain = cv2.resize(said(small), coverage.shape, interpolation=cv2.INTER_LINEAR)
    probability = with_crisp_edges(said(small), seen, picture)
    assert probability.shape == coverage.shape
    assert dice(plain, coverage) < 0.93
    assert dice(probability, coverage) > 0.98


@pytest.mark.parametrize("levels", [(128, 129), (0, 256)], ids=["flat", "noise"])
def test_a_picture_that_explains_nothing_changes_nothing(levels):
    coverage, _ = drawn()
    picture = np.random.default_rng(0).integers(*levels, (SIDE, SIDE, 3), dtype=np.uint8)
    assert np.abs(with_crisp_edges(said(coverage), picture, picture) - said(coverage)).max() < 0.01


def test_other_ink_stays_what_the_network_calls_it():
    coverage, picture = drawn()
    cv2.putText(picture, "aVR", (50, 20), cv2.FONT_HERSHEY_SIMPLEX, 0.5, PEN)
    probability = with_crisp_edges(said(coverage), picture, picture)
    assert probability[:24].max() < 0.3


def test_a_page_without_a_trace_stays_without():
    _, picture = drawn()
    assert not with_crisp_edges(np.zeros((SIDE, SIDE), np.float32), picture, picture).any()
