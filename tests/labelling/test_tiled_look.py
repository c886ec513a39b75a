"""Tiles cover an image, overlap, and are blended to what they say where they agree."""

import itertools
import threading

import numpy as np
import pytest

from experiment.labelling.tiled_look import TiledLook, tile_starts


def page(width: int, height: int) -> np.ndarray:
    return np.random.default_rng(0).integers(0, 256, (height, width, 3), dtype=np.uint8)


@pytest.mark.parametrize("length", [1, 63, 64, 65, 119, 120, 121, 500, 1700])
def test_tiles_cover_every_pixel_and_overlap(length):
    starts = tile_starts(length, 64)
    assert starts[0] == 0
    assert len(starts) == 1 if length <= 64 else starts[-1] == length - 64
    for one, next_one in itertools.pairwise(starts):
        assert 0 < next_one - one <= 64 - 32


@pytest.mark.parametrize("size", [(64, 64), (201, 97), (30, 150), (5, 3)])
@pytest.mark.parametrize("batch", [1, 3])
def test_blending_tiles_of_a_pixelwise_function_is_that_function(size, batch):
    image = page(*size)
    look = TiledLook(lambda tiles: tiles.transpose(0, 3, 1, 2) / 255.0, image, (64, 96), batch)
    look.at_middle()
    np.testing.assert_allclose(look.at_all(), image.transpose(2, 0, 1) / 255.0, atol=1e-5)


def test_tiles_that_lie_outside_are_left_out_and_change_nothing_inside():
    image, shown = page(250, 190), np.zeros((190, 250), bool)
    shown[70:, :100] = True
    calls = []

    def function(tiles: np.ndarray) -> np.ndarray:
        calls.append(len(tiles))
        return tiles.transpose(0, 3, 1, 2) / 255.0

    look = TiledLook(function, image, (64, 64), inside=shown)
    found = look.at_all()
    rows, columns = tile_starts(190, 64), tile_starts(250, 64)
    assert (rows, columns) == ([0, 32, 63, 94, 126], [0, 31, 62, 93, 124, 155, 186])
    assert sum(calls) == 4 * 4  # the upper row of tiles ends at 64, the last three columns begin at 124
    np.testing.assert_allclose(found[:, shown], (image.transpose(2, 0, 1) / 255.0)[:, shown], atol=1e-5)
    assert (found[0][~shown] == 1).all() and (found[1:, ~shown] == 0).all()  # background


def test_side_by_side_the_same_is_seen(threads_of_opencv):
    threads_of_opencv(2)
    image, alone, both_at_work = page(250, 160), [], threading.Barrier(2, timeout=20)

    def function(tiles: np.ndarray) -> np.ndarray:
        alone.append(threading.get_ident())
        return tiles.transpose(0, 3, 1, 2) / 255.0

    def function_of_two(tiles: np.ndarray) -> np.ndarray:
        both_at_work.wait()  # goes on when a second thread is here too: there is an even number of tiles
        return tiles.transpose(0, 3, 1, 2) / 255.0

    looks = TiledLook(function, image, (64, 80)), TiledLook(function_of_two, image, (64, 80), at_once=2)
    assert len(looks[1].unseen) % 2 == 0
    one_by_one, side_by_side = (look.at_all() for look in looks)
    assert set(alone) == {threading.get_ident()}
    np.testing.assert_array_equal(one_by_one, side_by_side)
