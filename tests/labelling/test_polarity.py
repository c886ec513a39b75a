"""Negatives are told by their lines, whatever the light."""

import numpy as np
import pytest

from experiment.labelling.polarity import is_negative


def page(paper: float, ink: float, shade: bool) -> np.ndarray:
    """Lines of ink on paper, in a light that may fall off to a quarter."""
    grey = np.full((480, 640), float(paper))
    grey[::16] = grey[:, ::16] = (paper + ink) / 2
    for row in (100, 250, 400):
        grey[row : row + 3] = ink
    if shade:
        grey *= np.linspace(1, 0.25, 640)
    return np.repeat(grey[..., None], 3, axis=2).astype(np.uint8)


@pytest.mark.parametrize("shade", [False, True])
@pytest.mark.parametrize(("paper", "ink"), [(250, 10), (120, 20), (60, 5)])
def test_dark_lines_on_paper_are_no_negative_in_any_light(paper, ink, shade):
    assert not is_negative(page(paper, ink, shade))


def test_light_lines_on_dark_paper_are_one():
    assert is_negative(page(10, 240, shade=False))
    assert is_negative(255 - page(250, 10, shade=False))


def test_empty_and_tiny_images_are_none():
    assert not is_negative(np.zeros((300, 400, 3), np.uint8))
    assert not is_negative(np.zeros((3, 5, 3), np.uint8))
