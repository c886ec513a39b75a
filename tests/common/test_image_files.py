"""Image files: every reader sees the same, and a damaged file is an error and never a picture."""

import cv2
import numpy as np
import pytest
from PIL import Image

from ecg_generator_with_train_src.common import image_files
from ecg_generator_with_train_src.common.errors import InputError
from ecg_generator_with_train_src.common.files import write_bytes
from ecg_generator_with_train_src.common.image_files import (
    cut,
    encode_binary,
    encode_classes,
    encode_grey,
    encode_ink,
    encode_rgb,
    paper_colour,
    read_classes,
    read_coverage,
    read_grey,
    read_ink_alpha,
    read_rgb,
)

RNG = np.random.default_rng(0)
GREY = RNG.integers(0, 256, (33, 47), dtype=np.uint8)
GREY[0] = np.resize(np.arange(256), 47)
BINARY = np.where(GREY > 99, 255, 0).astype(np.uint8)
RGB = RNG.integers(0, 256, (33, 47, 3), dtype=np.uint8)


@pytest.mark.parametrize("ink_rgb", [(0, 0, 0), (51, 51, 51), (10, 20, 230)])
def test_pillow_and_opencv_read_the_same_rgba_of_an_ink_layer(tmp_path, ink_rgb):
    alpha = np.arange(256, dtype=np.uint8).reshape(8, 32)
    path = tmp_path / "ink.png"
    write_bytes(path, encode_ink(alpha, ink_rgb))
    by_pillow = np.array(Image.open(path).convert("RGBA"))
    by_opencv = cv2.cvtColor(cv2.imread(str(path), cv2.IMREAD_UNCHANGED), cv2.COLOR_BGRA2RGBA)
    expected = np.dstack([*(np.full_like(alpha, level) for level in ink_rgb), alpha])
    np.testing.assert_array_equal(by_pillow, expected)
    np.testing.assert_array_equal(by_opencv, expected)
    np.testing.assert_array_equal(read_ink_alpha(path), alpha)


def test_an_ink_layer_that_another_program_saved_as_rgba_reads_the_same(tmp_path):
    Image.fromarray(np.dstack([GREY, GREY, GREY, BINARY]), "RGBA").save(tmp_path / "ink.png")
    np.testing.assert_array_equal(read_ink_alpha(tmp_path / "ink.png"), BINARY)


def test_pillow_and_opencv_read_a_mask_as_0_or_255(tmp_path):
    path = tmp_path / "mask.png"
    write_bytes(path, encode_binary(BINARY))
    np.testing.assert_array_equal(np.array(Image.open(path).convert("L")), BINARY)
    np.testing.assert_array_equal(cv2.imread(str(path), cv2.IMREAD_GRAYSCALE), BINARY)
    np.testing.assert_array_equal(cv2.imread(str(path), cv2.IMREAD_UNCHANGED), BINARY)
    np.testing.assert_array_equal(read_grey(path), BINARY)


def test_class_numbers_are_the_palettes_indices(tmp_path):
    classes = RNG.choice(np.array([0, 1, 2, 255], np.uint8), (33, 47))
    path = tmp_path / "classes.png"
    write_bytes(path, encode_classes(classes))
    image = Image.open(path)
    assert image.mode == "P"
    np.testing.assert_array_equal(np.array(image), classes)
    np.testing.assert_array_equal(read_classes(path), classes)
    colours = {tuple(image.getpalette()[3 * k : 3 * k + 3]) for k in (0, 1, 2, 255)}
    assert len(colours) == 4  # to be told apart by eye


def test_pages_and_coverages_come_back_as_they_were(tmp_path):
    write_bytes(tmp_path / "rgb.png", encode_rgb(RGB))
    write_bytes(tmp_path / "grey.png", encode_grey(GREY))
    np.testing.assert_array_equal(read_rgb(tmp_path / "rgb.png"), RGB)
    np.testing.assert_array_equal(np.array(Image.open(tmp_path / "rgb.png")), RGB)
    np.testing.assert_array_equal(read_grey(tmp_path / "grey.png"), GREY)
    np.testing.assert_array_equal(read_coverage(tmp_path / "grey.png"), GREY)
    np.testing.assert_array_equal(np.array(Image.open(tmp_path / "grey.png")), GREY)


FILES = {
    "ink": (encode_ink(GREY, (3, 4, 5)), read_ink_alpha, GREY),
    "mask": (encode_binary(BINARY), read_grey, BINARY),
    "page": (encode_rgb(RGB), read_rgb, RGB),
}


