"""Files as scanners, phones and office programs write them."""

import os

import cv2
import numpy as np
import pytest
from PIL import Image

from ecg_generator_with_train_src.common.errors import InputError
from ecg_generator_with_train_src.common.page_files import (
    files_of_folder,
    read_pages,
    read_single_page,
    readable_pages,
)
from experiment.fuzzing.sample_files import HEIC

from helpers import linux_only

RED, GREY = (250, 10, 5), (120, 120, 120)


@pytest.fixture
def marked() -> Image.Image:
    """Grey, 40 wide and 20 high, red in the top left corner."""
    image = Image.new("RGB", (40, 20), GREY)
    image.paste(RED, (0, 0, 10, 10))
    return image


def only_page(path) -> np.ndarray:
    ((name, image),) = read_pages(path)
    assert name == path.stem
    assert image.dtype == np.uint8 and image.ndim == 3
    return image


def is_red(pixel) -> bool:
    return int(pixel[0]) > 200 and max(int(pixel[1]), int(pixel[2])) < 60


@pytest.mark.parametrize(("tag", "turns"), [(1, 0), (3, 2), (6, 3), (8, 1)])
def test_a_phone_photo_is_turned_as_its_exif_data_say(marked, tmp_path, tag, turns):
    exif = Image.Exif()
    exif[0x0112] = tag
    marked.save(tmp_path / "photo.jpg", quality=95, exif=exif)
    seen = only_page(tmp_path / "photo.jpg")
    stored = np.asarray(Image.open(tmp_path / "photo.jpg"))
    assert np.array_equal(seen, np.rot90(stored, turns))


@pytest.mark.parametrize("name", ["IMG_1.HEIC", "IMG_1.jpg"])
def test_a_heic_of_a_phone_is_read_whatever_it_is_called(tmp_path, name):
    (tmp_path / name).write_bytes(HEIC)
    seen = only_page(tmp_path / name)
    assert seen.shape == (20, 40, 3)
    assert is_red(seen[15, 35]) and np.abs(seen[5, 35].astype(int) - 120).max() < 5


@pytest.mark.parametrize("format", ["EPS", "PCX", "TGA", "ICO", "SGI"])
def test_no_other_reader_is_tried_on_what_calls_itself_a_picture(tmp_path, format):
    Image.new("RGB", (40, 20), "red").save(tmp_path / "page.png", format)
    with pytest.raises(
        InputError, match=r"page\.png: not a readable image \(truncated, or of an unknown format"
    ):
        only_page(tmp_path / "page.png")


def test_two_pictures_in_one_jpeg_as_some_phones_write_them_are_the_first(tmp_path, marked):
    small = Image.new("RGB", (8, 6), "blue")
    marked.save(tmp_path / "photo.jpg", "MPO", save_all=True, append_images=[small])
    assert only_page(tmp_path / "photo.jpg").shape == (*marked.size[::-1], 3)


@pytest.mark.parametrize(
    ("name", "mode"),
    [
        ("p.png", "P"),
        ("c.jpg", "CMYK"),
        ("c.tif", "CMYK"),
        ("w.webp", "RGB"),
        ("b.bmp", "RGB"),
        ("f.JFIF", "RGB"),
        ("g.gif", "P"),
        ("a.avif", "RGB"),
        ("j.jp2", "RGB"),
        ("m.PPM", "RGB"),
    ],
)
def test_modes_and_formats_show_the_same_colours(marked, tmp_path, name, mode):
    options = {"quality": 95} if name in ("c.jpg", "f.JFIF", "a.avif") else {}
    options |= {"format": "JPEG"} if name == "f.JFIF" else {"lossless": True} if name == "w.webp" else {}
    (marked.quantize(8) if mode == "P" else marked.convert(mode)).save(tmp_path / name, **options)
    seen = only_page(tmp_path / name)
    assert seen.shape == (20, 40, 3)
    assert is_red(seen[3, 3])
    assert np.abs(seen[15, 30].astype(int) - 120).max() < 12


def test_transparent_is_white(marked, tmp_path):
    marked.putalpha(Image.fromarray(np.tile(np.uint8([255, 0]), (20, 20))))
    marked.save(tmp_path / "a.png")
    seen = only_page(tmp_path / "a.png")
    assert is_red(seen[0, 0]) and seen[0, 1].tolist() == [255, 255, 255]


@pytest.mark.parametrize("name", ["deep.png", "deep.tif"])
def test_16_bits_become_8(tmp_path, name):
    Image.fromarray(np.uint16([[0, 0x8000, 0xFFFF]])).save(tmp_path / name)
    assert only_page(tmp_path / name)[0, :, 0].tolist() == [0, 128, 255]


@pytest.mark.parametrize("name", ["scan.png", "scan.tif"])
def test_colours_of_12_bits_in_files_of_16_are_not_black(tmp_path, name):
    values = np.uint16([[[4095, 2048, 0], [4095, 4095, 4095]]])
    cv2.imwrite(str(tmp_path / name), values[..., ::-1])
    assert only_page(tmp_path / name).tolist() == [[[255, 128, 0], [255, 255, 255]]]


def test_a_deep_pngs_transparent_parts_are_white(tmp_path):
    cv2.imwrite(str(tmp_path / "a.png"), np.uint16([[[0, 0, 65535, 65535], [0, 0, 65535, 0]]]))
    assert only_page(tmp_path / "a.png").tolist() == [[[255, 0, 0], [255, 255, 255]]]


