"""Fields that slipped by a line, or that leave crumples, are mended; right ones stay as they are."""

import numpy as np

from ecg_generator_with_train_src.page.geometry import MAJOR_MM, PX_PER_MM
from experiment.reading.lattice import lattice_px
from experiment.reading.mended_field import mended
from experiment.reading.paper_field import PaperField

SHAPE = (800, 1200)


def lines(moved_mm: np.ndarray | float = 0.0, apart_mm: float = 1.0) -> np.ndarray:
    """Grid lines of flat paper, of which points lie `moved_mm` (H, W) to the left of where they would."""
    y, x = np.indices(SHAPE) + 0.5
    off_mm = [
        (at % apart_mm + apart_mm / 2) % apart_mm - apart_mm / 2
        for at in (x / PX_PER_MM + moved_mm, y / PX_PER_MM)
    ]
    return np.clip(1.5 - np.min(np.abs(off_mm), axis=0) * PX_PER_MM, 0, 1).astype(np.float32)


def field(moved_mm: np.ndarray | float = 0.0) -> PaperField:
    """The field of flat paper, whose u is wrong by `moved_mm` (rows, columns)."""
    x_px, y_px = lattice_px(SHAPE)
    u_mm, v_mm = np.meshgrid(x_px / PX_PER_MM, y_px / PX_PER_MM)
    return PaperField(u_mm + moved_mm, v_mm, np.ones(u_mm.shape), 0.01)


def corner(height_mm: float) -> np.ndarray:
    """A step (rows, columns) of so many mm in the upper right corner, over about 5 mm."""
    rows, columns = field().weight.shape
    y, x = np.indices((rows, columns))
    inward = np.minimum(x - (columns - 50), 45 - y)
    return height_mm / (1 + np.exp(-inward / 2.0))


def test_a_field_that_slipped_by_a_line_is_moved_back():
    found = mended(field(corner(1.0)), lines(), lines(apart_mm=MAJOR_MM))
    assert np.abs(found.u_mm - field().u_mm).max() < 0.2


def test_a_right_field_stays_where_text_is_as_dark_as_major_lines():
    dark = lines(apart_mm=MAJOR_MM)
    dark[300:420, 300:700] = 0
    dark[300:420, 300:700:8] = 1.0
    found = mended(field(), lines(), dark)
    np.testing.assert_allclose(found.u_mm, field().u_mm, atol=0.02)


def test_crumples_are_followed():
    y, x = np.indices(SHAPE)
    crumple_mm = 0.12 * np.exp(-((x - 600) ** 2 + (y - 400) ** 2) / (2 * 60.0**2))
    found = mended(field(), lines(crumple_mm), lines(crumple_mm, MAJOR_MM))
    u_mm = found.paper_of_image(600.0, 400.0)[0] - field().paper_of_image(600.0, 400.0)[0]
    np.testing.assert_allclose(u_mm, 0.12, atol=0.025)


def test_lines_that_tremble_leave_the_field_alone():
    trembling_mm = np.repeat(np.random.default_rng(0).normal(0, 0.01, SHAPE[0] // 8), 8)[:, None]
    found = mended(field(), lines(trembling_mm), lines(trembling_mm, MAJOR_MM))
    np.testing.assert_allclose(found.u_mm, field().u_mm, atol=0.005)