def read_or_refuse(path, reader) -> np.ndarray | None:
    try:
        return reader(path)
    except InputError as error:
        assert str(error).startswith(f"{path}: ")
        assert "\n" not in str(error)
        return None


@pytest.mark.parametrize("kind", FILES)
def test_a_png_cut_anywhere_is_refused_unless_all_pixels_are_there(tmp_path, kind):
    data, reader, pixels = FILES[kind]
    path = tmp_path / "cut.png"
    for length in [*range(100), *range(100, len(data) - 30, 7)]:
        path.write_bytes(data[:length])
        assert read_or_refuse(path, reader) is None, length
    for length in range(len(data) - 30, len(data) + 1):  # the end mark and checksums may be lost
        path.write_bytes(data[:length])
        read = read_or_refuse(path, reader)
        assert read is None or (read == pixels).all()
    assert read is not None


def test_transparent_and_deep_images_are_read(tmp_path):
    Image.new("RGBA", (4, 3), (255, 0, 0, 0)).save(tmp_path / "clear.png")
    assert (read_rgb(tmp_path / "clear.png") == 255).all()
    Image.fromarray(np.full((3, 4), 40000, np.uint16)).save(tmp_path / "deep.png")
    assert (read_rgb(tmp_path / "deep.png") == 40000 >> 8).all()


def test_a_mask_or_coverage_of_another_kind_is_refused(tmp_path):
    write_bytes(tmp_path / "page.png", encode_rgb(RGB))
    with pytest.raises(
        InputError, match=r"page\.png: is not an 8-bit palette or grey image, but of mode RGB"
    ):
        read_classes(tmp_path / "page.png")
    write_bytes(tmp_path / "classes.png", encode_classes(BINARY))
    with pytest.raises(InputError, match=r"classes\.png: is not an 8-bit grey image, but of mode P"):
        read_coverage(tmp_path / "classes.png")


def test_outside_a_page_is_paper_and_ignored():
    image = np.full((20, 30, 3), (250, 240, 230), np.uint8)
    image[5:8] = 0
    assert paper_colour(image).tolist() == [250, 240, 230]
    window = cut(image, -4, 10, (32, 32), paper_colour(image))
    assert window.shape == (32, 32, 3)
    assert (window[:4] == (250, 240, 230)).all() and (window[24:] == (250, 240, 230)).all()
    assert np.array_equal(window[4:24, :20], image[:, 10:])
    label = cut(np.ones((20, 30), np.uint8), -4, 10, (32, 32), 255)
    assert (label == 1).sum() == 20 * 20
    assert (label == 255).sum() == 32 * 32 - 20 * 20


@pytest.mark.parametrize("content", [b"", b"\x89PNG\r\n\x1a\n", b"id,fs\na,500\n", bytes(5000)])
@pytest.mark.parametrize("reader", [read_rgb, read_grey, read_classes, read_coverage, read_ink_alpha])
def test_what_is_no_image_is_refused(tmp_path, content, reader):
    (tmp_path / "junk.png").write_bytes(content)
    assert read_or_refuse(tmp_path / "junk.png", reader) is None


def test_a_missing_file_and_a_folder_are_refused(tmp_path):
    with pytest.raises(InputError, match=r"none\.png: no such file"):
        read_rgb(tmp_path / "none.png")
    assert read_or_refuse(tmp_path, read_rgb) is None


@pytest.mark.parametrize(
    "data", [encode_rgb(RGB), encode_grey(GREY), encode_binary(BINARY), encode_classes(BINARY)]
)
def test_an_image_without_opacity_is_no_ink_layer(tmp_path, data):
    """All of it would read as opaque, and so as waveform."""
    (tmp_path / "page.png").write_bytes(data)
    with pytest.raises(InputError, match="no opacity"):
        read_ink_alpha(tmp_path / "page.png")


def test_a_jpeg_that_goes_over_its_pixels_for_minutes_is_refused(tmp_path, monkeypatch):
    path = tmp_path / "a.jpg"
    Image.new("L", (100, 80), 128).save(path, progressive=True)
    whole = path.read_bytes()
    last_scan = whole[whole.rindex(b"\xff\xda") : -2]
    monkeypatch.setattr(image_files, "MOST_SCANNED_PIXELS", 20 * 100 * 80)
    assert read_grey(path).shape == (80, 100)
    path.write_bytes(whole[:-2] + 20 * last_scan + whole[-2:])
    with pytest.raises(InputError, match=r"a\.jpg: a JPEG of 26 scans; save it again"):
        read_grey(path)
