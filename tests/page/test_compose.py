"""A page and its labels: who lies over whom, and with which colour."""

import numpy as np
import pytest

from ecg_generator_with_train_src.page.compose import compose

PULSE = (629, 98)  # row, column in the middle of the first row's calibration pulse
WHITE = (255, 255, 255)


@pytest.fixture(scope="module")
def empty() -> dict[str, np.ndarray]:
    """Nothing of anything."""
    return {
        "ink": np.zeros((1700, 2200), np.uint8),
        "paper": np.full((1700, 2200, 3), 255, np.uint8),
        "lines": np.zeros((1700, 2200), np.uint8),
    }


def composed(page, empty, **layers):
    layers = {**empty, **layers}
    return compose(page, layers["ink"], layers["paper"], layers["lines"])


def test_waveform_lies_over_furniture_over_grid_over_background(default_page, empty):
    """Four columns through the pulse's plateau and four of open paper, with ink and lines on every other."""
    ink, lines = np.zeros_like(empty["ink"]), np.zeros_like(empty["lines"])
    row, column = PULSE
    for start in (column, 1200):
        ink[row, start + 1] = ink[row, start + 3] = 255
        lines[row, start + 2] = lines[row, start + 3] = 255
    classes = composed(default_page, empty, ink=ink, lines=lines).classes[row]
    assert classes[column : column + 4].tolist() == [0, 2, 0, 2]  # pulse, and ink, and a line, and both
    assert classes[1200:1204].tolist() == [0, 2, 1, 2]


def test_furniture_is_background_even_where_the_whole_page_is_line(default_page, empty):
    page = composed(default_page, empty, lines=np.full_like(empty["lines"], 255))
    on_white = composed(default_page, empty)
    assert set(np.unique(page.classes)) == {0, 1}
    row, column = PULSE
    assert page.classes[row, column] == 0
    assert page.classes[row + 4, column] == 1
    darkness = 255 - on_white.image.astype(int).max(axis=2)
    assert (page.classes[darkness > 150] == 0).all()  # more than half covered, by black or dark grey
    assert (page.classes[darkness == 0] == 1).all()


def test_label_is_waveform_exactly_from_half_coverage_on(default_page, empty):
    ink = np.zeros_like(empty["ink"])
    ink[850, 1200:1456] = np.arange(256)
    page = composed(default_page, empty, ink=ink, lines=np.full_like(empty["lines"], 255))
    assert page.classes[850, 1200:1456].tolist() == [1] * 128 + [2] * 128
    np.testing.assert_array_equal(page.classes == 2, ink >= 128)
    np.testing.assert_array_equal(page.coverage, ink)


def test_ink_is_mixed_with_the_paper_by_its_coverage(default_page, empty):
    grey = default_page.style.ink_rgb[0]
    ink, paper = np.zeros_like(empty["ink"]), np.full_like(empty["paper"], 255)
    ink[850, 1200:1204] = (0, 51, 204, 255)
    paper[850, 1200:1204] = (255, 100, 50)
    mixed = composed(default_page, empty, ink=ink, paper=paper).image[850, 1200:1204]
    for share, rgb in zip((0, 0.2, 0.8, 1), mixed, strict=True):
        expected = [level * (1 - share) + grey * share for level in (255, 100, 50)]
        np.testing.assert_allclose(rgb, expected, atol=0.501)


def test_the_layers_given_stay_as_they_were(default_page, empty):
    ink, paper, lines = (np.full_like(empty[name], 200) for name in ("ink", "paper", "lines"))
    composed(default_page, empty, ink=ink, paper=paper, lines=lines)
    assert ink.min() == paper.min() == lines.min() == 200


def test_paper_without_ink_or_furniture_stays_as_it_was(default_page, empty):
    assert (composed(default_page, empty).image[850, 1200:1456] == WHITE).all()
