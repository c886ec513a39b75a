"""Pages of PDFs as images."""

import numpy as np
import pytest
from PIL import Image

from ecg_generator_with_train_src.common.errors import InputError
from ecg_generator_with_train_src.common.pdf_pages import pdf_pages

from pdf_files import write_pdf


def only_image(path) -> np.ndarray:
    ((ending, image),) = pdf_pages(path)
    assert ending == "-p1"
    return image


def test_a_page_without_pictures_is_drawn_at_200_dpi(tmp_path):
    path = write_pdf(tmp_path / "a.pdf", "0 0 72 36 re f", (144, 72))
    image = only_image(path)
    assert image.shape == (200, 400, 3)
    assert image[150, 50].tolist() == [0, 0, 0] and image[50, 50].tolist() == [255, 255, 255]


def test_a_scan_keeps_its_pixels(tmp_path):
    stripes = np.tile(np.uint8([0, 255]), (1700, 1100))
    Image.fromarray(stripes).save(tmp_path / "scan.pdf", resolution=2200 / 3.7)  # 3.7 inches wide
    image = only_image(tmp_path / "scan.pdf")
    assert image.shape == (1700, 2200, 3)
    assert np.abs(image[800:900, 1000:1100, 0].astype(int) - stripes[800:900, 1000:1100]).max() < 60


def test_of_pictures_within_forms_as_well(tmp_path):
    write_pdf(tmp_path / "a.pdf", "144 0 0 72 0 0 cm /Im Do", (144, 72), picture=(600, 300, bytes(180000)))
    assert only_image(tmp_path / "a.pdf").shape == (300, 600, 3)


def test_a_fine_logo_does_not_make_the_page_finer(tmp_path):
    write_pdf(tmp_path / "a.pdf", "q 10 0 0 10 0 0 cm /Im Do Q", (144, 72), picture=(600, 600, bytes(360000)))
    assert only_image(tmp_path / "a.pdf").shape == (200, 400, 3)


def test_a_locked_an_empty_and_a_damaged_pdf_are_told_apart(tmp_path):
    lock = b"<< /Filter /Standard /V 1 /R 2 /P -4 /O <%s> /U <%s> >>" % (b"11" * 32, b"22" * 32)
    write_pdf(tmp_path / "locked.pdf", "", encrypt=lock)
    with pytest.raises(InputError, match=r"locked\.pdf: is locked with a password; save it without one"):
        list(pdf_pages(tmp_path / "locked.pdf"))
    (tmp_path / "cut.pdf").write_bytes(b"%PDF-1.4\n1 0 obj\n")
    with pytest.raises(InputError, match=r"cut\.pdf: no PDF that can be read \(.*\); save it again"):
        list(pdf_pages(tmp_path / "cut.pdf"))
