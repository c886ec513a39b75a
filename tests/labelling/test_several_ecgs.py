"""Two ECGs on one image are told by their lead names, and parted where no trace runs."""

import numpy as np
import pytest

from ecg_generator_with_train_src.page.geometry import PX_PER_MM
from experiment.labelling.page_probability import PageProbability
from experiment.labelling.several_ecgs import ecgs_on
from experiment.reading.printed_text import PrintedName, PrintedText

NAMES = ("I", "aVR", "V4", "III", "aVF", "V6")
SIDE_PX = 1600


def names_from(left_px: float, top_px: float, leads=NAMES) -> tuple[PrintedName, ...]:
    """Names in two rows of three, 400 px apart."""
    return tuple(
        PrintedName(lead, left_px + 400 * (k % 3), top_px + 300 * (k // 3), 0.9)
        for k, lead in enumerate(leads)
    )


def page_with(names: tuple[PrintedName, ...], inked: tuple[slice, ...], axis: int) -> PageProbability:
    """A page of SIDE_PX by twice SIDE_PX pixels with ink in some stretches of the longer axis."""
    planes = np.zeros((3, SIDE_PX, 2 * SIDE_PX), np.float32)
    for stretch in inked:
        planes[2, 200:1400, stretch] = 1
    image = np.full((SIDE_PX, 2 * SIDE_PX, 3), 255, np.uint8)
    if axis == 1:
        planes, image = planes.transpose(0, 2, 1).copy(), image.transpose(1, 0, 2).copy()
    text = PrintedText(names, ())
    return PageProbability(planes, image, np.eye(3), image.shape[:2], PX_PER_MM, 0, 0.0, 1.0, (), text=text)


@pytest.mark.parametrize("axis", [0, 1])
def test_two_ecgs_beside_or_below_one_another_are_parted_between_their_traces(axis):
    shift = (SIDE_PX, 0) if axis == 0 else (0, SIDE_PX)
    names = names_from(100, 300) + names_from(100 + shift[0], 300 + shift[1])
    page = page_with(names, (slice(50, 1400), slice(1500, 3000)), axis)
    first, second = ecgs_on(page)
    cut = first.image.shape[1 - axis]
    assert 1400 <= cut <= 1500
    assert cut + second.image.shape[1 - axis] == 2 * SIDE_PX
    assert first.probability.shape[1:] == first.image.shape[:2]
    assert (
        [name.lead for name in first.text.names] == [name.lead for name in second.text.names] == list(NAMES)
    )
    origin = second.to_input @ [0, 0, 1]
    assert origin[axis] == cut and origin[1 - axis] == 0
    there = second.to_input @ [second.text.names[0].x_px, second.text.names[0].y_px, 1]
    np.testing.assert_allclose(there[:2], [100 + shift[0], 300 + shift[1]])


@pytest.mark.parametrize(
    "more",
    [
        (),
        names_from(100 + SIDE_PX, 300, ("I", "aVR", "V4")),  # too few stand twice
        names_from(100 + 300, 300),  # too near
        names_from(100 + SIDE_PX, 300, NAMES[::-1]),  # not equally far apart
        names_from(100 + SIDE_PX, 300) + names_from(100 + SIDE_PX, 1000),  # three times
    ],
)
def test_other_pages_stay_whole(more):
    page = page_with(names_from(100, 300) + more, (slice(50, 3000),), 0)
    assert ecgs_on(page) == (page,)
