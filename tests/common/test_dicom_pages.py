"""Pages in DICOM files."""

import os
import sys

import numpy as np
import pydicom
import pytest
from pydicom.dataset import FileDataset, FileMetaDataset
from pydicom.uid import DeflatedExplicitVRLittleEndian, ExplicitVRLittleEndian, generate_uid

from ecg_generator_with_train_src.common.errors import InputError
from ecg_generator_with_train_src.common.page_files import read_pages, sized_pages
from ecg_generator_with_train_src.common.picture_sizes import PageSizes

from helpers import linux_only
from pdf_files import write_pdf

CAPTURE, PDF, ECG = (f"1.2.840.10008.5.1.4.1.1.{end}" for end in ("7", "104.1", "9.1.1"))


def write_dicom(path, kind: str, **values):
    """A DICOM file of a kind with these values."""
    meta = FileMetaDataset()
    meta.MediaStorageSOPClassUID, meta.MediaStorageSOPInstanceUID = kind, generate_uid()
    meta.TransferSyntaxUID = ExplicitVRLittleEndian
    content = FileDataset(str(path), {}, file_meta=meta, preamble=b"\0" * 128)
    content.SOPClassUID = kind
    for name, value in values.items():
        setattr(content, name, value)
    content.save_as(path, enforce_file_format=True)
    return path


def picture(values: np.ndarray, shown_as: str, bits: int = 8) -> dict:
    samples = 3 if shown_as == "RGB" else 1
    frames = {"NumberOfFrames": len(values)} if values.ndim == 3 and samples == 1 else {}
    height, width = values.shape[:2] if samples == 3 else values.shape[-2:]
    return {
        **frames,
        "Rows": height,
        "Columns": width,
        "SamplesPerPixel": samples,
        "PhotometricInterpretation": shown_as,
        "BitsAllocated": 8 * values.itemsize,
        "BitsStored": bits,
        "HighBit": bits - 1,
        "PixelRepresentation": 0,
        "PlanarConfiguration": 0,
        "PixelData": values.tobytes(),
    }


def test_a_secondary_capture_in_colour(tmp_path):
    rgb = np.arange(24, dtype=np.uint8).reshape(2, 4, 3)
    ((name, image),) = read_pages(write_dicom(tmp_path / "1.2.3", CAPTURE, **picture(rgb, "RGB")))
    assert (name, image.tolist()) == ("1.2", rgb.tolist())


def test_grey_values_of_12_bits_and_those_where_0_is_white(tmp_path):
    grey = np.uint16([[0, 2048, 4095, 4095]])
    for shown_as, expected in (("MONOCHROME2", [0, 128, 255, 255]), ("MONOCHROME1", [255, 127, 0, 0])):
        path = write_dicom(tmp_path / "grey.dcm", CAPTURE, **picture(grey, shown_as, bits=12))
        ((_, image),) = read_pages(path)
        assert image[0].tolist() == [[value] * 3 for value in expected]


def test_frames_are_pages(tmp_path):
    frames = np.uint8([[[1, 2]], [[3, 4]]])
    pages = dict(read_pages(write_dicom(tmp_path / "two.dcm", CAPTURE, **picture(frames, "MONOCHROME2"))))
    assert {name: image[0, :, 0].tolist() for name, image in pages.items()} == {
        "two-p1": [1, 2],
        "two-p2": [3, 4],
    }


def test_an_encapsulated_pdf(tmp_path):
    document = write_pdf(tmp_path / "a.pdf", "0 0 72 36 re f", (144, 72)).read_bytes()
    path = write_dicom(
        tmp_path / "report.dcm", PDF, EncapsulatedDocument=document + b"\0" * (len(document) % 2)
    )
    ((name, image),) = read_pages(path)
    assert (name, image.shape) == ("report-p1", (200, 400, 3))
    assert image[150, 50].tolist() == [0, 0, 0]


def test_a_file_without_picture_says_what_it_is(tmp_path):
    with pytest.raises(
        InputError, match=r"x\.dcm: holds no picture and no PDF, but is a 12-lead ECG Waveform"
    ):
        list(read_pages(write_dicom(tmp_path / "x.dcm", ECG)))


def test_a_picture_that_is_cut_off_is_an_error_of_its_file(tmp_path):
    short = picture(np.zeros((4, 4), np.uint8), "MONOCHROME2") | {"PixelData": b"\0" * 4}
    with pytest.raises(InputError, match=r"x\.dcm: its picture cannot be unpacked"):
        list(read_pages(write_dicom(tmp_path / "x.dcm", CAPTURE, **short)))


def test_without_pydicom_the_package_is_named(tmp_path, monkeypatch):
    path = write_dicom(tmp_path / "x.dcm", CAPTURE)
    monkeypatch.setitem(sys.modules, "pydicom", None)
    with pytest.raises(InputError, match=r'x\.dcm: .* pip install "pydicom>=3,<4"'):
        list(read_pages(path))
    assert pydicom.__version__ >= "3"


@linux_only
def test_what_follows_the_picture_is_not_read(tmp_path):
    path = write_dicom(tmp_path / "a.dcm", CAPTURE, **picture(np.zeros((2, 4, 3), np.uint8), "RGB"))
    os.truncate(path, 500 * 2**20)  # zeros, each eight of which would be an element
    ((_, image),) = read_pages(path)
    assert image.shape == (2, 4, 3)
    os.truncate(path, 3 * 10**9)
    with pytest.raises(InputError, match=r"a\.dcm: has more than 512 MiB; save its picture as PNG"):
        list(read_pages(path))


def test_a_picture_that_is_said_to_be_very_large_is_refused_before_it_is_unpacked(tmp_path):
    values = picture(np.zeros((1, 2, 3), np.uint8), "RGB") | {"Rows": 60_000, "Columns": 50_000}
    path = write_dicom(tmp_path / "a.dcm", CAPTURE, **values)
    with pytest.raises(InputError, match="50000x60000 pixels are 3000 megapixels, more than 120; "):
        list(read_pages(path))


def test_a_large_picture_is_halved(tmp_path):
    values = np.repeat(np.uint8([[[10] * 3, [30] * 3], [[20] * 3, [40] * 3]]), 2, axis=1)
    path = write_dicom(tmp_path / "a.dcm", CAPTURE, **picture(values, "RGB"))
    ((_, image, shrunk),) = sized_pages(path, PageSizes(whole_pixels=4))
    assert (shrunk, image.tolist()) == (2, [[[15] * 3, [35] * 3]])


def test_a_file_that_is_deflated_as_a_whole_is_refused(tmp_path):
    path = write_dicom(tmp_path / "a.dcm", CAPTURE, **picture(np.zeros((1, 2, 3), np.uint8), "RGB"))
    content = pydicom.dcmread(path)
    content.file_meta.TransferSyntaxUID = DeflatedExplicitVRLittleEndian
    content.save_as(path)
    with pytest.raises(InputError, match=r"a\.dcm: is packed as a whole \(deflated\)"):
        list(read_pages(path))


def test_too_many_frames_are_refused_before_the_first(tmp_path):
    path = write_dicom(tmp_path / "a", CAPTURE, **picture(np.zeros((2, 4, 4), np.uint8), "MONOCHROME2"))
    assert len(list(sized_pages(path, PageSizes(most_pages=2)))) == 2
    with pytest.raises(InputError, match=r"a: has more than 1 pages; divide it, or raise --max-pages"):
        next(sized_pages(path, PageSizes(most_pages=1)))
