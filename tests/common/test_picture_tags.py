"""common/picture_tags.py under the readers of pages."""

import io
import struct

import pytest
from PIL import Image, TiffImagePlugin

from ecg_generator_with_train_src.common.errors import InputError
from ecg_generator_with_train_src.common.page_files import readable_pages

BYTES, SHORT, OTHER = 1, 3, 7  # types of tags
GREY_8X8 = {256: 8, 257: 8, 258: 8, 259: 1, 262: 1, 273: 8, 277: 1, 278: 8, 279: 64}


def tiff(extra: list[tuple[int, int]], size: int = 70_000, big: bool = False) -> bytes:
    """A grey picture of 8 x 8 with tags of these types and lengths, all of which name the bytes from 80 on."""
    tags = [(tag, SHORT, 1, value) for tag, value in GREY_8X8.items()]
    tags += [(50_000 + k, kind, length, 80) for k, (kind, length) in enumerate(extra)]
    head, number, tag = (b"II+\0\x08\0\0\0", "<QQ", "<HHQQ") if big else (b"II*\0", "<IH", "<HHII")
    at = size
    first = struct.pack(number[:2], at) if big else struct.pack("<I", at)
    count = struct.pack("<Q" if big else "<H", len(tags))
    listed = b"".join(struct.pack(tag, *values) for values in tags)
    return (head + first).ljust(size, b"\x80") + count + listed + bytes(8)


@pytest.mark.parametrize("big", [False, True])
def test_usual_tags_are_read(tmp_path, big):
    path = tmp_path / "a.tif"
    path.write_bytes(tiff([(OTHER, 60_000), (SHORT, 30_000)], big=big))
    ((_, image, _),) = readable_pages(path)
    assert image.shape == (8, 8, 3)


@pytest.mark.parametrize("big", [False, True])
@pytest.mark.parametrize(
    ("extra", "why"),
    [
        ([(OTHER, 69_000)] * 980, r"its tags claim 64 MiB"),
        ([(SHORT, 30_000)] * 70, r"its tags claim 4 MiB"),
        ([(BYTES, 1)] * 1000, r"it has 1009 tags"),
    ],
)
def test_tags_that_all_name_the_same_bytes_are_refused_before_they_are_read(tmp_path, extra, why, big):
    path = tmp_path / "a.tif"
    path.write_bytes(tiff(extra, big=big))
    with pytest.raises(InputError, match=rf"a\.tif: not a readable image .*{why}"):
        list(readable_pages(path))


@pytest.mark.parametrize("ending", ["png", "webp"])
def test_so_they_are_in_exif_data(tmp_path, ending):
    path = tmp_path / f"a.{ending}"
    Image.new("RGB", (16, 16)).save(path, exif=tiff([(OTHER, 40_000)]))
    assert len(list(readable_pages(path))) == 1
    Image.new("RGB", (16, 16)).save(path, exif=tiff([(SHORT, 30_000)] * 70))
    with pytest.raises(InputError, match=r"its tags claim 4 MiB"):
        list(readable_pages(path))


def test_a_jpeg_is_read_without_them(tmp_path):
    """Pillow passes over EXIF data of a JPEG that it cannot read."""
    exif = tiff([(SHORT, 30_000)] * 70, 62_000)
    Image.new("RGB", (16, 8)).save(tmp_path / "a.jpg", exif=b"Exif\0\0" + exif)
    ((_, image, _),) = readable_pages(tmp_path / "a.jpg")
    assert image.shape == (8, 16, 3)


def test_a_list_of_tags_that_is_cut_off_is_left_to_pillow():
    tags = TiffImagePlugin.ImageFileDirectory_v2(b"II*\0\x08\0\0\0")
    with pytest.warns(UserWarning, match="Corrupt EXIF data"):
        tags.load(io.BytesIO(b"\x05\0" + b"\0" * 7))
    assert dict(tags) == {}
