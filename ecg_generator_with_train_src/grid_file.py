"""A grid as a file: the image, and the sidecar .json that states its geometry."""

from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import numpy as np
from pydantic import BaseModel, ConfigDict, ValidationError

from .dataset_format import sha256_of
from .errors import InputError, first_problem
from .geometry import PaperGeometry
from .image_files import read_rgb


class GridSidecar(BaseModel):
    """What the .json beside a grid image says."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    format_version: Literal[1] = 1
    geometry: PaperGeometry


@dataclass(frozen=True)
class GridFile:
    """A grid image read from disk; `rgb` has shape (height, width, 3), uint8."""

    path: Path
    sha256: str
    rgb: np.ndarray
    geometry: PaperGeometry


def sidecar_path(grid_path: Path) -> Path:
    """The .json beside a grid image."""
    return grid_path.with_suffix(".json")


def read_grid(path: Path) -> GridFile:
    """Read a grid image and its sidecar.

    Raises InputError if the image is no whole image, the sidecar is missing or malformed, or the two disagree.
    """
    rgb = read_rgb(path)
    geometry = _read_sidecar(sidecar_path(path))
    height, width = rgb.shape[:2]
    if (geometry.width_px, geometry.height_px) != (width, height):
        stated = f"{geometry.width_px}x{geometry.height_px}"
        raise InputError(
            f"{path}: {width}x{height} pixels, but {sidecar_path(path).name} beside it states {stated}"
        )
    return GridFile(path, sha256_of(path.read_bytes()), rgb, geometry)


def _read_sidecar(path: Path) -> PaperGeometry:
    if not path.is_file():
        raise InputError(f"{path}: not found; a grid needs its geometry beside it (see export_clean_grid)")
    try:
        return GridSidecar.model_validate_json(path.read_bytes()).geometry
    except ValidationError as error:
        raise InputError(f"{path}: {first_problem(error)}") from error
