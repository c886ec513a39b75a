"""What a scanner's feed did to grid lines, told apart from how they were drawn and from bent paper."""

import numpy as np

from ecg_generator_with_train_src.page.geometry import PX_PER_MM
from experiment.reading.feed_profile import RASTER_MM, feed_profile
from experiment.reading.lattice import lattice_px

X_PX = np.arange(1600) + 0.5
PLACE_MM = np.tile(X_PX / PX_PER_MM, (400, 1))
FIELD_MM = np.tile(lattice_px(PLACE_MM.shape)[0] / PX_PER_MM, (50, 1))


def lines(place_mm: np.ndarray) -> np.ndarray:
    """A plane with a line, 0.3 mm wide, at every whole millimetre."""
    away_mm = np.abs(place_mm - np.round(place_mm))
    return (np.clip(0.2 - away_mm, 0, 0.1) * 10 - 0.3).astype(np.float32)


def test_what_a_smooth_field_leaves_of_a_skip_is_found():
    away_px = X_PX - 900
    left_mm = 0.3 * np.sign(away_px) * np.exp(-np.abs(away_px) / 40)
    profile_mm = feed_profile(lines(PLACE_MM + left_mm), FIELD_MM)
    near = (np.abs(away_px) > PX_PER_MM) & (np.abs(left_mm) > 0.05)
    assert np.abs(profile_mm - left_mm)[near].max() < 0.03
    assert np.abs(profile_mm[np.abs(left_mm) < 0.001]).max() == 0


def test_lines_that_were_drawn_in_whole_pixels_are_no_feed():
    line_px = np.round(PLACE_MM) * PX_PER_MM
    rounded_mm = (np.round(line_px) - line_px) / PX_PER_MM  # up to 0.064 mm, 0.036 mm rms
    assert feed_profile(lines(PLACE_MM - rounded_mm), FIELD_MM).std() < 0.004
    assert abs(RASTER_MM - 7.9375) < 0.01  # 8 pixels less 200 / 25.4 are 0.12598 of a pixel


def test_a_displacement_that_the_page_does_not_share_is_left_aside():
    bump_mm = 0.15 * np.exp(-np.square((X_PX - 800) / 60))
    sign = np.where(np.arange(400) // 50 % 2, 1, -1)[:, None]  # every other band of rows goes the other way
    assert np.abs(feed_profile(lines(PLACE_MM + sign * bump_mm), FIELD_MM)).max() < 0.01
