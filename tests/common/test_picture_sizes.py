"""common/picture_sizes.py, by itself and under page_files.py."""

import zlib

import cv2
import numpy as np
import pytest
from PIL import Image

from ecg_generator_with_train_src.common.errors import InputError
from ecg_generator_with_train_src.common.page_files import readable_pages
from ecg_generator_with_train_src.common.picture_sizes import PageSizes, halved, halved_values, halvings_of

BLOCKS = np.kron(
    np.arange(12, dtype=np.uint8).reshape(3, 4) * 20, np.ones((4, 4), np.uint8)
)  # 12 x 16 pixels


def test_sides_are_halved_until_the_pixels_are_few_enough():
    assert [halvings_of((100, 10), most) for most in (1000, 999, 250, 249)] == [0, 1, 1, 2]


@pytest.mark.parametrize("mode", ["L", "RGB", "RGBA", "P", "1", "I;16", "I", "F", "LA", "CMYK"])
def test_pixels_of_every_mode_become_their_means(mode):
    """Blocks of one grey value stay as they are; in modes of few values only the size can be told."""
    picture = (
        Image.fromarray(BLOCKS.astype(np.uint16)) if mode == "I;16" else Image.fromarray(BLOCKS).convert(mode)
    )
    small = halved(picture, 2)
    assert small.size == (4, 3)
    if mode in ("L", "RGB", "I;16", "I", "F", "P"):
        grey = np.asarray(small)
        assert (grey if grey.ndim == 2 else grey[..., 0]).tolist() == BLOCKS[::4, ::4].tolist()


def test_values_of_odd_sides_are_rounded_up():
    assert halved_values(np.zeros((5, 9, 3), np.uint16), 1).shape == (3, 5, 3)
    assert halved_values(BLOCKS.astype(np.uint16), 2).tolist() == BLOCKS[::4, ::4].tolist()


@pytest.mark.parametrize("suffix", ["png", "jpg", "tif", "webp", "bmp", "jp2"])
def test_large_pictures_are_read_at_half_their_size_and_small_ones_whole(tmp_path, suffix):
    path = tmp_path / f"page.{suffix}"
    Image.fromarray(np.full((40, 60, 3), 200, np.uint8)).save(path)
    ((name, image, shrunk),) = readable_pages(path, PageSizes(whole_pixels=2399))
    assert (name, image.shape, shrunk) == ("page", (20, 30, 3), 2)
    assert abs(int(image.mean()) - 200) < 3
    ((_, image, shrunk),) = readable_pages(path, PageSizes(whole_pixels=2400))
    assert (image.shape, shrunk) == ((40, 60, 3), 1)


def test_16_bit_colours_are_halved_too_and_count_twice(tmp_path):
    path = tmp_path / "deep.png"
    cv2.imwrite(str(path), np.full((40, 60, 3), 65535, np.uint16))
    ((_, image, shrunk),) = readable_pages(path, PageSizes(whole_pixels=600))
    assert (image.shape, shrunk, image.min()) == ((20, 30, 3), 2, 255)
    with pytest.raises(InputError, match="60x40 pixels"):
        list(readable_pages(path, PageSizes(most_pixels=4799)))


def test_pages_of_one_file_are_each_as_large_as_they_are(tmp_path):
    path = tmp_path / "two.tif"
    frames = [Image.new("L", size) for size in ((60, 40), (30, 20))]
    frames[0].save(path, save_all=True, append_images=frames[1:])
    pages = list(readable_pages(path, PageSizes(whole_pixels=1000)))
    assert [(page.name, page.image.shape[:2], page.shrunk) for page in pages] == [
        ("two-p1", (20, 30), 2),
        ("two-p2", (20, 30), 1),
    ]
    with pytest.raises(InputError, match=r"two\.tif: 60x40 pixels"):
        list(readable_pages(path, PageSizes(most_pixels=1000)))


def test_a_tiff_of_too_many_pages_is_refused_before_the_first(tmp_path):
    frames = [Image.new("L", (30, 20))] * 2
    frames[0].save(tmp_path / "a.tif", save_all=True, append_images=frames[1:])
    assert len(list(readable_pages(tmp_path / "a.tif", PageSizes(most_pages=2)))) == 2
    with pytest.raises(InputError, match=r"a\.tif: has more than 1 pages; divide it, or raise --max-pages"):
        next(readable_pages(tmp_path / "a.tif", PageSizes(most_pages=1)))


def test_a_hundred_bytes_that_state_a_hundred_megapixels_are_not_unpacked(tmp_path):
    """The refusal names the flag; nothing of the picture is read, for there is nothing."""
    path = tmp_path / "bomb.png"
    Image.new("1", (1, 1)).save(path)
    data = path.read_bytes()
    size = (20_000).to_bytes(4, "big") * 2
    header = b"IHDR" + size + data[24:29]
    path.write_bytes(data[:12] + header + zlib.crc32(header).to_bytes(4, "big") + data[33:])
    with pytest.raises(
        InputError, match=r"20000x20000 pixels are 400 megapixels, more than 120; .*--max-megapixels"
    ):
        list(readable_pages(path))


@pytest.mark.parametrize(
    ("name", "deep", "weight"),
    [
        ("a.png", False, 1),
        ("a.tif", False, 1),
        ("a.webp", False, 2),
        ("a.avif", False, 2),
        ("b.tif", True, 2),
    ],
)
def test_pixels_that_take_more_memory_count_for_more(tmp_path, name, deep, weight):
    path = tmp_path / name
    if deep:
        cv2.imwrite(str(path), np.full((10, 20, 3), 999, np.uint16))
    else:
        Image.new("RGB", (20, 10), "white").save(path)
    assert [page.image.shape for page in readable_pages(path, PageSizes(200 * weight))] == [(10, 20, 3)]
    with pytest.raises(InputError, match=r"20x10 pixels .*--max-megapixels") as caught:
        list(readable_pages(path, PageSizes(200 * weight - 1)))
    assert ("such pictures may have 1/2 of --max-megapixels" in str(caught.value)) == (weight == 2)
