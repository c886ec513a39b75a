"""Pages that show their major lines alone, while the network fills in minor ones, or takes a raster for them."""

import numpy as np

from ecg_generator_with_train_src.common.classes import BACKGROUND, GRID, WAVEFORM
from ecg_generator_with_train_src.page.geometry import MAJOR_MM, PX_PER_MM
from experiment.labelling.page_probability import PageProbability
from experiment.reading.major_lines import fit_page

SHAPE = (1200, 1600)
TURN = 0.01  # the page is turned by as many radians
FILLED_IN_PX = 8.35  # distance of lines that a network filled in


def page(pitch_px: float) -> PageProbability:
    """A turned page whose image shows major lines, of which a network sees lines so far apart."""
    y, x = np.indices(SHAPE) + 0.5
    along, down = x + TURN * y, y - TURN * x
    major_px = MAJOR_MM * PX_PER_MM
    dark = ((along % major_px < 2) | (down % major_px < 2)) & (np.random.default_rng(0).random(SHAPE) < 0.6)
    patch = (x // 300 + y // 300) % 3  # lines that were filled in do not go on from patch to patch
    planes = np.zeros((3, *SHAPE), np.float32)
    moved_px = patch * 2.5 * (pitch_px != PX_PER_MM)
    planes[GRID] = ((along + moved_px) % pitch_px < 1) | ((down + moved_px) % pitch_px < 1)
    planes[BACKGROUND] = 1 - planes[GRID]
    planes[WAVEFORM] = 0
    image = np.where(dark, 0, 255).astype(np.uint8)[..., None].repeat(3, axis=2)
    return PageProbability(planes, image, np.eye(3), SHAPE, PX_PER_MM, 0, 0.0, 1.0, ())


def mm_of_100(seen: PageProbability) -> tuple[float, float]:
    """How long a field says that 100 mm are, along and down the page."""
    field = fit_page(seen)
    (left, right), _ = field.paper_of_image(np.array([300, 300 + 100 * PX_PER_MM]), np.full(2, 600.0))
    _, (top, bottom) = field.paper_of_image(np.full(2, 800.0), np.array([200, 200 + 100 * PX_PER_MM]))
    return right - left, bottom - top


def test_lines_that_were_filled_in_give_way_to_the_major_ones():
    np.testing.assert_allclose(mm_of_100(page(FILLED_IN_PX)), 100, atol=0.3)


def test_a_grid_that_fits_together_is_believed():
    np.testing.assert_allclose(mm_of_100(page(PX_PER_MM)), 100, atol=0.05)


def test_a_raster_that_was_taken_for_minor_lines_gives_way_to_the_major_ones():
    """Over a part of the page the lines that are seen drift away from the major ones."""
    seen = page(PX_PER_MM)
    y, x = np.indices(SHAPE) + 0.5
    drift_px = 0.08 * np.maximum(x - 700, 0)
    along, down = x + TURN * y + drift_px, y - TURN * x
    seen.probability[GRID] = (along % PX_PER_MM < 1) | (down % PX_PER_MM < 1)
    seen.probability[BACKGROUND] = 1 - seen.probability[GRID]
    field = fit_page(seen)
    (left, right), _ = field.paper_of_image(np.array([900, 900 + 70 * PX_PER_MM]), np.full(2, 600.0))
    assert abs(right - left - 70) < 0.5
