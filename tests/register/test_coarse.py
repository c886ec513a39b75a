"""Where a page lies roughly: flat and bent paper, and pictures that only seem to match."""

import cv2
import numpy as np
import pytest

from ecg_generator_with_train_src.page.layouts import PageSetup
from ecg_generator_with_train_src.page.page import PageRequest, describe_page
from ecg_generator_with_train_src.page_map import project
from ecg_generator_with_train_src.register import coarse
from ecg_generator_with_train_src.register.check import draw_sheet

from helpers import record_of, waves_mv

TURNED = np.array([[0.62, 0.2, 150.0], [-0.16, 0.66, 420.0], [-2e-5, 3e-5, 1.0]])
SIZE = 1900, 1500


@pytest.fixture(scope="module")
def sheet():
    """The page of a quiet record: lead names and separators are most of what can be recognised."""
    request = PageRequest("known", PageSetup(), False, "default")
    paper = PageSetup().paper()
    page = describe_page(request, "known", "", 100.0, (None, paper), 0)
    return draw_sheet(page, record_of(waves_mv(100), 100.0))


def photo_of(sheet, bend_px: float) -> np.ndarray:
    """The page on a grained table, turned and seen aslant; its paper is bent by up to `bend_px` of the image."""
    width, height = SIZE
    rng = np.random.default_rng(0)
    table = cv2.GaussianBlur(rng.integers(40, 160, (height, width), np.uint8), (0, 0), 1.5)
    x, y = np.meshgrid(np.arange(width, dtype=np.float32), np.arange(height, dtype=np.float32))
    shift_x = bend_px * np.sin(x / 140 + y / 200)
    shift_y = bend_px * np.cos(x / 170 - y / 150)
    page = cv2.warpPerspective(255 - sheet.ink, TURNED, SIZE, borderValue=0)
    on_page = cv2.warpPerspective(np.full_like(sheet.ink, 255), TURNED, SIZE)
    grey = np.where(on_page > 0, page, table)
    bent = cv2.remap(grey, x + shift_x, y + shift_y, cv2.INTER_LINEAR, borderMode=cv2.BORDER_REFLECT)
    return cv2.merge([bent] * 3)


@pytest.mark.parametrize("bend_px", [0.0, 30.0])
def test_a_page_is_found_to_within_what_its_paper_is_bent(sheet, bend_px):
    place = coarse.place_coarsely(photo_of(sheet, bend_px), sheet.ink)
    x_px, y_px = np.meshgrid(np.arange(300, 2100, 200.0), np.arange(600, 1600, 100.0))
    found, true = (np.stack(project(matrix, x_px, y_px)) for matrix in (place.homography, TURNED))
    assert np.median(np.hypot(*(found - true))) < 3 + 1.4 * bend_px
    assert place.inliers >= 40


def test_many_places_of_the_page_that_all_look_like_one_of_the_image_are_no_match(sheet):
    rng = np.random.default_rng(1)
    looks = rng.normal(40, 10, (60, 128)).astype(np.float32)
    of_page = coarse.Features(rng.uniform(0, 800, (60, 2)), looks)
    of_image = coarse.Features(rng.uniform(0, 800, (2, 2)), np.stack([looks.mean(axis=0), looks[0] + 300]))
    assert len(coarse._matches_anywhere(of_page, of_image).on_page) == 1


@pytest.mark.parametrize("shape", [(1, 20_000), (20_000, 1), (1, 1), (99, 5000)])
def test_in_a_strip_or_a_speck_nothing_is_found(sheet, shape):
    assert coarse.place_coarsely(np.full((*shape, 3), 255, np.uint8), sheet.ink) is None
