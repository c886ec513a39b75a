"""experiment/fuzzing/sample_files.py. That its HEIC is read is tested with the reader of pages."""

import numpy as np

from ecg_generator_with_train_src.common.page_files import read_pages, read_single_page
from ecg_generator_with_train_src.common.pdf_drawing import drawing_of
from experiment.fuzzing.sample_files import curves_pdf, write_dicom_capture
from experiment.reading.drawn_traces import is_trace, joined, printed_text, ruled_paper


def test_a_capture_comes_back(tmp_path):
    image = np.arange(24, dtype=np.uint8).reshape(2, 4, 3)
    write_dicom_capture(tmp_path / "capture.dcm", image)
    assert read_single_page(tmp_path / "capture.dcm").tolist() == image.tolist()


def test_a_pdf_holds_its_curves_its_grid_and_its_names(tmp_path):
    path = tmp_path / "curves.pdf"
    signals_mv = np.sin(np.arange(400))[:, None] * [0.5, 1.0]
    path.write_bytes(curves_pdf(signals_mv, ["I", "II"], fs_hz=100.0))
    assert [name for name, _ in read_pages(path)] == ["curves-p1"]
    drawing = drawing_of(path, 0)
    lines = joined(drawing.strokes)
    curves = [line for line in lines if is_trace(line)]
    assert [round(float(np.ptp(curve[:, 0]))) for curve in curves] == [100, 100]  # 4 s at 25 mm/s
    assert abs(ruled_paper(lines).size - 1) < 1e-3
    assert [name.lead for name in printed_text(drawing).names] == ["I", "II"]