@pytest.mark.parametrize("shape", [(1, 3), (1, 3, 3)])
def test_a_tiff_of_fractions(tmp_path, shape):
    values = np.zeros(shape, np.float32)
    values[0, 1:] = np.float32([0.5, 1.0]).reshape(2, *[1] * (len(shape) - 2))
    cv2.imwrite(str(tmp_path / "scan.tif"), values)
    assert only_page(tmp_path / "scan.tif")[0].tolist() == [[0] * 3, [128] * 3, [255] * 3]


def test_the_pages_of_a_tiff(marked, tmp_path):
    path = tmp_path / "fax.tiff"
    marked.save(path, save_all=True, append_images=[Image.new("L", (7, 5), 9)])
    pages = dict(read_pages(path))
    assert list(pages) == ["fax-p1", "fax-p2"]
    assert is_red(pages["fax-p1"][0, 0]) and pages["fax-p2"].tolist() == [[[9, 9, 9]] * 7] * 5


def test_a_file_of_one_page_is_read_as_an_image_and_one_of_several_is_refused(marked, tmp_path):
    marked.save(tmp_path / "one.tiff")
    assert read_single_page(tmp_path / "one.tiff").tolist() == np.asarray(marked).tolist()
    for name in ("two.tiff", "two.pdf"):
        marked.save(tmp_path / name, save_all=True, append_images=[marked])
        with pytest.raises(InputError, match=rf"{name}: holds several pages; save each page as a file"):
            read_single_page(tmp_path / name)


def test_the_pages_of_a_pdf_at_200_dpi(marked, tmp_path):
    path = tmp_path / "scan.pdf"
    marked.save(path, save_all=True, append_images=[Image.new("RGB", (2000, 100))], resolution=20)
    pages = dict(read_pages(path))
    assert list(pages) == ["scan-p1", "scan-p2"]
    assert pages["scan-p1"].shape == (200, 400, 3)  # 2 inches by 1
    assert is_red(pages["scan-p1"][50, 50]) and not is_red(pages["scan-p1"][150, 50])
    assert max(pages["scan-p2"].shape) == 4500  # 100 inches


@pytest.mark.parametrize("name", ["x.pdf", "x.png", "x.tif"])
def test_a_file_that_is_something_else_or_nothing(tmp_path, name):
    path = tmp_path / name
    with pytest.raises(InputError, match=f"{name}: no such file"):
        list(read_pages(path))
    path.write_bytes(b"")
    with pytest.raises(InputError, match=f"{name}: an empty file"):
        list(read_pages(path))
    path.write_bytes(b"%PDF-1.4 and no more")
    with pytest.raises(InputError, match=rf"{name}: (no PDF|not a readable image)"):
        list(read_pages(path))


def test_a_drawing_that_is_not_read_is_refused_with_what_is(tmp_path):
    (tmp_path / "page.SVG").write_text("<svg/>")
    with pytest.raises(InputError, match=r"page\.SVG: \.SVG files are not read; save it as PNG or PDF"):
        list(read_pages(tmp_path / "page.SVG"))


def test_what_of_a_folder_is_a_page(marked, tmp_path):
    pages = ("a.png", "B.JPG", "b/c.heic", "b/1.2.840.7", "drawing.svg", "empty.tif")
    others = ("b/letter.docx", "records.csv")
    hidden = (".d.png", "._a.png", ".trash/e.png", "b/.DS_Store")
    for name in (*pages, *others, *hidden):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_bytes(b"")
    marked.save(tmp_path / "b/1.2.840.7", "PNG")  # an ending of no kind that is known: its bytes tell
    found = files_of_folder(tmp_path)
    assert {str(path.relative_to(tmp_path)) for path in found.pages} == set(pages)
    assert [str(path.relative_to(tmp_path)) for path in found.others] == list(others)


def test_a_tiff_damaged_in_a_way_that_no_one_foresaw_is_an_error_of_that_file(tmp_path):
    path = tmp_path / "scan.tiff"
    frames = [Image.fromarray(np.full((40, 30), grey, np.uint8)) for grey in (10, 90)]
    frames[0].save(path, save_all=True, append_images=frames[1:])
    data = bytearray(path.read_bytes())
    second = data.rindex(b"\0\1\4\0")  # the tag of the page's width, a long number
    data[second : second + 2] = (700).to_bytes(2, "little")
    path.write_bytes(data)
    with pytest.raises(InputError, match=r"scan\.tiff: damaged") as refused:
        list(readable_pages(path))
    assert "Traceback" in refused.value.trace


def test_a_picture_file_without_end_is_refused(tmp_path):
    path = tmp_path / "a.png"
    Image.new("RGB", (8, 8)).save(path)
    os.truncate(path, 2**30 + 1)  # a sparse file
    with pytest.raises(InputError, match=r"a\.png: has more than 1024 MiB; save each page as a PNG"):
        list(readable_pages(path))


@pytest.mark.parametrize("head", [HEIC, b"RIFF\0\0\0\0WEBP", b"what is this"])
def test_less_is_taken_of_formats_whose_readers_take_the_whole_file_into_memory(tmp_path, head):
    path = tmp_path / "a.jpg"
    path.write_bytes(head)
    os.truncate(path, 2**28 + 1)
    with pytest.raises(InputError, match=r"a\.jpg: has more than 256 MiB; save each page as a PNG"):
        list(readable_pages(path))


@linux_only
def test_a_file_that_the_system_cannot_read_costs_itself_alone(marked, tmp_path):
    marked.save(tmp_path / "a.png")
    (tmp_path / "b.bin").symlink_to("/proc/self/mem")
    assert [path.name for path in files_of_folder(tmp_path).pages] == ["a.png", "b.bin"]
    with pytest.raises(InputError, match=r"b\.bin: "):
        list(read_pages(tmp_path / "b.bin"))
