"""Validation tiles: they cover every pixel of the pages once."""

import numpy as np
import pytest

from ecg_generator_with_train_src.common.classes import IGNORED
from ecg_generator_with_train_src.common.image_files import read_classes
from ecg_generator_with_train_src.dataset.format import read_manifest
from experiment.training.loaders import DataSource
from experiment.training.tiles import tiles_of, validation_tiles

from small_runs import config_for


def test_validation_counts_every_pixel_once(tiny_dataset):
    expected = np.zeros(256, np.int64)
    for sample in read_manifest(tiny_dataset):
        if sample.split == "val":
            expected += np.bincount(read_classes(tiny_dataset / sample.mask).ravel(), minlength=256)
    for world_size in (1, 2):
        found = np.zeros(256, np.int64)
        for rank in range(world_size):
            source = DataSource(config_for(tiny_dataset, crop_size=256), rank, world_size)
            for batch in source.val_batches():
                assert len(batch["image"]) == 8
                assert (batch["label"][batch["real"] == 0] == IGNORED).all()
                found += np.bincount(batch["label"].numpy().ravel(), minlength=256)
        assert found[:IGNORED].tolist() == expected[:IGNORED].tolist()


@pytest.mark.parametrize(("length", "size"), [(100, 100), (100, 30), (31, 30), (30, 100), (60, 30)])
def test_tiles_cover_a_side_once(length, size):
    counted = np.zeros(max(length, size), int)
    for start, skip in tiles_of(length, size):
        assert start >= 0 and (start + size <= length or length < size)
        counted[start + skip : start + size] += 1
    assert (counted[:length] == 1).all()


def test_some_tiles_are_spread_over_all_pages(tiny_dataset):
    samples = [sample for sample in read_manifest(tiny_dataset) if sample.split == "val"]
    tiles = validation_tiles(samples, 256, 10)
    assert len(tiles) == 10
    assert {tile.page for tile in tiles} == set(range(len(samples)))
    assert len(validation_tiles(samples, 256, "all")) == len(samples) * 7 * 9
