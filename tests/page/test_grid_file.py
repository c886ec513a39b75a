"""A grid as a file: its picture, the sidecar that states its geometry, and its mask."""

import numpy as np
import pytest

from ecg_generator_with_train_src.common.errors import InputError
from ecg_generator_with_train_src.common.image_files import encode_rgb
from ecg_generator_with_train_src.page.grid_file import (
    known_sheet,
    read_grid,
    read_known_grid,
    refuse_other_mask,
)
from ecg_generator_with_train_src.page.layouts import PageSetup

from conftest import GRID, MASK


def test_the_committed_grid_states_the_default_sheet_and_its_mask_is_of_it():
    grid = read_grid(GRID)
    assert (grid.geometry, grid.is_measured) == (PageSetup().paper(), False)
    assert np.array_equal(read_known_grid(GRID, grid.sha256), grid.rgb)
    refuse_other_mask(MASK)
    with pytest.raises(InputError, match="not the grid that the page was rendered for"):
        read_known_grid(GRID, "0" * 64)


def test_a_measurement_that_is_the_default_sheet_but_for_its_error_is_taken_for_it():
    sheet = PageSetup().paper()
    near = sheet.model_copy(update={"px_per_mm_x": sheet.px_per_mm_x * 1.0001, "major_x_px": 0.1})
    assert known_sheet(near) == sheet
    for change in ({"width_px": 2199}, {"px_per_mm_y": 7.9}, {"major_x_px": 1.0}):
        other = sheet.model_copy(update=change)
        assert known_sheet(other) == other


@pytest.mark.parametrize(
    ("damage", "said"),
    [
        ("none", "no such file"),
        ("no sidecar, no lines", "grid."),
        ("torn sidecar", "grid.json: file: Invalid JSON"),
        ("binary sidecar", "grid.json: "),
        ("unknown field", "grid.json: geometry.colour: "),
        ("other size", "states 2201x1700"),
        ("torn image", "grid.png: not a readable image"),
    ],
)
def test_a_grid_that_is_not_whole_is_refused(tmp_path, damage, said):
    grid, sidecar = tmp_path / "grid.png", tmp_path / "grid.json"
    stated = GRID.with_suffix(".json").read_text()
    if damage != "none":
        grid.write_bytes(GRID.read_bytes()[: 9000 if damage == "torn image" else None])
    if damage == "no sidecar, no lines":
        grid.write_bytes(encode_rgb(np.full((1700, 2200, 3), 255, np.uint8)))
    else:
        sidecar.write_text(stated[:40] if damage == "torn sidecar" else stated)
    if damage == "binary sidecar":
        sidecar.write_bytes(b"\xff\xfe\x00\x80")
    if damage == "unknown field":
        sidecar.write_text(stated.replace('"width_px"', '"colour": 3, "width_px"'))
    if damage == "other size":
        sidecar.write_text(stated.replace("2200", "2201"))
    with pytest.raises(InputError) as caught:
        read_grid(grid)
    assert said in str(caught.value)
    assert str(tmp_path) in str(caught.value)
