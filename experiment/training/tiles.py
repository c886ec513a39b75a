"""Tiles that cover the pages to validate on: each pixel is counted once."""

from collections.abc import Iterator
from dataclasses import dataclass

import torch
from torch.utils.data import Dataset, Sampler

from ecg_generator_with_train_src.common.classes import IGNORED
from ecg_generator_with_train_src.dataset.format import Sample
from experiment.network.scales import scale_for_network
from experiment.training.augmentation import Page, resize_page
from experiment.training.crops import Batch, cut_page, stack_pages
from experiment.training.pages import Pages


@dataclass(frozen=True)
class Tile:
    """A square window of a page, in its pixels; neighbours count the first `skip_rows` and `skip_columns`."""

    page: int
    side: int
    top: int
    left: int
    skip_rows: int
    skip_columns: int


def tiles_of(length: int, size: int) -> list[tuple[int, int]]:
    """Pairs (start, skip) of windows of `size` pixels that cover `length` pixels, each pixel counted once.

    The last window is moved back inside; `skip` is how many of its pixels the window before it has counted.
    """
    starts = list(range(0, max(length - size, 0) + 1, size))
    windows = [(start, 0) for start in starts]
    covered = starts[-1] + size
    if covered < length:
        windows.append((length - size, covered - (length - size)))
    return windows


def validation_tiles(samples: list[Sample], size: int, max_tiles: int | str) -> list[Tile]:
    """Tiles that cover the pages, `size` pixels a side at the network's scale.

    If they are more than `max_tiles`, only that many are taken, spread evenly over all pages.
    """
    sides = [round(size / scale_for_network(sample.px_per_mm)) for sample in samples]
    tiles = [
        Tile(page, side, top, left, skip_rows, skip_columns)
        for page, (sample, side) in enumerate(zip(samples, sides, strict=True))
        for top, skip_rows in tiles_of(sample.height_px, side)
        for left, skip_columns in tiles_of(sample.width_px, side)
    ]
    if max_tiles == "all" or max_tiles >= len(tiles):
        return tiles
    return [tiles[(2 * number + 1) * len(tiles) // (2 * max_tiles)] for number in range(max_tiles)]


class TileDataset(Dataset):
    """The validation tiles. A key is a tile's number; the key -1 is a tile that only fills a batch."""

    def __init__(self, pages: Pages, tiles: list[Tile], size: int):
        self.pages, self.tiles, self.size = pages, tiles, size

    def whole(self, key: int) -> Page:
        """The whole tile `key`, including the pixels that its neighbours count."""
        return resize_page(self._window(self.tiles[key]), self.size)

    def __getitem__(self, key: int) -> Batch:
        tile = self.tiles[max(key, 0)]
        whole = self._window(tile)
        label = whole.label.copy()
        label[: tile.skip_rows] = IGNORED
        label[:, : tile.skip_columns] = IGNORED
        if key < 0:
            label[:] = IGNORED
        return stack_pages([resize_page(whole._replace(label=label), self.size)]) | {
            "real": torch.tensor([int(key >= 0)], dtype=torch.uint8)
        }

    def _window(self, tile: Tile) -> Page:
        return cut_page(self.pages[tile.page], tile.top, tile.left, tile.side)


class TileSampler(Sampler):
    """Gives every tile once over all ranks; each rank yields the same number of full batches."""

    def __init__(self, num_tiles: int, batch_size: int, rank: int, world_size: int):
        per_rank = -(-num_tiles // world_size)
        self.length = -(-per_rank // batch_size) * batch_size
        self.keys = list(range(num_tiles))[rank::world_size]

    def __len__(self) -> int:
        return self.length

    def __iter__(self) -> Iterator[int]:
        yield from self.keys
        yield from [-1] * (self.length - len(self.keys))
