"""Reading from Python: what is refused, what known facts do, and that the result is what digitize.py writes."""

import json
import subprocess
import sys

import numpy as np
import pytest

from ecg_generator_with_train_src.common.errors import InputError
from ecg_generator_with_train_src.common.image_files import encode_rgb, read_rgb
from ecg_generator_with_train_src.page.layouts import parse_layout
from experiment.fuzzing.sample_files import curves_pdf
from experiment.read_image import PageReader
from experiment.reading.find_layout import ReadingOptions
from experiment.runtime.network import RuntimeOptions

from conftest import REPOSITORY
from helpers import run_here

SAMPLE = REPOSITORY / "image_data" / "sample_page.jpg"

FIRST_READINGS = """
from concurrent.futures import ThreadPoolExecutor
from experiment import read_image

loaded, load = [], read_image.PageReader.__init__
read_image.PageReader.__init__ = lambda self: (loaded.append(self), load(self))[1]
with ThreadPoolExecutor(3) as threads:
    found = [each.status for each in threads.map(read_image.read_image, ["{image}"] * 3)]
print(len(loaded), *found)
"""


@pytest.fixture(scope="module")
def reader() -> PageReader:
    """The shipped networks on a CPU, in single precision."""
    return PageReader(runtime=RuntimeOptions(device="cpu", precision="fp32"))


def test_it_reads_what_digitize_writes(reader, tmp_path):
    given = ("--images", SAMPLE, "--output-dir", tmp_path, "--fs-hz", 250)
    done = run_here("experiment/digitize.py", *given, "--device", "cpu", "--precision", "fp32")
    assert done.returncode == 0, done.stderr
    reading = reader.read(SAMPLE, fs_hz=250)
    assert reading.csv() == (tmp_path / "sample_page.csv").read_text()
    written = json.loads((tmp_path / "sample_page.json").read_text())
    assert json.loads(json.dumps(reading.about)).items() <= written.items()
    assert reading.signal_mv.shape == (2500, 12)
    np.testing.assert_array_equal(reading.lead("V6"), reading.signal_mv[:, 11])


def test_a_pdf_that_holds_its_curves_is_read_from_these(reader, tmp_path):
    beats = np.exp(-np.square((np.arange(1000)[:, None] / 100 % 0.8 - 0.4) / 0.02)) * [0.5, 1.0, 0.5]
    (tmp_path / "curves.pdf").write_bytes(curves_pdf(beats, ["I", "II", "III"], fs_hz=100.0))
    known = ReadingOptions(layout=parse_layout("rows:I,II,III"))
    reading = reader.read(tmp_path / "curves.pdf", 100.0, known)
    assert reading.about["traces_from"] == "curves of the PDF"
    np.testing.assert_allclose(reading.lead("II"), beats[:, 1], atol=0.02)  # its median is its zero


def test_what_is_known_of_a_page_is_taken(reader):
    known = ReadingOptions(layout=parse_layout("3x4+V1"), gain_mm_mv=5.0)
    reading = reader.read(read_rgb(SAMPLE), known=known)
    assert reading.layout == "3x4+V1" and reading.about["gain_mm_mv"] == 5.0


def test_an_unread_page_says_why(reader):
    reading = reader.read(np.full((300, 400, 3), 250, np.uint8))
    assert (reading.status, reading.signal_mv, reading.about) == ("unread", None, {})
    with pytest.raises(InputError, match=f"the page is unread: {reading.reasons[0]}"):
        reading.lead("I")


@pytest.mark.parametrize(
    "image", [np.zeros((9, 9), np.uint8), np.zeros((9, 9, 4), np.uint8), np.zeros((9, 9, 3))]
)
def test_an_array_of_another_form_is_refused(reader, image):
    with pytest.raises(InputError, match=r"expected an RGB image \(H, W, 3\) uint8"):
        reader.read(image)


def test_an_array_without_pixels_is_refused(reader):
    with pytest.raises(InputError, match=r"without pixels: \(0, 100, 3\)"):
        reader.read(np.zeros((0, 100, 3), np.uint8))


def test_paper_longer_than_can_be_laid_flat_is_unread_and_told():
    reader = PageReader(px_per_mm=1.0, runtime=RuntimeOptions(device="cpu"))
    reading = reader.read(np.full((30, 4100, 3), 255, np.uint8))
    assert reading.status == "unread"
    assert "shows 4100x30 mm, more than any page; --px-per-mm tells the scale" in reading.reasons[0]


def test_threads_that_read_first_share_the_networks():
    code = FIRST_READINGS.format(image=str(SAMPLE))
    done = subprocess.run(
        [sys.executable, "-c", code], timeout=240, check=True, cwd=REPOSITORY, capture_output=True, text=True
    )
    assert done.stdout == "1 sure sure sure\n"


def test_a_rate_and_a_file_that_cannot_be_are_refused(reader, tmp_path):
    with pytest.raises(InputError, match="fs_hz: 5 Hz is outside"):
        reader.read(SAMPLE, fs_hz=5)
    (tmp_path / "cut.png").write_bytes(encode_rgb(np.zeros((40, 40, 3), np.uint8))[:50])
    with pytest.raises(InputError, match=r"cut\.png"):
        reader.read(tmp_path / "cut.png")
