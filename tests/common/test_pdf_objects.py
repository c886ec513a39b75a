"""What stands on a page of a PDF."""

import numpy as np
import pypdfium2.raw as pdfium

from ecg_generator_with_train_src.common.pdf_objects import matrix_of, objects_of
from ecg_generator_with_train_src.common.pdf_pages import opened_pdf

from pdf_files import write_pdf


def test_objects_within_forms_come_in_order_with_their_place_on_the_page(tmp_path):
    content = "0 0 m 9 9 l S q 1 0 0 1 30 40 cm /Fm Do Q BT /F 9 Tf (II) Tj ET"
    path = write_pdf(tmp_path / "a.pdf", content, form="0 0 m 5 5 l S")
    with opened_pdf(path) as document:
        found = [
            (each.kind, (each.to_page @ matrix_of(each.handle)).tolist()) for each in objects_of(document[0])
        ]
    twice = [[2.0, 0.0, 30.0], [0.0, 2.0, 40.0], [0.0, 0.0, 1.0]]  # the form is drawn at twice its size
    assert found == [
        (pdfium.FPDF_PAGEOBJ_PATH, np.eye(3).tolist()),
        (pdfium.FPDF_PAGEOBJ_PATH, twice),
        (pdfium.FPDF_PAGEOBJ_TEXT, np.eye(3).tolist()),
    ]
