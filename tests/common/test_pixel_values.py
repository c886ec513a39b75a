"""What is white in pictures of any depth."""

import struct

import cv2
import numpy as np
import pytest

from ecg_generator_with_train_src.common.errors import InputError
from ecg_generator_with_train_src.common.picture_sizes import ALL_WHOLE
from ecg_generator_with_train_src.common.pixel_values import eight_bits, read_deep_colour


@pytest.mark.parametrize(
    ("values", "expected"),
    [
        (np.uint16([0, 512, 1023]), [0, 128, 255]),  # 10 bits
        (np.uint16([0, 2048, 4095]), [0, 128, 255]),  # 12
        (np.uint16([0, 8192, 16383]), [0, 128, 255]),  # 14
        (np.uint16([0, 100, 30000]), [0, 0, 117]),  # a dim picture of 16
        (np.int32([0, 100, 200]), [0, 100, 200]),
        (np.uint16([0, 1]), [0, 255]),
        (np.int32([0, 0]), [0, 0]),
        (np.float32([0.25, 0.5]), [64, 128]),
        (np.float32([10.0, 254.6]), [10, 255]),
        (np.float32([-2.0, 0.0, 2.0]), [0, 128, 255]),
        (np.float64([0.0, 2e5, 1e5]), [0, 255, 128]),
        (np.float32([np.nan, np.inf, 0.0, 1.0]), [255, 255, 0, 255]),
        (np.float32([np.nan]), [255]),
    ],
)
def test_white_is_the_least_usual_value_that_none_exceeds(values, expected):
    found = eight_bits(values)
    assert found.dtype == np.uint8
    assert found.tolist() == expected


def test_a_file_that_is_no_deep_picture_is_left_to_others(tmp_path):
    for data in (b"", b"\x89PNG\r\n\x1a\n", b"II*\0", b"\xff\xd8\xff"):
        (tmp_path / "x").write_bytes(data)
        assert read_deep_colour(tmp_path / "x", ALL_WHOLE) is None


def test_a_high_picture_is_converted_as_one():
    values = np.zeros((600, 2), np.uint16)
    values[::2, 0], values[599, 1] = 4095, 2048
    found = eight_bits(values)
    assert found.sum() == 300 * 255 + 128 and found[598].tolist() == [255, 0] and found[599, 1] == 128


def test_fractions_in_colour_are_read_and_a_small_file_that_claims_a_huge_picture_is_not(tmp_path):
    path = tmp_path / "a.tif"
    cv2.imwrite(str(path), np.float32([[[0.0, 0.5, 1.0], [1.0, 0.0, 0.0]]]))
    values, halvings = read_deep_colour(path, ALL_WHOLE)
    assert (values.tolist(), halvings) == ([[[1.0, 0.5, 0.0], [0.0, 0.0, 1.0]]], 0)
    data = bytearray(path.read_bytes())
    for tag, side_px in (
        (256, 30_000),
        (257, 5_000),
    ):  # LONG or SHORT, in little-endian files at the same place
        entry = data.index(struct.pack("<H", tag), struct.unpack_from("<I", data, 4)[0])
        struct.pack_into("<I", data, entry + 8, side_px)
    path.write_bytes(data)
    with pytest.raises(
        InputError, match=r"30000x5000 .* more than 30; such pictures may have 1/4 of --max-meg"
    ):
        read_deep_colour(path, ALL_WHOLE)
