"""A grid as a file: the image, and the sidecar .json that states its geometry."""

import math
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Literal

import numpy as np
from pydantic import BaseModel, ConfigDict

from ecg_generator_with_train_src.common.errors import InputError
from ecg_generator_with_train_src.common.files import sha256_of_file
from ecg_generator_with_train_src.common.image_files import read_grey, read_rgb
from ecg_generator_with_train_src.common.text_files import read_json
from ecg_generator_with_train_src.page.geometry import MAJOR_MM, PaperGeometry
from ecg_generator_with_train_src.page.grid import draw_grid_mask
from ecg_generator_with_train_src.page.layouts import PageSetup
from ecg_generator_with_train_src.page.measure_grid import measure_grid

# the default page's
_EXPORT = Path(__file__).resolve().parents[1] / "export"
CLEAN_GRID, COMPLETE_MASK = _EXPORT / "clean_ecg_grid.png", _EXPORT / "complete_mask.png"

MEASURED_PITCH_TOLERANCE = 2e-4
MIN_MASK_AGREEMENT = 0.5  # below it, the mask shows another grid, is inverted or empty
_EXPORT_IT = "export it with python -m ecg_generator_with_train_src.export_clean_grid"


class GridSidecar(BaseModel):
    """What the .json beside a grid image says."""

    model_config = ConfigDict(extra="forbid", frozen=True, defer_build=True)

    format_version: Literal[1] = 1
    geometry: PaperGeometry


@dataclass(frozen=True)
class GridFile:
    """A grid image read from disk; `rgb` has shape (height, width, 3), uint8."""

    path: Path
    sha256: str
    rgb: np.ndarray
    geometry: PaperGeometry
    is_measured: bool  # whether the geometry was measured because there is no sidecar


def sidecar_path(grid_path: Path) -> Path:
    """The .json beside a grid image."""
    return grid_path.with_suffix(".json")


def read_grid(path: Path) -> GridFile:
    """Read a grid image; its geometry is what the sidecar beside it states, else measured.

    Raises InputError if the image is no whole image, the sidecar is malformed or of another size, or there is no
    sidecar and no grid can be measured.
    """
    rgb = read_rgb(path)
    is_measured = not sidecar_path(path).is_file()
    geometry = known_sheet(measure_grid(rgb, path)) if is_measured else _stated(sidecar_path(path))
    height, width = rgb.shape[:2]
    if (geometry.width_px, geometry.height_px) != (width, height):
        stated = f"{geometry.width_px}x{geometry.height_px}"
        raise InputError(
            f"{path}: {width}x{height} pixels, but {sidecar_path(path).name} beside it states {stated}"
        )
    return GridFile(path, sha256_of_file(path), rgb, geometry, is_measured)


@lru_cache(maxsize=4)
def read_known_grid(path: Path, sha256: str) -> np.ndarray:
    """The grid that a page was rendered for, shape (height, width, 3), uint8; read once a process.

    Raises InputError if the file is missing or another.
    """
    if not path.is_file() or sha256_of_file(path) != sha256:
        raise InputError(f"{path}: not the grid that the page was rendered for; render the page again")
    return read_rgb(path)


@lru_cache(maxsize=1)
def read_grid_mask(path: Path) -> np.ndarray:
    """A grid's mask, shape (height, width), uint8, 0 or 255; read once a process.

    Raises InputError if the file is no whole image or has other values.
    """
    mask = read_grey(path)
    if not np.isin(mask, (0, 255)).all():
        raise InputError(f"{path}: holds values other than 0 and 255; a mask must not be a JPEG or resized")
    return mask


def refuse_other_mask(path: Path) -> None:
    """Raise InputError unless the grid mask has the default page's size and marks most of its lines and little else."""
    paper = PageSetup().paper()
    mask = read_grid_mask(path)
    height, width = mask.shape
    if (width, height) != (paper.width_px, paper.height_px):
        expected = f"{paper.width_px}x{paper.height_px}"
        raise InputError(
            f"{path}: {width}x{height} pixels, but the default page has {expected}; {_EXPORT_IT}"
        )
    cores = draw_grid_mask(paper) > 0
    marked, spared = np.mean(mask[cores] > 0), np.mean(mask[~cores] == 0)
    if min(marked, spared) < MIN_MASK_AGREEMENT:
        raise InputError(
            f"{path}: marks {marked:.0%} of the default page's lines and spares {spared:.0%} of the rest; {_EXPORT_IT}"
        )


def _stated(path: Path) -> PaperGeometry:
    return read_json(path, GridSidecar, "without this file the grid is measured").geometry


def known_sheet(measured: PaperGeometry) -> PaperGeometry:
    """The default sheet where a measurement differs from it by no more than measurements do."""
    known = PageSetup().paper()
    same_size = (measured.width_px, measured.height_px) == (known.width_px, known.height_px)
    same_pitch = all(
        math.isclose(getattr(measured, scale), getattr(known, scale), rel_tol=MEASURED_PITCH_TOLERANCE)
        for scale in ("px_per_mm_x", "px_per_mm_y")
    )
    same_place = all(
        abs(math.remainder(getattr(measured, place) - getattr(known, place), MAJOR_MM * known.px_per_mm))
        < 0.25
        for place in ("major_x_px", "major_y_px")
    )
    return known if same_size and same_pitch and same_place else measured
