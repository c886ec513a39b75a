"""A network's look at an image of any size, through overlapping tiles of one size whose probabilities are blended."""

import itertools
from collections.abc import Callable

import numpy as np

from ecg_generator_with_train_src.common.classes import BACKGROUND, CLASS_NAMES
from ecg_generator_with_train_src.common.image_files import cut, paper_colour
from ecg_generator_with_train_src.common.threads import in_threads

OVERLAP_PX = 32  # tiles overlap by at least that much; 64 of 512 bring labels no nearer to those of 256
MOST_WIDENED = 1.25  # tiles may be longer by this factor, if the page then takes fewer


class TiledLook:
    """What `function` says of an image (H, W, 3), tile by tile: it maps tiles (N, *sides, 3) to (N, C, *sides), an
    array that the look may change.

    Tiles are spread evenly over the image. They are given N = `batch` at a time, the last ones with copies, and from
    several threads if `at_once` is more than 1. An image smaller than a tile is padded with its paper's colour. Tiles
    that show nothing of `inside` (H, W) are left out.

    >>> image = np.full((40, 100, 3), 255, np.uint8)
    >>> look = TiledLook(lambda tiles: tiles.transpose(0, 3, 1, 2) / 255.0, image, (64, 64))
    >>> probability = look.at_all()
    >>> probability.shape, round(float(probability.min()), 5)
    ((3, 40, 100), 1.0)
    """

    def __init__(
        self,
        function: Callable[[np.ndarray], np.ndarray],
        image: np.ndarray,
        sides: tuple[int, int],
        batch: int = 1,
        inside: np.ndarray | None = None,
        at_once: int = 1,
    ):
        self.function, self.image, self.sides, self.batch = function, image, sides, batch
        self.each = in_threads if at_once > 1 else map
        self.inside = np.ones(image.shape[:2], bool) if inside is None else inside
        self.paper = paper_colour(image)
        self.probability = np.zeros((len(CLASS_NAMES), *image.shape[:2]), np.float32)
        self.probability[BACKGROUND, ~self.inside] = 1
        self.tops, self.lefts = map(tile_starts, image.shape[:2], sides)
        self.ramps = [*map(_blend_ramps, (self.tops, self.lefts), sides, image.shape[:2])]
        down, across = sides
        self.unseen = [
            (top, left)
            for top, left in itertools.product(self.tops, self.lefts)
            if self.inside[top : top + down, left : left + across].any()
        ]

    def at_middle(self) -> np.ndarray:
        """Look at the tiles of the middle row; returns the probabilities (C, rows, W) there."""
        middle = self.tops[len(self.tops) // 2]
        self._at([corner for corner in self.unseen if corner[0] == middle])
        return self.probability[:, middle : middle + self.sides[0]]

    def at_all(self) -> np.ndarray:
        """Look at all tiles that have not been looked at yet; returns the probabilities (C, H, W)."""
        self._at(self.unseen)
        return self.probability

    def _at(self, corners: list[tuple[int, int]]) -> None:
        self.unseen = [corner for corner in self.unseen if corner not in corners]
        batches = [corners[first : first + self.batch] for first in range(0, len(corners), self.batch)]
        for batch, found in zip(batches, self.each(self._seen, batches), strict=True):
            self._add(batch, found)

    def _seen(self, corners: list[tuple[int, int]]) -> np.ndarray:
        tiles = [cut(self.image, top, left, self.sides, self.paper) for top, left in corners]
        return self.function(np.stack(tiles + tiles[-1:] * (self.batch - len(tiles))))

    def _add(self, corners: list[tuple[int, int]], found: np.ndarray) -> None:
        for (top, left), planes in zip(corners, found, strict=False):
            window = np.outer(self.ramps[0][top], self.ramps[1][left])
            rows, columns = window.shape
            area = slice(top, top + rows), slice(left, left + columns)
            weighted = planes[:, :rows, :columns]
            weighted *= window * self.inside[area]
            self.probability[(..., *area)] += weighted


def fitted_side(length: int, tile: int, multiple: int) -> int:
    """The multiple from `tile` on, up to MOST_WIDENED of it, whose tiles cover `length` with the fewest pixels.

    >>> fitted_side(2200, 512, 32), len(tile_starts(2200, 512)), len(tile_starts(2200, 576))
    (576, 5, 4)
    """
    sides = range(tile, int(MOST_WIDENED * tile) + 1, multiple)
    return min(sides, key=lambda side: side * len(tile_starts(length, side)))


def tile_starts(length: int, tile: int) -> list[int]:
    """Starts of evenly spread tiles that cover `length` pixels and overlap by at least OVERLAP_PX, or half a tile."""
    if length <= tile:
        return [0]
    stride = tile - _overlap_px(tile)
    count = -(-(length - tile) // stride) + 1
    return [round(number * (length - tile) / (count - 1)) for number in range(count)]


def _blend_ramps(starts: list[int], side: int, length: int) -> dict[int, np.ndarray]:
    """By a tile's start, its weights along this side, as far as the image goes: those of all tiles sum to 1. They fall
    linearly over the overlap."""
    ramp = np.arange(1, side + 1, dtype=np.float32) / (_overlap_px(side) + 1)
    ramp = np.minimum(np.minimum(ramp, ramp[::-1]), 1)
    total = np.zeros(max(length, side), np.float32)
    for start in starts:
        total[start : start + side] += ramp
    return {start: (ramp / total[start : start + side])[: length - start] for start in starts}


def _overlap_px(side: int) -> int:
    return min(OVERLAP_PX, side // 2)
