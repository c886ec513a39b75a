"""Leads whose spikes leave the picture, or go on under what hides the paper, are told; no others are."""

import re
from dataclasses import replace

import pytest

from ecg_generator_with_train_src.common.classes import BACKGROUND, GRID, WAVEFORM
from ecg_generator_with_train_src.page.geometry import PX_PER_MM
from ecg_generator_with_train_src.page.layouts import DEFAULT_SETUP
from experiment.labelling.page_probability import PageProbability
from experiment.reading.doubt import CONFIDENCE_OF_CUT
from experiment.reading.find_layout import ReadingOptions
from experiment.reading.read_page import PageReading, read_page
from known_pages import FS_HZ, page_of

PAGE = page_of(DEFAULT_SETUP)
HEIGHT, WIDTH = PAGE.input_shape
V4_TIP_PX = 708.333 - 1.2 * 10 * PX_PER_MM  # 613.8: 1.2 mV above the zero line of its row
STRIP_FOOT_PX = 1534.711 + 0.38 * 10 * PX_PER_MM  # 1564.6


def rows_of(first: int, last: int) -> PageProbability:
    """What a picture shows that ends at these rows of the page."""
    shape = (last - first, WIDTH)
    return replace(
        PAGE, probability=PAGE.probability[:, first:last], image=PAGE.image[first:last], input_shape=shape
    )


def covered(left: int, top: int, right: int, bottom: int, says: float) -> PageProbability:
    """The page under a label, on which a network says of every pixel that it is a grid's line to this chance."""
    planes = PAGE.probability.copy()
    for plane, value in ((BACKGROUND, 1 - says), (GRID, says), (WAVEFORM, 0)):
        planes[plane, top:bottom, left:right] = value
    return replace(PAGE, probability=planes)


def read(page: PageProbability) -> PageReading:
    return read_page(page, FS_HZ, ReadingOptions())


def cut_leads(reading: PageReading) -> set[str]:
    """The leads that are said to be cut off."""
    pattern = re.compile(r"spikes of leads? (.+) end at the picture's edge or where the paper is covered")
    found = filter(None, map(pattern.match, reading.verdict.reasons))
    return {name for match in found for name in match[1].split(", ")}


def test_a_whole_page_has_none():
    reading = read(PAGE)
    assert (cut_leads(reading), reading.verdict.status) == (set(), "sure")


@pytest.mark.parametrize(
    ("first", "last", "cut"),
    [
        (V4_TIP_PX - 10, HEIGHT, set()),
        (V4_TIP_PX + 6, HEIGHT, {"V4"}),
        (V4_TIP_PX + 60, HEIGHT, {"I", "V4"}),  # I has 0.6 mV
        (0, STRIP_FOOT_PX + 10, set()),
        (0, STRIP_FOOT_PX - 12, {"II"}),
    ],
)
def test_spikes_that_run_into_the_pictures_edge_are_told(first, last, cut):
    assert cut_leads(read(rows_of(round(first), round(last)))) == cut


def test_a_part_of_a_picture_ends_where_it_was_cut_out():
    part = PAGE.part(0, round(V4_TIP_PX + 6), WIDTH, HEIGHT)
    assert part.input_shape == PAGE.input_shape
    assert cut_leads(read(part)) == {"V4"}


@pytest.mark.parametrize("says", [0.0, 0.3])  # of bare paper, and of something grey
def test_spikes_that_go_on_under_a_label_are_told(says):
    label = (1590, 540, 2040, round(V4_TIP_PX) + 40)
    reading = read(covered(*label, says))
    assert cut_leads(reading) == {"V4"} and reading.verdict.status == "check"
    of_lead = dict(
        zip((lead.place.label for lead in reading.leads), reading.verdict.confidences, strict=True)
    )
    assert of_lead["V4"] <= CONFIDENCE_OF_CUT < of_lead["V5"]


def test_spikes_that_end_at_a_dark_bar_are_told():
    left, top, right, bottom = 1590, round(V4_TIP_PX) + 20, 2040, round(V4_TIP_PX) + 44
    image = PAGE.image.copy()
    image[top:bottom, left:right] = 0
    planes = PAGE.probability.copy()
    planes[WAVEFORM, :bottom, left:right] = 0  # what is above the bar belongs to nothing that is seen
    reading = read(replace(PAGE, probability=planes, image=image))
    assert cut_leads(reading) == {"V4"} and reading.verdict.status == "check"


def test_a_small_white_label_over_a_tip_is_told():
    image, planes = PAGE.image.copy(), PAGE.probability.copy()
    tip = 1590 + PAGE.probability[WAVEFORM, round(V4_TIP_PX), 1590:2040].argmax()
    rows, columns = slice(round(V4_TIP_PX) - 12, round(V4_TIP_PX) + 40), slice(tip - 12, tip + 12)
    image[rows, columns] = 255
    planes[WAVEFORM, rows, columns] = 0
    assert cut_leads(read(replace(PAGE, probability=planes, image=image))) == {"V4"}


def test_a_bar_that_is_read_as_a_trace_is_told():
    image, planes = PAGE.image.copy(), PAGE.probability.copy()
    rows, columns = slice(680, 760), slice(1700, 1724)  # 3 mm of V4's base line
    image[rows, columns] = 0
    planes[WAVEFORM, rows, columns] = 1
    assert "V4" in cut_leads(read(replace(PAGE, probability=planes, image=image)))


def test_a_label_beyond_the_spikes_hides_nothing():
    assert cut_leads(read(covered(1590, 480, 2040, round(V4_TIP_PX) - 60, 0.0))) == set()


def test_paper_without_lines_tells_nothing():
    planes = PAGE.probability.copy()
    planes[BACKGROUND] += planes[GRID]
    planes[GRID] = 0
    told = replace(PAGE, probability=planes, scale_is_told=True)
    assert cut_leads(read(told)) == set()
