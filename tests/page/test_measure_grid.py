"""The geometry of a grid image is measured from its lines."""

import cv2
import numpy as np
import pytest

from ecg_generator_with_train_src.common.errors import InputError
from ecg_generator_with_train_src.common.image_files import encode_rgb
from ecg_generator_with_train_src.common.random_stream import random_stream
from ecg_generator_with_train_src.page.geometry import MAJOR_MM
from ecg_generator_with_train_src.page.grid import draw_grid
from ecg_generator_with_train_src.page.grid_file import read_grid
from ecg_generator_with_train_src.page.layouts import PageSetup
from ecg_generator_with_train_src.page.measure_grid import measure_grid
from ecg_generator_with_train_src.page.style import varied_style

PITCH_TOLERANCE = 2e-4


@pytest.mark.parametrize("case", range(8))
def test_pitch_is_measured_to_0_02_percent_and_place_to_a_quarter_pixel(case, tmp_path):
    rng = random_stream(case, "measure")
    sheet = PageSetup(dpi=float(rng.uniform(100, 400)), paper_size="a4").paper()
    sheet = sheet.model_copy(update={"major_x_px": rng.uniform(0, 30), "major_y_px": rng.uniform(0, 30)})
    measured = measure_grid(draw_grid(sheet, varied_style(rng, sheet).grid), tmp_path)
    for direction in ("x", "y"):
        pitch = getattr(sheet, f"px_per_mm_{direction}")
        assert getattr(measured, f"px_per_mm_{direction}") == pytest.approx(pitch, rel=PITCH_TOLERANCE)
        off_px = getattr(measured, f"major_{direction}_px") - getattr(sheet, f"major_{direction}_px")
        assert abs(np.remainder(off_px + pitch, MAJOR_MM * pitch) - pitch) < 0.3


@pytest.mark.parametrize("scale", [0.6, 1.17, 1.5])
def test_a_resized_grid_is_measured_in_its_own_pixels(scale, tmp_path):
    sheet = PageSetup().paper()
    image = cv2.resize(draw_grid(sheet), None, fx=scale, fy=scale, interpolation=cv2.INTER_AREA)
    measured = measure_grid(image, tmp_path)
    assert measured.px_per_mm_x == pytest.approx(
        sheet.px_per_mm * image.shape[1] / sheet.width_px, rel=PITCH_TOLERANCE
    )
    assert measured.px_per_mm_y == pytest.approx(
        sheet.px_per_mm * image.shape[0] / sheet.height_px, rel=PITCH_TOLERANCE
    )


@pytest.mark.parametrize("kind", ["white", "noise", "vertical lines alone"])
def test_an_image_without_a_grid_is_refused_by_name(kind, tmp_path):
    image = np.full((800, 1000, 3), 255, np.uint8)
    if kind == "noise":
        image = np.random.default_rng(0).integers(0, 256, image.shape).astype(np.uint8)
    elif kind == "vertical lines alone":
        image[:, ::8] = 0
    with pytest.raises(InputError, match=r"paper\.png: no .* grid lines"):
        measure_grid(image, tmp_path / "paper.png")


def test_the_default_grid_without_its_sidecar_is_known_again(tmp_path):
    path = tmp_path / "grid.png"
    path.write_bytes(encode_rgb(draw_grid(PageSetup().paper())))
    assert read_grid(path).geometry == PageSetup().paper()


def test_a_grid_stretched_in_one_direction_is_measured_in_each(tmp_path):
    sheet = PageSetup().paper()
    measured = measure_grid(
        cv2.resize(draw_grid(sheet), (2200, 1300), interpolation=cv2.INTER_AREA), tmp_path
    )
    assert measured.px_per_mm_x == pytest.approx(sheet.px_per_mm, rel=PITCH_TOLERANCE)
    assert measured.px_per_mm_y == pytest.approx(sheet.px_per_mm * 1300 / 1700, rel=PITCH_TOLERANCE)


@pytest.mark.parametrize("degrees", [0.3, 2])
def test_a_tilted_grid_is_refused_by_name(degrees, tmp_path):
    image = draw_grid(PageSetup().paper())
    turn = cv2.getRotationMatrix2D((1100, 850), degrees, 1)
    tilted = cv2.warpAffine(image, turn, (2200, 1700), borderValue=(255, 255, 255))
    with pytest.raises(
        InputError, match=r"tilted\.png: its grid lines are off by .* clean, straight and upright"
    ):
        measure_grid(tilted, tmp_path / "tilted.png")
